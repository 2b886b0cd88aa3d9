"""One in-memory incarnation of an actor: its instance, its gates, and what it has not saved yet.

Invariants: `free` is exactly: active, input gate free, nothing queued. It is cached because
            every message asks; only `refresh` sets it.
"""

from __future__ import annotations

from asyncio import Future, Task
from collections.abc import Mapping
from typing import TYPE_CHECKING

from wakeful.actor_type import ActorType, MethodPlan
from wakeful.core.gates import InputGate, OutputGate, Section
from wakeful.core.idle import NOWHERE
from wakeful.core.lifecycle import Lifecycle, State
from wakeful.core.mailbox import Mailbox
from wakeful.core.write_buffer import WriteBuffer
from wakeful.errors import LimitExceeded
from wakeful.ids import ActorId
from wakeful.ports import STATE_KEY, Cells, CommitRecord

if TYPE_CHECKING:
    from wakeful.actor import Actor
    from wakeful.runtime.turn import Turn
    from wakeful.state import Snapshot


class Envelope:
    """One call that waits in a mailbox."""

    __slots__ = ("args", "kwargs", "plan", "reply")

    def __init__(
        self,
        plan: MethodPlan,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        reply: Future[object],
    ) -> None:
        self.plan = plan
        self.args = args
        self.kwargs = kwargs
        self.reply = reply


class Activation:
    """An actor in memory. Slots only: there may be a hundred thousand of them."""

    __slots__ = (
        "background",
        "bucket",
        "buffer",
        "confirm",
        "durable",
        "free",
        "gate",
        "id",
        "idle_ns",
        "input",
        "instance",
        "life",
        "mailbox",
        "seq",
        "shard",
        "snapshot",
        "stale",
        "transactions",
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
        self.durable = actor_type.persistence is not None
        self.confirm = actor_type.persistence is not None and actor_type.persistence.confirm
        self.idle_ns = actor_type.lifetime.idle_ns if actor_type.lifetime is not None else 0
        self.shard = shard
        self.stale = False
        self.free = False
        self.input = InputGate()
        self.gate = OutputGate(self)
        self.life = Lifecycle()
        self.mailbox: Mailbox[Envelope] | None = None
        self.buffer: WriteBuffer | None = None
        self.background: set[Task[object]] | None = None
        self.turns: tuple[Turn, ...] = ()
        self.transactions = 0
        self.used_ns = 0
        self.bucket = NOWHERE
        self.seq = 0
        self.wiped = False

    def wake(self, instance: Actor, cells: Cells, args: tuple[object, ...]) -> None:
        """Fill the instance with defaults, its constructor, and what is stored; the last wins."""
        schema, attributes = self.type.schema, vars(instance)
        stored = cells.pop(STATE_KEY, None)
        self.snapshot = schema.fresh(attributes)
        type(instance).__init__(instance, *args)
        if stored is not None:
            self.snapshot = schema.load(stored, attributes)
        if cells:
            self.buffer = WriteBuffer(cells)
        self.instance = instance

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
        self.free = self.life.state is State.ACTIVE and self.input.free and not self.mailbox

    def quiet(self) -> bool:
        """Nothing is queued, running or owed by user code: it may sleep."""
        return self.free and not self.background

    def save(self) -> bool:
        """Make what the turn has changed part of the next record; whether there was anything.

        Raises:
            StateInvalid: a durable attribute holds what it must not; nothing was taken over.
            LimitExceeded: the actor would keep more than its limit.
        """
        changed = self.type.schema.capture(self.instance.__dict__, self.snapshot)
        if changed:
            self.stale = True  # the stored state, until the next record
        buffer = self.buffer
        if buffer is not None and buffer.touched:
            self._check_size(buffer)
            buffer.commit_point()
            changed = True
        return changed

    def undo(self) -> None:
        """Back to the last commit point."""
        if self.buffer is not None:
            self.buffer.undo()
        self.type.schema.restore(vars(self.instance), self.snapshot)

    def record(self, epoch: int) -> CommitRecord:
        """Everything saved since the last record, as one."""
        self.seq += 1
        puts: dict[str, bytes | None] = {}
        if not self.wiped:
            if self.buffer is not None:
                puts = self.buffer.take()
            if self.stale:
                puts[STATE_KEY] = self.type.schema.encode(self.snapshot)
                self.stale = False
        type_name, name = self.id
        return CommitRecord(type_name, name, self.shard, epoch, self.seq, self.wiped, puts)

    def open_section(self) -> Section:
        """Open a critical section: nothing else is delivered until it is closed."""
        section = self.input.open_section()
        self.free = False
        return section

    def _check_size(self, buffer: WriteBuffer) -> None:
        persistence = self.type.persistence
        if persistence is not None and buffer.size_bytes > persistence.state_bytes_max:
            raise LimitExceeded(
                f"{self.id} would keep {buffer.size_bytes} bytes; its limit is "
                f"{persistence.state_bytes_max} (DurabilityConfig.state_bytes_max)"
            )
