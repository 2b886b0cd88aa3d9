"""Closing a SQLite store in a given time, on a disk that does not answer."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.store.disk import Disk
from tests.store.test_faults import DiskPlace, reread

from wakeful import Config, DurableObject, Runtime, UnknownOutcome
from wakeful import Limits as RuntimeLimits
from wakeful.errors import StorageError
from wakeful.store.limits import Limits
from wakeful.store.lock import DirectoryLock
from wakeful.testing.store_owner import Owner

MOMENT: float = 0.05
SLICES = Limits(slice_cells=1)
_numbers = itertools.count()


class Hang:
    """A disk operation that begins and does not end, until the test lets it."""

    def __init__(self, operation: str) -> None:
        self.operation = operation
        self.begun = threading.Event()
        self.released = threading.Event()

    def __call__(self, what: str) -> None:
        if what == self.operation:
            self.begun.set()
            self.released.wait(60)


@pytest.fixture
def disk() -> Iterator[Disk]:
    with Disk(f"hanging-disk-{next(_numbers)}") as disk:
        yield disk


@contextmanager
def hanging(disk: Disk, operation: str) -> Iterator[Hang]:
    hang = Hang(operation)
    disk.fault = hang
    try:
        yield hang
    finally:
        disk.fault = None
        hang.released.set()


def is_free(directory: Path) -> bool:
    """Whether another process could take the directory."""
    lock = DirectoryLock(directory)
    lock.acquire()
    lock.release()
    return True


async def commit_then_close(owner: Owner, hang: Hang) -> asyncio.Future[StorageError | None]:
    future = owner.committed([owner.record("a", {"s": b"2"})])
    await asyncio.to_thread(hang.begun.wait)
    await owner.store.close(MOMENT)
    return future


def test_close_gives_up_a_batch_that_the_disk_does_not_answer(tmp_path: Path, disk: Disk) -> None:
    with Owner(DiskPlace(tmp_path, disk)) as owner:
        owner.put("a", {"s": b"1"})
        with hanging(disk, "sync wal") as hang:
            future = owner.run(lambda: commit_then_close(owner, hang))
            assert not future.done()
            assert is_free(tmp_path)
        owner.store._flusher.join()  # type: ignore[attr-defined]
        assert owner.run(lambda: wait_for(future)) is None, "it was written after all, and answered"
    assert reread(tmp_path) == {"a": {"s": b"2"}}


async def wait_for(future: asyncio.Future[StorageError | None]) -> StorageError | None:
    return await future


def test_close_leaves_to_the_next_owner_what_it_has_no_time_to_fold(
    tmp_path: Path, disk: Disk
) -> None:
    names = [f"a{n}" for n in range(50)]
    with Owner(DiskPlace(tmp_path, disk, SLICES)) as owner:
        for name in names:
            owner.put(name, {"s": name.encode()})
        with hanging(disk, "write wal") as hang:
            owner.run(lambda: owner.store.close(MOMENT))
            assert hang.begun.is_set()
            assert is_free(tmp_path)
        owner.store._flusher.join()  # type: ignore[attr-defined]
    before = disk.counts["write wal"]
    assert reread(tmp_path) == {name: {"s": name.encode()} for name in names}
    assert disk.counts["write wal"] == before, "nothing was folded after it had given up"


def test_close_that_has_time_folds_everything(tmp_path: Path, disk: Disk) -> None:
    with Owner(DiskPlace(tmp_path, disk, SLICES)) as owner:
        for n in range(50):
            owner.put(f"a{n}", {"s": b"1"})
        owner.run(lambda: owner.store.close(60))
    assert is_free(tmp_path)
    with Owner(DiskPlace(tmp_path, disk, SLICES)) as owner:
        assert owner.store.statistics().unfolded_actors <= 1  # type: ignore[attr-defined]


def test_close_given_up_and_then_closed_again_is_harmless(tmp_path: Path, disk: Disk) -> None:
    with Owner(DiskPlace(tmp_path, disk)) as owner:
        owner.put("a", {"s": b"1"})
        with hanging(disk, "sync wal") as hang:
            owner.run(lambda: commit_then_close(owner, hang))
            owner.run(lambda: owner.store.close(MOMENT))
        owner.run(owner.store.close)
    assert is_free(tmp_path)


class Counter(DurableObject):
    count: int = 0

    async def add(self) -> int:
        self.count += 1
        return self.count


def test_runtime_closes_in_time_though_the_disk_hangs(tmp_path: Path, disk: Disk) -> None:
    """What was acknowledged is there, and the next process can have the directory."""
    place, limits = DiskPlace(tmp_path, disk), RuntimeLimits(shutdown_seconds=MOMENT)
    store = place.store()

    async def main(hang: Hang) -> object:
        async with Runtime(store, [Counter], config=Config(limits=limits)) as rt:
            counter = rt.get(Counter, "c")
            assert [await counter.add() for _ in range(3)] == [1, 2, 3]
            disk.fault = hang
            call = asyncio.create_task(counter.add())
            await asyncio.to_thread(hang.begun.wait)
        assert is_free(tmp_path)
        return (await asyncio.gather(call, return_exceptions=True))[0]

    hang = Hang("sync wal")
    try:
        assert isinstance(asyncio.run(main(hang)), UnknownOutcome)
    finally:
        hang.released.set()
    store._flusher.join()

    async def later() -> int:
        async with Runtime(str(tmp_path), [Counter]) as rt:
            return await rt.get(Counter, "c").add()

    assert asyncio.run(later()) in (4, 5)
