"""What a Worker's configuration asks for that wakeful does not provide: never passed over silently.

A key is one of: read (see wrangler), about deploying only, so that it means nothing here, or not
provided. A key that is none of these is reported too: it may be new, or a slip of the pen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from wakeful.workers.config.tables import meant
from wakeful.workers.config.wrangler import READ, WranglerConfig

# What each section provides, and the key that names a binding in it.
SECTIONS: Final[dict[str, tuple[str, str]]] = {
    "queues.producers": ("queues", "binding"),
    "queues.consumers": ("queues", "queue"),
    "workflows": ("Workflows", "binding"),
    "vectorize": ("Vectorize indexes", "binding"),
    "hyperdrive": ("Hyperdrive", "binding"),
    "analytics_engine_datasets": ("Analytics Engine", "binding"),
    "dispatch_namespaces": ("dispatch namespaces", "binding"),
    "mtls_certificates": ("mTLS certificates", "binding"),
    "send_email": ("sending email", "name"),
    "pipelines": ("pipelines", "binding"),
    "secrets_store_secrets": ("the Secrets Store", "binding"),
    "vpc_services": ("VPC services", "binding"),
    "worker_loaders": ("worker loaders", "binding"),
    "containers": ("containers", "class_name"),
    "tail_consumers": ("tail Workers", "service"),
    "streaming_tail_consumers": ("tail Workers", "service"),
    "agent_memory": ("Agent Memory", "binding"),
    "ai_search": ("AI Search", "binding"),
    "ai_search_namespaces": ("AI Search", "binding"),
    "analytics": ("Analytics SQL", "binding"),
    "artifacts": ("Artifacts", "binding"),
    "flagship": ("feature flags", "binding"),
    "k2": ("K2 streams", "binding"),
    "stream": ("Stream", "binding"),
    "vpc_networks": ("VPC networks", "binding"),
    "unsafe_hello_world": ("the hello-world binding", "binding"),
    "connect": ("raw sockets", "port"),
    "addresses": ("incoming email", ""),
    "access": ("Cloudflare Access, which would ask who comes in", ""),
    "pages_build_output_dir": ("Pages projects", ""),
    "ai": ("Workers AI", "binding"),
    "browser": ("browser rendering", "binding"),
    "images": ("Images", "binding"),
    "media": ("Media Transformations", "binding"),
    "site": ("Workers Sites", "bucket"),
    "wasm_modules": ("WASM modules", ""),
    "text_blobs": ("text blobs", ""),
    "data_blobs": ("data blobs", ""),
    "unsafe": ("unsafe bindings", ""),
    "define": ("defines", ""),
    "alias": ("module aliases", ""),
}

# About deploying, the dashboard, or how wrangler itself works: nothing a local server would do.
DEPLOYING: Final = frozenset(
    {
        *("$schema", "account_id", "workers_dev", "preview_urls", "route", "routes", "zone_id"),
        *("usage_model", "limits", "placement", "observability", "logpush", "logfwdr"),
        *("upload_source_maps", "minify", "no_bundle", "keep_vars", "keep_names", "send_metrics"),
        *("base_dir", "find_additional_modules", "preserve_file_names", "rules", "tsconfig", "dev"),
        *("first_party_worker", "compliance_region", "legacy_env", "jsx_factory", "jsx_fragment"),
        *("build", "cache", "previews", "dependencies_instrumentation"),
        *("cloudchamber", "python_modules", "topLevelName", "userConfigPath", "configPath"),
    }
)

ADVICE: Final = "Remove it, or run this Worker with wrangler"


def unsupported(config: WranglerConfig) -> list[str]:
    """One message for each thing that the Worker asks for and would not get; empty if all is well.

    Each names the file, the key and the binding, and says what to do.
    """
    return [f"{config.file}: {problem}" for problem in _problems(config)]


def left_to_do(config: WranglerConfig) -> list[str]:
    """One message for each thing that wrangler would do before it starts the Worker."""
    build = config.rest.get("build")
    command = build.get("command") if isinstance(build, dict) else None
    if not command:
        return []
    return [
        f"{config.file}: build: wakeful does not run {command!r}. Run it yourself, before "
        "you start, and whenever what it reads has changed"
    ]


def _problems(config: WranglerConfig) -> Iterator[str]:
    for key, value in config.rest.items():
        if key not in DEPLOYING:
            yield from _section(key, value)


def _section(key: str, value: Any) -> Iterator[str]:
    if not value:
        return
    if key == "queues" and isinstance(value, dict):
        for part, entries in value.items():
            yield from _section(f"queues.{part}", entries)
        return
    if key not in SECTIONS:
        near = meant(key, [*READ, *SECTIONS, *DEPLOYING])
        yield f"{key}: wakeful does not know this key{near}. Correct it, or remove it"
        return
    what, names = SECTIONS[key]
    for entry in value if isinstance(value, list) else [value]:
        named = entry.get(names) if isinstance(entry, dict) else None
        label = f"{key} binding {named!r}" if named and names == "binding" else f"{key} {named!r}"
        yield f"{label if named else key}: wakeful does not provide {what}. {ADVICE}"
