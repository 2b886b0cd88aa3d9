"""Closing keeps its time, whatever does not end; so does putting a part of the shards to rest."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.runtime.test_sockets import FakeWire, enter
from tests.runtime.world import outcome, runtime, settle, virtual

from wakeful import (
    ActorMoved,
    DurableObject,
    Runtime,
    ShuttingDown,
    UnknownOutcome,
    WebSocket,
)
from wakeful.errors import StorageClosed
from wakeful.ids import ActorId, shard_of
from wakeful.ports import Alarm, Cells, CommitRecord, Done
from wakeful.runtime.drain import GRACE_SECONDS
from wakeful.store.memory import MemoryDisk, MemoryStore

SHUTDOWN: float = 0.2

plans: dict[str, Callable[[Any], Awaitable[None]]] = {}


@pytest.fixture(autouse=True)
def _no_plans() -> None:
    plans.clear()


class Deaf:
    """What awaits it does not end when it is cancelled, until the test lets it."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.cancelled = 0

    async def hang(self, _: object = None) -> None:
        while not self.released.is_set():
            try:
                await self.released.wait()
            except asyncio.CancelledError:
                self.cancelled += 1

    async def release(self) -> None:
        self.released.set()
        await settle()


class SilentStore(MemoryStore):
    """Never answers what it is told not to."""

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        super().__init__(disk)
        self.silent: set[str] = set()
        self.unanswered: list[tuple[int, Sequence[CommitRecord], Done]] = []

    def commit(self, lane: int, records: Sequence[CommitRecord], done: Done) -> None:
        if "commit" in self.silent:
            self.unanswered.append((lane, records, done))
        else:
            super().commit(lane, records, done)

    def load(self, actor: ActorId) -> Cells | Awaitable[Cells]:  # type: ignore[override]
        if "load" in self.silent:
            return asyncio.get_running_loop().create_future()
        return super().load(actor)

    async def alarms(
        self, until_ns: int, limit: int, types: Collection[str] | None = None
    ) -> list[Alarm]:
        if "alarms" in self.silent:
            await asyncio.get_running_loop().create_future()
        return await super().alarms(until_ns, limit, types)


class Thing(DurableObject):
    """Hangs where the test says."""

    count: int = 0
    slept: int = 0

    async def on_activate(self) -> None:
        await plans.get("wake", nothing)(self)

    async def on_deactivate(self) -> None:
        self.slept += 1
        await plans.get(f"sleep {self.ctx.id.name}", plans.get("sleep", nothing))(self)

    async def add(self) -> int:
        self.count += 1
        return self.count

    async def get(self) -> tuple[int, int]:
        return self.count, self.slept

    async def turn(self) -> None:
        self.count += 1
        await plans["turn"](self)

    async def wait(self, seconds: float) -> int:
        await asyncio.sleep(seconds)
        self.count += 1
        return self.count

    async def wait_and_ask(self, seconds: float, name: str) -> int:
        await asyncio.sleep(seconds)
        return await self.ctx.get(Thing, name).add()

    async def behind(self) -> None:
        self.ctx.wait_until(plans["behind"](self))  # type: ignore[arg-type]

    async def ring(self, seconds: float) -> None:
        self.ctx.alarm.set(timedelta(seconds=seconds))

    async def alarm(self) -> None:
        self.count += 100
        await plans.get("alarm", nothing)(self)

    async def on_message(self, socket: WebSocket, message: str | bytes) -> None:
        socket.send(message)


async def nothing(_: object) -> None:
    pass


def now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def timely(store: MemoryStore | None = None, **limits: Any) -> AsyncIterator[Runtime]:
    """A runtime whose end must come in its time."""
    limits = {"shutdown_seconds": SHUTDOWN, "turn_seconds": 3600, **limits}
    rt = runtime(Thing, store=store, **limits)
    await rt.__aenter__()
    yield rt
    began = now()
    await rt.__aexit__(None, None, None)
    assert now() - began <= SHUTDOWN + GRACE_SECONDS


# --- closing keeps its time -----------------------------------------------------------------------


@virtual
async def test_close_in_time_when_the_store_never_answers_a_commit() -> None:
    disk = MemoryDisk()
    store = SilentStore(disk)
    async with timely(store) as rt:
        ref = rt.get(Thing, "t")
        assert [await ref.add() for _ in range(3)] == [1, 2, 3]
        store.silent.add("commit")
        waiting = [asyncio.create_task(outcome(ref.add())) for _ in range(2)]
        await settle()
        late = asyncio.create_task(outcome(rt.get(Thing, "other").add()))
        await settle()
    outcomes = [await task for task in waiting]
    assert [type(error) for error in outcomes] == [UnknownOutcome] * 2
    assert isinstance(await late, StorageClosed), "it was never handed to the store"
    assert len(store.unanswered) == 1
    async with runtime(Thing, store=MemoryStore(disk)) as rt:
        assert await rt.get(Thing, "t").get() == (3, 0), "what was acknowledged is there"


