"""Gated turns: events of one object that interleave at every await, each step through its gate.

A native actor handles one message to its end. A Worker's object does not: whenever code of it
waits for something outside, other events may run. What holds instead:

    no step begins while a critical section is open that it is not part of: neither an event, nor
    a task that user code has made in one, nor either of them going on after an await;
    what a step has written is committed as one record when it suspends or ends;
    nothing is undone when an event raises; a reset throws away the object and what its running
    step has written;
    what leaves the object waits until all that its steps have written is durable.

So that tasks of user code keep to this, the loop has a task factory: `gated_tasks`.

Invariants: a section is a member of the one its work was opened in; a task belongs to the sections
            of the code that made it; calls leave an object in the order they were made.
Source:     workerd io-gate.h and io-context.h; Cloudflare docs on input and output gates.
"""

from __future__ import annotations

import asyncio
import types
from asyncio import CancelledError, Future, Task
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final, TypeVar, cast

from wakeful.actor import ActorContext
from wakeful.actor_type import MethodPlan
from wakeful.core.gates import Section
from wakeful.core.lifecycle import ActivationState
from wakeful.errors import ActivationAborted, ActorAborted, Overloaded, WakefulError
from wakeful.log import logger
from wakeful.ports import Database
from wakeful.runtime.activation import Activation, Turn, current
from wakeful.runtime.alarm_face import AlarmFace
from wakeful.runtime.context import Context as OwnContext
from wakeful.runtime.services import Services
from wakeful.runtime.sockets import Sockets

V = TypeVar("V")
Work = Coroutine[Any, Any, Any]

CONFIRMED: Final = 1
UNCONFIRMED: Final = 2

inside: Final[ContextVar[Gated | None]] = ContextVar("wakeful_gated", default=None)
section_of: Final[ContextVar[Section | None]] = ContextVar("wakeful_section", default=None)


