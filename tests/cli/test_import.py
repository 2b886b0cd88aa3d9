"""`wakeful import`, from workerd's files to a Worker in Python that reads what it finds."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import apsw
import pytest
from click.testing import CliRunner, Result
from tests.workers.workerd_state import ALL, ODD, ONE, contents, unpacked

from wakeful import Runtime
from wakeful.cli import import_ as importing
from wakeful.cli.main import command
from wakeful.worker_node import WorkerRuntime
from wakeful.workers.config.wrangler import read_config


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return unpacked(tmp_path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def bring(state: Path, data: Path, *args: str) -> Result:
    return CliRunner().invoke(command, ["import", str(state), "--data", str(data), *args])


GOOD = ("--class", "Kinds", "--class", "Shop")


def listed(data: Path) -> str:
    return CliRunner().invoke(command, ["actors", "ls", "--data", str(data), "--json"]).stdout


def test_objects_are_brought_over_and_summed_up(state: Path, data: Path) -> None:
    result = bring(state, data, *GOOD)
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["TYPE", "OBJECTS", "KEYS", "TABLES", "ALARMS", "BYTES"]
    assert [line[:5] for line in lines[1:3]] == [
        ["sample-Kinds", "1", "43", "0", "1"],
        ["sample-Shop", "2", "2", "6", "1"],
    ]
    assert result.stdout.endswith(f"3 objects brought over into {data}\n")
    assert listed(data) == (
        '{"types":[{"type":"sample-Kinds","actors":1},{"type":"sample-Shop","actors":2}]}\n'
    )


TOML = """
name = "sample"
main = "entry.py"
compatibility_date = "2026-03-01"
compatibility_flags = ["python_workers"]
durable_objects.bindings = [
    { name = "KINDS", class_name = "Kinds" },
    { name = "SHOP", class_name = "Shop" },
]
migrations = [{ tag = "v1", new_sqlite_classes = ["Kinds", "Shop"] }]
"""
CODE = """
from workers import DurableObject, Response, WorkerEntrypoint

class Base(DurableObject):
    async def alarm(self):
        pass

    async def alarm_ms(self):
        return await self.ctx.storage.getAlarm()

class Kinds(Base):
    async def dump(self):
        return dict(await self.ctx.storage.list())

