"""One durable alarm per actor: what its cell says, what a handler sees of it, when it is retried.

An alarm stays stored until its handler has returned and what it wrote is committed; so it fires
at least once. While the handler runs the alarm that fired does not show: what shows was set since.

Shapes:     a cell is due (8 bytes), scheduled (8 bytes), retries (1 byte), big-endian: cells in
            order of their bytes are in order of time.
Units:      int nanoseconds since 1970; jitter is drawn in [0, 1).
Invariants: due is scheduled, or later by the backoffs of its retries; retries <= RETRIES_MAX.
Source:     Cloudflare alarms: backoff 2 s doubling to 1,024 s with up to 25 % jitter, six retries.
"""

from __future__ import annotations

from typing import Final, NamedTuple

BACKOFF_NS: Final = 2_000_000_000
DOUBLINGS_MAX: Final = 9
JITTER: Final = 0.25
RETRIES_MAX: Final = 6
CELL_BYTES: Final = 17


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

    def after_failure(self, now_ns: int, jitter: float, *, counted: bool) -> AlarmCell | None:
        """The alarm after its handler has failed; None when it is given up.

        Args:
            now_ns: when it failed.
            jitter: drawn in [0, 1).
            counted: the handler's own failure; others (a full disk) are retried for ever.
        """
        assert 0 <= jitter < 1
        if counted and self.retries >= RETRIES_MAX:
            return None
        delay_ns = BACKOFF_NS << min(self.retries, DOUBLINGS_MAX)
        due_ns = now_ns + delay_ns + round(delay_ns * JITTER * jitter)
        return AlarmCell(due_ns, self.scheduled_ns, self.retries + counted)


class AlarmRun:
    """One run of a handler: which alarm it is for, told from any that was set since.

    A cell that is set anew is another object, even for the same time; and when that is undone, the
    one that fired is back. So nobody has to note what was done to the alarm, nor to forget it.
    """

    __slots__ = ("fired",)

    def __init__(self, fired: bytes) -> None:
        self.fired = fired

    def shown(self, cell: bytes | None) -> bytes | None:
        """What the handler sees of the stored alarm."""
        return None if cell is self.fired else cell

    def leaves(self, cell: bytes | None) -> bool:
        """Whether the stored alarm goes with the handler's success."""
        return cell is self.fired
