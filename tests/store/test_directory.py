"""Opening a data directory: locks, damage, formats, crashes, and a look inside without a loop."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from wakeful.errors import (
    DirectoryInUse,
    Fenced,
    FormatTooNew,
    StorageClosed,
    StorageCorrupt,
    StorageReadOnly,
)
from wakeful.ids import ActorId
from wakeful.ports import CommitRecord
from wakeful.store import checksums
from wakeful.store.limits import Limits
from wakeful.store.reader import _ALARMS
from wakeful.store.sqlite import SQLiteStore
from wakeful.store.stopped import StoppedStore
from wakeful.store.writer import Writer
from wakeful.testing.store_suite import Owner


class Directory:
    """A data directory with default limits."""

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self.path = path
        self.file = str(path / "partition-0000.db")
        self._limits = limits

    def store(self) -> SQLiteStore:
        return SQLiteStore(self.path, limits=self._limits)

    def steal(self) -> None:
        (self.path / "lock").unlink()


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    return Directory(tmp_path / "data")


def crash(directory: Directory) -> None:
    """Leave a file of 50 actors as a killed owner leaves it."""
    run_child(directory, "owner.put('last', {'s': b'1'}); os.kill(os.getpid(), signal.SIGKILL)")


CHILD = """
import os, signal, sys
from tests.store.test_directory import Directory
from wakeful.testing.store_suite import Owner
from pathlib import Path
owner = Owner(Directory(Path(sys.argv[1])))
for number in range(50):
    owner.put(str(number), {"s": b"x" * 500})
print("ready", flush=True)
"""


def run_child(directory: Directory, then: str) -> None:
    subprocess.run(command(directory, then), check=False, capture_output=True, timeout=20)


def command(directory: Directory, then: str) -> list[str]:
    return [sys.executable, "-c", CHILD + then, str(directory.path)]


def change(directory: Directory, sql: str, *bindings: str | int | bytes) -> None:
    connection = apsw.Connection(directory.file, vfs=checksums.vfs())
    connection.execute(sql, bindings)
    connection.close()


# --- the lock ------------------------------------------------------------------------------------


def test_a_directory_in_use_by_another_process_is_refused(directory: Directory) -> None:
    """The message names the directory and the process."""
    child = subprocess.Popen(
        command(directory, "sys.stdin.read()"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        with pytest.raises(DirectoryInUse, match=rf"{directory.path}.* process {child.pid}\b"):
            Owner(directory)
        child.kill()
    with Owner(directory) as owner:
        assert len(owner.names()) == 50


def test_a_directory_in_use_in_this_process_is_refused(directory: Directory) -> None:
    with Owner(directory), pytest.raises(DirectoryInUse, match=str(os.getpid())):
        Owner(directory)
    Owner(directory).close()


def test_a_store_that_could_not_be_opened_leaves_no_lock(directory: Directory) -> None:
    Owner(directory).close()
    change(directory, "UPDATE meta SET value = value + 1 WHERE key = 'format_version'")
    for _ in range(2):
        with pytest.raises(FormatTooNew):
            Owner(directory)


def test_a_path_that_cannot_be_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageReadOnly, match="Not a directory"):
        Owner(Directory(tmp_path / "file"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_may_not_be_written_is_refused(directory: Directory) -> None:
    directory.path.mkdir(mode=0o555)
    with pytest.raises(StorageReadOnly, match="Permission denied"):
        Owner(directory)


# --- formats -------------------------------------------------------------------------------------


def test_a_newer_format_is_refused_untouched(directory: Directory) -> None:
    """Both versions are named; nothing is written, not even the epoch."""
    Owner(directory).close()
    change(directory, "UPDATE meta SET value = 99 WHERE key = 'format_version'")
    before = Path(directory.file).read_bytes()
    with pytest.raises(FormatTooNew, match=r"format 99.* formats up to [0-9]+:"):
        Owner(directory)
    assert Path(directory.file).read_bytes() == before


def test_a_foreign_database_is_refused_untouched(directory: Directory) -> None:
    directory.path.mkdir()
    change(directory, "CREATE TABLE theirs(x)")
    before = Path(directory.file).read_bytes()
    with pytest.raises(StorageCorrupt, match="not a wakeful data file"):
        Owner(directory)
    assert Path(directory.file).read_bytes() == before


def test_the_number_of_shards_is_that_of_the_directory(tmp_path: Path) -> None:
    """It is chosen once, since actors are hashed with it."""

    async def shards(number: int) -> int:
        store = SQLiteStore(tmp_path, shards=number)
        info = await store.open()
        await store.close()
        return info.shards

    assert [asyncio.run(shards(number)) for number in (16, 64)] == [16, 16]


# --- damage --------------------------------------------------------------------------------------


def test_a_damaged_header_is_named(directory: Directory) -> None:
    Owner(directory).close()
    with open(directory.file, "r+b") as file:
        file.write(b"not SQLite's header")
    with pytest.raises(StorageCorrupt, match=rf"{directory.file}.* its first page"):
        Owner(directory)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE journal SET batch = substr(batch, 1, 3) WHERE seq = ?", "has 3 bytes"),
        ("UPDATE journal SET batch = 'text' WHERE seq = ?", "has 4 bytes"),
        ("UPDATE journal SET batch = x'00' || substr(batch, 2) WHERE seq = ?", "has version 0"),
        ("UPDATE journal SET batch = batch || x'00' WHERE seq = ?", "does not match its checksum"),
        (
            "UPDATE journal SET batch = (SELECT batch FROM journal WHERE seq = 1) WHERE seq = ?",
            "does not match its checksum",
        ),
    ],
)
def test_a_damaged_journal_row_is_named(directory: Directory, sql: str, said: str) -> None:
    """Also one that is sound, but another one's."""
    crash(directory)
    change(directory, sql, 7)
    with pytest.raises(StorageCorrupt, match=rf"{directory.file}: row 7 of the journal {said}"):
        Owner(directory)


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM meta WHERE key = 'shards'",
        "UPDATE meta SET value = 'many' WHERE key = 'shards'",
    ],
)
def test_damaged_facts_are_named(directory: Directory, sql: str) -> None:
    Owner(directory).close()
    change(directory, sql)
    with pytest.raises(StorageCorrupt, match="what it says about itself"):
        Owner(directory)


