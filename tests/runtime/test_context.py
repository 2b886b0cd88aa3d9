"""self.ctx: identity, storage, transactions, background work, critical sections, log and clock."""

import asyncio
import socket
import sys
from typing import Any

import pytest
import structlog
from tests.runtime.world import FlakyStore, outcome, runtime, settle, virtual

from wakeful import (
    Actor,
    ActorBuilder,
    ActorId,
    CallError,
    DurabilityConfig,
    DurableObject,
    InvalidArguments,
    LimitExceeded,
    Overloaded,
    Runtime,
    StateInvalid,
    UnknownOutcome,
    interleave,
)
from wakeful.store.memory import MemoryDisk, MemoryStore
from wakeful.testing.clock import WALL_START_NS


class Box(DurableObject):
    """State, storage, and whatever a test wants to do with them in a turn."""

    count: int = 0
    text: str = ""
    items: list[int] = []
    table: dict[str, bytes] = {}
    pair: tuple[str, ...] = ()

    async def do(self, name: str) -> object:
        return await scripts[name](self)

    @interleave
    async def beside(self, name: str) -> object:
        return await scripts[name](self)

    async def put(self, key: str, value: object) -> None:
        await self.ctx.storage.put(key, value)

    async def get(self, key: str) -> object:
        return await self.ctx.storage.get(key)

    async def all(self) -> dict[str, object]:
        return await self.ctx.storage.list()

    async def state(self) -> tuple[int, list[int]]:
        return self.count, self.items


scripts: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def _no_scripts() -> None:
    scripts.clear()


async def play(script: Any, *, store: MemoryStore | None = None) -> Any:
    """What a script gives or raises, as a turn of Box/b."""
    scripts["it"] = script
    async with runtime(Box, store=store) as rt:
        return await outcome(rt.get(Box, "b").do("it"))


# --- identity, clock, log --------------------------------------------------------------------


@virtual
async def test_id_clock_and_repr() -> None:
    async def script(box: Box) -> list[object]:
        return [list(box.ctx.id), str(box.ctx.id), box.ctx.now_ns(), repr(box)]

    assert await play(script) == [["Box", "b"], "Box/b", WALL_START_NS, "<Box/b>"]
    assert repr(Box()) == "<Box, not activated>"


@virtual
async def test_log_is_bound_to_the_actor() -> None:
    async def script(box: Box) -> None:
        box.ctx.log.info("hello", detail=1)
        box.ctx.log.debug("d")
        box.ctx.log.warning("w")
        box.ctx.log.error("e")

    with structlog.testing.capture_logs() as logs:
        await play(script)
    assert logs[0] == {
        "type": "Box", "name": "b", "event": "hello", "detail": 1, "log_level": "info"
    }  # fmt: skip
    assert [entry["log_level"] for entry in logs] == ["info", "debug", "warning", "error"]


@virtual
async def test_reply_is_for_messages_only() -> None:
    async def script(box: Box) -> None:
        await box.ctx.reply(b"x")

    assert isinstance(await play(script), RuntimeError)


# --- storage ---------------------------------------------------------------------------------


@virtual
async def test_storage_keeps_values_by_key_across_activations() -> None:
    disk = MemoryDisk()
    values = {"a": 1, "ä": [1, {"x": b"y"}], "b/c": None, "": "empty key", "z": {1, 2}}
    async with runtime(Box, store=MemoryStore(disk)) as rt:
        for key, value in values.items():
            await rt.get(Box, "b").put(key, value)
    async with runtime(Box, store=MemoryStore(disk)) as rt:
        assert await rt.get(Box, "b").all() == values


@virtual
async def test_storage_lists_by_prefix_and_range_in_utf8_order() -> None:
    async def script(box: Box) -> list[list[str]]:
        storage = box.ctx.storage
        for key in ("b", "a", "aa", "ab", "\uffff", "\U00010000", "c"):
            await storage.put(key, key)
        return [
            list(await storage.list()),
            list(await storage.list(prefix="a")),
            list(await storage.list(start="aa", end="b")),
            list(await storage.list(reverse=True, limit=2)),
            list(await storage.list(prefix="a", start="b")),
        ]

    assert await play(script) == [
        ["a", "aa", "ab", "b", "c", "\uffff", "\U00010000"],
        ["a", "aa", "ab"],
        ["aa", "ab"],
        ["\U00010000", "\uffff"],
        [],
    ]


@virtual
async def test_storage_copies_in_and_out() -> None:
    async def script(box: Box) -> object:
        mine = [1]
        await box.ctx.storage.put("k", mine)
        mine.append(2)
        first: Any = await box.ctx.storage.get("k")
        first.append(3)
        return await box.ctx.storage.get("k")

    assert await play(script) == [1]


