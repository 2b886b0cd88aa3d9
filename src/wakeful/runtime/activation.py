"""One in-memory incarnation of an actor: its instance, its gates, and what it has not saved yet.

Invariants: `free` is exactly: active, input gate free, nothing queued, nothing to be sent,
            and neither stopping nor draining. It is cached because every message asks; only
            `refresh` sets it.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Mapping
from contextvars import Context, copy_context
from typing import TYPE_CHECKING

from wakeful.actor_type import ActorType, MethodPlan
from wakeful.core.alarms import AlarmRun
from wakeful.core.gates import InputGate, OutputGate, Section
from wakeful.core.idle import NOWHERE
from wakeful.core.lifecycle import ActivationState, Lifecycle
from wakeful.core.mailbox import Mailbox
from wakeful.core.waits import Wait
from wakeful.core.write_buffer import WriteBuffer
from wakeful.errors import ActorAborted, LimitExceeded, Overloaded, again
from wakeful.ids import ActorId
from wakeful.ports import NO_PAGES, STATE_KEY, Cells, CommitRecord, Database

if TYPE_CHECKING:
    from wakeful.actor import Actor
    from wakeful.runtime.socket import Effect
    from wakeful.runtime.transaction import Transaction
    from wakeful.runtime.turn import Turn
    from wakeful.state import Snapshot


class Envelope:
    """One call that waits in a mailbox, with the context variables of its caller.

    Attributes:
        turn: the turn that runs it, once it has been started.
    """

    __slots__ = ("args", "context", "kwargs", "plan", "reply", "turn", "wait")

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
        self.turn: Turn | None = None
        self.args = args
        self.kwargs = kwargs
        self.reply = reply
        self.wait = wait
        self.context = context or copy_context()


class Activation:
    """An actor in memory. Slots only: there may be a hundred thousand of them."""

    __slots__ = (
        "alarm",
        "background",
        "bucket",
        "buffer",
        "confirm",
        "draining",
        "durable",
        "effects",
        "free",
        "gate",
        "id",
        "idle_ns",
        "input",
        "instance",
        "life",
        "mailbox",
        "schema",
        "seq",
        "shard",
        "snapshot",
        "sql",
        "stale",
        "stopping",
        "transaction",
        "turns",
        "type",
        "used_ns",
        "wiped",
    )

    instance: Actor
    snapshot: Snapshot

    def __init__(self, actor_type: ActorType, actor: ActorId, shard: int) -> None:
        self.type = actor_type
        self.id = actor
        self.schema = actor_type.schema  # that of the type may change when facets come and go
        self.durable = actor_type.persistence is not None
        self.confirm = actor_type.persistence is not None and actor_type.persistence.confirm
        self.idle_ns = actor_type.lifetime.idle_ns if actor_type.lifetime is not None else 0
        self.shard = shard
        self.stale = False
        self.stopping = False
        self.draining = False  # it takes no new calls
        self.free = False
        self.input = InputGate()
        self.gate = OutputGate(self)
        self.life = Lifecycle()
        self.mailbox: Mailbox[Envelope] | None = None
        self.buffer: WriteBuffer | None = None
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
        schema, attributes = self.schema, vars(instance)
        stored = cells.pop(STATE_KEY, None)
        self.snapshot = schema.fresh(attributes)
        if cells:
            self.buffer = WriteBuffer(cells)
        type(instance).__init__(instance, *args)
        if stored is not None:
            self.snapshot = schema.load(stored, attributes)
        self.instance = instance

    def check_here(self) -> None:
        """Refuse what code of an activation that has gone still asks for.

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

    def writes(self) -> WriteBuffer:
        """The buffer of user cells, made when first needed."""
        if self.buffer is None:
            self.buffer = WriteBuffer({})
        return self.buffer

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
        """Whether other turns, or work in the background, change the same state meanwhile."""
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
        sql, buffer, schema = self.sql, self.buffer, self.schema
        if buffer is None and sql is None and not schema.grows:  # most turns of most actors
            if schema.capture(self.instance.__dict__, self.snapshot):
                self.stale = True
                return True
            return False
        if sql is not None:
            sql.prepare()
        touched = buffer is not None and buffer.touched
        if not touched and not schema.grows:
            changed = schema.capture(self.instance.__dict__, self.snapshot)
        else:
            before = self.snapshot[:]
            changed = schema.capture(self.instance.__dict__, self.snapshot)
            if touched or changed:
                try:
                    self._check_size()
                except LimitExceeded:
                    self.snapshot[:] = before
                    raise
        if changed:
            self.stale = True  # the stored state, until the next record
        if buffer is not None and touched:
            buffer.commit_point()
        if sql is not None and sql.save():
            changed = True
        return changed or touched

    def stand(self) -> None:
        """What the turns under way have done so far is committed, whatever becomes of them."""
        for turn in self.turns:
            turn.stands = True

    def unsaved(self) -> bool:
        """Whether something has changed since the last commit point."""
        touched = self.buffer is not None and self.buffer.touched
        touched = touched or (self.sql is not None and self.sql.touched)
        touched = touched or self.effects is not None
        return touched or self.schema.changed(vars(self.instance), self.snapshot)

    def undo(self) -> None:
        """Back to the last commit point."""
        if self.buffer is not None:
            self.buffer.undo()
        if self.sql is not None:
            self.sql.undo()
        self.schema.restore(vars(self.instance), self.snapshot)
        self.take_back(0)

    def take_back(self, kept: int) -> None:
        """Undo what was to be sent, but the first so many effects."""
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
        """Let go of what a sleeping actor needs no more, whoever may still hold a ref to it."""
        del self.instance, self.snapshot
        if self.sql is not None:
            self.sql.close()
        self.buffer = self.mailbox = self.sql = None

    def record(self, epoch: int) -> CommitRecord:
        """Everything saved since the last record, as one."""
        self.seq += 1
        puts: dict[str, bytes | None] = {}
        pages = NO_PAGES
        if not self.wiped:
            if self.buffer is not None:
                puts = self.buffer.take()
            if self.stale:
                puts[STATE_KEY] = self.schema.encode(self.snapshot)
                self.stale = False
            if self.sql is not None:
                pages = self.sql.take()
        actor = self.id
        return CommitRecord(
            actor.type, actor.name, self.shard, epoch, self.seq, self.wiped, puts, pages
        )

    def open_section(self) -> Section:
        """Open a critical section: nothing else is delivered until it is closed."""
        section = self.input.open_section()
        self.free = False
        return section

    def _check_size(self) -> None:
        persistence = self.type.persistence
        if persistence is None:
            return
        kept_bytes = self.buffer.size_bytes if self.buffer is not None else 0
        limit_bytes = persistence.state_bytes_max
        if kept_bytes + self.schema.bytes_max(self.snapshot) <= limit_bytes:
            return
        kept_bytes += len(self.schema.encode(self.snapshot))
        if kept_bytes > limit_bytes:
            raise LimitExceeded(
                f"{self.id} would keep {kept_bytes} bytes; its limit is {limit_bytes} "
                "(DurabilityConfig.state_bytes_max)"
            )
