"""Lifetime and persistence are two facets, and each works without the other."""

import asyncio

import pytest
from tests.runtime.world import FlakyStore, outcome, runtime, virtual

from wakeful import (
    Actor,
    ActorBuilder,
    ActorNotFound,
    ActorSpec,
    ConfigError,
    DurabilityConfig,
    DurabilityFacet,
    DurableObject,
    MethodMetrics,
    RateLimit,
    UnknownOutcome,
    VirtualActorConfig,
    VirtualActorFacet,
)
from wakeful.store.memory import MemoryDisk, MemoryStore


class Counter(Actor):
    count: int = 0
    seen: list[int] = []

    async def add(self) -> int:
        self.count += 1
        self.seen.append(self.count)
        return self.count

    async def all(self) -> list[int]:
        return self.seen


VIRTUAL = VirtualActorConfig(idle_timeout=30)
NEITHER = ActorBuilder(Counter).build()
VIRTUAL_ONLY = ActorBuilder(Counter).with_virtual_actor(VIRTUAL).build()
DURABLE_ONLY = ActorBuilder(Counter).with_durability().build()
BOTH = ActorBuilder(Counter).with_virtual_actor(VIRTUAL).with_durability().build()


@virtual
async def test_neither_is_volatile_and_lives_from_spawn_to_stop() -> None:
    disk = MemoryDisk()
    async with runtime(NEITHER, store=MemoryStore(disk)) as rt:
        with pytest.raises(ActorNotFound):
            await rt.get(Counter, "c").add()
        ref = rt.spawn(Counter, name="c")
        assert [await ref.add(), await ref.add()] == [1, 2]
        await asyncio.sleep(3600)
        assert await ref.all() == [1, 2]
        await rt.stop(ref)
        assert await rt.spawn(Counter, name="c").all() == []
    assert disk.cells == {}


@virtual
async def test_virtual_only_wakes_by_itself_and_forgets_when_it_sleeps() -> None:
    disk = MemoryDisk()
    async with runtime(VIRTUAL_ONLY, store=MemoryStore(disk)) as rt:
        ref = rt.get(Counter, "c")
        assert [await ref.add(), await ref.add()] == [1, 2]
        await asyncio.sleep(29)
        assert await ref.add() == 3
        await asyncio.sleep(31)
        assert await ref.all() == []
    assert disk.cells == {}


@virtual
async def test_durable_only_keeps_its_state_and_lives_from_spawn_to_stop() -> None:
    disk = MemoryDisk()
    async with runtime(DURABLE_ONLY, store=MemoryStore(disk)) as rt:
        with pytest.raises(ActorNotFound):
            await rt.get(Counter, "c").add()
        ref = rt.spawn(Counter, name="c")
        assert [await ref.add(), await ref.add()] == [1, 2]
        await asyncio.sleep(3600)
        assert len(rt.host.activator.catalog) == 1
        await rt.stop(ref)
        with pytest.raises(ActorNotFound):
            await ref.add()
        assert await rt.spawn(Counter, name="c").add() == 3
    async with runtime(DURABLE_ONLY, store=MemoryStore(disk)) as rt:
        assert await rt.spawn(Counter, name="c").all() == [1, 2, 3]


@virtual
async def test_durable_only_goes_on_from_what_is_durable_after_a_failed_commit() -> None:
    store = FlakyStore()
    async with runtime(DURABLE_ONLY, store=store) as rt:
        ref = rt.spawn(Counter, name="c")
        assert await ref.add() == 1
        store.failures = [UnknownOutcome("lost")]
        assert isinstance(await outcome(ref.add()), UnknownOutcome)
        assert await ref.add() == 2


@virtual
async def test_both_wakes_by_itself_and_remembers() -> None:
    disk = MemoryDisk()
    async with runtime(BOTH, store=MemoryStore(disk)) as rt:
        ref = rt.get(Counter, "c")
        assert [await ref.add(), await ref.add()] == [1, 2]
        await asyncio.sleep(31)
        assert len(rt.host.activator.catalog) == 0
        assert await ref.all() == [1, 2]


@virtual
async def test_durable_object_keeps_being_one_when_a_builder_adds_facets() -> None:
    class Kept(DurableObject):
        count: int = 0

        async def add(self) -> int:
            self.count += 1
            return self.count

    disk = MemoryDisk()
    metrics = MethodMetrics()
    built = ActorBuilder(Kept).with_facet(metrics).build()
    async with runtime(built, store=MemoryStore(disk), idle_seconds=5) as rt:
        assert await rt.get(Kept, "k").add() == 1
        await asyncio.sleep(6)
        assert len(rt.host.activator.catalog) == 0
        assert await rt.get(Kept, "k").add() == 2
    assert metrics.stats["add"].calls == 2
    assert len(disk.cells) == 1


def test_builder_refuses_what_is_no_facet_or_comes_twice() -> None:
    builder = ActorBuilder(Counter).with_virtual_actor()
    with pytest.raises(ConfigError, match="has a VirtualActorFacet already"):
        builder.with_virtual_actor()
    with pytest.raises(ConfigError, match="takes a Facet"):
        builder.with_facet(VirtualActorFacet)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [int, Counter(), "Counter"])
def test_builder_takes_actor_classes(bad: object) -> None:
    with pytest.raises(ConfigError, match="takes a subclass of Actor"):
        ActorBuilder(bad)  # type: ignore[arg-type]


def test_builder_gives_the_class_its_own_facets_too_and_another_name() -> None:
    class Limited(Actor):
        facets = (RateLimit(1),)

    built = ActorBuilder(Limited, "Other").with_virtual_actor().build()
    assert [type(facet) for facet in built.facets] == [VirtualActorFacet, RateLimit]
    assert isinstance(built, ActorSpec)
    assert (built.cls, built.name) == (Limited, "Other")


@pytest.mark.parametrize(
    ("config", "settings"),
    [
        (VirtualActorConfig, {"idle_timeout": 0}),
        (VirtualActorConfig, {"idle_timeout": -1}),
        (VirtualActorConfig, {"idle_timeout": float("nan")}),
        (VirtualActorConfig, {"idle_timeout": float("inf")}),
        (VirtualActorConfig, {"idle_timeout": "30"}),
        (DurabilityConfig, {"state_bytes_max": 0}),
        (DurabilityConfig, {"state_bytes_max": 1.5}),
        (DurabilityConfig, {"confirm": "no"}),
    ],
)
def test_setting_that_cannot_be_is_refused_by_name(
    config: type, settings: dict[str, object]
) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        config(**settings)


@pytest.mark.parametrize("config", [VirtualActorConfig, DurabilityConfig])
def test_unknown_setting_is_refused(config: type) -> None:
    with pytest.raises(TypeError, match="idle_timout"):
        config(idle_timout=5)


@pytest.mark.parametrize(
    ("facet", "wrong"),
    [(VirtualActorFacet, DurabilityConfig()), (DurabilityFacet, {"confirm": False})],
)
def test_settings_of_another_kind_are_refused(facet: type, wrong: object) -> None:
    with pytest.raises(ConfigError, match=f"{facet.__name__} takes a"):
        facet(wrong)
