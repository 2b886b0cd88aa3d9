"""What is read of the files that workerd wrote."""

import math
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.workers.workerd_state import ALL, ODD, ONE, TWO, contents, unpacked

from wakeful.core.alarms import AlarmCell
from wakeful.ids import ActorId, shard_of
from wakeful.ports import AGENDA_KEY, KV_PREFIX, NAME_KEY, LaneInfo, StoreInfo
from wakeful.workers.objects import stored
from wakeful.workers.workerd_files import importer as importing
from wakeful.workers.workerd_files.importer import CannotImport, Imported, Importer, find

NAMES = [f"sample-Kinds/{ALL}", f"sample-Odd/{ODD}", f"sample-Shop/{TWO}", f"sample-Shop/{ONE}"]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return unpacked(tmp_path)


@pytest.fixture
def importer(tmp_path: Path) -> Importer:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Importer(scratch)


def names(path: Path, worker: str | None = None, *classes: str) -> list[str]:
    return [str(source.actor) for source in find(path, worker, classes).sources]


def read(importer: Importer, state: Path, hex_digits: str) -> Imported:
    (source,) = [one for one in find(state).sources if one.actor.name == hex_digits]
    return importer.read(source)


def values(one: Imported) -> dict[str, Any]:
    return {
        key.removeprefix(KV_PREFIX): stored.unpack(cell)
        for key, cell in one.cells.items()
        if key.startswith(KV_PREFIX)
    }


# --- finding ---------------------------------------------------------------------------------


@pytest.mark.parametrize("below", ["", "v3", "v3/do"])
def test_all_objects_are_found_from_any_directory_above_them(state: Path, below: str) -> None:
    assert names(state / below) == NAMES


def test_objects_of_a_project_are_found(state: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / ".wrangler").mkdir(parents=True)
    state.rename(project / ".wrangler" / "state")
    assert names(project) == NAMES
    assert names(project / ".wrangler") == NAMES


def test_one_class_or_one_object_is_found(state: Path) -> None:
    shop = state / "v3/do/sample-Shop"
    assert names(shop) == NAMES[2:]
    assert names(shop / f"{ONE}.sqlite") == [f"sample-Shop/{ONE}"]


def test_worker_and_classes_are_filters(state: Path) -> None:
    assert names(state, "sample") == NAMES
    assert names(state, None, "Shop", "Odd") == NAMES[1:]
    with pytest.raises(CannotImport, match="<worker>-<class>: sample-Kinds, sample-Odd, sample-"):
        find(state, "other")


def test_a_file_by_itself_needs_worker_and_class(state: Path, tmp_path: Path) -> None:
    alone = tmp_path / "elsewhere"
    alone.mkdir()
    file = shutil.copy(state / f"v3/do/sample-Shop/{ONE}.sqlite", alone)
    assert names(Path(file), "sample", "Shop") == [f"sample-Shop/{ONE}"]
    for worker, classes in ((None, ()), ("sampel", ("Shop",))):
        with pytest.raises(CannotImport, match="this id is not one of"):
            find(Path(file), worker, classes)


def test_objects_inside_objects_are_named_and_left(state: Path) -> None:
    shop = state / "v3/do/sample-Shop"
    for suffix in (".1.sqlite", ".facets"):
        (shop / f"{ONE}{suffix}").touch()
    found = find(state)
    assert [file.name for file in found.children] == [f"{ONE}.1.sqlite", f"{ONE}.facets"]
    assert len(found.sources) == 4


def test_a_path_without_objects_is_refused(tmp_path: Path) -> None:
    for name in ("missing", "x" * 300):
        with pytest.raises(CannotImport, match="does not exist"):
            find(tmp_path / name)
    with pytest.raises(CannotImport, match="holds no Durable Objects"):
        find(tmp_path)
    file = tmp_path / "metadata.sqlite"
    file.touch()
    with pytest.raises(CannotImport, match=r"named <64 hex digits>\.sqlite"):
        find(file)


# --- values ----------------------------------------------------------------------------------


