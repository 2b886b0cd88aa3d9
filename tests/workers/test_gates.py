"""Gates, sections, order, durability: conformance rows C, I2, I12."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.world import FlakyStore, settle
from tests.workers.running import methods, raised, running, virtual

from wakeful.errors import StorageFull
from wakeful.store.memory import MemoryDisk, MemoryStore
from wakeful.workers.proxies import JsException, JsRangeError

THING = methods(
    """
    async def bump(self, pause=0):
        value = await self.ctx.storage.get("n") or 0
        if pause:
            await asyncio.sleep(pause)
        await self.ctx.storage.put("n", value + 1)
        return value + 1

    async def note(self, value):
        log.append(value)
        return value

    async def block(self, seconds=1, name="block"):
        async def work():
            log.append(f"{name} begins")
            assert await self.ctx.storage.get("nothing") is None
            await asyncio.sleep(seconds)
            log.append(f"{name} ends")
            return "val"
        return await self.ctx.blockConcurrencyWhile(work)

    async def ticks(self, count):
        for n in range(count):
            await asyncio.sleep(1)
            log.append(n)

    async def spawn(self, kind):
        async def child(n):
            await asyncio.sleep(1.5)
            log.append(f"child {n}")
        if kind == "create_task":
            await asyncio.create_task(child(1))
        elif kind == "gather":
            await asyncio.gather(child(1), child(2))
        elif kind == "group":
            async with asyncio.TaskGroup() as group:
                group.create_task(child(1))
        elif kind == "timeout":
            async with asyncio.timeout(60):
                await child(1)
        elif kind == "wait_for":
            await asyncio.wait_for(child(1), 60)
        elif kind == "forgotten":
            self.task = asyncio.create_task(child(1))
        elif kind == "waitUntil":
            self.ctx.waitUntil(child(1))
        elif kind == "wait_until":
            workers.wait_until(child(1))

    async def block_and_fail(self, how="raise"):
        async def work():
            await asyncio.sleep(1)
            import js
            raise js.RangeError("inside")
        def at_once():
            raise ValueError("at once")
        await self.ctx.storage.put("before", 1)
        await self.ctx.blockConcurrencyWhile(work if how == "raise" else at_once)

    async def block_and_call_self(self):
        stub = self.env.OBJECT.get(self.ctx.id)
        async def work():
            await stub.note("never")
        await self.ctx.blockConcurrencyWhile(work)

    async def nest(self, depth):
        if not depth:
            return "deep"
        return await self.ctx.blockConcurrencyWhile(lambda: self.nest(depth - 1))

    async def put(self, pairs):
        for key, value in pairs.items():
            self.ctx.storage.put(key, value)

    async def put_two(self):
        await self.ctx.storage.put("a", 1)
        await self.ctx.storage.put("b", 2)

    async def put_wait_put(self):
        await self.ctx.storage.put("a", 1)
        await asyncio.sleep(1)
        await self.ctx.storage.put("b", 2)

    async def keys(self):
        return list(await self.ctx.storage.list())

    async def put_and_raise(self):
        await self.ctx.storage.put("a", 1)
        raise ValueError("after")

    async def put_and_tell(self):
        await self.ctx.storage.put("a", 1)
        await self.env.OBJECT.getByName("b").note("told")
        return "done"

    async def put_and_fetch(self, url):
        await self.ctx.storage.put("a", 1)
        await workers.fetch(url)

    async def put_in_callback(self):
        loop = asyncio.get_running_loop()
        loop.call_later(1, lambda: self.ctx.storage.put("later", 1))
        await asyncio.sleep(2)

    async def block_and_sync(self):
        async def work():
            await self.ctx.storage.sync()
            log.append("synced inside")
        await self.ctx.blockConcurrencyWhile(work)

    async def sync(self):
        self.ctx.storage.put("a", 1)
        await self.ctx.storage.sync()
        log.append("synced")
    """
)


@virtual
async def test_a_read_then_write_is_never_interleaved(tmp_path: Path) -> None:
    """C1, C2."""
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        assert await asyncio.gather(*(stub.bump() for _ in range(20))) == list(range(1, 21))
        assert await asyncio.gather(*(worker.stub("b").bump(0.003) for _ in range(20))) == [1] * 20


@pytest.mark.parametrize("awaited", ["un-awaited", "decorator"])
def test_a_constructor_blocks_the_first_event(awaited: str, tmp_path: Path) -> None:
    """C3, I12."""
    use = {
        "un-awaited": "self.ctx.blockConcurrencyWhile(load)",
        "decorator": "block = self.ctx.blockConcurrencyWhile\n        @block\n"
        "        async def _(): await load()",
    }[awaited]
    source = f"""
