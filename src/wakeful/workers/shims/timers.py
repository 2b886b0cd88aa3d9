"""Timers: setTimeout, setInterval, and what ends them.

The runtime lets an event's code go on for as long as a timer of it is to fire, as far as waitUntil
does; a callback that raises is logged. Numbers of timers count from 1.

Source:  HTML standard, section Timers.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Awaitable, Callable
from typing import Any

from wakeful.errors import Overloaded
from wakeful.workers import own_tasks
from wakeful.workers.proxies import JsTypeError
from wakeful.workers.shims.environment import Environment


class Timers:
    """The timers of one Worker."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._running: dict[int, Future[None]] = {}
        self._count = 0

    def set_timeout(self, callback: Any, milliseconds: Any = 0, *args: Any) -> int:
        """Call back once; the number of the timer.

        Raises:
            JsTypeError: it cannot be called.
        """
        return self._begin("setTimeout", callback, milliseconds or 0, args, again=False)

    def set_interval(self, callback: Any, milliseconds: Any = 0, *args: Any) -> int:
        """Call back again and again; the number of the timer.

        Raises:
            JsTypeError: it cannot be called.
        """
        return self._begin("setInterval", callback, milliseconds or 0, args, again=True)

    def clear(self, number: object = None) -> None:
        """End a timer; an ended or unknown timer is ignored."""
        task = self._running.pop(number, None) if isinstance(number, int) else None
        if task is not None:
            task.cancel()

    def queue_microtask(self, callback: Any) -> None:
        """Call back soon.

        Raises:
            JsTypeError: it cannot be called.
        """
        self._begin("queueMicrotask", callback, None, (), again=False)

    def _begin(
        self, what: str, callback: Any, milliseconds: Any, args: tuple[Any, ...], *, again: bool
    ) -> int:
        if not callable(callback):
            raise JsTypeError(f"Failed to execute '{what}': parameter 1 is not of type 'Function'.")
        seconds = None if milliseconds is None else max(0.0, float(milliseconds)) / 1000
        self._count += 1
        number = self._count
        work = self._run(number, lambda: callback(*args), seconds, again=again)
        task = own_tasks.begin(work)
        try:
            self._environment.wait_until(_ended(task))
        except Overloaded:
            task.cancel()
            raise
        self._running[number] = task
        return number

    async def _run(
        self, number: int, call: Callable[[], Any], seconds: float | None, *, again: bool
    ) -> None:
        try:
            while True:
                if seconds is not None:
                    await asyncio.sleep(seconds)
                result = call()
                if isinstance(result, Awaitable):
                    await result
                if not again:
                    return
        finally:
            self._running.pop(number, None)


async def _ended(task: Future[None]) -> None:
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()
