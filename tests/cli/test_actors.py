"""`wakeful actors` on a directory that no process owns."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from wakeful import AlarmInfo, DurableObject, Runtime
from wakeful.actor import AlarmFailure
from wakeful.cli.main import command
from wakeful.core.agenda import Agenda
from wakeful.core.alarms import AlarmCell
from wakeful.ports import AGENDA_KEY, FAILED_ALARM_KEY, CommitRecord
from wakeful.runtime.reminders import Dead, Kept, Message
from wakeful.store.stopped import StoppedStore


class Basket(DurableObject):
    total: int = 0
    tags: set[str] = set()

    async def add(self, price: int, note: str) -> None:
        self.total += price
        self.tags.add(note)
        await self.ctx.storage.put("last", {"note": note, "raw": b"\x00"})


class Room(DurableObject):
    seats: int = 4

    async def resize(self, seats: int) -> None:
        self.seats = seats


class Ledger(DurableObject):
    """Keeps SQL tables and an alarm, and nothing else."""

    async def fill(self, rows: int) -> None:
        sql = self.ctx.storage.sql
        sql.exec('CREATE TABLE "odd ""name"(id INTEGER PRIMARY KEY, [a b] TEXT, raw BLOB, x REAL)')
        sql.exec("CREATE TABLE empty(a)")
        for number in range(rows):
            values = (number, "long" * 100, bytes(300), 9e999)
            sql.exec('INSERT INTO "odd ""name" VALUES (?, ?, ?, ?)', *values)
        self.ctx.alarm.set(datetime(2100, 1, 2, 3, 4, 5, tzinfo=UTC))

    async def many(self) -> None:
        for number in range(60):
            self.ctx.storage.sql.exec(f"CREATE TABLE t{number:02}(a)")

    async def alarm(self, info: AlarmInfo) -> None:
        raise AssertionError("in 2100")


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    async with Runtime(data, actors=[Basket, Room]) as rt:
        for number in range(3):
            await rt.get(Basket, f"b{number}").add(number, "[red]")
        await rt.get(Room, "lobby").resize(9)
    return data


def actors(data: Path, *args: str, answer: str | None = None) -> Result:
    line = ["actors", args[0], "--data", str(data), *args[1:]]
    return CliRunner().invoke(command, line, input=answer)


def test_ls_counts_each_type(data: Path) -> None:
    result = actors(data, "ls")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["TYPE", "ACTORS"],
        ["Basket", "3"],
        ["Room", "1"],
    ]
    assert json.loads(actors(data, "ls", "--json").stdout) == {
        "types": [{"type": "Basket", "actors": 3}, {"type": "Room", "actors": 1}]
    }


def test_ls_of_a_type_lists_names_and_sizes(data: Path) -> None:
    result = actors(data, "ls", "--type", "Basket", "--limit", "2")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [line[:4] for line in lines] == [
        ["TYPE", "NAME", "FIELDS", "KEYS"],
        ["Basket", "b0", "2", "1"],
        ["Basket", "b1", "2", "1"],
    ]
    assert "there are more" in result.stderr
    listed = json.loads(actors(data, "ls", "--type", "Basket", "--json").stdout)
    assert [row["name"] for row in listed["actors"]] == ["b0", "b1", "b2"]
    assert listed["more"] is False


def test_ls_with_a_prefix_looks_into_every_type(data: Path) -> None:
    result = actors(data, "ls", "--prefix", "l", "--json")
    assert [row["name"] for row in json.loads(result.stdout)["actors"]] == ["lobby"]
    assert actors(data, "ls", "--prefix", "zz").stdout == "none\n"


def test_ls_of_a_type_that_is_not_stored_says_which_are(data: Path) -> None:
    result = actors(data, "ls", "--type", "Baskit")
    assert result.exit_code == 1
    assert result.stderr == "error: no Baskit is stored; stored types: Basket, Room\n"


def test_get_shows_state_and_storage_without_the_class(data: Path) -> None:
    text = actors(data, "get", "Basket", "b2").stdout
    assert text.startswith("Basket/b2\n")
    for part in ("schema version 1", "total", "2", "[red]", "last", "'raw': b'\\x00'"):
        assert part in text


def test_get_gives_json(data: Path) -> None:
    content = json.loads(actors(data, "get", "Basket", "b2", "--json").stdout)
    assert content.pop("bytes") > 0
    assert (content.pop("tables"), content.pop("sql_bytes"), content.pop("sql_error")) == (
        [],
        0,
        None,
    )
    assert content == {
        "alarm": None,
        "failed_alarm": None,
        "reminders": [],
        "dead_letters": [],
        "type": "Basket",
        "name": "b2",
        "schema_version": 1,
        "state": {"total": 2, "tags": ["[red]"]},
        "storage": {"last": {"note": "[red]", "raw": "AA=="}},
    }


def test_get_shows_sql_tables_and_the_alarm(tmp_path: Path) -> None:
    """Their first rows, with long values cut, however odd their names are."""

    async def fill() -> None:
        async with Runtime(tmp_path, actors=[Ledger]) as rt:
            await rt.get(Ledger, "books").fill(7)

    asyncio.run(fill())
    content = json.loads(actors(tmp_path, "get", "Ledger", "books", "--json").stdout)
    empty, odd = content["tables"]
    assert (empty["name"], empty["rows"], empty["columns"], empty["first"]) == (
        "empty",
        0,
        ["a"],
        [],
    )
    assert (odd["name"], odd["rows"], odd["more"]) == ('odd "name', 7, False)
    assert odd["columns"] == ["id", "a b", "raw", "x"]
    row = [0, "long" * 50 + "…", f"x'{'00' * 200}…'", "inf"]
    assert odd["first"] == [[number, *row[1:]] for number in range(5)]
    assert content["sql_bytes"] > 0
    assert content["alarm"] == {
        "due": "2100-01-02T03:04:05.000000000Z",
        "due_ns": 4_102_542_245 * 10**9,
        "scheduled_ns": 4_102_542_245 * 10**9,
        "retries": 0,
    }
    text = actors(tmp_path, "get", "Ledger", "books").stdout
    for part in ('table odd "name (7 rows, the first 5)', "table empty (0 rows)", "alarm at 2100-"):
        assert part in text


def test_get_shows_an_alarm_that_is_retried_and_one_that_was_given_up(tmp_path: Path) -> None:
    store = StoppedStore(tmp_path)
    info = store.open()
    failure = AlarmFailure(scheduled_ns=10**18, given_up_ns=10**18 + 1, retries=3, error="[no]")
    cells: dict[str, bytes | None] = {
        AGENDA_KEY: AlarmCell(3 * 10**18, 2 * 10**18, 4).pack(),
        FAILED_ALARM_KEY: msgspec.msgpack.encode(failure),
    }
    store.commit([CommitRecord("Ledger", "a", 0, info.lanes[0].epoch, 1, False, cells)])
    store.close()
    text = " ".join(actors(tmp_path, "get", "Ledger", "a").stdout.split())
    assert "alarm at 2065-01-24T05:20:00.000000000Z, failed runs so far: 4" in text
    assert "given up at 2001-09-09T01:46:40.000000001Z: [no]" in text
    content = json.loads(actors(tmp_path, "get", "Ledger", "a", "--json").stdout)
    assert content["alarm"]["scheduled_ns"] == 2 * 10**18
    assert content["failed_alarm"] == msgspec.to_builtins(failure)


def test_get_shows_reminders_and_dead_letters(tmp_path: Path) -> None:
    store = StoppedStore(tmp_path)
    info = store.open()
    agenda = Agenda({})
    agenda.set("rnew year", Kept(Message("write"), 3 * 10**18, retries=1).entry())
    agenda.commit()
    dead = Dead(Message("write"), 10**18, 10**18 + 1, 2, "ValueError: no [pen]")
    record = CommitRecord("Diary", "d", 0, info.lanes[0].epoch, 1, False, {})
    agenda.take(record)
    record.puts["dold"] = msgspec.msgpack.encode(dead)
    store.commit([record])
    store.close()
    text = " ".join(actors(tmp_path, "get", "Diary", "d").stdout.split())
    assert (
        "reminder 'new year': write at 2065-01-24T05:20:00.000000000Z, failed runs so far: 1"
        in text
    )
    assert "write of 2001-09-09T01:46:40.000000000Z was given up at 2001-09-09T01:46:40" in text
    assert "ValueError: no [pen]" in text
    content = json.loads(actors(tmp_path, "get", "Diary", "d", "--json").stdout)
    assert [reminder["name"] for reminder in content["reminders"]] == ["new year"]
    assert [dead["id"] for dead in content["dead_letters"]] == ["old"]
    assert content["alarm"] is None


def test_get_of_an_actor_with_many_tables_says_that_there_are_more(tmp_path: Path) -> None:
    async def fill() -> None:
        async with Runtime(tmp_path, actors=[Ledger]) as rt:
            await rt.get(Ledger, "books").many()

    asyncio.run(fill())
    content = json.loads(actors(tmp_path, "get", "Ledger", "books", "--json").stdout)
    assert [table["name"] for table in content["tables"]] == [f"t{n:02}" for n in range(50)]
    assert content["sql_error"] == "only the first 50 tables are shown"


def test_get_of_an_actor_that_is_not_stored_fails(data: Path) -> None:
    result = actors(data, "get", "Room", "attic")
    assert (result.exit_code, result.stderr) == (1, "error: Room/attic is not stored\n")


def test_delete_asks_first(data: Path) -> None:
    refused = actors(data, "delete", "Room", "lobby", answer="n\n")
    assert refused.exit_code == 1
    assert "delete Room/lobby and all it keeps?" in refused.stdout
    assert actors(data, "get", "Room", "lobby").exit_code == 0

    agreed = actors(data, "delete", "Room", "lobby", answer="y\n")
    assert agreed.stdout.endswith("deleted Room/lobby\n")
    assert actors(data, "get", "Room", "lobby").exit_code == 1


def test_deleted_actor_starts_from_nothing(data: Path) -> None:
    async def add() -> None:
        async with Runtime(data, actors=[Basket, Room]) as rt:
            await rt.get(Basket, "b2").add(5, "x")

    assert actors(data, "delete", "Basket", "b2", "--yes").stdout == "deleted Basket/b2\n"
    asyncio.run(add())
    content = json.loads(actors(data, "get", "Basket", "b2", "--json").stdout)
    assert content["state"] == {"total": 5, "tags": ["x"]}


def test_delete_of_an_actor_that_is_not_stored_fails(data: Path) -> None:
    result = actors(data, "delete", "Room", "attic", "--yes")
    assert (result.exit_code, result.stderr) == (1, "error: Room/attic is not stored\n")


@pytest.mark.parametrize("made", [False, True])
def test_directory_without_data_is_left_as_it_is(tmp_path: Path, made: bool) -> None:
    data = tmp_path / "data"
    if made:
        data.mkdir()
    result = actors(data, "ls")
    what = "holds no actors" if made else "does not exist"
    assert result.stderr == f"error: {data} {what}: name the data directory with --data\n"
    assert result.exit_code == 4
    assert list(tmp_path.rglob("*")) == ([data] if made else [])


async def test_directory_of_a_process_without_http_is_refused(data: Path) -> None:
    async with Runtime(data, actors=[Room]):
        result = actors(data, "ls")
    assert "is in use by process" in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.exit_code == 4
