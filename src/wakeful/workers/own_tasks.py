"""Tasks, timers and callbacks that a Worker's own code starts, or that are started for it.

These tasks belong to the running code: they have its context variables, and inside an object the
task factory keeps them to its gates. Tasks of the host are started by `runtime.host_loop`.
"""

from __future__ import annotations

import asyncio
from asyncio import Future, Task, TimerHandle
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def begin(work: Awaitable[T]) -> Future[T]:
    """Start a task that runs by itself."""
    return asyncio.ensure_future(work)


def begin_in(context: Context, work: Coroutine[Any, Any, T]) -> Task[T]:
    """Start a task that runs by itself, in another context than that of the running code."""
    return asyncio.get_running_loop().create_task(work, context=context)


def all_of(
    works: Iterable[Awaitable[Any]], *, return_exceptions: bool = False
) -> Future[list[Any]]:
    """Run several at the same time: their results in order, or the first error.

    Args:
        works: what to wait for.
        return_exceptions: errors are results like others.
    """
    return asyncio.gather(*works, return_exceptions=return_exceptions)


def later(seconds: float, do: Callable[[*Ts], object], *args: *Ts) -> TimerHandle:
    """Call a function after some time."""
    return asyncio.get_running_loop().call_later(seconds, do, *args)


def when_done(future: Future[T], do: Callable[[Future[T]], object]) -> None:
    """Call a function with a future, or a task, once that is done."""
    future.add_done_callback(do)
