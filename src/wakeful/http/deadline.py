"""Deadlines of requests, without a timer or a task for each.

Work is driven by hand up to its first wait. What does not wait costs nothing; what does is noted,
and one timer, set for the one that has waited longest, looks after all of them.

Invariants: all deadlines are the same time away, so `_waiting` is in the order they are due;
            the timer is set if and only if something waits.
"""

from __future__ import annotations

import types
from asyncio import AbstractEventLoop, Future, TimerHandle
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import NoReturn, TypeVar, cast

from wakeful.errors import WakefulError
from wakeful.http.request_header import RequestHeader

T = TypeVar("T")


class _Wait:
    """Work that waits: for what, and until when at most."""

    __slots__ = ("due", "expired", "future")

    def __init__(self, due: float) -> None:
        self.due = due
        self.expired = False
        self.future: Future[object] | None = None


class Deadlines:
    """Looks after everything that waits.

    Args:
        loop: the loop whose time counts.
        seconds: how long anything may wait.
    """

    def __init__(self, loop: AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._waiting: dict[_Wait, None] = {}
        self._timer: TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def due(self) -> float:
        """When work that begins now is late, as the loop's time."""
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
            header: is told of the deadline, when there is one.
        """
        try:
            waits_for = work.send(None)
        except StopIteration as stop:
            result: T = stop.value
            return result
        return await self.resume(work, waits_for, late, header)

    @types.coroutine
    def resume(
        self,
        work: Coroutine[object, object, T],
        waits_for: object,
        late: Callable[[float], WakefulError],
        header: RequestHeader | None = None,
    ) -> Generator[object, object, T]:
        """As `watch`, for work that has been driven up to its first wait already."""
        wait = self._note()
        if header is not None:
            header.due = wait.due
        try:
            while True:
                wait.future = cast("Future[object]", waits_for)
                try:
                    value = yield waits_for
                except BaseException as error:
                    waits_for = self._fail(work, wait, error, late)
                else:
                    waits_for = work.send(value)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            del self._waiting[wait]

    def close(self) -> None:
        """Stop the timer: nothing is late any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fail(
        self,
        work: Coroutine[object, object, T],
        wait: _Wait,
        error: BaseException,
        late: Callable[[float], WakefulError],
    ) -> object:
        """What it waited for has failed, or was cancelled because it is late."""
        if wait.expired:
            _abandon(work, late(self._seconds))
        return work.throw(error)

    def _note(self) -> _Wait:
        wait = _Wait(self.due())
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
            if not wait.expired and wait.future is not None:
                wait.expired = True
                wait.future.cancel()


def _abandon(work: Coroutine[object, object, object], error: WakefulError) -> NoReturn:
    """Throw an error into work; raise that, or what the work makes of it."""
    with suppress(StopIteration):
        work.throw(error)
    work.close()  # it did not end, or ended with a result that comes too late
    raise error
