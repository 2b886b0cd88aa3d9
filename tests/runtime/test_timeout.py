"""Refs with a timeout, and callers that are cancelled: what then becomes of the call."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.runtime.world import FlakyStore, outcome, runtime, settle, virtual

from wakeful import (
    DeadlineExceeded,
    DeadlineInQueue,
    DurableObject,
    InvalidArguments,
    PartialOutcome,
    Retry,
    interleave,
)


class Slow(DurableObject):
    count: int = 0

    async def add(self) -> int:
        self.count += 1
        return self.count

    async def add_after(self, seconds: float) -> int:
        await asyncio.sleep(seconds)
        self.count += 1
        return self.count

    async def ask(self, name: str, timeout: float, write: bool = False) -> str:
        self.count += write
        try:
            await self.ctx.get(Slow, name, timeout=timeout).add_after(5)
        except DeadlineExceeded as error:
            return type(error).__name__
        return "answered"

    async def pass_on(self, name: str, write: bool) -> None:
        self.count += write
        await self.ctx.get(Slow, name, timeout=1).add()

    @interleave
    async def seen(self) -> int:
        return self.count


@virtual
async def test_an_answer_in_time_is_the_answer_and_leaves_no_timer() -> None:
    async with runtime(Slow) as rt:
        ref = rt.get(Slow, "s", timeout=2)
        assert await ref.add() == 1
        assert await ref.add_after(1) == 2
        loop = asyncio.get_running_loop()
        due = [handle for handle in loop._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
        assert not [handle for handle in due if "Wait.expire" in repr(handle)]


@virtual
async def test_a_turn_that_takes_longer_goes_on_and_its_outcome_is_unknown() -> None:
    async with runtime(Slow) as rt:
        loop = asyncio.get_running_loop()
        began = loop.time()
        error = await outcome(rt.get(Slow, "s", timeout=2).add_after(5))
        assert type(error) is DeadlineExceeded
        assert error.retry is Retry.ONLY_IF_IDEMPOTENT
        assert str(error).startswith("Slow/s.add_after gave no answer within 2 s (timeout)")
        assert loop.time() - began == pytest.approx(2)
        await asyncio.sleep(4)
        assert await rt.get(Slow, "s").seen() == 1


@virtual
async def test_a_call_still_queued_never_runs_and_is_safe_to_repeat() -> None:
    async with runtime(Slow) as rt:
        busy = asyncio.create_task(rt.get(Slow, "s").add_after(5))
        await settle()
        error = await outcome(rt.get(Slow, "s", timeout=2).add())
        assert type(error) is DeadlineInQueue
        assert error.retry is Retry.SAFE
        assert "Slow/s.add did not begin within 2 s (timeout)" in str(error)
        assert await busy == 1
        assert await rt.get(Slow, "s").seen() == 1


@virtual
async def test_a_commit_that_takes_longer_is_an_unknown_outcome() -> None:
    store = FlakyStore()
    async with runtime(Slow, store=store) as rt:
        await rt.get(Slow, "s").seen()
        store.held = asyncio.Event()
        error = await outcome(rt.get(Slow, "s", timeout=2).add())
        assert type(error) is DeadlineExceeded
        store.held.set()
        assert await rt.get(Slow, "s").seen() == 1


@virtual
async def test_an_actor_may_bound_what_it_asks_of_others() -> None:
    async with runtime(Slow) as rt:
        a = rt.get(Slow, "a")
        assert await a.ask("b", 1) == "DeadlineExceeded"
        assert await a.ask("b", 1) == "DeadlineInQueue", "the first call is still running"
        await asyncio.sleep(10)
        assert await a.ask("b", 10) == "answered"


@virtual
@pytest.mark.parametrize(("write", "kind"), [(False, DeadlineInQueue), (True, PartialOutcome)])
async def test_a_timeout_in_a_queue_is_passed_on_only_while_nothing_stands(
    write: bool, kind: type[Exception]
) -> None:
    async with runtime(Slow) as rt:
        busy = asyncio.create_task(rt.get(Slow, "b").add_after(5))
        await settle()
        assert type(await outcome(rt.get(Slow, "a").pass_on("b", write))) is kind
        await busy


@virtual
async def test_a_ref_with_a_timeout_is_a_ref_like_any_other() -> None:
    async with runtime(Slow) as rt:
        plain, timed = rt.get(Slow, "s"), rt.get(Slow, "s", timeout=1)
        assert (plain == timed, hash(plain) == hash(timed), repr(timed)) == (
            True,
            True,
            "<ref to Slow/s>",
        )
        assert timed.add.__name__ == "add"
        with pytest.raises(AttributeError, match="Slow has no method 'nothing'"):
            timed.nothing  # type: ignore[attr-defined]  # noqa: B018
        with pytest.raises(AttributeError, match="cannot be written through a ref"):
            timed.count = 1


@virtual
@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "2", True])
async def test_a_timeout_that_makes_no_sense_is_refused(timeout: Any) -> None:
    async with runtime(Slow) as rt:
        with pytest.raises(InvalidArguments, match="seconds above 0") as caught:
            rt.get(Slow, "s", timeout=timeout)
        assert caught.value.field == "timeout"


@virtual
async def test_a_caller_that_is_cancelled_frees_itself_and_its_turn_goes_on() -> None:
    async with runtime(Slow) as rt:
        ref = rt.get(Slow, "s")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await ref.add_after(5)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await ref.add()  # queued behind the first: it never runs
        await asyncio.sleep(5)
        assert await ref.seen() == 1


@virtual
async def test_a_caller_cancelled_while_its_write_is_on_the_way_to_disk_undoes_nothing() -> None:
    store = FlakyStore()
    async with runtime(Slow, store=store) as rt:
        ref = rt.get(Slow, "s")
        await ref.seen()
        store.held = asyncio.Event()
        adding = asyncio.create_task(ref.add())
        await settle()
        adding.cancel()
        await asyncio.gather(adding, return_exceptions=True)
        assert adding.cancelled()
        store.held.set()
        assert await ref.seen() == 1