def test_values_of_every_kind_arrive(importer: Importer, state: Path) -> None:
    found = values(read(importer, state, ALL))
    assert math.isnan(found.pop("nan"))
    assert repr(found.pop("negzero")) == "-0.0"
    assert [str(found.pop(name)) for name in ("error", "cause")] == ["boom", "plain"]
    dates = {"date": 1760000000123, "old": -1500000000000}
    for key, milliseconds in dates.items():
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
        assert found.pop(key).astimezone(UTC) == moment
    assert found == {
        "": "empty key",
        "array": [1, 2.5, "x", [], {}],
        "ascii": "hello",
        "bigint": 123456789012345678901234567890,
        "bigneg": -1,
        "boxed": [3, "s", True, False, 5],
        "buffer": b"\1\2\3",
        "clé": 1,
        "empty": "",
        "f64": b"\0\0\0\0\0\0\xe0\x3f",
        "false": False,
        "float": 1.5,
        "holes": [1, None, 3],
        "i16": b"\1\0\xfe\xff",
        "inf": math.inf,
        "instance": {"x": 1},
        "int": 2,
        "latin1": "café",
        "lone": "\ud800x",
        "long": "é" * 300,
        "map": {"k": 1, "2": "two", "null": "n"},
        "max": 2**31 - 1,
        "min": -(2**31),
        "negative": -5,
        "null": None,
        "object": {"a": 1, "b": {"c": [1, "x", None, None]}, "7": "seven", "none": None},
        "safe": 2**53 - 1,
        "set": {1, "a", None, 2.5},
        "shared": [{"s": 1}, {"s": 1}],
        "sparse": [None, None, "t", *[None] * 97, 1],
        "true": True,
        "twoviews": [b"\1\2", b"\3\4", b"\1\2\3\4"],
        "u8": b"\x09\x08\x07",
        "undefined": None,
        "view": b"\2\3",
        "wide": "日本語 😀",
        "zero": 0,
    }


def test_values_that_cannot_be_read_are_named(importer: Importer, state: Path) -> None:
    one = read(importer, state, ODD)
    found = values(one)
    assert found["cycle"]["self"] is found["cycle"]
    assert found.keys() == {"fine", "cycle"}
    keys = ("'objectkey': a Map has a key", "'regexp': DataCloneError")
    for problem, key in zip(one.unreadable, keys, strict=True):
        assert f"{ODD}.sqlite: the value of key {key}" in problem


def test_the_source_is_left_as_it_is(importer: Importer, state: Path) -> None:
    before = contents(state)
    for source in find(state).sources:
        importer.read(source)
    assert contents(state) == before


# --- alarms ----------------------------------------------------------------------------------


def test_alarms_arrive(importer: Importer, state: Path) -> None:
    cell = read(importer, state, ALL).cells[AGENDA_KEY]
    assert AlarmCell.unpack(cell) == AlarmCell.at(4102444800_123_000_000)
    assert not read(importer, state, TWO).alarmed, "it was deleted again"


def test_an_object_with_an_alarm_keeps_its_name(importer: Importer, state: Path) -> None:
    """Which is all that workerd stores of names."""
    assert read(importer, state, ALL).cells[NAME_KEY] == b"all"
    assert NAME_KEY not in read(importer, state, TWO).cells


def test_alarms_of_older_files_are_beside_them(importer: Importer, state: Path) -> None:
    file = state / f"v3/do/sample-Shop/{ONE}.sqlite"
    with apsw.Connection(str(file)) as connection:
        connection.execute("DROP TABLE _cf_METADATA")
    connection.close()
    cell = read(importer, state, ONE).cells[AGENDA_KEY]
    assert AlarmCell.unpack(cell) == AlarmCell.at(4102444800_000_000_000)


def test_an_alarm_that_is_no_time_is_refused(importer: Importer, state: Path) -> None:
    file = state / f"v3/do/sample-Shop/{ONE}.sqlite"
    with apsw.Connection(str(file)) as connection:
        connection.execute("UPDATE _cf_METADATA SET value = -1")
    connection.close()
    with pytest.raises(CannotImport, match="its alarm is no time: -1"):
        read(importer, state, ONE)


# --- SQL -------------------------------------------------------------------------------------


def rebuilt(one: Imported, file: Path) -> apsw.Connection:
    """The database that an object's records make."""
    pages: dict[int, bytes] = {}
    records = list(one.records(StoreInfo(16, (LaneInfo(0, 3, 0, 15),))))
    for number, record in enumerate(records, 1):
        assert (record.type, record.name) == one.actor
        assert (record.epoch, record.seq) == (3, number)
        assert record.shard == shard_of(one.actor, 16)
        assert record.wipe == (number == 1)
        last = number == len(records)
        assert (1 in record.pages, record.puts) == (last, one.cells if last else {})
        pages.update({page: data for page, data in record.pages.items() if data is not None})
    assert {len(page) for page in pages.values()} == {4096}
    assert int.from_bytes(pages[1][28:32], "big") == len(pages)
    file.write_bytes(b"".join(pages[number] for number in sorted(pages)))
    return apsw.Connection(str(file))