@virtual
async def test_storage_delete_tells_whether_there_was_one_and_default_is_given_back() -> None:
    async def script(box: Box) -> list[object]:
        storage = box.ctx.storage
        gone = await storage.delete("k")
        await storage.put("k", None)
        there = [await storage.get("k", 5), await storage.delete("k"), await storage.get("k", 5)]
        await storage.put("l", 1)
        await storage.delete_all()
        return [gone, *there, await storage.list()]

    assert await play(script) == [False, None, True, 5, {}]


@virtual
@pytest.mark.parametrize("key", [1, b"k", None, "\ud800"])
async def test_storage_key_is_valid_text(key: object) -> None:
    async def script(box: Box) -> None:
        await box.ctx.storage.put(key, 1)  # type: ignore[arg-type]

    assert isinstance(await play(script), InvalidArguments)


@virtual
async def test_storage_refuses_what_cannot_be_kept() -> None:
    async def script(box: Box) -> None:
        await box.ctx.storage.put("k", socket.socket)

    refused = await play(script)
    assert isinstance(refused, StateInvalid)
    assert str(refused).startswith("storage.put('k'): type cannot be stored")


@virtual
async def test_storage_of_an_actor_that_keeps_nothing_says_so() -> None:
    class Plain(Actor):
        async def put(self) -> None:
            await self.ctx.storage.put("k", 1)

        async def transact(self) -> None:
            await self.ctx.storage.transaction(self.put)

    async with runtime(Plain) as rt:
        ref = rt.spawn(Plain)
        for call in (ref.put(), ref.transact()):
            with pytest.raises(InvalidArguments, match="DurabilityFacet"):
                await call


@virtual
async def test_exception_undoes_state_and_storage_together() -> None:
    async def write(box: Box) -> None:
        box.count, box.items = 1, [1]
        await box.ctx.storage.put("k", "kept")

    async def fail(box: Box) -> None:
        box.count += 1
        box.items.append(2)
        await box.ctx.storage.put("k", "undone")
        await box.ctx.storage.put("l", "undone")
        await asyncio.sleep(1)
        raise ValueError

    scripts.update(write=write, fail=fail)
    async with runtime(Box) as rt:
        ref = rt.get(Box, "b")
        await ref.do("write")
        assert isinstance(await outcome(ref.do("fail")), ValueError)
        assert await ref.state() == (1, [1])
        assert await ref.all() == {"k": "kept"}


@virtual
async def test_sync_is_a_commit_point() -> None:
    async def script(box: Box) -> None:
        box.count = 1
        await box.ctx.storage.sync()
        box.count = 2
        raise ValueError

    scripts["it"] = script
    async with runtime(Box) as rt:
        ref = rt.get(Box, "b")
        assert isinstance(await outcome(ref.do("it")), ValueError)
        assert await ref.state() == (1, [])


# --- limits ----------------------------------------------------------------------------------


def limited() -> Any:
    return ActorBuilder(Box).with_durability(DurabilityConfig(state_bytes_max=1_000)).build()


async def too_much_text(box: Box) -> None:
    box.count += 1
    box.text = "x" * 1_001


async def too_much_unicode(box: Box) -> None:
    box.count += 1
    box.text = "ä" * 501


async def too_many_items(box: Box) -> None:
    box.count += 1
    box.items.extend(range(100_000, 100_300))


async def too_big_a_table(box: Box) -> None:
    box.count += 1
    box.table["k"] = bytes(1_001)


async def too_long_a_tuple(box: Box) -> None:
    box.count += 1
    box.pair = ("x" * 600, "y" * 600)


async def too_much_storage(box: Box) -> None:
    box.count += 1
    await box.ctx.storage.put("k", "x" * 1_001)


async def too_long_a_key(box: Box) -> None:
    box.count += 1
    await box.ctx.storage.put("k" * 1_001, 1)


async def too_much_together(box: Box) -> None:
    box.count += 1
    box.text = "x" * 600
    await box.ctx.storage.put("k", "x" * 600)


@virtual
@pytest.mark.parametrize(
    "script",
    [
        too_much_text,
        too_much_unicode,
        too_many_items,
        too_big_a_table,
        too_long_a_tuple,
        too_much_storage,
        too_long_a_key,
        too_much_together,
    ],
)
async def test_actor_that_would_keep_more_than_its_limit_is_refused_and_undone(script: Any) -> None:
    scripts["it"] = script
    store = FlakyStore()
    async with runtime(limited(), store=store) as rt:
        ref = rt.get(Box, "b")
        error = await outcome(ref.do("it"))
        assert isinstance(error, LimitExceeded)
        assert "its limit is 1000" in str(error)
        assert await ref.state() == (0, [])
        assert await ref.all() == {}
        await rt.host.committer.settled()
        assert store.batches == []


