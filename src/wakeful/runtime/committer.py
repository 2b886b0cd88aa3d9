"""When what actors did is committed, and who waits for it; `lane` hands it to the store."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable

from wakeful.errors import CallError, Fenced, StorageError
from wakeful.ports import Store, StoreInfo
from wakeful.runtime.activation import Activation, current, in_transaction
from wakeful.runtime.host_loop import HostLoop
from wakeful.runtime.lane import AlarmSet, Broken, Lane


class Committer:
    """The commit points of a runtime's turns.

    Attributes:
        lanes: those that this node owns.
        release: lets out what an activation wants to send, at its commit points.

    Args:
        loop: the loop.
        store: where batches go.
        info: what the store says of itself.
        broken: gets the gates whose owners' writes are lost, those of a batch in one call.
        alarm_set: gets the earliest time when agendas that have changed become durable.
        now_ns: a clock that only ever grows.
        release: lets out what an activation wants to send, at its commit points.
    """

    def __init__(
        self,
        loop: HostLoop,
        store: Store,
        info: StoreInfo,
        *,
        broken: Broken,
        alarm_set: AlarmSet,
        now_ns: Callable[[], int],
        release: Callable[[Activation], None],
    ) -> None:
        self.lanes = [
            Lane(loop, store, lane, broken=broken, alarm_set=alarm_set, now_ns=now_ns)
            for lane in info.lanes
        ]
        self._of_shard: list[Lane | None] = [None] * info.shards
        for lane, opened in zip(self.lanes, info.lanes, strict=True):
            for shard in range(opened.first, opened.last + 1):
                self._of_shard[shard] = lane
        self._loop = loop
        self.release = release

    def lane_of(self, shard: int) -> Lane:
        """The lane of a shard.

        Raises:
            Fenced: it is another node's.
        """
        lane = self._of_shard[shard]
        if lane is None:
            raise Fenced(f"shard {shard} is not owned here")
        return lane

    @property
    def lost(self) -> StorageError | None:
        """Why this node has lost a lane that it opened, for good or for a time, or None."""
        lost = (lane.ownership.lost for lane in self.lanes)
        return next((error for error in lost if error is not None), None)

    def owns_nothing(self) -> bool:
        """Whether all lanes are lost."""
        return all(lane.ownership.lost is not None for lane in self.lanes)

    async def owned(self) -> None:
        """Return when the store has confirmed that this node owns all its lanes now.

        Raises:
            OwnershipLost: it does not.
            StorageError: that cannot be found out now.
        """
        for lane in self.lanes:
            await lane.ownership.proven(lane.ownership.now_ns())

    def wrote(self, activation: Activation) -> None:
        """An activation has saved something: it goes with the batch being collected."""
        activation.lane.wrote(activation.gate)

    def wrote_unconfirmed(self, activation: Activation) -> None:
        """`wrote`, but nothing that leaves the actor waits for it."""
        activation.lane.wrote_unconfirmed(activation.gate)

    def pending(self, activation: Activation) -> bool:
        """Whether something that the activation saved is not durable yet."""
        return activation.lane.commit.pending(activation.gate)

    def withholds(self, activation: Activation) -> bool:
        """Whether the answer to the last call of an activation has to wait for the store."""
        lane = activation.lane
        return activation.confirm and (
            activation.used_ns >= lane.lease.until_ns or lane.commit.pending(activation.gate)
        )

    async def durable(self, activation: Activation) -> None:
        """Return when all that the activation has saved is durable, and what it has read was right.

        Raises:
            StorageError: that will never be durable, or this node does not own it.
        """
        if activation.durable:
            await activation.lane.durable(activation.gate)

    async def written(self, activation: Activation) -> None:
        """Return when all that the activation has saved is durable, whoever owns it by then.

        Raises:
            StorageError: that will never be durable.
        """
        await activation.lane.written(activation.gate)

    async def confirmed(self, activation: Activation) -> None:
        """Return when all that the activation has saved and wants confirmed is durable.

        Raises:
            StorageError: that will never be durable.
        """
        await activation.lane.confirmed(activation.gate)

    async def commit_point(self, activation: Activation) -> bool:
        """Commit what a turn has done so far; return when others may see it.

        Returns:
            Whether it has changed something since its last commit point.

        Raises:
            CallError: the code that asks is a transaction's.
            StateInvalid, LimitExceeded: what it has done cannot be kept.
            StorageError: it will not be durable.
            WakefulError: the activation has gone; its cause.
        """
        while activation.transaction is not None:
            if in_transaction(activation):
                raise CallError(
                    f"{activation.id}: inside a transaction nothing can leave the actor; "
                    "call other actors before or after it"
                )
            await activation.transaction.over(self._loop)
        activation.check_here()
        saved = activation.durable and activation.save()
        if saved:
            self.wrote(activation)
            if (turn := current.get()) is not None:
                turn.note_saved()
        if activation.effects is not None:
            self.release(activation)
        if activation.confirm:
            await self.durable(activation)
        return saved

    def deliver(
        self,
        activation: Activation,
        reply: Future[object],
        value: object,
        error: BaseException | None,
    ) -> None:
        """Give a future its outcome, once it reveals nothing that is not durable yet."""
        activation.lane.deliver(activation.gate, reply, value, error, confirm=activation.confirm)

    async def settled(self) -> None:
        """Return when no batch is being collected or in flight."""
        while any(lane.busy for lane in self.lanes):
            for lane in self.lanes:
                await lane.settled()

    def abandon(self) -> None:
        """Stop waiting for the store: fail what still waits, and ignore a later answer.

        Acknowledged writes are durable; the outcome of the batches in flight is unknown.
        """
        for lane in self.lanes:
            lane.abandon()
