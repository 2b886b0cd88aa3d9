"""A store that fails is opened again: what was acknowledged stays, nothing else is believed."""

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.runtime.test_sockets import Room, enter
from tests.runtime.world import outcome, runtime, settle, virtual

from wakeful import Actor, DurableObject, Runtime, StorageUnavailable, UnknownOutcome, readonly
from wakeful.errors import DirectoryLost, Retry, StorageCorrupt, StorageError
from wakeful.ids import ActorId
from wakeful.ports import Alarm, Cells, CommitRecord, Done, StoreInfo
from wakeful.store.memory import MemoryDisk, MemoryStore


class BreakableStore(MemoryStore):
    """A memory store whose disk fails with the next batch.

    Attributes:
        breaks: the next batch finds the disk dead; it is written all the same if `writes`.
        dead: how often opening it again fails; None: for ever.
        errors: what opening it again raises, first come first served, before it works.
        opened: how often that was tried.
    """

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        super().__init__(disk)
        self.breaks = self.writes = False
        self.errors: list[Exception] = []
        self.for_ever: Exception | None = None
        self.opened = 0
        self._why: StorageUnavailable | None = None

    @property
    def failed(self) -> StorageError | None:
        return self._why

    def fail(self) -> None:
        self._why = StorageUnavailable("the disk is dead")

    def prove(self, lane: int) -> None:
        self._check()
        super().prove(lane)

    async def reopen(self) -> StoreInfo:
        self.opened += 1
        if self.for_ever is not None:
            raise self.for_ever
        if self.errors:
            raise self.errors.pop(0)
        self._why = None
        return await super().reopen()

    def load(self, actor: ActorId) -> Cells:
        self._check()
        return super().load(actor)

    async def alarms(self, *args: Any, **kwargs: Any) -> list[Alarm]:
        self._check()
        return await super().alarms(*args, **kwargs)

    def commit(self, lane: int, records: Sequence[CommitRecord], done: Done) -> None:
        if self._why is not None:
            asyncio.get_running_loop().call_soon(done, self._why)
        elif self.breaks:
            self.breaks = False
            self.fail()
            answer: Done = lambda _: done(UnknownOutcome("the disk has not said"))  # noqa: E731
            if self.writes:
                super().commit(lane, records, answer)
            else:
                asyncio.get_running_loop().call_soon(answer, None)
        else:
            super().commit(lane, records, done)

    def _check(self) -> None:
        if self._why is not None:
            raise self._why


class Counter(DurableObject):
    """Counts; can be made to wait within a turn, and to ring."""

    count: int = 0
    rung: int = 0
    _hold: asyncio.Event | None = None

    async def add(self, by: int = 1) -> int:
        self.count += by
        return self.count

    @readonly
    async def look(self) -> int:
        return self.count

    async def add_and_wait(self) -> None:
        self.count += 100
        await asyncio.Event().wait()

    async def ring_in(self, seconds: float) -> None:
        self.ctx.alarm.set(timedelta(seconds=seconds))

    async def alarm(self) -> None:
        self.rung += 1

    @readonly
    async def rings(self) -> int:
        return self.rung


def counter(rt: Runtime, name: str) -> Counter:
    return rt.get(Counter, name)


def codes(errors: Sequence[object]) -> list[object]:
    return [getattr(error, "code", error) for error in errors]


@pytest.mark.parametrize("writes", [False, True])
@virtual
async def test_after_a_failed_batch_calls_work_again(writes: bool) -> None:
    """Its callers are told that its outcome is unknown; then actors have what the disk has."""
    store = BreakableStore()
    store.writes = writes
    async with runtime(Counter, store=store) as rt:
        assert await counter(rt, "a").add() == 1
        assert await counter(rt, "b").add() == 1
        before = rt.host.committer.lanes[0].lease.epoch
        store.breaks = True
        lost = await outcome(counter(rt, "a").add())
        assert codes([lost]) == ["unknown_outcome"]
        await asyncio.sleep(1)
        assert store.opened == 1
        assert await counter(rt, "a").look() == (2 if writes else 1)
        assert await counter(rt, "b").add() == 2
        assert rt.host.committer.lanes[0].lease.epoch > before
        assert rt.host.committer.lost is None


