"""Deadlines of requests, without a timer or a task for each.

Work is driven by hand up to its first wait. What does not wait costs nothing; what does is noted,
and one timer, set for the one that has waited longest, looks after all of them.

Invariants: all deadlines are the same time away, so `_waiting` is in the order they are due;
            the timer is set if and only if something waits.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import TypeVar

from wakeful.errors import WakefulError
from wakeful.http.request_header import RequestHeader
from wakeful.runtime.waiting import Wait

T = TypeVar("T")


class Deadlines:
    """Looks after everything that waits.

    Args:
        loop: the loop whose time counts.
        seconds: how long anything may wait.
    """

    def __init__(self, loop: AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._waiting: dict[Wait, None] = {}
        self._timer: TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def due(self) -> float:
        """The deadline of work that begins now, in the loop's time."""
        return self._loop.time() + self._seconds

    async def watch(
        self,
        work: Coroutine[object, object, T],
        late: Callable[[float], WakefulError],
        header: RequestHeader | None = None,
    ) -> T:
        """The result of work that ends in time.

        Args:
            work: when it is late, what it waits for is cancelled, and it is thrown the error. It
                may raise another one, which says more.
            late: makes the error, from the seconds it had.
            header: gets the deadline, when there is one.
        """
        try:
            waits_for = work.send(None)
        except StopIteration as stop:
            result: T = stop.value
            return result
        return await self.resume(work, waits_for, late, header)

    def resume(
        self,
        work: Coroutine[object, object, T],
        waits_for: object,
        late: Callable[[float], WakefulError],
        header: RequestHeader | None = None,
    ) -> Awaitable[T]:
        """As `watch`, for work that has been driven up to its first wait already."""
        wait = self._note()
        if header is not None:
            header.due = wait.due
        return wait.go_on(work, waits_for, partial(late, self._seconds), self._waiting.pop)

    def close(self) -> None:
        """Stop the timer: nothing is late any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _note(self) -> Wait:
        wait = Wait(self.due())
        self._waiting[wait] = None
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._sweep)
        return wait

    def _sweep(self) -> None:
        now = self._loop.time()
        self._timer = None
        expired = []
        for wait in self._waiting:
            if wait.due > now:
                self._timer = self._loop.call_at(wait.due, self._sweep)
                break
            expired.append(wait)
        for wait in expired:
            wait.expire()
