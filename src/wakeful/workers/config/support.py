"""Features of a Worker's configuration that wakeful does not provide: each one is reported.

A key of the top level is read (see wrangler), or concerns only deploying and has no meaning here,
or names a feature that is not provided. Any other key is a warning: it may be new, or mistyped.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from wakeful.workers.config.keys import DEPLOYING, READ
from wakeful.workers.config.tables import Table, meant, shown

RAISES: Final = "env.{name} raises when it is used"
CONTAINER: Final = "Container"
NO_EFFECT: Final = "it has no effect"


class Section(NamedTuple):
    """A key of the top level that is not provided.

    Attributes:
        what: what that is.
        kind: the same for a column of a table, one of it.
        names: the key that names an entry of it; empty: it is one thing, named by its own key.
        here: what becomes of an entry, by its name.
    """

    what: str
    kind: str
    names: str = "binding"
    here: str = RAISES


SECTIONS: Final[dict[str, Section]] = {
    "ai": Section("Workers AI", "Workers AI"),
    "queues.producers": Section("queues", "Queue"),
    "queues.consumers": Section(
        "queues", "Queue consumer", "queue", "queue() is never called for {name}"
    ),
    "workflows": Section("Workflows", "Workflow"),
    "vectorize": Section("Vectorize indexes", "Vectorize index"),
    "hyperdrive": Section("Hyperdrive", "Hyperdrive"),
    "browser": Section("browser rendering", "Browser"),
    "images": Section("Images", "Images"),
    "media": Section("Media Transformations", "Media"),
    "analytics_engine_datasets": Section("Analytics Engine", "Analytics Engine"),
    "dispatch_namespaces": Section("dispatch namespaces", "Dispatch namespace"),
    "mtls_certificates": Section("mTLS certificates", "mTLS certificate"),
    "send_email": Section("sending email", "Email", "name"),
    "pipelines": Section("pipelines", "Pipeline"),
    "secrets_store_secrets": Section("the Secrets Store", "Secrets Store secret"),
    "vpc_services": Section("VPC services", "VPC service"),
    "vpc_networks": Section("VPC networks", "VPC network"),
    "worker_loaders": Section("worker loaders", "Worker loader"),
    "agent_memory": Section("Agent Memory", "Agent Memory"),
    "ai_search": Section("AI Search", "AI Search"),
    "ai_search_namespaces": Section("AI Search", "AI Search"),
    "analytics": Section("Analytics SQL", "Analytics SQL"),
    "artifacts": Section("Artifacts", "Artifacts"),
    "flagship": Section("feature flags", "Feature flags"),
    "k2": Section("K2 streams", "K2 stream"),
    "stream": Section("Stream", "Stream"),
    "unsafe_hello_world": Section("the hello-world binding", "Hello World"),
    "unsafe.bindings": Section("unsafe bindings", "Unsafe binding", "name"),
    "containers": Section(
        "containers", CONTAINER, "class_name", "ctx.container of {name} raises when it is used"
    ),
    "tail_consumers": Section(
        "tail Workers", "Tail Worker", "service", "{name} gets no events of this Worker"
    ),
    "streaming_tail_consumers": Section(
        "tail Workers", "Tail Worker", "service", "{name} gets no events of this Worker"
    ),
    "connect": Section("raw sockets", "Raw sockets", "", "connect() is never called"),
    "addresses": Section("incoming email", "Incoming email", "", "email() is never called"),
    "access": Section("Cloudflare Access", "Access", "", "no visitor is asked to log in"),
    "pages_build_output_dir": Section("Pages projects", "Pages", "", NO_EFFECT),
    "site": Section("Workers Sites", "Workers Sites", "", "its files are not served"),
    "unsafe": Section("unsafe settings", "Unsafe settings", "", NO_EFFECT),
    "define": Section("defines", "Defines", "", NO_EFFECT),
    "alias": Section("module aliases", "Module aliases", "", NO_EFFECT),
}
# Tables in which each key is a name in `env`.
BLOBS: Final[dict[str, Section]] = {
    "wasm_modules": Section("WASM modules", "WASM module"),
    "text_blobs": Section("text blobs", "Text blob"),
    "data_blobs": Section("data blobs", "Data blob"),
}
TOP_LEVEL: Final = frozenset(
    {*READ, *DEPLOYING, *BLOBS, *(key.partition(".")[0] for key in SECTIONS)}
)


class Missing(msgspec.Struct, frozen=True):
    """Something that a configuration asks for and wakeful does not provide.

    Attributes:
        label: what it is in the file: `ai binding 'AI'`.
        name: what it is called: the name in `env`, where it has one.
        what: what wakeful does not provide.
        kind: the same for a column of a table.
        here: what becomes of it, if the Worker starts all the same.
        is_bound: `env` has the name.
    """

    label: str
    name: str
    what: str
    kind: str
    here: str
    is_bound: bool

    def __str__(self) -> str:
        return f"{self.label}: wakeful does not provide {self.what}"


class Everything:
    """A set of binding names that contains every name."""

    def __contains__(self, name: object) -> bool:
        return True


EVERYTHING: Final = Everything()


def read_missing(table: Table) -> tuple[Missing, ...]:
    """Read which requested features wakeful does not provide; an unknown key is a warning."""
    return tuple(missing for key in table.data for missing in _missing(table, key))


def refuse_missing(table: Table, found: Sequence[Missing], allowed: Container[str]) -> None:
    """Note a fault for each missing feature that is not allowed to be missing."""
    refused = [missing for missing in found if missing.name not in allowed]
    table.findings.faults.extend(f"{table.file}: {missing}" for missing in refused)
    if refused:
        names = ",".join(dict.fromkeys(missing.name for missing in refused))
        table.findings.faults.append(
            f"{table.file}: to start without, and have what uses it raise: --allow-missing {names}"
            " (`wakeful dev` does so by itself). Or remove it, or run this Worker with wrangler"
        )


def _missing(table: Table, key: str) -> Iterator[Missing]:
    value = table.data[key]
    if key in READ or key in DEPLOYING:
        return
    if key not in TOP_LEVEL:
        near = meant(key, TOP_LEVEL)
        table.warn(key, f"unknown key{near}; it has no effect. Correct it, or remove it")
    elif not value:
        return
    elif key in BLOBS:
        for name in table.table(key).data:
            yield _of(f"{key}.{name}", name, BLOBS[key])
    elif key == "queues":
        queues = table.table(key)
        queues.only("producers", "consumers")
        for part in ("producers", "consumers"):
            yield from _entries(queues, part, f"{key}.{part}")
    elif key == "unsafe" and isinstance(value, dict) and "bindings" in value:
        yield from _entries(table.table(key), "bindings", "unsafe.bindings")
    else:
        yield from _entries(table, key, key)


def _entries(table: Table, key: str, section: str) -> Iterator[Missing]:
    found = SECTIONS[section]
    if not found.names:
        yield _of(section, section, found)
        return
    value = table.data.get(key, [])
    if not isinstance(value, list | dict):
        table.fault(key, f"expected a table, or a list of tables, got {shown(value)}")
        return
    for entry in [table.table(key)] if isinstance(value, dict) else table.tables(key):
        if name := entry.text(found.names):
            kind = "binding " if found.names == "binding" else ""
            yield _of(f"{section} {kind}{name!r}", name, found, entry.data)


def _of(label: str, name: str, section: Section, entry: dict[str, Any] | Any = None) -> Missing:
    here = section.here.format(name=name)
    if section.what == "Workflows" and isinstance(entry, dict) and "class_name" in entry:
        here += f", and {entry['class_name']} never runs"
    return Missing(label, name, section.what, section.kind, here, section.here == RAISES)
