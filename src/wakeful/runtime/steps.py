"""Steps: what a turn that shares its actor does between two waits is kept, or undone, as a whole.

A turn that is alone holds its changes until its next commit point, and an exception undoes all of
them. While other turns run beside it (`@interleave`), or background work, several change the same
state. Then each step is a unit of its own:

    where a turn waits that has turns beside it, what it has changed is saved as one record;
    when a turn joins one that waits, or background work goes on beside it, what the waiting turn
    has changed until then is saved as its step;
    when a turn or a task fails, its running step is undone, and nothing else;
    a step that cannot be saved is undone, and its turn ends with the reason;
    no step of another turn begins while a transaction is open.

Tasks that a stepped turn makes (gather, TaskGroup) are stepped too. While one of its steps runs,
and only then, the loop has a task factory that sees them made: a step never suspends, so no code
of others is running meanwhile.

Invariants: what is changed and not saved belongs to one turn: the one whose step runs, or the only
            one there is; it is that of a transaction while one is open.
Source:     the steps of workerd's events (io-gate.h), as in `runtime.gated`; DESIGN.md 9.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, CancelledError, Future, Task
from collections.abc import Callable, Coroutine
from contextvars import Context
from enum import Enum, auto
from types import TracebackType
from typing import Any, Self

from wakeful.core.lifecycle import ActivationState
from wakeful.errors import StateInvalid, WakefulError
from wakeful.runtime.activation import Turn, current, holder, keep
from wakeful.runtime.host_loop import HostLoop

Work = Coroutine[Any, Any, Any]


class Role(Enum):
    """What kind of work the steps belong to."""

    TURN = auto()  # a turn: the runtime ends it
    BACKGROUND = auto()  # what `wait_until` was given
    TASK = auto()  # a task that one of them has made


class Steps:
    """Makes the work of turns go step by step.

    Args:
        loop: the loop.
    """

    __slots__ = ("_before", "_factory", "_turn", "loop")

    def __init__(self, loop: HostLoop) -> None:
        self.loop = loop
        self._turn: Turn | None = None  # the one whose step runs
        self._before: Any = None  # the loop's task factory outside of our steps
        self._factory = self._make

    def of(self, turn: Turn, work: Work) -> Work:
        """The work of a turn, step by step."""
        return Stepped(self, turn, work, Role.TURN)

    def of_background(self, turn: Turn, work: Work) -> Work:
        """Background work, step by step; how it ends is saved, or undone, when it ends."""
        return Stepped(self, turn, work, Role.BACKGROUND)

    def run(self, turn: Turn, step: Callable[[Any], object], given: object) -> object:
        """Run one step of a turn; tasks that it makes are stepped too."""
        loop, factory = self.loop.raw, self._factory
        before: Any = loop.get_task_factory()
        outer = self._turn, self._before
        self._turn = turn
        if before is not factory:  # else this step runs inside of another one
            self._before = before
            loop.set_task_factory(factory)
        try:
            return step(given)
        finally:
            self._turn, self._before = outer
            if before is not factory and loop.get_task_factory() is factory:
                loop.set_task_factory(before)  # unless the step has set another one

    def _make(self, loop: AbstractEventLoop, work: Any, **options: Any) -> Any:
        context: Context | None = options.get("context")
        turn = current.get() if context is None else context.get(current)
        # Inside of the step a turn of another kind may run, of an actor that it asks.
        if turn is None or turn is not self._turn or not asyncio.iscoroutine(work):
            return self._made(loop, work, options)
        child = Stepped(self, turn, work, Role.TASK)
        child.nested = True  # an eager task's first step is part of the step that makes it
        try:
            return self._made(loop, child, options)
        finally:
            child.nested = False

    def _made(self, loop: AbstractEventLoop, work: Any, options: dict[str, Any]) -> Any:
        if self._before is not None:
            return self._before(loop, work, **options)
        return Task(work, loop=loop, **options)


class Stepped(Coroutine[Any, Any, Any]):
    """A coroutine around another one: each step of that begins and ends with what is saved."""

    __slots__ = (
        "_activation",
        "_kept",
        "_refused",
        "_role",
        "_steps",
        "_turn",
        "_work",
        "nested",
    )

    def __init__(self, steps: Steps, turn: Turn, work: Work, role: Role) -> None:
        self.nested = False
        self._steps = steps
        self._turn = turn
        self._activation = turn.activation
        self._work = work
        self._role = role
        self._refused = False
        self._kept: tuple[object, BaseException | None] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)  # its name, code and frame, for those who look at tasks

    def __await__(self) -> Self:
        return self

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> object:
        return self._go_on(None, None)

    def send(self, value: Any) -> Any:
        """Go on with what it waited for."""
        return self._go_on(value, None)

    def throw(
        self,
        kind: type[BaseException] | BaseException,
        error: BaseException | object = None,
        trace: TracebackType | None = None,
    ) -> Any:
        """Go on with an error."""
        if not isinstance(error, BaseException):
            error = kind if isinstance(kind, BaseException) else kind()
        return self._go_on(None, error)

    def close(self) -> None:
        """Close the coroutine: its turn does not go on."""
        self._work.close()

    def _go_on(self, value: object, thrown: BaseException | None) -> object:
        if self._kept is not None:
            (value, before), self._kept = self._kept, None
            thrown = thrown or before
        if self._refused:
            self._refused, thrown = False, thrown or CancelledError()
        if self._activation.transaction is not None and self._barred():
            self._kept = value, thrown
            return self._transaction_over()
        if self._beside():
            self._put_aside()
        work = self._work
        try:
            yielded = (
                self._steps.run(self._turn, work.send, value)
                if thrown is None
                else self._steps.run(self._turn, work.throw, thrown)
            )
        except BaseException as error:
            self._ended(error)
            raise
        if not self._beside() or self._waits():
            return yielded
        self._refused = True
        return yielded if _cancel(yielded) else self._go_on(None, None)

    # --- transactions ----------------------------------------------------------------------------

    def _barred(self) -> bool:
        """Whether a transaction is open that is not of this turn."""
        transaction = self._activation.transaction
        return (
            transaction is not None
            and transaction.turn is not self._turn
            and self._activation.life.cause is None
            and not self.nested
        )

    def _transaction_over(self) -> object:
        assert self._activation.transaction is not None
        return next(iter(self._activation.transaction.over(self._steps.loop)))

    # --- what is saved ---------------------------------------------------------------------------

    def _counts(self) -> bool:
        """Whether what is changed is to be looked at: the actor runs, and keeps something."""
        activation = self._activation
        return (
            activation.durable
            and activation.life.state is ActivationState.ACTIVE
            and activation.life.cause is None
            and activation.transaction is None
            and not self.nested
        )

    def _beside(self) -> bool:
        """Whether other turns may change the same state while this one waits."""
        turn, activation = self._turn, self._activation
        if turn.ended:
            return True  # it is a task that was left behind
        if turn.holds:
            return len(activation.turns) > 1
        return bool(activation.turns) or len(activation.background or ()) > 1

    def _put_aside(self) -> None:
        """Save what is not of the step that begins: what a turn that waits holds."""
        if not self._counts():
            return
        held_by = holder(self._activation, self._turn)
        try:
            keep(self._turn.home, self._activation, held_by)
        except Exception as error:
            self._refuse(held_by or self._turn, error)

    def _waits(self) -> bool:
        """The step has ended with a wait beside others: save it; False if that is refused."""
        return not self._counts() or self._keep()

    def _keep(self) -> bool:
        if self._turn.cause is not None:  # it is being ended: what it still does is undone
            self._activation.undo()
            return True
        try:
            self._turn.keep()
        except Exception as error:
            self._refuse(self._turn, error)
            return False
        return True

    def _ended(self, error: BaseException) -> None:
        """The work has ended; a turn's last step is ended by the runtime."""
        if self._role is Role.TURN or not self._counts():
            return
        if self._role is Role.BACKGROUND:
            if not isinstance(error, StopIteration):
                self._activation.undo()
            elif not self._keep() or self._turn.cause is not None:
                assert self._turn.cause is not None, "a step that is refused is the turn's end"
                raise self._turn.cause
        elif self._beside():
            if isinstance(error, StopIteration | CancelledError):
                self._keep()
            else:
                self._activation.undo()

    def _refuse(self, turn: Turn, error: Exception) -> None:
        self._activation.undo()
        turn.interrupt(error if isinstance(error, WakefulError) else StateInvalid(repr(error)))


def _cancel(awaited: object) -> bool:
    """Cancel what a turn waits for; False if it waits for nothing that can be cancelled."""
    return isinstance(awaited, Future) and awaited.cancel()
