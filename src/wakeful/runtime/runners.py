"""Pooled tasks that lend their identity to turns which may suspend.

A turn's first step is driven at once, in the caller's stack, but under the identity of a parked
task (a runner) and in a context of its own. If it finishes there, no task was needed. If it
suspends, the runner goes on driving it. So `asyncio.timeout`, `TaskGroup` and context variables
in user code see one task and one context from beginning to end, and there is no task a message.

Source: DESIGN.md 3 ("if the actor is free, drive its coroutine at once").
"""

from __future__ import annotations

import asyncio
import types
from asyncio import CancelledError, Future
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from typing import Final

from wakeful.log import logger
from wakeful.runtime.activation import Turn, current
from wakeful.runtime.host_loop import HostLoop

PARKED_MAX: Final = 256
INLINE_DEPTH_MAX: Final = 16  # turns started inside each other's first step: a stack has an end
CANCELS_MAX: Final = 3  # a turn that does not end after these is abandoned
SUSPENDED: Final = object()

Work = Coroutine[object, object, object]
Finish = Callable[[Turn, object, "BaseException | None"], None]


class Runner:
    """A parked task that drives one turn at a time."""

    __slots__ = ("_context", "_first", "_pool", "_wake", "_work", "begun", "task", "turn")

    def __init__(self, pool: RunnerPool) -> None:
        self._pool = pool
        self.begun = False
        self.turn: Turn | None = None
        self._wake: Future[None] = pool.loop.future()
        self.task: asyncio.Task[None] = pool.loop.task(self._main())

    def _cancelled(self) -> bool:
        # A cancellation asked for and taken back is on its way all the same (before Python 3.13).
        return self.task.cancelling() > 0 or getattr(self.task, "_must_cancel", False)

    def interrupt(self) -> None:
        """Cancel the turn it drives, unless that is what is running right now."""
        # A task cancelled before its first step never runs, and its turn would never end:
        # such a runner finds out by itself that its turn is not wanted any more.
        if self.begun and asyncio.current_task(self._pool.loop.raw) is not self.task:
            self.task.cancel()

    def first_step(
        self, turn: Turn, work: Work, context: Context, caller: asyncio.Task[object] | None
    ) -> object:
        """Drive a turn until it ends or suspends.

        Returns:
            Its result, or SUSPENDED: then the runner goes on with it and will call finish.

        Raises:
            BaseException: what the turn raised in its first step.
        """
        loop, task = self._pool.loop.raw, self.task
        turn.runner = self
        if caller is not None:
            _leave_task(loop, caller)
        _enter_task(loop, task)
        try:
            yielded = context.run(_begin, turn, work)
        except StopIteration as stop:
            self._settle(turn)
            return stop.value
        except BaseException:
            self._settle(turn)
            raise
        finally:
            _leave_task(loop, task)
            if caller is not None:
                _enter_task(loop, caller)
        self._assign(turn, work, context, yielded)
        return SUSPENDED

    def take(self, turn: Turn, work: Work, context: Context) -> None:
        """Drive a whole turn from the next iteration of the loop on."""
        turn.runner = self
        self._assign(turn, work, context, SUSPENDED)

    def _assign(self, turn: Turn, work: Work, context: Context, first: object) -> None:
        self.turn, self._work, self._context, self._first = turn, work, context, first
        if not self._wake.done():
            self._wake.set_result(None)

    def _settle(self, turn: Turn) -> None:
        """Take the runner back from a turn that ended in its first step."""
        turn.runner = None
        if self._wake.done() or self._cancelled():  # by the code it was lent to
            self._pool.discard(self)
        else:
            self._pool.park(self)

    async def _main(self) -> None:
        self.begun = True
        while True:
            cancelled: CancelledError | None = None
            try:
                await self._wake
            except CancelledError as error:
                if self.turn is None:
                    return
                cancelled = error
            turn, work, context, first = self.turn, self._work, self._context, self._first
            assert turn is not None
            result: object = None
            raised: BaseException | None = None
            try:
                result = await _drive(turn, work, context, first, cancelled, loop=self._pool.loop)
            except BaseException as error:
                raised = error
            del work, context, first, cancelled
            turn.runner = self.turn = None
            del self._work, self._context, self._first
            if self._cancelled():
                self._pool.finish(turn, result, raised)
                return
            self._wake = self._pool.loop.future()
            self._pool.park(self)
            self._pool.finish(turn, result, raised)
            del turn, result, raised


