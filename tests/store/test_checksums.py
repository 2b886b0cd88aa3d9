"""Checksums on pages: how files get them, and what becomes of a page that does not match."""

from __future__ import annotations

import asyncio
import tarfile
from pathlib import Path

import apsw
import pytest

from wakeful import DurableObject, Runtime
from wakeful.errors import StorageCorrupt
from wakeful.ids import ActorId
from wakeful.ports import CommitRecord
from wakeful.store import checksums, journal, upgrade
from wakeful.store.journal import Logged
from wakeful.store.limits import Limits
from wakeful.store.schema import CHECKED, UNCHECKED, format_version
from wakeful.store.sqlite import SQLiteStore
from wakeful.store.stopped import StoppedStore
from wakeful.testing.store_suite import Owner

RECORDED = Path(__file__).with_name("recorded")
FILE = "partition-0000.db"


class Place:
    """A data directory."""

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self.path = path
        self.limits = limits

    def store(self) -> SQLiteStore:
        return SQLiteStore(self.path, limits=self.limits)

    def steal(self) -> None:
        (self.path / "lock").unlink()


def mismatches(file: Path) -> list[int]:
    """The numbers of the pages that do not match their checksums."""
    content = file.read_bytes()
    pages = [content[at : at + 4096] for at in range(0, len(content), 4096)]
    return [number for number, page in enumerate(pages, 1) if not checksums.matches(page)]


def flip(file: Path, marker: bytes) -> None:
    """Flip a bit wherever these bytes are: pages that are free now may have them too."""
    content = bytearray(file.read_bytes())
    found = -1
    while (found := content.find(marker, found + 1)) >= 0:
        content[found] ^= 1
    file.write_bytes(content)


def version(file: Path) -> int:
    connection = apsw.Connection(str(file), vfs=checksums.vfs())
    try:
        return format_version(connection, str(file))
    finally:
        connection.close()


@pytest.fixture
def stocked(tmp_path: Path) -> Path:
    """A closed directory of 300 actors, with cells and pages."""
    with Owner(Place(tmp_path / "data")) as owner:
        for start in range(0, 300, 50):
            names = [f"n{number:03}" for number in range(start, start + 50)]
            owner.commit(
                *(
                    owner.record(
                        name,
                        {"s": f"<{name}>".encode() * 40},
                        pages={1: f"[{name}]".encode() * 500},
                    )
                    for name in names
                )
            )
    return tmp_path / "data"


def readable(data: Path) -> dict[str, bool]:
    """Which actors can be read; those that can are as they should be."""
    store = StoppedStore(data)
    store.open()
    found = {}
    names: list[str] = []
    for number in range(300):
        name = f"n{number:03}"
        try:
            assert store.load(ActorId("Counter", name)) == {"s": f"<{name}>".encode() * 40}
            page = store.page(ActorId("Counter", name), 1)
            assert page == f"[{name}]".encode() * 500
            found[name] = True
        except StorageCorrupt as error:
            found[name] = False
            names.append(str(error).partition(":")[0])
    store.close()
    assert names == [f"Counter/{name}" for name, read in found.items() if not read]
    return found


# --- a page that does not match ------------------------------------------------------------------


def test_every_page_of_a_new_file_has_its_checksum(stocked: Path) -> None:
    assert mismatches(stocked / FILE) == []
    assert version(stocked / FILE) == CHECKED


@pytest.mark.parametrize("marker", [b"<n007>", b"[n007]"], ids=["cells", "page"])
def test_a_damaged_page_is_an_error_of_those_who_are_on_it(stocked: Path, marker: bytes) -> None:
    """It names the actor; the others are read as before."""
    flip(stocked / FILE, marker * 2)
    found = readable(stocked)
    assert not found["n007"]
    assert sum(found.values()) > 200


