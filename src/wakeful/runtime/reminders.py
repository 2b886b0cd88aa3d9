"""Reminders: messages of an actor to itself that are due at a time, once or again and again.

A reminder is an entry of the agenda. Its method runs in the turn that takes the entry off, or puts
it to its next time: so each occurrence has its effect once. An occurrence that keeps failing
becomes a *dead letter*, a cell of the actor, and the reminder goes on with its next one.

Shapes:     the id of an entry is "r" and the reminder's name; one without a name has a drawn
            number after NAMELESS, with which no name begins. A dead letter is the cell of
            DEAD_PREFIX, the name, and the time of the occurrence.
Invariants: an occurrence is never early; it ends in the commit that has its effect.
Source:     DESIGN 9; Orleans reminders, whose periods they keep, and whose lost ticks they do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from wakeful.actor import DeadLetter, Reminder
from wakeful.actor_type import MethodPlan
from wakeful.core.agenda import Agenda, Entry
from wakeful.core.alarms import AlarmCell
from wakeful.errors import InvalidArguments, LimitExceeded
from wakeful.facet import Persistence
from wakeful.log import logger
from wakeful.ports import Clock
from wakeful.recurrence import Recurrence
from wakeful.runtime.activation import Activation
from wakeful.runtime.courier import Failure
from wakeful.runtime.internal_plan import activation_of

if TYPE_CHECKING:
    from wakeful.actor import Actor

KIND: Final = "r"
NAMELESS: Final = "\x1f"
DEAD_PREFIX: Final = "d"
ERROR_LETTERS_MAX: Final = 2_000  # of the error text kept with a dead letter
GRACE_NS: Final = 60_000_000_000  # an occurrence that is later than this was missed

Missed: TypeAlias = Literal["once", "all", "skip"]


class Message(msgspec.Struct, frozen=True, array_like=True):
    """What is to be called, packed by the method's signature."""

    method: str
    args: tuple[bytes, ...] = ()
    kwargs: dict[str, bytes] = {}


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """The data of an entry: all of a reminder but when it is tried next.

    Attributes:
        scheduled_ns: the occurrence that is due, before any retry.
        retries: how often its turn has failed.
        times: how many occurrences there are still to be, this one included; 0: no limit.
    """

    message: Message
    scheduled_ns: int
    retries: int = 0
    recurrence: Recurrence = Recurrence()
    times: int = 0
    missed: Missed = "once"

    def entry(self, due_ns: int | None = None) -> Entry:
        """The entry of an agenda, due when it is scheduled or at another time."""
        return Entry(self.scheduled_ns if due_ns is None else due_ns, _pack(self))

    def following(self, now_ns: int) -> Kept | None:
        """The next occurrence after this one has ended; None if it was the last."""
        if self.times == 1:
            return None
        after_ns = self.scheduled_ns if self.missed == "all" else max(self.scheduled_ns, now_ns)
        next_ns = self.recurrence.next_ns(after_ns, self.scheduled_ns)
        if next_ns is None:
            return None
        times = max(0, self.times - 1)
        return msgspec.structs.replace(self, scheduled_ns=next_ns, retries=0, times=times)


class Dead(msgspec.Struct, frozen=True, array_like=True):
    """A dead letter as it is stored."""

    message: Message
    scheduled_ns: int
    given_up_ns: int
    retries: int
    error: str


_pack: Final = msgspec.msgpack.Encoder().encode
unpack: Final = msgspec.msgpack.Decoder(Kept).decode
unpack_dead: Final = msgspec.msgpack.Decoder(Dead).decode


def message(plan: MethodPlan, args: tuple[object, ...], kwargs: dict[str, object]) -> Message:
    """A call as it is stored; the arguments have been checked and copied."""
    by_name = {parameter.name: parameter for parameter in plan.parameters}
    return Message(
        plan.name,
        tuple(
            parameter.typed.encode(value)
            for parameter, value in zip(plan.parameters, args, strict=False)
        ),
        {name: by_name[name].typed.encode(value) for name, value in kwargs.items()},
    )


def arguments(plan: MethodPlan, stored: Message) -> tuple[tuple[object, ...], dict[str, object]]:
    """What a stored call gives to its method, which may have changed meanwhile.

    Raises:
        InvalidArguments, StateInvalid: it does not fit any more.
    """
    by_name = {parameter.name: parameter for parameter in plan.parameters}
    unknown = [name for name in stored.kwargs if name not in by_name]
    if unknown or len(stored.args) > plan.positional:
        raise InvalidArguments(f"{plan.name}() takes other parameters than when it was told")
    args = tuple(
        parameter.typed.decode(packed)
        for parameter, packed in zip(plan.parameters, stored.args, strict=False)
    )
    kwargs = {name: by_name[name].typed.decode(packed) for name, packed in stored.kwargs.items()}
    return plan.copy_arguments(args, kwargs)


