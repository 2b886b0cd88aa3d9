"""Refs whose calls wait only so long: a class of their own, so that others pay nothing for it."""

from __future__ import annotations

import math
from functools import partial

from wakeful.actor_type import ActorType
from wakeful.errors import DeadlineExceeded, InvalidArguments
from wakeful.ids import ActorId
from wakeful.runtime.host_loop import HostLoop
from wakeful.runtime.refs import Asking, Ref
from wakeful.runtime.waiting import Wait


class TimedRef(Ref):
    """A ref with a timeout; equal to any other ref to the same actor."""

    __slots__ = ("_seconds",)

    _seconds: float

    def __init__(self, host: object, actor_type: ActorType, actor: ActorId, seconds: float) -> None:
        super().__init__(host, actor_type, actor)
        object.__setattr__(self, "_seconds", seconds)


def timed_class(actor_type: ActorType, plain: type[Ref], loop: HostLoop) -> type[TimedRef]:
    """The class of a type's refs with a timeout, from that of its refs without one."""
    methods = {name: _in_time(getattr(plain, name), name, loop) for name in actor_type.methods}
    return type(plain.__name__, (TimedRef,), {"__slots__": (), **methods})


def check_timeout(seconds: object) -> float:
    """A timeout as a float.

    Raises:
        InvalidArguments: it is not a number of seconds above 0.
    """
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 < seconds < math.inf
    ):
        raise InvalidArguments(
            f"a timeout is a number of seconds above 0, not {seconds!r}", field="timeout"
        )
    return float(seconds)


def _in_time(ask: Asking, method: str, loop: HostLoop) -> Asking:
    async def ask_in_time(ref: TimedRef, /, *args: object, **kwargs: object) -> object:
        work = ask(ref, *args, **kwargs)
        try:
            waits_for = work.send(None)
        except StopIteration as stop:
            return stop.value
        wait = Wait(loop.time() + ref._seconds)
        timer = loop.later(ref._seconds, wait.expire)
        late = partial(_late, ref, method)
        return await wait.go_on(work, waits_for, late, lambda _: timer.cancel())

    ask_in_time.__name__, ask_in_time.__qualname__ = ask.__name__, ask.__qualname__
    ask_in_time.__doc__ = ask.__doc__
    return ask_in_time


def _late(ref: TimedRef, method: str) -> DeadlineExceeded:
    allowed = f"{ref._seconds:g} s (timeout)"
    return DeadlineExceeded(
        f"{ref._id}.{method} gave no answer within {allowed}; the outcome is unknown: "
        "the turn goes on",
        allowed,
    )
