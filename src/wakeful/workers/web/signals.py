"""AbortController and AbortSignal: how code says that it no longer wants an answer.

Source:  DOM standard, section Aborting ongoing activities.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

from wakeful.workers import own_tasks
from wakeful.workers.proxies import JsException, JsProxy
from wakeful.workers.web.events import EventTarget, JsEvent

V = TypeVar("V")


class AbortSignal(EventTarget):
    """Says whether something is aborted, and why.

    Attributes:
        aborted: whether the signal is aborted.
        reason: why.
        onabort: called when it is.
    """

    js_name = "AbortSignal"

    def __init__(self) -> None:
        self.aborted = False
        self.reason: Any = None
        self.onabort: Any = None
        self._followers: list[AbortSignal] = []
        self._waiting: set[Future[None]] = set()
        self._begun: set[Future[object]] = set()

    @classmethod
    def abort(cls, reason: Any = None) -> AbortSignal:
        """Return a signal that is aborted already."""
        signal = cls()
        signal.stop(reason)
        return signal

    @classmethod
    def timeout(cls, milliseconds: Any) -> AbortSignal:
        """Return a signal that is aborted after some time."""
        signal = cls()
        why = JsException("The operation was aborted due to timeout", "TimeoutError")
        own_tasks.later(float(milliseconds) / 1000, signal.stop, why)
        return signal

    @classmethod
    def any(cls, signals: Iterable[AbortSignal]) -> AbortSignal:
        """Return a signal that is aborted with the first of the given ones."""
        signal = cls()
        for other in signals:
            if other.aborted:
                return cls.abort(other.reason)
            other._followers.append(signal)
        return signal

    def throwIfAborted(self) -> None:
        """Raise the reason, if it is aborted.

        Raises:
            JsException: the signal is aborted.
        """
        if self.aborted:
            raise _error(self.reason)

    def stop(self, reason: Any = None) -> None:
        """Abort it, once."""
        if self.aborted:
            return
        self.aborted = True
        if reason is None:
            reason = JsException("The operation was aborted", "AbortError")
            reason.retryable = True
        self.reason = reason
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self.tell(JsEvent("abort"), self._begin)
        for follower in self._followers:
            follower.stop(self.reason)

    def _begin(self, work: Awaitable[object]) -> None:
        task = own_tasks.begin(work)
        self._begun.add(task)
        own_tasks.when_done(task, self._begun.discard)

    async def guarded(self, work: Awaitable[V]) -> V:
        """Return the result of work, or cancel the work when this signal is aborted.

        Raises:
            JsException: it is aborted.
            Exception: whatever work raised.
        """
        task = own_tasks.begin(work)
        if not self.aborted:
            stopped: Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(stopped)
            try:
                both: list[Future[Any]] = [task, stopped]
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._waiting.discard(stopped)
                if not task.done():
                    task.cancel()
            if task.done():
                return task.result()
        task.cancel()
        raise _error(self.reason)


class AbortController(JsProxy):
    """Aborts its signal."""

    js_name = "AbortController"

    def __init__(self) -> None:
        self.signal = AbortSignal()

    def abort(self, reason: Any = None) -> None:
        """Abort the signal."""
        self.signal.stop(reason)


def _error(reason: Any) -> Exception:
    return reason if isinstance(reason, Exception) else JsException(reason)