@virtual
async def test_answer_of_the_store_that_comes_after_the_close_does_no_harm() -> None:
    store = SilentStore()
    async with timely(store) as rt:
        store.silent.add("commit")
        call = asyncio.create_task(outcome(rt.get(Thing, "t").add()))
        await settle()
    assert isinstance(await call, UnknownOutcome)
    [(_, _, done)] = store.unanswered
    done(None)
    await settle()


@virtual
async def test_close_in_time_when_what_writes_on_the_way_to_sleep_never_becomes_durable() -> None:
    store = SilentStore()
    async with timely(store) as rt:
        await rt.get(Thing, "t").add()
        store.silent.add("commit")


@virtual
async def test_close_in_time_when_the_store_never_answers_a_load() -> None:
    store = SilentStore()
    async with timely(store) as rt:
        store.silent.add("load")
        call = asyncio.create_task(outcome(rt.get(Thing, "t").add()))
        await settle()
    assert isinstance(await call, ShuttingDown)


@virtual
async def test_close_in_time_when_the_store_never_says_who_has_alarms() -> None:
    store = SilentStore()
    store.silent.add("alarms")
    async with timely(store) as rt:
        await rt.get(Thing, "t").add()


@virtual
@pytest.mark.parametrize("where", ["turn", "sleep", "behind", "wake", "alarm"])
async def test_close_in_time_when_code_does_not_hear_that_it_is_cancelled(where: str) -> None:
    deaf = Deaf()
    disk = MemoryDisk()
    async with timely(MemoryStore(disk)) as rt:
        others = [rt.get(Thing, f"other {n}") for n in range(3)]
        for other in others:
            await other.add()
        plans["sleep t"] = deaf.hang if where == "sleep" else nothing
        plans[where if where != "sleep" else "unused"] = deaf.hang
        ref = rt.get(Thing, "t")
        call = {"turn": ref.turn, "behind": ref.behind, "wake": ref.add, "sleep": ref.add}
        calling = asyncio.create_task(outcome(call.get(where, lambda: ref.ring(0.01))()))
        await asyncio.sleep(0.1)
    told = await calling
    assert isinstance(told, ShuttingDown) is (where in ("turn", "wake"))
    assert deaf.cancelled > 0
    await deaf.release()
    plans.clear()
    async with runtime(Thing, store=MemoryStore(disk)) as rt:
        for n in range(3):
            assert await rt.get(Thing, f"other {n}").get() == (1, 1), "the others slept well"
        await settle()
        count, _ = await rt.get(Thing, "t").get()
        assert count == {"sleep": 1, "alarm": 100}.get(where, 0), "an alarm fires once more"


@virtual
async def test_close_in_time_when_a_client_does_not_answer_the_goodbye() -> None:
    async with timely() as rt:
        _, wire = await enter(rt, rt.get(Thing, "t"))
    assert wire.got == [(1001, "the server is going away"), "dropped"]


@virtual
async def test_close_in_time_when_everything_hangs_at_once() -> None:
    deaf, store = Deaf(), SilentStore()
    async with timely(store) as rt:
        for name in "abc":
            await rt.get(Thing, name).add()
        _, wire = await enter(rt, rt.get(Thing, "socket"))
        plans.update(turn=deaf.hang, behind=deaf.hang, sleep=deaf.hang)
        calls = [asyncio.create_task(outcome(rt.get(Thing, "x").turn()))]
        await rt.get(Thing, "y").behind()
        store.silent.add("commit")
        calls.append(asyncio.create_task(outcome(rt.get(Thing, "z").add())))
        await settle()
    assert {type(await call) for call in calls} <= {ShuttingDown, UnknownOutcome}
    assert wire.got[-1] == "dropped"
    await deaf.release()


@virtual
async def test_close_that_is_cancelled_ends_at_once_and_drops_everything() -> None:
    deaf = Deaf()
    rt = await runtime(Thing, shutdown_seconds=3600, turn_seconds=3600).__aenter__()
    plans["turn"] = deaf.hang
    call = asyncio.create_task(outcome(rt.get(Thing, "t").turn()))
    await settle()
    closing = asyncio.create_task(rt.__aexit__(None, None, None))
    await asyncio.sleep(1)
    closing.cancel()
    with suppress(asyncio.CancelledError):
        await closing
    assert closing.cancelled()
    assert now() <= 1 + GRACE_SECONDS
    assert isinstance(await call, ShuttingDown)
    await deaf.release()