class RunnerPool:
    """Parked runners, last in, first out.

    Args:
        finish: is called with each turn that has ended after it had suspended.
    """

    __slots__ = ("_all", "_depth", "_parked", "finish", "loop")

    def __init__(self, loop: HostLoop, finish: Finish) -> None:
        self.loop = loop
        self.finish = finish
        self._depth = 0
        self._parked: list[Runner] = []
        self._all: set[Runner] = set()

    def start(self, turn: Turn, work: Work, context: Context | None = None) -> object:
        """Drive a turn; its result, or SUSPENDED when `finish` will be called later.

        Args:
            turn: what is driven.
            work: its coroutine.
            context: its context variables; by default a copy of those of the code that asks.
        """
        runner = self._runner()
        if context is None:
            context = copy_context()
        if runner is None or self._depth >= INLINE_DEPTH_MAX:
            (runner or self._new()).take(turn, work, context)
            return SUSPENDED
        self._depth += 1
        try:
            return runner.first_step(turn, work, context, asyncio.current_task(self.loop.raw))
        finally:
            self._depth -= 1

    def park(self, runner: Runner) -> None:
        """Keep a runner for the next turn, or let it go when there are plenty."""
        if len(self._parked) < PARKED_MAX:
            self._parked.append(runner)
        else:
            self.discard(runner)

    def discard(self, runner: Runner) -> None:
        """Let a runner's task end."""
        runner.task.cancel()

    async def end(self, seconds: float, of: Callable[[Turn], bool]) -> list[Turn]:
        """Cancel interrupted turns, repeatedly where one cancellation is not enough.

        Returns:
            Those that do not end within the time.
        """
        for _ in range(CANCELS_MAX):
            tasks = [runner.task for runner in self._driving(of) if runner.begun]
            if not tasks:
                break
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=seconds / CANCELS_MAX)
            await asyncio.sleep(0)  # until the set knows
        left = [runner.turn for runner in self._driving(of) if runner.turn is not None]
        if left:
            log = logger()
            log.error("turns do not end although they are cancelled", count=len(left))
        return left

    def close(self) -> None:
        """End the runners that drive nothing."""
        self._parked.clear()
        for runner in self._all:
            if runner.turn is None:
                runner.task.cancel()

    def _driving(self, of: Callable[[Turn], bool]) -> list[Runner]:
        return [runner for runner in self._all if runner.turn is not None and of(runner.turn)]

    def _runner(self) -> Runner | None:
        while self._parked:
            runner = self._parked.pop()
            if not runner._wake.done():  # else it was cancelled while it was parked
                return runner
        return None

    def _new(self) -> Runner:
        runner = Runner(self)
        self._all.add(runner)
        self.loop.when_done(runner.task, lambda _: self._all.discard(runner))
        return runner


def _begin(turn: Turn, work: Work) -> object:
    current.set(turn)
    return work.send(None)


def _join(turn: Turn, work: Work) -> object:
    try:
        turn.join()
    except BaseException:
        turn.ended = True  # it has not run
        work.close()
        raise
    return _begin(turn, work)


def _let_in(
    turn: Turn, loop: HostLoop, *, begun: bool
) -> Generator[object, object, CancelledError | None]:
    """Wait for the end of a transaction that is not of this turn, if one is open.

    Args:
        turn: it is to begin, or to go on.
        loop: the loop.
        begun: it has begun; then a cancellation waits too, since its code has to end.

    Returns:
        A cancellation meanwhile.
    """
    cancelled: CancelledError | None = None
    while _barred(turn) and (begun or cancelled is None):
        assert turn.activation.transaction is not None
        try:
            yield from turn.activation.transaction.over(loop)
        except CancelledError as error:
            cancelled = error
    return cancelled


def _barred(turn: Turn) -> bool:
    transaction, plan = turn.activation.transaction, turn.plan
    return (
        transaction is not None
        and transaction.turn is not turn
        and turn.activation.life.cause is None
        and not (plan is not None and plan.gated)  # its steps have a gate of their own
    )


@types.coroutine
def _drive(
    turn: Turn,
    work: Work,
    context: Context,
    yielded: object,
    cancelled: CancelledError | None,
    *,
    loop: HostLoop,
) -> Generator[object, object, object]:
    """Forward what the turn's coroutine yields to the task, and what the task gets to it."""
    thrown: BaseException | None = None
    try:
        if yielded is SUSPENDED:
            if cancelled is None:
                cancelled = yield from _let_in(turn, loop, begun=False)
            if cancelled is not None or turn.cause is not None:
                turn.ended = True  # not wanted any more before it has begun
                work.close()
                raise cancelled or CancelledError
            yielded = context.run(_join, turn, work)
        elif cancelled is not None and not _cancel(yielded):
            yielded = context.run(work.throw, cancelled)
        turn.waited = True
        while True:
            thrown = None
            try:
                value = yield yielded
            except BaseException as error:
                thrown = error
            if turn.activation.transaction is not None:
                thrown = (yield from _let_in(turn, loop, begun=True)) or thrown
            if thrown is None:
                yielded = context.run(work.send, value)
            else:
                yielded = context.run(work.throw, thrown)
    except StopIteration as stop:
        return stop.value
    finally:
        thrown = cancelled = None  # no circle of an error and the frame that it has passed


def _cancel(awaited: object) -> bool:
    """Cancel what a turn waits for; False if it waits for nothing that can be cancelled."""
    return isinstance(awaited, Future) and awaited.cancel()
