"""Group commit of one lane: collects what a loop iteration wrote, hands batches to the store.

A ticket is a future, or a future with its outcome; nothing leaves an actor before its ticket is
released.

Invariants: at most one batch of a lane is on its way; one that fails concerns no other lane.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, Union, cast

from wakeful.core.commit import GroupCommit
from wakeful.core.gates import OutputGate
from wakeful.errors import OwnershipLost, StorageClosed, StorageError, UnknownOutcome, again
from wakeful.ports import AGENDA_KEY, CommitRecord, LaneInfo, Store, due_of
from wakeful.runtime.host_loop import HostLoop
from wakeful.runtime.ownership import Ownership

Outcome = tuple["Future[object]", object, "BaseException | None"]
Ticket = Union["Future[object]", Outcome]  # most callers know their answer and wait for a sign
Broken = Callable[["Lane", Sequence[OutputGate], StorageError], None]
AlarmSet = Callable[[int], None]


class Writer(Protocol):
    """The owner of a gate: an activation."""

    def record(self, epoch: int) -> CommitRecord:
        """Everything it has saved since the last record, as one."""


class Lane:
    """The loop's side of group commit for the actors of one lane.

    Attributes:
        number: which lane.
        ownership: whether this node owns it.
        lease: that of the ownership: the epoch its batches carry, and until when it is known.
        commit: who has written, and who waits.
        batches: handed to the store so far.
        records: in those batches.

    Args:
        loop: the loop.
        store: where batches go.
        info: what the store says of the lane.
        broken: gets the gates whose owners' writes are lost, those of a batch in one call.
        alarm_set: gets the earliest time when agendas that have changed become durable.
        now_ns: a clock that only ever grows.
    """

    __slots__ = (
        "_alarm_set",
        "_alarms_due",
        "_asked_ns",
        "_broken",
        "_idle",
        "_loop",
        "_scheduled",
        "_store",
        "batches",
        "commit",
        "lease",
        "number",
        "ownership",
        "records",
    )

    def __init__(
        self,
        loop: HostLoop,
        store: Store,
        info: LaneInfo,
        *,
        broken: Broken,
        alarm_set: AlarmSet,
        now_ns: Callable[[], int],
    ) -> None:
        self.number = info.number
        self.ownership = Ownership(
            loop,
            store,
            info,
            now_ns=now_ns,
            on_failed=lambda error: broken(self, (), error),
            on_idle=self._tell_idle,
        )
        self.lease = self.ownership.lease
        self.commit: GroupCommit[Ticket] = GroupCommit()
        self.batches = 0
        self.records = 0
        self._loop = loop
        self._store = store
        self._broken = broken
        self._alarm_set = alarm_set
        self._scheduled = False
        self._alarms_due: list[int] = []
        self._asked_ns = 0  # when the batch in flight was handed to the store
        self._idle: list[Future[None]] = []

    def wrote(self, gate: OutputGate) -> None:
        """An activation has saved something: it goes with the batch being collected."""
        if self.commit.wrote(gate) and not self._scheduled:
            self._schedule()

    def wrote_and_waits(self, gate: OutputGate, durable: Future[object]) -> None:
        """`wrote`, and a future that is done when that is durable."""
        if self.commit.wrote_and_waits(gate, durable) and not self._scheduled:
            self._schedule()

    def wrote_unconfirmed(self, gate: OutputGate) -> None:
        """`wrote`, but nothing that leaves the actor waits for it."""
        if self.commit.wrote_unconfirmed(gate) and not self._scheduled:
            self._schedule()

    async def durable(self, gate: OutputGate) -> None:
        """Return when all that an activation has saved is durable, and what it has read was right.

        Raises:
            StorageError: that will never be durable, or this node does not own it.
        """
        if gate.broken is None and gate.batch != self.commit.collecting.number:
            await self.ownership.proven(self.ownership.now_ns())
        await self.written(gate)

    async def written(self, gate: OutputGate) -> None:
        """Return when all that an activation has saved is durable, whoever owns the lane by then.

        Raises:
            StorageError: that will never be durable.
        """
        if gate.batch > self.commit.settled:
            done: Future[object] = self._loop.future()
            self.commit.wait(gate, done)
            await done
        elif gate.broken is not None:
            raise gate.broken

    async def confirmed(self, gate: OutputGate) -> None:
        """Return when all that an activation has saved and wants confirmed is durable.

        Raises:
            StorageError: that will never be durable, or this node does not own it.
        """
        if gate.broken is None and not self.commit.joins(gate):
            await self.ownership.proven(self.ownership.now_ns())
        if self.commit.holds(gate):
            done: Future[object] = self._loop.future()
            self.commit.wait_confirmed(gate, done)
            await done
        elif gate.broken is not None:
            raise gate.broken

    def deliver(
        self,
        gate: OutputGate,
        reply: Future[object],
        value: object,
        error: BaseException | None,
        *,
        confirm: bool,
    ) -> None:
        """Give a future its outcome; a confirmed one only once all that it reveals is durable.

        A batch that is being collected will prove as well that what was read was right.
        """
        at_ns = self.ownership.now_ns() if confirm else -1
        if not confirm or self.lease.held(at_ns) or self.commit.joins(gate):
            self._reveal(gate, reply, value, error, confirm=confirm)
        else:
            reveal = partial(self._reveal, gate, reply, value, error, confirm=True)
            proven = partial(self._proven, reveal, reply, self.commit.pending(gate))
            self.ownership.when_proven(at_ns, proven)

    def _proven(
        self,
        reveal: Callable[[], None],
        reply: Future[object],
        wrote: bool,
        failure: StorageError | None,
    ) -> None:
        if failure is None:
            reveal()
        elif wrote:
            unknown = UnknownOutcome(f"what was written may be durable, or lost: {failure}")
            unknown.__cause__ = failure
            _resolve(reply, None, unknown)
        else:
            _resolve(reply, None, failure)

    def _reveal(
        self,
        gate: OutputGate,
        reply: Future[object],
        value: object,
        error: BaseException | None,
        *,
        confirm: bool,
    ) -> None:
        if confirm and gate.batch > self.commit.settled and self.commit.holds(gate):
            self.commit.wait_confirmed(gate, (reply, value, error))
        elif gate.broken is not None:
            _resolve(reply, None, gate.broken)
        else:
            _resolve(reply, value, error)

    @property
    def busy(self) -> bool:
        """Whether a batch is being collected or in flight, or an answer waits for the store."""
        flying = self.commit.in_flight is not None
        return flying or bool(self.commit.collecting.writers) or self.ownership.busy

    async def settled(self) -> None:
        """Return when no batch is being collected or in flight, and no answer waits."""
        if self.busy:
            idle: Future[None] = self._loop.future()
            self._idle.append(idle)
            await idle

    def reacquire(self, epoch: int) -> None:
        """Let the lane be written again, under a newer epoch."""
        assert not self.busy, "a batch of the old epoch is on its way"
        self.ownership.reacquire(epoch)

    def _schedule(self) -> None:
        if self.commit.in_flight is None:
            self._scheduled = True
            self._loop.soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        batch = self.commit.take()
        if batch is None:
            self._tell_idle()
            return
        epoch = self.lease.epoch
        try:
            records = [cast("Writer", gate.owner).record(epoch) for gate in batch.writers]
            self._alarms_due = [
                due_of(cell)
                for record in records
                if AGENDA_KEY in record.puts and (cell := record.puts[AGENDA_KEY]) is not None
            ]
            self.batches += 1
            self.records += len(records)
            self._asked_ns = self.ownership.now_ns()
            self._store.commit(self.number, records, partial(self._answered, batch.number))
        except StorageError as error:
            self._loop.soon(self._done, error)
        except Exception as error:  # a bug of ours or of the store must not leave callers waiting
            lost = UnknownOutcome(f"the batch could not be handed to the store: {error!r}")
            lost.__cause__ = error
            self._loop.soon(self._done, lost)

    def abandon(self) -> None:
        """Stop waiting for the store: fail what still waits, and ignore a later answer.

        Acknowledged writes are durable; the outcome of the batch in flight is unknown.
        """
        if self.commit.in_flight is not None:
            self._failed(UnknownOutcome("the runtime was closed before the store had answered"))
        if self.commit.take() is not None:
            self._failed(StorageClosed("the runtime was closed before this was written"))
        self.ownership.abandon()
        self._tell_idle()

    def _answered(self, batch: int, error: StorageError | None) -> None:
        """Handle the store's answer, which may come in any context."""
        if batch > self.commit.settled:
            self._loop.run(self._done, error)

    def _done(self, error: StorageError | None) -> None:
        if error is None:
            self.ownership.confirm(self._asked_ns)
            if self._alarms_due:
                self._alarm_set(min(self._alarms_due))
            for ticket in self.commit.durable():
                if isinstance(ticket, tuple):
                    _resolve(*ticket)
                elif not ticket.done():
                    ticket.set_result(None)
        else:
            self._failed(error)
        if self.commit.collecting.writers:
            self._schedule()
        else:
            self._tell_idle()

    def _failed(self, error: StorageError) -> None:
        if isinstance(error, OwnershipLost):
            self.ownership.lose(error)
        gates, lost = self.commit.failed(error)
        for ticket in lost:
            reply = ticket[0] if isinstance(ticket, tuple) else ticket
            _resolve(reply, None, again(error))
        self._broken(self, gates, error)

    def _tell_idle(self) -> None:
        if self.commit.in_flight is None:
            idle, self._idle = self._idle, []
            for future in idle:
                _resolve(cast("Future[object]", future), None, None)


def _resolve(reply: Future[object], value: object, error: BaseException | None) -> None:
    if reply.done():
        return
    if error is None:
        reply.set_result(value)
    else:
        reply.set_exception(error)
