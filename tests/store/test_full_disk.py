"""A full disk: its server starts, reads and deletes, and writes again when there is room."""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import apsw
import pytest

from wakeful.cli import address
from wakeful.errors import Retry, StorageFull
from wakeful.ids import ActorId
from wakeful.ports import CommitRecord
from wakeful.store import checksums
from wakeful.store.check import Check
from wakeful.store.limits import Limits
from wakeful.store.lock import DirectoryLock
from wakeful.store.reserve import only_deletes, path_of, with_reserve
from wakeful.store.sqlite import SQLiteStore
from wakeful.store.stopped import StoppedStore
from wakeful.testing.store_owner import Owner

MIB = 1 << 20
VALUE = b"x" * 20_000
FOLDING = Limits(fold_bytes=200_000, fold_actors=10, slice_cells=8, wal_bytes=400_000)
_numbers = itertools.count()


class SmallDisk(apsw.VFS):
    """The real files of a directory, which together may have only so many bytes."""

    def __init__(self, directory: Path) -> None:
        self.name = f"small-{next(_numbers)}"
        self.directory = directory
        self.capacity = 1 << 40
        self.life = 0
        super().__init__(self.name, checksums.vfs() or "")

    @property
    def used(self) -> int:
        return sum(file.stat().st_size for file in self.directory.glob("*"))

    def fill(self) -> None:
        """Let nothing be added from now on."""
        self.capacity = self.used

    def has_room_for(self, size_bytes: int) -> bool:
        return size_bytes <= 0 or self.used + size_bytes <= self.capacity

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> SmallFile:
        return SmallFile(self, name, flags)


class SmallFile(apsw.VFSFile):
    """An open file on a small disk."""

    def __init__(
        self, disk: SmallDisk, name: apsw.URIFilename | str | None, flags: list[int]
    ) -> None:
        self._disk = disk
        self._life = disk.life
        super().__init__(checksums.vfs() or "", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        if self._life != self._disk.life:
            raise apsw.IOError("killed")
        if not self._disk.has_room_for(offset + len(data) - self.xFileSize()):
            raise apsw.FullError("no room on this small disk")
        super().xWrite(data, offset)


class SmallPlace:
    """A data directory on a small disk."""

    def __init__(self, disk: SmallDisk, limits: Limits | None) -> None:
        self.disk = disk
        self._limits = limits

    def store(self) -> SQLiteStore:
        return SQLiteStore(self.disk.directory, limits=self._limits, vfs=self.disk.name)

    def steal(self) -> None:
        (self.disk.directory / "lock").unlink()


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallDisk]:
    disk = SmallDisk(tmp_path)

    def allocate(fd: int, offset: int, size: int) -> None:
        if not disk.has_room_for(size):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.ftruncate(fd, offset + size)

    monkeypatch.setattr(os, "posix_fallocate", allocate)
    yield disk
    disk.unregister()


@pytest.fixture(params=[None, FOLDING], ids=["default", "folding"])
def place(disk: SmallDisk, request: pytest.FixtureRequest) -> SmallPlace:
    return SmallPlace(disk, request.param)


def filled(owner: Owner, prefix: str = "a") -> list[str]:
    """Put values until there is no room; the names of those that are there."""
    names: list[str] = []
    for number in range(1_000):
        try:
            owner.put(f"{prefix}{number}", {"s": VALUE})
        except StorageFull:
            return names
        names.append(f"{prefix}{number}")
    raise AssertionError("the disk does not become full")


def delete(owner: Owner, name: str) -> None:
    owner.commit(owner.record(name, {}, wipe=True))


def reopened(owner: Owner, place: SmallPlace, *, kill: bool) -> Owner:
    """The next owner, while not a byte is left on the disk."""
    place.disk.life += kill  # then the one before writes nothing any more
    owner.close()
    place.disk.fill()
    return Owner(place)


# Where SQLite asks nothing back (when it closes a file), apsw can only report a fault to the air.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_a_full_disk_serves_starts_and_deletes(place: SmallPlace, kill: bool) -> None:
    """As often as one likes, and all that is stored can be read and deleted, one by one."""
    place.disk.capacity = 4 * MIB
    owner = Owner(place)
    names = filled(owner)
    assert len(names) > 30
    for count, name in enumerate(names):
        if count % 5 == 0:
            owner = reopened(owner, place, kill=kill)
        assert owner.load(name) == {"s": VALUE}
        delete(owner, name)
        assert owner.load(name) == {}
    assert owner.names() == []
    owner.close()


def test_what_is_deleted_makes_room_for_writes(disk: SmallDisk) -> None:
    """Though the disk stays as full as it was: the pages that are free are used again."""
    place = SmallPlace(disk, None)
    place.disk.capacity = 4 * MIB
    with Owner(place) as owner:
        names = filled(owner)
        place.disk.fill()
        for name in names:
            delete(owner, name)
        again = itertools.chain.from_iterable(filled(owner) for _ in range(10))
        assert len(set(again)) >= 5  # the first may come before what was deleted is folded
        assert len(owner.names()) >= 5


