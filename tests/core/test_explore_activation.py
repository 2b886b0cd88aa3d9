"""The life of activations in every order that calls, waking, sleep and loss can bring about.

Lifecycle, mailbox, gates, lease and group commit are the real ones, wired as
`wakeful.runtime.activator`, `delivery` and `committer` wire them. Waking and going to sleep take
time. A turn commits a write when it starts, or only reads, and ends later. One batch fails, one
activation aborts, one cannot wake, another owner takes over.

Proven: an actor has one activation; the next one loads when all that the one before has written is
settled, and sees each write that was ever answered; a message that waits when its activation
goes is delivered once, to the next one; every call is answered once, with what is on disk or with
an error; an activation sleeps only when it owes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Final

import pytest
from tests.core.test_commit import FailureLeavesTheBatchNumber

from wakeful.core.commit import CommitBatch, GroupCommit
from wakeful.core.gates import InputGate, OutputGate
from wakeful.core.lease import Lease
from wakeful.core.lifecycle import ActivationState, Lifecycle
from wakeful.core.mailbox import Mailbox
from wakeful.errors import (
    ActivationFailed,
    ActorAborted,
    Fenced,
    StorageError,
    StorageFull,
    WakefulError,
)
from wakeful.testing.explore import explore

Plans = dict[str, tuple[str, ...]]


class Activation:
    """One incarnation: the machines that it is made of, and what it knows of the disk."""

    def __init__(self, actor: str, generation: int, value: int) -> None:
        self.actor = actor
        self.generation = generation
        self.life = Lifecycle()
        self.input = InputGate()
        self.gate = OutputGate(self)
        self.mailbox: Mailbox[Call] = Mailbox(8)
        self.value = self.recorded = self.on_disk = value
        self.running: list[Call] = []

    @property
    def quiet(self) -> bool:
        return self.life.state is ActivationState.ACTIVE and self.input.free and not self.mailbox


class Call:
    """One call, from its arrival to its answer."""

    def __init__(self, caller: str, verb: str, actor: str) -> None:
        self.caller = caller
        self.verb = verb
        self.actor = actor
        self.started = False
        self.answered = False

    def __str__(self) -> str:
        return f"{self.caller} {self.verb} {self.actor}"


Ticket = tuple[Call | Activation, Activation, int | Exception]


class ActivationWorld:
    """Callers, a catalog with activations that come and go, a committer and a disk."""

    subject: type[GroupCommit[Ticket]] = GroupCommit

    def __init__(self, plans: Plans, faults: tuple[str, ...]) -> None:
        self.plans = dict(plans)
        self.faults = list(faults)
        self.catalog: dict[str, Activation] = {}
        self.commit = self.subject()
        self.lease = Lease(1, term_ns=1)
        self.lease.renew(0)  # it is looked at at 0 only: held until it is lost
        self.disk_epoch = 1
        self.disk = {"a": 0, "b": 0}
        self.answered = {"a": 0, "b": 0}  # the largest value that a caller has seen
        self.writing: list[tuple[Activation, int, int]] = []
        self.calls: list[Call] = []
        self.losing: list[Activation] = []  # lost, with turns that have not ended yet
        self.generation = 0

    # --- what can happen

    def actions(self) -> dict[str, Callable[[], None]]:
        return dict([*self._callers(), *self._lives(), *self._store(), *self._faults()])

    def _callers(self) -> Iterator[tuple[str, Callable[[], None]]]:
        busy = {call.caller for call in self.calls}
        for caller, plan in self.plans.items():
            if plan and caller not in busy:
                yield f"{caller} {plan[0]}", lambda caller=caller: self.ask(caller)
        for activation in [*self.catalog.values(), *self.losing]:
            for call in activation.running:
                yield f"{call} ends", lambda a=activation, call=call: self.end(a, call)

    def _lives(self) -> Iterator[tuple[str, Callable[[], None]]]:
        for actor, activation in self.catalog.items():
            state = activation.life.state
            if state is ActivationState.ACTIVATING:
                yield f"{actor} is awake", lambda a=activation: self.ready(a)
            elif state is ActivationState.DEACTIVATING:
                yield f"{actor} is asleep", lambda a=activation: self.gone(a)
            elif self.may_sleep(activation):
                yield f"{actor} falls asleep", activation.life.retire

    def _store(self) -> Iterator[tuple[str, Callable[[], None]]]:
        if self.commit.in_flight is None:
            if self.commit.collecting.writers:
                yield "flush", self.flush
        elif self.lease.epoch < self.disk_epoch:
            yield "disk: fenced", lambda: self.fail(Fenced("newer epoch"))
        else:
            yield "disk: durable", self.durable
            if "fails" in self.faults:
                yield "disk: fails", lambda: self.fail(StorageFull(self.use("fails")))

    def _faults(self) -> Iterator[tuple[str, Callable[[], None]]]:
        for actor, activation in self.catalog.items():
            state = activation.life.state
            if "abort" in self.faults and state is not ActivationState.GONE:
                yield f"{actor} aborts", lambda a=activation: self.abort(a)
            if "no waking" in self.faults and state is ActivationState.ACTIVATING:
                yield f"{actor} cannot wake", lambda a=activation: self.cannot_wake(a)
        if "takeover" in self.faults:
            yield "takeover", self.take_over

    # --- calls, as runtime.delivery makes them

    def ask(self, caller: str) -> None:
        plan = self.plans[caller]
        self.plans[caller] = plan[1:]
        call = Call(caller, *plan[0].split())
        self.calls.append(call)
        try:
            activation = self.find(call.actor)
        except WakefulError as error:
            self.answer(call, None, error)
            return
        ready = activation.life.state is ActivationState.ACTIVE and not activation.mailbox
        if ready and activation.input.admits(interleave=False):
            self.start(activation, call)
        else:
            assert activation.mailbox.offer(call)

    def pump(self, activation: Activation) -> None:
        if activation.life.state is not ActivationState.ACTIVE:
            return
        while activation.mailbox.peek() and activation.input.admits(interleave=False):
            call = activation.mailbox.take()
            assert call is not None
            self.start(activation, call)

    def start(self, activation: Activation, call: Call) -> None:
        assert not call.started, "delivered twice"
        assert activation.life.state is ActivationState.ACTIVE, "delivered to one that is not awake"
        assert self.catalog.get(call.actor) is activation, "delivered to one that is not the actor"
        call.started = True
        activation.input.enter()
        activation.running.append(call)
        if call.verb == "writes":
            activation.value += 1
            self.commit.wrote(activation.gate)

    def end(self, activation: Activation, call: Call) -> None:
        activation.input.leave()
        activation.running.remove(call)
        self.losing = [lost for lost in self.losing if lost.running]
        outcome = activation.life.cause or activation.value
        if self.commit.pending(activation.gate):
            self.commit.wait(activation.gate, (call, activation, outcome))
        else:
            self.answer(call, activation, activation.gate.broken or outcome)
        self.pump(activation)

    def answer(self, call: Call, activation: Activation | None, outcome: int | Exception) -> None:
        assert not call.answered, "answered twice"
        call.answered = True
        self.calls.remove(call)
        if isinstance(outcome, int):
            assert activation is not None
            assert outcome <= activation.on_disk, "revealed before durable"
            self.answered[call.actor] = max(self.answered[call.actor], outcome)

    # --- lives, as runtime.activator leads them

    def find(self, actor: str) -> Activation:
        if actor in self.catalog:
            return self.catalog[actor]
        if not self.lease.held(0):
            raise Fenced("a newer owner has taken over")
        self.generation += 1
        self.catalog[actor] = Activation(actor, self.generation, self.load(actor))
        return self.catalog[actor]

    def load(self, actor: str) -> int:
        for batch in (self.commit.in_flight, self.commit.collecting):
            for gate in batch.writers if batch is not None else ():
                assert owner(gate).actor != actor, "loaded before its writes were settled"
        assert self.disk[actor] >= self.answered[actor], "an answered write is not there"
        return self.disk[actor]

    def ready(self, activation: Activation) -> None:
        activation.life.ready()
        self.pump(activation)

    def cannot_wake(self, activation: Activation) -> None:
        failure = ActivationFailed(self.use("no waking"))
        activation.life.fail(failure)
        del self.catalog[activation.actor]
        for call in activation.mailbox.drain():
            self.answer(call, None, failure)

    def may_sleep(self, activation: Activation) -> bool:
        return activation.quiet and not self.commit.pending(activation.gate)

    def gone(self, activation: Activation) -> None:
        assert not self.commit.pending(activation.gate), "asleep with writes on their way"
        activation.life.gone()
        self.forget(activation)

    def abort(self, activation: Activation) -> None:
        self.discard(activation, ActorAborted(self.use("abort")))

    def discard(self, activation: Activation, cause: WakefulError) -> None:
        if not activation.life.fail(cause):
            return
        activation.input.fail(cause)
        if self.owes_writes(activation):
            self.commit.wait(activation.gate, (activation, activation, cause))
        else:
            self.forget(activation)

    def owes_writes(self, activation: Activation) -> bool:
        return activation.gate.broken is None and self.commit.pending(activation.gate)

    def forget(self, activation: Activation) -> None:
        assert self.catalog.pop(activation.actor, None) is activation, "forgotten twice"
        if activation.running:
            self.losing.append(activation)
        self.hand_over(activation.actor, activation.mailbox.drain())

    def hand_over(self, actor: str, waiting: list[Call]) -> None:
        if not waiting:
            return
        try:
            successor = self.find(actor)
        except WakefulError as error:
            for call in waiting:
                self.answer(call, None, error)
            return
        for call in waiting:
            successor.mailbox.offer_urgent(call)
        self.pump(successor)

    # --- flushing, as runtime.committer does it

    def flush(self) -> None:
        batch = self.commit.take()
        assert batch is not None
        for gate in batch.writers:
            activation = owner(gate)
            self.writing.append((activation, activation.recorded, activation.value))
            activation.recorded = activation.value

    def durable(self) -> None:
        for activation, start, value in self.writing:
            assert activation.on_disk == start, "written on top of a record that was lost"
            self.disk[activation.actor] = activation.on_disk = value
        self.writing = []
        for waiting, activation, outcome in self.commit.durable():
            self.resolve(waiting, activation, outcome)

    def fail(self, error: StorageError) -> None:
        self.writing = []
        if isinstance(error, Fenced):
            self.lease.lose()
        gates, lost = self.commit.failed(error)
        for waiting, activation, _ in lost:
            self.resolve(waiting, activation, error)
        for gate in gates:
            self.discard(owner(gate), error)

    def resolve(
        self, waiting: Call | Activation, activation: Activation, outcome: int | Exception
    ) -> None:
        if isinstance(waiting, Call):
            self.answer(waiting, activation, outcome)
        else:
            self.forget(waiting)

    def take_over(self) -> None:
        """The new owner writes too, so that what is in memory here is not the truth any more."""
        self.use("takeover")
        self.disk_epoch += 1
        self.disk = {actor: value + 10 for actor, value in self.disk.items()}

    def use(self, fault: str) -> str:
        self.faults.remove(fault)
        return fault

    # --- what is always true, and what makes two worlds the same

    def check(self) -> None:
        if self.subject is GroupCommit:  # a broken one is to be caught from outside
            self.commit.check()
        for activation in self.catalog.values():
            activation.life.check()
            activation.input.check()
            activation.mailbox.check()
            assert len(activation.running) == activation.input.turns <= 1, "two turns at a time"
        if not [*self.progress()]:
            assert not self.calls, "waits for ever"

    def progress(self) -> Iterator[object]:
        """What is under way: as long as there is something, a call may wait for it."""
        yield from self.commit.collecting.writers
        yield from self.commit.in_flight.writers if self.commit.in_flight is not None else ()
        for activation in [*self.catalog.values(), *self.losing]:
            yield from activation.running
            if activation.life.state in (ActivationState.ACTIVATING, ActivationState.DEACTIVATING):
                yield activation

    def key(self) -> Hashable:
        known = [*self.catalog.values(), *self.losing]
        return (
            str([self._activation(activation) for activation in known]),
            str([(str(call), call.started) for call in self.calls]),  # in the order they came
            self._batch(self.commit.in_flight),
            self._batch(self.commit.collecting),
            str([(a.generation, start, value) for a, start, value in self.writing]),
            tuple(self.disk.values()),
            tuple(self.answered.values()),
            tuple(self.plans.values()),
            tuple(self.faults),
            self.lease.held(0),
        )

    def _activation(self, activation: Activation) -> Hashable:
        return (
            (activation.actor, activation.generation, activation.life.state),
            (type(activation.life.cause), type(activation.gate.broken)),
            (activation.value, activation.recorded, activation.on_disk),
            max(activation.gate.batch - self.commit.settled, 0),
            [str(call) for call in activation.running],
            len(activation.mailbox),
        )

    def _batch(self, batch: CommitBatch[Ticket] | None) -> Hashable:
        if batch is None:
            return None
        writers = [owner(gate).generation for gate in batch.writers]
        tickets = [
            (str(waiting) if isinstance(waiting, Call) else "settled", a.generation, str(outcome))
            for waiting, a, outcome in batch.tickets
        ]
        return str((writers, tickets))


def owner(gate: OutputGate) -> Activation:
    assert isinstance(gate.owner, Activation)
    return gate.owner


ONE_ACTOR: Final[Plans] = {"x": ("writes a", "reads a"), "y": ("writes a",)}
LONGER: Final[Plans] = {"x": ("writes a", "writes a"), "y": ("writes a", "reads a")}
TWO_ACTORS: Final[Plans] = {"x": ("writes a", "reads b"), "y": ("writes a", "writes b")}


@pytest.mark.parametrize(
    ("plans", "faults", "states"),
    [
        (ONE_ACTOR, ("fails", "abort", "takeover"), 2924),
        (LONGER, ("no waking", "abort"), 2173),
        (TWO_ACTORS, ("fails",), 1730),
    ],
    ids=["one actor", "longer", "two actors"],
)
def test_every_order_keeps_the_promises(plans: Plans, faults: tuple[str, ...], states: int) -> None:
    """2,924 worlds with a failure, an abort and a takeover; 6,827 in the three together."""
    explored = explore(lambda: ActivationWorld(plans, faults)).verify()
    assert explored.states == states
    assert explored.ends > 0


# --- what the explorer catches: worlds wired wrongly, and a broken machine --------------------


class ForgetsAtOnce(ActivationWorld):
    """The next activation does not wait for the writes of the one that was lost."""

    def owes_writes(self, activation: Activation) -> bool:
        return False


class DropsWhatWaits(ActivationWorld):
    def hand_over(self, actor: str, waiting: list[Call]) -> None:
        pass


class DeliversAndHandsOver(ActivationWorld):
    """A message leaves the mailbox only when its turn has ended."""

    def start(self, activation: Activation, call: Call) -> None:
        super().start(activation, call)
        if activation.mailbox:
            activation.mailbox.offer_urgent(call)


class SleepsWithWritesOnTheirWay(ActivationWorld):
    def may_sleep(self, activation: Activation) -> bool:
        return activation.quiet


class IsNotWokenForWhatWaits(ActivationWorld):
    def ready(self, activation: Activation) -> None:
        activation.life.ready()


class AnswersAtOnce(ActivationWorld):
    """The output gate is not asked."""

    def end(self, activation: Activation, call: Call) -> None:
        activation.input.leave()
        activation.running.remove(call)
        self.answer(call, activation, activation.life.cause or activation.value)
        self.pump(activation)


class WorksOnAfterAFailure(ActivationWorld):
    """The batch is lost, its writers live on."""

    def discard(self, activation: Activation, cause: WakefulError) -> None:
        if isinstance(cause, ActorAborted):
            super().discard(activation, cause)
        activation.gate.broken = None


class LeavesTheBatchNumber(ActivationWorld):
    subject = FailureLeavesTheBatchNumber


CAUGHT: Final = [
    (ForgetsAtOnce, "loaded before its writes were settled"),
    (DropsWhatWaits, "waits for ever"),
    (DeliversAndHandsOver, "delivered twice"),
    (SleepsWithWritesOnTheirWay, "asleep with writes on their way"),
    (IsNotWokenForWhatWaits, "waits for ever"),
    (AnswersAtOnce, "revealed before durable"),
    (WorksOnAfterAFailure, "revealed before durable"),
    (LeavesTheBatchNumber, "waits for ever"),
]


@pytest.mark.parametrize(("broken", "how"), CAUGHT)
def test_world_that_is_wired_wrongly_is_caught(broken: type[ActivationWorld], how: str) -> None:
    failure = explore(lambda: broken(LONGER, ("fails", "abort"))).failure
    assert failure is not None
    assert isinstance(failure.error, AssertionError)
    assert how in str(failure)
