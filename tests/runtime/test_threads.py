"""A runtime is used in its own thread, on its own loop; others go by call_from_thread."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from wakeful import (
    Actor,
    ConfigError,
    DurableObject,
    Runtime,
    ShuttingDown,
    WrongThread,
    interleave,
)
from wakeful.store.memory import MemoryStore


class Counter(DurableObject):
    count: int = 0

    async def add(self, by: int = 1) -> int:
        self.count += by
        return self.count

    async def add_slowly(self) -> int:
        await asyncio.sleep(0)
        self.count += 1
        return self.count

    @interleave
    async def seen(self) -> int:
        return self.count

    async def fail(self) -> None:
        raise KeyError("x")

    async def who(self) -> str:
        caller = self.ctx.caller
        assert caller is not None
        return f"{caller.established} {caller.actor}"


class Plain(Actor):
    ran: int = 0

    async def run(self) -> int:
        self.ran += 1
        return self.ran


class Offloading(DurableObject):
    _runtime: Runtime | None = None

    async def ask(self) -> str:
        def in_a_thread() -> str:
            assert self._runtime is not None
            return self._runtime.call_from_thread(self._runtime.get(Counter, "c").who)

        return await asyncio.to_thread(in_a_thread)

    async def use(self) -> None:
        self._runtime = RUNNING[0]


RUNNING: list[Runtime] = []


def runtime() -> Runtime:
    return Runtime(MemoryStore(), [Counter, Plain, Offloading])


async def in_thread(do: Callable[[], Any]) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, do)


def caught(make: Callable[[], Coroutine[Any, Any, Any]]) -> BaseException | None:
    """What a call raises on a loop of its own, in the thread that this is called in."""
    try:
        asyncio.run(make())
    except BaseException as error:
        return error
    return None


@pytest.mark.parametrize("method", ["add", "add_slowly", "seen"])
@pytest.mark.parametrize("used", [False, True])
async def test_a_call_from_another_thread_is_refused_before_anything_runs(
    method: str, used: bool
) -> None:
    async with runtime() as rt:
        ref = rt.get(Counter, "c")
        if used:  # a ref that knows its actor awake
            await ref.seen()
        error = await in_thread(lambda: caught(getattr(ref, method)))
        assert isinstance(error, WrongThread)
        assert "use rt.call_from_thread(ref.method, ...)" in str(error)
        assert len(rt.host.activator.catalog) == used
        assert await ref.seen() == 0


async def test_a_context_that_came_along_does_not_help() -> None:
    """asyncio.to_thread copies the context variables of its caller."""
    async with runtime() as rt:
        ref = rt.spawn(Plain)
        assert await ref.run() == 1
        error = await asyncio.to_thread(lambda: caught(ref.run))
        assert isinstance(error, WrongThread)
        assert await ref.run() == 2


def test_a_call_on_another_loop_of_the_thread_is_refused() -> None:
    with asyncio.Runner() as own, asyncio.Runner() as other:
        rt = runtime()
        own.run(rt.__aenter__())
        ref = rt.get(Counter, "c")
        for call in (ref.add, ref.add_slowly):
            with pytest.raises(WrongThread, match="not the one that the runtime was started on"):
                other.run(call())
        own.run(ref.seen())
        with pytest.raises(WrongThread):
            other.run(ref.add_slowly())
        if sys.version_info >= (3, 12):
            with pytest.raises(WrongThread):
                other.run(ref.add())
        assert own.run(ref.seen()) == 0
        own.run(rt.__aexit__(None, None, None))


async def test_another_thread_calls_through_the_runtime() -> None:
    async with runtime() as rt:
        ref = rt.get(Counter, "c")

        def work() -> list[object]:
            found: list[object] = [rt.call_from_thread(ref.add), rt.call_from_thread(ref.add, by=2)]
            found.append(rt.call_from_thread(rt.get(Counter, "other").add_slowly))
            with pytest.raises(KeyError, match="x"):
                rt.call_from_thread(ref.fail)
            return found

        assert await in_thread(work) == [1, 3, 1]
        assert await in_thread(lambda: rt.call_from_thread(_name_of_the_thread)) == (
            threading.current_thread().name
        )


async def _name_of_the_thread() -> str:
    return threading.current_thread().name


async def test_what_else_changes_actors_is_refused_elsewhere_too() -> None:
    async with runtime() as rt:
        ref = rt.spawn(Plain)

        async def spawn() -> None:
            rt.spawn(Plain)

        for call in (spawn, lambda: rt.stop(ref), lambda: rt.delete(Counter, "c")):
            assert isinstance(await in_thread(lambda call=call: caught(call)), WrongThread)
        assert await ref.run() == 1


async def test_the_runtimes_own_thread_cannot_wait_for_itself() -> None:
    async with runtime() as rt:
        with pytest.raises(WrongThread, match="await the call"):
            rt.call_from_thread(rt.get(Counter, "c").add)


async def test_a_thread_that_an_actor_uses_calls_for_the_actor() -> None:
    async with runtime() as rt:
        RUNNING[:] = [rt]
        ref = rt.get(Offloading, "o")
        await ref.use()
        assert await ref.ask() == "program Offloading/o"
        RUNNING.clear()


async def test_a_runtime_that_is_closed_says_so() -> None:
    async with runtime() as rt:
        ref = rt.get(Counter, "c")
    with pytest.raises(ConfigError, match="not running"):
        await in_thread(lambda: rt.call_from_thread(ref.add))


def test_a_loop_that_ends_meanwhile_is_no_answer() -> None:
    """The program leaves without closing its runtime, while a thread waits for a call."""
    waits, told = threading.Event(), []

    async def hang() -> None:
        waits.set()
        await asyncio.Event().wait()

    def work(rt: Runtime) -> None:
        try:
            rt.call_from_thread(hang)
        except ShuttingDown as error:
            told.append(str(error))

    with asyncio.Runner() as own:
        rt = runtime()
        own.run(rt.__aenter__())
        thread = threading.Thread(target=work, args=(rt,))
        thread.start()

        async def until_it_waits() -> None:
            await asyncio.get_running_loop().run_in_executor(None, waits.wait)

        own.run(until_it_waits())
    thread.join()
    assert told == ["the call was cancelled with its event loop"]
    with pytest.raises(ShuttingDown, match="has ended"):
        _elsewhere(lambda: rt.call_from_thread(hang))


def _elsewhere(do: Callable[[], object]) -> None:
    """Call a function in a thread; raises what it raises."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            do()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
