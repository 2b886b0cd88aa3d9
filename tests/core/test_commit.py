"""Group commit: nothing is released before its batch, nothing of a failed batch ever."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.core.proof import first_violation, prove

from wakeful.core.commit import CommitBatch, GroupCommit
from wakeful.core.gates import OutputGate
from wakeful.errors import StorageError, StorageFull

GATES: Final = 3
FULL: Final = StorageFull("no room")


class CommitMachine(RuleBasedStateMachine):
    """The model knows no batch numbers: writes are collecting, flying or settled, and a ticket
    waits for the writes that its actor had not settled when it came."""

    subject: type[GroupCommit[int]] = GroupCommit

    @initialize()
    def start(self) -> None:
        self.commit = self.subject()
        self.gates = [OutputGate() for _ in range(GATES)]
        self.collecting: list[tuple[OutputGate, int]] = []  # (gate, write), in order
        self.flying: list[tuple[OutputGate, int]] | None = None
        self.loose: set[int] = set()  # writes that need not be confirmed
        self.tickets: list[tuple[OutputGate, int, set[int]]] = []  # (gate, ticket, waits for)
        self.numbers = iter(range(1, 1_000_000))

    @rule(which=st.integers(0, GATES - 1))
    def write(self, which: int) -> None:
        gate = self.gates[which]
        first = gate not in [writer for writer, _ in self.collecting]
        assert self.commit.wrote(gate) is first
        self.collecting.append((gate, next(self.numbers)))

    @rule(which=st.integers(0, GATES - 1))
    def write_unconfirmed(self, which: int) -> None:
        gate = self.gates[which]
        first = gate not in [writer for writer, _ in self.collecting]
        assert self.commit.wrote_unconfirmed(gate) is first
        self.collecting.append((gate, next(self.numbers)))
        self.loose.add(self.collecting[-1][1])

    @rule(which=st.integers(0, GATES - 1))
    def wait_confirmed(self, which: int) -> None:
        gate = self.gates[which]
        awaited = self.awaited(gate)
        assert self.commit.holds(gate) == bool(awaited)
        collected = {write for writer, write in self.collecting if writer is gate}
        assert self.commit.joins(gate) == bool(awaited & collected)
        if awaited:
            ticket = next(self.numbers)
            self.commit.wait_confirmed(gate, ticket)
            self.tickets.append((gate, ticket, awaited))

    @rule(which=st.integers(0, GATES - 1))
    def write_and_wait(self, which: int) -> None:
        gate = self.gates[which]
        first = gate not in [writer for writer, _ in self.collecting]
        ticket = next(self.numbers)
        assert self.commit.wrote_and_waits(gate, ticket) is first
        self.collecting.append((gate, next(self.numbers)))
        self.tickets.append((gate, ticket, self.undurable(gate)))

    @rule(which=st.integers(0, GATES - 1))
    def wait(self, which: int) -> None:
        gate = self.gates[which]
        if undurable := self.undurable(gate):
            ticket = next(self.numbers)
            self.commit.wait(gate, ticket)
            self.tickets.append((gate, ticket, undurable))

    @rule()
    def take(self) -> None:
        batch = self.commit.take()
        if self.flying is not None or not self.collecting:
            assert batch is None
        else:
            assert batch is not None
            assert batch.writers == writers(self.collecting)
            self.flying, self.collecting = self.collecting, []

    @precondition(lambda self: self.flying is not None)
    @rule()
    def durable(self) -> None:
        assert self.flying is not None
        settled = {write for _, write in self.flying}
        self.flying = None
        expected = [ticket for _, ticket, writes in self.tickets if writes <= settled]
        assert self.commit.durable() == expected
        self.tickets = [
            (gate, ticket, writes - settled)
            for gate, ticket, writes in self.tickets
            if not writes <= settled
        ]

    @precondition(lambda self: self.flying is not None)
    @rule()
    def failed(self) -> None:
        assert self.flying is not None
        broken = writers(self.flying)
        expected = {ticket: gate for gate, ticket, _ in self.tickets if gate in broken}
        gates, lost = self.commit.failed(FULL)
        assert gates == broken
        for gate in broken:
            mine = [ticket for ticket, holder in expected.items() if holder is gate]
            assert [ticket for ticket in lost if expected.get(ticket) is gate] == mine
            assert gate.broken is FULL
            assert not self.commit.pending(gate)
        assert len(lost) == len(expected)
        self.flying = None
        self.collecting = [(gate, write) for gate, write in self.collecting if gate not in broken]
        self.tickets = [held for held in self.tickets if held[0] not in broken]
        self.gates = [OutputGate() if gate in broken else gate for gate in self.gates]

    @invariant()
    def agrees(self) -> None:
        self.commit.check()
        assert self.commit.collecting.writers == writers(self.collecting)
        for gate in self.gates:
            assert self.commit.pending(gate) == bool(self.undurable(gate))

    def awaited(self, gate: OutputGate) -> set[int]:
        """What is not durable, up to the last batch with something to be confirmed."""
        for batches in ([self.flying, self.collecting], [self.flying]):
            mine = {w for writer, w in batches[-1] or () if writer is gate}
            if mine - self.loose:
                return {w for batch in batches for writer, w in batch or () if writer is gate}
        return set()

    def undurable(self, gate: OutputGate) -> set[int]:
        return {w for writer, w in [*(self.flying or ()), *self.collecting] if writer is gate}


def writers(writes: list[tuple[OutputGate, int]]) -> list[OutputGate]:
    """Who wrote, in the order of their first write."""
    return list(dict.fromkeys(gate for gate, _ in writes))


def test_commit_agrees_with_a_list_of_writes() -> None:
    prove(CommitMachine)


def test_ticket_waits_for_the_batch_that_holds_the_last_write() -> None:
    """A write of the same actor in the batch before does not release it."""
    commit: GroupCommit[str] = GroupCommit()
    gate = OutputGate()
    commit.wrote(gate)
    commit.take()
    commit.wait(gate, "saw the first write")
    commit.wrote(gate)
    commit.wait(gate, "saw both")
    assert commit.durable() == ["saw the first write"]
    commit.take()
    assert commit.durable() == ["saw both"]


def test_second_write_to_a_batch_adds_no_writer() -> None:
    commit: GroupCommit[str] = GroupCommit()
    gate = OutputGate()
    assert commit.wrote(gate)
    assert not commit.wrote(gate)
    assert commit.collecting.writers == [gate]


def test_only_one_batch_is_in_flight() -> None:
    commit: GroupCommit[str] = GroupCommit()
    assert commit.take() is None
    commit.wrote(OutputGate())
    first = commit.take()
    assert first is not None
    commit.wrote(OutputGate())
    assert commit.take() is None
    commit.durable()
    second = commit.take()
    assert second is not None
    assert (first.number, second.number) == (1, 2)


def test_failed_batch_takes_its_writers_tickets_out_of_the_next_batch_too() -> None:
    """What the actor wrote since stands on writes that are lost. Others are not affected."""
    commit: GroupCommit[str] = GroupCommit()
    lost, other = OutputGate(), OutputGate()
    commit.wrote(lost)
    commit.take()
    commit.wait(lost, "first")
    commit.wrote(lost)
    commit.wrote(other)
    commit.wait(lost, "second")
    commit.wait(other, "other")
    assert commit.failed(FULL) == ([lost], ["first", "second"])
    commit.take()
    assert commit.durable() == ["other"]


def test_failed_writer_that_has_joined_the_next_batch_waits_for_nothing_more() -> None:
    """Its batch number would point at a batch it is no longer in: a ticket there could be told
    "durable" by another actor's write, or wait for ever when nobody else writes."""
    commit: GroupCommit[str] = GroupCommit()
    gate = OutputGate()
    commit.wrote(gate)
    commit.take()
    commit.wrote(gate)
    commit.failed(FULL)
    assert not commit.pending(gate)
    assert commit.take() is None
    commit.check()


