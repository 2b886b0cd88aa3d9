"""Which active actors have been idle long enough, and which is the least recently used.

A wheel of buckets by due tick. A message only stamps its entry (`used_ns`); the entry is looked
at again when its bucket comes up, and moved if it was used meanwhile. So nothing is done per
message, and one timer, set to `next_due_ns`, serves all actors; with none there is no timer.

Units:      int nanoseconds of the injected monotonic clock.
Invariants: an entry is in exactly one bucket or in none; nothing is reported before
            used_ns + idle_ns; after that it is reported within one tick.
Source:     Varghese & Lauck 1987, hashed timing wheels; lazy re-insertion as in Linux timers.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Generic, Protocol, TypeVar


class Entry(Protocol):
    """What the wheel needs to know of an activation."""

    used_ns: int
    idle_ns: int
    bucket: int


E = TypeVar("E", bound=Entry)

NOWHERE = -1


class IdleWheel(Generic[E]):
    """Entries by the time they fall idle."""

    __slots__ = ("_buckets", "_ticks", "count", "tick_ns")

    def __init__(self, tick_ns: int) -> None:
        assert tick_ns > 0
        self.tick_ns = tick_ns
        self.count = 0
        self._buckets: dict[int, dict[int, E]] = {}
        self._ticks: list[int] = []

    def add(self, entry: E) -> None:
        """Watch an entry from now on."""
        assert entry.bucket == NOWHERE, "an entry is added once"
        self._place(entry)
        self.count += 1

    def discard(self, entry: E) -> None:
        """Stop watching an entry; nothing happens if it is not watched."""
        bucket = self._buckets.get(entry.bucket)
        if bucket is None:
            return
        del bucket[id(entry)]
        entry.bucket = NOWHERE
        self.count -= 1

    def next_due_ns(self) -> int | None:
        """When to call `expire` next, or None when nothing is watched."""
        self._drop_empty()
        return self._ticks[0] * self.tick_ns if self._ticks else None

    def expire(self, now_ns: int) -> list[E]:
        """The entries idle by now, no longer watched; entries used meanwhile are moved on."""
        expired: list[E] = []
        while self._ticks and self._ticks[0] * self.tick_ns <= now_ns:
            for entry in self._buckets.pop(heappop(self._ticks)).values():
                if entry.used_ns + entry.idle_ns <= now_ns:
                    entry.bucket = NOWHERE
                    expired.append(entry)
                else:
                    self._place(entry)
        self.count -= len(expired)
        return expired

    def least_recent(self) -> E | None:
        """Of the entries that fall due first, the one used longest ago; it stays watched."""
        while True:
            self._drop_empty()
            if not self._ticks:
                return None
            bucket = self._buckets[self._ticks[0]]
            moved = [entry for entry in bucket.values() if self._tick(entry) != entry.bucket]
            for entry in moved:
                del bucket[id(entry)]
                self._place(entry)
            if bucket:
                return min(bucket.values(), key=_used_ns)

    def _place(self, entry: E) -> None:
        tick = self._tick(entry)
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = {}
            heappush(self._ticks, tick)
        bucket[id(entry)] = entry
        entry.bucket = tick

    def _tick(self, entry: E) -> int:
        return -(-(entry.used_ns + entry.idle_ns) // self.tick_ns)

    def _drop_empty(self) -> None:
        while self._ticks and not self._buckets[self._ticks[0]]:
            del self._buckets[heappop(self._ticks)]

    def check(self) -> None:
        """Assert the invariants."""
        assert self.count == sum(len(bucket) for bucket in self._buckets.values())
        assert sorted(self._ticks) == sorted(self._buckets)
        for tick, bucket in self._buckets.items():
            assert all(entry.bucket == tick for entry in bucket.values())


def _used_ns(entry: Entry) -> int:
    return entry.used_ns
