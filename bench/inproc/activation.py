"""Stores counters (`store`), or wakes them in a fresh process (`wake`), timing first replies."""

from __future__ import annotations

import asyncio
import sys
import time

import uvloop

from bench import child
from bench.inproc.counters import Counter
from bench.model import percentile
from wakeful import Runtime

CALLERS = 100


def name_of(number: int) -> str:
    return f"counter-{number}"


async def store(directory: str, count: int) -> None:
    """Store `2 * count` counters: half to be woken one by one, half from many callers."""
    async with Runtime(directory, actors=[Counter]) as runtime:
        for first in range(0, 2 * count, 1_000):
            last = min(first + 1_000, 2 * count)
            await asyncio.gather(
                *(runtime.get(Counter, name_of(n)).increment() for n in range(first, last))
            )
    child.report(stored=2 * count)


async def wake(directory: str, count: int) -> None:
    async with Runtime(directory, actors=[Counter]) as runtime:
        await runtime.get(Counter, "never-stored").get()
        seen = [await _first_reply_us(runtime, number) for number in range(count)]
        started = time.perf_counter()
        numbers = iter(range(count, 2 * count))

        async def caller() -> None:
            for number in numbers:
                await _first_reply_us(runtime, number)

        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        per_second = count / (time.perf_counter() - started)
    child.report(p50_us=percentile(seen, 50), p99_us=percentile(seen, 99), per_second=per_second)


async def _first_reply_us(runtime: Runtime, number: int) -> float:
    started = time.perf_counter()
    count = await runtime.get(Counter, name_of(number)).get()
    elapsed = (time.perf_counter() - started) * 1e6
    if count != 1:
        raise AssertionError(f"{name_of(number)} answered {count}, stored was 1")
    return elapsed


if __name__ == "__main__":
    action = {"store": store, "wake": wake}[sys.argv[1]]
    uvloop.run(action(sys.argv[2], int(sys.argv[3])))
