"""One test on virtual time: its own code, and the async fixtures it asks for, on one loop.

Invariants: all of it shares one context, so what a fixture sets, the test sees.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from contextvars import copy_context
from typing import Any, Final, TypeVar

from wakeful.testing.loop import Deadlock, VirtualLoop

V = TypeVar("V")

NEVER: Final = (
    "this test waits for something that can never happen: nothing is ready to run and no timer is "
    "set. On virtual time there is no network, no thread and no other process to wait for"
)


class VirtualRun:
    """Runs coroutines until the test is over.

    Attributes:
        stack: what is to be ended with the test, on its loop.
    """

    def __init__(self) -> None:
        self.stack = AsyncExitStack()
        self._runner = asyncio.Runner(loop_factory=VirtualLoop)
        self._context = copy_context()

    def run(self, work: Coroutine[Any, Any, V]) -> V:
        """What the coroutine returns.

        Raises:
            Deadlock: it waits for what can never happen.
        """
        try:
            return self._runner.run(work, context=self._context)
        except Deadlock:
            raise Deadlock(NEVER) from None

    def blocking(self, function: Callable[..., Coroutine[Any, Any, V]]) -> Callable[..., V]:
        """Make a blocking function of an async one."""
        return lambda **given: self.run(function(**given))

    def generating(
        self, function: Callable[..., AsyncGenerator[V, None]]
    ) -> Callable[..., Iterator[V]]:
        """Make a plain generator function of an async one that yields once."""

        def generator(**given: Any) -> Iterator[V]:
            made = function(**given)
            yield self.run(_next(made))
            self.run(_finish(made))

        return generator

    def close(self) -> None:
        """End what the stack holds, then close the loop."""
        try:
            self.run(self.stack.aclose())
        finally:
            self._runner.close()


async def _next(made: AsyncGenerator[V, None]) -> V:
    return await anext(made)


async def _finish(made: AsyncGenerator[Any, None]) -> None:
    async for _ in made:
        await made.aclose()
        raise RuntimeError("an async fixture yields more than once")