class Shop(Base):
    async def dump(self):
        sql = self.ctx.storage.sql
        names = [row.name for row in sql.exec("SELECT name FROM items ORDER BY id").toArray()]
        found = sql.exec("SELECT body FROM notes WHERE notes MATCH 'fox'").one().body
        new = sql.exec("INSERT INTO items(name) VALUES ('new') RETURNING id").one().id
        return [await self.ctx.storage.get("total"), names, found, new]

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("")
"""


@pytest.fixture
def brought(state: Path, data: Path) -> Path:
    """A data directory with the objects in it."""
    assert bring(state, data, *GOOD).exit_code == 0
    return data


async def test_a_worker_in_python_goes_on_with_them(brought: Path, tmp_path: Path) -> None:
    (tmp_path / "wrangler.toml").write_text(TOML)
    (tmp_path / "entry.py").write_text(dedent(CODE))
    async with WorkerRuntime(brought, read_config(tmp_path)) as runtime:
        env: Any = runtime.worker.env
        kinds, shop = env.KINDS.getByName("all"), env.SHOP.getByName("one")
        found = await kinds.dump()
        assert (found["int"], found["wide"], found["u8"]) == (2, "日本語 😀", b"\x09\x08\x07")
        assert found["date"].astimezone(UTC) == datetime.fromtimestamp(1760000000.123, UTC)
        assert len(found) == 43
        assert await kinds.alarm_ms() == 4102444800123
        assert await shop.alarm_ms() == 4102444800000
        assert await shop.dump() == [
            3,
            ["item 0", "item 1", "item 2"],
            "the quick brown fox",
            4,
        ]


def test_a_dry_run_writes_nothing(state: Path, data: Path) -> None:
    before = contents(state)
    result = bring(state, data, *GOOD, "--dry-run")
    assert result.exit_code == 0
    assert result.stdout.endswith(f"3 objects would be brought over into {data}\n")
    assert not data.exists()
    assert contents(state) == before


def test_values_that_cannot_be_read_stop_it_before_it_writes(state: Path, data: Path) -> None:
    result = bring(state, data)
    assert result.exit_code == 1
    first, *more = result.stderr.splitlines()
    assert first == (
        "error: not all of it can be read, so nothing was written; --skip-values leaves these out"
    )
    assert f"{ODD}.sqlite: the value of key 'objectkey': " in more[1]
    assert len(more) == 3
    assert not data.exists()


def test_values_that_cannot_be_read_can_be_left_out(state: Path, data: Path) -> None:
    result = bring(state, data, "--skip-values")
    assert result.exit_code == 0
    assert "left out, as they cannot be read: 2 values\n" in result.stderr
    assert "4 objects brought over" in result.stdout


def test_a_damaged_file_stops_it(state: Path, data: Path) -> None:
    (state / f"v3/do/sample-Shop/{ONE}.sqlite-wal").unlink()
    (state / f"v3/do/sample-Shop/{ONE}.sqlite").write_bytes(b"x" * 4096)
    result = bring(state, data, "--skip-values")
    assert result.exit_code == 1
    assert f"{ONE}.sqlite cannot be read: " in result.stderr
    assert "--skip-values" not in result.stderr
    assert not data.exists()


def test_existing_objects_are_replaced_by_force_only(state: Path, data: Path) -> None:
    assert bring(state, data, "--class", "Shop").exit_code == 0
    for args in (GOOD, (*GOOD, "--dry-run")):
        refused = bring(state, data, *args)
        assert refused.exit_code == 1
        assert refused.stderr.startswith("error: 2 objects exist already: --force replaces them\n")
        assert f"sample-Shop/{ONE}" in refused.stderr
    assert "sample-Kinds" not in listed(data)
    assert bring(state, data, *GOOD, "--force").exit_code == 0
    assert "sample-Kinds" in listed(data)


def test_an_object_that_has_tables_only_exists_too(state: Path, data: Path) -> None:
    with apsw.Connection(str(state / f"v3/do/sample-Shop/{ONE}.sqlite")) as connection:
        connection.execute("DELETE FROM _cf_KV; DELETE FROM _cf_METADATA")
    connection.close()
    file = state / f"v3/do/sample-Shop/{ONE}.sqlite"
    assert bring(file, data).exit_code == 0
    assert "1 object exist" in bring(file, data).stderr


@pytest.mark.parametrize("limit", ["BATCH_BYTES", "BATCH_OBJECTS"])
def test_batches_are_bounded(
    state: Path, data: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(importing, limit, 1)
    monkeypatch.setattr("wakeful.workers.workerd_files.importer.RECORD_PAGES", 2)
    assert bring(state, data, *GOOD).exit_code == 0
    assert '"sample-Shop","actors":2' in listed(data)
    file = data.parent / "one.sqlite"
    args = ["export", "sample-Shop", ONE, str(file), "--data", str(data)]
    assert CliRunner().invoke(command, args).exit_code == 0
    assert file.stat().st_size > 40_000


RENAMED = """\
name = "sample"
main = "entry.py"
exports.Shop = { type = "durable-object", state = "renamed", renamed_to = "Kinds" }
exports.Kinds = { type = "durable-object", storage = "sqlite" }
"""


def test_objects_that_no_class_would_have_are_refused(
    state: Path, data: Path, tmp_path: Path
) -> None:
    """Kinds has the objects of what was Shop; those of another Kinds have other ids."""
    assert bring(state, data, "--class", "Shop").exit_code == 0
    (tmp_path / "wrangler.toml").write_text(RENAMED)
    (tmp_path / "entry.py").write_text(dedent(CODE))

    async def start() -> None:
        async with WorkerRuntime(data, read_config(tmp_path)):
            pass

    asyncio.run(start())
    result = bring(state, data, *GOOD, "--force")
    assert result.exit_code == 1
    assert "would be out of reach in this data directory: use another one" in result.stderr
    assert (
        "sample-Kinds: the class Kinds of the Worker sample has its objects in sample-Shop\n"
    ) in result.stderr
    assert "sample-Kinds" not in listed(data)


async def test_a_directory_in_use_is_refused(state: Path, data: Path) -> None:
    async with Runtime(data, actors=[]):
        result = bring(state, data, *GOOD)
    assert result.exit_code == 4
    assert "is in use by process" in result.stderr


def test_objects_inside_objects_are_said_to_be_left_out(state: Path, data: Path) -> None:
    (state / f"v3/do/sample-Kinds/{ALL}.1.sqlite").touch()
    result = bring(state, data, "--class", "Kinds")
    assert result.stderr == "left out: 1 file of objects inside objects\n"
    assert "1 object brought over" in result.stdout


def test_a_path_without_objects_is_refused(tmp_path: Path, data: Path) -> None:
    result = bring(tmp_path, data)
    assert result.exit_code == 1
    assert "holds no Durable Objects: they are in .wrangler/state/v3/do/" in result.stderr


@pytest.fixture
def overdue(state: Path, data: Path) -> Path:
    """A data directory with an object whose alarm was due in 2001."""
    file = state / f"v3/do/sample-Shop/{ONE}.sqlite"
    with apsw.Connection(str(file)) as connection:
        connection.execute("UPDATE _cf_METADATA SET value = 1000000000000000000")
    connection.close()
    assert bring(file, data).exit_code == 0
    return data


ALARM = """
import asyncio

fired = asyncio.Event()

async def alarm(self):
    assert await self.ctx.storage.get("total") == 3
    fired.set()

Base.alarm = alarm
"""


async def test_an_alarm_that_was_missed_fires_at_once(overdue: Path, tmp_path: Path) -> None:
    (tmp_path / "wrangler.toml").write_text(TOML)
    (tmp_path / "entry.py").write_text(dedent(CODE) + dedent(ALARM))
    async with WorkerRuntime(overdue, read_config(tmp_path)) as runtime:
        module: Any = runtime.worker._worker.module
        await asyncio.wait_for(module.fired.wait(), 10)
