"""Commits that fail or take their time, and writes that need not be confirmed."""

import asyncio
from pathlib import Path
from typing import Any

from tests.runtime.world import FlakyStore, settle
from tests.workers.running import methods, raised, running, virtual

from wakeful.errors import StorageFull
from wakeful.testing.clock import WALL_START_NS

START_MS = WALL_START_NS // 1_000_000
FULL = "the disk is full"
THING = methods(
    """
    count = 0

    async def do(self, name):
        self.count += 1
        return await getattr(workers, name)(self, self.ctx.storage)

    async def look(self):
        return [self.count, sorted(await self.ctx.storage.list())]

    async def put_to(self, other):
        await self.ctx.storage.put("a", 1, {"allowUnconfirmed": True})
        return await self.env.OBJECT.getByName(other).look()

    async def alarm(self, info):
        log.append([self.count, info.retryCount, info.isRetry])
        await self.do("handle")
    """
)
FREE = {"allowUnconfirmed": True}


async def _put(self: Any, storage: Any) -> str:
    await storage.put("a", 1, FREE)
    return "done"


async def _put_named(self: Any, storage: Any) -> None:
    storage.put("a", 1, allowUnconfirmed=True)


async def _put_many(self: Any, storage: Any) -> None:
    storage.put({"a": 1, "b": 2}, FREE)


async def _delete(self: Any, storage: Any) -> None:
    storage.put("a", 1, FREE)
    storage.delete("a", FREE)
    storage.delete(["a", "b"], FREE)


async def _alarm(self: Any, storage: Any) -> None:
    storage.setAlarm(START_MS + 3_600_000, FREE)
    storage.deleteAlarm(FREE)


async def _clear(self: Any, storage: Any) -> None:
    storage.put("a", 1, FREE)
    await storage.deleteAll(FREE)


async def _read_sql(self: Any, storage: Any) -> None:
    storage.put("a", 1, FREE)
    storage.sql.exec("SELECT 1").toArray()


async def _in_transaction(self: Any, storage: Any) -> None:
    async def work(txn: Any) -> None:
        await txn.put("a", 1, FREE)

    await storage.transaction(work)


async def _undone(self: Any, storage: Any) -> None:
    async def work(txn: Any) -> None:
        await txn.put("b", 1)
        txn.rollback()

    storage.put("a", 1, FREE)
    await asyncio.sleep(0)
    await storage.transaction(work)


async def _raises(self: Any, storage: Any) -> None:
    storage.put("a", 1, FREE)
    raise ValueError("after")


UNCONFIRMED = [
    *(_put, _put_named, _put_many, _delete, _alarm, _clear),
    *(_read_sql, _in_transaction, _undone, _raises),
]


async def _mixed(self: Any, storage: Any) -> None:
    storage.put("a", 1, FREE)
    storage.put("b", 1)


async def _mixed_before(self: Any, storage: Any) -> None:
    storage.put("b", 1)
    storage.put("a", 1, FREE)


async def _two_steps(self: Any, storage: Any) -> None:
    storage.put("a", 1, FREE)
    await asyncio.sleep(1)
    storage.put("b", 1)


async def _two_steps_before(self: Any, storage: Any) -> None:
    storage.put("b", 1)
    await asyncio.sleep(1)
    storage.put("a", 1, FREE)


async def _write_sql(self: Any, storage: Any) -> None:
    storage.put("a", 1, FREE)
    storage.sql.exec("CREATE TABLE t(id)")


async def _kv(self: Any, storage: Any) -> None:
    storage.kv.put("a", 1)


async def _mixed_transaction(self: Any, storage: Any) -> None:
    async def work(txn: Any) -> None:
        await txn.put("a", 1, FREE)
        await txn.put("b", 1)

    await storage.transaction(work)


async def _sync(self: Any, storage: Any) -> None:
    storage.put("a", 1, FREE)
    await storage.sync()


CONFIRMED = [
    *(_mixed, _mixed_before, _two_steps, _two_steps_before),
    *(_write_sql, _kv, _mixed_transaction, _sync),
]


async def _replied(worker: Any, store: FlakyStore, works: list[Any]) -> dict[str, bool]:
    """Which of these, each by its own object, is answered while nothing becomes durable."""
    store.held = asyncio.Event()
    calls = {}
    for work in works:
        setattr(worker.module.workers, work.__name__, work)
        calls[work.__name__] = worker.stub(work.__name__).do(work.__name__)
    await asyncio.sleep(2)
    found = {name: call.reply.done() for name, call in calls.items()}
    store.held.set()
    await asyncio.gather(*[call.reply for call in calls.values()])
    return found