def test_a_write_that_adds_leaves_the_reserve_alone(place: SmallPlace) -> None:
    """However often it is tried, deletions have their room."""
    place.disk.capacity = 4 * MIB
    with Owner(place) as owner:
        names = filled(owner)
        with pytest.raises(StorageFull) as caught:
            owner.put("b", {"s": VALUE * 1_000})
        assert (caught.value.http, caught.value.retry) == (507, Retry.SAFE)
        for name in names:
            filled(owner, f"{name}-")
            delete(owner, name)
        assert not set(owner.names()) & set(names)
        for name in owner.names():
            delete(owner, name)


def test_a_deletion_that_is_too_large_spoils_nothing(place: SmallPlace) -> None:
    """It is refused, and then smaller ones work, and the next start."""
    place.disk.capacity = 4 * MIB
    owner = Owner(place)
    names = filled(owner)
    place.disk.fill()
    for _ in range(3):
        with pytest.raises(StorageFull):
            owner.put(names[0], {"k" * 10_000_000: None})
    for name in names[:10]:
        owner = reopened(owner, place, kill=False)
        delete(owner, name)
    assert set(owner.names()) == set(names[10:])
    owner.close()


def test_writes_go_on_when_there_is_room_again(place: SmallPlace) -> None:
    """Without a restart; and the reserve is filled again, by the next start at the latest."""
    place.disk.capacity = 4 * MIB
    with Owner(place) as owner:
        names = filled(owner)
        delete(owner, names[0])
        place.disk.capacity = 40 * MIB
        owner.put("b", {"s": VALUE})
    with Owner(place) as owner:
        left = os.stat(path_of(str(place.disk.directory / "partition-0000.db"))).st_size
        assert left > MIB
        assert set(owner.names()) == {"b", *names[1:]}


def test_without_its_reserve_a_full_disk_is_an_error(place: SmallPlace) -> None:
    """A start is refused, with a name for it, and nothing is lost."""
    with Owner(place) as owner:
        owner.put("a", {"s": VALUE})
    Path(path_of(str(place.disk.directory / "partition-0000.db"))).unlink()
    place.disk.fill()
    with pytest.raises(StorageFull):
        Owner(place)
    place.disk.capacity = 40 * MIB
    with Owner(place) as owner:
        assert owner.load("a") == {"s": VALUE}


def test_which_batches_only_delete() -> None:
    wipe = CommitRecord("A", "a", 0, 1, 1, True, {})
    removal = CommitRecord("A", "a", 0, 1, 1, False, {"k": None}, {2: None})
    assert only_deletes([wipe, removal])
    assert not only_deletes([wipe, CommitRecord("A", "a", 0, 1, 1, True, {"k": b""})])
    assert not only_deletes([removal, CommitRecord("A", "a", 0, 1, 1, False, {}, {1: b""})])


# --- a real disk ---------------------------------------------------------------------------------


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system in memory of 8 MiB: there a page of shared memory needs room too."""
    place = tmp_path / "mounted"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting is not permitted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def take_all(directory: Path) -> None:
    """Write a file until not a byte is left."""
    with (directory / f"ballast-{next(_numbers)}").open("wb", buffering=0) as file:
        for size in (65536, 4096):
            while True:
                try:
                    if file.write(bytes(size)) < size:
                        break
                except OSError:
                    break


def test_commands_work_on_a_full_disk(mounted: Path) -> None:
    """A stopped directory is read, checked and deleted from; and a killed server left its files."""
    data = mounted / "data"

    class Mounted:
        def store(self) -> SQLiteStore:
            return SQLiteStore(data)

        def steal(self) -> None:
            (data / "lock").unlink()

    with Owner(Mounted()) as owner:
        names = filled(owner)
        take_all(mounted)
        delete(owner, names[0])
    for name in names[1:6]:
        take_all(mounted)
        store = StoppedStore(data)
        info = store.open()
        assert store.load(ActorId("Counter", name)) == {"s": VALUE}
        epoch = info.lanes[0].epoch
        store.commit([CommitRecord("Counter", name, 0, epoch, 1, True, {})])
        store.close()
        take_all(mounted)
        lock = DirectoryLock(data)
        lock.acquire()
        file = str(data / "partition-0000.db")
        check = with_reserve(file, partial(Check, file, running=False, progress=silent))
        check.journal()
        assert name not in {actor.name for actor in check.actors()}
        assert check.found == 0
        check.close()
        lock.release()
    address.announce(data, "127.0.0.1", 1, None)
    assert (data / address.FILE).stat().st_size > 0
    for ballast in mounted.glob("ballast-*"):
        ballast.unlink()
    with Owner(Mounted()) as owner:
        owner.put("b", {"s": VALUE})
        assert set(owner.names()) == {"b", *names[6:]}


def silent(what: str, done: int, total: int | None) -> None:
    """No progress is shown."""
