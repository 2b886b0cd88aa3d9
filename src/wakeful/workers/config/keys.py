"""The keys of a configuration's top level, by what becomes of them here.

Source:  Cloudflare docs on Wrangler's configuration.
"""

from __future__ import annotations

from typing import Final

# What is read and has its meaning.
READ: Final = frozenset(
    {
        *("name", "main", "compatibility_date", "compatibility_flags", "durable_objects"),
        *("migrations", "exports", "vars", "triggers", "env", "services", "secrets"),
        *("kv_namespaces", "d1_databases", "r2_buckets", "assets", "ratelimits"),
        "version_metadata",
    }
)

# What only a Worker with code may have.
NEEDS_CODE: Final = ("durable_objects", "migrations", "exports", "triggers")

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

# What an environment has only if it says it itself.
NOT_INHERITED: Final = frozenset(
    {
        *("durable_objects", "migrations", "exports", "vars", "services", "queues", "workflows"),
        *("kv_namespaces", "d1_databases", "r2_buckets", "vectorize", "hyperdrive", "ai"),
        *("browser", "images", "version_metadata", "analytics_engine_datasets", "send_email"),
        *("mtls_certificates", "dispatch_namespaces", "pipelines", "secrets_store_secrets"),
        *("unsafe", "ratelimits", "tail_consumers", "vpc_services", "worker_loaders", "secrets"),
        *("define", "containers", "cloudchamber", "media", "stream", "artifacts", "flagship"),
        *("connect", "ai_search", "ai_search_namespaces", "agent_memory", "analytics", "k2"),
        *("streaming_tail_consumers", "vpc_networks", "unsafe_hello_world"),
    }
)
