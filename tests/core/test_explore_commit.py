"""Group commit in every order that two callers, two actors and a bad disk can bring about.

The machines are the real ones, wired as `wakeful.runtime.committer` and `activator` wire them.
A call is a turn in two steps: it writes (or only reads), and it ends and answers; turns may
overlap. The disk fails one batch, with or without having written it, one actor aborts, another
owner takes over. The bounds are small, the orders are all there: `STATES` says how many worlds
that makes.

Proven: an answer reveals only what is on disk; every call is answered once, and none waits when
nothing is under way that could answer it; nobody whose batch failed ever says "durable"; a new
activation begins when all that the one before has written is settled.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Final

import pytest
from tests.core.test_commit import (
    FailureBreaksNobody,
    FailureForgetsTheCollectingBatch,
    FailureLeavesTheBatchNumber,
    FailureLosesEverybodysTickets,
    NeverSettles,
    ReleasesTheCollectingBatchToo,
    TakesWhileOneIsInFlight,
    WaitsForTheBatchInFlight,
)

from wakeful.core.commit import CommitBatch, GroupCommit
from wakeful.core.gates import OutputGate
from wakeful.core.lease import Lease
from wakeful.errors import ActorAborted, Fenced, StorageError, StorageFull, UnknownOutcome
from wakeful.testing.explore import explore

PLANS: Final = {"x": ("writes a", "writes b"), "y": ("writes a", "reads b")}
STATES: Final[dict[tuple[str, ...], int]] = {
    (): 148,
    ("fails", "abort", "takeover"): 6660,
    ("fails after writing", "abort"): 1788,
}


class Activation:
    """What an actor is in memory: a number that each write makes larger.

    A record holds the writes since the record before, as a real one holds the cells that have
    changed: written on top of a record that was lost, it would leave a hole.
    """

    def __init__(self, actor: str, generation: int, value: int) -> None:
        self.actor = actor
        self.generation = generation
        self.value = value
        self.recorded = value
        self.on_disk = value
        self.gate = OutputGate(self)
        self.lost: Exception | None = None


class Call:
    """A caller's current call; `activation` is None before it has begun and after its answer."""

    def __init__(self, name: str, plan: tuple[str, ...]) -> None:
        self.name = name
        self.plan = plan
        self.activation: Activation | None = None
        self.running = False


Ticket = tuple[Call | Activation, int | Exception]


