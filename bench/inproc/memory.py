"""Bytes per counter, awake and asleep, by resident set size (`rss`) or by `tracemalloc`."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import tempfile
import tracemalloc
from pathlib import Path

import uvloop

from bench import child
from bench.inproc.counters import Counter
from wakeful import Runtime

CALLERS = 1_000


def used_bytes(means: str) -> int:
    """What the process uses now, after a collection."""
    gc.collect()
    if means == "tracemalloc":
        return tracemalloc.get_traced_memory()[0]
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def wake(runtime: Runtime, numbers: range) -> None:
    """Create counters by an increment each; nothing here keeps a reference to one."""
    todo = iter(numbers)

    async def caller() -> None:
        for number in todo:
            await runtime.get(Counter, f"counter-{number}").increment()

    await asyncio.gather(*(caller() for _ in range(min(CALLERS, len(numbers)))))


async def asleep(means: str, directory: str, numbers: range) -> int:
    """What a runtime uses on a directory that has these counters too, none of them awake."""
    async with Runtime(directory, actors=[Counter]) as runtime:
        await wake(runtime, numbers)
    del runtime
    async with Runtime(directory, actors=[Counter]) as runtime:
        await runtime.get(Counter, "counter-0").get()
        return used_bytes(means)


async def main(means: str, parent: str, count: int) -> None:
    """Count counters awake; then what as many more stored ones cost while they sleep."""
    with tempfile.TemporaryDirectory(dir=parent) as directory:
        async with Runtime(directory, actors=[Counter]) as runtime:
            await wake(runtime, range(CALLERS))
            before = used_bytes(means)
            await wake(runtime, range(CALLERS, count))
            active = (used_bytes(means) - before) / (count - CALLERS)
        del runtime
        few = await asleep(means, directory, range(count, 2 * count))
        many = await asleep(means, directory, range(2 * count, 4 * count))
    child.report(active_bytes=active, sleeping_bytes=max(0.0, (many - few) / (2 * count)))


if __name__ == "__main__":
    if sys.argv[1] == "tracemalloc":
        tracemalloc.start()
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
