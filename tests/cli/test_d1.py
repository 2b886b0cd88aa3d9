"""`wakeful d1`: files of SQL into a database, and migrations."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from wakeful.cli.main import command
from wakeful.worker_node import WorkerRuntime
from wakeful.workers.config.wrangler import read_config

TOML = """
name = "app"
main = "entry.py"

[[d1_databases]]
binding = "DB"
database_name = "shop"
"""
ENTRY = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response.json((await self.env.DB.prepare("SELECT * FROM t").all()).results)
"""


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "wrangler.toml").write_text(TOML)
    (tmp_path / "entry.py").write_text(ENTRY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: str, code: int = 0) -> str:
    """What the command prints."""
    result = CliRunner().invoke(command, ["d1", *args], prog_name="wakeful")
    assert result.exit_code == code, result.output
    return result.output


def test_a_file_makes_tables_that_the_worker_finds(worker: Path) -> None:
    (worker / "schema.sql").write_text(
        "-- tables\nCREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT);\n"
        "INSERT INTO t(name) VALUES ('a;b'), (NULL);\n"
    )
    assert run("execute", ".", "shop", "--file", "schema.sql") == "0 rows, 2 changed\n"
    shown = run("execute", ".", "DB", "--command", "SELECT *, x'0aff' AS x FROM t").split("\n")
    assert [line.split() for line in shown] == [
        ["id", "name", "x"],
        ["1", "a;b", "x'0aff'"],
        ["2", "NULL", "x'0aff'"],
        ["2", "rows,", "0", "changed"],
        [],
    ]
    printed = run("execute", ".", "shop", "--json", "--command", "SELECT x'0a' AS x, 1 AS n")
    assert json.loads(printed) == [{"x": [10], "n": 1}]

    async def asked() -> object:
        async with WorkerRuntime(worker / ".wakeful", read_config(worker)) as runtime:
            line = ("execute", ".", "shop", "--command", "SELECT 1")
            assert "use" in await asyncio.to_thread(run, *line, code=4)
            return await runtime.worker.env.DB.prepare("SELECT name FROM t").raw()  # type: ignore[attr-defined]

    assert asyncio.run(asked()) == [["a;b"], [None]]


def test_migrations_are_applied_once(worker: Path) -> None:
    assert "there are no .sql files" in run("migrations", "apply", ".", "shop", code=1)
    (worker / "migrations").mkdir()
    (worker / "migrations" / "0002_more.sql").write_text("INSERT INTO t VALUES (1);")
    (worker / "migrations" / "0001_first.sql").write_text("CREATE TABLE t(id);")
    applied = run("migrations", "apply", ".", "shop")
    assert applied == "applied 0001_first.sql\napplied 0002_more.sql\n"
    assert "nothing to apply" in run("migrations", "apply", ".", "shop")
    (worker / "migrations" / "0003_bad.sql").write_text("INSERT INTO t VALUES (2); SELEC;")
    failed = run("migrations", "apply", ".", "shop", code=1)
    assert 'nothing was changed: 0003_bad.sql: near "SELEC": syntax error' in failed
    names = "SELECT count(*) AS n, max(name) AS last FROM d1_migrations, t"
    printed = json.loads(run("execute", ".", "shop", "--json", "--command", names))
    assert printed == [{"n": 2, "last": "0002_more.sql"}]


def test_what_is_wrong_is_said(worker: Path) -> None:
    assert "it has: shop" in run("execute", ".", "other", "--command", "SELECT 1", code=3)
    assert "give either --file or --command" in run("execute", ".", "shop", code=2)
    assert "no such table: x" in run("execute", ".", "shop", "--command", "DROP TABLE x", code=1)
    (worker / "bad.sql").write_bytes(b"\xff")
    assert "bad.sql cannot be read" in run("execute", ".", "shop", "--file", "bad.sql", code=1)
    assert "is it a Worker?" in run("execute", "bad.sql", "shop", "--command", "x", code=3)
