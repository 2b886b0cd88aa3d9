"""Types and facets as they come and go, several runtimes, listing, names."""

import asyncio
import gc
import weakref
from datetime import timedelta

import pytest
from tests.runtime.world import outcome, runtime, settle, virtual

from wakeful import (
    Actor,
    ActorBuilder,
    ActorId,
    ActorNotFound,
    Call,
    ConfigError,
    DurabilityFacet,
    DurableObject,
    Facet,
    InvalidArguments,
    Reply,
    Runtime,
    VirtualActorFacet,
)
from wakeful.errors import PayloadTooLarge
from wakeful.store.memory import MemoryDisk, MemoryStore


class Counter(DurableObject):
    count: int = 0

    async def add(self) -> int:
        self.count += 1
        return self.count

    async def wait(self) -> int:
        self.count += 1
        await asyncio.sleep(5)
        return self.count


class Always(Facet):
    """Answers in place of the actor."""

    def before(self, call: Call) -> Reply:
        return Reply(42)


@virtual
async def test_facet_attached_and_detached_while_the_type_runs() -> None:
    async with runtime(Counter) as rt:
        ref, facet = rt.get(Counter, "c"), Always()
        assert await ref.add() == 1
        rt.attach(Counter, facet)
        assert [await ref.add(), await rt.get(Counter, "d").add()] == [42, 42]
        with pytest.raises(ConfigError, match="has this Always already"):
            rt.attach(Counter, facet)
        rt.detach(Counter, facet)
        assert await ref.add() == 2
        with pytest.raises(ConfigError, match="has no such Always"):
            rt.detach(Counter, facet)


@virtual
async def test_turn_under_way_goes_on_with_the_facets_it_began_with() -> None:
    async with runtime(Counter) as rt:
        running = asyncio.create_task(rt.get(Counter, "c").wait())
        await settle()
        rt.attach(Counter, Always())
        assert await running == 1


@virtual
async def test_durability_attached_and_detached_counts_from_the_next_waking_on() -> None:
    class Plain(Actor):
        items: list[int] = []

        async def add(self) -> list[int]:
            self.items.append(1)
            return self.items

    disk = MemoryDisk()
    spec = ActorBuilder(Plain).with_virtual_actor().build()
    async with runtime(spec, store=MemoryStore(disk)) as rt:
        ref, facet = rt.get(Plain, "p"), DurabilityFacet()
        assert await ref.add() == [1]
        rt.attach(Plain, facet)
        assert await ref.add() == [1, 1]
        assert disk.cells == {}
        await asyncio.sleep(11)
        assert await ref.add() == [1]
        assert len(disk.cells) == 1
        rt.detach(Plain, facet)
        assert await ref.add() == [1, 1]
        await asyncio.sleep(11)
        assert await ref.add() == [1]


@virtual
async def test_facet_that_cannot_be_attached_changes_nothing() -> None:
    class Unkept(Actor):
        thing: asyncio.Event | None = None

        async def hello(self) -> str:
            return "hello"

    async with runtime(Unkept) as rt:
        ref = rt.spawn(Unkept)
        with pytest.raises(ConfigError, match=r"Unkept\.thing"):
            rt.attach(Unkept, DurabilityFacet())
        with pytest.raises(ConfigError, match="instance of a subclass of Facet"):
            rt.attach(Unkept, Always)  # type: ignore[arg-type]
        assert await ref.hello() == "hello"
        rt.attach(Unkept, VirtualActorFacet())
        assert await rt.get(Unkept, "other").hello() == "hello"


@virtual
async def test_closed_runtime_leaves_nothing_in_memory() -> None:
    async with runtime(Counter) as rt:
        refs = [rt.get(Counter, str(n)) for n in range(10)]
        await asyncio.gather(*(ref.add() for ref in refs))
        actors = [weakref.ref(a.instance) for a in rt.host.activator.catalog]
        assert len(actors) == 10
    assert [actor() for actor in actors] == [None] * 10
    host = weakref.ref(refs[0]._host)  # type: ignore[attr-defined]
    del rt, refs
    gc.collect()
    assert host() is None


