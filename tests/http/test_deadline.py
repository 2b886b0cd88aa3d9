"""One timer for all that wait, and none when nobody does."""

from __future__ import annotations

import asyncio

import pytest

from wakeful.errors import DeadlineExceeded
from wakeful.http.deadline import Deadlines


def late(seconds: float) -> DeadlineExceeded:
    return DeadlineExceeded(f"after {seconds}")


async def test_what_does_not_wait_is_not_noted() -> None:
    deadlines = Deadlines(asyncio.get_running_loop(), 10)

    async def work() -> int:
        return 7

    assert await deadlines.watch(work(), late) == 7
    assert deadlines._timer is None


async def test_what_waits_gives_its_result_its_error_and_is_forgotten() -> None:
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(loop, 10)
    future: asyncio.Future[int] = loop.create_future()

    async def work() -> int:
        await asyncio.sleep(0)
        return await future

    waiting = [loop.create_task(deadlines.watch(work(), late)) for _ in range(2)]
    await asyncio.sleep(0)
    assert len(deadlines) == 2
    loop.call_soon(future.set_exception, KeyError("x"))
    errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in errors] == [KeyError, KeyError]
    assert len(deadlines) == 0
    deadlines.close()


async def test_late_work_is_abandoned_and_what_it_waited_for_cancelled() -> None:
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(loop, 0.05)
    future: asyncio.Future[int] = loop.create_future()
    ended = []

    async def work() -> int:
        try:
            return await future
        finally:
            ended.append(True)

    with pytest.raises(DeadlineExceeded, match=r"after 0\.05"):
        await deadlines.watch(work(), late)
    assert ended == [True]
    assert future.cancelled()
    assert (len(deadlines), deadlines._timer) == (0, None)


async def test_each_is_late_in_its_own_time() -> None:
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(loop, 0.1)
    order = []

    async def wait(name: str) -> None:
        with pytest.raises(DeadlineExceeded):
            await deadlines.watch(_for_ever(), late)
        order.append((name, loop.time()))

    first = loop.create_task(wait("first"))
    await asyncio.sleep(0.05)
    second = loop.create_task(wait("second"))
    await asyncio.gather(first, second)
    assert [name for name, _ in order] == ["first", "second"]
    assert order[1][1] - order[0][1] >= 0.04
    assert deadlines._timer is None


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()


async def test_cancelling_from_outside_is_not_being_late() -> None:
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(loop, 10)
    waiting = loop.create_task(deadlines.watch(_for_ever(), late))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(deadlines) == 0
    deadlines.close()