@virtual
async def test_actor_may_keep_up_to_its_limit() -> None:
    async def much(box: Box) -> None:
        box.text = "x" * 450
        await box.ctx.storage.put("k", "x" * 450)

    scripts["it"] = much
    async with runtime(limited()) as rt:
        assert await rt.get(Box, "b").do("it") is None


# --- transactions ----------------------------------------------------------------------------


@virtual
async def test_failed_transaction_leaves_state_and_storage_as_they_were() -> None:
    async def script(box: Box) -> object:
        box.count = 1
        await box.ctx.storage.put("k", 1)

        async def fails() -> None:
            box.count = 2
            box.items.append(2)
            await box.ctx.storage.put("k", 2)
            await asyncio.sleep(1)
            raise ValueError

        assert isinstance(await outcome(box.ctx.storage.transaction(fails)), ValueError)
        return [box.count, box.items, await box.ctx.storage.get("k")]

    assert await play(script) == [1, [], 1]


@virtual
async def test_transaction_gives_back_what_its_work_does() -> None:
    async def script(box: Box) -> object:
        async def works() -> str:
            box.count += 1
            return "done"

        return [await box.ctx.storage.transaction(works), box.count]

    assert await play(script) == ["done", 1]


@virtual
async def test_inner_transaction_that_fails_does_not_undo_the_outer_one() -> None:
    async def script(box: Box) -> object:
        async def inner() -> None:
            box.count += 10
            await box.ctx.storage.put("inner", 1)
            raise ValueError

        async def outer() -> None:
            box.count += 1
            await box.ctx.storage.put("outer", 1)
            assert isinstance(await outcome(box.ctx.storage.transaction(inner)), ValueError)
            box.count += 1

        await box.ctx.storage.transaction(outer)
        return [box.count, await box.ctx.storage.list()]

    assert await play(script) == [2, {"outer": 1}]


@virtual
async def test_outer_transaction_that_fails_undoes_the_inner_one_too() -> None:
    async def script(box: Box) -> object:
        async def inner() -> None:
            box.count += 10
            await box.ctx.storage.put("inner", 1)

        async def outer() -> None:
            await box.ctx.storage.transaction(inner)
            raise ValueError

        assert isinstance(await outcome(box.ctx.storage.transaction(outer)), ValueError)
        return [box.count, await box.ctx.storage.list()]

    assert await play(script) == [0, {}]


@virtual
async def test_transactions_of_one_turn_at_the_same_time_run_one_after_the_other() -> None:
    async def script(box: Box) -> object:
        async def work(number: int, fails: bool) -> None:
            seen.append(box.count)
            box.count += number
            await box.ctx.storage.put(str(number), number)
            await asyncio.sleep(1)
            if fails:
                raise ValueError

        seen: list[int] = []
        storage = box.ctx.storage
        await asyncio.gather(
            outcome(storage.transaction(lambda: work(1, True))),
            outcome(storage.transaction(lambda: work(2, False))),
            outcome(storage.transaction(lambda: work(4, True))),
        )
        return [seen, box.count, await storage.list()]

    assert await play(script) == [[0, 0, 2], 2, {"2": 2}]


@virtual
async def test_nothing_leaves_the_actor_from_inside_a_transaction() -> None:
    async def script(box: Box) -> object:
        async def asks() -> None:
            box.count += 1
            await box.ctx.get(Box, "other").state()

        error = await outcome(box.ctx.storage.transaction(asks))
        await box.ctx.get(Box, "other").state()
        return [type(error).__name__, box.count]

    assert await play(script) == [CallError.__name__, 0]


@virtual
async def test_no_other_turn_begins_inside_a_transaction() -> None:
    async def slow(box: Box) -> None:
        async def work() -> None:
            box.count = 1
            await asyncio.sleep(5)
            box.count = 2

        await box.ctx.storage.transaction(work)

    async def look(box: Box) -> int:
        return box.count

    scripts.update(slow=slow, look=look)
    async with runtime(Box) as rt:
        ref = rt.get(Box, "b")
        running = asyncio.create_task(ref.do("slow"))
        await asyncio.sleep(1)
        assert await ref.beside("look") == 2
        await running


