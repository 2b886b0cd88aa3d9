"""`wakeful check` on sound and on damaged directories, stopped and running."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.store.test_checksums import FILE, RECORDED, flip

from wakeful import DurableObject, Runtime
from wakeful.cli.main import command
from wakeful.ids import ActorId
from wakeful.ports import CommitRecord
from wakeful.store import checksums
from wakeful.store.stopped import StoppedStore


class Ledger(DurableObject):
    notes: list[str] = []

    async def add(self, text: str) -> None:
        sql = self.ctx.storage.sql
        sql.exec("CREATE TABLE IF NOT EXISTS entries(id INTEGER PRIMARY KEY, text TEXT)")
        sql.exec("INSERT INTO entries(text) VALUES (?)", text)
        self.notes.append(text)

    async def texts(self) -> list[object]:
        return [row[0] for row in self.ctx.storage.sql.exec("SELECT text FROM entries").raw()]


NAMES = [f"n{number:02}" for number in range(60)]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed directory of sixty actors that have state and a SQL database."""
    data = tmp_path_factory.mktemp("sound") / "data"

    async def fill() -> None:
        async with Runtime(data, actors=[Ledger]) as rt:
            for name in NAMES:
                await rt.get(Ledger, name).add(f"<the text of {name}>" * 20)

    asyncio.run(fill())
    return data


@pytest.fixture
def data(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound, tmp_path / "data")
    return tmp_path / "data"


def check(data: Path, *args: str) -> Result:
    return CliRunner().invoke(command, ["check", str(data), *args])


def report(data: Path, *args: str, code: int = 6) -> Any:
    result = check(data, "--json", *args)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def concerned(found: Any) -> set[str]:
    """The names of the actors in a report."""
    wheres = [finding["where"] for finding in found["findings"]]
    return {where.removeprefix("Ledger/") for where in wheres if where.startswith("Ledger/")}


def content(data: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in data.iterdir() if "partition" in path.name}


# --- sound ---------------------------------------------------------------------------------------


def test_a_sound_directory_has_no_findings_and_stays_as_it_is(data: Path) -> None:
    before = content(data)
    result = check(data)
    assert result.exit_code == 0
    assert "60 actors, 60 SQL databases\nno damage was found\n" in result.stdout
    found = report(data, code=0)
    assert (found["findings"], found["not_checked"]) == ([], [])
    assert (found["format"], found["journal_rows"]) == (6, 1)
    assert found["pages"] == (data / FILE).stat().st_size // 4096
    assert content(data).items() >= before.items()


def test_a_directory_of_a_killed_owner_is_checked_with_its_journal(tmp_path: Path) -> None:
    """Nothing is folded, copied or replayed by that."""
    store = StoppedStore(tmp_path / "data")
    epoch = store.open().lanes[0].epoch
    for number in range(5):
        cells: dict[str, bytes | None] = {"k": b"\x01\x01"}
        store.commit([CommitRecord("A", f"a{number}", 0, epoch, 1, False, cells)])
    shutil.copytree(tmp_path / "data", tmp_path / "killed")
    store.close()
    before = content(tmp_path / "killed")
    found = report(tmp_path / "killed", code=0)
    assert (found["journal_rows"], found["actors"]) == (5, 5)
    after = content(tmp_path / "killed")
    assert {name: after[name] for name in before if "shm" not in name} == {
        name: data for name, data in before.items() if "shm" not in name
    }


def test_an_older_directory_says_what_cannot_be_seen(tmp_path: Path) -> None:
    shutil.unpack_archive(RECORDED / "format-5.tar.gz", tmp_path / "data", filter="data")
    found = report(tmp_path / "data")
    assert (found["format"], found["actors"]) == (5, 8)
    # It was recorded with cells that no actor writes.
    assert all("unknown format" in finding["what"] for finding in found["findings"])
    assert found["not_checked"] == ["its pages have no checksums: --add-checksums"]
    found = report(tmp_path / "data", "--add-checksums")
    assert (found["format"], found["actors"], found["not_checked"]) == (6, 8, [])


async def test_a_directory_that_a_server_has_open_is_checked_as_far_as_that_goes(
    data: Path,
) -> None:
    async with Runtime(data, actors=[Ledger]) as rt:
        await rt.get(Ledger, "n01").add("one more")
        found = report(data, code=0)
        assert (found["actors"], found["sql_databases"]) == (60, 60)
        assert "a server is running on it" in found["not_checked"][0]
        result = check(data, "--salvage", str(data.parent / "new"))
        assert (result.exit_code, "stop the server first" in result.stderr) == (4, True)
        await rt.get(Ledger, "n01").add("and another")
    assert report(data, code=0)["not_checked"] == []


# --- damaged -------------------------------------------------------------------------------------


