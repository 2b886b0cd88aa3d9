"""The SQLite store keeps the port's promises, with default limits and with tiny ones."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from wakeful.store.limits import Limits
from wakeful.store.sqlite import SQLiteStore
from wakeful.testing.store_machine import run_store_machine
from wakeful.testing.store_suite import StoreSuite

# Every other batch starts a fold, every cell is a slice, the log is copied all the time.
TINY = Limits(fold_bytes=64, fold_actors=2, slice_cells=1, slice_bytes=1, wal_bytes=20_000)


class SQLitePlace:
    """A data directory."""

    def __init__(self, directory: Path, limits: Limits | None = None) -> None:
        self._directory = directory
        self._limits = limits

    def store(self) -> SQLiteStore:
        return SQLiteStore(self._directory, limits=self._limits)

    def steal(self) -> None:
        (self._directory / "lock").unlink()


class TestSQLiteStore(StoreSuite):
    @pytest.fixture(params=[None, TINY], ids=["default", "tiny"])
    def place(self, tmp_path: Path, request: pytest.FixtureRequest) -> SQLitePlace:
        return SQLitePlace(tmp_path / "data", request.param)


@pytest.mark.slow
@pytest.mark.parametrize("limits", [None, TINY], ids=["default", "tiny"])
def test_machine(tmp_path: Path, limits: Limits | None) -> None:
    numbers = itertools.count()
    run_store_machine(lambda: SQLitePlace(tmp_path / str(next(numbers)), limits), examples=15)
