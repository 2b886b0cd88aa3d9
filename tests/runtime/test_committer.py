"""Batches that fail: nobody is told what is not true, and the actors go on from what is."""

import asyncio

import pytest
from tests.runtime.world import FlakyStore, outcome, runtime, settle, virtual

from wakeful import (
    Actor,
    ActorBuilder,
    DurabilityConfig,
    DurableObject,
    Fenced,
    UnknownOutcome,
)
from wakeful.errors import StorageFull
from wakeful.store.memory import MemoryDisk, MemoryStore


class Counter(DurableObject):
    count: int = 0

    async def add(self) -> int:
        self.count += 1
        return self.count

    async def add_slowly(self, seconds: float) -> int:
        self.count += 1
        await asyncio.sleep(seconds)
        return self.count

    async def add_and_sync(self) -> str:
        self.count += 1
        try:
            await self.ctx.storage.sync()
        except Exception as error:
            await asyncio.sleep(1)
            return f"caught {type(error).__name__}"
        return "durable"

    async def sync_in_child(self) -> None:
        self.count += 1
        self._child = asyncio.create_task(outcome(self.ctx.storage.sync()))
        await asyncio.sleep(3600)

    async def get(self) -> int:
        return self.count


@virtual
async def test_failed_batch_is_told_to_all_its_callers_and_undone() -> None:
    store = FlakyStore()
    async with runtime(Counter, store=store) as rt:
        refs = [rt.get(Counter, name) for name in "abc"]
        store.failures = [StorageFull("disk full")]
        outcomes = await asyncio.gather(*(outcome(r.add()) for r in refs for _ in range(3)))
        assert {type(error) for error in outcomes} == {StorageFull}
        assert len({id(error) for error in outcomes}) == len(outcomes)
        assert [await ref.get() for ref in refs] == [0, 0, 0]
        assert [await ref.add() for ref in refs] == [1, 1, 1]


