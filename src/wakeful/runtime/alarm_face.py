"""`self.ctx.alarm`: what an actor's code sees of its one durable alarm, and where it is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, overload

import msgspec

from wakeful.actor import AlarmFailure
from wakeful.actor_type import ActorType
from wakeful.core.agenda import ALARM, Entry
from wakeful.core.alarms import AlarmCell
from wakeful.errors import ConfigError, InvalidArguments
from wakeful.ports import FAILED_ALARM_KEY, Clock

if TYPE_CHECKING:
    from wakeful.runtime.activation import Activation

EVER_NS: Final = 2**63 - 2
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
ERROR_LETTERS_MAX: Final = 2_000  # of the error text kept with a failed alarm

unpack_failure: Final = msgspec.msgpack.Decoder(AlarmFailure).decode


class AlarmFace:
    """`self.ctx.alarm`: the one durable alarm of an actor."""

    __slots__ = ("_activation", "_clock")

    def __init__(self, activation: Activation, clock: Clock) -> None:
        self._activation = activation
        self._clock = clock

    @overload
    def set(self, when: datetime | timedelta) -> None: ...

    @overload
    def set(self, *, at_ns: int) -> None: ...

    def set(self, when: datetime | timedelta | None = None, *, at_ns: int | None = None) -> None:
        """Set the alarm, in place of the one there may be; a past time fires at once."""
        activation, now_ns = self._activation, self._clock.now_ns()
        activation.check_here()
        if not can_have_alarm(activation.type):
            raise ConfigError(
                f"{activation.type.name} cannot have an alarm: it must be a DurableObject (or have "
                "a VirtualActorFacet and a DurabilityFacet) with `async def alarm(self, info)`"
            )
        due_ns = max(now_ns, _when_ns(when, at_ns, now_ns))
        activation.owed().set(ALARM, AlarmCell.at(due_ns).entry())
        self._forget_failed()

    def get(self) -> int | None:
        """When the alarm is due, in nanoseconds since 1970; None while its handler runs."""
        entry = alarm_entry(self._activation)
        run = self._activation.alarm
        shown = run.shown(entry) if run is not None else entry
        return None if shown is None else shown.due_ns

    def runs(self) -> bool:
        """Whether the alarm that a handler was to be called for is still the one that is set."""
        run = self._activation.alarm
        return run is not None and run.leaves(alarm_entry(self._activation))

    def delete(self) -> None:
        """Delete the alarm; a handler that is running goes on, but is not retried."""
        self._activation.check_here()
        if self._activation.agenda is not None:
            self._activation.agenda.remove(ALARM)
        self._forget_failed()

    def failed(self) -> AlarmFailure | None:
        """The alarm that was given up, until another one is set or `delete` is called."""
        return failed_alarm(self._activation)

    def _forget_failed(self) -> None:
        buffer = self._activation.buffer
        if buffer is not None and buffer.get(FAILED_ALARM_KEY) is not None:
            buffer.delete(FAILED_ALARM_KEY)


def can_have_alarm(actor_type: ActorType) -> bool:
    """Whether actors of a type can be woken by an alarm, and handle it."""
    wakes = actor_type.lifetime is not None and actor_type.persistence is not None
    return wakes and actor_type.has_alarm


def alarm_entry(activation: Activation) -> Entry | None:
    """The stored alarm of an actor that is awake."""
    return activation.agenda.get(ALARM) if activation.agenda is not None else None


def failed_alarm(activation: Activation) -> AlarmFailure | None:
    """The alarm that was given up last, if it is still kept."""
    buffer = activation.buffer
    cell = buffer.get(FAILED_ALARM_KEY) if buffer is not None else None
    return None if cell is None else unpack_failure(cell)


def give_up(activation: Activation, alarm: AlarmCell, now_ns: int, error: str) -> AlarmFailure:
    """Replace an alarm by the record of its failure."""
    text = error if len(error) <= ERROR_LETTERS_MAX else error[:ERROR_LETTERS_MAX] + "..."
    failure = AlarmFailure(alarm.scheduled_ns, now_ns, alarm.retries, text)
    activation.owed().remove(ALARM)
    activation.writes().put(FAILED_ALARM_KEY, msgspec.msgpack.encode(failure))
    return failure


def _when_ns(when: object, at_ns: object, now_ns: int) -> int:
    if (when is None) == (at_ns is None):
        raise InvalidArguments("an alarm takes one time: set(when) or set(at_ns=...)", "when")
    if when is None:
        if type(at_ns) is int and 0 <= at_ns <= EVER_NS:
            return at_ns
        raise InvalidArguments(f"at_ns is nanoseconds since 1970, not {at_ns!r}", "at_ns")
    if isinstance(when, timedelta):
        return now_ns + when // timedelta(microseconds=1) * 1000
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise InvalidArguments("an alarm's time needs a time zone: datetime.now(UTC)", "when")
        return (when - EPOCH) // timedelta(microseconds=1) * 1000
    hint = "; for nanoseconds since 1970 write set(at_ns=...)" if type(when) is int else ""
    raise InvalidArguments(
        f"an alarm's time is a datetime or a timedelta from now, not {when!r}{hint}", "when"
    )
