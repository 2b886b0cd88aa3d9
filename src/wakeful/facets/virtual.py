"""VirtualActorFacet: the actor wakes on its first message and sleeps when idle."""

from __future__ import annotations

import math

import msgspec

from wakeful.errors import ConfigError
from wakeful.facet import Facet, Lifetime, TypePlan


class VirtualActorConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a virtual actor.

    Attributes:
        idle_timeout: seconds without a message after which it goes to sleep.
    """

    idle_timeout: float = 10.0

    def __post_init__(self) -> None:
        seconds: object = self.idle_timeout
        if not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
            raise ConfigError(
                f"VirtualActorConfig.idle_timeout is seconds, more than 0: {seconds!r}"
            )


class VirtualActorFacet(Facet):
    """Gives a type the lifetime of a virtual actor; without it actors are spawned and stopped."""

    priority = 10

    def __init__(self, config: VirtualActorConfig | None = None) -> None:
        self.config = config or VirtualActorConfig()
        given: object = self.config
        if not isinstance(given, VirtualActorConfig):
            raise ConfigError(f"VirtualActorFacet takes a VirtualActorConfig, not {given!r}")

    def plan(self, plan: TypePlan) -> None:
        """Wake on call, sleep after the idle timeout."""
        plan.lifetime = Lifetime(idle_ns=max(1, round(self.config.idle_timeout * 1e9)))
