"""An actor in memory: its instance, its gates, its turns, and what it has not saved yet.

Invariants: `free` is exactly: active, input gate free, nothing queued, nothing to be sent,
            and neither stopping nor draining. It is cached because every message asks. Whoever
            takes one of these away may set it false; only `refresh` makes it true.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, cast

from wakeful.actor_type import ActorType, MethodPlan
from wakeful.core.agenda import Agenda
from wakeful.core.alarms import AlarmRun
from wakeful.core.gates import InputGate, OutputGate, Section
from wakeful.core.idle import NOWHERE
from wakeful.core.lifecycle import ActivationState, Lifecycle
from wakeful.core.mailbox import Mailbox
from wakeful.core.waits import Wait
from wakeful.core.working_set import WorkingSet
from wakeful.core.write_buffer import WriteBuffer
from wakeful.errors import (
    ActorAborted,
    LimitExceeded,
    Overloaded,
    Retry,
    WakefulError,
    again,
)
from wakeful.ids import ActorId
from wakeful.ports import AGENDA_KEY, NO_PAGES, STATE_KEY, Cells, CommitRecord, Database
from wakeful.runtime.declared import DeclaredState
from wakeful.runtime.host_loop import HostLoop
from wakeful.runtime.readonly import check_unchanged
from wakeful.runtime.transaction import Transaction, running

if TYPE_CHECKING:
    from wakeful.actor import Actor
    from wakeful.runtime.lane import Lane
    from wakeful.runtime.socket import Effect

V = TypeVar("V")


class Envelope:
    """One call that waits in a mailbox, with the context variables of its caller.

    Attributes:
        asker: the actor that makes the call, if one does.
        turn: the turn that runs it, once it has been started.
    """

    __slots__ = ("args", "asker", "context", "kwargs", "plan", "reply", "turn", "wait")

    def __init__(
        self,
        plan: MethodPlan,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        reply: Future[object],
        wait: Wait[ActorId, Turn] | None = None,
        *,
        context: Context | None = None,
    ) -> None:
        self.plan = plan
        self.asker: ActorId | None = None
        self.turn: Turn | None = None
        self.args = args
        self.kwargs = kwargs
        self.reply = reply
        self.wait = wait
        self.context = copy_context() if context is None else context


class Activation:
    """An actor in memory. Slots only: there may be a hundred thousand of them."""

    __slots__ = (
        *("agenda", "alarm", "background", "bucket", "buffer", "confirm", "declared"),
        *("draining", "durable", "effects", "free", "gate", "id", "idle_ns", "input"),
        *("instance", "lane", "life", "mailbox", "seq", "shard", "sql", "stepped"),
        *("stopping", "timed", "transaction", "turns", "type", "used_ns", "wiped"),
        "working",
    )

    declared: DeclaredState
    instance: Actor
    working: DeclaredState | WorkingSet[CommitRecord]

    def __init__(self, actor_type: ActorType, actor: ActorId, shard: int, lane: Lane) -> None:
        self.type = actor_type
        self.id = actor
        self.durable = actor_type.persistence is not None
        self.stepped = self.durable and actor_type.interleaves  # its turns go step by step
        self.confirm = actor_type.persistence is not None and actor_type.persistence.confirm
        self.idle_ns = actor_type.lifetime.idle_ns if actor_type.lifetime is not None else 0
        self.timed = self.idle_ns > 0 or self.confirm  # when it is used is noted
        self.shard = shard
        self.lane = lane
        self.stopping = False
        self.draining = False  # it takes no new calls
        self.free = False
        self.input = InputGate()
        self.gate = OutputGate(self)
        self.life = Lifecycle()
        self.mailbox: Mailbox[Envelope] | None = None
        self.buffer: WriteBuffer | None = None
        self.agenda: Agenda | None = None
        self.effects: list[Effect] | None = None
        self.sql: Database | None = None
        self.background: set[Future[object]] | None = None  # tasks, and what keeps it awake
        self.turns: tuple[Turn, ...] = ()
        self.transaction: Transaction | None = None
        self.used_ns = 0
        self.bucket = NOWHERE
        self.seq = 0
        self.wiped = False
        self.alarm: AlarmRun | None = None

    def wake(self, instance: Actor, cells: Cells, args: tuple[object, ...]) -> None:
        """Fill the instance with defaults, its constructor, and what is stored; the last wins."""
        stored = cells.pop(STATE_KEY, None)
        # The type's schema may change when facets come and go: an activation keeps its own.
        self.declared = self.working = DeclaredState(self.type.schema, instance)
        if self.declared.grows:
            self.working_set()
        if AGENDA_KEY in cells:
            self._keep_agenda(cells)
        if cells:
            self._keep_cells(cells)
        type(instance).__init__(instance, *args)
        if stored is not None:
            self.declared.load(stored)
        self.instance = instance

    def check_here(self) -> None:
        """Refuse a request from code whose activation has gone.

        Raises:
            WakefulError: why it has gone.
        """
        if self.life.cause is not None:
            raise again(self.life.cause)
        if self.life.state is ActivationState.GONE:
            raise ActorAborted(
                f"{self.id} has gone to sleep: work that goes on after a call belongs in "
                "ctx.wait_until(...), which keeps the actor awake"
            )

    def working_set(self) -> WorkingSet[CommitRecord]:
        """All parts of what the actor keeps; made when first needed (a small state needs none)."""
        if self.working is self.declared:
            self.working = WorkingSet((self.declared,), self._check_size)
        return cast("WorkingSet[CommitRecord]", self.working)

    def writes(self) -> WriteBuffer:
        """The buffer of user cells, made when first needed."""
        return self.buffer if self.buffer is not None else self._keep_cells({})

    def owed(self) -> Agenda:
        """What the actor owes, by due time; made when first needed."""
        return self.agenda if self.agenda is not None else self._keep_agenda({})

    def open_sql(self, database: Database) -> Database:
        """Give the activation a SQL database."""
        self.sql = database
        self.working_set().add(database)
        return database

    def queue(self, limit: int) -> Mailbox[Envelope]:
        """The mailbox, made when first needed."""
        if self.mailbox is None:
            self.mailbox = Mailbox(limit)
        return self.mailbox

    def refresh(self) -> None:
        """Work out `free` after anything it depends on has changed."""
        self.free = (
            self.life.state is ActivationState.ACTIVE
            and self.input.free
            and not self.mailbox
            and not self.background
            and self.effects is None
            and not self.stopping
            and not self.draining
        )

    def check_background(self, limit: int) -> None:
        """Refuse more work in the background than may run at once.

        Raises:
            Overloaded: as much runs already.
        """
        if self.background is not None and len(self.background) >= limit:
            raise Overloaded(f"{self.id} has {limit} tasks in the background (limits.background)")

    def shared(self) -> bool:
        """Whether other turns or background work may change the same state while this turn runs."""
        return bool(self.turns or self.background)

    def admits(self, plan: MethodPlan) -> bool:
        """Whether a turn of this method may start now."""
        return (
            self.life.state is ActivationState.ACTIVE
            and self.input.admits(interleave=plan.interleave)
            and (plan.interleave or not self.stopping)
        )

    def quiet(self) -> bool:
        """Nothing is queued, running or owed by user code: it may sleep."""
        rest = self.at_rest() and not self.mailbox
        return rest and self.effects is None and not self.stopping

    def at_rest(self) -> bool:
        """It is awake, and nothing is running or owed by user code, whatever is queued."""
        return self.life.state is ActivationState.ACTIVE and self.input.free and not self.background

    def save(self) -> bool:
        """Make what the turn has changed part of the next record; whether there was anything.

        Raises:
            StateInvalid: a durable attribute holds what it must not; nothing was taken over.
            LimitExceeded: the actor would keep more than its limit; nothing was taken over.
            SqlError: a constraint of its database is violated; nothing was taken over.
        """
        return self.working.save()

    def undo(self) -> None:
        """Undo all changes since the last commit point."""
        self.working.undo()
        self.take_back(0)

    def take_back(self, kept: int) -> None:
        """Undo effects that wait to be sent, except the first `kept` ones."""
        effects = self.effects
        if effects is None:
            return
        for effect in reversed(effects[kept:]):
            effect.undo()
        del effects[kept:]
        if not effects:
            self.effects = None
            self.refresh()

    def release(self) -> None:
        """Release what a sleeping actor does not need; the activation may still be referenced."""
        del self.instance, self.declared, self.working
        if self.sql is not None:
            self.sql.close()
        self.buffer = self.agenda = self.mailbox = self.sql = None

    def record(self, epoch: int) -> CommitRecord:
        """Everything saved since the last record, as one."""
        self.seq += 1
        (actor_type, name), wiped = self.id, self.wiped
        record = CommitRecord(actor_type, name, self.shard, epoch, self.seq, wiped, {}, NO_PAGES)
        if not wiped:
            self.working.take(record)
        return record

    def open_section(self) -> Section:
        """Open a critical section: nothing else is delivered until it is closed."""
        section = self.input.open_section()
        self.free = False
        return section

    def _keep_cells(self, cells: Cells) -> WriteBuffer:
        self.buffer = WriteBuffer(cells)
        self.working_set().add(self.buffer)
        return self.buffer

    def _keep_agenda(self, cells: Cells) -> Agenda:
        self.agenda = Agenda(cells)
        self.working_set().add(self.agenda)
        return self.agenda

    def _check_size(self) -> None:
        persistence, buffer, agenda = self.type.persistence, self.buffer, self.agenda
        touched = any(part is not None and part.touched for part in (buffer, agenda))
        if persistence is None or not (touched or self.declared.changes):
            return  # SQLite has its own limit
        kept_bytes = buffer.size_bytes if buffer is not None else 0
        kept_bytes += agenda.size_bytes if agenda is not None else 0
        limit_bytes = persistence.state_bytes_max
        if kept_bytes + self.declared.bytes_max <= limit_bytes:
            return
        kept_bytes += self.declared.size_bytes
        if kept_bytes > limit_bytes:
            raise LimitExceeded(
                f"{self.id} would keep {kept_bytes} bytes; its limit is {limit_bytes} "
                "(DurabilityConfig.state_bytes_max)"
            )


class Home(Protocol):
    """The committer of one runtime, as its turns use it."""

    def wrote(self, activation: Activation) -> None:
        """An activation has saved something."""

    def release(self, activation: Activation) -> None:
        """Let out what an activation wants to send."""

    async def commit_point(self, activation: Activation) -> bool:
        """Commit what a turn has done so far; return when others may see it."""


class Driver(Protocol):
    """What drives a turn that waits: a task of its own."""

    def interrupt(self) -> None:
        """Cancel the turn."""


class Turn:
    """One delivered message being handled by code that may suspend.

    Attributes:
        home: of the runtime it belongs to; there may be others in the process.
        what: what it does, for messages: a method's name, or "background work".
        asker: the actor that asks for it, if one does.
        holds: other turns wait until it has ended (not so for background work).
        cause: why it was interrupted, if it was.
        waited: turns beside it may have changed something since it began.
        acted: another actor was asked for something, and may have done it.
        left_for: the type and the method that was called when what it had changed was committed.
        saved: the batch that the first of its changes went with, before it has ended; 0 if none.
    """

    __slots__ = (
        "acted",
        "activation",
        "asker",
        "cause",
        "ended",
        "error",
        "holds",
        "home",
        "left_for",
        "plan",
        "reply",
        "result",
        "runner",
        "saved",
        "waited",
        "what",
    )

    def __init__(
        self, home: Home, activation: Activation, what: str, plan: MethodPlan | None = None
    ) -> None:
        self.home = home
        self.activation = activation
        self.what = what
        self.plan = plan
        self.asker: ActorId | None = None
        self.holds = True
        self.ended = False
        self.cause: WakefulError | None = None
        self.reply: Future[object] | None = None
        self.runner: Driver | None = None
        self.waited = False
        self.acted = False
        self.left_for: tuple[ActorType, MethodPlan] | None = None
        self.saved = 0
        self.result: object = None
        self.error: BaseException | None = None

    @property
    def for_caller(self) -> bool:
        """Whether somebody calls, or has begun what goes on in the background."""
        return self.plan.for_callers if self.plan is not None else not self.holds

    @property
    def stands(self) -> bool:
        """Whether something that it did cannot be undone: it is saved, or others did it."""
        broken, batch = self.activation.gate.broken, self.activation.gate.batch
        if broken is None or broken.retry is Retry.ONLY_IF_IDEMPOTENT:  # the batch may be there
            return self.acted or self.saved > 0
        return self.acted or 0 < self.saved < batch

    def note_saved(self) -> None:
        """Note that what it has changed until now goes with the batch being collected."""
        self.saved = self.saved or self.activation.gate.batch

    def keep(self) -> None:
        """Commit what is changed and not saved; all of it is of this turn.

        Raises:
            StateInvalid, LimitExceeded, SqlError: it cannot be kept; nothing was taken over.
        """
        activation, plan = self.activation, self.plan
        if activation.durable:
            if plan is not None and plan.readonly:
                check_unchanged(activation, plan.name)
            elif activation.save():
                self.home.wrote(activation)
                self.note_saved()
        if activation.effects is not None:
            self.home.release(activation)

    def join(self) -> None:
        """Begin a turn that had to wait: commit what the turn beside it has done until now.

        Raises:
            StateInvalid, LimitExceeded, SqlError: that cannot be kept.
        """
        activation = self.activation
        if activation.transaction is None and len(activation.turns) > 1:
            keep(self.home, activation, holder(activation, self))

    def interrupt(self, cause: WakefulError) -> None:
        """Stop the turn from outside; it is undone and its caller gets the cause."""
        if self.ended or self.cause is not None:
            return
        self.cause = cause
        if self.runner is not None:
            self.runner.interrupt()


current: Final[ContextVar[Turn | None]] = ContextVar("wakeful_turn", default=None)


def holder(activation: Activation, beside: Turn | None = None) -> Turn | None:
    """The turn that may hold changes while it waits: the only one, besides one that begins."""
    held_by = [turn for turn in activation.turns if turn is not beside]
    return held_by[0] if len(held_by) == 1 else None


def keep(home: Home, activation: Activation, held_by: Turn | None) -> None:
    """Commit what is changed and not saved, before a turn begins or goes on that it is not of.

    Args:
        home: the committer.
        activation: whose changes they are.
        held_by: the turn that holds them; None if no turn does.

    Raises:
        StateInvalid, LimitExceeded, SqlError: they cannot be kept; nothing was taken over.
    """
    if held_by is not None:
        held_by.keep()
        return
    if activation.durable and activation.save():
        home.wrote(activation)
    if activation.effects is not None:
        home.release(activation)


def in_transaction(activation: Activation) -> bool:
    """Whether the running code is the work of the transaction that is open."""
    return activation.transaction is not None and activation.transaction is running.get()


async def transact(loop: HostLoop, activation: Activation, work: Callable[[], Awaitable[V]]) -> V:
    """Run work as a transaction: if it raises, state and storage are as before."""
    while activation.transaction is not None and not in_transaction(activation):
        await activation.transaction.over(loop)
    working = activation.working_set()
    before, sent = working.mark(), len(activation.effects or ())
    transaction = Transaction(activation.transaction, current.get())
    activation.transaction = transaction
    outside = running.get()
    running.set(transaction)
    try:
        result = await work()
        working.release(before)
        return result
    except BaseException:
        working.undo(before)
        activation.take_back(sent)
        raise
    finally:
        running.set(outside)
        activation.transaction = transaction.parent
        transaction.close()
