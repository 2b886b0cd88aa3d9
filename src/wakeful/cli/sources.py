"""What the command line serves, actors or a Worker: made into a runtime once, and after changes.

Invariants: when new code cannot be used, the runtime that runs still finds its own modules.
Errors:     Failure and ConfigError, in words for whoever typed the command.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias
from urllib.parse import quote_plus

from wakeful.actor_type import EMPTY, ActorType
from wakeful.cli import reload
from wakeful.cli.exit_codes import TargetFailure, WrongUsage
from wakeful.cli.process import Settings
from wakeful.cli.target import Served, Target
from wakeful.cli.tracebacks import full, is_user_file
from wakeful.errors import ConfigError
from wakeful.facets.builder import ActorSpec
from wakeful.http.routes import ACTORS
from wakeful.log import logger
from wakeful.node import Runtime
from wakeful.worker_node import SCHEDULED, WorkerRuntime
from wakeful.workers.config.overview import overview
from wakeful.workers.config.support import EVERYTHING
from wakeful.workers.config.tables import Findings
from wakeful.workers.config.wrangler import WranglerConfig, find_config, read_config

Lines: TypeAlias = Iterator[str]
Rows: TypeAlias = Sequence[tuple[str, ...]]


class Source(Protocol):
    """Where the served code is.

    Attributes:
        text: how it was named.
        roots: where the user's modules are.
        files: the ends of the names of files that matter.
    """

    text: str
    roots: tuple[Path, ...]
    files: tuple[str, ...]

    def first(self) -> Runtime:
        """A runtime of the code."""

    async def again(self, running: Runtime) -> Runtime:
        """A runtime of the code as it is now, while another one of it still runs."""

    def concerns(self, paths: Iterable[str]) -> bool:
        """Whether one of these files is part of the code."""

    def bindings(self) -> Rows:
        """What the code is given, as lines of a table: names, and what they are here."""

    def to_try(self, types: Iterable[ActorType], url: str) -> Lines:
        """A command that works."""


def source_of(texts: Sequence[str], chosen: Settings) -> Source:
    """What arguments name: directories or wrangler files of Workers, else actors.

    Raises:
        Failure: they cannot name anything.
    """
    files = [find_config(Path(text)) if text else None for text in texts]
    found = [file for file in files if file is not None]
    if len(found) == len(texts):
        return WorkerSource(" and ".join(texts), found, chosen)
    if len(texts) == 1:
        return ActorSource(texts[0], chosen)
    (odd, *_) = (text for text, file in zip(texts, files, strict=True) if file is None)
    raise WrongUsage(
        f"{odd} has no wrangler.toml, .json or .jsonc: only Workers can be served together. For "
        "actors of several files, import them in one"
    )


class ActorSource:
    """Actors in a Python file or module."""

    files: tuple[str, ...] = (".py",)

    def __init__(self, text: str, chosen: Settings) -> None:
        if chosen.strict:
            raise WrongUsage(
                f"--strict holds Cloudflare Workers to the limits they have there; {text} has "
                "actors, whose limits are in Config"
            )
        if chosen.environment is not None:
            raise WrongUsage(f"--env is for Cloudflare Workers; {text} has actors")
        if chosen.allow_missing:
            raise WrongUsage(f"--allow-missing is for Cloudflare Workers; {text} has actors")
        self._target = Target.parse(text)
        self._chosen = chosen
        self.text = self._target.text
        self.roots: tuple[Path, ...] = (self._target.root,)

    def first(self) -> Runtime:
        """A runtime of the actors."""
        return self._build(self._target.load(traceback=self._chosen.traceback))

    async def again(self, running: Runtime) -> Runtime:
        """A runtime of the actors, imported anew."""
        return reload.load_again(self._target, self._build)

    def concerns(self, paths: Iterable[str]) -> bool:
        """Whether one of these files is imported, or is the target itself."""
        return reload.concerns(self._target, paths)

    def bindings(self) -> Rows:
        """None: actors have no configuration."""
        return ()

    def to_try(self, types: Iterable[ActorType], url: str) -> Lines:
        """A command that works, if there is one that needs no arguments."""
        for actor_type in types:
            if actor_type.lifetime is None:
                continue
            for plan in actor_type.methods.values():
                if all(parameter.default is not EMPTY for parameter in plan.parameters):
                    name = actor_type.name
                    path = f"{ACTORS}{name}/{name.lower()}-1/{plan.name}"
                    yield f"try: curl -X POST {url}{path}"
                    return

    def _build(self, served: tuple[Served, ...]) -> Runtime:
        homes: dict[str, str] = {}
        for actor in served:
            name, cls = (
                (actor.name, actor.cls) if isinstance(actor, ActorSpec) else (actor.__name__, actor)
            )
            home = f"{cls.__module__}.{cls.__qualname__}"
            if name in homes:
                raise ConfigError(
                    f"two actor types are named {name!r}, {homes[name]} and {home}: rename one"
                )
            homes[name] = home
        return Runtime(self._chosen.data, served, config=self._chosen.config)


class WorkerSource:
    """Cloudflare Workers, by their wrangler files; the first one answers requests."""

    files: tuple[str, ...] = (".py", ".toml", ".json", ".jsonc", ".vars", ".env", ".env.local")

    def __init__(self, text: str, files: Sequence[Path], chosen: Settings) -> None:
        self._files = files
        self._chosen = chosen
        self._configs: list[WranglerConfig] = []
        self.text = text
        self.roots = tuple(dict.fromkeys(file.parent.resolve() for file in files))

    def first(self) -> Runtime:
        """A runtime of the Workers."""
        try:
            return self._build()
        except ConfigError as error:
            if self._chosen.traceback and error.__cause__ is not None:
                raise TargetFailure(str(error), full(error.__cause__)) from error
            raise

    async def again(self, running: Runtime) -> Runtime:
        """A runtime of the Workers as they are now; the code of the other one is put aside."""
        assert isinstance(running, WorkerRuntime)
        before, stored = self._configs, await running.stored()
        with running.workers.aside():
            runtime = self._build()
            try:
                runtime.check(stored)
            except BaseException:
                self._configs = before
                runtime.workers.unload()
                raise
            return runtime

    def concerns(self, paths: Iterable[str]) -> bool:
        """Whether one of these files may be part of the Workers."""
        return any(
            is_user_file(path, root) or Path(path).parent == root
            for path in paths
            for root in self.roots
        )

    def bindings(self) -> Rows:
        """What their configurations bind: kind, name, what it is here; whose, if there are more."""
        several = len(self._configs) > 1
        return [
            (*row, config.name) if several else row
            for config in self._configs
            for row in overview(config)
        ]

    def to_try(self, types: Iterable[ActorType], url: str) -> Lines:
        """A command that reaches the first Worker."""
        yield f"try: curl {url}/"
        if crons := self._configs[0].crons:
            cron = quote_plus(crons[0].text, safe="*/,-")
            yield f"     curl '{url}{SCHEDULED}?cron={cron}'"

    def _build(self) -> WorkerRuntime:
        first, *others = configs = self._read()
        runtime = WorkerRuntime(
            self._chosen.data,
            first,
            others=others,
            config=self._chosen.config,
            development=self._chosen.development,
        )
        self._configs = configs
        return runtime

    def _read(self) -> list[WranglerConfig]:
        """What their configurations say.

        Raises:
            ConfigError: all that is wrong in any of them, a line each.
        """
        chosen, faults = self._chosen, Findings()
        allowed = EVERYTHING if chosen.development else chosen.allow_missing
        configs: list[WranglerConfig] = []
        for file in self._files:
            with faults.hearing():
                configs.append(
                    read_config(
                        file, chosen.environment, strict=chosen.strict, allow_missing=allowed
                    )
                )
        faults.check()
        there = {missing.name for config in configs for missing in config.missing}
        for name in chosen.allow_missing:
            if name not in there:
                logger().warning(f"--allow-missing {name}: nothing of this name is missing")
        return configs
