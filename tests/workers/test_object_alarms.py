"""Alarms of Workers' objects: conformance rows G and I10."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.world import FlakyStore
from tests.workers.running import methods, raised, running, virtual

from wakeful.ids import ActorId
from wakeful.ports import NAME_KEY
from wakeful.store.memory import MemoryDisk, MemoryStore
from wakeful.testing.clock import WALL_START_NS
from wakeful.workers.proxies import JsTypeError

START_MS = WALL_START_NS // 1_000_000
THING = methods(
    """
    async def do(self):
        return await workers.probe(self)

    async def set(self, ms):
        await self.ctx.storage.setAlarm(ms)

    async def get(self):
        return await self.ctx.storage.getAlarm()

    async def note(self, value):
        log.append(value)

    async def alarm(self, info):
        import js
        log.append([js.Date.now(), info.retryCount, info.isRetry, info["scheduledTime"],
                    await self.ctx.storage.getAlarm()])
        await workers.handle(self)
    """
)


async def _nothing(self: Any) -> None:
    """A handler that is content."""


async def _fails(self: Any) -> None:
    await self.ctx.storage.put("tried", True)
    raise ValueError("not today")


@virtual
async def test_an_alarm_fires_once(tmp_path: Path) -> None:
    """G1, G2, G3, G7, G16."""
    async with running(tmp_path, THING) as worker:
        worker.module.workers.handle = _nothing
        stub = worker.stub()
        assert await stub.get() is None
        await stub.set(START_MS + 5_000)
        await stub.set(START_MS + 60_000)
        assert await stub.get() == START_MS + 60_000
        await asyncio.sleep(59)
        assert worker.log == []
        assert not worker.runtime.host.activator.catalog.actors
        await asyncio.sleep(2)
        [[now, retries, is_retry, scheduled, shown]] = worker.log
        assert START_MS + 60_000 <= now <= START_MS + 60_010
        assert (retries, is_retry, scheduled, shown) == (0, False, START_MS + 60_000, None)
        assert await worker.stub().get() is None
        await asyncio.sleep(100)
        assert len(worker.log) == 1


def test_wrong_alarms_are_refused(tmp_path: Path) -> None:
    """G4, G6, G18."""

    async def probe(self: Any) -> None:
        storage = self.ctx.storage
        await storage.deleteAlarm()
        for when in (0, -5):
            error = await raised(_later(storage.setAlarm, when))
            assert isinstance(error, JsTypeError)
            assert error.message == "setAlarm() cannot be called with an alarm time <= 0"
        for when in (float("nan"), float("inf")):
            error = await raised(_later(storage.setAlarm, when))
            assert "not a valid Date" in error.message
        for when in ("soon", None, True, 2**60, {}):
            error = await raised(_later(storage.setAlarm, when))
            assert "parameter 1 is not of type 'date'" in error.message
        assert "after 2189" in (await raised(_later(storage.setAlarm, 1e15))).message
        storage.setAlarm(1)
        assert await storage.getAlarm() == START_MS

    @virtual
    async def test() -> None:
        async with running(tmp_path, THING) as worker:
            worker.module.workers.probe = probe
            worker.module.workers.handle = _nothing
            await worker.stub().do()
            await asyncio.sleep(1)
            assert len(worker.log) == 1

    test()


@virtual
async def test_a_class_without_a_handler_may_set_an_alarm_that_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On Cloudflare too, a class in Python is told apart only when the time has come; then the
    alarm is tried again six times, and given up."""
    methods_of = methods(
        "async def set(self): await self.ctx.storage.setAlarm(1)",
        "async def due(self): return await self.ctx.storage.getAlarm()",
    )
    async with running(tmp_path, methods_of) as worker:
        await worker.stub().set()
        assert await worker.stub().due() is not None
        await asyncio.sleep(1)
        assert "Thing has set an alarm and has no alarm() method" in capsys.readouterr().out
        await asyncio.sleep(3600)
        assert await worker.stub().due() is None
        await asyncio.sleep(3600)
        assert "an alarm is given up" in capsys.readouterr().out


