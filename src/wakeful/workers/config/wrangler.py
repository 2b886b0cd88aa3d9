"""wrangler.toml, wrangler.json and wrangler.jsonc: what a Worker is made of.

Environments: `env.<name>` replaces keys of the top level. Bindings, variables and migrations are
not inherited: an environment that wants them says them again.

Errors:  ConfigError names file, key, value and what to do.
Source:  Cloudflare docs on Wrangler's configuration.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Container, Iterator, Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final

import msgspec

from wakeful.errors import ConfigError
from wakeful.workers.bindings.crons import CronExpression, read_crons
from wakeful.workers.config import jsonc
from wakeful.workers.config.dotvars import read_secrets
from wakeful.workers.config.keys import NEEDS_CODE, NOT_INHERITED, READ
from wakeful.workers.config.migrations import Classes, Storage, read_classes
from wakeful.workers.config.resources import Resources, read_resources, warn_of_remote
from wakeful.workers.config.support import TOP_LEVEL, Missing, read_missing, refuse_missing
from wakeful.workers.config.tables import Findings, Table, shown
from wakeful.workers.strict import Strict, strict_of

FILES: Final = ("wrangler.json", "wrangler.jsonc", "wrangler.toml")  # the order wrangler looks in
WORKER_NAME: Final = re.compile(r"[a-z0-9_][a-z0-9_-]*", re.ASCII)
DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class DurableObjectBinding(msgspec.Struct, frozen=True):
    """A name in `env` that stands for a class of objects.

    Attributes:
        name: the name in `env`.
        class_name: the class.
        script_name: the Worker that has the class, if it is another one.
        environment: the environment of that Worker.
    """

    name: str
    class_name: str
    script_name: str | None = None
    environment: str | None = None


class ServiceBinding(msgspec.Struct, frozen=True):
    """A name in `env` that stands for an entrypoint of a Worker.

    Attributes:
        name: the name in `env`.
        service: the Worker's name.
        entrypoint: the class; None: the default one.
        props: what it has as `ctx.props`.
    """

    name: str
    service: str
    entrypoint: str | None = None
    props: dict[str, Any] = {}


class WranglerConfig(msgspec.Struct, frozen=True):
    """One Worker in one environment.

    Attributes:
        file: the file all of it was read from.
        name: the Worker's name; ids of objects depend on it.
        main: the main module, an existing `.py` file; None if there are only assets.
        compatibility_date: "2026-03-01", or None.
        compatibility_flags: as they are written.
        bindings: the Durable Object bindings.
        services: the bindings of Workers.
        classes: which classes exist, and where each keeps its data.
        vars: plain variables; tables and lists among them are allowed.
        secrets: the contents of `.dev.vars`, or of `.env`; they count before variables of the same
            name.
        crons: `triggers.crons`.
        resources: what is bound beside Durable Objects, and assets.
        missing: what it asks for and does not get, and starts without.
        rest: every other key of the file with its value.
        warnings: what of the file has no effect; a line each.
        strict: it is held to the limits of Cloudflare's network; None: it is not.
    """

    file: Path
    name: str
    main: Path | None
    compatibility_date: str | None
    compatibility_flags: tuple[str, ...]
    bindings: tuple[DurableObjectBinding, ...]
    services: tuple[ServiceBinding, ...]
    classes: Classes
    vars: dict[str, Any]
    secrets: dict[str, str]
    crons: tuple[CronExpression, ...]
    resources: Resources
    missing: tuple[Missing, ...]
    rest: dict[str, Any]
    warnings: tuple[str, ...] = ()
    strict: Strict | None = None

    @property
    def directory(self) -> Path:
        """The directory of the file."""
        return self.file.parent

    @property
    def entry(self) -> Path:
        """The main module of a Worker that has code."""
        assert self.main is not None, "assets alone have no code"
        return self.main

    def own_classes(self) -> list[str]:
        """The Durable Object classes that the main module must have, in order."""
        bound = [b.class_name for b in self.bindings if self.is_own(b)]
        exported = [] if self.classes.migrations else list(self.classes.storage)
        return list(dict.fromkeys([*bound, *exported]))

    def is_own(self, binding: DurableObjectBinding) -> bool:
        """Whether the class of a binding belongs to this Worker."""
        return self.script_of(binding) == self.name

    def script_of(self, binding: DurableObjectBinding) -> str:
        """Return the name of the Worker that has the class of a binding."""
        script = binding.script_name or self.name
        return script if binding.environment is None else f"{script}-{binding.environment}"

    def storage_of(self, class_name: str) -> Storage | None:
        """Return where a class keeps its data; None where the file does not say."""
        return self.classes.storage.get(class_name)

    def enabled(self, flag: str, *, since: str | None = None, off: str | None = None) -> bool:
        """Whether a compatibility flag is on.

        Args:
            flag: the flag that turns it on.
            since: the compatibility date from which it is on by itself.
            off: the flag that turns it off all the same; `no_` and the flag's name by default.
        """
        if flag in self.compatibility_flags:
            return True
        if (off or f"no_{flag}") in self.compatibility_flags:
            return False
        return since is not None and (self.compatibility_date or "") >= since


def find_config(path: Path) -> Path | None:
    """The configuration file of a Worker: the path itself, or the one in the directory it is."""
    if os.path.isdir(path):
        return next((path / name for name in FILES if os.path.isfile(path / name)), None)
    return path if path.name in FILES and os.path.isfile(path) else None


def read_config(
    path: Path,
    environment: str | None = None,
    *,
    strict: bool = False,
    allow_missing: Container[str] = (),
) -> WranglerConfig:
    """Read a Worker's configuration.

    Args:
        path: the file, or the directory it is in.
        environment: the `env.<name>` to use.
        strict: hold it to the limits of Cloudflare's network.
        allow_missing: the names of bindings that wakeful does not provide and the Worker starts
            without, all the same: what is in `env` for them raises when it is used.

    Raises:
        ConfigError: no file was found, or it has faults: a line for each.
    """
    file = find_config(path)
    if file is None:
        raise ConfigError(f"{path} has no {', '.join(FILES[:-1])} or {FILES[-1]}: is it a Worker?")
    findings = Findings(TOP_LEVEL)
    table = _in_environment(Table(file, "", _parsed(file), findings), environment)
    missing = read_missing(table)
    refuse_missing(table, missing, allow_missing)
    config = _config(table, environment, missing)
    _check_names(config, table)
    limits = None
    if strict:
        with findings.collecting():
            limits = strict_of(file, {**config.vars, **config.secrets}, config.rest)
    findings.check()
    _warn_of_build(table)
    return msgspec.structs.replace(config, strict=limits, warnings=tuple(findings.warnings))


def _config(table: Table, environment: str | None, missing: tuple[Missing, ...]) -> WranglerConfig:
    secrets: dict[str, str] = {}
    with table.findings.collecting():
        secrets = read_secrets(table.file.parent, environment, _required_secrets(table))
    return WranglerConfig(
        file=table.file,
        name=_name(table),
        main=_main(table),
        compatibility_date=_date(table),
        compatibility_flags=table.texts("compatibility_flags"),
        bindings=_bindings(table),
        services=tuple(_service(entry) for entry in table.tables("services")),
        classes=read_classes(table),
        vars=_plain(table.table("vars").data),
        secrets=secrets,
        crons=read_crons(table.table("triggers")),
        resources=read_resources(table),
        missing=missing,
        rest={key: value for key, value in table.data.items() if key not in READ},
    )


def _warn_of_build(table: Table) -> None:
    """Warn of build steps that wrangler would run before it starts the Worker."""
    build = table.data.get("build")
    command = build.get("command") if isinstance(build, dict) else None
    if command:
        table.warn(
            "build",
            f"wakeful does not run {command!r}. Run it yourself, before you start, and whenever "
            "what it reads has changed",
        )


def _parsed(file: Path) -> dict[str, Any]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
        value = tomllib.loads(text) if file.suffix == ".toml" else jsonc.loads(text)
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: it is not UTF-8 text. Save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{file}: it cannot be read: {error.strerror}") from None
    except RecursionError:
        raise ConfigError(f"{file}: it is nested too deeply") from None
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{file}: expected an object with keys, got {shown(value)}")
    return value


def _in_environment(table: Table, environment: str | None) -> Table:
    if environment is None:
        return table
    environments = table.table("env")
    if environment not in environments.data:
        known = ", ".join(environments.data) or "none"
        table.fault(f"env.{environment}", f"there is no such environment; there are: {known}")
        return table
    chosen = environments.table(environment).data
    inherited = {key: value for key, value in table.data.items() if key not in NOT_INHERITED}
    if "name" not in chosen:
        inherited["name"] = f"{table.text('name')}-{environment}"
    origins = dict.fromkeys(chosen, f"env.{environment}.")
    return Table(table.file, "", {**inherited, **chosen}, table.findings, origins=origins)


def _name(table: Table) -> str:
    name = table.text("name")
    if name and not WORKER_NAME.fullmatch(name):
        table.fault("name", f"{name!r}: a Worker's name has lower-case letters, digits, - and _")
    return name


def _main(table: Table) -> Path | None:
    if "main" not in table.data and "assets" in table.data:
        _check_only_assets(table)
        return None
    text = table.text("main")
    path = table.path_to("main", text)
    if text and path.suffix != ".py":
        table.fault("main", f"{text!r} is not a Python file; wakeful runs Python Workers only")
    elif text and "\0" not in text and not os.path.isfile(path):
        table.fault("main", f"there is no file {path}. Correct the path; it starts at the file")
    return path


def _check_only_assets(table: Table) -> None:
    for key in NEEDS_CODE:
        if table.data.get(key):
            table.fault("main", f'missing, and {key} needs code. Add main = "..."')
    assets = table.table("assets")
    for key in ("binding", "run_worker_first"):
        if assets.data.get(key):
            assets.fault(key, "it is for a Worker with code, and there is no main. Remove it")


def _date(table: Table) -> str | None:
    value = table.data.get("compatibility_date")
    if type(value) is date:
        return value.isoformat()  # TOML has dates of its own
    text = table.optional_text("compatibility_date")
    if text and not DATE.fullmatch(text):
        table.fault("compatibility_date", f'{text!r} is no date. Write it as "2026-03-01"')
    return text


def _bindings(table: Table) -> tuple[DurableObjectBinding, ...]:
    objects = table.table("durable_objects")
    objects.only("bindings")
    return tuple(_binding(entry) for entry in objects.tables("bindings"))


def _binding(entry: Table) -> DurableObjectBinding:
    entry.only(*DurableObjectBinding.__struct_fields__)
    class_name = entry.text("class_name")
    if class_name and not class_name.isidentifier():
        entry.fault("class_name", f"{class_name!r} cannot be the name of a class")
    binding = DurableObjectBinding(
        entry.text("name"),
        class_name,
        entry.optional_text("script_name"),
        entry.optional_text("environment"),
    )
    if binding.environment is not None and binding.script_name is None:
        entry.fault("environment", "it needs script_name beside it: whose environment is it?")
    return binding


def _service(entry: Table) -> ServiceBinding:
    entry.only("binding", "service", "environment", "entrypoint", "props", "remote")
    warn_of_remote(entry, "the Worker that the command names is called")
    service, environment = entry.text("service"), entry.optional_text("environment")
    return ServiceBinding(
        entry.text("binding"),
        service if environment is None else f"{service}-{environment}",
        entry.optional_text("entrypoint"),
        _plain(entry.table("props").data),
    )


def _required_secrets(table: Table) -> tuple[str, ...] | None:
    if "secrets" not in table.data:
        return None
    secrets = table.table("secrets")
    secrets.only("required")
    return secrets.texts("required")


def _plain(value: Any) -> Any:
    """Convert a value of the file to what JSON can hold: TOML's dates become text."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date | time | datetime) else value


def _check_names(config: WranglerConfig, table: Table) -> None:
    seen = dict.fromkeys(config.vars, "vars")
    for name, key in _names(config):
        if name and name in seen:
            table.fault(key, f"{name!r} is also in {seen[name]}. A name in env is given once")
        seen[name] = key
    assets = config.resources.assets
    if assets is not None and config.main and config.main.is_relative_to(assets.directory):
        table.fault("assets.directory", f"{config.main} is in it: everybody could read it")


def _names(config: WranglerConfig) -> Iterator[tuple[str, str]]:
    """Return the names in `env` that are not variables, each with the key it comes from."""
    for binding in config.bindings:
        yield binding.name, "durable_objects.bindings"
    for service in config.services:
        yield service.name, "services"
    yield from config.resources.names()
    for missing in config.missing:
        if missing.is_bound:
            yield missing.name, missing.label.partition(" ")[0]
