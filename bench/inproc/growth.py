"""Stores counters (`store`), or asks 1,000 of those stored from 1,000 callers (`ask`)."""

from __future__ import annotations

import asyncio
import sys

import uvloop

from bench import child
from bench.inproc.counters import Counter
from bench.inproc.loops import concurrent_per_second
from wakeful import Runtime

CALLERS = 1_000
PER_RUNTIME = 50_000  # a runtime is opened anew after so many, which bounds the memory


def name_of(number: int) -> str:
    return f"counter-{number}"


async def store(directory: str, count: int) -> None:
    for first in range(0, count, PER_RUNTIME):
        await _store_some(directory, range(first, min(first + PER_RUNTIME, count)))
    child.report(stored=count)


async def _store_some(directory: str, numbers: range) -> None:
    async with Runtime(directory, actors=[Counter]) as runtime:
        todo = iter(numbers)

        async def caller() -> None:
            for number in todo:
                await runtime.get(Counter, name_of(number)).increment()

        await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def ask(directory: str, count: int, seconds: float) -> None:
    async with Runtime(directory, actors=[Counter]) as runtime:
        step = max(1, count // CALLERS)
        refs = [runtime.get(Counter, name_of(number * step)) for number in range(CALLERS)]
        calls = [ref.increment for ref in refs]
        child.report(per_second=await concurrent_per_second(calls, seconds))


if __name__ == "__main__":
    if sys.argv[1] == "store":
        uvloop.run(store(sys.argv[2], int(sys.argv[3])))
    else:
        uvloop.run(ask(sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