def test_a_damaged_page_is_told_with_the_actors_on_it(data: Path) -> None:
    flip(data / FILE, b"the text of n23")
    result = check(data)
    assert result.exit_code == 6
    assert "do not match their checksums" in result.stdout
    assert "Ledger/n23" in result.stdout
    assert result.stderr == f"error: {data} is damaged\n"
    found = report(data)
    assert "n23" in concerned(found)
    assert len(concerned(found)) < 30
    assert found["actors"] == 60


def test_a_damaged_page_is_told_while_a_server_runs(data: Path) -> None:
    async def look() -> Any:
        async with Runtime(data, actors=[Ledger]):
            return report(data)

    flip(data / FILE, b"the text of n23")
    assert "do not match" in asyncio.run(look())["findings"][0]["what"]


def test_damage_inside_of_an_actors_database_is_told(data: Path) -> None:
    """Whole pages that do not fit each other: an older one of them, say."""
    store = StoppedStore(data)
    epoch = store.open().lanes[0].epoch
    page = store.page(ActorId("Ledger", "n23"), 2)
    assert page is not None
    wrong: dict[int, bytes | None] = {2: page[:8] + b"\xff\xff" + page[10:]}
    store.commit([CommitRecord("Ledger", "n23", 0, epoch, 1, False, {}, wrong)])
    store.close()
    (finding,) = report(data)["findings"]
    assert finding["where"] == "Ledger/n23"
    assert finding["what"].startswith("its SQL database: ")


def test_a_cell_that_does_not_decode_is_told(data: Path) -> None:
    store = StoppedStore(data)
    epoch = store.open().lanes[0].epoch
    cells: dict[str, bytes | None] = {"a": b"no agenda"}
    store.commit([CommitRecord("Ledger", "n23", 0, epoch, 1, False, cells)])
    store.close()
    assert concerned(report(data)) == {"n23"}


def test_a_lost_end_and_a_damaged_journal_are_told(tmp_path: Path) -> None:
    store = StoppedStore(tmp_path / "data")
    epoch = store.open().lanes[0].epoch
    for number in range(9):
        cells: dict[str, bytes | None] = {"k": b"\x01\x01"}
        store.commit([CommitRecord("A", f"a{number}", 0, epoch, 1, False, cells)])
    shutil.copytree(tmp_path / "data", tmp_path / "cut")
    shutil.copytree(tmp_path / "data", tmp_path / "wrong")
    store.close()
    log = tmp_path / "cut" / f"{FILE}-wal"
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    (finding,) = report(tmp_path / "cut")["findings"]
    assert finding["where"] == "journal"
    assert " batches are missing, written after 20" in finding["what"]
    connection = checksums.apsw.Connection(str(tmp_path / "wrong" / FILE), vfs=checksums.vfs())
    connection.execute("UPDATE journal SET batch = x'0300' WHERE seq = 3")
    connection.execute("DELETE FROM journal WHERE seq = 5")
    connection.close()
    found = report(tmp_path / "wrong")["findings"]
    assert [finding["what"] for finding in found] == [
        "row 3 has 2 bytes, too few for its header",
        "rows 5 to 5 are missing",
    ]


def test_a_file_that_ends_early_is_told(data: Path) -> None:
    size = (data / FILE).stat().st_size
    with (data / FILE).open("r+b") as file:
        file.truncate(size - 10_000)
    assert check(data).exit_code in (4, 6)


# --- what can be done ----------------------------------------------------------------------------


def test_salvage_copies_all_actors_that_are_whole(data: Path, tmp_path: Path) -> None:
    flip(data / FILE, b"the text of n23")
    found = report(data, "--salvage", str(tmp_path / "new"))
    lost = concerned(found)
    assert found["salvaged"] == 60 - len(lost)

    async def texts() -> dict[str, list[object]]:
        async with Runtime(tmp_path / "new", actors=[Ledger]) as rt:
            names = [actor.name for actor in (await rt.list(Ledger)).actors]
            return {name: await rt.get(Ledger, name).texts() for name in names}

    expected = {name: [f"<the text of {name}>" * 20] for name in NAMES if name not in lost}
    assert asyncio.run(texts()) == expected
    assert report(tmp_path / "new", code=0)["actors"] == len(expected)


def test_salvage_into_a_directory_that_has_something_is_refused(data: Path) -> None:
    result = check(data, "--salvage", str(data))
    assert result.exit_code == 2
    assert "is not empty" in result.stderr


@pytest.mark.parametrize(("name", "said"), [("none", "does not exist"), (".", "holds no actors")])
def test_what_is_no_data_directory_is_refused(tmp_path: Path, name: str, said: str) -> None:
    result = check(tmp_path / name)
    assert (result.exit_code, said in result.stderr) == (4, True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database" * 1000)
    result = check(tmp_path)
    assert result.exit_code == 4
    assert "is damaged" in result.stderr
