"""A table for people: the names that a Worker has in `env`, its triggers, and what each is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from wakeful.workers.config.wrangler import WranglerConfig


class Row(NamedTuple):
    """One line of a table.

    Attributes:
        kind: what it is.
        name: the name in `env`, or the expression of a trigger.
        here: what it is or does here.
    """

    kind: str
    name: str
    here: str


def overview(config: WranglerConfig) -> list[Row]:
    """What a configuration binds, what is not provided last."""
    rows = [*_workers(config), *_resources(config), *_texts(config)]
    rows += [
        Row("Cron trigger", cron.text, "in UTC, while this process runs") for cron in config.crons
    ]
    for missing in config.missing:
        rows.append(Row(missing.kind, missing.name, f"not provided: {missing.here}"))
    return rows


def _workers(config: WranglerConfig) -> Iterator[Row]:
    for binding in config.bindings:
        whose = "" if config.is_own(binding) else f" of the Worker {config.script_of(binding)}"
        yield Row("Durable Object", binding.name, f"class {binding.class_name}{whose}")
    for service in config.services:
        entrypoint = f", entrypoint {service.entrypoint}" if service.entrypoint else ""
        yield Row("Service", service.name, f"the Worker {service.service}{entrypoint}")


def _resources(config: WranglerConfig) -> Iterator[Row]:
    found = config.resources
    for kv in found.kv:
        yield Row("KV namespace", kv.name, f"{kv.id}, in the data directory")
    for d1 in found.d1:
        yield Row("D1 database", d1.name, f"{d1.database_name}, in the data directory")
    for r2 in found.r2:
        yield Row("R2 bucket", r2.name, f"{r2.bucket}, in the data directory")
    for limit in found.ratelimits:
        yield Row("Rate limit", limit.name, f"{limit.limit} in {limit.period} s, in this process")
    if found.version_metadata is not None:
        yield Row("Version", found.version_metadata, "a new id at each start")
    if found.assets is not None:
        yield Row("Assets", found.assets.binding or "", f"files of {found.assets.directory}")


def _texts(config: WranglerConfig) -> Iterator[Row]:
    for name in config.vars:
        if name not in config.secrets:
            yield Row("Variable", name, "of the configuration")
    for name in config.secrets:
        yield Row("Secret", name, "of .dev.vars or .env")
