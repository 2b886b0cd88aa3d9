"""A simulator that stays green against a broken protocol is itself broken: it must notice these.

Each variant replaces a piece of the runtime by one with a bug that one could make: a line
forgotten, two things in the wrong order, a number trusted. A few seeds must be enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest
from tests.sim.planted import Plant, Variants, caught

from wakeful.core.commit import GroupCommit
from wakeful.core.gates import InputGate
from wakeful.core.lease import Lease
from wakeful.core.write_buffer import WriteBuffer
from wakeful.errors import StorageError
from wakeful.ports import STATE_KEY, CommitRecord
from wakeful.runtime import delivery
from wakeful.runtime.activation import Activation, Turn
from wakeful.runtime.activator import Activator
from wakeful.runtime.catalog import Catalog
from wakeful.runtime.committer import Committer
from wakeful.runtime.declared import DeclaredState
from wakeful.runtime.delivery import Delivery
from wakeful.runtime.host import Host
from wakeful.runtime.lane import Lane
from wakeful.store import journal
from wakeful.testing.disk import FarSimStore, SimDisk

SEEDS_MAX: Final = 200
variant = Variants()


@variant
def reply_before_flush(patch: pytest.MonkeyPatch) -> None:
    """A held answer goes out at once."""

    def wait(commit: Any, gate: Any, ticket: Any) -> None:
        reply, value, error = ticket if type(ticket) is tuple else (ticket, None, None)
        if error is None:
            reply.set_result(value)
        else:
            reply.set_exception(error)

    def wrote_and_waits(commit: Any, gate: Any, ticket: Any) -> bool:
        wait(commit, gate, ticket)
        return bool(commit.wrote(gate))

    patch.setattr(GroupCommit, "wait", wait)
    patch.setattr(GroupCommit, "wrote_and_waits", wrote_and_waits)


@variant
def queued_reply_before_flush(patch: pytest.MonkeyPatch) -> None:
    """Only the answers of turns that have waited go out at once."""

    def deliver(committer: Any, activation: Any, reply: Any, value: Any, error: Any) -> None:
        if reply.done():
            return
        if error is None:
            reply.set_result(value)
        else:
            reply.set_exception(error)

    patch.setattr(Committer, "deliver", deliver)


@variant
def reads_are_not_gated(patch: pytest.MonkeyPatch) -> None:
    """An actor that has written in an earlier batch, not in this one, is taken for durable."""

    def pending(commit: GroupCommit[Any], gate: Any) -> bool:
        return bool(gate.batch == commit.collecting.number)

    patch.setattr(GroupCommit, "pending", pending)


@variant
def failure_taken_for_success(patch: pytest.MonkeyPatch) -> None:
    """What the store says of a batch is not looked at."""
    done = Lane._done
    patch.setattr(Lane, "_done", lambda lane, error: done(lane, None))


@variant
def activation_survives_failure(patch: pytest.MonkeyPatch) -> None:
    """After a failed batch the actor goes on with what is in memory."""

    def failed(commit: GroupCommit[Any], cause: StorageError) -> tuple[list[Any], list[Any]]:
        return [], commit.durable()

    patch.setattr(GroupCommit, "failed", failed)
    patch.setattr(Host, "_broken", lambda host, lane, activations, error: None)


@variant
def epoch_not_checked(patch: pytest.MonkeyPatch) -> None:
    """The store takes what an owner of an older epoch writes."""
    land = SimDisk.land

    def unfenced(
        disk: SimDisk, lane: int, records: Sequence[CommitRecord], epoch: int
    ) -> StorageError | None:
        for record in records:
            record.epoch = disk.epoch(lane)
        return land(disk, lane, records, disk.epoch(lane))

    patch.setattr(SimDisk, "land", unfenced)


@variant
def read_after_the_term(patch: pytest.MonkeyPatch) -> None:
    """What the store has confirmed once counts for ever."""
    patch.setattr(Lease, "renew", lambda lease, asked_ns: setattr(lease, "until_ns", 2**63))


@variant
def lane_confused(patch: pytest.MonkeyPatch) -> None:
    """All actors are taken for those of the first lane."""
    patch.setattr(Committer, "lane_of", lambda committer, shard: committer.lanes[0])


@variant
def pages_left_far(patch: pytest.MonkeyPatch) -> None:
    """An actor's first turn begins before its pages have come."""

    async def fetch(store: FarSimStore, actor: Any) -> None:
        pass

    patch.setattr(FarSimStore, "fetch", fetch)


@variant
def wake_up_dropped(patch: pytest.MonkeyPatch) -> None:
    """What waits for an activation that goes is forgotten with it."""

    def forget(life: Any, activation: Activation) -> None:
        life.catalog.remove(activation)
        if activation.mailbox is not None:
            activation.mailbox.drain()

    patch.setattr(Activator, "_forget", forget)


@variant
def turn_in_two_commits(patch: pytest.MonkeyPatch) -> None:
    """State goes with this record, storage with the next."""
    record = Activation.record

    def split(activation: Activation, *args: Any) -> CommitRecord:
        whole = record(activation, *args)
        held = getattr(activation.buffer, "held", {}) if activation.buffer is not None else {}
        kept = {key: whole.puts.pop(key) for key in list(whole.puts) if key != STATE_KEY}
        whole.puts.update(held)
        if activation.buffer is not None:
            activation.buffer.held = kept  # type: ignore[attr-defined]
        return whole

    patch.setattr("wakeful.runtime.activation.WriteBuffer", _OpenWriteBuffer)
    patch.setattr(Activation, "record", split)