class GatedPlan(MethodPlan):
    """A way to deliver events to a gated actor: arguments as they are, and nothing is answered."""

    __slots__ = ()
    gated = True

    def __init__(self, name: str, function: Callable[..., Work]) -> None:
        self.name = name
        self.calls = 0
        self.function = function
        self.straight = self.readonly = self.urgent = self.required = False
        self.interleave = True
        self.parameters = ()
        self.positional = 0
        self.result_types = frozenset((type(None),))

    def copy_arguments(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        """The arguments themselves: the sender of an event has copied what is in it."""
        return args, dict(kwargs)


class _Opening:
    """A critical section that is to be opened, or is."""

    __slots__ = ("_within", "context", "section")

    def __init__(self, within: Section | None) -> None:
        self._within = within
        self.context = copy_context()
        self.section: Section | None = None

    def parent(self) -> Section | None:
        """The open section that the code which asked for it is part of."""
        section = self._within
        while section is not None and section.closed:
            section = section.parent
        return section


class Gated:
    """The gates of one activation, as its code passes them step by step.

    Attributes:
        owner: the object whose code it is, for those who made it.
        loop: schedules what is not the object's own code.
        before_commit: called before each commit.
        writes: which kinds of writes there were since: CONFIRMED, UNCONFIRMED, or both.
    """

    __slots__ = (
        "_activation",
        "_committer",
        "_companion",
        "_host",
        "_joined",
        "_leaving",
        "_openings",
        "_scheduled",
        "_stepping",
        "_waiting",
        "_wiped",
        "before_commit",
        "loop",
        "owner",
        "writes",
    )

    def __init__(self, host: Services, activation: Activation, owner: object) -> None:
        self.owner = owner
        self.before_commit: Callable[[], None] = _nothing
        self.writes = 0
        self._companion: tuple[str, bytes] | None = None
        self._joined = True
        self._wiped = False
        self._host = host
        self._activation = activation
        self._committer = host.committer
        self.loop = host.loop
        self._leaving = asyncio.Lock()
        self._openings: list[_Opening] = []
        self._scheduled = False
        self._stepping = 0
        self._waiting: deque[Future[None]] = deque()

    @property
    def activation(self) -> Activation:
        """Whose gates these are."""
        return self._activation

    @property
    def database(self) -> Database:
        """The SQL database of the object, made when first needed."""
        return self._host.database(self._activation)

    @property
    def alarm(self) -> AlarmFace:
        """The alarm of the object."""
        return AlarmFace(self._activation, self._host.clock)

    @property
    def sockets(self) -> Sockets:
        """The sockets of all objects."""
        return self._host.sockets

    # --- running -----------------------------------------------------------------------------

    def enter(self) -> None:
        """The code that runs from here on, in this context, is an event of the object."""
        inside.set(self)
        section_of.set(None)

    def construct(self, make: Callable[[], V]) -> V:
        """Make the object. Nothing is delivered before tasks begun there have had their first step.

        It is made in the host's context: it is not the caller's whose event comes first.

        Raises:
            Exception: the constructor raised; the caller resets the object, with what was written.
        """
        context = self.loop.context()
        context.run(current.set, current.get())
        return context.run(self._construct, make)

    def _construct(self, make: Callable[[], V]) -> V:
        section = self._activation.open_section()
        inside.set(self)
        section_of.set(section)
        self._stepping += 1
        try:
            made = make()
        finally:
            self._stepping -= 1
            section_of.set(None)
            if self._activation.background:
                self.loop.soon(self._close, section)
            else:
                self._close(section)
        self.commit()
        return made

    def used(self) -> None:
        """Note that an event has ended: the object's idle time starts now."""
        self._activation.used_ns = self._host.clock.monotonic_ns()

    @types.coroutine
    def steps(self, work: Work) -> Generator[Any, Any, Any]:
        """Drive work step by step, each through the gate, and commit what each has written."""
        value: object = None
        thrown: BaseException | None = None
        while True:
            if not self._admits():
                thrown = (yield from self._wait()) or thrown
            try:
                yielded = self._step(work, value, thrown)
            except StopIteration as stop:
                return stop.value
            value = thrown = None
            try:
                value = yield yielded
            except GeneratorExit:
                work.close()
                raise
            except BaseException as error:
                thrown = error

    def _step(self, work: Work, value: object, thrown: BaseException | None) -> object:
        cause = self._activation.life.cause
        if cause is not None and (thrown is None or isinstance(thrown, CancelledError)):
            thrown = ActivationAborted(cause)
        self._stepping += 1
        try:
            yielded: object = work.send(value) if thrown is None else work.throw(thrown)
        finally:
            self._stepping -= 1
            self.commit()
        cause = self._activation.life.cause
        if cause is not None:
            work.close()  # code of an object that is gone does not run on
            raise ActivationAborted(cause)
        return yielded

    def _admits(self) -> bool:
        gate = self._activation.input
        if gate.broken is not None or gate.innermost is None:
            return True
        section = section_of.get()
        return section is not None and section.within(gate.innermost)

    def _wait(self) -> Generator[Any, None, CancelledError | None]:
        """Wait for the gate; a cancellation meanwhile is kept for when it opens."""
        cancelled: CancelledError | None = None
        while not self._admits():
            waiting: Future[None] = self.loop.future()
            self._waiting.append(waiting)
            try:
                yield from waiting
            except CancelledError as error:
                cancelled = error
        return cancelled

    # --- committing --------------------------------------------------------------------------

    def touch(self, *, confirmed: bool = True) -> None:
        """Note a write, to be committed when the step ends.

        Args:
            confirmed: what leaves the object waits until it is durable.
        """
        self.writes |= CONFIRMED if confirmed else UNCONFIRMED
        if not self._stepping and not self._scheduled:
            # By a callback, which is not a step: committed in this iteration of the loop.
            self._scheduled = True
            self.loop.soon(self._commit_scheduled)

    def commit(self) -> None:
        """Commit what was written since the last commit, as one record."""
        activation = self._activation
        if (
            activation.transaction is not None
            or activation.life.state is not ActivationState.ACTIVE
        ):
            return
        try:
            self.before_commit()
            if not self._joined:
                self._join()
            confirmed = self.writes != UNCONFIRMED or _touches(activation.sql)
            self.writes = 0
            if activation.durable and activation.save():
                if confirmed:
                    self._committer.wrote(activation)
                else:
                    self._committer.wrote_unconfirmed(activation)
        except WakefulError as error:
            self.reset(error)
        if activation.effects is not None:
            self._committer.release(activation)
            activation.refresh()

    def accompany(self, key: str, cell: bytes) -> None:
        """Store a cell with the first thing that the object stores, unless it is there."""
        buffer = self._activation.buffer
        self._companion = key, cell
        self._joined = buffer is not None and buffer.get(key) is not None

    def wiped(self) -> None:
        """Note that all stored cells are deleted, the accompanying one too."""
        if self._companion is not None and self._activation.buffer is not None:
            self._activation.buffer.delete(self._companion[0])
            self._joined = False
        self._wiped = True

    def _join(self) -> None:
        here = self._activation
        buffer, agenda, sql = here.buffer, here.agenda, here.sql
        stores = buffer is not None and buffer.touched and bool(buffer.cells)
        owes = agenda is not None and agenda.touched and bool(agenda.entries)
        if (stores or owes or (_touches(sql) and not self._wiped)) and self._companion is not None:
            here.writes().put(*self._companion)
            self._joined = True
        self._wiped = False

    def _commit_scheduled(self) -> None:
        self._scheduled = False
        self.commit()

    # --- leaving -----------------------------------------------------------------------------

    async def depart(self) -> None:
        """Return when what was written up to here is durable, so that something may leave.

        Raises:
            StorageError: it will not be.
        """
        await self._after(self._committer.confirmed)

    async def sync(self) -> None:
        """Return when all that was written up to here is durable, unconfirmed writes too.

        Raises:
            StorageError: it will not be.
        """
        await self._after(self._committer.durable)

    async def _after(self, durable: Callable[[Activation], Awaitable[None]]) -> None:
        self.commit()
        # Not in this code: it may have to wait for a section while other events leave.
        await self.loop.task(self._departed(durable))

    async def _departed(self, durable: Callable[[Activation], Awaitable[None]]) -> None:
        async with self._leaving:
            await durable(self._activation)

    def send(self, post: Callable[[], Future[V]]) -> Task[V]:
        """Post something once it may leave, after what was sent before; its answer."""
        return self.loop.task(self._send(post), outside())

    async def _send(self, post: Callable[[], Future[V]]) -> V:
        async with self._leaving:
            await self._committer.confirmed(self._activation)
            if self._activation.life.cause is not None:
                raise CancelledError  # uncommitted changes of the step are dropped
            reply = post()
        return await reply

    # --- sections ----------------------------------------------------------------------------

    def in_section(
        self, work: Callable[[], Awaitable[V]], ended: Callable[[Future[V]], object] | None = None
    ) -> Task[V]:
        """Run work in a critical section, a task of it.

        The section opens at once, or right after the section that other code has open now.

        Args:
            work: makes what is awaited there.
            ended: is called with the task, before those that wait for the section go on.
        """
        opening = _Opening(section_of.get())
        self._openings.append(opening)
        self._open_next()
        task = self.loop.task(_run(work), opening.context)
        if ended is not None:
            self.loop.when_done(task, ended)
        self.loop.when_done(task, lambda _: self._leave(opening))
        return task

    def _open_next(self) -> None:
        """Open the next waiting section, if no section is open except its parents."""
        for opening in self._openings:
            if opening.parent() is self._activation.input.innermost:
                self._openings.remove(opening)
                opening.section = self._activation.open_section()
                opening.context.run(section_of.set, opening.section)
                return

    def _leave(self, opening: _Opening) -> None:
        if opening.section is not None:
            self._close(opening.section)
        else:
            self._openings.remove(opening)

    def _close(self, section: Section) -> None:
        activation = self._activation
        activation.input.close_section(section)
        self._open_next()
        waiting, self._waiting = self._waiting, deque()
        for future in waiting:
            if not future.done():
                future.set_result(None)
        self.loop.soon(self._host.delivery.pump, activation)

    # --- ending ------------------------------------------------------------------------------

    def reset(self, cause: WakefulError) -> None:
        """Throw the object away, with what its running step has written."""
        self.loop.run(self._host.discard, self._activation, cause)

    def keep_awake(self, work: Awaitable[object]) -> Task[None]:
        """The object stays awake until work has ended; how it ends is only logged.

        Raises:
            Overloaded: the object has too much such work already.
        """
        try:
            self._activation.check_background(self._host.config.limits.background)
        except Overloaded:
            if asyncio.iscoroutine(work):
                work.close()
            raise
        context = copy_context()
        context.run(inside.set, self)
        return self.loop.task(self._kept(work), context)

    async def _kept(self, work: Awaitable[object]) -> None:
        try:
            await work
        except (Exception, SystemExit) as error:
            log = logger()
            log.error("waitUntil failed", actor=str(self._activation.id), exc_info=error)

    # --- tasks of user code ------------------------------------------------------------------

    def adopt(self, work: Work) -> Work:
        """Wrap the work of a task made by user code, so that its steps pass the gate."""
        if self._activation.life.state is ActivationState.GONE:
            work.close()
            cause = self._activation.life.cause or ActorAborted(f"{self._activation.id} is gone")
            raise ActivationAborted(cause)
        return self._child(work)

    def own(self, task: Task[Any], work: Work) -> None:
        """The object stays awake until a task of it has ended."""
        activation = self._activation
        if activation.background is None:
            activation.background = set()
        background = activation.background
        background.add(task)

        def ended(task: Future[Any]) -> None:
            background.discard(task)
            work.close()  # in case it was cancelled before it began
            if activation.life.state is ActivationState.ACTIVE:
                self._host.delivery.pump(activation)

        self.loop.when_done(task, ended)

    async def _child(self, work: Work) -> object:
        turn = Turn(self._committer, self._activation, "background work")
        turn.holds = False
        current.set(turn)
        try:
            return await self.steps(work)
        except ActivationAborted:
            raise CancelledError from None
        except SystemExit as error:  # asyncio would let it end the loop, and all other actors
            raise RuntimeError(f"{error!r} was raised in a task") from error
        finally:
            turn.ended = True


def _touches(database: Database | None) -> bool:
    return database is not None and database.touched


def _nothing() -> None:
    """Nothing is to be done before a commit."""


async def _run(work: Callable[[], Awaitable[V]]) -> V:
    return await work()


def gates_of(ctx: ActorContext, owner: object) -> Gated:
    """The gates of the activation that a context belongs to."""
    own = cast("OwnContext", ctx)
    return Gated(own.host, own.activation, owner)


def outside() -> Context:
    """The context of the running code, for what is not the object's own code."""
    context = copy_context()
    context.run(inside.set, None)
    context.run(section_of.set, None)
    return context
