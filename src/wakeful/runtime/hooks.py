"""Hooks under way: `on_activate` and `on_deactivate`, each in a task of its activation's own."""

from __future__ import annotations

import asyncio
from asyncio import Future, Task
from collections.abc import Callable, Coroutine, Iterator

from wakeful.runtime.activation import Activation, Turn, current
from wakeful.runtime.committer import Committer
from wakeful.runtime.host_loop import HostLoop

Work = Coroutine[object, object, None]


class Hooks:
    """Runs hooks.

    Args:
        home: whose turns they are.
        ended: is called when a hook has ended.
    """

    __slots__ = ("_ended", "_home", "_loop", "_tasks")

    def __init__(self, loop: HostLoop, home: Committer, ended: Callable[[], None]) -> None:
        self._loop = loop
        self._home = home
        self._ended = ended
        self._tasks: dict[Activation, Task[None]] = {}

    def __iter__(self) -> Iterator[Activation]:
        return iter(self._tasks)

    def task_of(self, activation: Activation) -> Task[None] | None:
        """The task of an activation's hook, if it has one."""
        return self._tasks.get(activation)

    def start(self, activation: Activation, work: Work) -> None:
        """Do in a task what an activation does on its way up or down."""
        task = self._loop.task(work)
        self._tasks[activation] = task

        def ended(task: Future[None]) -> None:
            if self._tasks.get(activation) is task:
                del self._tasks[activation]
            work.close()  # in case it was cancelled before it began
            self._ended()

        self._loop.when_done(task, ended)

    def cancel(self, activation: Activation) -> None:
        """Cancel what an activation does there, unless that is what is running right now."""
        task = self._tasks.get(activation)
        if task is not None and task is not asyncio.current_task(self._loop.raw):
            task.cancel()

    async def run(self, activation: Activation, name: str, work: Work) -> None:
        """Run a hook as a turn."""
        turn = Turn(self._home, activation, name)
        before = current.get()
        current.set(turn)
        try:
            await work
        finally:
            turn.ended = True
            current.set(before)
