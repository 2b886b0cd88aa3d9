"""The queue of one actor's undelivered events: bounded, in order, urgent events first.

Urgent events (replies, alarms, the runtime's own) go before ordinary ones and are not counted
against the bound, because each of them ends something already admitted.

Invariants: within a priority, first in, first out; ordinary events never exceed the bound.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """A bounded queue of events with two priorities."""

    __slots__ = ("_ordinary", "_urgent", "limit", "shed")

    def __init__(self, limit: int) -> None:
        assert limit > 0
        self.limit = limit
        self.shed = 0
        self._ordinary: deque[T] = deque()
        self._urgent: deque[T] = deque()

    def __len__(self) -> int:
        return len(self._ordinary) + len(self._urgent)

    def offer(self, event: T) -> bool:
        """Queue an ordinary event; False if the mailbox is full and the event was shed."""
        if len(self._ordinary) >= self.limit:
            self.shed += 1
            return False
        self._ordinary.append(event)
        return True

    def offer_urgent(self, event: T) -> None:
        """Queue an event that goes before all ordinary ones."""
        self._urgent.append(event)

    def take(self) -> T | None:
        """The next event to deliver, or None."""
        if self._urgent:
            return self._urgent.popleft()
        return self._ordinary.popleft() if self._ordinary else None

    def peek(self) -> T | None:
        """The event `take` would return, left in place."""
        queue = self._urgent or self._ordinary
        return queue[0] if queue else None

    def drain(self) -> list[T]:
        """Remove and return all waiting events, in the order of delivery."""
        events = [*self._urgent, *self._ordinary]
        self._urgent.clear()
        self._ordinary.clear()
        return events

    def check(self) -> None:
        """Assert the invariants."""
        assert len(self._ordinary) <= self.limit