@virtual
async def test_two_runtimes_in_one_process_know_nothing_of_each_other() -> None:
    async with runtime(Counter) as one, runtime(Counter) as two:
        assert [await one.get(Counter, "c").add() for _ in range(3)] == [1, 2, 3]
        assert await two.get(Counter, "c").add() == 1


class Ringing(DurableObject):
    rung: int = 0

    async def start(self) -> None:
        self.ctx.alarm.set(timedelta(seconds=60))

    async def alarm(self) -> None:
        self.rung += 1

    async def get(self) -> int:
        return self.rung


@virtual
async def test_alarms_of_a_runtime_that_a_turn_has_started_are_no_part_of_that_turn() -> None:
    class Starter(DurableObject):
        async def start(self) -> None:
            await inner.__aenter__()

    disk = MemoryDisk()
    async with runtime(Ringing, store=MemoryStore(disk)) as rt:
        await rt.get(Ringing, "r").start()
    inner = runtime(Ringing, store=MemoryStore(disk))
    async with runtime(Starter, idle_seconds=1.0) as outer:
        await outer.get(Starter, "s").start()
        await asyncio.sleep(90)
        assert await inner.get(Ringing, "r").get() == 1
        await inner.__aexit__(None, None, None)


@virtual
async def test_stored_actors_are_listed_by_type_and_prefix_a_page_at_a_time() -> None:
    class Other(Counter):
        pass

    async with runtime(Counter, Other) as rt:
        names = [f"a{n:02}" for n in range(25)] + ["b", "ä"]
        await asyncio.gather(*(rt.get(Counter, name).add() for name in names))
        await rt.get(Other, "a99").add()
        seen: list[str] = []
        cursor = None
        while True:
            page = await rt.list(Counter, "a", cursor, limit=10)
            assert len(page.actors) <= 10
            seen += [actor.name for actor in page.actors]
            cursor = page.cursor
            if cursor is None:
                break
        assert seen == names[:25]
        assert (await rt.list(Counter, "ä")).actors == (ActorId("Counter", "ä"),)
        assert (await rt.list(Other)).actors == (ActorId("Other", "a99"),)
        assert (await rt.list(Counter, "nothing")).actors == ()


@virtual
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", InvalidArguments),
        (5, InvalidArguments),
        ("\ud800", InvalidArguments),
        ("x" * 1025, PayloadTooLarge),
        ("ä" * 513, PayloadTooLarge),
    ],
)
async def test_name_that_cannot_be_used_is_refused(name: str, error: type[Exception]) -> None:
    async with runtime(Counter) as rt:
        for use in (rt.get, lambda kind, name: rt.spawn(kind, name=name)):
            with pytest.raises(error):
                use(Counter, name)
        assert isinstance(await outcome(rt.delete(Counter, name)), error)


@virtual
async def test_any_other_name_will_do() -> None:
    async with runtime(Counter) as rt:
        for name in ("x" * 1024, "/", "a/b", "\x00", "\n", "💡", " ", ".."):
            assert await rt.get(Counter, name).add() == 1


@virtual
async def test_stop_takes_a_ref_of_an_actor_that_runs() -> None:
    async with runtime(Counter) as rt:
        with pytest.raises(InvalidArguments, match="stop\\(\\) takes a ref"):
            await rt.stop("c")
        with pytest.raises(ActorNotFound):
            await rt.stop(rt.get(Counter, "c"))


@virtual
async def test_types_need_names_of_their_own() -> None:
    twin = type("Counter", (Counter,), {})
    with pytest.raises(ConfigError, match="two actor types are named 'Counter'"):
        async with runtime(Counter, twin):
            pass


@virtual
async def test_runtime_that_is_not_running_says_so() -> None:
    rt = Runtime(MemoryStore(), [Counter])
    with pytest.raises(ConfigError, match="async with Runtime"):
        rt.get(Counter, "c")


@pytest.mark.parametrize("bad", [Counter(), int, "Counter", None])
def test_actors_are_classes(bad: object) -> None:
    with pytest.raises(ConfigError, match=r"subclasses of wakeful\.Actor"):
        Runtime(MemoryStore(), [bad])  # type: ignore[list-item]