@virtual
async def test_nothing_waits_for_a_write_that_need_not_be_confirmed(tmp_path: Path) -> None:
    """C23."""
    store = FlakyStore()
    async with running(tmp_path, THING, store=store) as worker:
        replied = await _replied(worker, store, UNCONFIRMED)
        assert replied == dict.fromkeys(replied, True)
        assert await worker.stub("_put").look() == [1, ["a"]]


@virtual
async def test_an_answer_waits_if_anything_is_to_be_confirmed(tmp_path: Path) -> None:
    """C25; what is unconfirmed is waited for by sync()."""
    store = FlakyStore()
    async with running(tmp_path, THING, store=store) as worker:
        replied = await _replied(worker, store, CONFIRMED)
        assert replied == dict.fromkeys(replied, False)
        assert await worker.stub("_two_steps").look() == [1, ["a", "b"]]


@virtual
async def test_calls_to_others_need_not_wait_either(tmp_path: Path) -> None:
    """C21, C23."""
    store = FlakyStore()
    async with running(tmp_path, THING, store=store) as worker:
        store.held = asyncio.Event()
        assert await worker.stub().put_to("other") == [0, []]
        store.held.set()


@virtual
async def test_a_write_that_fails_resets_the_object_confirmed_or_not(tmp_path: Path) -> None:
    """C24, C20: its answer has gone; what memory holds goes with the write."""
    store = FlakyStore()
    async with running(tmp_path, THING, store=store) as worker:
        worker.module.workers.work = _put
        store.failures.append(StorageFull(FULL))
        stub = worker.stub()
        assert await stub.do("work") == "done"
        await settle()
        assert await worker.stub().look() == [0, []]


@virtual
async def test_calls_under_way_hear_of_an_unconfirmed_write_that_failed(tmp_path: Path) -> None:
    """C24."""

    async def put_and_wait(self: Any, storage: Any) -> None:
        await _put(self, storage)
        await asyncio.sleep(1)

    store = FlakyStore()
    async with running(tmp_path, THING, store=store) as worker:
        worker.module.workers.work = put_and_wait
        store.failures.append(StorageFull(FULL))
        stub = worker.stub()
        error = await raised(stub.do("work"))
        assert FULL in error.message
        assert error.durableObjectReset
        assert (await raised(stub.look())).durableObjectReset
        assert await worker.stub().look() == [0, []]


@virtual
async def test_sync_waits_for_what_was_written_before_it(tmp_path: Path) -> None:
    """C29."""

    async def first_of(self: Any, storage: Any) -> None:
        await _sync(self, storage)
        worker.log.append("synced")

    async def second(self: Any, storage: Any) -> None:
        storage.put("b", 1)

    store = FlakyStore()
    async with running(tmp_path, THING, store=store) as worker:
        worker.module.workers.first, worker.module.workers.second = first_of, second
        first = store.held = asyncio.Event()
        syncing = worker.stub().do("first")
        await settle()
        store.held = asyncio.Event()
        writing = worker.stub().do("second")
        await settle()
        first.set()
        await settle()
        assert worker.log == ["synced"]
        assert not syncing.reply.done()  # the answer may tell of what was written since
        store.held.set()
        await asyncio.gather(syncing.reply, writing.reply)


@virtual
async def test_an_alarm_whose_writes_fail_runs_again_and_it_does_not_count(tmp_path: Path) -> None:
    """G21, G22: eight times, which is more than a handler that raises has."""
    store = FlakyStore()

    async def handle(self: Any, storage: Any) -> None:
        if len(worker.log) < 9:
            store.failures.append(StorageFull(FULL))
        storage.put("tried", len(worker.log))

    async def start(self: Any, storage: Any) -> None:
        storage.setAlarm(START_MS + 1_000)

    async def seen(self: Any, storage: Any) -> Any:
        return [await storage.get("tried"), await storage.getAlarm()]

    async with running(tmp_path, THING, store=store) as worker:
        names = worker.module.workers
        names.handle, names.start, names.seen = handle, start, seen
        await worker.stub().do("start")
        await asyncio.sleep(3_600)
        assert len(worker.log) == 9
        assert {count for count, _, _ in worker.log} == {0, 1}  # fresh, but for the first time
        assert {retries for _, retries, _ in worker.log} == {0}
        assert await worker.stub().do("seen") == [9, None]
