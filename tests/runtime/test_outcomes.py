"""What a caller is told of a turn that did something that stands, and then failed."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest
from tests.runtime.world import FlakyStore, outcome, runtime, settle, virtual

from wakeful import (
    CallCycle,
    CallError,
    DurableObject,
    Overloaded,
    PartialOutcome,
    Retry,
    Runtime,
    interleave,
    readonly,
)
from wakeful.errors import RuntimeOverloaded, StorageFull
from wakeful.ports import CommitRecord, Done


class NotToday(CallError):
    """An error of the actor's own."""

    code = "not_today"
    http = 409


class Other(DurableObject):
    """Can be made to refuse: its mailbox holds one call."""

    seen: int = 0
    _gate: asyncio.Event | None = None

    async def wait(self) -> None:
        self._gate = asyncio.Event()
        await self._gate.wait()

    @interleave
    async def open(self) -> None:
        assert self._gate is not None
        self._gate.set()

    async def hit(self, by: int = 1) -> int:
        self.seen += by
        return self.seen

    async def fail(self) -> None:
        raise NotToday("closed")

    @readonly
    async def look(self) -> int:
        return self.seen


class Asker(DurableObject):
    written: int = 0

    async def write_and_ask(self, name: str) -> int:
        self.written += 1
        return await self.ctx.get(Other, name).hit()

    async def ask(self, name: str) -> int:
        return await self.ctx.get(Other, name).hit()

    async def ask_two(self, first: str, second: str) -> int:
        await self.ctx.get(Other, first).hit()
        return await self.ctx.get(Other, second).hit()

    async def look_and_ask(self, first: str, second: str) -> int:
        await self.ctx.get(Other, first).look()
        return await self.ctx.get(Other, second).hit()

    async def ask_itself(self, write: bool) -> None:
        self.written += write
        await self.ctx.get(Asker, self.ctx.id.name).count()

    async def ask_who_fails(self) -> None:
        self.written += 1
        await self.ctx.get(Other, "o").fail()

    async def sync_and_refuse(self) -> None:
        self.written += 1
        await self.ctx.storage.sync()
        raise Overloaded("enough")

    async def write_twice(self) -> int:
        self.written += 1
        await self.ctx.get(Other, "o").hit()
        self.written += 1
        return self.written

    async def handle(self, name: str) -> str:
        self.written += 1
        try:
            await self.ctx.get(Other, name).hit()
        except Overloaded:
            return "handled"
        return "answered"

    async def hold(self) -> None:
        await asyncio.sleep(1)

    @readonly
    async def count(self) -> int:
        return self.written


async def full(rt: Runtime, name: str) -> list[asyncio.Task[Any]]:
    """Make an Other refuse: one call runs, one waits."""
    other = rt.get(Other, name)
    calls: list[Coroutine[Any, Any, Any]] = [other.wait(), other.hit()]
    tasks = [asyncio.create_task(call) for call in calls]
    await settle()
    return tasks


async def emptied(rt: Runtime, name: str, tasks: list[asyncio.Task[Any]]) -> None:
    await rt.get(Other, name).open()
    await asyncio.gather(*tasks)


@virtual
@pytest.mark.parametrize("queued", [False, True])
@pytest.mark.parametrize(
    ("method", "args", "kind", "written"),
    [
        ("write_and_ask", ["full"], PartialOutcome, 1),
        ("ask", ["full"], Overloaded, 0),
        ("ask_two", ["free", "full"], PartialOutcome, 0),
        ("ask_two", ["full", "free"], Overloaded, 0),
        ("look_and_ask", ["free", "full"], Overloaded, 0),
        ("ask_itself", [True], PartialOutcome, 1),
        ("ask_itself", [False], CallCycle, 0),
        ("ask_who_fails", [], NotToday, 1),
        ("sync_and_refuse", [], PartialOutcome, 1),
    ],
)
async def test_a_refusal_passes_only_while_nothing_of_the_turn_stands(
    method: str, args: list[Any], kind: type[Exception], written: int, queued: bool
) -> None:
    async with runtime(Asker, Other, mailbox=1) as rt:
        waiting = await full(rt, "full")
        asker = rt.get(Asker, "a")
        holding = asyncio.create_task(asker.hold() if queued else asyncio.sleep(0))
        await settle()
        error = await outcome(getattr(asker, method)(*args))
        assert type(error) is kind
        if isinstance(error, PartialOutcome):
            assert error.retry is Retry.ONLY_IF_IDEMPOTENT
            assert isinstance(error.__cause__, CallError)
            assert f"Asker/a.{method}" in str(error)
        assert await asker.count() == written
        await emptied(rt, "full", waiting)
        await holding


@virtual
async def test_a_refusal_that_is_handled_is_none() -> None:
    async with runtime(Asker, Other, mailbox=1) as rt:
        waiting = await full(rt, "full")
        assert await rt.get(Asker, "a").handle("full") == "handled"
        await emptied(rt, "full", waiting)


@virtual
@pytest.mark.parametrize("queued", [False, True])
async def test_a_last_commit_that_fails_does_not_say_that_nothing_happened(queued: bool) -> None:
    """The first write stands; a full disk refused the second."""

    class ThirdFails(FlakyStore):
        def commit(self, lane: int, records: Sequence[CommitRecord], done: Done) -> None:
            if len(self.batches) == 2:
                self.failures.append(StorageFull("the disk is full"))
            super().commit(lane, records, done)

    async with runtime(Asker, Other, store=ThirdFails()) as rt:
        asker = rt.get(Asker, "a")
        holding = asyncio.create_task(asker.hold() if queued else asyncio.sleep(0))
        await settle()
        error = await outcome(asker.write_twice())
        assert type(error) is PartialOutcome
        assert isinstance(error.__cause__, StorageFull)
        assert await asker.count() == 1
        await holding


@virtual
async def test_a_first_commit_that_fails_says_that_nothing_happened() -> None:
    store = FlakyStore()
    async with runtime(Asker, Other, store=store) as rt:
        asker = rt.get(Asker, "a")
        await asker.count()
        store.failures.append(StorageFull("the disk is full"))
        assert type(await outcome(asker.write_and_ask("o"))) is StorageFull
        assert await asker.count() == 0


@virtual
async def test_a_turn_that_was_committed_with_another_has_something_that_stands() -> None:
    class Shared(DurableObject):
        written: int = 0
        noted: int = 0
        _gate: asyncio.Event | None = None

        async def refuse_later(self) -> None:
            self.written += 1
            self._gate = asyncio.Event()
            await self._gate.wait()
            raise RuntimeOverloaded("too late")

        @interleave
        async def open(self) -> int:
            assert self._gate is not None
            self._gate.set()
            return self.written

    async with runtime(Shared) as rt:
        ref = rt.get(Shared, "s")
        refusing = asyncio.create_task(outcome(ref.refuse_later()))
        await settle()
        assert await ref.open() == 1
        assert type(await refusing) is PartialOutcome
