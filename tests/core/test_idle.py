"""The idle wheel against a list of entries that is looked through each time."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop
from typing import Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.core.proof import first_violation, prove

from wakeful.core.idle import NOWHERE, IdleWheel

TICK_NS: Final = 10


@dataclass(eq=False)
class Watched:
    used_ns: int
    idle_ns: int
    bucket: int = NOWHERE

    @property
    def due_ns(self) -> int:
        return self.used_ns + self.idle_ns

    @property
    def tick(self) -> int:
        """The first tick at which it is due."""
        return next(tick for tick in range(10_000) if tick * TICK_NS >= self.due_ns)


class IdleWheelMachine(RuleBasedStateMachine):
    """Time passes, entries are used, and the timer rings when the wheel has asked for it, or late,
    or when it has not."""

    subject: type[IdleWheel[Watched]] = IdleWheel

    @initialize()
    def start(self) -> None:
        self.wheel = self.subject(TICK_NS)
        self.now_ns = 0
        self.watched: list[Watched] = []

    @rule(idle_ns=st.lists(st.sampled_from([1, 20, 25, 40]), min_size=1, max_size=4))
    def add(self, idle_ns: list[int]) -> None:
        for each in idle_ns:
            entry = Watched(self.now_ns, each)
            self.wheel.add(entry)
            self.watched.append(entry)

    @precondition(lambda self: self.watched)
    @rule(which=st.sets(st.integers(0, 9), min_size=1))
    def use(self, which: set[int]) -> None:
        for each in which:
            self.watched[each % len(self.watched)].used_ns = self.now_ns

    @precondition(lambda self: self.watched)
    @rule(which=st.integers(0, 9))
    def discard(self, which: int) -> None:
        entry = self.watched.pop(which % len(self.watched))
        self.wheel.discard(entry)
        self.wheel.discard(entry)

    @rule(passed_ns=st.sampled_from([1, 4, 12, 40]))
    def time_passes(self, passed_ns: int) -> None:
        self.now_ns += passed_ns

    @rule()
    def expire(self) -> None:
        expired = self.wheel.expire(self.now_ns)
        for entry in expired:
            self.watched.remove(entry)
            assert entry.due_ns <= self.now_ns, "reported before it was idle"
            assert entry.bucket == NOWHERE
        for entry in self.watched:
            assert entry.tick * TICK_NS > self.now_ns, "not reported within one tick"
        due_ns = self.wheel.next_due_ns()
        assert due_ns is None or due_ns > self.now_ns, "the timer would ring for ever"

    @precondition(lambda self: self.watched)
    @rule()
    def timer_rings(self) -> None:
        due_ns = self.wheel.next_due_ns()
        assert due_ns is not None
        self.now_ns = max(self.now_ns, due_ns)
        self.expire()

    @rule()
    def least_recent(self) -> None:
        found = self.wheel.least_recent()
        if self.watched:
            assert found is not None
            assert found in self.watched
            assert (found.tick, found.used_ns) == min((e.tick, e.used_ns) for e in self.watched)
        else:
            assert found is None

    @invariant()
    def agrees(self) -> None:
        self.wheel.check()
        assert self.wheel.count == len(self.watched)
        due_ns = self.wheel.next_due_ns()
        if self.watched:
            assert due_ns is not None
            assert due_ns <= min(entry.tick for entry in self.watched) * TICK_NS
        else:
            assert due_ns is None


def test_idle_wheel_agrees_with_a_list() -> None:
    prove(IdleWheelMachine)


def test_entry_is_reported_in_the_tick_it_falls_due_and_never_early() -> None:
    wheel: IdleWheel[Watched] = IdleWheel(TICK_NS)
    entry = Watched(used_ns=3, idle_ns=20)
    wheel.add(entry)
    assert wheel.next_due_ns() == 30
    assert wheel.expire(29) == []
    assert wheel.expire(30) == [entry]
    assert wheel.next_due_ns() is None


def test_used_entry_is_moved_on_when_its_bucket_comes_up() -> None:
    """Using it cost one store to `used_ns`; the wheel notices when it looks."""
    wheel: IdleWheel[Watched] = IdleWheel(TICK_NS)
    entry = Watched(used_ns=0, idle_ns=20)
    wheel.add(entry)
    entry.used_ns = 19
    assert wheel.expire(20) == []
    assert wheel.next_due_ns() == 40
    assert wheel.expire(40) == [entry]


def test_least_recent_looks_at_uses_that_the_wheel_has_not_seen_yet() -> None:
    wheel: IdleWheel[Watched] = IdleWheel(TICK_NS)
    first, second = Watched(0, 20), Watched(5, 20)
    wheel.add(first)
    wheel.add(second)
    assert wheel.least_recent() is first
    first.used_ns = 50
    assert wheel.least_recent() is second
    assert wheel.count == 2


def test_discarded_entry_is_not_reported_and_may_come_back() -> None:
    wheel: IdleWheel[Watched] = IdleWheel(TICK_NS)
    entry = Watched(0, 10)
    wheel.add(entry)
    wheel.discard(entry)
    assert (wheel.next_due_ns(), wheel.least_recent()) == (None, None)
    assert wheel.expire(1_000) == []
    wheel.add(entry)
    assert wheel.expire(1_000) == [entry]


def test_entry_is_added_once() -> None:
    wheel: IdleWheel[Watched] = IdleWheel(TICK_NS)
    entry = Watched(0, 10)
    wheel.add(entry)
    with pytest.raises(AssertionError, match="added once"):
        wheel.add(entry)


def test_tick_is_positive() -> None:
    with pytest.raises(AssertionError):
        IdleWheel(0)


# --- what the model catches -------------------------------------------------------------------


class DoesNotLookAgain(IdleWheel[Watched]):
    """Whatever is in a bucket that comes up is reported, used meanwhile or not."""

    def expire(self, now_ns: int) -> list[Watched]:
        expired: list[Watched] = []
        while self._ticks and self._ticks[0] * self.tick_ns <= now_ns:
            expired += self._buckets.pop(heappop(self._ticks)).values()
        for entry in expired:
            entry.bucket = NOWHERE
        self.count -= len(expired)
        return expired


class DropsUsedEntries(IdleWheel[Watched]):
    """An entry that was used meanwhile is not put into another bucket."""

    def expire(self, now_ns: int) -> list[Watched]:
        expired = super().expire(now_ns)
        for entry in [e for b in self._buckets.values() for e in b.values()]:
            if entry.used_ns == now_ns:
                self.discard(entry)
        return expired


class OneTickEarly(IdleWheel[Watched]):
    def expire(self, now_ns: int) -> list[Watched]:
        return super().expire(now_ns + self.tick_ns)


class OneTickLate(IdleWheel[Watched]):
    def _tick(self, entry: Watched) -> int:
        return entry.due_ns // self.tick_ns + 1


class LeastRecentDoesNotMove(IdleWheel[Watched]):
    def least_recent(self) -> Watched | None:
        self._drop_empty()
        if not self._ticks:
            return None
        bucket = self._buckets[self._ticks[0]]
        return min(bucket.values(), key=lambda entry: entry.used_ns)


class MostRecent(IdleWheel[Watched]):
    def least_recent(self) -> Watched | None:
        if super().least_recent() is None:
            return None
        return max(self._buckets[self._ticks[0]].values(), key=lambda entry: entry.used_ns)


class ExpiresOneBucket(IdleWheel[Watched]):
    def expire(self, now_ns: int) -> list[Watched]:
        first = self.next_due_ns()
        return super().expire(now_ns if first is None else min(now_ns, first))


class DiscardKeepsCounting(IdleWheel[Watched]):
    def discard(self, entry: Watched) -> None:
        count = self.count
        super().discard(entry)
        self.count = count


BROKEN: Final = [
    DoesNotLookAgain,
    DropsUsedEntries,
    OneTickEarly,
    OneTickLate,
    LeastRecentDoesNotMove,
    MostRecent,
    ExpiresOneBucket,
    DiscardKeepsCounting,
]


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_idle_wheel_is_caught(broken: type[IdleWheel[Watched]]) -> None:
    assert first_violation(IdleWheelMachine, broken) is not None