@virtual
@pytest.mark.parametrize("fails", [False, True])
async def test_turn_that_waits_for_a_transaction_begins_when_it_is_kept_or_undone_whole(
    fails: bool,
) -> None:
    async def change(box: Box) -> None:
        async def work() -> None:
            box.count = 1
            await box.ctx.storage.put("k", 1)
            box.ctx.storage.sql.exec("CREATE TABLE t(x)")
            await asyncio.sleep(2)
            if fails:
                raise ValueError

        await box.ctx.storage.transaction(work)

    async def look(box: Box) -> object:
        tables = box.ctx.storage.sql.exec("SELECT name FROM sqlite_schema").all()
        return [box.count, await box.ctx.storage.list(), len(tables)]

    scripts.update(change=change, look=look)
    async with runtime(Box) as rt:
        ref = rt.get(Box, "b")
        changing = asyncio.create_task(outcome(ref.do("change")))
        await asyncio.sleep(1)
        expected = [0, {}, 0] if fails else [1, {"k": 1}, 1]
        assert expected == await ref.beside("look")
        assert (await changing is None) is not fails
        assert expected == await ref.beside("look")


@virtual
@pytest.mark.parametrize("fails", [False, True])
async def test_turn_that_ends_during_anothers_transaction_does_not_commit_half_of_it(
    fails: bool,
) -> None:
    async def first(box: Box) -> str:
        box.items.append(1)
        await asyncio.sleep(2)
        box.items.append(2)
        return "first"

    async def second(box: Box) -> None:
        async def work() -> None:
            box.count = 1
            await box.ctx.storage.put("k", 1)
            await asyncio.sleep(5)
            box.count = 2
            if fails:
                raise ValueError

        await box.ctx.storage.transaction(work)

    scripts.update(first=first, second=second)
    store = FlakyStore()
    async with runtime(Box, store=store) as rt:
        ref = rt.get(Box, "b")
        one = asyncio.create_task(outcome(ref.do("first")))
        await asyncio.sleep(1)
        two = asyncio.create_task(outcome(ref.beside("second")))
        await settle()
        before = len(store.batches)
        await asyncio.sleep(3)
        assert not one.done()
        assert before == len(store.batches)
        assert await one == "first"
        assert (await two is None) is not fails
        assert await ref.state() == (0 if fails else 2, [1, 2])
        assert await ref.all() == ({} if fails else {"k": 1})


@virtual
async def test_call_of_another_turn_waits_until_a_transaction_is_over() -> None:
    async def first(box: Box) -> object:
        await asyncio.sleep(2)
        return await box.ctx.get(Box, "other").state()

    async def second(box: Box) -> None:
        async def work() -> None:
            await asyncio.sleep(5)

        await box.ctx.storage.transaction(work)

    scripts.update(first=first, second=second)
    async with runtime(Box) as rt:
        ref = rt.get(Box, "b")
        one = asyncio.create_task(ref.do("first"))
        await asyncio.sleep(1)
        await ref.beside("second")
        assert await one == (0, [])


@virtual
async def test_block_concurrency_while_holds_even_what_interleaves() -> None:
    async def block(box: Box) -> str:
        async def work() -> str:
            await asyncio.sleep(5)
            box.count = 1
            return "done"

        return await box.ctx.block_concurrency_while(work)

    async def look(box: Box) -> int:
        return box.count

    scripts.update(block=block, look=look)
    async with runtime(Box) as rt:
        ref = rt.get(Box, "b")
        blocking = asyncio.create_task(ref.do("block"))
        await asyncio.sleep(1)
        assert await ref.beside("look") == 1
        assert await blocking == "done"


# --- background work -------------------------------------------------------------------------


@virtual
async def test_background_work_goes_on_after_the_answer_and_what_it_writes_is_durable() -> None:
    async def start(box: Box) -> str:
        box.ctx.wait_until(later(box))
        return "answered"

    async def later(box: Box) -> None:
        await asyncio.sleep(60)
        box.count += 1
        await box.ctx.storage.put("k", await box.ctx.get(Box, "other").do("other"))

    async def other(box: Box) -> str:
        box.count += 1
        return "from other"

    scripts.update(start=start, other=other)
    disk = MemoryDisk()
    async with runtime(Box, store=MemoryStore(disk), idle_seconds=1) as rt:
        ref = rt.get(Box, "b")
        assert await ref.do("start") == "answered"
        await asyncio.sleep(30)
        assert await ref.state() == (0, [])
        await asyncio.sleep(40)
        assert len(rt.host.activator.catalog) == 0
    async with runtime(Box, store=MemoryStore(disk)) as rt:
        assert await rt.get(Box, "b").state() == (1, [])
        assert await rt.get(Box, "b").all() == {"k": "from other"}


