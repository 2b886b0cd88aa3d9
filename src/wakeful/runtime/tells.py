"""`tell`: a call that nobody waits for, kept in the agenda of the actor that it is for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import msgspec

from wakeful.actor import DeadLetter, Reminder
from wakeful.actor_type import ActorType, MethodPlan
from wakeful.errors import ConfigError, InvalidArguments
from wakeful.recurrence import EPOCH, EVER_NS, Recurrence, recurrence
from wakeful.runtime.activation import Activation
from wakeful.runtime.courier import can_owe
from wakeful.runtime.refs import UnknownAttribute
from wakeful.runtime.reminders import (
    DEAD_PREFIX,
    KIND,
    NAMELESS,
    Kept,
    Missed,
    Reminders,
    dead_in,
    message,
    reminders_in,
    unpack_dead,
)

if TYPE_CHECKING:
    from wakeful.ports import Clock

A = TypeVar("A")

NAME_BYTES_MAX: Final = 512
MISSED: Final = ("once", "all", "skip")
Send = Callable[[MethodPlan, tuple[object, ...], dict[str, object]], Awaitable[None]]


class When(msgspec.Struct, frozen=True):
    """When a message is due: what the keywords of `tell` say.

    Attributes:
        first_ns: the first occurrence.
        name: of the reminder, if it has one.
    """

    first_ns: int
    recurrence: Recurrence
    name: str | None
    times: int
    missed: Missed

    def kept(self, plan: MethodPlan, args: tuple[object, ...], kwargs: dict[str, object]) -> Kept:
        """The reminder that makes this call then."""
        return Kept(
            message(plan, args, kwargs),
            self.first_ns,
            recurrence=self.recurrence,
            times=self.times,
            missed=self.missed,
        )


def when(
    now_ns: int,
    *,
    delay: timedelta | None = None,
    at: datetime | None = None,
    every: timedelta | None = None,
    cron: str | None = None,
    zone: str | None = None,
    name: str | None = None,
    times: int | None = None,
    missed: str = "once",
) -> When:
    """When a message is due, as its sender says it.

    Raises:
        InvalidArguments: that is no time; says what is wrong.
    """
    again = recurrence(every, cron, zone)
    repeats = every is not None or cron is not None
    if times is not None and (type(times) is not int or times < 1 or not repeats):
        raise InvalidArguments(
            f"times= is how often every= or cron= happens, at least 1: {times!r}", field="times"
        )
    if missed not in MISSED:
        raise InvalidArguments(
            f"missed= is 'once', 'all' or 'skip', not {missed!r}", field="missed"
        )
    first_ns = _first_ns(now_ns, delay, at, again)
    return When(first_ns, again, _checked(name), times or 0, cast("Missed", missed))


def _first_ns(now_ns: int, delay: timedelta | None, at: datetime | None, again: Recurrence) -> int:
    if delay is not None and at is not None:
        raise InvalidArguments("give delay= or at=, not both", field="delay")
    if delay is not None:
        first_ns = now_ns + _span_ns(delay)
    elif at is not None:
        first_ns = _time_ns(at)
    else:
        next_ns = again.next_ns(now_ns, now_ns)
        if next_ns is None and again.cron:
            raise InvalidArguments(f"cron={again.cron!r} never comes due", field="cron")
        first_ns = now_ns if next_ns is None else next_ns
    return min(max(now_ns, first_ns), EVER_NS)


def _span_ns(delay: object) -> int:
    if not isinstance(delay, timedelta):
        raise InvalidArguments(f"delay= is a timedelta, not {delay!r}", field="delay")
    return delay // timedelta(microseconds=1) * 1000


def _time_ns(at: object) -> int:
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise InvalidArguments(
            f"at= is a datetime with a time zone, such as datetime.now(UTC): {at!r}", field="at"
        )
    return (at - EPOCH) // timedelta(microseconds=1) * 1000


def _checked(name: object) -> str | None:
    if name is None:
        return None
    if isinstance(name, str) and not name.startswith(NAMELESS) and "\0" not in name:
        with suppress(UnicodeEncodeError):
            if 0 < len(name.encode()) <= NAME_BYTES_MAX:
                return name
    raise InvalidArguments(
        f"a reminder's name is text of 1 to {NAME_BYTES_MAX} bytes: {name!r}", field="name"
    )


class Told:
    """The answer of a tell inside of a turn: there is nothing to wait for."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


