"""The memory store keeps the port's promises."""

from __future__ import annotations

import pytest

from wakeful.store.memory import MemoryDisk, MemoryStore
from wakeful.testing.store_lanes import LaneSuite
from wakeful.testing.store_machine import run_store_machine
from wakeful.testing.store_suite import StoreSuite


class MemoryPlace:
    """A disk in memory, on which anyone may open a store."""

    def __init__(self, lanes: int = 1) -> None:
        self._disk = MemoryDisk(lanes=lanes)

    def store(self) -> MemoryStore:
        return MemoryStore(self._disk)

    def steal(self) -> None:
        pass

    def take(self, lane: int) -> None:
        self._disk.take(lane)


class TestMemoryStore(StoreSuite):
    @pytest.fixture
    def place(self) -> MemoryPlace:
        return MemoryPlace()


class TestLanes(LaneSuite):
    @pytest.fixture
    def place(self) -> MemoryPlace:
        return MemoryPlace(lanes=3)


@pytest.mark.parametrize("lanes", [1, 3])
def test_machine(lanes: int) -> None:
    run_store_machine(lambda: MemoryPlace(lanes), examples=15)
