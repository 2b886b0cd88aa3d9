"""Work that is driven by hand and may wait only so long.

What does not wait costs nothing. What does is left when its time is up: what it waits for is
cancelled, and it is thrown the error, so that it can raise one that says more.
"""

from __future__ import annotations

import types
from asyncio import Future
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import NoReturn, TypeVar, cast

from wakeful.errors import WakefulError

T = TypeVar("T")


class Wait:
    """Work that waits.

    Attributes:
        due: until when it may, as the event loop's time.
        expired: its time is up.
    """

    __slots__ = ("_future", "due", "expired")

    def __init__(self, due: float) -> None:
        self.due = due
        self.expired = False
        self._future: Future[object] | None = None

    def expire(self) -> None:
        """Its time is up, unless it has just ended."""
        if not self.expired and self._future is not None:
            self.expired = True
            self._future.cancel()

    @types.coroutine
    def go_on(
        self,
        work: Coroutine[object, object, T],
        waits_for: object,
        late: Callable[[], WakefulError],
        ended: Callable[[Wait], object],
    ) -> Generator[object, object, T]:
        """The result of work that has been driven up to its first wait.

        Args:
            work: the work.
            waits_for: what it has yielded.
            late: makes the error that it is thrown.
            ended: is called when it has ended, however that was.
        """
        try:
            while True:
                self._future = cast("Future[object]", waits_for)
                try:
                    value = yield waits_for
                except BaseException as error:
                    waits_for = self._failed(work, error, late)
                else:
                    waits_for = work.send(value)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            ended(self)

    def _failed(
        self,
        work: Coroutine[object, object, T],
        error: BaseException,
        late: Callable[[], WakefulError],
    ) -> object:
        """What it waited for has failed, or was cancelled because its time is up."""
        if self.expired:
            _abandon(work, late())
        return work.throw(error)


def _abandon(work: Coroutine[object, object, object], error: WakefulError) -> NoReturn:
    """Throw an error into work; raise that, or what the work makes of it."""
    with suppress(StopIteration):
        work.throw(error)
    work.close()  # it did not end, or ended with a result that comes too late
    raise error
