"""Refs: what callers hold. One class per actor type, with its methods and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING

from wakeful.actor_type import ActorType, MethodPlan
from wakeful.errors import UnknownMethod
from wakeful.ids import ActorId

if TYPE_CHECKING:
    from wakeful.runtime.activation import Activation

Asking = Callable[..., Coroutine[object, object, object]]


class Ref:
    """Points at an actor wherever it is; equal refs point at the same actor."""

    __slots__ = ("_activation", "_host", "_id", "_type")

    def __init__(self, host: object, actor_type: ActorType, actor: ActorId) -> None:
        self._host = host
        self._type = actor_type
        self._id = actor
        self._activation: Activation | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and other._id == self._id and other._host is self._host

    def __hash__(self) -> int:
        return hash(self._id)

    def __copy__(self) -> Ref:
        return self

    def __deepcopy__(self, memo: object) -> Ref:
        return self

    def __reduce__(self) -> str:
        raise TypeError(f"{self!r} belongs to its runtime: send the actor's type and name instead")

    def __repr__(self) -> str:
        return f"<ref to {self._id}>"

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        raise UnknownAttribute(self._type.why_no_method(name))

    def __setattr__(self, name: str, value: object) -> None:
        if name not in Ref.__slots__:
            raise UnknownAttribute(
                f"{self._id} cannot be written through a ref: "
                f"add `async def set_{name}(self, value)` to {self._type.name}"
            )
        object.__setattr__(self, name, value)


class UnknownAttribute(UnknownMethod, AttributeError):
    """A ref gives methods only; also an AttributeError, so that hasattr() works."""


def ref_class(actor_type: ActorType, asking: Callable[[MethodPlan], Asking]) -> type[Ref]:
    """The ref class of a type: one function per method, and nothing else."""
    methods: dict[str, object] = {}
    for name, plan in actor_type.methods.items():
        ask = methods[name] = asking(plan)
        ask.__name__ = name
        ask.__qualname__ = f"{actor_type.name}.{name}"
        ask.__doc__ = getattr(actor_type.cls, name).__doc__
    return type(f"{actor_type.name}Ref", (Ref,), {"__slots__": (), **methods})
