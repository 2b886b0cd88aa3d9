"""Migrations with objects: I6, I7, and that a start that was cut short is completed by the next."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.workers.running import virtual
from tests.workers.several import together, write

from wakeful.errors import ConfigError, StorageFull
from wakeful.ids import ActorId, shard_of
from wakeful.ports import AGENDA_KEY, CommitRecord, due_cell
from wakeful.store.memory import MemoryDisk, MemoryStore
from wakeful.testing.disk import SimDisk, SimStore
from wakeful.testing.faults import FaultPlan
from wakeful.workers.config.wrangler import read_config
from wakeful.workers.history import ledger, migrate
from wakeful.workers.history.ledger import LEDGER
from wakeful.workers.history.reconcile import Claim

THING = """
log = []

class {0}(DurableObject):
    async def fill(self, value):
        self.ctx.storage.sql.exec("CREATE TABLE t(v)")
        self.ctx.storage.sql.exec("INSERT INTO t VALUES (?)", value)
        await self.ctx.storage.put("value", value)
        await self.ctx.storage.setAlarm(1_700_000_000_000 + 3_600_000)
        return self.ctx.id.toString()

    async def look(self):
        rows = self.ctx.storage.sql.exec("SELECT v FROM t").toArray()
        values = [row.v for row in rows]
        return [await self.ctx.storage.get("value"), values, self.ctx.id.toString()]

    async def has(self):
        return await self.ctx.storage.get("value")

    async def alarm(self):
        log.append("{0}")