@virtual
async def test_alarm_set_by_a_handler_that_raises_is_no_retry_though_it_is_due_at_once(
    tmp_path: Path,
) -> None:
    """G12, when there is no time between setting it and the end of the handler."""

    async def again(self: Any) -> None:
        if len(worker.log) < 4:
            await self.ctx.storage.setAlarm(1)  # long past: now
            raise ValueError("not today")

    async with running(tmp_path, THING) as worker:
        worker.module.workers.handle = again
        await worker.stub().set(START_MS + 5_000)
        await asyncio.sleep(6)

        assert [line[1:3] for line in worker.log] == [[0, False]] * 4


@virtual
async def test_a_handler_that_raises_is_tried_again(tmp_path: Path) -> None:
    """G9, G10: what it has written stays."""
    async with running(tmp_path, THING) as worker:
        worker.module.workers.handle = _fails
        await worker.stub().set(START_MS + 1_000)
        await asyncio.sleep(600)
        assert [entry[1] for entry in worker.log] == list(range(7))
        times = [entry[0] for entry in worker.log]
        assert 2_000 <= times[1] - times[0] <= 2_520
        assert 4_000 <= times[2] - times[1] <= 5_020
        assert await worker.stub().get() is None
        worker.module.workers.probe = lambda self: self.ctx.storage.get("tried")
        assert await worker.stub().do() is True


@virtual
async def test_a_handler_may_set_its_alarm_again(tmp_path: Path) -> None:
    """G8."""

    async def again(self: Any) -> None:
        if len(self.log) < 3:
            await self.ctx.storage.setAlarm(self.log[-1][0] + 10_000)
            raise ValueError("and fail")

    async with running(tmp_path, THING) as worker:

        async def handle(self: Any) -> None:
            self.log = worker.log
            await again(self)

        worker.module.workers.handle = handle
        await worker.stub().set(START_MS + 1_000)
        await asyncio.sleep(100)
        assert [entry[1] for entry in worker.log] == [0, 0, 0]


@virtual
async def test_an_alarm_set_for_now_by_a_handler_that_raises_is_no_retry(tmp_path: Path) -> None:
    """G12."""

    async def handle(self: Any) -> None:
        if len(worker.log) < 3:
            await asyncio.sleep(0.25)
            await self.ctx.storage.setAlarm(1)
            raise ValueError("and fail")

    async with running(tmp_path, THING) as worker:
        worker.module.workers.handle = handle
        await worker.stub().set(START_MS + 1_000)
        await asyncio.sleep(10)
        assert [entry[1] for entry in worker.log] == [0, 0, 0]
        assert worker.log[2][0] - worker.log[0][0] < 1_000
        assert await worker.stub().get() is None


@virtual
async def test_an_aborted_handler_is_tried_on_a_new_object(tmp_path: Path) -> None:
    """G14."""

    async def aborts(self: Any) -> None:
        worker.module.workers.handle = _nothing
        self.ctx.abort("enough")

    async with running(tmp_path, THING) as worker:
        worker.module.workers.handle = aborts
        await worker.stub().set(START_MS + 1_000)
        await asyncio.sleep(10)
        assert [entry[1] for entry in worker.log] == [0, 1]


@virtual
async def test_events_interleave_with_a_handler_that_waits(tmp_path: Path) -> None:
    """G19."""

    async def slow(self: Any) -> None:
        await asyncio.sleep(5)

    async with running(tmp_path, THING) as worker:
        worker.module.workers.handle = slow
        stub = worker.stub()
        await stub.set(START_MS + 1_000)
        await asyncio.sleep(2)
        await stub.note("event")
        assert worker.log[1] == "event"
        await asyncio.sleep(10)
        assert len(worker.log) == 2


@virtual
async def test_an_alarm_fires_after_a_restart(tmp_path: Path) -> None:
    """G15, I4."""
    disk = MemoryDisk()
    async with running(tmp_path, THING, store=MemoryStore(disk)) as worker:
        await worker.stub().set(START_MS + 5_000)
    await asyncio.sleep(10)
    async with running(tmp_path, THING, store=MemoryStore(disk)) as worker:
        worker.module.workers.handle = _nothing
        await asyncio.sleep(0.1)
        assert len(worker.log) == 1


@pytest.mark.parametrize(("date", "kept"), [("2026-03-01", False), ("2026-01-01", True)])
def test_delete_all_and_the_alarm(date: str, kept: bool, tmp_path: Path) -> None:
    """D26, D27."""

    async def probe(self: Any) -> Any:
        await self.ctx.storage.setAlarm(START_MS + 60_000)
        await self.ctx.storage.deleteAll()
        return await self.ctx.storage.getAlarm()

    @virtual
    async def test() -> None:
        async with running(tmp_path, THING, date=date) as worker:
            worker.module.workers.probe = probe
            assert (await worker.stub().do() is not None) == kept

    test()