@virtual
async def test_what_was_collected_after_a_failed_batch_fails_with_it() -> None:
    """It was computed from state that does not exist."""
    store = FlakyStore()
    async with runtime(Counter, store=store) as rt:
        ref, other = rt.get(Counter, "c"), rt.get(Counter, "other")
        await other.get()
        store.failures = [UnknownOutcome("lost")]
        first = asyncio.create_task(outcome(ref.add()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        second = asyncio.create_task(outcome(ref.add()))
        innocent = asyncio.create_task(outcome(other.add()))
        assert isinstance(await first, UnknownOutcome)
        assert await second in (1, 2) or isinstance(await second, UnknownOutcome)
        assert await innocent == 1
        assert await ref.get() == (await second if isinstance(await second, int) else 0)


@virtual
async def test_turn_under_way_is_interrupted_and_what_waits_runs_on_the_next_activation() -> None:
    store = FlakyStore()
    async with runtime(Counter, store=store) as rt:
        ref = rt.get(Counter, "c")
        store.failures = [UnknownOutcome("lost")]
        store.held = asyncio.Event()
        first = asyncio.create_task(outcome(ref.add()))
        second = asyncio.create_task(outcome(ref.add_slowly(3600)))
        third = asyncio.create_task(outcome(ref.add()))
        await settle()
        store.held.set()
        assert isinstance(await first, UnknownOutcome)
        assert isinstance(await second, UnknownOutcome)
        assert await third == 1
        assert asyncio.get_running_loop().time() == 0


@virtual
async def test_turn_that_catches_a_failed_sync_fails_all_the_same() -> None:
    store = FlakyStore()
    async with runtime(Counter, store=store) as rt:
        ref = rt.get(Counter, "c")
        store.failures = [UnknownOutcome("lost")]
        assert isinstance(await outcome(ref.add_and_sync()), UnknownOutcome)
        assert await ref.get() == 0
        assert await ref.add_and_sync() == "durable"


@virtual
async def test_turn_whose_child_loses_a_batch_is_interrupted() -> None:
    store = FlakyStore()
    async with runtime(Counter, store=store) as rt:
        ref = rt.get(Counter, "c")
        store.failures = [UnknownOutcome("lost")]
        assert isinstance(await outcome(ref.sync_in_child()), UnknownOutcome)
        assert asyncio.get_running_loop().time() < 60


@virtual
async def test_store_that_breaks_its_contract_makes_nobody_wait_for_ever() -> None:
    store = FlakyStore()
    async with runtime(Counter, store=store) as rt:
        ref = rt.get(Counter, "c")
        store.failures = [ValueError("a bug in the store")]
        error = await outcome(ref.add())
        assert isinstance(error, UnknownOutcome)
        assert "a bug in the store" in str(error)
        assert await ref.add() == 1


@virtual
async def test_fenced_runtime_refuses_everything_after() -> None:
    """Actors that had not written as well: somebody else serves them now."""

    class Plain(Actor):
        async def hello(self) -> str:
            return "hello"

    disk = MemoryDisk()
    async with runtime(Counter, Plain, store=MemoryStore(disk)) as rt:
        reader, writer = rt.get(Counter, "reader"), rt.get(Counter, "writer")
        plain = rt.spawn(Plain)
        await asyncio.gather(reader.add(), writer.add())
        waiting = asyncio.create_task(outcome(rt.get(Counter, "slow").add_slowly(3600)))
        await settle()
        usurper = MemoryStore(disk)
        await usurper.open()
        assert isinstance(await outcome(writer.add()), Fenced)
        for call in (reader.get(), writer.get(), rt.get(Counter, "new").get(), plain.hello()):
            assert isinstance(await outcome(call), Fenced)
        assert isinstance(await waiting, Fenced)
        assert isinstance(await outcome(rt.delete(Counter, "reader")), Fenced)
        assert len(rt.host.activator.catalog) == 0
        await usurper.close()
    assert len(disk.cells) == 2


@virtual
async def test_a_lane_that_is_fenced_takes_no_other_with_it() -> None:
    """Its actors, awake or not, are another owner's; those of the other lane go on as they were."""
    disk = MemoryDisk(lanes=2)
    async with runtime(Counter, store=MemoryStore(disk)) as rt:
        refs = [rt.get(Counter, f"c{number}") for number in range(20)]
        assert await asyncio.gather(*(ref.add() for ref in refs)) == [1] * 20
        lost, kept = (
            [ref for ref in refs if rt.host.activator.catalog.actors[ref._id].lane is lane]
            for lane in rt.host.committer.lanes
        )
        slow = asyncio.create_task(outcome(kept[0].add_slowly(10)))
        disk.take(0)
        outcomes = await asyncio.gather(*(outcome(ref.add()) for ref in [lost[0], *kept[1:]]))
        assert isinstance(outcomes[0], Fenced)
        assert outcomes[1:] == [2] * (len(kept) - 1)
        assert {type(await outcome(ref.get())) for ref in lost} == {Fenced}
        assert [await ref.get() for ref in kept[1:]] == [2] * (len(kept) - 1)
        assert await slow == 2
        assert {a.lane for a in rt.host.activator.catalog} == {rt.host.committer.lanes[1]}


@virtual
async def test_lanes_do_not_wait_for_each_other() -> None:
    """A batch of one that does not come back holds up no batch of another."""
    store = FlakyStore(MemoryDisk(lanes=2))
    async with runtime(Counter, store=store) as rt:
        refs = [rt.get(Counter, f"c{number}") for number in range(20)]
        await asyncio.gather(*(ref.get() for ref in refs))
        actors, lanes = rt.host.activator.catalog.actors, rt.host.committer.lanes
        one = next(ref for ref in refs if actors[ref._id].lane is lanes[0])
        other = next(ref for ref in refs if actors[ref._id].lane is lanes[1])
        store.held = asyncio.Event()
        waiting = asyncio.create_task(one.add())
        await settle()
        held, store.held = store.held, None
        assert [await other.add(), await other.add()] == [1, 2]
        assert not waiting.done()
        held.set()
        assert await waiting == 1


@virtual
async def test_unconfirmed_actor_answers_before_its_writes_are_durable() -> None:
    spec = ActorBuilder(Counter).with_durability(DurabilityConfig(confirm=False)).build()
    store = FlakyStore()
    async with runtime(spec, store=store) as rt:
        ref = rt.get(Counter, "c")
        store.held = asyncio.Event()
        assert [await ref.add(), await ref.add_slowly(0), await ref.add()] == [1, 2, 3]
        syncing = asyncio.create_task(ref.add_and_sync())
        await settle()
        assert not syncing.done()  # who asks for durability gets it
        store.held.set()
        assert await syncing == "durable"
        store.failures = [UnknownOutcome("lost")]
        assert await ref.add() == 5
        await rt.host.committer.settled()
        assert await ref.get() == 4


@virtual
async def test_turns_of_one_moment_share_a_batch() -> None:
    store = FlakyStore()
    async with runtime(Counter, store=store) as rt:
        refs = [rt.get(Counter, str(n)) for n in range(100)]
        await asyncio.gather(*(ref.add() for ref in refs for _ in range(3)))
        assert len(store.batches) <= 2
        assert sum(map(len, store.batches)) <= 200


@virtual
async def test_reading_writes_nothing() -> None:
    store = FlakyStore()
    async with runtime(Counter, store=store) as rt:
        ref = rt.get(Counter, "c")
        assert await ref.get() == 0
        await rt.host.committer.settled()
        assert store.batches == []


@pytest.mark.slow
async def test_answered_means_on_disk(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """With the real store and real time: what was answered is there after a restart."""
    from wakeful import Runtime

    async with Runtime(tmp_path / "data", [Counter]) as rt:
        refs = [rt.get(Counter, str(n)) for n in range(50)]
        for _ in range(3):
            await asyncio.gather(*(ref.add() for ref in refs))
    async with Runtime(tmp_path / "data", [Counter]) as rt:
        assert {await rt.get(Counter, str(n)).get() for n in range(50)} == {3}
