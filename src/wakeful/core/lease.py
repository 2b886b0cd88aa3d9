"""Ownership of shards: held under an epoch, for a time, and lost for ever once refused.

The epoch goes with every write and the store compares it in the same transaction, so a lease is
never what makes writing safe. It is what makes reading from memory right: an owner that was paused
does not know whether somebody else has written meanwhile, until it has asked the store again.

After its store has failed and was opened again an owner begins under a new epoch (`reacquire`).

Units:      int nanoseconds of a clock that goes on while the process is paused, and the machine
            asleep.
Invariants: the term counts from before the store was asked, never from its answer; it never
            shrinks; a lost lease does not come back under the same epoch.
Source:     Gray & Cheriton 1989, "Leases"; fencing tokens, Kleppmann 2016.
"""

from __future__ import annotations


class Lease:
    """One owner's claim on a range of shards.

    Attributes:
        epoch: what its owner writes with.
        term_ns: how long an answer of the store counts.
        until_ns: the first instant at which ownership is not known; 0 before the first answer.
    """

    __slots__ = ("_lost", "epoch", "term_ns", "until_ns")

    def __init__(self, epoch: int, term_ns: int) -> None:
        assert epoch > 0
        assert term_ns > 0
        self.epoch = epoch
        self.term_ns = term_ns
        self.until_ns = 0
        self._lost = False

    def held(self, at_ns: int) -> bool:
        """Whether the shards were owned at a time, as far as the store has said."""
        return at_ns < self.until_ns

    def renew(self, asked_ns: int) -> None:
        """The store has confirmed the epoch; it was asked at that time."""
        if not self._lost:
            self.until_ns = max(self.until_ns, asked_ns + self.term_ns)

    def lose(self) -> None:
        """The store has refused the epoch."""
        self._lost = True
        self.until_ns = 0

    def reacquire(self, epoch: int) -> None:
        """Start again under a newer epoch, which is to be confirmed."""
        assert epoch > self.epoch, "an epoch is never used twice"
        self.epoch = epoch
        self.until_ns = 0
        self._lost = False

    def check(self) -> None:
        """Assert the invariants."""
        assert self.epoch > 0
        assert self.until_ns == 0 or not self._lost
