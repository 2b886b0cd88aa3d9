"""The simulated store keeps the port's promises, and its disk breaks only what it may."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from wakeful.errors import StorageError, UnknownOutcome
from wakeful.ids import ActorId
from wakeful.ports import CommitRecord
from wakeful.testing.disk import FarSimStore, SimDisk, SimStore
from wakeful.testing.faults import FaultPlan
from wakeful.testing.store_lanes import LaneSuite
from wakeful.testing.store_machine import run_store_machine


class SimPlace:
    """A disk without faults."""

    def __init__(self) -> None:
        random = Random(0)
        self._disk = SimDisk(random, FaultPlan(random, budget=0))

    def store(self) -> SimStore:
        return SimStore(self._disk)

    def steal(self) -> None:
        pass

    def take(self, lane: int) -> None:
        self._disk.take(lane)


class FarPlace(SimPlace):
    """One whose pages are far."""

    def store(self) -> FarSimStore:
        return FarSimStore(self._disk)


class TestSimStore(LaneSuite):
    @pytest.fixture(params=[SimPlace, FarPlace])
    def place(self, request: pytest.FixtureRequest) -> SimPlace:
        return request.param()


@pytest.mark.parametrize("place", [SimPlace, FarPlace])
def test_machine(place: type[SimPlace]) -> None:
    run_store_machine(place, examples=15)


class Only(FaultPlan):
    """Some faults, always."""

    def __init__(self, *faults: str) -> None:
        super().__init__(Random(0))
        self._faults = faults

    def hit(self, fault: str) -> bool:
        return fault in self._faults


def record(store: SimStore, seq: int, value: bytes) -> CommitRecord:
    return CommitRecord("Counter", "a", 0, store.epochs[0], seq, False, {"s": value})


def committed(disk: SimDisk, *, crash: bool = False) -> StorageError | None:
    """Commit one record; with a crash, before it is done."""

    async def main() -> StorageError | None:
        store = SimStore(disk)
        await store.open()
        done: asyncio.Future[StorageError | None] = asyncio.get_running_loop().create_future()
        store.commit(0, [record(store, 1, b"1")], done.set_result)
        if crash:
            store.crash()
            return None
        return await done

    return asyncio.run(main())


def kept(disk: SimDisk) -> bool:
    """Whether it is there after recovery."""
    disk.acquire()
    return ActorId("Counter", "a") in disk.cells


@pytest.mark.parametrize(
    ("fault", "there"),
    [("full", False), ("read_only", False), ("unknown_lost", False), ("unknown_written", True)],
)
def test_a_fault_is_told_and_does_what_it_says(fault: str, there: bool) -> None:
    disk = SimDisk(Random(0), Only(fault))
    error = committed(disk)
    assert isinstance(error, StorageError)
    assert isinstance(error, UnknownOutcome) == fault.startswith("unknown")
    assert kept(disk) == there


@pytest.mark.parametrize(
    ("fault", "there"), [("none", False), ("crash_writes", True), ("crash_tears", False)]
)
@pytest.mark.parametrize("seed", range(20))
def test_a_crash_loses_a_batch_or_keeps_it_whole(fault: str, there: bool, seed: int) -> None:
    disk = SimDisk(Random(seed), Only(fault))
    committed(disk, crash=True)
    assert kept(disk) == there