@virtual
async def test_while_it_is_opened_again_calls_are_refused() -> None:
    """Also those of actors that are in memory: it may be more than the disk has."""
    store = BreakableStore()
    async with runtime(Counter, store=store) as rt:
        await counter(rt, "a").add()
        await counter(rt, "b").add()
        store.breaks = True
        store.errors = [StorageUnavailable("still dead")] * 3
        await outcome(counter(rt, "a").add())
        await settle()
        calls = (counter(rt, "b").look(), counter(rt, "a").add(), counter(rt, "new").look())
        refused = [await outcome(call) for call in calls]
        refused.append(await outcome(rt.delete(Counter, "b")))
        assert codes(refused) == ["storage_unavailable"] * 4
        assert StorageUnavailable.retry is Retry.SAFE
        assert codes([await outcome(rt.host.committer.owned())]) == ["storage_unavailable"]
        assert codes([rt.host.committer.lost]) == ["storage_unavailable"]
        await asyncio.sleep(1)
        assert store.opened == 4
        assert await counter(rt, "b").add() == 2
        await rt.host.committer.owned()


@virtual
async def test_turns_under_way_end_with_it() -> None:
    """They are thrown away, with all that they have changed; batches behind are not written."""
    store = BreakableStore()
    async with runtime(Counter, store=store) as rt:
        await counter(rt, "a").add()
        under_way = asyncio.ensure_future(outcome(counter(rt, "b").add_and_wait()))
        await settle()
        store.breaks = True
        first = asyncio.ensure_future(outcome(counter(rt, "a").add()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        behind = asyncio.ensure_future(outcome(counter(rt, "c").add()))
        told: list[Awaitable[Any]] = [under_way, first, behind]
        assert codes([await one for one in told]) == [
            "storage_unavailable",
            "unknown_outcome",
            "storage_unavailable",
        ]
        await asyncio.sleep(1)
        found = [await counter(rt, name).look() for name in "abc"]
        assert found == [1, 0, 0]


@virtual
async def test_all_lanes_get_new_epochs() -> None:
    store = BreakableStore(MemoryDisk(lanes=4))
    async with runtime(Counter, store=store) as rt:
        names = [str(number) for number in range(20)]
        await asyncio.gather(*(counter(rt, name).add() for name in names))
        store.breaks = True
        told = await asyncio.gather(*(outcome(counter(rt, name).add()) for name in names))
        kept = [result if isinstance(result, int) else 1 for result in told]
        assert 1 in kept
        await asyncio.sleep(1)
        assert [await counter(rt, name).look() for name in names] == kept
        assert [lane.lease.epoch for lane in rt.host.committer.lanes] == [2] * 4


@pytest.mark.parametrize("error", [StorageUnavailable("dead"), StorageCorrupt("damaged")])
@virtual
async def test_it_gives_up_after_a_time(error: StorageError) -> None:
    """And says why; calls go on being refused."""
    store = BreakableStore()
    async with runtime(Counter, store=store, reopen_seconds=20.0) as rt:
        await counter(rt, "a").add()
        store.breaks, store.for_ever = True, error
        begun_s = asyncio.get_running_loop().time()
        await outcome(counter(rt, "a").add())
        reason = await rt.host.disowned
        assert 19.9 < asyncio.get_running_loop().time() - begun_s < 20.1
        assert codes([reason]) == ["storage_unavailable"]
        assert "limits.reopen_seconds" in str(reason)
        assert str(error) in str(reason)
        assert 10 < store.opened < 30  # less often with time
        store.for_ever = None
        await asyncio.sleep(60)
        assert codes([await outcome(counter(rt, "a").look())]) == ["storage_unavailable"]


@virtual
async def test_an_owner_that_has_lost_the_directory_does_not_try_again() -> None:
    store = BreakableStore()
    async with runtime(Counter, store=store) as rt:
        await counter(rt, "a").add()
        store.breaks, store.for_ever = True, DirectoryLost("gone")
        await outcome(counter(rt, "a").add())
        assert codes([await rt.host.disowned]) == ["directory_lost"]
        assert store.opened == 1


@virtual
async def test_a_bug_of_the_store_leaves_no_caller_waiting() -> None:
    store = BreakableStore()
    async with runtime(Counter, store=store) as rt:
        await counter(rt, "a").add()
        store.breaks, store.for_ever = True, ValueError("a bug")
        await outcome(counter(rt, "a").add())
        assert "a bug" in str(await rt.host.disowned)
        assert codes([await outcome(counter(rt, "a").look())]) == ["storage_unavailable"]


@virtual
async def test_a_read_finds_out_that_the_store_has_failed() -> None:
    """Nothing was being written when it failed."""
    store = BreakableStore()
    async with runtime(Counter, store=store) as rt:
        await counter(rt, "a").add()
        store.fail()
        await asyncio.sleep(1)
        assert codes([await outcome(counter(rt, "a").look())]) == ["storage_unavailable"]
        await asyncio.sleep(1)
        assert await counter(rt, "a").look() == 1
        assert store.opened == 1


@virtual
async def test_it_can_fail_again() -> None:
    store = BreakableStore()
    async with runtime(Counter, store=store) as rt:
        for number in range(1, 4):
            assert await counter(rt, "a").add() == number
            store.breaks = True
            await outcome(counter(rt, "a").add())
            await asyncio.sleep(1)
        assert store.opened == 3
        assert await counter(rt, "a").add() == 4


@virtual
async def test_alarms_fire_once_it_is_open() -> None:
    """Those that fell due meanwhile at once, those of later in their time."""
    store = BreakableStore()
    async with runtime(Counter, store=store) as rt:
        await counter(rt, "a").ring_in(5)
        await counter(rt, "b").ring_in(40)
        await counter(rt, "c").add()
        store.breaks, store.for_ever = True, StorageUnavailable("dead")
        await outcome(counter(rt, "c").add())
        await asyncio.sleep(20)
        store.for_ever = None
        await asyncio.sleep(2.5)  # the longest pause between two tries is shorter
        assert [await counter(rt, name).rings() for name in "ab"] == [1, 0]
        await asyncio.sleep(20)
        assert [await counter(rt, name).rings() for name in "ab"] == [1, 1]


@virtual
async def test_it_closes_while_it_is_opened_again() -> None:
    """In good time, and no task is left."""
    store = BreakableStore()
    loop = asyncio.get_running_loop()
    async with runtime(Counter, store=store) as rt:
        await counter(rt, "a").add()
        store.breaks, store.for_ever = True, StorageUnavailable("dead")
        await outcome(counter(rt, "a").add())
        await asyncio.sleep(1)
        begun_s = loop.time()
    assert loop.time() - begun_s < 1
    tried = store.opened
    await asyncio.sleep(60)
    assert store.opened == tried


@virtual
async def test_sockets_of_actors_at_rest_stay() -> None:
    """They have lost nothing; the actor wakes from the disk for the next message."""
    store = BreakableStore()
    async with runtime(Counter, Room, store=store) as rt:
        room = rt.get(Room, "r")
        socket, wire = await enter(rt, room)
        assert await room.fresh()
        await asyncio.sleep(1)
        store.breaks = True
        assert isinstance(await outcome(counter(rt, "a").add()), UnknownOutcome)
        await asyncio.sleep(1)
        socket.received("hi")
        await asyncio.sleep(1)
        assert wire.got == ["hi"]
        assert await room.fresh(), "it was woken anew"


@virtual
async def test_volatile_actors_keep_what_they_have() -> None:
    """They are not on the disk."""
    store = BreakableStore()
    async with runtime(Counter, Volatile, store=store) as rt:
        volatile = rt.spawn(Volatile, name="v")
        assert await volatile.add() == 1
        store.breaks = True
        assert isinstance(await outcome(counter(rt, "a").add()), UnknownOutcome)
        assert await volatile.add() == 2
        await asyncio.sleep(1)
        assert await volatile.add() == 3


class Volatile(Actor):
    """Counts in memory."""

    def __init__(self) -> None:
        self._count = 0

    async def add(self) -> int:
        self._count += 1
        return self._count
