"""What stands in `env` for the resources of a configuration, and the actors that keep them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from wakeful.facets.builder import ActorSpec
from wakeful.facets.durability import DurabilityConfig, DurabilityFacet
from wakeful.facets.virtual import VirtualActorConfig, VirtualActorFacet
from wakeful.runtime.host import Host
from wakeful.workers.bindings.assets import AssetsBinding, AssetServer
from wakeful.workers.bindings.backing import Backing
from wakeful.workers.bindings.d1 import D1Database
from wakeful.workers.bindings.d1_store import D1Store
from wakeful.workers.bindings.kv import KvNamespace
from wakeful.workers.bindings.kv_store import KvStore
from wakeful.workers.bindings.r2 import R2Bucket
from wakeful.workers.bindings.r2_store import R2Store
from wakeful.workers.bindings.ratelimit import RateLimit, Window
from wakeful.workers.config.resources import Resources
from wakeful.workers.proxies import JsDict

# Types of actors; no class of a Worker has a type without "-" in its name.
KV: Final = "KVNamespace"
D1: Final = "D1Database"
R2: Final = "R2Bucket"
BUCKET_BYTES_MAX: Final = 1024**4


def kv_spec(idle_seconds: float) -> ActorSpec:
    """The actors that keep KV namespaces."""
    lifetime = VirtualActorFacet(VirtualActorConfig(idle_timeout=idle_seconds))
    return ActorSpec(KvStore, (lifetime, DurabilityFacet()), KV)


def d1_spec(idle_seconds: float) -> ActorSpec:
    """The actors that keep D1 databases."""
    lifetime = VirtualActorFacet(VirtualActorConfig(idle_timeout=idle_seconds))
    durability = DurabilityFacet(DurabilityConfig(sql_strict=True))
    return ActorSpec(D1Store, (lifetime, durability), D1)


def r2_spec(idle_seconds: float) -> ActorSpec:
    """The actors that keep R2 buckets."""
    lifetime = VirtualActorFacet(VirtualActorConfig(idle_timeout=idle_seconds))
    durability = DurabilityFacet(DurabilityConfig(sql_bytes_max=BUCKET_BYTES_MAX))
    return ActorSpec(R2Store, (lifetime, durability), R2)


class Bindings:
    """The resources of one Worker.

    Args:
        resources: what its configuration says.
        assets: what serves its assets, if it has some.
        now_ms: milliseconds since 1970.
        random_bytes: that many random bytes.

    Attributes:
        members: what is in `env`, by name.
    """

    def __init__(
        self,
        resources: Resources,
        assets: AssetServer | None,
        *,
        now_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._kv = {kv.id: Backing(KvStore, kv.id) for kv in resources.kv}
        self._d1 = {d1.id: Backing(D1Store, d1.id) for d1 in resources.d1}
        self._r2 = {r2.bucket: Backing(R2Store, r2.bucket) for r2 in resources.r2}
        windows: dict[str, Window] = defaultdict(Window)
        self.members: dict[str, Any] = {
            **{kv.name: KvNamespace(self._kv[kv.id], now_ms) for kv in resources.kv},
            **{d1.name: D1Database(self._d1[d1.id]) for d1 in resources.d1},
            **{r2.name: R2Bucket(self._r2[r2.bucket], random_bytes) for r2 in resources.r2},
            **{
                limit.name: RateLimit(limit, windows[limit.namespace_id], now_ms)
                for limit in resources.ratelimits
            },
        }
        if resources.version_metadata is not None:
            self.members[resources.version_metadata] = _version(now_ms(), random_bytes(16))
        if assets is not None and assets.binding is not None:
            self.members[assets.binding] = AssetsBinding(assets)

    def specs(self, idle_seconds: float) -> Iterator[ActorSpec]:
        """The types of the actors that keep them."""
        if self._kv:
            yield kv_spec(idle_seconds)
        if self._d1:
            yield d1_spec(idle_seconds)
        if self._r2:
            yield r2_spec(idle_seconds)

    def start(self, host: Host) -> None:
        """Let a host keep the actors from now on."""
        for kv in self._kv.values():
            kv.start(host)
        for d1 in self._d1.values():
            d1.start(host)
        for r2 in self._r2.values():
            r2.start(host)


def _version(now_ms: int, random: bytes) -> JsDict:
    """Return the version of the Worker: a new one at each start."""
    moment = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds")
    version = UUID(bytes=random, version=4)
    return JsDict(id=str(version), tag="", timestamp=moment.replace("+00:00", "Z"))