def test_a_damaged_sql_row_is_an_error_and_other_actors_go_on(tmp_path: Path) -> None:
    class Ledger(DurableObject):
        async def add(self, text: str) -> None:
            self.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS entries(text TEXT)")
            self.ctx.storage.sql.exec("INSERT INTO entries VALUES (?)", text)

        async def texts(self) -> list[object]:
            return [row[0] for row in self.ctx.storage.sql.exec("SELECT text FROM entries").raw()]

    async def fill() -> None:
        async with Runtime(tmp_path, actors=[Ledger]) as rt:
            for name in ("ada", *(f"m{n:02}" for n in range(20)), "zoe"):
                await rt.get(Ledger, name).add(f"the text of {name}")

    async def look() -> None:
        async with Runtime(tmp_path, actors=[Ledger]) as rt:
            with pytest.raises(StorageCorrupt, match=r"Ledger/ada: page . of its SQL database"):
                await rt.get(Ledger, "ada").texts()
            with pytest.raises(StorageCorrupt, match=r"Ledger/ada: page . of its SQL database"):
                await rt.get(Ledger, "ada").add("more")
            await rt.get(Ledger, "zoe").add("more")
            assert await rt.get(Ledger, "zoe").texts() == ["the text of zoe", "more"]

    asyncio.run(fill())
    flip(tmp_path / FILE, b"the text of ada")
    asyncio.run(look())


def test_a_page_that_cannot_be_folded_onto_stops_writes_at_a_bound(stocked: Path) -> None:
    """With a typed error, and reads go on: nothing is lost, and nothing grows without end."""
    flip(stocked / FILE, b"<n137>" * 2)
    with Owner(Place(stocked, Limits(fold_bytes=20_000))) as owner:
        names = iter(f"n{number % 300:03}a" for number in range(2_000))

        def put_on_and_on() -> None:
            for name in names:
                owner.put(name, {"s": b"x" * 400})

        with pytest.raises(StorageCorrupt):
            put_on_and_on()
        assert 100 < len(list(names)) < 1_900
        assert owner.load("n001") == {"s": b"<n001>" * 40}
        assert owner.load("n001a") == {"s": b"x" * 400}


def test_a_row_that_changes_a_damaged_page_is_replayed_for_the_others(stocked: Path) -> None:
    """The page stays unreadable, and is whole again once a row has all of it."""
    n007 = ActorId("Counter", "n007")

    def append(seq: int, *records: CommitRecord | Logged) -> None:
        connection = apsw.Connection(str(stocked / FILE), vfs=checksums.vfs())
        row = journal.encode(seq, records)
        connection.execute("INSERT INTO journal VALUES (?, ?)", (seq, row))
        connection.execute("UPDATE meta SET value = 0 WHERE key = 'clean'")
        connection.close()

    flip(stocked / FILE, b"[n007]" * 2)
    changed = CommitRecord("Counter", "n007", 0, 1, 1, False, {"new": b"cell"})
    other = CommitRecord("Counter", "other", 0, 1, 1, False, {"s": b"1"})
    append(7, Logged.of(changed, {}, {1: {0: b"a range"}}), other)
    with Owner(Place(stocked)) as owner:
        assert owner.load("other") == {"s": b"1"}
        with pytest.raises(StorageCorrupt, match="Counter/n007: page 1"):
            owner.store.page(n007, 1)
    append(8, CommitRecord("Counter", "n007", 0, 1, 1, False, {}, {1: b"a whole page"}))
    with Owner(Place(stocked)) as owner:
        assert owner.store.page(n007, 1) == b"a whole page"


def test_a_header_that_denies_the_checksums_is_refused(stocked: Path) -> None:
    content = bytearray((stocked / FILE).read_bytes())
    content[checksums.RESERVED_AT] = 0
    (stocked / FILE).write_bytes(content)
    with pytest.raises(StorageCorrupt, match="denies that its pages have checksums"):
        StoppedStore(stocked).open()