def test_broken_activation_can_neither_write_nor_wait() -> None:
    commit: GroupCommit[str] = GroupCommit()
    gate = OutputGate()
    commit.wrote(gate)
    commit.take()
    commit.failed(FULL)
    with pytest.raises(AssertionError, match="cannot write"):
        commit.wrote(gate)
    with pytest.raises(AssertionError, match="nothing to wait for"):
        commit.wait(gate, "reply")
    with pytest.raises(AssertionError, match="cannot write"):
        commit.wrote_and_waits(gate, "reply")
    assert commit.collecting.tickets == []


def test_nothing_is_durable_when_nothing_is_in_flight() -> None:
    commit: GroupCommit[str] = GroupCommit()
    with pytest.raises(AssertionError, match="no batch is in flight"):
        commit.durable()


# --- what the model catches -------------------------------------------------------------------


class WaitsForTheBatchInFlight(GroupCommit[int]):
    def wait(self, gate: OutputGate, ticket: int) -> None:
        batch = self.in_flight or self.collecting
        batch.holders.append(gate)
        batch.tickets.append(ticket)


class FailureForgetsTheCollectingBatch(GroupCommit[int]):
    def failed(self, cause: StorageError) -> tuple[list[OutputGate], list[int]]:
        batch = self._settle()
        for gate in batch.writers:
            gate.broken = cause
        return batch.writers, batch.tickets