def test_a_file_is_checked_after_an_unclean_stop(directory: Directory) -> None:
    """If it is not too large; after a clean stop it is trusted. A page may be whole and yet wrong:
    an older one, say, that a disk has not replaced."""
    with Owner(directory) as owner:
        owner.commit(*(owner.record(str(n), {"s": b"x" * 500}) for n in range(50)))
    content = bytearray(Path(directory.file).read_bytes())
    last = len(content) - 4096
    content[last : last + 16] = b"\xff" * 16
    content[last:] = seal(content[last:])
    Path(directory.file).write_bytes(content)
    Owner(directory).close()
    change(directory, "UPDATE meta SET value = 0 WHERE key = 'clean'")
    with pytest.raises(StorageCorrupt, match=f"{directory.file} is damaged"):
        Owner(directory)
    Owner(Directory(directory.path, Limits(check_bytes_max=0))).close()


def seal(page: bytearray) -> bytearray:
    """The page with the checksum it should have."""
    page[-checksums.SUM_BYTES :] = checksums.page_sum(page)
    return page


# --- crashes -------------------------------------------------------------------------------------

WRITER = """
for number in range(10_000):
    owner.put("n%d" % (number % 100), {"s": b"%d" % number})
    print(number, flush=True)
"""


@pytest.mark.crash
@pytest.mark.parametrize("acknowledged", [1, 60, 400])
def test_what_was_acknowledged_survives_sigkill(directory: Directory, acknowledged: int) -> None:
    """The child says what it was told is durable, and is killed while it goes on."""
    child = subprocess.Popen(command(directory, WRITER), stdout=subprocess.PIPE)
    with child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(acknowledged + 1)]
        child.send_signal(signal.SIGKILL)
        said += child.stdout.readlines()
    last = int(said[-1])
    with Owner(directory) as owner:
        assert isinstance(owner.store, SQLiteStore)
        owner.store.integrity_check()
        names = owner.names(prefix="n", limit=30)
        found = {int(name[1:]): int(owner.load(name)["s"]) for name in names}
    for number in range(max(0, last - 99), last + 1):
        assert found[number % 100] in (number, number + 100)
    assert max(found.values()) <= last + 1


