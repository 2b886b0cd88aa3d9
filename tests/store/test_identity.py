"""A data directory that is deleted, renamed or replaced under its owner: nothing is confirmed."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from wakeful.errors import DirectoryLost, Fenced, StorageError, StorageUnavailable, UnknownOutcome
from wakeful.ports import CommitRecord
from wakeful.store.sqlite import SQLiteStore
from wakeful.store.stopped import StoppedStore
from wakeful.testing.store_suite import Owner

FILE = "partition-0000.db"


class Directory:
    """A data directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def store(self) -> SQLiteStore:
        return SQLiteStore(self.path)

    def steal(self) -> None:
        (self.path / "lock").unlink()


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "data")


def deleted(path: Path) -> None:
    shutil.rmtree(path)


def renamed(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def replaced_by_a_copy(path: Path) -> None:
    shutil.copytree(path, path.with_name("copy"))
    path.rename(path.with_name("elsewhere"))
    path.with_name("copy").rename(path)


def made_anew(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


def file_deleted(path: Path) -> None:
    (path / FILE).unlink()


def log_deleted(path: Path) -> None:
    (path / f"{FILE}-wal").unlink()


def log_replaced(path: Path) -> None:
    log = path / f"{FILE}-wal"
    shutil.copy(log, path / "copy")
    (path / "copy").rename(log)


def lock_deleted(path: Path) -> None:
    (path / "lock").unlink()


def lock_replaced(path: Path) -> None:
    (path / "new").write_text("1\n")
    (path / "new").rename(path / "lock")


LOSSES = [
    deleted,
    renamed,
    replaced_by_a_copy,
    made_anew,
    file_deleted,
    log_deleted,
    log_replaced,
    lock_deleted,
    lock_replaced,
]


@pytest.mark.parametrize("lose", LOSSES)
def test_nothing_is_confirmed_in_a_lost_directory(
    directory: Directory, lose: Callable[[Path], None]
) -> None:
    """Not the next batch, not the one after it; and what is in memory is not read either."""
    with Owner(directory) as owner:
        owner.put("a", {"s": b"1"})
        lose(directory.path)
        for _ in range(2):
            with pytest.raises(DirectoryLost, match=str(directory.path)):
                owner.put("a", {"s": b"2"})
        for read in (owner.load, owner.pages):
            with pytest.raises(DirectoryLost):
                read("a")
        with pytest.raises(DirectoryLost):
            owner.names()


@pytest.mark.parametrize("lose", LOSSES)
def test_a_lost_directory_is_noticed_without_a_write(
    directory: Directory, lose: Callable[[Path], None]
) -> None:
    with Owner(directory) as owner:
        owner.put("a", {"s": b"1"})
        assert owner.read(lambda: owner.store.prove(0)) is None
        lose(directory.path)
        with pytest.raises(DirectoryLost, match=str(directory.path)):
            owner.read(lambda: owner.store.prove(0))
        with pytest.raises(DirectoryLost):
            owner.load("a")


@pytest.mark.parametrize("lose", [deleted, renamed, replaced_by_a_copy, made_anew])
def test_a_second_owner_has_the_path_for_itself(
    directory: Directory, lose: Callable[[Path], None]
) -> None:
    """Whatever the first does afterwards, its orderly end included, the second loses nothing."""
    first = Owner(directory)
    first.put("a", {"s": b"1"})
    lose(directory.path)
    with Owner(directory) as second:
        second.put("b", {"s": b"second"})
        with pytest.raises(DirectoryLost):
            first.put("a", {"s": b"2"})
        second.put("c", {"s": b"second"})
        first.close()
        second.put("d", {"s": b"second"})
        power_cut(directory.path)
    with Owner(Directory(directory.path.with_name("after"))) as last:
        assert set(last.names()) >= {"b", "c", "d"}


def power_cut(path: Path) -> None:
    """Copy what a crash now would leave at the path."""
    shutil.copytree(path, path.with_name("after"))
    (path.with_name("after") / f"{FILE}-shm").unlink(missing_ok=True)


def test_an_owner_that_only_closes_leaves_the_log_of_the_second(directory: Directory) -> None:
    """SQLite removes the log by its path: it must not be the other's."""
    first = Owner(directory)
    first.put("a", {"s": b"1"})
    renamed(directory.path)
    with Owner(directory) as second:
        second.put("b", {"s": b"second"})
        first.close()
        second.put("c", {"s": b"second"})
        power_cut(directory.path)
    with Owner(Directory(directory.path.with_name("after"))) as last:
        assert last.names() == ["b", "c"]


def test_the_directory_is_the_same_when_the_program_changes_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path may be relative."""
    monkeypatch.chdir(tmp_path)
    with Owner(Directory(Path("data"))) as owner:
        (tmp_path / "other").mkdir()
        monkeypatch.chdir(tmp_path / "other")
        owner.put("a", {"s": b"1"})
        assert owner.load("a") == {"s": b"1"}


def test_a_directory_behind_a_link_may_be_moved_with_it(tmp_path: Path) -> None:
    """What counts is where the path leads."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    with Owner(Directory(tmp_path / "data")) as owner:
        owner.put("a", {"s": b"1"})
        (tmp_path / "data").unlink()
        (tmp_path / "data").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(DirectoryLost):
            owner.put("a", {"s": b"2"})


def test_an_epoch_that_has_grown_is_noticed_without_a_write(directory: Directory) -> None:
    """The lock may have been broken where it does not show: on a file system without locks."""
    with Owner(directory) as owner:
        owner.put("a", {"s": b"1"})
        connection = apsw.Connection(str(directory.path / FILE))
        connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'epoch'")
        connection.close()
        with pytest.raises(Fenced):
            owner.read(lambda: owner.store.prove(0))


def test_a_copy_keeps_what_was_confirmed_before(directory: Directory) -> None:
    with Owner(directory) as owner:
        owner.put("a", {"s": b"1"})
        replaced_by_a_copy(directory.path)
        with pytest.raises(DirectoryLost):
            owner.put("a", {"s": b"2"})
    with Owner(directory) as last:
        assert last.load("a") == {"s": b"1"}


def test_a_stopped_directory_that_is_lost_confirms_nothing(directory: Directory) -> None:
    stopped = StoppedStore(directory.path)
    epoch = stopped.open().lanes[0].epoch
    deleted(directory.path)
    with pytest.raises(StorageError, match="deleted"):
        stopped.commit([CommitRecord("Counter", "a", 0, epoch, 1, False, {"s": b"1"})])
    stopped.close()
    assert not os.path.exists(directory.path)


def test_a_disk_that_does_not_say_has_failed_and_has_taken_nothing_away(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EIO of stat: what was written may be there; the store can be opened again."""
    stat = os.stat

    def fails(path: str | int) -> os.stat_result:
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    with Owner(directory) as owner:
        owner.put("a", {"s": b"1"})
        monkeypatch.setattr(os, "stat", fails)
        with pytest.raises(UnknownOutcome):
            owner.put("a", {"s": b"2"})
        assert isinstance(owner.store.failed, StorageUnavailable)
        monkeypatch.setattr(os, "stat", stat)
        owner.reopen()
        assert owner.load("a") == {"s": b"2"}