# --- what there is time for is done ---------------------------------------------------------------


@virtual
async def test_turn_that_ends_within_the_time_is_kept() -> None:
    disk = MemoryDisk()
    async with timely(MemoryStore(disk)) as rt:
        call = asyncio.create_task(rt.get(Thing, "t").wait(0.15))
        await settle()
    assert await call == 1
    async with runtime(Thing, store=MemoryStore(disk)) as rt:
        assert await rt.get(Thing, "t").get() == (1, 1)


@virtual
async def test_hook_has_the_whole_time_if_nothing_else_needs_it() -> None:
    disk = MemoryDisk()
    async with timely(MemoryStore(disk)) as rt:
        await rt.get(Thing, "t").add()
        plans["sleep"] = lambda thing: asyncio.sleep(0.19)
    plans.clear()
    async with runtime(Thing, store=MemoryStore(disk)) as rt:
        assert await rt.get(Thing, "t").get() == (1, 1)


@virtual
async def test_hook_that_takes_longer_is_cut_short_and_undone_alone() -> None:
    disk = MemoryDisk()
    async with timely(MemoryStore(disk)) as rt:
        for name in ("slow", "quick"):
            await rt.get(Thing, name).add()
        plans["sleep slow"] = lambda thing: asyncio.sleep(3600)
    plans.clear()
    async with runtime(Thing, store=MemoryStore(disk)) as rt:
        assert await rt.get(Thing, "slow").get() == (1, 0)
        assert await rt.get(Thing, "quick").get() == (1, 1)


@virtual
async def test_log_names_who_was_cut_short() -> None:
    with capture_logs() as logs:
        async with timely() as rt:
            plans["turn"] = lambda thing: asyncio.sleep(3600)
            call = asyncio.create_task(outcome(rt.get(Thing, "stuck").turn()))
            await settle()
    assert isinstance(await call, ShuttingDown)
    [entry] = [entry for entry in logs if entry["event"].startswith("the time to close is over")]
    assert entry["actors"] == ["Thing/stuck"]


@virtual
async def test_nothing_is_logged_when_all_sleep_in_time() -> None:
    with capture_logs() as logs:
        async with timely() as rt:
            await rt.get(Thing, "t").add()
    assert logs == []


@virtual
async def test_actor_that_a_turn_under_way_needs_wakes_anew_after_it_broke() -> None:
    """Its call waits in the mailbox of an activation that goes only once its batch is settled."""

    class Fragile(DurableObject):
        count: int = 0

        async def fail(self) -> None:
            self.count += 1
            held = asyncio.ensure_future(self.ctx.storage.sync())
            await asyncio.sleep(1)
            held.cancel()
            self.ctx.abort("enough")

        async def add(self) -> int:
            self.count += 10
            return self.count

    class Needs(DurableObject):
        async def ask(self) -> int:
            return await self.ctx.get(Fragile, "f").add()

    async with runtime(Fragile, Needs) as rt:
        failing = asyncio.create_task(outcome(rt.get(Fragile, "f").fail()))
        await settle()
        asking = asyncio.create_task(rt.get(Needs, "n").ask())
        await settle()
    await failing
    assert await asking in (10, 11)


# --- a part of the shards -------------------------------------------------------------------------


def shard(name: str) -> int:
    return shard_of(ActorId("Thing", name), MemoryDisk().shards)


GOING = [name for name in map(str, range(40)) if shard(name) % 2 == 0]
STAYING = [name for name in map(str, range(40)) if shard(name) % 2 == 1]
EVEN = range(0, MemoryDisk().shards, 2)


@virtual
async def test_drained_shards_refuse_sleep_and_are_on_disk_while_the_others_serve() -> None:
    disk = MemoryDisk()
    async with runtime(Thing, store=MemoryStore(disk)) as rt:
        for name in GOING + STAYING:
            await rt.get(Thing, name).add()
        assert await rt.host.drain(EVEN)
        awake = {activation.id.name for activation in rt.host.activator.catalog}
        assert awake == set(STAYING)
        for name in GOING:
            refused = await outcome(rt.get(Thing, name).add())
            assert isinstance(refused, ActorMoved)
            assert (refused.http, refused.retry.value) == (503, "safe")
        for name in STAYING:
            assert await rt.get(Thing, name).add() == 2
        assert not rt.host.intake.closing
    async with runtime(Thing, store=MemoryStore(disk)) as rt:
        for name in GOING:
            assert await rt.get(Thing, name).get() == (1, 1)


