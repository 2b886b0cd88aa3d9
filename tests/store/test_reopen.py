"""A SQLite store that has failed is opened again on what the disk has, by the owner it had."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from tests.store.disk import Disk
from tests.store.test_faults import COPYING, DiskPlace, fail, reread

from wakeful.errors import (
    DirectoryLost,
    StorageClosed,
    StorageCorrupt,
    StorageError,
    StorageUnavailable,
    UnknownOutcome,
)
from wakeful.store.limits import Limits
from wakeful.store.lock import DirectoryLock
from wakeful.store.storage_errors import storage_error
from wakeful.testing.store_suite import Owner

POWER_CUTS = 20


@pytest.fixture
def disk() -> Iterator[Disk]:
    with Disk("reopened") as disk:
        yield disk


def break_it(owner: Owner, disk: Disk, *, forgetful: bool = False) -> None:
    """A batch whose fsync fails, and cannot be settled either."""
    disk.forgetful = forgetful
    disk.fault = fail("sync wal", apsw.IOError)
    with pytest.raises(UnknownOutcome):
        owner.put("a", {"s": b"2"})


def test_a_failed_store_says_so_at_once(tmp_path: Path, disk: Disk) -> None:
    """Whoever hears of the unknown outcome sees that the store has failed."""
    with Owner(DiskPlace(tmp_path, disk)) as owner:
        seen: list[StorageError | None] = []

        async def put() -> None:
            record, heard = owner.record("a", {"s": b"1"}), asyncio.Event()

            def done(_: StorageError | None) -> None:
                seen.append(owner.store.failed)
                heard.set()

            owner.store.commit(owner.lane("a").number, [record], done)
            await heard.wait()

        owner.run(put)
        disk.fault = fail("sync wal", apsw.IOError)
        owner.run(put)
        assert [type(failed) for failed in seen] == [type(None), StorageUnavailable]
        with pytest.raises(StorageUnavailable):
            owner.load("a")
        disk.fault = None


def test_it_is_opened_again_once_the_disk_is_well(tmp_path: Path, disk: Disk) -> None:
    """What was acknowledged is there, before and after; until then it fails, and may be tried."""
    with Owner(DiskPlace(tmp_path, disk)) as owner:
        owner.put("a", {"s": b"1"})
        owner.put("kept", {"s": b"1"})
        epoch = owner.lane("a").epoch
        break_it(owner, disk)
        for _ in range(3):
            with pytest.raises(StorageUnavailable):
                owner.reopen()
            assert owner.store.failed is not None
        disk.fault = None
        owner.reopen()
        assert owner.store.failed is None
        assert owner.lane("a").epoch > epoch
        found = owner.load("a")
        assert found in ({"s": b"1"}, {"s": b"2"})
        assert owner.load("kept") == {"s": b"1"}
        owner.put("b", {"s": b"3"})
    assert reread(tmp_path) == {"a": found, "b": {"s": b"3"}, "kept": {"s": b"1"}}


@pytest.mark.parametrize("limits", [None, COPYING], ids=["default", "copying"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # see test_faults
def test_what_is_read_after_it_outlives_a_power_cut(
    tmp_path: Path, disk: Disk, limits: Limits | None
) -> None:
    """A failed fsync drops what it should have written, and the system goes on showing it."""
    with Owner(DiskPlace(tmp_path / "data", disk, limits)) as owner:
        for number in range(10):
            owner.put(f"kept{number}", {"s": b"1"})
        owner.put("a", {"s": b"1"})
        break_it(owner, disk, forgetful=True)
        disk.fault = None
        owner.reopen()
        found = owner.load("a")
        owner.put("b", {"s": b"3"})
        for seed in range(POWER_CUTS):
            disk.power_cut(tmp_path / f"cut-{seed}", random.Random(seed))
    kept = {f"kept{number}": {"s": b"1"} for number in range(10)}
    for seed in range(POWER_CUTS):
        assert reread(tmp_path / f"cut-{seed}") == {"a": found, "b": {"s": b"3"}, **kept}


def test_it_stays_locked_meanwhile(tmp_path: Path, disk: Disk) -> None:
    with Owner(DiskPlace(tmp_path, disk)) as owner:
        break_it(owner, disk)
        with pytest.raises(StorageError, match="in use by process"):
            DirectoryLock(tmp_path).acquire()
        disk.fault = None
        owner.reopen()
        with pytest.raises(StorageError, match="in use by process"):
            DirectoryLock(tmp_path).acquire()


def test_another_directory_at_the_path_is_not_opened(tmp_path: Path, disk: Disk) -> None:
    """Neither a copy of it nor an empty place."""
    data = tmp_path / "data"
    with Owner(DiskPlace(data, disk)) as owner:
        shutil.copytree(data, tmp_path / "copy")  # the store's thread closes files once it fails
        break_it(owner, disk)
        disk.fault = None
        data.rename(tmp_path / "elsewhere")
        with pytest.raises(DirectoryLost):
            owner.reopen()
        (tmp_path / "copy").rename(data)
        with pytest.raises(DirectoryLost):
            owner.reopen()
        with pytest.raises(DirectoryLost):
            owner.put("a", {"s": b"3"})


def test_another_file_in_the_directory_is_not_opened(tmp_path: Path, disk: Disk) -> None:
    """The lock is the same, the file says of itself that it is another."""
    with Owner(DiskPlace(tmp_path / "other", disk)) as other:
        other.put("z", {"s": b"1"})
    with Owner(DiskPlace(tmp_path / "data", disk)) as owner:
        break_it(owner, disk)
        disk.fault = None
        for path in (tmp_path / "data").glob("partition-*"):
            path.unlink()
        for path in (tmp_path / "other").glob("partition-*"):
            shutil.copy(path, tmp_path / "data")
        with pytest.raises(DirectoryLost):
            owner.reopen()


def test_a_store_that_was_closed_meanwhile_stays_closed(tmp_path: Path, disk: Disk) -> None:
    owner = Owner(DiskPlace(tmp_path, disk))
    break_it(owner, disk)
    disk.fault = None
    owner.run(owner.store.close)
    with pytest.raises(StorageClosed):
        owner.reopen()
    DirectoryLock(tmp_path).acquire()
    owner.close()


def test_what_was_acknowledged_must_be_there(tmp_path: Path, disk: Disk) -> None:
    """A log that has lost its end meanwhile is not gone on without: this owner knows better."""
    owner = Owner(DiskPlace(tmp_path, disk))
    for value in (b"1", b"2", b"3"):
        owner.put("b", {"s": value})
    log = tmp_path / "partition-0000.db-wal"
    kept = log.read_bytes()
    owner.put("b", {"s": b"4"})
    break_it(owner, disk)
    disk.fault = None
    log.write_bytes(kept)
    with pytest.raises(StorageCorrupt, match=r"and batch \d+ was acknowledged"):
        owner.reopen()
    with pytest.raises(StorageUnavailable):
        owner.load("b")
    owner.close()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (apsw.SQLITE_IOERR_READ, StorageUnavailable),
        (apsw.SQLITE_IOERR_FSYNC, StorageUnavailable),
        (apsw.SQLITE_CANTOPEN, StorageUnavailable),
        (apsw.SQLITE_IOERR_DATA, StorageCorrupt),
        (apsw.SQLITE_IOERR_CORRUPTFS, StorageCorrupt),
        (apsw.SQLITE_CORRUPT, StorageCorrupt),
        (apsw.SQLITE_NOTADB, StorageCorrupt),
    ],
)
def test_a_disk_that_fails_is_not_a_damaged_file(code: int, expected: type[StorageError]) -> None:
    error = apsw.exception_for(code)
    assert type(storage_error(error, "data.db")) is expected


@pytest.mark.parametrize("code", [apsw.SQLITE_CORRUPT, apsw.SQLITE_IOERR_CORRUPTFS])
def test_a_file_that_the_system_does_not_read_is_not_damaged(code: int) -> None:
    """It answers EIO for this one, as for a file on a disk that is gone."""
    error = apsw.exception_for(code)
    assert type(storage_error(error, "/proc/self/mem")) is StorageUnavailable
    with pytest.raises(apsw.IOError) as caught:
        apsw.Connection("/proc/self/mem", apsw.SQLITE_OPEN_READONLY).execute("PRAGMA user_version")
    assert caught.value.extendedresult == apsw.SQLITE_IOERR_CORRUPTFS
