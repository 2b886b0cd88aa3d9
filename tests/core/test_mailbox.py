"""A mailbox against two lists."""

from __future__ import annotations

from collections import deque
from typing import Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.core.proof import first_violation, prove

from wakeful.core.mailbox import Mailbox


class MailboxMachine(RuleBasedStateMachine):
    subject: type[Mailbox[int]] = Mailbox

    @initialize(limit=st.integers(1, 3))
    def start(self, limit: int) -> None:
        self.limit = limit
        self.mailbox = self.subject(limit)
        self.urgent: list[int] = []
        self.ordinary: list[int] = []
        self.shed = 0
        self.events = iter(range(1, 1_000_000))

    @rule()
    def offer(self) -> None:
        event = next(self.events)
        fits = len(self.ordinary) < self.limit
        assert self.mailbox.offer(event) is fits
        if fits:
            self.ordinary.append(event)
        else:
            self.shed += 1

    @rule()
    def offer_urgent(self) -> None:
        event = next(self.events)
        self.mailbox.offer_urgent(event)
        self.urgent.append(event)

    @rule()
    def take(self) -> None:
        queue = self.urgent or self.ordinary
        assert self.mailbox.take() == (queue.pop(0) if queue else None)

    @rule()
    def drain(self) -> None:
        assert self.mailbox.drain() == self.urgent + self.ordinary
        self.urgent, self.ordinary = [], []

    @invariant()
    def agrees(self) -> None:
        self.mailbox.check()
        waiting = self.urgent + self.ordinary
        assert len(self.mailbox) == len(waiting)
        assert bool(self.mailbox) == bool(waiting)
        assert self.mailbox.peek() == (waiting[0] if waiting else None)
        assert self.mailbox.shed == self.shed


def test_mailbox_agrees_with_two_lists() -> None:
    prove(MailboxMachine)


def test_full_mailbox_sheds_ordinary_events_and_takes_urgent_ones() -> None:
    """An urgent event ends something already admitted, so refusing it would free nothing."""
    mailbox: Mailbox[str] = Mailbox(1)
    assert mailbox.offer("first")
    assert not mailbox.offer("second")
    mailbox.offer_urgent("reply")
    assert (mailbox.shed, len(mailbox)) == (1, 2)
    assert mailbox.drain() == ["reply", "first"]


def test_drained_mailbox_has_room_again() -> None:
    mailbox: Mailbox[int] = Mailbox(1)
    mailbox.offer(1)
    mailbox.drain()
    assert mailbox.offer(2)
    assert mailbox.take() == 2
    assert mailbox.take() is None


def test_mailbox_without_room_is_refused() -> None:
    with pytest.raises(AssertionError):
        Mailbox(0)


# --- what the model catches -------------------------------------------------------------------


class LastInFirstOut(Mailbox[int]):
    def take(self) -> int | None:
        queue = self._urgent or self._ordinary
        return queue.pop() if queue else None


class OrdinaryFirst(Mailbox[int]):
    def take(self) -> int | None:
        queue = self._ordinary or self._urgent
        return queue.popleft() if queue else None


class UrgentCountsAgainstTheBound(Mailbox[int]):
    def offer(self, event: int) -> bool:
        if len(self) >= self.limit:
            self.shed += 1
            return False
        return super().offer(event)


class OneTooMany(Mailbox[int]):
    def offer(self, event: int) -> bool:
        if len(self._ordinary) == self.limit:
            self._ordinary.append(event)
            return True
        return super().offer(event)


class ShedsSilently(Mailbox[int]):
    def offer(self, event: int) -> bool:
        return len(self._ordinary) < self.limit and super().offer(event)


class PeekTakes(Mailbox[int]):
    def peek(self) -> int | None:
        return self.take()


class DrainForgetsUrgent(Mailbox[int]):
    def drain(self) -> list[int]:
        self._urgent = deque()
        return super().drain()


class DrainLeavesThem(Mailbox[int]):
    def drain(self) -> list[int]:
        return [*self._urgent, *self._ordinary]


BROKEN: Final = [
    LastInFirstOut,
    OrdinaryFirst,
    UrgentCountsAgainstTheBound,
    OneTooMany,
    ShedsSilently,
    PeekTakes,
    DrainForgetsUrgent,
    DrainLeavesThem,
]


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_mailbox_is_caught(broken: type[Mailbox[int]]) -> None:
    assert first_violation(MailboxMachine, broken) is not None
