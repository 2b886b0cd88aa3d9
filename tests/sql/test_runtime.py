"""SQL in a runtime: one commit with state and keys, undone with the turn, gone with the actor."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from wakeful import (
    ActorId,
    DurableObject,
    Runtime,
    SqlError,
    StateInvalid,
    StorageError,
    interleave,
)
from wakeful.config import Config, Limits
from wakeful.errors import ActorAborted, InvalidArguments, StorageFull
from wakeful.ports import CommitRecord, Done
from wakeful.store.memory import MemoryDisk, MemoryStore
from wakeful.store.sqlite import SQLiteStore
from wakeful.testing.disk import FarSimStore, SimDisk
from wakeful.testing.faults import FaultPlan

COUNT = "SELECT count(*) n FROM t"


class Notes(DurableObject):
    written: int = 0

    async def on_activate(self) -> None:
        self.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v UNIQUE)")

    def _add(self, value: object) -> None:
        self.written += 1
        self.ctx.storage.sql.exec("INSERT INTO t(v) VALUES (?)", value)

    async def add(self, values: str = "") -> int:
        for value in values.split():
            self._add(value)
            await self.ctx.storage.put("last", value)
        return self.written

    async def add_and_fail(self, value: str) -> None:
        await self.add(value)
        raise ValueError("no")

    async def add_and_break_state(self, value: str) -> None:
        await self.add(value)
        self.written = "not a number"  # type: ignore[assignment]

    async def add_slowly(self, value: str) -> int:
        self._add(value)
        await asyncio.sleep(0.001)
        self._add(value + "!")
        return self.written

    async def add_and_sync(self, value: str) -> list[object]:
        rows = self.ctx.storage.sql.exec("SELECT v FROM t")
        self._add(value)
        await self.ctx.storage.sync()
        return rows.all()

    async def add_and_abort(self, value: str) -> None:
        self._add(value)
        try:
            self.ctx.abort()
        finally:
            self.ctx.storage.sql.exec(COUNT)

    async def try_twice(self, value: str) -> int:
        self._add("before " + value)

        async def work() -> None:
            self._add(value)
            raise LookupError

        for _ in range(2):
            with contextlib.suppress(LookupError):
                await self.ctx.storage.transaction(work)

        async def works() -> None:
            self._add("after " + value)

        await self.ctx.storage.transaction(works)
        return self.written

    async def clear(self, fail: bool = False) -> None:
        async def work() -> None:
            await self.ctx.storage.delete_all()
            if fail:
                raise LookupError

        await self.ctx.storage.transaction(work)

    async def values(self) -> list[object]:
        return [row["v"] for row in self.ctx.storage.sql.exec("SELECT v FROM t ORDER BY id")]

    async def last(self) -> object:
        return await self.ctx.storage.get("last")

    async def leave_dangling(self) -> None:
        self.ctx.storage.sql.exec(
            "CREATE TABLE a(id INTEGER PRIMARY KEY);"
            "CREATE TABLE b(a REFERENCES a(id) DEFERRABLE INITIALLY DEFERRED);"
            "INSERT INTO b VALUES (1)"
        )
        self.written += 1

    async def run(self, sql: str) -> list[dict[str, object]]:
        return self.ctx.storage.sql.exec(sql).all()  # type: ignore[return-value]


async def test_rows_keys_and_state_are_one_commit(tmp_path: Path) -> None:
    async with Runtime(tmp_path, actors=[Notes]) as rt:
        notes = rt.get(Notes, "a")
        assert await notes.add("x y") == 2
        for failing in (notes.add_and_fail, notes.add_and_break_state):
            with pytest.raises((ValueError, StateInvalid)):
                await failing("z")
        with pytest.raises(SqlError, match="UNIQUE"):
            await notes.add("q x")
        assert (await notes.values(), await notes.last()) == (["x", "y"], "y")
        assert await notes.add_slowly("s") == 4
    async with Runtime(tmp_path, actors=[Notes]) as rt:
        notes = rt.get(Notes, "a")
        assert await notes.values() == ["x", "y", "s", "s!"]
        assert await notes.add() == 4


async def test_a_deferred_violation_undoes_the_turn() -> None:
    async with Runtime(MemoryStore(), actors=[Notes]) as rt:
        notes = rt.get(Notes, "a")
        await notes.add("x")
        with pytest.raises(SqlError, match="FOREIGN KEY constraint failed"):
            await notes.leave_dangling()
        assert await notes.add() == 1
        assert await notes.run("SELECT name FROM sqlite_schema WHERE name = 'b'") == []


async def test_a_transaction_takes_back_its_rows() -> None:
    async with Runtime(MemoryStore(), actors=[Notes]) as rt:
        notes = rt.get(Notes, "a")
        assert await notes.try_twice("x") == 2
        assert await notes.values() == ["before x", "after x"]


async def test_deleting_all_takes_the_database_too() -> None:
    disk = MemoryDisk()
    async with Runtime(MemoryStore(disk), actors=[Notes]) as rt:
        notes = rt.get(Notes, "a")
        await notes.add("x")
        with pytest.raises(LookupError):
            await notes.clear(fail=True)
        assert await notes.values() == ["x"]
        await notes.clear()
        assert disk.pages == {}
        with pytest.raises(SqlError, match="no such table"):
            await notes.values()
    async with Runtime(MemoryStore(disk), actors=[Notes]) as rt:
        assert await rt.get(Notes, "a").values() == []


async def test_a_commit_point_ends_a_cursor() -> None:
    async with Runtime(MemoryStore(), actors=[Notes]) as rt:
        notes = rt.get(Notes, "a")
        await notes.add("x y")
        with pytest.raises(SqlError, match=r"\.all\(\)"):
            await notes.add_and_sync("z")
        assert await notes.values() == ["x", "y", "z"]  # what was synced stays


async def test_an_aborted_turn_leaves_nothing_and_runs_no_sql() -> None:
    async with Runtime(MemoryStore(), actors=[Notes]) as rt:
        notes = rt.get(Notes, "a")
        await notes.add("x")
        with pytest.raises((ActorAborted, StorageError)):
            await notes.add_and_abort("y")
        assert await notes.values() == ["x"]
        assert len(rt.host.sql) == 1  # type: ignore[arg-type]


async def test_a_deleted_actor_has_no_pages(tmp_path: Path) -> None:
    async with Runtime(tmp_path, actors=[Notes]) as rt:
        await rt.get(Notes, "a").add("x")
        assert [actor.name for actor in (await rt.list(Notes)).actors] == ["a"]
        await rt.delete(Notes, "a")
        assert (await rt.list(Notes)).actors == ()
        assert await rt.get(Notes, "a").values() == []


class Joined(DurableObject):
    async def on_activate(self) -> None:
        self.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS t(v)")

    async def add_wait_and_fail(self) -> None:
        sql = self.ctx.storage.sql
        sql.exec("INSERT INTO t VALUES ('before')")
        await asyncio.sleep(0.005)
        sql.exec("INSERT INTO t VALUES ('after')")
        raise ValueError("no")

    @interleave
    async def values(self) -> list[object]:
        return [row["v"] for row in self.ctx.storage.sql.exec("SELECT v FROM t")]


async def test_a_turn_that_joins_another_commits_what_that_has_done() -> None:
    async with Runtime(MemoryStore(), actors=[Joined]) as rt:
        joined = rt.get(Joined, "a")
        assert await joined.values() == []
        failing = asyncio.create_task(joined.add_wait_and_fail())
        await asyncio.sleep(0)
        assert await joined.values() == ["before"]
        with pytest.raises(ValueError, match="no"):
            await failing
        assert await joined.values() == ["before"]


async def test_work_in_the_background_writes_too() -> None:
    class Busy(DurableObject):
        async def start(self) -> None:
            self.ctx.storage.sql.exec("CREATE TABLE t(v)")
            self.ctx.wait_until(self._work())

        async def _work(self) -> None:
            await asyncio.sleep(0)
            self.ctx.storage.sql.exec("INSERT INTO t VALUES (1)")

        async def count(self) -> object:
            return self.ctx.storage.sql.exec("SELECT count(*) n FROM t").one()["n"]

    disk = MemoryDisk()
    async with Runtime(MemoryStore(disk), actors=[Busy]) as rt:
        await rt.get(Busy, "a").start()
    async with Runtime(MemoryStore(disk), actors=[Busy]) as rt:
        assert await rt.get(Busy, "a").count() == 1


async def test_what_is_gone_is_freed() -> None:
    """By itself: thousands of actors come and go."""
    async with Runtime(MemoryStore(), actors=[Notes]) as rt:
        notes = rt.get(Notes, "a")
        await notes.add("x")
        database = weakref.ref(rt.host.activator.catalog.actors[ActorId("Notes", "a")].sql)
        gc.disable()
        try:
            await rt.stop(notes)
            await asyncio.sleep(0)
            assert database() is None
        finally:
            gc.enable()


class Failing(MemoryStore):
    """Fails commits on demand, and holds them until told."""

    fails = False
    held: asyncio.Event | None = None

    def commit(self, lane: int, records: Sequence[CommitRecord], done: Done) -> None:
        if self.fails:
            asyncio.get_running_loop().call_soon(done, StorageFull("full"))
        elif self.held is not None:
            held, write = self.held, super().commit

            async def later() -> None:
                await held.wait()
                write(lane, records, done)

            self.task = asyncio.get_running_loop().create_task(later())
        else:
            super().commit(lane, records, done)


async def test_a_failed_commit_takes_the_rows_back() -> None:
    store = Failing()
    async with Runtime(store, actors=[Notes]) as rt:
        notes = rt.get(Notes, "a")
        await notes.add("x")
        store.fails = True
        with pytest.raises(StorageFull):
            await notes.add("y")
        store.fails = False
        assert await notes.values() == ["x"]
        assert await notes.add("z") == 2
        assert await notes.values() == ["x", "z"]


async def test_turns_see_rows_whose_commit_is_on_its_way() -> None:
    """Also when the handle was closed meanwhile."""
    store = Failing()
    config = Config(limits=Limits(sql_handles=1))
    async with Runtime(store, actors=[Notes], config=config) as rt:
        notes, other = rt.get(Notes, "a"), rt.get(Notes, "b")
        await notes.add("x")
        await other.add("x")
        store.held = asyncio.Event()
        adding = [asyncio.create_task(notes.add(value)) for value in ("y", "z")]
        await asyncio.sleep(0)
        reading = [asyncio.create_task(other.values()), asyncio.create_task(notes.values())]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in adding)
        store.held.set()
        store.held = None
        assert await asyncio.gather(*adding) == [2, 3]
        assert await asyncio.gather(*reading) == [["x"], ["x", "y", "z"]]
        assert len(rt.host.sql) == 1  # type: ignore[arg-type]


async def test_many_databases_share_few_handles(tmp_path: Path) -> None:
    config = Config(limits=Limits(sql_handles=3))
    async with Runtime(tmp_path, actors=[Notes], config=config) as rt:
        refs = [rt.get(Notes, str(n)) for n in range(20)]
        for round in range(3):
            await asyncio.gather(*(ref.add(f"{round}") for ref in refs))
            assert len(rt.host.sql) <= 3  # type: ignore[arg-type]
        assert all(await asyncio.gather(*(ref.values() for ref in refs)))
        for ref in refs:
            assert await ref.values() == ["0", "1", "2"]


class Plain(DurableObject):
    count: int = 0

    async def add(self) -> int:
        self.count += 1
        return self.count


async def test_an_actor_without_sql_opens_nothing() -> None:
    async with Runtime(MemoryStore(), actors=[Plain]) as rt:
        await rt.get(Plain, "a").add()
        assert len(rt.host.sql) == 0  # type: ignore[arg-type]
        assert all(a.sql is None for a in rt.host.activator.catalog)


async def test_a_volatile_actor_has_no_sql() -> None:
    from wakeful import Actor

    class Volatile(Actor):
        async def go(self) -> None:
            self.ctx.storage.sql.exec("SELECT 1")

    async with Runtime(MemoryStore(), actors=[Volatile]) as rt:
        with pytest.raises(InvalidArguments, match="keeps nothing"):
            await rt.spawn(Volatile).go()


async def test_pages_survive_folding_and_an_unclean_end(tmp_path: Path) -> None:
    """The journal is replayed, and pages are found in the table, the overlay or both."""
    from wakeful.store.limits import Limits as StoreLimits

    limits = StoreLimits(fold_bytes=30_000, slice_bytes=8_192)
    store = SQLiteStore(tmp_path, limits=limits)
    async with Runtime(store, actors=[Notes]) as rt:
        notes = rt.get(Notes, "a")
        for n in range(60):
            await notes.add(f"{n}" * 100)
        copy = tmp_path / "copy"
        copy.mkdir()
        for name in ("partition-0000.db", "partition-0000.db-wal"):
            (copy / name).write_bytes((tmp_path / name).read_bytes())
    async with Runtime(copy, actors=[Notes]) as rt:
        notes = rt.get(Notes, "a")
        assert await notes.values() == [f"{n}" * 100 for n in range(60)]
        assert await notes.run("PRAGMA quick_check") == [{"quick_check": "ok"}]


async def test_pages_that_are_far_are_fetched_before_the_first_turn() -> None:
    """On a store that reads no page otherwise; also by the activation after a lost one."""
    random = Random(1)
    store = FarSimStore(SimDisk(random, FaultPlan(random, budget=0)))
    async with Runtime(store, actors=[Notes]) as rt:
        notes = rt.get(Notes, "a")
        assert await notes.add("x y") == 2
        await rt.stop(notes)
        assert store.fetched.total() == 0
        assert await notes.values() == ["x", "y"]
        with pytest.raises(ValueError, match="no"):
            await notes.add_and_fail("z")
        assert await notes.add("z") == 3
        assert +store.fetched == {ActorId("Notes", "a"): 1}
