"""Group commit: which activations wrote to which batch, and what waits for that batch.

Writes of all actors collect in one batch while the batch before it is on its way to disk.
A ticket stands for something that may reveal a write; it waits for the batch with that write.

Shapes:     batches are numbered densely from 1; a ticket is the driver's, opaque here.
Invariants: at most one batch is in flight; a gate is in a batch at most once; an actor's tickets
            are released in the order they came, each once, and never before their batch; who
            waits for a batch has written to it; when a batch fails, no ticket of an actor that
            wrote to it is ever released as durable, in this batch or the next.
Source:     Helland et al. 1987, "Group Commit Timers and High Volume Transaction Systems";
            workerd io-gate.h ("if the flush fails, these messages will never be sent").
"""

from __future__ import annotations

from typing import Generic, TypeVar

from wakeful.core.gates import OutputGate
from wakeful.errors import StorageError

T = TypeVar("T")


class CommitBatch(Generic[T]):
    """The writers of one flush and the tickets that wait for it, both in order of arrival.

    Two lists hold the tickets and whose they are: a pair for each would be one more object for
    the garbage collector, on a path where there are hundreds of thousands in a second.
    """

    __slots__ = ("holders", "number", "tickets", "writers")

    def __init__(self, number: int) -> None:
        self.number = number
        self.writers: list[OutputGate] = []
        self.holders: list[OutputGate] = []  # of the tickets, one by one
        self.tickets: list[T] = []


class GroupCommit(Generic[T]):
    """Collects writes into batches, and says when the tickets that wait for one may be released."""

    __slots__ = ("collecting", "in_flight", "settled")

    def __init__(self) -> None:
        self.collecting: CommitBatch[T] = CommitBatch(1)
        self.in_flight: CommitBatch[T] | None = None
        self.settled = 0

    def wrote(self, gate: OutputGate) -> bool:
        """An actor has written; True if it is its first write to the collecting batch."""
        collecting = self.collecting
        if gate.batch == collecting.number:
            gate.unconfirmed = 0
            return False
        assert gate.broken is None, "a broken activation cannot write"
        gate.batch = collecting.number
        collecting.writers.append(gate)
        return True

    def wrote_unconfirmed(self, gate: OutputGate) -> bool:
        """`wrote`, but nothing leaving the actor waits for the write; its failure breaks the gate.

        If the same batch has a confirmed write of this actor, this write is waited for as well.
        """
        confirmed = _awaited(gate)
        first = gate.batch != self.collecting.number and self.wrote(gate)
        if first:
            gate.confirmed, gate.unconfirmed = confirmed, gate.batch
        return first

    def wrote_and_waits(self, gate: OutputGate, ticket: T) -> bool:
        """`wrote`, and `wait` for what was written: both in one step, for the commonest turns."""
        collecting = self.collecting
        first = gate.batch != collecting.number
        if first:
            assert gate.broken is None, "a broken activation cannot write"
            gate.batch = collecting.number
            collecting.writers.append(gate)
        else:
            gate.unconfirmed = 0
        collecting.holders.append(gate)
        collecting.tickets.append(ticket)
        return first

    def pending(self, gate: OutputGate) -> bool:
        """Whether something the actor wrote is not durable yet."""
        return gate.batch > self.settled

    def wait(self, gate: OutputGate, ticket: T) -> None:
        """Hold a ticket until everything the actor has written so far is durable."""
        self._wait(gate.batch, gate, ticket)

    def holds(self, gate: OutputGate) -> bool:
        """Whether what leaves the actor must wait, because a confirmed write is not durable yet."""
        return _awaited(gate) > self.settled

    def joins(self, gate: OutputGate) -> bool:
        """Whether what leaves the actor must wait for the batch that is being collected."""
        return _awaited(gate) == self.collecting.number

    def wait_confirmed(self, gate: OutputGate, ticket: T) -> None:
        """Hold a ticket until all that the actor has written and wants confirmed is durable."""
        self._wait(_awaited(gate), gate, ticket)

    def _wait(self, number: int, gate: OutputGate, ticket: T) -> None:
        assert number > self.settled, "nothing to wait for"
        batch = self.collecting
        if number != batch.number:
            assert self.in_flight is not None
            batch = self.in_flight
        batch.holders.append(gate)
        batch.tickets.append(ticket)

    def take(self) -> CommitBatch[T] | None:
        """The batch to write now; None if nothing was collected or a batch is still in flight."""
        if self.in_flight is not None or not self.collecting.writers:
            return None
        self.in_flight = self.collecting
        self.collecting = CommitBatch(self.in_flight.number + 1)
        return self.in_flight

    def durable(self) -> list[T]:
        """The batch in flight is on disk: these tickets may go, in order."""
        return self._settle().tickets

    def failed(self, cause: StorageError) -> tuple[list[OutputGate], list[T]]:
        """The batch in flight failed, or its outcome is unknown.

        Returns:
            The gates now broken, and the tickets that must never be sent: those of the batch
            and those the same actors hold in the collecting batch.
        """
        batch = self._settle()
        for gate in batch.writers:
            gate.broken = cause
            gate.batch = batch.number  # it leaves the collecting batch, if it had joined it
        collecting = self.collecting
        held = list(zip(collecting.holders, collecting.tickets, strict=True))
        lost = [ticket for gate, ticket in held if gate.broken]
        collecting.holders = [gate for gate in collecting.holders if not gate.broken]
        collecting.tickets = [ticket for gate, ticket in held if not gate.broken]
        collecting.writers = [gate for gate in collecting.writers if not gate.broken]
        return batch.writers, batch.tickets + lost

    def _settle(self) -> CommitBatch[T]:
        batch = self.in_flight
        assert batch is not None, "no batch is in flight"
        self.in_flight = None
        self.settled = batch.number
        return batch

    def check(self) -> None:
        """Assert the invariants."""
        number = self.collecting.number
        flying = self.in_flight
        assert number == self.settled + (1 if flying is None else 2)
        assert all(gate.batch == number for gate in self.collecting.writers)
        assert len(set(self.collecting.writers)) == len(self.collecting.writers)
        assert not any(gate.broken for gate in self.collecting.writers)
        assert len(self.collecting.holders) == len(self.collecting.tickets)
        assert set(self.collecting.holders) <= set(self.collecting.writers)
        if flying is not None:
            assert flying.number == number - 1
            assert all(gate.batch >= flying.number for gate in flying.writers)
            assert set(flying.holders) <= set(flying.writers)


def _awaited(gate: OutputGate) -> int:
    """The batch that everything leaving the actor must wait for."""
    return gate.confirmed if gate.unconfirmed == gate.batch else gate.batch
