"""One timer for all that wait, and none when nobody does."""

from __future__ import annotations

import asyncio

import pytest
from tests.http.test_guard import HERE, Head
from tests.runtime.world import virtual

from wakeful.errors import DeadlineExceeded, DeadlineInQueue
from wakeful.http.deadline import Deadlines
from wakeful.http.guard import Guard
from wakeful.http.settings import HttpSettings


def late(seconds: float) -> DeadlineExceeded:
    return DeadlineExceeded(f"after {seconds}")


@virtual
async def test_what_does_not_wait_is_not_noted() -> None:
    deadlines = Deadlines(asyncio.get_running_loop(), 10)

    async def work() -> int:
        return 7

    assert await deadlines.watch(work(), late) == 7
    assert deadlines._timer is None


@virtual
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


@virtual
async def test_late_work_is_thrown_the_error_and_what_it_waited_for_is_cancelled() -> None:
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(loop, 0.05)
    future: asyncio.Future[int] = loop.create_future()
    seen: list[BaseException] = []

    async def work() -> int:
        try:
            return await future
        except BaseException as error:
            seen.append(error)
            raise

    with pytest.raises(DeadlineExceeded, match=r"after 0\.05") as caught:
        await deadlines.watch(work(), late)
    assert seen == [caught.value]
    assert future.cancelled()
    assert (len(deadlines), deadlines._timer) == (0, None)


@pytest.mark.parametrize("then", ["say more", "go on", "return"])
def test_late_work_may_say_more_and_do_no_more(then: str) -> None:
    ended: list[bool] = []

    @virtual
    async def run() -> None:
        deadlines = Deadlines(asyncio.get_running_loop(), 1)

        async def work() -> None:
            try:
                await _for_ever()
            except DeadlineExceeded:
                if then == "say more":
                    raise DeadlineInQueue("it has not run") from None
                if then == "go on":
                    await _for_ever()
            finally:
                ended.append(True)

        expected = DeadlineInQueue if then == "say more" else DeadlineExceeded
        with pytest.raises(DeadlineExceeded) as caught:
            await deadlines.watch(work(), late)
        assert type(caught.value) is expected

    run()
    assert ended == [True]


@virtual
async def test_each_is_late_in_its_own_time() -> None:
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(loop, 10)
    began = loop.time()
    order: list[tuple[str, float]] = []

    async def wait(name: str) -> None:
        with pytest.raises(DeadlineExceeded):
            await deadlines.watch(_for_ever(), late)
        order.append((name, loop.time() - began))

    first = loop.create_task(wait("first"))
    await asyncio.sleep(4)
    second = loop.create_task(wait("second"))
    await asyncio.gather(first, second)
    assert order == [("first", pytest.approx(10)), ("second", pytest.approx(14))]
    assert deadlines._timer is None


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()


@virtual
async def test_the_header_of_what_waits_says_until_when() -> None:
    loop = asyncio.get_running_loop()
    deadlines = Deadlines(loop, 10)
    header = Guard(HttpSettings(), loopback=True, due=deadlines.due).admit(Head(host=HERE))
    began = loop.time()
    with pytest.raises(DeadlineExceeded):
        await deadlines.watch(_for_ever(), late, header)
    assert header.deadline == pytest.approx(began + 10)


@virtual
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
