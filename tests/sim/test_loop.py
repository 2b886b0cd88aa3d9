"""The virtual loop: time that jumps, errors instead of hangs, processes that pause and die."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing

import pytest

from wakeful.testing.clock import VirtualClock
from wakeful.testing.loop import Deadlock, Livelock, Process, VirtualLoop


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    with closing(VirtualLoop()) as loop:
        yield loop


def test_an_hour_passes_at_once(loop: VirtualLoop) -> None:
    loop.run_until_complete(asyncio.sleep(3600))
    assert loop.time() == pytest.approx(3600)


def test_waiting_for_nothing_is_a_deadlock(loop: VirtualLoop) -> None:
    async def wait() -> None:
        await asyncio.Event().wait()

    task = loop.create_task(wait())
    with pytest.raises(Deadlock):
        loop.run_until_complete(task)
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_going_round_at_one_moment_is_a_livelock(loop: VirtualLoop) -> None:
    async def spin() -> None:
        while True:  # noqa: ASYNC110  (going round is the point)
            await asyncio.sleep(0)

    task = loop.create_task(spin())
    with pytest.raises(Livelock):
        loop.run_until_complete(task)
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_threads_are_refused(loop: VirtualLoop) -> None:
    with pytest.raises(RuntimeError, match="no threads"):
        loop.run_until_complete(asyncio.to_thread(print))


def test_callbacks_run_first_in_first_out(loop: VirtualLoop) -> None:
    seen: list[int] = []

    async def main() -> None:
        for number in range(5):
            loop.call_soon(seen.append, number)
        await asyncio.sleep(0)

    loop.run_until_complete(main())
    assert seen == [0, 1, 2, 3, 4]


async def tick(seen: list[float], count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(1)
        seen.append(asyncio.get_running_loop().time())


def test_a_paused_process_is_held_and_goes_on(loop: VirtualLoop) -> None:
    process, seen = Process("p"), []  # type: tuple[Process, list[float]]
    main = process.start(loop, tick(seen, 3))
    loop.run_until_complete(asyncio.sleep(1.5))
    process.paused = True
    loop.run_until_complete(asyncio.sleep(10))
    assert seen == [pytest.approx(1)]
    loop.resume(process)
    loop.run_until_complete(main)
    assert seen == pytest.approx([1, 11.5, 12.5])


def test_held_callbacks_keep_their_order(loop: VirtualLoop) -> None:
    process = Process("p")
    seen: list[str] = []

    async def schedule() -> None:
        loop.call_soon(seen.append, "a")
        loop.call_later(1, seen.append, "c")
        loop.call_soon(seen.append, "b")

    loop.run_until_complete(process.start(loop, schedule()))
    process.paused = True
    loop.run_until_complete(asyncio.sleep(2))
    held = list(seen)
    loop.resume(process)
    loop.run_until_complete(asyncio.sleep(0))
    assert seen == [*held, *[name for name in "abc" if name not in held]]


def test_nothing_of_a_killed_process_runs(loop: VirtualLoop) -> None:
    seen: list[float] = []
    process = Process("p")
    process.start(loop, tick(seen, 3))
    loop.run_until_complete(asyncio.sleep(1.5))
    process.kill()
    loop.run_until_complete(asyncio.sleep(10))
    process.bury()
    assert seen == [pytest.approx(1)]


def test_clocks_move_with_the_loop_and_differ_from_each_other(loop: VirtualLoop) -> None:
    clock = VirtualClock(loop, wall_skew_ns=5, uptime_ns=7)
    wall, uptime = clock.now_ns(), clock.monotonic_ns()
    loop.run_until_complete(asyncio.sleep(2))
    assert clock.now_ns() - wall == pytest.approx(2e9, abs=10)
    assert clock.monotonic_ns() - uptime == pytest.approx(2e9, abs=10)
    assert wall != uptime
