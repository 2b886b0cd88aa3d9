"""The event loop as the runtime uses it: what it schedules runs in the host's own context.

asyncio runs a callback, a timer or a task in the context of the code that schedules it. Here that
is some caller, and what is scheduled is often not the caller's: the next activation of an actor, a
batch of many actors, a timer that watches all of them. With the caller's context variables such
work would act in the caller's name. So `runtime` and `workers` schedule everything here (a rule of
test_tidy), and it runs with the variables that the host was made with. What does belong to the
code that schedules it, such as a call that waits in a mailbox, is given a context explicitly.

Invariants: each callback and each task runs in a copy of its own: what code sets there, no
            other code sees.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future, Handle, Task, TimerHandle
from collections.abc import Callable, Coroutine, Iterable
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class HostLoop:
    """Schedules work that belongs to the host.

    Args:
        raw: the event loop.
        cleared: variables that are None in the host's context, whatever they are in the context
            that this is made in: a runtime may be started by a turn of another one.

    Attributes:
        raw: the event loop, for those who bring a context of their own.
        future: makes a future of it.
        time: seconds, as its timers count them.
    """

    __slots__ = ("_context", "future", "raw", "time")

    def __init__(self, raw: AbstractEventLoop, cleared: Iterable[ContextVar[Any]] = ()) -> None:
        self.raw = raw
        self.future: Callable[[], Future[Any]] = raw.create_future
        self.time = raw.time
        self._context = copy_context()
        for variable in cleared:
            self._context.run(variable.set, None)

    def context(self) -> Context:
        """A copy of the host's own context."""
        return self._context.copy()

    def run(self, do: Callable[[*Ts], T], *args: *Ts) -> T:
        """Call a function now, in the host's context."""
        return self._context.copy().run(do, *args)

    def soon(self, do: Callable[[*Ts], object], *args: *Ts) -> Handle:
        """Call a function in the next iteration of the loop."""
        return self.raw.call_soon(do, *args, context=self._context.copy())

    def soon_from_thread(self, do: Callable[[*Ts], object], *args: *Ts) -> Handle:
        """Call a function in the loop's thread; this one may be called in any.

        Raises:
            RuntimeError: the loop has been closed.
        """
        return self.raw.call_soon_threadsafe(do, *args, context=self._context.copy())

    def later(self, seconds: float, do: Callable[[*Ts], object], *args: *Ts) -> TimerHandle:
        """Call a function after some time."""
        return self.raw.call_later(seconds, do, *args, context=self._context.copy())

    def task(self, work: Coroutine[Any, Any, T], context: Context | None = None) -> Task[T]:
        """Run a coroutine as a task.

        Args:
            work: the coroutine.
            context: whose work it is; by default the host's.
        """
        own = self._context.copy() if context is None else context  # an empty context is false
        return self.raw.create_task(work, context=own)

    def when_done(self, future: Future[T], do: Callable[[Future[T]], object]) -> None:
        """Call a function with a future, or a task, once that is done."""
        future.add_done_callback(do, context=self._context.copy())
