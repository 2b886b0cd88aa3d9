"""D1 databases: statements, results, transactions, what is refused."""

import copy
from pathlib import Path
from typing import Any

import pytest
from tests.workers.running import Running, methods, raised, running, virtual

from wakeful.store.memory import MemoryDisk, MemoryStore
from wakeful.workers.bindings import d1_store
from wakeful.workers.proxies import JsException, JsTypeError

D1 = '[[d1_databases]]\nbinding = "DB"\ndatabase_name = "shop"\ndatabase_id = "d1"\n'
THING = methods("pass")
TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, data BLOB)"


def d1(tmp_path: Path, **options: Any) -> Any:
    """A Worker with a database."""
    return running(tmp_path, THING, more=D1, **options)


async def filled(worker: Running) -> Any:
    """Its database, with two rows in a table."""
    db = vars(worker.env)["DB"]
    await db.exec(f"{TABLE}\nINSERT INTO t(name) VALUES ('a'), ('b')")
    return db


@virtual
async def test_what_statements_give(tmp_path: Path) -> None:
    async with d1(tmp_path) as worker:
        db = await filled(worker)
        found = await db.prepare("SELECT id, name FROM t WHERE id > ? ORDER BY id").bind(0).all()
        assert found.success is True
        assert found.results == [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
        assert [row.name for row in found.results] == ["a", "b"]
        assert (found.meta.rows_read, found.meta.changes, found.meta.changed_db) == (2, 0, False)
        statement = db.prepare("SELECT * FROM t WHERE name = ?1")
        assert (await statement.bind("b").first()).id == 2
        assert await statement.bind("b").first("name") == "b"
        assert await statement.bind("c").first() is None
        assert await statement.bind("c").first("name") is None
        rows = db.prepare("SELECT id, name FROM t ORDER BY id DESC")
        assert await rows.raw() == [[2, "b"], [1, "a"]]
        assert await rows.raw({"columnNames": True}) == [["id", "name"], [2, "b"], [1, "a"]]
        assert (await rows.raw(columnNames=True))[0] == ["id", "name"]
        written = await db.prepare("INSERT INTO t(name) VALUES (?), (?)").bind("c", "d").run()
        assert (written.results, written.meta.changes, written.meta.last_row_id) == ([], 2, 4)
        assert (written.meta.rows_written, written.meta.changed_db) == (2, True)
        assert written.meta.size_after % 4096 == 0
        assert written.meta.duration >= 0
        made = (await db.prepare("CREATE TABLE u(a)").run()).meta
        assert (made.changes, made.changed_db) == (0, True)


@virtual
async def test_values(tmp_path: Path) -> None:
    async with d1(tmp_path) as worker:
        db = await filled(worker)

        async def back(value: object) -> tuple[object, str]:
            row = await db.prepare("SELECT ?1 AS v, typeof(?1) AS t").bind(value).first()
            return row.v, row.t

        assert await back(None) == (None, "null")
        assert await back(5) == (5, "real")
        assert await back(True) == (1, "real")
        assert await back(1.5) == (1.5, "real")
        assert await back(float("nan")) == (None, "null")
        assert await back("é😀") == ("é😀", "text")
        assert await back(b"\x01\xff") == ([1, 255], "blob")
        assert await back([1, 255]) == ([1, 255], "blob")
        assert (await db.prepare("SELECT 9007199254740993 AS v").first()).v == 9007199254740992
        for value, kind in ((2**60, "bigint"), ({"a": 1}, "object"), ([256], "object")):
            error = await raised(worker_call(db, value))
            assert isinstance(error, JsException)
            assert error.message.startswith(f"D1_TYPE_ERROR: Type '{kind}' not supported for value")


async def worker_call(db: Any, value: object) -> None:
    """Bind a value."""
    await db.prepare("SELECT ?").bind(value).run()


@virtual
async def test_a_batch_is_one_transaction(tmp_path: Path) -> None:
    async with d1(tmp_path) as worker:
        db = await filled(worker)
        insert = db.prepare("INSERT INTO t(id, name) VALUES (?, 'x')")
        results = await db.batch([insert.bind(3), db.prepare("SELECT count(*) AS n FROM t")])
        assert [result.success for result in results] == [True, True]
        assert results[1].results == [{"n": 3}]
        error = await raised(db.batch([insert.bind(4), insert.bind(3)]))
        assert error.message == (
            "D1_ERROR: UNIQUE constraint failed: t.id: SQLITE_CONSTRAINT (extended: "
            "SQLITE_CONSTRAINT_PRIMARYKEY)"
        )
        assert await db.prepare("SELECT count(*) AS n FROM t").first("n") == 3
        assert (await raised(db.batch([]))).message == "D1_ERROR: No SQL statements detected."
        assert isinstance(await raised(batch_of_text(db)), JsTypeError)


async def batch_of_text(db: Any) -> None:
    """A batch of what is no statement."""
    await db.batch(["SELECT 1"])


@virtual
async def test_exec_runs_lines(tmp_path: Path) -> None:
    async with d1(tmp_path) as worker:
        db = await filled(worker)
        done = await db.exec("INSERT INTO t(id) VALUES (7)\n\n-- nothing\nDELETE FROM t; SELECT 1;")
        assert (done.count, done.duration >= 0) == (2, True)
        error = await raised(db.exec("INSERT INTO t(id) VALUES (8)\nSELEC"))
        assert error.message == (
            'D1_EXEC_ERROR: Error in line 2: SELEC: near "SELEC": syntax error at offset 0: '
            "SQLITE_ERROR"
        )
        assert await db.prepare("SELECT count(*) AS n FROM t").first("n") == 0
        assert "No SQL statements" in (await raised(db.exec("  \n--x"))).message


@virtual
async def test_what_is_refused(tmp_path: Path) -> None:
    async with d1(tmp_path) as worker:
        db = await filled(worker)

        async def said(query: str, *values: object) -> str:
            error = await raised(db.prepare(query).bind(*values).all())
            assert isinstance(error, JsException)
            return error.message

        missing = "D1_ERROR: no such table: missing: SQLITE_ERROR"
        assert await said("SELECT * FROM missing") == missing
        error = await raised(db.exec("SELECT * FROM missing"))
        assert "wakeful d1 migrations apply" in error.__notes__[0]
        assert not hasattr(await raised(db.exec("SELEC")), "__notes__")
        assert (await said("SELECT ?")).startswith("D1_ERROR: Wrong number of parameter bindings")
        assert await said("PRAGMA journal_mode") == "D1_ERROR: not authorized: SQLITE_AUTH"
        assert "transaction" in await said("BEGIN TRANSACTION")
        assert "did not contain a statement" in await said("-- nothing")
        error = await raised(db.prepare("SELECT id FROM t").first("name"))
        assert error.message == "D1_COLUMN_NOTFOUND: Column not found (name)"


@virtual
async def test_rows_without_end_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(d1_store, "ROWS_BYTES_MAX", 10_000)
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
    async with d1(tmp_path) as worker:
        db = await filled(worker)
        for work in (
            lambda: db.prepare(endless).all(),
            lambda: db.prepare("SELECT zeroblob(10000)").first(),
            lambda: db.batch([db.prepare("SELECT zeroblob(4000)")] * 3),
            lambda: db.exec("INSERT INTO t(name) VALUES ('c')\n" + endless),
        ):
            error = await raised(work())
            assert "have more than" in error.message
            assert "LIMIT" in error.message
        assert await db.prepare("SELECT count(*) FROM t").first("count(*)") == 2
        assert len((await db.prepare(f"{endless} LIMIT 100").all()).results) == 100


@virtual
async def test_sessions_see_everything(tmp_path: Path) -> None:
    async with d1(tmp_path) as worker:
        db = await filled(worker)
        session = db.withSession("first-primary")
        assert session.getBookmark() is None
        assert await session.prepare("SELECT count(*) AS n FROM t").first("n") == 2
        assert len(await session.batch([session.prepare("SELECT 1")])) == 1
        assert not hasattr(session, "exec")
        assert db.withSession("0000-1").getBookmark() == "0000-1"
        assert db.withSession().getBookmark() is None


@virtual
async def test_a_write_is_durable_when_it_returns(tmp_path: Path) -> None:
    disk = MemoryDisk()
    async with d1(tmp_path, store=MemoryStore(disk)) as worker:
        await filled(worker)
        crashed = copy.deepcopy(disk)
    async with d1(tmp_path, store=MemoryStore(crashed)) as worker:
        db = vars(worker.env)["DB"]
        assert await db.prepare("SELECT count(*) AS n FROM t").first("n") == 2


@virtual
async def test_objects_reach_it_after_their_own_writes(tmp_path: Path) -> None:
    thing = methods(
        """
        async def do(self):
            await self.ctx.storage.put("n", 1)
            rows = self.env.DB.prepare("SELECT name FROM t ORDER BY id")
            self.env.DB.prepare("INSERT INTO t(name) VALUES ('c')").run()
            return [row.name for row in (await rows.all()).results]
        """
    )
    async with running(tmp_path, thing, more=D1) as worker:
        await filled(worker)
        assert await worker.stub().do() == ["a", "b", "c"]
