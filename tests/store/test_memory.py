"""The memory store keeps the port's promises."""

from __future__ import annotations

import pytest

from wakeful.store.memory import MemoryDisk, MemoryStore
from wakeful.testing.store_machine import run_store_machine
from wakeful.testing.store_suite import StoreSuite


class MemoryPlace:
    """A disk in memory, on which anyone may open a store."""

    def __init__(self) -> None:
        self._disk = MemoryDisk()

    def store(self) -> MemoryStore:
        return MemoryStore(self._disk)

    def steal(self) -> None:
        pass


class TestMemoryStore(StoreSuite):
    @pytest.fixture
    def place(self) -> MemoryPlace:
        return MemoryPlace()


def test_machine() -> None:
    run_store_machine(MemoryPlace)
