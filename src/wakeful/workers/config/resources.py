"""What a configuration binds beside Durable Objects: KV, D1, R2, assets, rate limits, the version.

Source:  Cloudflare docs on Wrangler's configuration and on static assets.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from wakeful.errors import WakefulError
from wakeful.ids import check_name
from wakeful.workers.config.tables import Table, shown

HTML_HANDLING: Final = (
    *("auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none"),
)
NOT_FOUND_HANDLING: Final = ("none", "404-page", "single-page-application")
PERIODS: Final = (10, 60)
RULES_MAX: Final = 100
RULE_CHARACTERS_MAX: Final = 100
# Files with a meaning of their own in a directory of assets, none of which is applied here.
META_FILES: Final = ("_headers", "_redirects", ".assetsignore", "_worker.js")


class KvBinding(msgspec.Struct, frozen=True):
    """A name in `env` that stands for a KV namespace.

    Attributes:
        name: the name in `env`.
        id: which namespace; bindings with the same id share it.
    """

    name: str
    id: str


class D1Binding(msgspec.Struct, frozen=True):
    """A name in `env` that stands for a D1 database.

    Attributes:
        name: the name in `env`.
        id: which database; bindings with the same id share it.
        database_name: what people call it.
        migrations_dir: where its migrations are.
        migrations_table: its table of applied migrations.
    """

    name: str
    id: str
    database_name: str
    migrations_dir: Path
    migrations_table: str


class R2Binding(msgspec.Struct, frozen=True):
    """A name in `env` that stands for an R2 bucket.

    Attributes:
        name: the name in `env`.
        bucket: which bucket; bindings with the same one share it.
    """

    name: str
    bucket: str


class RateLimitBinding(msgspec.Struct, frozen=True):
    """A name in `env` that counts calls.

    Attributes:
        name: the name in `env`.
        namespace_id: whose counters; bindings with the same id share them.
        limit: how many calls a period has for each key.
        period: seconds, 10 or 60.
    """

    name: str
    namespace_id: str
    limit: int
    period: int


class Assets(msgspec.Struct, frozen=True):
    """Files that are served beside the Worker.

    Attributes:
        directory: where they are; an existing directory, without symbolic links in its path.
        binding: the name in `env`, if there is one.
        html_handling: one of HTML_HANDLING.
        not_found_handling: one of NOT_FOUND_HANDLING.
        worker_first: the Worker gets every request.
        to_worker: patterns of paths that the Worker gets first.
        to_assets: patterns of paths that are not for the Worker, whatever `to_worker` says.
    """

    directory: Path
    binding: str | None
    html_handling: str
    not_found_handling: str
    worker_first: bool
    to_worker: tuple[str, ...]
    to_assets: tuple[str, ...]


class Resources(msgspec.Struct, frozen=True):
    """All resources of a Worker.

    Attributes:
        kv: KV namespaces.
        d1: D1 databases.
        r2: R2 buckets.
        ratelimits: rate limits.
        version_metadata: the name in `env` of what tells the Worker's version.
        assets: files that are served.
    """

    kv: tuple[KvBinding, ...] = ()
    d1: tuple[D1Binding, ...] = ()
    r2: tuple[R2Binding, ...] = ()
    ratelimits: tuple[RateLimitBinding, ...] = ()
    version_metadata: str | None = None
    assets: Assets | None = None

    def names(self) -> Iterator[tuple[str, str]]:
        """Return the names in `env`, each with the key it comes from."""
        for kv in self.kv:
            yield kv.name, "kv_namespaces"
        for d1 in self.d1:
            yield d1.name, "d1_databases"
        for r2 in self.r2:
            yield r2.name, "r2_buckets"
        for limit in self.ratelimits:
            yield limit.name, "ratelimits"
        if self.version_metadata is not None:
            yield self.version_metadata, "version_metadata"
        if self.assets is not None and self.assets.binding is not None:
            yield self.assets.binding, "assets"


def read_resources(table: Table) -> Resources:
    """Read the resources that a file declares."""
    version = table.table("version_metadata")
    version.only("binding")
    return Resources(
        kv=tuple(_kv(entry) for entry in table.tables("kv_namespaces")),
        d1=tuple(_d1(entry) for entry in table.tables("d1_databases")),
        r2=tuple(_r2(entry) for entry in table.tables("r2_buckets")),
        ratelimits=tuple(_ratelimit(entry) for entry in table.tables("ratelimits")),
        version_metadata=version.text("binding") if version.data else None,
        assets=_assets(table.table("assets")) if "assets" in table.data else None,
    )


def _kv(table: Table) -> KvBinding:
    table.only("binding", "id", "preview_id", "remote")
    warn_of_remote(table)
    name = table.text("binding")
    return KvBinding(name, _id(table, "id", name))


def _d1(table: Table) -> D1Binding:
    table.only(
        *("binding", "database_id", "database_name", "preview_database_id", "remote"),
        *("migrations_dir", "migrations_table", "migrations_pattern"),
    )
    warn_of_remote(table)
    if "migrations_pattern" in table.data:
        table.fault("migrations_pattern", "wakeful has no patterns. Use migrations_dir")
    name = table.text("binding")
    return D1Binding(
        name,
        _id(table, "database_id", table.optional_text("database_name") or name),
        table.optional_text("database_name") or name,
        table.path_to("migrations_dir", table.optional_text("migrations_dir") or "migrations"),
        table.optional_text("migrations_table") or "d1_migrations",
    )


def _r2(table: Table) -> R2Binding:
    table.only("binding", "bucket_name", "preview_bucket_name", "jurisdiction", "remote")
    warn_of_remote(table)
    name, jurisdiction = table.text("binding"), table.optional_text("jurisdiction")
    bucket = _id(table, "bucket_name", name)
    # On Cloudflare, buckets of the same name in two jurisdictions are two buckets.
    return R2Binding(name, f"{jurisdiction}/{bucket}" if jurisdiction else bucket)


def _id(table: Table, key: str, otherwise: str) -> str:
    text = table.optional_text(key) or otherwise
    try:
        return check_name(text) if text else text
    except WakefulError as error:
        table.fault(key, str(error))
        return ""


def warn_of_remote(table: Table, here: str = "data of its own, kept here, is used") -> None:
    """Warn of a binding that would be reached on Cloudflare."""
    if table.flag("remote"):
        table.warn("remote", f"wakeful reaches nothing on Cloudflare: {here}")


def _ratelimit(table: Table) -> RateLimitBinding:
    table.only("name", "namespace_id", "simple")
    simple = table.table("simple")
    simple.only("limit", "period")
    limit, period = simple.data.get("limit"), simple.data.get("period")
    if type(limit) is not int or limit < 1:
        simple.fault("limit", f"expected a whole number of calls, at least 1, got {shown(limit)}")
        limit = 1
    if type(period) is not int or period not in PERIODS:
        simple.fault("period", f"expected 10 or 60 seconds, got {shown(period)}")
        period = PERIODS[0]
    return RateLimitBinding(table.text("name"), table.text("namespace_id"), limit, period)


def _assets(table: Table) -> Assets:
    table.only(*("directory", "binding", "html_handling", "not_found_handling", "run_worker_first"))
    rules = table.data.get("run_worker_first", False)
    to_worker, to_assets = ((), ()) if isinstance(rules, bool) else _rules(table)
    return Assets(
        directory=_directory(table),
        binding=table.optional_text("binding"),
        html_handling=_one_of(table, "html_handling", HTML_HANDLING),
        not_found_handling=_one_of(table, "not_found_handling", NOT_FOUND_HANDLING),
        worker_first=rules is True,
        to_worker=to_worker,
        to_assets=to_assets,
    )


def _directory(table: Table) -> Path:
    text = table.text("directory")
    path = table.path_to("directory", text)
    if not text or "\0" in text:
        return Path(os.devnull)
    if not os.path.isdir(path):
        table.fault("directory", f"there is no directory {path}. Make it, or correct the path")
    if table.file.resolve().is_relative_to(path):
        table.fault(
            "directory",
            f"{path} has the Worker's own files in it, which everybody could read then. Put the "
            "assets into a directory of their own",
        )
    for name in META_FILES:
        if os.path.exists(path / name):
            table.fault(
                "directory", f"{path / name} would have no effect: wakeful does not apply {name}"
                " files. Remove it, or run this Worker with wrangler",
            )  # fmt: skip
    return path


def _one_of(table: Table, key: str, known: tuple[str, ...]) -> str:
    value = table.optional_text(key) or known[0]
    if value not in known:
        table.fault(key, f"{value!r} is none of {', '.join(known)}")
    return value


def _rules(table: Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
    key = "run_worker_first"
    rules = table.texts(key)
    if len(rules) > RULES_MAX:
        table.fault(key, f"there are {len(rules)} patterns; at most {RULES_MAX} are allowed")
    for rule in rules:
        if not rule.removeprefix("!").startswith("/"):
            table.fault(key, f"{rule!r}: a pattern starts with / or !/")
        if len(rule) > RULE_CHARACTERS_MAX:
            table.fault(key, f"{rule!r}: a pattern has at most {RULE_CHARACTERS_MAX} characters")
    to_worker = tuple(rule for rule in rules if not rule.startswith("!"))
    if rules and not to_worker:
        table.fault(key, "no pattern is for the Worker. Add one without !, or leave the key out")
    return to_worker, tuple(rule.removeprefix("!") for rule in rules if rule.startswith("!"))