@virtual
@pytest.mark.parametrize("kind", ["raises", "exits", "invalid", "batch fails"])
async def test_background_work_that_fails_is_logged_and_undone(kind: str) -> None:
    async def start(box: Box) -> None:
        box.ctx.wait_until(later(box))

    async def later(box: Box) -> None:
        await asyncio.sleep(1)
        if kind == "invalid":
            box.count = "text"  # type: ignore[assignment]
            return
        box.count = 5
        if kind == "raises":
            raise ValueError("in the background")
        if kind == "exits":
            sys.exit("in the background")

    scripts["start"] = start
    store = FlakyStore()
    async with runtime(Box, store=store) as rt:
        ref = rt.get(Box, "b")
        if kind == "batch fails":
            store.failures = [UnknownOutcome("lost")]
        with structlog.testing.capture_logs() as logs:
            await ref.do("start")
            await asyncio.sleep(2)
        assert [entry["event"] for entry in logs] == ["background work failed"]
        assert await ref.state() == (0, [])


@virtual
async def test_background_work_started_and_thrown_away_at_once_leaves_nothing() -> None:
    async def start(box: Box) -> None:
        box.ctx.wait_until(asyncio.sleep(3600))
        box.ctx.abort()

    await play(start)


@virtual
async def test_background_work_over_its_limit_is_refused_until_some_has_ended() -> None:
    async def start(box: Box) -> None:
        box.ctx.wait_until(asyncio.sleep(10))

    scripts["start"] = start
    async with runtime(Box, background=2) as rt:
        ref = rt.get(Box, "b")
        for _ in range(2):
            await ref.do("start")
        with pytest.raises(Overloaded, match=r"has 2 tasks in the background \(limits.background"):
            await ref.do("start")
        await rt.get(Box, "other").do("start")
        await asyncio.sleep(11)
        await ref.do("start")


@virtual
async def test_background_work_cannot_begin_on_the_way_to_sleep() -> None:
    class Sleepy(DurableObject):
        async def hello(self) -> None:
            pass

        async def on_deactivate(self) -> None:
            errors.append(await outcome(self.start()))

        async def start(self) -> None:
            self.ctx.wait_until(asyncio.sleep(1))

    errors: list[object] = []
    async with runtime(Sleepy) as rt:
        await rt.get(Sleepy, "s").hello()
        await rt.stop(rt.get(Sleepy, "s"))
        assert [type(error) for error in errors] == [CallError]


@virtual
async def test_background_work_does_not_hold_the_actor() -> None:
    """It may even ask its own actor."""

    async def start(box: Box) -> None:
        box.ctx.wait_until(later(box))

    async def later(box: Box) -> None:
        seen.append(await box.ctx.get(Box, "b").state())

    seen: list[object] = []
    scripts["start"] = start
    async with runtime(Box) as rt:
        await rt.get(Box, "b").do("start")
        await settle()
        assert seen == [(0, [])]


@virtual
async def test_state_that_is_invalid_at_the_end_of_a_turn_is_an_error_and_undone() -> None:
    async def script(box: Box) -> None:
        box.items.append("text")  # type: ignore[arg-type]

    scripts["it"] = script
    async with runtime(Box) as rt:
        ref = rt.get(Box, "b")
        with pytest.raises(StateInvalid, match=r"Box\.items.*expected int, got str"):
            await ref.do("it")
        assert await ref.state() == (0, [])


@virtual
async def test_id_is_a_pair() -> None:
    assert ActorId("Box", "b") == ("Box", "b")


class Shared(DurableObject):
    """Turns and background work that change the same state."""

    a: int = 0
    b: int = 0

    async def both(self) -> list[int]:
        return [self.a, self.b]

    async def begin(self) -> None:
        self.ctx.wait_until(self._work())

    async def fail(self) -> None:
        self.b += 10
        raise ValueError("no")

    async def fail_late(self) -> None:
        await asyncio.sleep(0)
        self.b += 10
        raise ValueError("no")

    async def _work(self) -> None:
        self.a += 1
        await asyncio.sleep(0.01)
        self.b += 1


@pytest.mark.parametrize("method", ["fail", "fail_late"])
async def test_failing_turn_does_not_undo_what_background_work_has_done(method: str) -> None:
    async with Runtime(MemoryStore(), [Shared]) as rt:
        shared = rt.get(Shared, "s")
        await shared.begin()
        await asyncio.sleep(0)
        with pytest.raises(ValueError, match="no"):
            await getattr(shared, method)()
        while any(a.turns or a.background for a in rt.host.activator.catalog):
            await rt.host.activator.change()

        assert await shared.both() == [1, 1]