@pytest.mark.parametrize("pages_of_a_record", [2048, 3])
def test_tables_arrive_without_workerds_own(
    importer: Importer,
    state: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pages_of_a_record: int,
) -> None:
    monkeypatch.setattr(importing, "RECORD_PAGES", pages_of_a_record)
    one = read(importer, state, ONE)
    assert (one.tables, one.keys) == (3, 1)
    database = rebuilt(one, tmp_path / "rebuilt.sqlite")
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert database.execute("SELECT * FROM items WHERE name = 'item 1'").fetchall() == [
        (2, "item 1", 1.5, b"\1")
    ]
    assert database.execute("SELECT * FROM notes WHERE notes MATCH 'fox'").fetchall()
    assert database.execute("SELECT count(*) FROM cheap").fetchall() == [(3,)]
    assert database.execute("SELECT seq FROM sqlite_sequence").fetchall() == [(3,)]
    ours = database.execute("SELECT name FROM sqlite_schema WHERE name LIKE '%cf%'").fetchall()
    assert ours == []
    database.close()


def test_an_object_without_tables_has_no_pages(importer: Importer, state: Path) -> None:
    """The table that wrangler adds is none of its own."""
    with apsw.Connection(str(state / f"v3/do/sample-Kinds/{ALL}.sqlite")) as connection:
        connection.execute("CREATE TABLE __miniflare_do_name (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("INSERT INTO __miniflare_do_name VALUES (1, 'all')")
    connection.close()
    one = read(importer, state, ALL)
    assert one.tables == 0
    (record,) = one.records(StoreInfo(1, (LaneInfo(0, 1, 0, 0),)))
    assert record.pages == {}
    assert record.puts == one.cells


def test_other_page_sizes_become_ours(importer: Importer, state: Path, tmp_path: Path) -> None:
    file = state / f"v3/do/sample-Shop/{TWO}.sqlite"
    for part in ("", "-wal"):
        Path(f"{file}{part}").unlink()
    connection = apsw.Connection(str(file))
    connection.execute("PRAGMA page_size=1024; PRAGMA auto_vacuum=full; CREATE TABLE t(a)")
    connection.execute("INSERT INTO t SELECT hex(randomblob(2000))")
    connection.close()
    one = read(importer, state, TWO)
    assert (one.keys, one.tables, one.alarmed) == (0, 1, False)
    database = rebuilt(one, tmp_path / "rebuilt.sqlite")
    assert database.execute("SELECT length(a) FROM t").fetchall() == [(4000,)]
    database.close()


# --- damage ----------------------------------------------------------------------------------


def test_damaged_files_are_named(importer: Importer, state: Path) -> None:
    file = state / f"v3/do/sample-Shop/{ONE}.sqlite"
    Path(f"{file}-wal").unlink()
    for damage in (b"no database", file.read_bytes()[:4096][:100] + bytes(3996)):
        file.write_bytes(damage)
        with pytest.raises(CannotImport, match=f"{ONE}.sqlite cannot be read"):
            read(importer, state, ONE)


def test_an_empty_file_is_an_object_that_keeps_nothing(importer: Importer, state: Path) -> None:
    file = state / f"v3/do/sample-Shop/{TWO}.sqlite"
    Path(f"{file}-wal").unlink()
    file.write_bytes(b"")
    one = read(importer, state, TWO)
    assert one == Imported(ActorId("sample-Shop", TWO), {}, None, 0, 0)


def test_a_row_that_is_no_value_is_named(importer: Importer, state: Path) -> None:
    file = state / f"v3/do/sample-Shop/{ONE}.sqlite"
    with apsw.Connection(str(file)) as connection:
        connection.execute("UPDATE _cf_KV SET value = 5")
    connection.close()
    with pytest.raises(CannotImport, match="the row of key 'total' in _cf_KV is no key and value"):
        read(importer, state, ONE)


def test_a_file_that_changes_meanwhile_is_refused(
    importer: Importer, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copyfile = shutil.copyfile

    def copy_and_change(source: str, target: Path) -> None:
        copyfile(source, target)
        with open(source, "ab") as file:
            file.write(b"x")

    monkeypatch.setattr(shutil, "copyfile", copy_and_change)
    with pytest.raises(CannotImport, match="changed while it was read: stop `wrangler dev` first"):
        read(importer, state, ONE)
