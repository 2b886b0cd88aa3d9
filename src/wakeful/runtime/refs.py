"""Refs: what callers hold. One class per actor type, with its methods and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING

from wakeful.actor_type import ActorType
from wakeful.errors import UnknownMethod
from wakeful.ids import ActorId

if TYPE_CHECKING:
    from wakeful.runtime.activation import Activation
    from wakeful.runtime.host import Host

Asking = Callable[..., Coroutine[object, object, object]]


class Ref:
    """Points at an actor wherever it is; equal refs point at the same actor."""

    __slots__ = ("_activation", "_host", "_id", "_type")

    def __init__(self, host: Host, actor_type: ActorType, actor: ActorId) -> None:
        self._host = host
        self._type = actor_type
        self._id = actor
        self._activation: Activation | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and other._id == self._id and other._host is self._host

    def __hash__(self) -> int:
        return hash(self._id)

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


def ref_class(actor_type: ActorType, ask: Asking) -> type[Ref]:
    """The ref class of a type: a plain function per method, bound to what it calls."""
    methods: Mapping[str, object] = {
        name: _asking(actor_type, name, ask) for name in actor_type.methods
    }
    return type(f"{actor_type.name}Ref", (Ref,), {"__slots__": (), **methods})


def _asking(actor_type: ActorType, name: str, ask: Asking) -> Asking:
    plan = actor_type.methods[name]

    def asking(ref: Ref, /, *args: object, **kwargs: object) -> Coroutine[object, object, object]:
        return ask(ref, plan, args, kwargs)

    asking.__name__ = name
    asking.__qualname__ = f"{actor_type.name}.{name}"
    asking.__doc__ = getattr(actor_type.cls, name).__doc__
    return asking
