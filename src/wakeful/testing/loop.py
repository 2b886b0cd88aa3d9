"""An asyncio loop on virtual time, and the simulated processes that run on it.

The selector never blocks: it moves the time to when the next timer is due. What asyncio orders
stays ordered (callbacks first in, first out); a schedule differs from another only by what the
simulated world draws. Waiting for what can never happen is a Deadlock; going round without
time moving on is a Livelock.

Every callback belongs to the process whose context it was scheduled in, and runs only while that
process does: paused, its callbacks are held in order, as under SIGSTOP; killed, they are dropped.

Units:   the loop's time is seconds, as asyncio's.
Source:  trio MockClock; FoundationDB, "Simulation".
"""

from __future__ import annotations

import asyncio
import selectors
from asyncio import Handle, Task, TimerHandle
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from heapq import heappush
from typing import Any, Final, NoReturn, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SPINS_MAX: Final = 20_000  # iterations at one moment; a busy healthy schedule has some hundred
CLOSINGS_MAX: Final = 8


class Deadlock(AssertionError):
    """Nothing is ready and no timer is due: what the test awaits can never happen."""


class Livelock(AssertionError):
    """The loop goes round and round at one moment of virtual time."""


class Process:
    """A simulated operating-system process: everything scheduled from inside its context."""

    __slots__ = ("_context", "alive", "held", "name", "paused", "tasks")

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.paused = False
        self.held: list[Handle] = []
        self.tasks: list[Task[Any]] = []
        self._context = copy_context()
        self._context.run(_inside.set, self)

    def start(self, loop: VirtualLoop, main: Coroutine[Any, Any, T]) -> Task[T]:
        """Run a coroutine as a task of this process."""
        return loop.create_task(main, context=self._context.copy())

    def kill(self) -> None:
        """SIGKILL the process: none of its callbacks runs from now on."""
        self.alive = False
        self.held.clear()

    def set(self, variable: ContextVar[T], value: T) -> None:
        """Set a context variable for everything that the process starts from now on."""
        self._context.run(variable.set, value)

    def bury(self) -> None:
        """Close what was under way, so that nothing is reported as forgotten. Kills first."""
        self.kill()
        for task in self.tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]  # of CPython's own tasks
                _close(task)
        self.tasks.clear()


_inside: Final[ContextVar[Process | None]] = ContextVar("simulated_process", default=None)


def current_process() -> Process | None:
    """The process whose code is running; None in the world outside."""
    return _inside.get()


class _ProcessHandle(Handle):
    """A callback of a process."""

    __slots__ = ("_process",)
    _process: Process | None

    def _run(self) -> None:
        process = self._process
        if process is not None and _withheld(self, process):
            return
        super()._run()


class _ProcessTimer(TimerHandle):
    """A timer of a process."""

    __slots__ = ("_process",)
    _process: Process | None

    def _run(self) -> None:
        process = self._process
        if process is not None and _withheld(self, process):
            return
        super()._run()


def _withheld(handle: Handle, process: Process) -> bool:
    if not process.alive:
        return True
    if process.paused:
        process.held.append(handle)
    return process.paused


class _Selector(selectors.SelectSelector):
    """Moves time instead of waiting for it."""

    def __init__(self, start_s: float) -> None:
        super().__init__()
        self.now_s = start_s
        self._spins = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("nothing is ready and no timer is set")
        if timeout > 0:
            self.now_s += timeout
            self._spins = 0
        else:
            self._spins += 1
            if self._spins > SPINS_MAX:
                raise Livelock(f"{SPINS_MAX} iterations of the loop and time stands still")
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time is virtual and whose callbacks belong to processes."""

    _ready: deque[Handle]
    _scheduled: list[TimerHandle]
    _check_closed: Callable[[], None]

    def __init__(self, start_s: float = 0.0) -> None:
        self._virtual = _Selector(start_s)
        super().__init__(self._virtual)

    def time(self) -> float:
        """Virtual seconds."""
        return self._virtual.now_s

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> Handle:
        """As asyncio's, for the process of the context."""
        self._check_closed()
        context = copy_context() if context is None else context
        handle = _ProcessHandle(callback, args, self, context)
        handle._process = context.get(_inside)
        self._ready.append(handle)
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> TimerHandle:
        """As asyncio's, for the process of the context."""
        self._check_closed()
        context = copy_context() if context is None else context
        timer = _ProcessTimer(when, callback, args, self, context)
        timer._process = context.get(_inside)
        heappush(self._scheduled, timer)
        timer._scheduled = True  # type: ignore[attr-defined]  # as BaseEventLoop.call_at does
        return timer

    def create_task(self, coro: Coroutine[Any, Any, T], **options: Any) -> Task[T]:  # type: ignore[override]  # options as asyncio has them
        """As asyncio's; the process remembers it."""
        task = super().create_task(coro, **options)
        context = options.get("context")
        process = _inside.get() if context is None else context.get(_inside)
        if process is not None:
            process.tasks.append(task)
        return task

    def run_in_executor(self, executor: object, func: object, *args: object) -> NoReturn:
        """Refused: a thread would bring real time and real chance."""
        raise RuntimeError("there are no threads in a simulation")

    def resume(self, process: Process) -> None:
        """SIGCONT: what was held runs next, in the order in which it would have run."""
        process.paused = False
        held, process.held = process.held, []
        self._ready.extendleft(reversed(held))


def _close(task: Task[Any]) -> None:
    coroutine = task.get_coro()
    assert coroutine is not None
    for _ in range(CLOSINGS_MAX):
        try:
            coroutine.close()
        except Exception:
            continue  # a `finally` of it awaits, or raises
        return
