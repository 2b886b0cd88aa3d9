"""Turns that may suspend, and the pooled tasks that lend them their identity.

A turn's first step is driven at once, in the caller's stack, but under the identity of a parked
task (a runner) and in a context of its own. If it finishes there, no task was needed. If it
suspends, the runner goes on driving it. So `asyncio.timeout`, `TaskGroup` and context variables
in user code see one task and one context from beginning to end, and there is no task a message.

Source: DESIGN.md 3 ("if the actor is free, drive its coroutine at once").
"""

from __future__ import annotations

import asyncio
import types
from asyncio import AbstractEventLoop, CancelledError, Future
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from typing import Final

from wakeful.actor_type import MethodPlan
from wakeful.errors import ActivationAborted, WakefulError
from wakeful.runtime.activation import Activation

PARKED_MAX: Final = 256
SUSPENDED: Final = object()


class Turn:
    """One delivered message being handled by code that may suspend.

    Attributes:
        what: what it does, for messages: a method's name, or "background work".
        holds: it holds the actor's input gate (background work does not).
        cause: why it was interrupted, if it was.
    """

    __slots__ = (
        "activation",
        "cause",
        "ended",
        "error",
        "holds",
        "plan",
        "reply",
        "result",
        "runner",
        "what",
    )

    def __init__(self, activation: Activation, what: str, plan: MethodPlan | None = None) -> None:
        self.activation = activation
        self.what = what
        self.plan = plan
        self.holds = plan is not None
        self.ended = False
        self.cause: WakefulError | None = None
        self.reply: Future[object] | None = None
        self.runner: Runner | None = None
        self.result: object = None
        self.error: BaseException | None = None

    def interrupt(self, cause: WakefulError) -> None:
        """Stop the turn from outside; it is undone and its caller gets the cause."""
        if self.ended or self.cause is not None:
            return
        self.cause = cause
        if self.runner is not None and current.get() is not self:
            self.runner.task.cancel()


current: Final[ContextVar[Turn | None]] = ContextVar("wakeful_turn", default=None)

Work = Coroutine[object, object, object]
Finish = Callable[[Turn, object, "BaseException | None"], None]


class Runner:
    """A parked task that drives one turn at a time."""

    __slots__ = ("_context", "_first", "_pool", "_turn", "_wake", "_work", "task")

    def __init__(self, pool: RunnerPool) -> None:
        self._pool = pool
        self._turn: Turn | None = None
        self._wake: Future[None] = pool.loop.create_future()
        self.task: asyncio.Task[None] = pool.loop.create_task(self._main())

    def first_step(self, turn: Turn, work: Work, caller: asyncio.Task[object] | None) -> object:
        """Drive a turn until it ends or suspends.

        Returns:
            Its result, or SUSPENDED: then the runner goes on with it and will call finish.

        Raises:
            BaseException: what the turn raised in its first step.
        """
        loop, task = self._pool.loop, self.task
        context = copy_context()
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
        self._turn, self._work, self._context, self._first = turn, work, context, first
        if not self._wake.done():
            self._wake.set_result(None)

    def _settle(self, turn: Turn) -> None:
        """The turn ended in its first step: the runner was only lent."""
        turn.runner = None
        if self.task.cancelling():
            # Its own code has cancelled it: the runner is spent.
            self._pool.discard(self)
        else:
            self._pool.park(self)

    async def _main(self) -> None:
        while True:
            cancelled: CancelledError | None = None
            try:
                await self._wake
            except CancelledError as error:
                if self._turn is None:
                    return
                cancelled = error
            turn, work, context, first = self._turn, self._work, self._context, self._first
            assert turn is not None
            result: object = None
            raised: BaseException | None = None
            try:
                result = await _drive(turn, work, context, first, cancelled)
            except BaseException as error:
                raised = error
            del work, context, first, cancelled
            self._park_again()
            self._pool.finish(turn, result, raised)
            del turn, result, raised

    def _park_again(self) -> None:
        while self.task.cancelling():
            self.task.uncancel()
        assert self._turn is not None
        self._turn.runner = None
        self._turn = None
        del self._work, self._context, self._first
        self._wake = self._pool.loop.create_future()
        self._pool.park(self)


class RunnerPool:
    """Parked runners, last in, first out."""

    __slots__ = ("_all", "_parked", "finish", "loop")

    def __init__(self, loop: AbstractEventLoop, finish: Finish) -> None:
        self.loop = loop
        self.finish = finish
        self._parked: list[Runner] = []
        self._all: set[Runner] = set()

    def start(self, turn: Turn, work: Work) -> object:
        """Drive a turn; its result, or SUSPENDED when `finish` will be called later."""
        if self._parked:
            caller = asyncio.current_task(self.loop)
            return self._parked.pop().first_step(turn, work, caller)
        runner = Runner(self)
        self._all.add(runner)
        context = copy_context()
        runner.take(turn, work, context)
        return SUSPENDED

    def park(self, runner: Runner) -> None:
        """Keep a runner for the next turn, or let it go when there are plenty."""
        if len(self._parked) < PARKED_MAX:
            self._parked.append(runner)
        else:
            self.discard(runner)

    def discard(self, runner: Runner) -> None:
        """Let a runner's task end."""
        self._all.discard(runner)
        runner.task.cancel()

    async def close(self) -> None:
        """End all parked runners, and interrupted turns with them."""
        tasks = [runner.task for runner in self._all]
        self._parked.clear()
        self._all.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _begin(turn: Turn, work: Work) -> object:
    current.set(turn)
    return work.send(None)


@types.coroutine
def _drive(
    turn: Turn, work: Work, context: Context, yielded: object, cancelled: CancelledError | None
) -> Generator[object, object, object]:
    """Forward what the turn's coroutine yields to the task, and what the task gets to it."""
    try:
        if yielded is SUSPENDED:
            yielded = context.run(_begin, turn, work)
        if cancelled is not None:
            yielded = context.run(work.throw, _what_to_throw(turn, cancelled))
        while True:
            try:
                value = yield yielded
            except CancelledError as error:
                yielded = context.run(work.throw, _what_to_throw(turn, error))
            except BaseException as error:
                yielded = context.run(work.throw, error)
            else:
                yielded = context.run(work.send, value)
    except StopIteration as stop:
        return stop.value


def _what_to_throw(turn: Turn, error: CancelledError) -> BaseException:
    from_abort = turn.cause is not None and turn.activation.life.cause is turn.cause
    return ActivationAborted(turn.cause) if from_abort and turn.cause else error
