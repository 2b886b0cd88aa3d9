"""`wakeful export`: the file, read by SQLite without any of ours."""

import asyncio
import json
from datetime import date
from pathlib import Path
from typing import Any

import apsw
import pytest
from click.testing import CliRunner, Result
from tests.workers.workerd_state import ALL, ONE, unpacked

from wakeful import AlarmInfo, DurableObject, Runtime
from wakeful.cli.main import command
from wakeful.ports import NAME_KEY
from wakeful.workers.objects import stored
from wakeful.workers.workerd_files.importer import Importer, find


class Ledger(DurableObject):
    total: int = 0
    tags: set[str] = set()

    async def fill(self, table: str) -> None:
        self.total, self.tags = 7, {"a"}
        put = self.ctx.storage.put
        await put("bytes", b"\x00\xff")
        await put("text", "it's")
        await put("tree", {"x": [1, None, {"y": b"\x01"}]})
        await put("keys", {(1, 2): 3})
        self.ctx.storage.sql.exec(f"CREATE TABLE {table}(a, b)")
        self.ctx.storage.sql.exec(f"INSERT INTO {table} VALUES (1, 'one')")
        self.ctx.alarm.set(at_ns=1_900_000_000_250_000_000)

    async def alarm(self, info: AlarmInfo) -> None:
        pass


class Empty(DurableObject):
    seen: int = 0

    async def look(self) -> None:
        self.seen += 1


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    async with Runtime(data, actors=[Ledger, Empty]) as rt:
        await rt.get(Ledger, "own").fill("entries")
        await rt.get(Ledger, "clash").fill("KV")
        await rt.get(Empty, "e").look()
    return data


def export(data: Path, type_name: str, name: str, file: Path, *args: str) -> Result:
    line = ["export", type_name, name, str(file), "--data", str(data), *args]
    return CliRunner().invoke(command, line)


def rows(file: Path, sql: str) -> list[Any]:
    connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    found = connection.execute(sql).fetchall()
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    return found


def test_everything_an_actor_keeps_is_in_the_file(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.sqlite"
    result = export(data, "Ledger", "own", file)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"wrote Ledger/own to {file}, {file.stat().st_size} bytes\n"
    assert rows(file, "SELECT * FROM entries") == [(1, "one")]
    assert rows(file, "SELECT * FROM state") == [("tags", '["a"]', "list"), ("total", "7", "int")]
    kv = {key: (value, kind) for key, value, kind in rows(file, "SELECT * FROM kv")}
    assert kv["bytes"] == (b"\x00\xff", "bytes")
    assert kv["text"] == ('"it\'s"', "str")
    assert kv["tree"][1] == "dict"
    assert json.loads(kv["tree"][0]) == {"x": [1, None, {"y": "AQ=="}]}
    assert kv["keys"][1] == "dict (MessagePack)"
    about = dict(rows(file, "SELECT * FROM about"))
    assert about.pop("wakeful")
    assert about == {
        "type": "Ledger",
        "name": "own",
        "schema_version": 1,
        "alarm": "2030-03-17T17:46:40.250000000Z",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out.sqlite"]


def test_an_actors_own_table_keeps_its_name(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.sqlite"
    assert export(data, "Ledger", "clash", file).exit_code == 0
    assert rows(file, "SELECT * FROM kv") == [(1, "one")]
    assert len(rows(file, "SELECT * FROM wakeful_kv")) == 4


def test_an_actor_without_storage_has_a_file_too(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.sqlite"
    assert export(data, "Empty", "e", file).exit_code == 0
    assert rows(file, "SELECT * FROM state") == [("seen", "1", "int")]
    assert rows(file, "SELECT * FROM kv") == []


def test_a_file_is_replaced_by_force_only(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.sqlite"
    file.write_bytes(b"precious")
    refused = export(data, "Empty", "e", file)
    assert (refused.exit_code, refused.stderr) == (
        1,
        f"error: {file} exists: --force replaces it\n",
    )
    assert file.read_bytes() == b"precious"
    assert export(data, "Empty", "e", file, "--force").exit_code == 0
    assert rows(file, "SELECT count(*) FROM state") == [(1,)]


@pytest.mark.parametrize(
    ("kind", "name", "problem", "exit_code"),
    [
        ("Ledger", "nobody", "Ledger/nobody is not stored", 1),
        ("Ledger", "", "must not be empty", 2),
    ],
)
def test_an_actor_that_is_not_there_leaves_no_file(
    data: Path, tmp_path: Path, kind: str, name: str, problem: str, exit_code: int
) -> None:
    file = tmp_path / "out.sqlite"
    result = export(data, kind, name, file)
    assert result.exit_code == exit_code
    assert problem in result.stderr
    assert not file.exists()


def test_no_data_directory_is_made(tmp_path: Path) -> None:
    result = export(tmp_path / "data", "Ledger", "own", tmp_path / "out.sqlite")
    assert result.exit_code == 4
    assert "does not exist: name the data directory with --data" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "missing" / "out.sqlite"
    result = export(data, "Empty", "e", file)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {file} cannot be written: ")


async def test_a_directory_in_use_is_refused(data: Path, tmp_path: Path) -> None:
    async with Runtime(data, actors=[]):
        result = export(data, "Empty", "e", tmp_path / "out.sqlite")
    assert result.exit_code == 4
    assert "is in use by process" in result.stderr


def test_what_is_written_for_workerd_imports_as_it_was(tmp_path: Path) -> None:
    """A real workerd has read such files too; here our own reader stands for it."""
    state, data = unpacked(tmp_path), tmp_path / "data"
    args = ["import", str(state), "--data", str(data), "--class", "Kinds", "--class", "Shop"]
    assert CliRunner().invoke(command, args).exit_code == 0
    for kind, name in (("sample-Kinds", ALL), ("sample-Shop", ONE)):
        back = tmp_path / "back" / kind / f"{name}.sqlite"
        back.parent.mkdir(parents=True)
        assert export(data, kind, name, back, "--workerd").exit_code == 0
        scratch = tmp_path / kind
        scratch.mkdir()
        importer = Importer(scratch)
        (before,) = (one for one in find(state).sources if one.actor.name == name)
        (after,) = find(back).sources
        first, second = importer.read(before), importer.read(after)
        assert repr(_values(second.cells)) == repr(_values(first.cells))
        assert (second.tables, second.alarmed) == (first.tables, True)


def _values(cells: dict[str, bytes]) -> dict[str, Any]:
    kept = sorted((key, cell) for key, cell in cells.items() if key != NAME_KEY)
    return {key: cell if key == "a" else stored.unpack(cell) for key, cell in kept}


def test_declared_attributes_are_nothing_for_workerd(data: Path, tmp_path: Path) -> None:
    result = export(data, "Empty", "e", tmp_path / "out.sqlite", "--workerd")
    assert result.exit_code == 1
    assert "has declared attributes" in result.stderr
    assert not (tmp_path / "out.sqlite").exists()


@pytest.mark.parametrize("value", [(1, 2), {"when": date(2026, 1, 1)}])
def test_values_that_javascript_has_not_are_named(tmp_path: Path, value: object) -> None:
    class Keeper(DurableObject):
        async def keep(self) -> None:
            await self.ctx.storage.put("k", value)

    async def keep() -> None:
        async with Runtime(tmp_path / "data", actors=[Keeper]) as rt:
            await rt.get(Keeper, "x").keep()

    asyncio.run(keep())
    result = export(tmp_path / "data", "Keeper", "x", tmp_path / "out.sqlite", "--workerd")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: Keeper/x: the value of key 'k': ")
    assert not (tmp_path / "out.sqlite").exists()
