"""Generations and the folder, without threads and without a disk."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from wakeful.errors import Fenced
from wakeful.ports import Cells, CommitRecord
from wakeful.store import journal
from wakeful.store.fold import Folder, Slice
from wakeful.store.limits import Limits
from wakeful.store.overlay import Generation, Key, Overlay
from wakeful.store.schema import MIGRATIONS, UNCHECKED, format_version
from wakeful.store.writer import Writer


def record(name: str, puts: dict[str, bytes | None], *, wipe: bool = False) -> CommitRecord:
    return CommitRecord("A", name, 0, 1, 1, wipe, puts)


def plain(row: journal.Logged) -> CommitRecord:
    assert row.ranges == {}
    return CommitRecord(
        row.type, row.name, row.shard, row.epoch, row.seq, row.wipe, row.puts, row.pages
    )


def stored(key: Key) -> Cells:
    return {"old": b"0", "x": b"0"}


def unreachable(key: Key) -> Cells:
    raise AssertionError("the stored cells do not count")


def test_the_active_generation_wins_over_the_frozen_over_the_stored() -> None:
    overlay = Overlay()
    overlay.active.apply(1, [record("a", {"x": b"1", "y": b"1"})], 10)
    overlay.freeze()
    overlay.active.apply(2, [record("a", {"y": b"2"})], 10)
    assert overlay.load(("A", "a"), stored) == {"old": b"0", "x": b"1", "y": b"2"}


@pytest.mark.parametrize("frozen", [False, True])
def test_a_wiped_actor_is_not_read(frozen: bool) -> None:
    overlay = Overlay()
    overlay.active.apply(1, [record("a", {"x": b"1"}, wipe=True)], 10)
    if frozen:
        overlay.freeze()
        overlay.active.apply(2, [record("a", {"y": b"2", "x": None})], 10)
    expected = {"y": b"2"} if frozen else {"x": b"1"}
    assert overlay.load(("A", "a"), unreachable) == expected


def test_what_is_dropped_is_read_from_the_store() -> None:
    overlay = Overlay()
    overlay.active.apply(1, [record("a", {"x": b"1"}, wipe=True)], 10)
    overlay.freeze().drop([("A", "a")])
    assert overlay.load(("A", "a"), stored) == {"old": b"0", "x": b"0"}


def test_a_large_batch_survives_the_journals_form() -> None:
    """Larger than the pieces the checksum is made of."""
    records = [record(str(n), {"s": b"x" * n, "gone": None}) for n in range(300)]
    blob = journal.encode(7, records)
    assert [plain(row) for row in journal.decode(7, bytes(blob))] == records


@pytest.mark.parametrize("position", [0, 1, 4, 5, 40])
def test_a_changed_byte_is_noticed(position: int) -> None:
    blob = journal.encode(7, [record("a", {"s": b"x" * 100})])
    blob[position] ^= 1
    with pytest.raises(journal.BadRow):
        journal.decode(7, bytes(blob))


@pytest.mark.parametrize(
    "last",
    [
        record("a", {"x": b"1"}),
        record("a", {"x": None}),
        record("a", {}, wipe=True),
    ],
    ids=["put", "delete", "wipe"],
)
def test_a_fenced_owner_hears_so_when_it_folds(tmp_path: Path, last: CommitRecord) -> None:
    """Else it would take for stored what is not, and drop it."""
    path = str(tmp_path / "file.db")
    old = Writer(path, Limits(), None)
    old.open(16)
    new = Writer(path, Limits(), None)
    new.open(16)
    generation = Generation()
    generation.apply(1, [last], 60)
    folder = Folder(old, Limits())
    folder.add(generation)
    for _ in range(2):
        with pytest.raises(Fenced):
            folder.step()
    old.close(clean=True)
    new.close(clean=True)


def test_an_actor_may_be_larger_than_a_slice(tmp_path: Path) -> None:
    """Its key is complete with its last cell only, and its wipe comes first."""
    writer = Writer(str(tmp_path / "file.db"), Limits(slice_cells=3), None)
    writer.open(16)
    generation = Generation()
    generation.apply(1, [record("a", dict.fromkeys("wxyz", b"1"), wipe=True)], 60)
    folder = Folder(writer, Limits(slice_cells=3))
    folder.add(generation)
    steps = []
    while folder.pending:
        steps.append(folder.step())
    assert [step.keys for step in steps] == [[], [("A", "a")], []]
    assert [step.finished for step in steps] == [False, False, True]
    writer.close(clean=True)


def test_a_slice_counts_its_rows() -> None:
    some = Slice()
    some.wipes.append(("A", "a"))
    some.add(("A", "a"), "x", b"12")
    some.add(("A", "a"), "y", None)
    assert (some.cells, some.size_bytes) == (3, 2)


def test_a_row_from_before_there_were_pages_is_read() -> None:
    """Fields are appended to a record; what is missing has its default."""
    old = [["A", "a", 0, 1, 1, False, {"s": b"1"}]]
    row = journal.encode(7, old)  # type: ignore[arg-type]
    assert [plain(row) for row in journal.decode(7, bytes(row))] == [record("a", {"s": b"1"})]


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_file_gets_the_tables_it_lacks(tmp_path: Path, version: int) -> None:
    path = str(tmp_path / "file.db")
    with apsw.Connection(path) as connection:
        for target, sql in MIGRATIONS:
            if target <= version:
                connection.execute(sql)
        connection.execute("UPDATE meta SET value = ? WHERE key = 'format_version'", (version,))
        connection.execute("UPDATE meta SET value = 16 WHERE key = 'shards'")
    connection.close()
    writer = Writer(path, Limits(), None)
    writer.open(16)
    writer.put_pages([("A", "a", 1, b"1")], 1)
    writer.close(clean=True)
    connection = apsw.Connection(path)
    assert format_version(connection, path) == UNCHECKED
    assert connection.execute("SELECT * FROM pages").fetchall() == [("A", "a", 1, b"1")]
    connection.close()


def test_a_page_of_a_wiped_actor_is_not_read_below() -> None:
    overlay = Overlay()
    overlay.active.apply(1, [CommitRecord("A", "a", 0, 1, 1, False, {}, {1: b"1", 2: b"1"})], 10)
    overlay.freeze()
    overlay.active.apply(2, [CommitRecord("A", "a", 0, 1, 2, True, {}, {2: b"2"})], 10)

    def stored(key: Key, number: int) -> bytes:
        raise AssertionError("the stored pages do not count")

    assert [overlay.sql_page(("A", "a"), number, stored) for number in (1, 2)] == [None, b"2"]
    assert overlay.has_pages(("A", "a"), lambda key: [3])
    overlay.active.apply(3, [CommitRecord("A", "a", 0, 1, 3, False, {}, {2: None})], 10)
    assert not overlay.has_pages(("A", "a"), lambda key: [3])


def test_pages_count_towards_a_slice(tmp_path: Path) -> None:
    """Both as rows and as bytes, so that a large turn is folded piece by piece."""
    writer = Writer(str(tmp_path / "file.db"), Limits(slice_bytes=8192), None)
    writer.open(16)
    generation = Generation()
    pages: dict[int, bytes | None] = {n: bytes(4096) for n in range(1, 6)}
    generation.apply(1, [CommitRecord("A", "a", 0, 1, 1, True, {"s": b"1"}, {**pages, 6: None})], 9)
    folder = Folder(writer, Limits(slice_bytes=8192))
    folder.add(generation)
    steps = []
    while folder.pending:
        steps.append(folder.step())
    assert [step.keys for step in steps] == [[], [], [("A", "a")], []]
    writer.close(clean=True)
