"""One durable alarm per actor: what its cell says, what a handler sees of it, when it is retried.

An alarm stays stored until its handler has returned and what it wrote is committed; so the alarm
fires at least once. While the handler runs, `shown` hides the alarm that fired and shows only an
alarm that was set since then.

Shapes:     a cell is due (8 bytes), scheduled (8 bytes), retries (1 byte), big-endian: cells in
            order of their bytes are in order of time.
Units:      int nanoseconds since 1970; jitter is drawn in [0, 1).
Invariants: due is scheduled, or later by the backoffs of its retries; retries <= RETRIES_MAX.
Source:     Cloudflare alarms: backoff 2 s doubling to 1,024 s with up to 25 % jitter.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from wakeful.core.agenda import Entry

BACKOFF_NS: Final = 2_000_000_000
DOUBLINGS_MAX: Final = 9
JITTER: Final = 0.25
RETRIES_MAX: Final = 255  # a cell stores the count in one byte
CELL_BYTES: Final = 17


def retries_within(span_ns: int) -> int:
    """How many retries take place within a time that starts with the first failure."""
    retries, waited_ns = 0, 0
    while retries < RETRIES_MAX:
        waited_ns += _backoff_ns(retries)
        if waited_ns > span_ns:
            break
        retries += 1
    return retries


class AlarmCell(NamedTuple):
    """A stored alarm.

    Attributes:
        due_ns: when it is to fire.
        scheduled_ns: when it was set to fire, before any retry.
        retries: how often its handler has failed.
    """

    due_ns: int
    scheduled_ns: int
    retries: int = 0

    @classmethod
    def at(cls, when_ns: int) -> AlarmCell:
        """A new alarm."""
        assert when_ns >= 0
        return cls(when_ns, when_ns)

    @classmethod
    def of(cls, entry: Entry) -> AlarmCell:
        """From the entry of an agenda."""
        return cls.unpack(entry.pack())

    def entry(self) -> Entry:
        """As an entry of an agenda."""
        return Entry.unpack(self.pack())

    @classmethod
    def unpack(cls, data: bytes) -> AlarmCell:
        """From its stored form."""
        assert len(data) == CELL_BYTES, "an alarm cell has a fixed size"
        return cls(int.from_bytes(data[:8], "big"), int.from_bytes(data[8:16], "big"), data[16])

    def pack(self) -> bytes:
        """Its stored form."""
        return (
            self.due_ns.to_bytes(8, "big")
            + self.scheduled_ns.to_bytes(8, "big")
            + self.retries.to_bytes(1, "big")
        )

    def after_failure(
        self, now_ns: int, jitter: float, *, counted: bool, retries_max: int
    ) -> AlarmCell | None:
        """The alarm after its handler has failed; None when it is given up.

        Args:
            now_ns: when it failed.
            jitter: drawn in [0, 1).
            counted: the handler's own failure; others (a full disk) are retried for ever.
            retries_max: how often it is tried again before it is given up.
        """
        assert 0 <= jitter < 1
        assert 0 <= retries_max <= RETRIES_MAX
        if counted and self.retries >= retries_max:
            return None
        delay_ns = _backoff_ns(self.retries)
        due_ns = now_ns + delay_ns + round(delay_ns * JITTER * jitter)
        return AlarmCell(due_ns, self.scheduled_ns, self.retries + counted)


class AlarmRun:
    """One run of a handler, and the alarm that it handles.

    The alarm that fired is recognized by object identity: setting an alarm always makes a new
    entry, even for the same time, and undoing that puts the old object back.
    """

    __slots__ = ("fired",)

    def __init__(self, fired: Entry) -> None:
        self.fired = fired

    def shown(self, entry: Entry | None) -> Entry | None:
        """What the handler sees of the stored alarm."""
        return None if entry is self.fired else entry

    def leaves(self, entry: Entry | None) -> bool:
        """Whether the handler's success deletes the stored alarm."""
        return entry is self.fired


def _backoff_ns(retries: int) -> int:
    """The time before the next try, without jitter."""
    return BACKOFF_NS << min(retries, DOUBLINGS_MAX)