# --- older files ---------------------------------------------------------------------------------


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A directory of format 5 as a killed owner has left it: cells, pages, journal, log."""
    with tarfile.open(RECORDED / "format-5.tar.gz") as archive:
        archive.extractall(tmp_path / "data", filter="data")
    assert version(tmp_path / "data" / FILE) == UNCHECKED
    return tmp_path / "data"


def check_recorded(data: Path) -> None:
    with Owner(Place(data)) as owner:
        assert owner.names() == [*(f"a{n}" for n in range(7)), "log"]
        assert owner.load("log") == {"s": b"29", "k0": b"v27", "k1": b"v28", "k2": b"v29"}
        assert owner.load("a1") == {"s": b"29", "k1": b"v22", "k2": b"v29"}
        pages = {1: bytes([28]) * 64 + bytes(4032), 2: bytes([29]) * 64 + bytes(4032)}
        assert owner.pages("log") == pages


def test_an_older_directory_is_written_anew_with_checksums(recorded: Path) -> None:
    for _ in range(2):
        check_recorded(recorded)
    assert version(recorded / FILE) == CHECKED
    assert mismatches(recorded / FILE) == []


def test_an_older_directory_that_is_large_stays_as_it_is_and_works(recorded: Path) -> None:
    """Until it is told to change; how far that is can be heard."""
    place = Place(recorded, Limits(check_bytes_max=0))
    with Owner(place) as owner:
        assert len(owner.names()) == 8
        owner.put("new", {"s": b"1"})
    assert version(recorded / FILE) == UNCHECKED
    heard: list[tuple[int, int]] = []
    upgrade.PROGRESS_STEPS, steps = 100, upgrade.PROGRESS_STEPS  # type: ignore[misc]
    try:
        upgrade.add_checksums(str(recorded / FILE), lambda done, total: heard.append((done, total)))
    finally:
        upgrade.PROGRESS_STEPS = steps  # type: ignore[misc]
    assert heard
    assert all(done <= total for done, total in heard)
    assert version(recorded / FILE) == CHECKED
    with Owner(place) as owner:
        assert owner.load("new") == {"s": b"1"}


def test_an_older_directory_that_is_damaged_is_not_written_anew(recorded: Path) -> None:
    """It stays as it is, for whoever wants to save what can be saved."""
    connection = apsw.Connection(str(recorded / FILE))
    root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'alarms'").get
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    connection.close()
    content = bytearray((recorded / FILE).read_bytes())
    content[(root - 1) * 4096 : root * 4096] = bytes(4096)
    (recorded / FILE).write_bytes(content)
    with pytest.raises(StorageCorrupt, match="btreeInitPage"):
        StoppedStore(recorded).open()
    assert version(recorded / FILE) == UNCHECKED
    assert not (recorded / f"{FILE}.new").exists()


def test_without_the_extension_new_files_have_no_checksums_and_others_are_refused(
    stocked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checksums, "_VFS", "unix")
    with Owner(Place(tmp_path / "new")) as owner:
        owner.put("a", {"s": b"1"})
    assert version(tmp_path / "new" / FILE) == UNCHECKED


# --- copies that another program has made --------------------------------------------------------


def backup(data: Path, target: Path) -> Path:
    """As `sqlite3 FILE ".backup TARGET"` does it."""
    target.mkdir()
    source, copy = apsw.Connection(str(data / FILE)), apsw.Connection(str(target / FILE))
    with copy.backup("main", source, "main") as running:
        while not running.done:
            running.step(10)
    source.close()
    copy.close()
    return target


def test_a_backup_by_another_program_is_opened(stocked: Path, tmp_path: Path) -> None:
    """Its first page has no right checksum any more; all that matters on it is."""
    copy = backup(stocked, tmp_path / "copy")
    assert mismatches(copy / FILE) == [1]
    assert all(readable(copy).values())
    assert mismatches(copy / FILE) == []


def test_a_backup_with_free_pages_is_opened(stocked: Path, tmp_path: Path) -> None:
    with Owner(Place(stocked)) as owner:
        owner.commit(*(owner.record(f"n{n:03}", {}, wipe=True) for n in range(100, 300)))
    copy = backup(stocked, tmp_path / "copy")
    with Owner(Place(copy)) as owner:
        assert len(owner.names(limit=1000)) == 100


@pytest.mark.parametrize("at", [3, 17, 20, 30, 34, 38, 59, 90, 4000])
def test_a_backup_whose_first_page_is_damaged_too_is_refused(
    stocked: Path, tmp_path: Path, at: int
) -> None:
    """In the magic, the sizes, the list of free pages, the encoding, the tables."""
    copy = backup(stocked, tmp_path / "copy")
    content = bytearray((copy / FILE).read_bytes())
    content[at] ^= 4
    (copy / FILE).write_bytes(content)
    with pytest.raises(StorageCorrupt):
        StoppedStore(copy).open()
