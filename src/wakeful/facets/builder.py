"""ActorBuilder: an actor class and the facets it is to have, put together explicitly."""

from __future__ import annotations

from typing import Self

import msgspec

from wakeful.actor import Actor
from wakeful.errors import ConfigError
from wakeful.facet import Facet
from wakeful.facets.durability import DurabilityConfig, DurabilityFacet
from wakeful.facets.virtual import VirtualActorConfig, VirtualActorFacet


class ActorSpec(msgspec.Struct, frozen=True):
    """What `Runtime(actors=[...])` takes in place of a class: the class with its facets."""

    cls: type[Actor]
    facets: tuple[Facet, ...]
    name: str


class ActorBuilder:
    """Collects facets for an actor class; `build()` gives the spec."""

    def __init__(self, cls: type[Actor], name: str | None = None) -> None:
        given: object = cls
        if not (isinstance(given, type) and issubclass(given, Actor)):
            raise ConfigError(f"ActorBuilder takes a subclass of Actor, not {cls!r}")
        self._cls = cls
        self._name = name or cls.__name__
        self._facets: list[Facet] = []

    def with_virtual_actor(self, config: VirtualActorConfig | None = None) -> Self:
        """Wake on the first message, sleep when idle."""
        return self.with_facet(VirtualActorFacet(config))

    def with_durability(self, config: DurabilityConfig | None = None) -> Self:
        """Keep state and storage."""
        return self.with_facet(DurabilityFacet(config))

    def with_facet(self, facet: Facet) -> Self:
        """Attach any facet.

        Raises:
            ConfigError: it is not a facet, or one of its class is attached already.
        """
        if not isinstance(facet, Facet):
            raise ConfigError(f"with_facet takes a Facet, not {facet!r}")
        if any(type(facet) is type(other) for other in self._facets):
            raise ConfigError(f"{self._cls.__name__} has a {type(facet).__name__} already")
        self._facets.append(facet)
        return self

    def build(self) -> ActorSpec:
        """The class with its facets."""
        return ActorSpec(self._cls, tuple(self._facets) + tuple(self._cls.facets), self._name)