class FailureLeavesTheBatchNumber(GroupCommit[int]):
    """As it was before the first of these proofs."""

    def failed(self, cause: StorageError) -> tuple[list[OutputGate], list[int]]:
        assert self.in_flight is not None
        numbers = [gate.batch for gate in self.in_flight.writers]
        gates, lost = super().failed(cause)
        for gate, number in zip(gates, numbers, strict=True):
            gate.batch = number
        return gates, lost


class FailureLosesEverybodysTickets(GroupCommit[int]):
    def failed(self, cause: StorageError) -> tuple[list[OutputGate], list[int]]:
        others, self.collecting.tickets = self.collecting.tickets, []
        self.collecting.holders = []
        gates, lost = super().failed(cause)
        return gates, lost + others


class FailureBreaksNobody(GroupCommit[int]):
    def failed(self, cause: StorageError) -> tuple[list[OutputGate], list[int]]:
        batch = self._settle()
        return batch.writers, batch.tickets


class ReleasesTheCollectingBatchToo(GroupCommit[int]):
    def durable(self) -> list[int]:
        released, self.collecting.tickets = super().durable() + self.collecting.tickets, []
        self.collecting.holders = []
        return released


class ReleasesBackwards(GroupCommit[int]):
    def durable(self) -> list[int]:
        return super().durable()[::-1]


class NeverSettles(GroupCommit[int]):
    def _settle(self) -> CommitBatch[int]:
        before = self.settled
        batch = super()._settle()
        self.settled = before
        return batch


class TakesWhileOneIsInFlight(GroupCommit[int]):
    def take(self) -> CommitBatch[int] | None:
        self.in_flight = None
        return super().take()


class WritesTwice(GroupCommit[int]):
    def wrote(self, gate: OutputGate) -> bool:
        gate.batch = self.collecting.number
        self.collecting.writers.append(gate)
        return True


class ConfirmingComesTooLate(GroupCommit[int]):
    def wrote(self, gate: OutputGate) -> bool:
        unconfirmed = gate.unconfirmed
        first = super().wrote(gate)
        gate.unconfirmed = unconfirmed
        return first


class UnconfirmedIsWaitedFor(GroupCommit[int]):
    def wrote_unconfirmed(self, gate: OutputGate) -> bool:
        return self.wrote(gate)


class UnconfirmedForgetsTheBatchInFlight(GroupCommit[int]):
    def wrote_unconfirmed(self, gate: OutputGate) -> bool:
        first = super().wrote_unconfirmed(gate)
        gate.confirmed = 0
        return first


BROKEN: Final = [
    ConfirmingComesTooLate,
    UnconfirmedIsWaitedFor,
    UnconfirmedForgetsTheBatchInFlight,
    WaitsForTheBatchInFlight,
    FailureForgetsTheCollectingBatch,
    FailureLeavesTheBatchNumber,
    FailureLosesEverybodysTickets,
    FailureBreaksNobody,
    ReleasesTheCollectingBatchToo,
    ReleasesBackwards,
    NeverSettles,
    TakesWhileOneIsInFlight,
    WritesTwice,
]


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_commit_is_caught(broken: type[GroupCommit[int]]) -> None:
    assert first_violation(CommitMachine, broken) is not None