class _OpenWriteBuffer(WriteBuffer):
    """A write buffer that may be given another attribute."""


@variant
def rollback_forgotten(patch: pytest.MonkeyPatch) -> None:
    """An exception undoes nothing."""
    patch.setattr(Activation, "undo", lambda activation: None)


@variant
def rollback_of_state_only(patch: pytest.MonkeyPatch) -> None:
    """An exception undoes the declared state, not what is in storage."""
    patch.setattr(WriteBuffer, "undo", lambda buffer, mark=0: None)


@variant
def rollback_of_storage_only(patch: pytest.MonkeyPatch) -> None:
    """An exception undoes storage, not the declared state."""

    def undo(activation: Activation) -> None:
        if activation.buffer is not None:
            activation.buffer.undo()

    patch.setattr(Activation, "undo", undo)


@variant
def load_before_settle(patch: pytest.MonkeyPatch) -> None:
    """The next activation does not wait for the writes of the lost one."""
    patch.setattr(Activator, "_forget_when_settled", Activator._forget)


@variant
def sleep_while_something_is_owed(patch: pytest.MonkeyPatch) -> None:
    """An actor may go to sleep while its turns run."""
    patch.setattr(Activation, "quiet", lambda activation: True)


@variant
def lost_activation_answers(patch: pytest.MonkeyPatch) -> None:
    """A discarded activation's turns are not interrupted, and what they save is written."""
    patch.setattr(Turn, "interrupt", lambda turn, cause: None)
    conclude = Delivery._conclude

    def heedless(delivery: Delivery, turn: Turn, result: Any, error: Any) -> None:
        life = turn.activation.life
        cause, life.cause = life.cause, None
        broken, turn.activation.gate.broken = turn.activation.gate.broken, None
        conclude(delivery, turn, result, error)
        life.cause, turn.activation.gate.broken = cause, broken

    patch.setattr(Delivery, "_conclude", heedless)


@variant
def snapshot_is_old(patch: pytest.MonkeyPatch) -> None:
    """A turn's changes are noticed, but not taken over into what is written."""

    def heedless(save: Callable[[DeclaredState], bool]) -> Callable[[DeclaredState], bool]:
        def stale(declared: DeclaredState) -> bool:
            before = declared._snapshot[:]
            changed = save(declared)
            declared._snapshot = before
            return changed

        return stale

    for name in ("save", "commit"):
        patch.setattr(DeclaredState, name, heedless(getattr(DeclaredState, name)))


@variant
def two_activations_at_once(patch: pytest.MonkeyPatch) -> None:
    """An actor that is not active is woken a second time."""
    find = Activator.find

    def impatient(life: Activator, actor_type: Any, actor: Any) -> Activation:
        activation = life.catalog.actors.get(actor)
        if activation is not None and not activation.free and not activation.turns:
            life.catalog.actors.pop(actor)
        return find(life, actor_type, actor)

    patch.setattr(Activator, "find", impatient)


@variant
def turns_overlap(patch: pytest.MonkeyPatch) -> None:
    """The input gate lets everything in."""
    patch.setattr(InputGate, "admits", lambda gate, **_: gate.broken is None)


@variant
def asks_before_flush(patch: pytest.MonkeyPatch) -> None:
    """A call to another actor leaves before the caller's writes are durable."""

    async def commit_point(committer: Committer, activation: Activation) -> None:
        if activation.durable and activation.save():
            committer.wrote(activation)

    patch.setattr(Committer, "commit_point", commit_point)


@variant
def deletion_keeps_everything(patch: pytest.MonkeyPatch) -> None:
    """A deletion is written as a record like any other."""
    record = Activation.record

    def unwiped(activation: Activation, *args: Any) -> CommitRecord:
        whole = record(activation, *args)
        whole.wipe = False
        return whole

    patch.setattr(Activation, "record", unwiped)


@variant
def torn_row_is_read(patch: pytest.MonkeyPatch) -> None:
    """Recovery does not look at a row's checksum."""
    patch.setattr(journal, "_checksum", lambda seq, blob: 0)


@variant
def catalog_forgets_the_busy(patch: pytest.MonkeyPatch) -> None:
    """Over its limit the catalog drops an activation without putting it to sleep."""

    def make_room(catalog: Any) -> bool:
        for activation in list(catalog.actors.values()):
            catalog.remove(activation)
            return True
        return False

    patch.setattr(Catalog, "_make_room", make_room)


@variant
def refusal_passes_after_a_commit_point(patch: pytest.MonkeyPatch) -> None:
    """An error that says "nothing happened" is passed on by a turn of which something stands."""
    patch.setattr(delivery, "of_turn", lambda turn, error: error)


@variant
def store_is_opened_again_while_a_batch_is_on_its_way(patch: pytest.MonkeyPatch) -> None:
    """One lane's failure does not wait for what the others have written."""

    async def settled(committer: Committer) -> None:
        if not any(lane.ownership.lost for lane in committer.lanes):
            await all_settled(committer)

    all_settled = Committer.settled
    patch.setattr(Committer, "settled", settled)


@pytest.mark.parametrize("plant", variant, ids=lambda plant: plant.__name__)
def test_planted_bug_is_caught(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    assert caught(plant, monkeypatch, SEEDS_MAX), plant.__doc__