@virtual
async def test_drained_shards_finish_what_was_under_way_and_refuse_what_is_new() -> None:
    going, staying = GOING[0], STAYING[0]
    async with runtime(Thing) as rt:
        under_way = asyncio.create_task(rt.get(Thing, going).wait(5))
        queued = asyncio.create_task(rt.get(Thing, going).add())
        inside = asyncio.create_task(rt.get(Thing, GOING[1]).wait_and_ask(5, GOING[2]))
        from_outside = asyncio.create_task(
            outcome(rt.get(Thing, staying).wait_and_ask(2, GOING[3]))
        )
        await settle()
        draining = asyncio.create_task(rt.host.drain(EVEN))
        await settle()
        assert isinstance(await outcome(rt.get(Thing, going).add()), ActorMoved)
        assert await rt.get(Thing, STAYING[1]).add() == 1
        assert await draining
        assert (await under_way, await queued, await inside) == (1, 2, 1)
        assert now() == 5
        assert isinstance(await from_outside, ActorMoved)


@virtual
async def test_others_that_write_all_the_time_do_not_hold_up_a_drain() -> None:
    async with runtime(Thing) as rt:
        stop = asyncio.Event()

        async def write() -> int:
            count = 0
            while not stop.is_set():
                count = await rt.get(Thing, STAYING[0]).add()
            return count

        writing = asyncio.create_task(write())
        for name in GOING:
            await rt.get(Thing, name).add()
        assert await rt.host.drain(EVEN)
        stop.set()
        assert await writing > 3


@virtual
async def test_alarm_of_a_drained_shard_does_not_fire_here_and_others_do() -> None:
    disk = MemoryDisk()
    async with runtime(Thing, store=MemoryStore(disk)) as rt:
        for name in (GOING[0], STAYING[0]):
            await rt.get(Thing, name).ring(10)
        assert await rt.host.drain(EVEN)
        await asyncio.sleep(60)
        assert (await rt.get(Thing, STAYING[0]).get())[0] == 100
        assert rt.host.courier.fired == 1
    async with runtime(Thing, store=MemoryStore(disk)) as rt:
        await asyncio.sleep(1)
        assert (await rt.get(Thing, GOING[0]).get())[0] == 100, "its next owner fires it"


@virtual
async def test_sockets_of_drained_shards_are_told_and_others_stay() -> None:
    async with runtime(Thing) as rt:
        _, going = await enter(rt, rt.get(Thing, GOING[0]))
        staying_socket, staying = await enter(rt, rt.get(Thing, STAYING[0]))
        assert await rt.host.drain(EVEN)
        assert going.got == [(1001, "the server is going away"), "dropped"]
        staying_socket.received("hello")
        await settle()
        assert staying.got == ["hello"]


@virtual
async def test_drain_waits_only_for_the_clients_of_its_own_shards() -> None:
    class Polite(FakeWire):
        def close(self, code: int, reason: str) -> None:
            super().close(code, reason)
            asyncio.get_running_loop().call_soon(polite.disconnected)

    async with runtime(Thing) as rt:
        polite, _ = await enter(rt, rt.get(Thing, GOING[0]))
        await enter(rt, rt.get(Thing, STAYING[0]))
        polite.connect(Polite())
        began = now()
        assert await rt.host.drain(EVEN)
        assert now() == began


@virtual
async def test_drain_that_cannot_flush_says_so() -> None:
    store = SilentStore()
    async with runtime(Thing, store=store, shutdown_seconds=SHUTDOWN) as rt:
        await rt.get(Thing, GOING[0]).add()
        store.silent.add("commit")
        call = asyncio.create_task(outcome(rt.get(Thing, GOING[1]).add()))
        await settle()
        began = now()
        assert not await rt.host.drain(EVEN)
        assert now() - began <= SHUTDOWN + GRACE_SECONDS
        assert not call.done(), "the batch may still become durable"
        store.silent.clear()
        for lane, records, done in store.unanswered:
            MemoryStore.commit(store, lane, records, done)
        assert await call == 1


@virtual
async def test_drain_in_time_when_code_does_not_hear_that_it_is_cancelled() -> None:
    deaf = Deaf()
    async with runtime(Thing, shutdown_seconds=SHUTDOWN, turn_seconds=3600) as rt:
        plans["turn"] = deaf.hang
        call = asyncio.create_task(outcome(rt.get(Thing, GOING[0]).turn()))
        other = asyncio.create_task(rt.get(Thing, STAYING[0]).wait(5))
        await settle()
        began = now()
        assert await rt.host.drain(EVEN), "nothing of it can be written any more"
        assert now() - began <= SHUTDOWN + GRACE_SECONDS
        assert isinstance(await call, ActorMoved)
        assert await other == 1, "the turns of others go on"
        await deaf.release()
