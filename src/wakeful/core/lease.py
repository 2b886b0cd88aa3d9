"""Ownership of shards: held under an epoch, for a time, and lost for ever once fenced.

The epoch goes with every write and the store compares it in the same transaction, so a lease is
only a reason to stop early, never the thing that makes writing safe.

A runtime on a data directory holds its lease until it is fenced. Terms, `renew` and `reacquire` are
for leases that end by themselves (DESIGN.md 10): no product code calls them yet.

Units:      int nanoseconds of the store's clock.
Invariants: the epoch only grows; a lost lease does not come back under the same epoch.
Source:     Gray & Cheriton 1989, "Leases"; fencing tokens, Kleppmann 2016.
"""

from __future__ import annotations


class Lease:
    """One owner's claim on a range of shards."""

    __slots__ = ("_lost", "epoch", "until_ns")

    def __init__(self, epoch: int, until_ns: int | None = None) -> None:
        assert epoch > 0
        self.epoch = epoch
        self.until_ns = until_ns
        self._lost = False

    def held(self, now_ns: int) -> bool:
        """Whether the lease still counts as held; without a term it is held until it is fenced."""
        return not self._lost and (self.until_ns is None or now_ns < self.until_ns)

    def renew(self, until_ns: int) -> None:
        """Extend the term."""
        assert not self._lost, "a lost lease is not renewed: acquire a new epoch"
        assert self.until_ns is not None, "a lease without a term has nothing to extend"
        assert until_ns >= self.until_ns, "a term never shrinks"
        self.until_ns = until_ns

    def lose(self) -> None:
        """The store has refused the epoch, or the term has run out."""
        self._lost = True

    def reacquire(self, epoch: int, until_ns: int | None = None) -> None:
        """Start again under a newer epoch."""
        assert epoch > self.epoch, "an epoch is never used twice"
        self.epoch = epoch
        self.until_ns = until_ns
        self._lost = False

    def check(self) -> None:
        """Assert the invariants."""
        assert self.epoch > 0