class Reminders:
    """What reminders among the entries of agendas mean.

    Attributes:
        given_up: how many occurrences have become dead letters.

    Args:
        random: draws the jitter of retries.
        entries_max: what one agenda may hold.
    """

    def __init__(self, *, clock: Clock, random: Random, entries_max: int) -> None:
        self.given_up = 0
        self._clock = clock
        self._random = random
        self._entries_max = entries_max

    def set(self, activation: Activation, name: str | None, kept: Kept) -> None:
        """Add a reminder, in place of the one of that name.

        Raises:
            LimitExceeded: the agenda is full.
        """
        agenda = activation.owed()
        id = KIND + (name if name is not None else f"{NAMELESS}{self._random.getrandbits(64):016x}")
        if agenda.get(id) is None and len(agenda.entries) >= self._entries_max:
            raise LimitExceeded(
                f"{activation.id} has {len(agenda.entries)} entries in its agenda (limits.agenda)"
            )
        agenda.set(id, kept.entry())

    async def fulfil(self, instance: Actor, id: str, entry: Entry) -> None:
        """Call the method; the reminder goes, or goes on, with its success."""
        activation, kept, now_ns = activation_of(instance), unpack(entry.data), self._clock.now_ns()
        agenda = activation.owed()
        late = kept.missed == "skip" and now_ns - kept.scheduled_ns > GRACE_NS
        if not (late and kept.retries == 0):
            plan = activation.type.method(kept.message.method)
            args, kwargs = arguments(plan, kept.message)
            await plan.function(instance, *args, **kwargs)
        if agenda.get(id) is entry:  # else the method has set it again, or cancelled it
            self._go_on(activation, id, kept)

    async def failed(self, instance: Actor, id: str, entry: Entry, failure: Failure) -> None:
        """Put the occurrence off, or keep it as a dead letter."""
        activation, kept, now_ns = activation_of(instance), unpack(entry.data), self._clock.now_ns()
        persistence = activation.type.persistence or Persistence()
        later = AlarmCell(entry.due_ns, kept.scheduled_ns, kept.retries).after_failure(
            now_ns,
            self._random.random(),
            counted=failure.counted,
            retries_max=persistence.alarm_retries,
        )
        if later is not None:
            again = msgspec.structs.replace(kept, retries=later.retries)
            activation.owed().set(id, again.entry(later.due_ns))
            return
        self.given_up += 1
        logger().warning("a reminder is given up", actor=str(activation.id), error=failure.error)
        dead = Dead(
            kept.message,
            kept.scheduled_ns,
            now_ns,
            kept.retries,
            failure.error[:ERROR_LETTERS_MAX],
        )
        cell = f"{DEAD_PREFIX}{id[1:]}{NAMELESS}{kept.scheduled_ns:020}"
        activation.writes().put(cell, _pack(dead))
        self._go_on(activation, id, kept)

    def _go_on(self, activation: Activation, id: str, kept: Kept) -> None:
        following = kept.following(self._clock.now_ns())
        if following is None:
            activation.owed().remove(id)
        else:
            activation.owed().set(id, following.entry())


def reminders_in(agenda: Agenda) -> tuple[Reminder, ...]:
    """The reminders in an agenda, the earliest first."""
    found = [_shown(id, entry) for id, entry in agenda.entries.items() if id[:1] == KIND]
    return tuple(sorted(found, key=lambda reminder: (reminder.due_ns, reminder.name or "")))


def dead_in(cells: Mapping[str, bytes]) -> tuple[DeadLetter, ...]:
    """The dead letters among an actor's cells."""
    found = [key for key in cells if key[:1] == DEAD_PREFIX]
    return tuple(dead_letter(key, cells[key]) for key in sorted(found))


def dead_letter(key: str, cell: bytes) -> DeadLetter:
    """A stored dead letter, for people."""
    dead = unpack_dead(cell)
    return DeadLetter(
        key[1:], dead.message.method, dead.scheduled_ns, dead.given_up_ns, dead.retries, dead.error
    )


def _shown(id: str, entry: Entry) -> Reminder:
    kept, name = unpack(entry.data), id[1:]
    return Reminder(
        None if name.startswith(NAMELESS) else name,
        kept.message.method,
        entry.due_ns,
        kept.scheduled_ns,
        kept.retries,
    )