"""


def toml(*steps: str, bound: str = "", script: str = "") -> str:
    script = f'\nscript_name = "{script}"' if script else ""
    lines = [f"[[migrations]]\ntag = 'v{n}'\n{step}" for n, step in enumerate(steps, 1)]
    if bound:
        lines.append(
            f'[[durable_objects.bindings]]\nname = "OBJECT"\nclass_name = "{bound}"{script}'
        )
    return "\n".join(lines) + "\n"


NEW = 'new_sqlite_classes = ["Old"]'
RENAME = 'renamed_classes = [{ from = "Old", to = "New" }]'
DELETE = 'deleted_classes = ["Old"]'
TAKE = 'transferred_classes = [{ from = "Old", from_script = "w", to = "Taken" }]'


@virtual
async def test_a_renamed_class_goes_on_with_its_objects(tmp_path: Path) -> None:
    """By their names and by ids that were stored; alarms, SQL and all."""
    disk = MemoryDisk()
    w = write(tmp_path / "w", toml(NEW, bound="Old"), THING.format("Old"))
    async with together(w, store=MemoryStore(disk)) as worker:
        hex_id = await worker.stub("a").fill("text")
    write(w, toml(NEW, RENAME, bound="New"), THING.format("New"))
    for _ in range(2):
        async with together(w, store=MemoryStore(disk)) as worker:
            assert await worker.stub("a").look() == ["text", ["text"], hex_id]
            by_hex = worker.env.OBJECT.get(worker.env.OBJECT.idFromString(hex_id))
            assert await by_hex.has() == "text"
    async with together(w, store=MemoryStore(disk)) as worker:
        await asyncio.sleep(2 * 3600)
        assert worker.log == ["New"]


@virtual
async def test_nothing_of_a_deleted_class_is_left(tmp_path: Path) -> None:
    """I6; a class of its name that is made later has other ids."""
    disk = MemoryDisk()
    w = write(tmp_path / "w", toml(NEW, bound="Old"), THING.format("Old"))
    async with together(w, store=MemoryStore(disk)) as worker:
        hex_id = await worker.stub("a").fill("text")
        await worker.stub("b").fill("text")
    with pytest.raises(ConfigError, match=r"'OBJECT' binds the class Old, and .*'v2' deletes it"):
        async with together(
            write(w, toml(NEW, DELETE, bound="Old"), THING.format("Old")), store=MemoryStore(disk)
        ):
            raise AssertionError
    assert len(disk.cells) == 3, "nothing has changed"
    async with together(write(w, toml(NEW, DELETE), ""), store=MemoryStore(disk)):
        assert disk.cells.keys() == {LEDGER}
        assert disk.pages == {}
    write(w, toml(NEW, DELETE, NEW, bound="Old"), THING.format("Old"))
    async with together(w, store=MemoryStore(disk)) as worker:
        assert await worker.stub("a").has() is None
        with pytest.raises(TypeError, match="not valid for this namespace"):
            worker.env.OBJECT.idFromString(hex_id)


@virtual
async def test_a_transferred_class_is_served_by_the_other_worker(tmp_path: Path) -> None:
    """I7; the first Worker need not be there, and may bind it."""
    disk = MemoryDisk()
    w = write(tmp_path / "w", toml(NEW, bound="Old"), THING.format("Old"))
    async with together(w, store=MemoryStore(disk)) as worker:
        hex_id = await worker.stub("a").fill("text")
    taker = write(tmp_path / "taker", toml(TAKE, bound="Taken"), THING.format("Taken"))
    async with together(taker, store=MemoryStore(disk)) as worker:
        assert await worker.stub("a").look() == ["text", ["text"], hex_id]
    with pytest.raises(ConfigError, match='script_name = "taker"'):
        async with together(w, taker, store=MemoryStore(disk)):
            raise AssertionError
    write(w, toml(NEW, bound="Taken", script="taker"), THING.format("Old"))
    async with together(w, taker, store=MemoryStore(disk)) as worker:
        assert await worker.stub("a").look() == ["text", ["text"], hex_id]
        await asyncio.sleep(2 * 3600)
        assert worker.runtime.workers.workers["taker"]._worker.module.log == ["Taken"]


@virtual
async def test_ids_made_while_code_is_imported(tmp_path: Path) -> None:
    """They are right, or the start is refused."""
    disk = MemoryDisk()
    source = "from workers import env\nID = env.OBJECT.idFromName('a')\n"
    w = write(tmp_path / "w", toml(NEW, bound="Old"), source + THING.format("Old"))
    async with together(w, store=MemoryStore(disk)) as worker:
        assert await worker.stub("a").fill("text") == worker.module.ID.toString()
    write(w, toml(NEW, RENAME, bound="New"), source + THING.format("New"))
    before = dict(disk.cells[LEDGER])
    with pytest.raises(ConfigError, match="w-Old were made while the Worker was imported"):
        async with together(w, store=MemoryStore(disk)):
            raise AssertionError
    assert disk.cells[LEDGER] == before, "nothing has changed"


@virtual
async def test_a_store_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    """And the next start goes on."""

    class Full(MemoryStore):
        def commit(self, lane: int, records: Any, done: Callable[[Any], None]) -> None:
            asyncio.get_running_loop().call_soon(done, StorageFull("full"))

    disk = MemoryDisk()
    w = write(tmp_path / "w", toml(NEW, bound="Old"), THING.format("Old"))
    with pytest.raises(StorageFull):
        async with together(w, store=Full(disk)):
            raise AssertionError
    async with together(w, store=MemoryStore(disk)) as worker:
        assert await worker.stub("a").has() is None


# --- starts that are cut short -------------------------------------------------------------------

OBJECTS = [ActorId("w-Old", f"{number:03}") for number in range(25)]
KEPT = ActorId("w-Kept", "a")
STEPS = (
    'new_sqlite_classes = ["Old", "Kept"]',
    DELETE,
    'renamed_classes = [{ from = "Kept", to = "New" }]',
)


def fill(disk: SimDisk) -> None:
    """Put objects on a disk, with alarms and pages."""
    info = disk.acquire()
    puts = {"kvalue": b"1", AGENDA_KEY: due_cell(5)}
    for number, actor in enumerate([*OBJECTS, KEPT], 1):
        shard = shard_of(actor, info.shards)
        lane = info.lane_of(shard)
        record = CommitRecord(
            actor.type, actor.name, shard, lane.epoch, number, False, dict(puts), {1: b"p"}
        )
        assert disk.land(lane.number, [record], lane.epoch) is None


def claims(tmp_path: Path, steps: int) -> list[Claim]:
    """What a Worker says that has come to one of its migrations."""
    config = read_config(write(tmp_path / "w", toml(*STEPS[:steps]), ""))
    return [Claim(config.file, "w", config.classes, frozenset(config.classes.storage), {})]


async def cut_short(disk: SimDisk, what: list[Claim], commits: int) -> None:
    """Start; the node is gone once so many batches have been sent, if it comes so far."""
    store = SimStore(disk)
    work = asyncio.ensure_future(migrate.migrate(store, await store.open(), what))
    for _ in range(commits):
        sent = asyncio.ensure_future(store.sent())
        await asyncio.wait({work, sent}, return_when=asyncio.FIRST_COMPLETED)
        sent.cancel()
    store.crash()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


async def started(disk: SimDisk, what: list[Claim]) -> ledger.Ledger:
    """A start in peace."""
    disk.plan.stop()
    store = SimStore(disk)
    done = await migrate.migrate(store, await store.open(), what)
    await store.close()
    return done


@pytest.mark.parametrize("seed", range(8))
def test_a_start_that_is_cut_short_is_completed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """After any number of commits, on a disk that loses, keeps or tears what was in flight."""
    monkeypatch.setattr(migrate, "AT_ONCE", 10)

    @virtual
    async def run() -> None:
        disk = SimDisk(Random(seed), FaultPlan(Random(seed)))
        before, after = claims(tmp_path, 1), claims(tmp_path, 3)
        fill(disk)
        await started(disk, before)
        for commits in (1, 2, 3, 1, 2):
            disk.plan = FaultPlan(Random(seed * 10 + commits))
            await cut_short(disk, after, commits)
            found = ledger.read(disk.cells[LEDGER])["w"]
            gone = [actor for actor in OBJECTS if actor not in disk.cells]
            if found.namespaces == {"Old": "w-Old", "Kept": "w-Kept"}:
                assert gone == [], "nothing is deleted before it is recorded"
            else:
                assert found.namespaces == {"New": "w-Kept"}
                assert found.deleting == ["w-Old"] or gone == OBJECTS
        done = await started(disk, after)
        assert (done["w"].namespaces, done["w"].deleting) == ({"New": "w-Kept"}, [])
        assert disk.actors == {LEDGER, KEPT}
        assert disk.cells[KEPT]["kvalue"] == b"1"
        assert await started(disk, after) == done

    run()
