"""`js.Promise`: what waits for several awaitables.

Source:  ECMAScript standard, section Promise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any

from wakeful.workers import own_tasks
from wakeful.workers.proxies import JsArray, JsDict, JsProxy


class Promise(JsProxy):
    """`js.Promise`: what waits for several awaitables."""

    @staticmethod
    def resolve(value: Any = None) -> Awaitable[Any]:
        """The value, to be awaited."""
        return own_tasks.begin(_settled(value))

    @staticmethod
    def all(values: Iterable[Any]) -> Awaitable[JsArray]:
        """Wait for all awaitables; raise the first error."""

        async def gathered() -> JsArray:
            return JsArray(await own_tasks.all_of(map(_settled, values)))

        return own_tasks.begin(gathered())

    @staticmethod
    def allSettled(values: Iterable[Any]) -> Awaitable[JsArray]:
        """Return the outcome of each awaitable: `status`, and `value` or `reason`."""

        async def gathered() -> JsArray:
            works = map(_settled, values)
            outcomes = await own_tasks.all_of(works, return_exceptions=True)
            return JsArray(map(_outcome, outcomes))

        return own_tasks.begin(gathered())

    @staticmethod
    def race(values: Iterable[Any]) -> Awaitable[Any]:
        """Return the first outcome; the other awaitables go on."""

        async def first() -> Any:
            tasks = [own_tasks.begin(_settled(value)) for value in values]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return next(task for task in tasks if task in done).result()

        return own_tasks.begin(first())


async def _settled(value: Any) -> Any:
    return await value if isinstance(value, Awaitable) else value


def _outcome(outcome: Any) -> JsDict:
    if isinstance(outcome, Exception):
        return JsDict(status="rejected", reason=outcome)
    return JsDict(status="fulfilled", value=outcome)
