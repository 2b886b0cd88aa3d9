"""SQL of Workers' objects: conformance rows F, D26, D33, E7."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.workers.running import methods, raised, running, virtual

from wakeful.store.memory import MemoryDisk, MemoryStore
from wakeful.workers.objects.sql import BINDINGS, TRANSACTIONS
from wakeful.workers.proxies import JsException, JsTypeError

THING = methods("async def do(self):\n    return await workers.probe(self)\n")


def inside(probe: Any, tmp_path: Path, **options: Any) -> None:
    """Run a coroutine function as a method of an object."""

    @virtual
    async def test() -> None:
        async with running(tmp_path, THING, **options) as worker:
            worker.module.workers.probe = probe
            await worker.stub().do()

    test()


def test_statements_and_bindings(tmp_path: Path) -> None:
    """F1, F2, F3, F5, F8, F9, F10, F35."""

    async def probe(self: Any) -> None:
        sql = self.ctx.storage.sql

        def one(query: str, *bindings: object) -> Any:
            return next(iter(sql.exec(query, *bindings).raw()))[0]

        assert sql.exec("SELECT 1 a; SELECT 2 b").toArray() == [{"b": 2}]
        for empty in ("", "-- x", ";"):
            with pytest.raises(JsException, match="SQL code did not contain a statement"):
                sql.exec(empty)
        with pytest.raises(JsException, match=BINDINGS):
            sql.exec("SELECT ?, ?", 1)
        assert one("SELECT typeof(?)", 1) == "real"
        assert one("SELECT ?/2", 5) == 2.5
        assert one("SELECT typeof(?)", None) == "null"
        assert one("SELECT typeof(?)", float("nan")) == "null"
        assert one("SELECT ?", b"bytes") == b"bytes"
        assert [one("SELECT ?", value) for value in (True, False)] == ["true", "false"]
        assert one("SELECT ?", [1, 2]) == "1,2"
        assert one("SELECT ?", {"a": 1}) == "[object Object]"
        assert one("SELECT 9007199254740993") == 9007199254740992
        assert one("SELECT length(?)", "a\0b😀") == 1
        assert one("SELECT ?", "a\0b😀") == "a\0b😀"
        with pytest.raises(JsTypeError, match="Cannot convert a BigInt value to a number"):
            one("SELECT ?", 2**60)

    inside(probe, tmp_path)


def test_cursors(tmp_path: Path) -> None:
    """F12, F13, F14, F15."""

    async def probe(self: Any) -> None:
        sql = self.ctx.storage.sql
        sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT)")
        written = sql.exec("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')")
        assert written.rowsWritten == 3
        cursor = sql.exec("SELECT * FROM t ORDER BY id")
        assert (cursor.rowsRead, list(cursor.columnNames)) == (1, ["id", "name"])
        first = cursor.next()
        assert (first.done, first.value.id, first.value["name"]) == (False, 1, "a")
        assert cursor.rowsRead == 2
        assert list(cursor.raw().next().value) == [2, "b"]
        assert cursor.toArray() == [{"id": 3, "name": "c"}]
        assert cursor.rowsRead == 3
        assert [cursor.next().done, cursor.next().done] == [True, True]
        assert [row.name for row in sql.exec("SELECT name FROM t ORDER BY id")] == ["a", "b", "c"]
        twice = sql.exec("SELECT 1 a, 2 a")
        assert list(twice.columnNames) == ["a", "a"]
        assert twice.one() == {"a": 2}
        assert [list(row) for row in sql.exec("SELECT 1 a, 2 a").raw()] == [[1, 2]]
        with pytest.raises(JsException, match="but got no results"):
            sql.exec("SELECT * FROM t WHERE id = 9").one()
        with pytest.raises(JsException, match="but got multiple results"):
            sql.exec("SELECT * FROM t").one()

    inside(probe, tmp_path)


def test_a_cursor_goes_on_after_a_wait(tmp_path: Path) -> None:
    async def probe(self: Any) -> None:
        sql = self.ctx.storage.sql
        sql.exec("CREATE TABLE t(id)")
        sql.exec("INSERT INTO t VALUES (1), (2), (3)")
        seen = []
        for row in sql.exec("SELECT id FROM t"):
            seen.append(row.id)
            await asyncio.sleep(1)
        assert seen == [1, 2, 3]

    inside(probe, tmp_path)


def test_what_is_forbidden(tmp_path: Path) -> None:
    """F20, F21, F22, F24, F26, F27."""

    async def probe(self: Any) -> None:
        sql = self.ctx.storage.sql

        def refused(query: str, *bindings: object) -> str:
            with pytest.raises(JsException) as caught:
                sql.exec(query, *bindings)
            return caught.value.message

        for query in ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT x"):
            assert refused(query) == TRANSACTIONS
        for query in (
            "ATTACH 'x' AS y",
            "CREATE TEMP TABLE t(a)",
            "PRAGMA user_version",
            "PRAGMA journal_mode",
            "CREATE TABLE _cf_x(a)",
            "CREATE TABLE _CF_x(a)",
        ):
            assert refused(query) == "not authorized: SQLITE_AUTH", query
        assert "SQLITE_ERROR" in refused("SELECT sqlite_version()")
        assert refused("SELEC") == 'near "SELEC": syntax error at offset 0: SQLITE_ERROR'
        sql.exec("CREATE TABLE t(id INTEGER PRIMARY KEY)")
        sql.exec("INSERT INTO t VALUES (1)")
        assert refused("INSERT INTO t VALUES (1)") == (
            "UNIQUE constraint failed: t.id: SQLITE_CONSTRAINT (extended: "
            "SQLITE_CONSTRAINT_PRIMARYKEY)"
        )
        columns = ", ".join(f"c{n}" for n in range(101))
        assert "too many columns" in refused(f"CREATE TABLE wide({columns})")
        sql.exec("CREATE VIRTUAL TABLE f USING fts5(text)")
        assert sql.databaseSize % 4096 == 0
        before = sql.databaseSize
        self.ctx.storage.kv.put("key", "x" * 5000)
        assert sql.databaseSize == before + 8192

    inside(probe, tmp_path)


def test_sql_is_part_of_transactions(tmp_path: Path) -> None:
    """E7, E9."""

    async def probe(self: Any) -> None:
        storage, sql = self.ctx.storage, self.ctx.storage.sql
        sql.exec("CREATE TABLE t(id)")

        def rows() -> list[object]:
            return [row.id for row in sql.exec("SELECT id FROM t ORDER BY id")]

        async def closure(txn: Any, fail: bool) -> None:
            sql.exec("INSERT INTO t VALUES (1)")
            await txn.put("a", 1)
            await asyncio.sleep(1)
            sql.exec("INSERT INTO t VALUES (2)")
            if fail:
                raise ValueError("no")

        await raised(storage.transaction(partial(closure, fail=True)))
        assert (rows(), await storage.list()) == ([], {})
        await storage.transaction(partial(closure, fail=False))
        assert (rows(), await storage.list()) == ([1, 2], {"a": 1})

        def sync(fail: bool) -> None:
            sql.exec("DELETE FROM t")
            storage.kv.delete("a")
            if fail:
                raise ValueError("no")

        sql.exec("INSERT INTO t VALUES (3)")
        with pytest.raises(ValueError, match="no"):
            storage.transactionSync(partial(sync, fail=True))
        assert (rows(), await storage.list()) == ([1, 2, 3], {"a": 1})
        storage.transactionSync(partial(sync, fail=False))
        assert (rows(), await storage.list()) == ([], {})

    inside(probe, tmp_path)


def test_delete_all_takes_the_tables(tmp_path: Path) -> None:
    """D26."""

    async def probe(self: Any) -> None:
        storage = self.ctx.storage
        storage.sql.exec("CREATE TABLE t(id); INSERT INTO t VALUES (1)")
        await storage.put("a", 1)
        await storage.deleteAll()
        assert storage.sql.exec("SELECT * FROM sqlite_master").toArray() == []
        assert await storage.list() == {}

    inside(probe, tmp_path)


@virtual
async def test_a_violated_constraint_resets_the_object(tmp_path: Path) -> None:
    source = methods(
        """
        async def make(self):
            self.ctx.storage.sql.exec(
                "CREATE TABLE a(id INTEGER PRIMARY KEY);"
                "CREATE TABLE b(a REFERENCES a(id) DEFERRABLE INITIALLY DEFERRED)")

        async def violate(self):
            self.ctx.storage.sql.exec("INSERT INTO b VALUES (5)")

        async def count(self):
            return self.ctx.storage.sql.exec("SELECT count(*) n FROM b").one().n
        """
    )
    async with running(tmp_path, source) as worker:
        stub = worker.stub()
        await stub.make()
        error = await raised(stub.violate())
        assert "the application left the database in a state" in error.message
        assert error.durableObjectReset
        assert await worker.stub().count() == 0


@virtual
async def test_sql_survives_a_restart(tmp_path: Path) -> None:
    disk = MemoryDisk()

    async def write(self: Any) -> None:
        self.ctx.storage.sql.exec("CREATE TABLE t(id); INSERT INTO t VALUES (1)")
        raise ValueError("what was written stays all the same")

    async def read(self: Any) -> Any:
        return self.ctx.storage.sql.exec("SELECT id FROM t").toArray()

    async with running(tmp_path, THING, store=MemoryStore(disk)) as worker:
        worker.module.workers.probe = write
        await raised(worker.stub().do())
    async with running(tmp_path, THING, store=MemoryStore(disk)) as worker:
        worker.module.workers.probe = read
        assert await worker.stub().do() == [{"id": 1}]