TOLD: Final = Told()


class Tell:
    """Has the methods of an actor's class; a call of one is kept, and made later."""

    __slots__ = ("_send", "_type")

    def __init__(self, actor_type: ActorType, send: Send) -> None:
        self._type = actor_type
        self._send = send

    def __getattr__(self, name: str) -> Callable[..., Awaitable[None]]:
        plan = self._type.methods.get(name)
        if plan is None or name.startswith("__"):
            raise UnknownAttribute(self._type.why_no_method(name))

        def tell(*args: object, **kwargs: object) -> Awaitable[None]:
            return self._send(plan, *plan.copy_arguments(args, kwargs))

        return tell


def check_can_be_told(actor_type: ActorType) -> None:
    """Refuse to tell an actor that could not keep it.

    Raises:
        ConfigError: the type neither wakes by itself nor keeps anything.
    """
    if not can_owe(actor_type):
        raise ConfigError(
            f"{actor_type.name} cannot be told: it must be a DurableObject (or have a "
            "VirtualActorFacet and a DurabilityFacet), so that the message is kept and wakes it"
        )


class Telling:
    """`self.ctx.tell` and `self.ctx.reminders` of one activation."""

    __slots__ = ("_activation", "_clock", "_reminders")

    def __init__(self, activation: Activation, clock: Clock, reminders: Reminders) -> None:
        self._activation = activation
        self._clock = clock
        self._reminders = reminders

    def tell(self, actor: A, options: dict[str, Any]) -> A:
        """Tell the actor itself; what it is told is part of the turn."""
        activation = self._activation
        activation.check_here()
        check_can_be_told(activation.type)
        if actor is not getattr(activation, "instance", None):
            raise InvalidArguments(
                "ctx.tell takes the actor itself: self.ctx.tell(self, ...); for another actor "
                "await its method, or use Runtime.tell outside of actors",
                field="actor",
            )
        due = when(self._clock.now_ns(), **options)

        def send(
            plan: MethodPlan, args: tuple[object, ...], kwargs: dict[str, object]
        ) -> Awaitable[None]:
            activation.check_here()
            self._reminders.set(activation, due.name, due.kept(plan, args, kwargs))
            return TOLD

        return cast("A", Tell(activation.type, send))

    def list(self) -> Sequence[Reminder]:
        """The reminders that are set, the earliest first."""
        self._activation.check_here()
        agenda = self._activation.agenda
        return () if agenda is None else reminders_in(agenda)

    def cancel(self, name: str) -> bool:
        """Take the reminder of a name back; returns whether there was one."""
        self._activation.check_here()
        agenda = self._activation.agenda
        return agenda is not None and agenda.remove(f"{KIND}{name}")

    def dead(self) -> Sequence[DeadLetter]:
        """The occurrences that were given up."""
        self._activation.check_here()
        buffer = self._activation.buffer
        return () if buffer is None else dead_in(buffer.cells)

    def retry(self, id: str) -> bool:
        """Try a dead letter again, as a message that is due now; whether there was one."""
        self._activation.check_here()
        buffer = self._activation.buffer
        cell = buffer.get(f"{DEAD_PREFIX}{id}") if buffer is not None else None
        if buffer is None or cell is None:
            return False
        buffer.delete(f"{DEAD_PREFIX}{id}")
        kept = Kept(unpack_dead(cell).message, self._clock.now_ns())
        self._reminders.set(self._activation, None, kept)
        return True

    def drop(self, id: str) -> bool:
        """Forget a dead letter; whether there was one."""
        self._activation.check_here()
        buffer = self._activation.buffer
        return buffer is not None and buffer.delete(f"{DEAD_PREFIX}{id}")