class CommitWorld:
    """Callers, actors, the machines between them, and a disk."""

    def __init__(
        self,
        plans: dict[str, tuple[str, ...]],
        faults: tuple[str, ...],
        subject: type[GroupCommit[Ticket]] = GroupCommit,
    ) -> None:
        self.commit = subject()
        self.lease = Lease(1, term_ns=1)
        self.lease.renew(0)  # it is looked at at 0 only: held until it is lost
        self.disk_epoch = 1
        self.disk = {"a": 0, "b": 0}
        self.writing: list[tuple[Activation, int, int]] = []
        self.catalog: dict[str, Activation] = {}
        self.generation = 0
        self.calls = [Call(name, plan) for name, plan in plans.items()]
        self.faults = list(faults)

    # --- what can happen

    def actions(self) -> dict[str, Callable[[], None]]:
        return dict([*self._callers(), *self._store(), *self._faults()])

    def _callers(self) -> Iterator[tuple[str, Callable[[], None]]]:
        for call in self.calls:
            if call.running:
                yield f"{call.name}'s turn ends", lambda call=call: self.end(call)
            elif call.activation is None and call.plan:
                verb, actor = call.plan[0].split()
                known = self.catalog.get(actor)
                if known is None or known.lost is None:  # else it waits for the next activation
                    yield f"{call.name} {verb} {actor}", lambda call=call: self.begin(call)

    def _store(self) -> Iterator[tuple[str, Callable[[], None]]]:
        if self.commit.collecting.writers:
            yield "flush", self.flush
        if self.commit.in_flight is None:
            return
        if self.lease.epoch < self.disk_epoch:
            yield "disk: fenced", lambda: self.fail(Fenced("newer epoch"))
        else:
            yield "disk: durable", self.durable
            if "fails" in self.faults:
                yield "disk: fails", self.fail_before_writing
            if "fails after writing" in self.faults:
                yield "disk: fails after writing", self.fail_after_writing

    def _faults(self) -> Iterator[tuple[str, Callable[[], None]]]:
        if "abort" in self.faults:
            for actor, activation in self.catalog.items():
                if activation.lost is None:
                    yield f"{actor} aborts", lambda victim=activation: self.abort(victim)
        if "takeover" in self.faults:
            yield "takeover", self.take_over

    # --- calls, as runtime.delivery makes them

    def begin(self, call: Call) -> None:
        verb, actor = call.plan[0].split()
        call.plan = call.plan[1:]
        if actor not in self.catalog:
            if not self.lease.held(0):
                return  # refused at once: a newer owner has taken over
            self.wake(actor)
        call.activation = activation = self.catalog[actor]
        call.running = True
        if verb == "writes":
            activation.value += 1
            self.commit.wrote(activation.gate)

    def end(self, call: Call) -> None:
        call.running = False
        activation = call.activation
        assert activation is not None
        outcome = activation.lost or activation.value
        if self.commit.pending(activation.gate):
            self.commit.wait(activation.gate, (call, outcome))
        else:
            self.answer(call, activation.gate.broken or outcome)

    def answer(self, call: Call, outcome: int | Exception) -> None:
        activation = call.activation
        assert activation is not None, "answered twice"
        if isinstance(outcome, int):
            assert outcome <= activation.on_disk, "revealed before durable"
            assert activation.gate.broken is None, "said durable after its batch had failed"
        call.activation = None

    # --- lives, as runtime.activator leads them

    def wake(self, actor: str) -> None:
        for batch in (self.commit.in_flight, self.commit.collecting):
            for gate in batch.writers if batch is not None else ():
                assert owner(gate).actor != actor, "woke before its writes were settled"
        self.generation += 1
        self.catalog[actor] = Activation(actor, self.generation, self.disk[actor])

    def abort(self, activation: Activation) -> None:
        self.faults.remove("abort")
        self.discard(activation, ActorAborted("abort"))

    def discard(self, activation: Activation, cause: Exception) -> None:
        if activation.lost is not None:
            return
        activation.lost = cause
        if activation.gate.broken is None and self.commit.pending(activation.gate):
            self.commit.wait(activation.gate, (activation, cause))
        else:
            del self.catalog[activation.actor]

    # --- flushing, as runtime.committer does it

    def flush(self) -> None:
        batch = self.commit.take()
        if batch is None:
            return
        assert not self.writing, "two batches in flight"
        for gate in batch.writers:
            activation = owner(gate)
            self.writing.append((activation, activation.recorded, activation.value))
            activation.recorded = activation.value

    def durable(self) -> None:
        self.write()
        for waiting, outcome in self.commit.durable():
            self.resolve(waiting, outcome)

    def write(self) -> None:
        for activation, start, value in self.writing:
            assert activation.on_disk == start, "written on top of a record that was lost"
            self.disk[activation.actor] = activation.on_disk = value
        self.writing = []

    def fail_before_writing(self) -> None:
        self.faults.remove("fails")
        self.fail(StorageFull("full"))

    def fail_after_writing(self) -> None:
        self.faults.remove("fails after writing")
        self.write()
        self.fail(UnknownOutcome("who knows"))

    def fail(self, error: StorageError) -> None:
        self.writing = []
        if isinstance(error, Fenced):
            self.lease.lose()
        gates, lost = self.commit.failed(error)
        for waiting, _ in lost:
            self.resolve(waiting, error)
        for gate in gates:
            self.discard(owner(gate), error)

    def resolve(self, waiting: Call | Activation, outcome: int | Exception) -> None:
        if isinstance(waiting, Call):
            self.answer(waiting, outcome)
        else:
            assert self.catalog.pop(waiting.actor, None) is waiting, "forgotten twice"

    def take_over(self) -> None:
        """The new owner writes too: what is in memory here is not the truth any more."""
        self.faults.remove("takeover")
        self.disk_epoch += 1
        self.disk = {actor: value + 10 for actor, value in self.disk.items()}

    # --- what is always true, and what makes two worlds the same

    def check(self) -> None:
        if type(self.commit) is GroupCommit:  # a broken one is to be caught from outside
            self.commit.check()
        under_way = self.commit.in_flight is not None or self.commit.collecting.writers
        if not under_way and not any(call.running for call in self.calls):
            assert not any(call.activation for call in self.calls), "waits for ever"
            assert not any(a.lost for a in self.catalog.values()), "never forgotten"

    def key(self) -> Hashable:
        return (
            tuple(self._activation(a) for _, a in sorted(self.catalog.items())),
            tuple((c.plan, self._activation(c.activation), c.running) for c in self.calls),
            self._batch(self.commit.in_flight),
            self._batch(self.commit.collecting),
            tuple((name_of(activation), *values) for activation, *values in self.writing),
            tuple(self.disk.values()),
            tuple(self.faults),
            self.lease.held(0),
        )

    def _activation(self, activation: Activation | None) -> Hashable:
        if activation is None:
            return None
        gate = activation.gate
        undurable = max(gate.batch - self.commit.settled, 0)
        broken = type(gate.broken), type(activation.lost)
        values = activation.value, activation.recorded, activation.on_disk
        return name_of(activation), values, undurable, broken

    def _batch(self, batch: CommitBatch[Ticket] | None) -> Hashable:
        if batch is None:
            return None
        tickets = [(name_of(waiting), str(outcome)) for waiting, outcome in batch.tickets]
        return tuple(name_of(owner(gate)) for gate in batch.writers), tuple(tickets)


