"""Turns of the runtime's own: what they run is no method of the actor's class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, cast

from wakeful.actor_type import MethodPlan
from wakeful.facet import Method

if TYPE_CHECKING:
    from wakeful.actor import Actor
    from wakeful.runtime.activation import Activation


class InternalPlan(MethodPlan):
    """A method of the runtime's own: it goes first, and its arguments travel as they are."""

    __slots__ = ()
    for_callers = False

    def __init__(self, name: str, function: Method) -> None:
        self.name = name
        self.calls = 0
        self.function = function
        self.straight = self.readonly = self.interleave = self.required = False
        self.urgent = True
        self.parameters = ()
        self.result_types = frozenset((type(None), bool, int))

    def copy_arguments(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        """The arguments themselves."""
        return args, dict(kwargs)


class InterleavedPlan(InternalPlan):
    """An InternalPlan for gated actors: it queues and interleaves like their events."""

    __slots__ = ()
    gated = True

    def __init__(self, name: str, function: Method) -> None:
        super().__init__(name, function)
        self.interleave = True
        self.urgent = False


class Inside(Protocol):
    """The context of an actor, as the runtime knows it."""

    @property
    def activation(self) -> Activation:
        """The activation itself."""


def activation_of(instance: Actor) -> Activation:
    """The activation that an instance belongs to."""
    return cast("Inside", instance.ctx).activation
