"""Loops that count: calls awaited one after another, and calls from many callers at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

BATCH = 200


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop, every subject alike, wherever it is installed."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


async def sequential_per_second(call: Callable[[], Awaitable[object]], seconds: float) -> float:
    """Await one call after another for a while, after a warm-up of a fifth of it."""
    await _repeat(call, seconds / 5)
    calls, elapsed = await _repeat(call, seconds)
    return calls / elapsed


async def _repeat(call: Callable[[], Awaitable[object]], seconds: float) -> tuple[int, float]:
    started = time.perf_counter()
    calls = 0
    while (elapsed := time.perf_counter() - started) < seconds:
        for _ in range(BATCH):
            await call()
        calls += BATCH
    return calls, elapsed


async def latencies_us(call: Callable[[], Awaitable[object]], seconds: float) -> list[float]:
    """The microseconds of each call, awaited one after another for a while, after a warm-up."""
    for _ in range(20):
        await call()
    seen: list[float] = []
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        await call()
        seen.append((time.perf_counter() - started) * 1e6)
    return seen


async def concurrent_per_second(
    calls: Sequence[Callable[[], Awaitable[object]]], seconds: float
) -> float:
    """Callers that each repeat their own call, all at once, for a while; after a warm-up."""
    await _callers(calls, seconds / 5)
    done, elapsed = await _callers(calls, seconds)
    return done / elapsed


async def _callers(
    calls: Sequence[Callable[[], Awaitable[object]]], seconds: float
) -> tuple[int, float]:
    started = time.perf_counter()
    end = started + seconds

    async def caller(call: Callable[[], Awaitable[object]]) -> int:
        count = 0
        while time.perf_counter() < end:
            await call()
            count += 1
        return count

    counts = await asyncio.gather(*(caller(call) for call in calls))
    return sum(counts), time.perf_counter() - started