def owner(gate: OutputGate) -> Activation:
    assert isinstance(gate.owner, Activation)
    return gate.owner


def name_of(thing: Call | Activation) -> Hashable:
    return thing.name if isinstance(thing, Call) else (thing.actor, thing.generation)


@pytest.mark.parametrize("faults", STATES, ids=lambda faults: ", ".join(faults) or "no fault")
def test_every_order_keeps_the_promises(
    faults: tuple[str, ...],
) -> None:
    """148 worlds without a fault; with a failure, an abort and a takeover 6,660."""
    explored = explore(lambda: CommitWorld(PLANS, faults)).verify()
    assert explored.states == STATES[faults]
    assert explored.ends > 0


# --- what the explorer catches ----------------------------------------------------------------


class SettlesWhenTaken(GroupCommit[Ticket]):
    """Takes the batch for durable when it is handed to the store: answers stop waiting for it."""

    def take(self) -> CommitBatch[Ticket] | None:
        batch = super().take()
        if batch is not None:
            self.settled = batch.number
        return batch


class NeverReleases(GroupCommit[Ticket]):
    def durable(self) -> list[Ticket]:
        super().durable()
        return []


class ReleasesTwice(GroupCommit[Ticket]):
    def durable(self) -> list[Ticket]:
        return 2 * super().durable()


CAUGHT: Final = [
    (SettlesWhenTaken, "revealed before durable"),
    (WaitsForTheBatchInFlight, "revealed before durable"),
    (ReleasesTheCollectingBatchToo, "revealed before durable"),
    (FailureForgetsTheCollectingBatch, "on top of a record that was lost"),
    (FailureBreaksNobody, "on top of a record that was lost"),
    (FailureLeavesTheBatchNumber, "waits for ever"),
    (NeverReleases, "waits for ever"),
    (FailureLosesEverybodysTickets, "woke before its writes were settled"),
    (TakesWhileOneIsInFlight, "two batches in flight"),
    (NeverSettles, ""),
    (ReleasesTwice, "twice"),
]


@pytest.mark.parametrize(("broken", "how"), CAUGHT)
def test_broken_commit_is_caught_by_what_it_does(
    broken: type[GroupCommit[Ticket]], how: str
) -> None:
    """From outside: the world does not ask a broken machine whether it is in order."""
    failure = explore(lambda: CommitWorld(PLANS, ("fails", "abort"), broken)).failure
    assert failure is not None
    assert isinstance(failure.error, AssertionError)
    assert how in str(failure)