def test_an_unclean_stop_costs_a_replay(directory: Directory) -> None:
    """What was only in the journal is read, and listed, and folded in the end."""
    crash(directory)
    with Owner(directory) as owner:
        assert owner.load("last") == {"s": b"1"}
        assert len(owner.names()) == 51
    connection = apsw.Connection(directory.file)
    assert connection.execute("SELECT count(*) FROM cells").get == 51
    assert connection.execute("SELECT count(*) FROM journal").get == 1
    connection.close()


# --- without a server ----------------------------------------------------------------------------


@pytest.fixture
def stopped(directory: Directory) -> Iterator[StoppedStore]:
    with Owner(directory) as owner:
        owner.put("a", {"s": b"1"})
        owner.put("b", {"s": b"1"})
    store = StoppedStore(directory.path)
    store.open()
    yield store
    store.close()


def test_a_stopped_directory_is_read(stopped: StoppedStore) -> None:
    assert stopped.load(ActorId("Counter", "a")) == {"s": b"1"}
    assert [actor.name for actor in stopped.actors("Counter").actors] == ["a", "b"]
    assert stopped.types() == ["Counter"]
    stopped.integrity_check()


def test_a_stopped_directory_is_changed(stopped: StoppedStore, directory: Directory) -> None:
    epoch = 2
    wipe = CommitRecord("Counter", "a", 0, epoch, 1, True, {})
    stopped.commit([wipe])
    assert stopped.load(ActorId("Counter", "a")) == {}
    stopped.close()
    with pytest.raises(StorageClosed):
        stopped.load(ActorId("Counter", "b"))
    with Owner(directory) as owner:
        assert owner.names() == ["b"]


def test_a_stopped_directory_is_one_owners(stopped: StoppedStore, directory: Directory) -> None:
    with pytest.raises(DirectoryInUse):
        Owner(directory)
    with pytest.raises(Fenced):
        stopped.commit([CommitRecord("Counter", "a", 0, 1, 1, True, {})])


def test_many_changes_without_a_server_are_folded_on_the_way(tmp_path: Path) -> None:
    store = StoppedStore(tmp_path, limits=Limits(fold_actors=10))
    info = store.open()
    for number in range(100):
        store.commit([CommitRecord("A", str(number), 0, info.lanes[0].epoch, 1, False, {"s": b""})])
        assert store._partition.fullness() < 1
    assert len(store.actors("A", limit=200).actors) == 100
    store.close()


def test_the_log_of_many_changes_without_a_server_begins_anew_on_the_way(tmp_path: Path) -> None:
    """An import would take its size three times otherwise."""
    limits = Limits(fold_actors=10, wal_bytes=200_000)
    store = StoppedStore(tmp_path, limits=limits)
    info = store.open()
    for number in range(200):
        cells: dict[str, bytes | None] = {"s": bytes(10_000)}
        store.commit([CommitRecord("A", str(number), 0, info.lanes[0].epoch, 1, False, cells)])
    size_bytes = (tmp_path / "partition-0000.db-wal").stat().st_size
    store.close()
    assert size_bytes < 4 * limits.wal_bytes


def test_alarms_are_found_by_an_index_of_their_type(tmp_path: Path) -> None:
    """However many there are, of this type or of others."""
    writer = Writer(str(tmp_path / "file.db"), Limits(), None)
    writer.open(16)
    connection = apsw.Connection(str(tmp_path / "file.db"))
    steps = connection.execute(f"EXPLAIN QUERY PLAN {_ALARMS}", ("A", b"9", b"", "", 9)).fetchall()
    assert [detail for *_, detail in steps] == [
        "SEARCH cells USING COVERING INDEX alarms (type=? AND (value,name)>(?,?) AND value<?)"
    ]
    writer.close(clean=True)