def test_a_handler_without_parameters(tmp_path: Path) -> None:
    """I9, I10."""
    source = methods(
        """
        async def fetch(self):
            await self.ctx.storage.setAlarm(1)
            return Response("set")

        def alarm(self):
            log.append("alarm")
        """
    )

    @virtual
    async def test() -> None:
        async with running(tmp_path, source) as worker:
            assert await (await worker.stub().fetch("http://h/")).text() == "set"
            await asyncio.sleep(1)
            assert worker.log == ["alarm"]

    test()


async def _later(function: Any, *args: Any) -> Any:
    return await function(*args)


@virtual
async def test_an_object_keeps_its_name(tmp_path: Path) -> None:
    """G17: an alarm after a restart, and a call that does not name it; it is stored once."""

    async def names(self: Any) -> None:
        worker.log.append(self.ctx.id.name)
        await self.ctx.storage.put("n", len(worker.log))

    store = FlakyStore(disk := MemoryDisk())
    async with running(tmp_path, THING, store=store) as worker:
        worker.module.workers.probe = names
        await worker.stub().set(START_MS + 60_000)
        await worker.stub().do()
        kept = [{key for record in batch for key in record.puts} for batch in store.batches[1:]]
        assert kept == [{"a", NAME_KEY}, {"kn"}]
    async with running(tmp_path, THING, store=MemoryStore(disk)) as worker:
        worker.module.workers.handle = names
        worker.log.clear()
        await asyncio.sleep(61)
        assert worker.log[-1] == "a"


@virtual
async def test_a_name_is_not_kept_of_an_object_that_keeps_nothing(tmp_path: Path) -> None:
    async def works(self: Any) -> None:
        self.ctx.storage.sql.exec("CREATE TABLE t(id)")
        await self.ctx.storage.put("n", 1)

    async def clears(self: Any) -> None:
        await self.ctx.storage.deleteAll()

    async def clears_and_puts(self: Any) -> None:
        await clears(self)
        await self.ctx.storage.put("n", 1)

    store = FlakyStore()
    async with running(tmp_path, THING, store=store) as worker:
        before = len(store.batches)
        await worker.stub().get()
        assert len(store.batches) == before
        for probe, cells in ((works, {"kn", "n"}), (clears, set()), (clears_and_puts, {"kn", "n"})):
            worker.module.workers.probe = probe
            await worker.stub().do()
            actor = store.batches[-1][0]
            assert store.load(ActorId(actor.type, actor.name)).keys() == cells


@virtual
async def test_a_long_name_and_no_name_are_not_kept(tmp_path: Path) -> None:
    """A13, A14."""
    store = FlakyStore()
    async with running(tmp_path, THING, store=store) as worker:
        await worker.stub("x" * 1_025).set(START_MS + 60_000)
        await worker.env.OBJECT.get(worker.env.OBJECT.newUniqueId()).set(START_MS + 60_000)
        kept = {key for batch in store.batches[1:] for record in batch for key in record.puts}
        assert kept == {"a"}


@virtual
async def test_an_alarm_that_a_critical_section_takes_back_is_not_called(tmp_path: Path) -> None:
    """However closely the section opens before the handler would begin."""

    async def take_back(self: Any) -> None:
        async def work() -> None:
            await asyncio.sleep(0.1)
            await self.ctx.storage.deleteAlarm()
            await self.ctx.storage.put("set", False)

        await self.ctx.storage.put("set", True)
        now_ms = START_MS + round(asyncio.get_running_loop().time() * 1000)
        await self.ctx.storage.setAlarm(now_ms + 1_000)
        await asyncio.sleep(1)
        for _ in range(steps):
            await asyncio.sleep(0)
        await self.ctx.blockConcurrencyWhile(work)

    async def handle(self: Any) -> None:
        worker.log.append(await self.ctx.storage.get("set"))

    async with running(tmp_path, THING) as worker:
        worker.module.workers.probe = take_back
        worker.module.workers.handle = handle
        for steps in range(12):  # noqa: B007 - `take_back` reads it
            await worker.stub().do()
            await asyncio.sleep(1)
        assert all(was_set for was_set in worker.log if isinstance(was_set, bool)), worker.log