log = []
class Thing(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.flag = 0
        async def load():
            await asyncio.sleep(60 / 1000)
            self.flag = 1
        {use}
    async def get(self):
        return self.flag
    async def fetch(self, request):
        return Response(str(self.flag))
"""

    @virtual
    async def test() -> None:
        async with running(tmp_path, source) as worker:
            first, second = worker.stub().get(), worker.stub("a").get()
            assert [await first, await second] == [1, 1]
            assert await (await worker.stub("b").fetch("http://h/")).text() == "1"

    test()


@virtual
async def test_two_sections_of_a_constructor_run_one_after_the_other(tmp_path: Path) -> None:
    source = methods(
        """
        def __init__(self, ctx, env):
            super().__init__(ctx, env)
            ctx.blockConcurrencyWhile(lambda: self.load("first"))
            ctx.blockConcurrencyWhile(lambda: self.load("second"))

        async def load(self, name):
            await asyncio.sleep(1)
            log.append(name)

        async def note(self, value):
            log.append(value)
        """
    )
    async with running(tmp_path, source) as worker:
        await worker.stub().note("event")
        assert worker.log == ["first", "second", "event"]


@virtual
async def test_a_timer_of_the_constructor_does_not_block(tmp_path: Path) -> None:
    """C5; but a task that only reads storage is done before the first event."""
    source = methods(
        """
        def __init__(self, ctx, env):
            super().__init__(ctx, env)
            self.slow = self.quick = 0
            self.tasks = [asyncio.ensure_future(self.later()), asyncio.ensure_future(self.now())]

        async def later(self):
            await asyncio.sleep(1)
            self.slow = 1

        async def now(self):
            await self.ctx.storage.get("x")
            self.quick = 1

        async def get(self):
            return [self.slow, self.quick]
        """
    )
    async with running(tmp_path, source) as worker:
        assert await worker.stub().get() == [0, 1]
        await asyncio.sleep(2)
        assert await worker.stub().get() == [1, 1]


@virtual
async def test_nothing_is_delivered_while_a_section_is_open(tmp_path: Path) -> None:
    """C7, C8, C16."""
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        blocking = stub.block()
        await asyncio.sleep(0.5)
        noting = stub.note("event")
        assert await blocking == "val"
        await noting
        assert worker.log == ["block begins", "block ends", "event"]


@virtual
async def test_events_under_way_wait_for_a_section(tmp_path: Path) -> None:
    """C15: a timer that falls due inside a section waits, and keeps nothing else waiting."""
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        ticking = stub.ticks(3)
        await asyncio.sleep(0.5)
        await stub.block(2)
        await ticking
        assert worker.log == ["block begins", "block ends", 0, 1, 2]


KINDS = [
    *("create_task", "gather", "group", "timeout"),
    *("wait_for", "forgotten", "waitUntil", "wait_until"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_tasks_of_user_code_wait_for_a_section(kind: str, tmp_path: Path) -> None:
    """I2: and they keep the object awake."""

    @virtual
    async def test() -> None:
        async with running(tmp_path, THING, idle_seconds=0.2) as worker:
            stub = worker.stub()
            spawning = stub.spawn(kind)
            await asyncio.sleep(1)
            await stub.block(5)
            await spawning
            await asyncio.sleep(0.1)
            assert worker.log[:2] == ["block begins", "block ends"]
            assert "child 1" in worker.log
            await asyncio.sleep(1)
            await asyncio.sleep(1)
            assert not worker.runtime.host.activator.catalog.actors

    test()


@pytest.mark.parametrize("how", ["raise", "at once"])
def test_a_section_that_raises_resets_the_object(how: str, tmp_path: Path) -> None:
    """C9, C10."""

    @virtual
    async def test() -> None:
        async with running(tmp_path, THING) as worker:
            stub = worker.stub()
            failing, waiting = stub.block_and_fail(how), worker.stub().note("x")
            for call in (failing, waiting) if how == "raise" else (failing,):
                error = await raised(call)
                assert isinstance(error, JsRangeError)
                assert error.message == ("inside" if how == "raise" else "at once")
                assert error.durableObjectReset
            assert (await raised(stub.note("y"))).durableObjectReset
            assert await worker.stub().keys() == ["before"]

    test()


@virtual
async def test_a_section_ends_after_thirty_seconds(tmp_path: Path) -> None:
    """C11."""
    async with running(tmp_path, THING) as worker:
        loop = asyncio.get_running_loop()
        started = loop.time()
        error = await raised(worker.stub().block(31))
        assert 30.0 <= loop.time() - started <= 30.2
        assert (error.overloaded, error.durableObjectReset) == (True, True)
        assert error.message == (
            "A call to blockConcurrencyWhile() in a Durable Object waited for too long. The call "
            "was canceled and the Durable Object was reset."
        )
        assert worker.log == ["block begins"]
        assert await worker.stub().note("fresh") == "fresh"


@virtual
async def test_a_section_that_calls_its_own_object_waits_for_itself(tmp_path: Path) -> None:
    """C13."""
    async with running(tmp_path, THING) as worker:
        call = worker.stub().block_and_call_self()
        await asyncio.sleep(1.5)
        assert not call.reply.done()
        assert (await raised(call)).overloaded
        assert worker.log == []


@virtual
async def test_sections_nest(tmp_path: Path) -> None:
    """C14."""
    async with running(tmp_path, THING) as worker:
        assert await worker.stub().nest(64) == "deep"
        error = await raised(worker.stub().nest(65))
        assert error.message == "blockConcurrencyWhile() calls are nested too deeply."


def kept(store: FlakyStore) -> list[set[str]]:
    """The user's keys of each batch, after the one that says which classes there are."""
    return [
        {key for record in batch for key in record.puts if key.startswith("k")}
        for batch in store.batches[1:]
    ]


@virtual
async def test_answers_wait_until_what_they_reveal_is_durable(tmp_path: Path) -> None:
    """C18, C34, C21: replies, exceptions, calls to others."""
    store = FlakyStore()
    async with running(tmp_path, THING, store=store) as worker:
        await worker.stub("b").note("awake")
        store.held = asyncio.Event()
        calls = [
            worker.stub().put(a=1),
            worker.stub("c").put_and_raise(),
            worker.stub("d").put_and_tell(),
            worker.stub("e").sync(),
        ]
        await settle()
        assert not any(call.reply.done() for call in calls)
        assert worker.log == ["awake"]
        store.held.set()
        await calls[0]
        assert (await raised(calls[1])).message == "after"
        assert await calls[2] == "done"
        await calls[3]
        assert set(worker.log) == {"awake", "told", "synced"}


@virtual
async def test_a_fetch_waits_until_what_it_reveals_is_durable(tmp_path: Path) -> None:
    """C21."""
    store = FlakyStore()
    sent: list[str] = []
    async with running(tmp_path, THING, store=store) as worker:
        worker.runtime.worker._client = Client(sent)
        store.held = asyncio.Event()
        call = worker.stub().put_and_fetch("http://other/")
        await settle()
        assert sent == []
        store.held.set()
        assert isinstance(await raised(call), JsException)
        assert sent == ["http://other/"]


class Client:
    """An HTTP client that reaches nobody."""

    def __init__(self, sent: list[str]) -> None:
        self._sent = sent

    def build_request(self, method: str, url: str, **_: Any) -> str:
        self._sent.append(url)
        return url

    async def send(self, *_: Any, **__: Any) -> Any:
        raise ConnectionError("nobody is there")

    async def aclose(self) -> None:
        """Nothing to close."""


@virtual
async def test_who_waits_for_a_section_keeps_nobody_from_leaving(tmp_path: Path) -> None:
    store = FlakyStore()
    async with running(tmp_path, THING, store=store) as worker:
        worker.module.log.clear()
        store.held = asyncio.Event()
        syncing = worker.stub().sync()
        blocking = worker.stub().block_and_sync()
        await asyncio.sleep(1)
        store.held.set()
        await blocking
        await syncing
        assert worker.log == ["synced inside", "synced"]


@pytest.mark.parametrize("method", ["put_two", "put_and_tell"])
def test_a_failed_commit_is_heard_and_forgotten(method: str, tmp_path: Path) -> None:
    """C19, C20, C24."""

    @virtual
    async def test() -> None:
        store = FlakyStore()
        async with running(tmp_path, THING, store=store) as worker:
            store.failures.append(StorageFull("the disk is full"))
            stub = worker.stub()
            error = await raised(getattr(stub, method)())
            assert "the disk is full" in error.message
            assert error.durableObjectReset
            assert worker.log == []
            assert (await raised(stub.keys())).durableObjectReset
            assert await worker.stub().keys() == []

    test()


@virtual
async def test_writes_without_a_wait_between_are_one_commit(tmp_path: Path) -> None:
    """C26, C27."""
    store = FlakyStore()
    async with running(tmp_path, THING, store=store) as worker:
        await worker.stub().put_two()
        assert kept(store) == [{"ka", "kb"}]
        await worker.stub("b").put_wait_put()
        assert kept(store)[1:] == [{"ka"}, {"kb"}]


@virtual
async def test_what_a_callback_writes_is_committed(tmp_path: Path) -> None:
    store = FlakyStore()
    async with running(tmp_path, THING, store=store) as worker:
        await worker.stub().put_in_callback()
        assert kept(store) == [{"klater"}]


@virtual
async def test_what_was_written_survives_a_restart(tmp_path: Path) -> None:
    """D35, I4."""
    disk = MemoryDisk()
    async with running(tmp_path, THING, store=MemoryStore(disk)) as worker:
        await worker.stub().bump()
    async with running(tmp_path, THING, store=MemoryStore(disk)) as worker:
        assert await worker.stub().bump() == 2


@virtual
async def test_an_orderly_end_lets_events_finish(tmp_path: Path) -> None:
    async with running(tmp_path, THING) as worker:
        ticking = worker.stub().ticks(2)
        await asyncio.sleep(0.5)
        spawning = worker.stub("b").put_and_tell()
    assert await spawning == "done"
    await ticking
    assert [entry for entry in worker.log if entry != "told"] == [0, 1]


@virtual
async def test_an_end_that_cannot_wait_interrupts(tmp_path: Path) -> None:
    async with running(tmp_path, THING, shutdown_seconds=0.7) as worker:
        ticking = worker.stub().ticks(5)
        await worker.stub("b").spawn("forgotten")
        await asyncio.sleep(0.5)
    error = await raised(ticking)
    assert error.message == "Network connection lost."
    assert error.retryable
    assert worker.log == [0]
