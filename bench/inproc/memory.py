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


async def wake(runtime: Runtime, count: int) -> None:
    """Create counters by an increment each; nothing here keeps a reference to one."""
    todo = iter(range(count))

    async def caller() -> None:
        for number in todo:
            await runtime.get(Counter, f"counter-{number}").increment()

    await asyncio.gather(*(caller() for _ in range(min(CALLERS, count))))


async def main(means: str, parent: str, count: int) -> None:
    """Count counters awake, then, on the same directory opened anew, the same ones asleep."""
    with tempfile.TemporaryDirectory(dir=parent) as directory:
        async with Runtime(directory, actors=[Counter]) as runtime:
            await wake(runtime, CALLERS)
            before = used_bytes(means)
            await wake(runtime, count)
            active = (used_bytes(means) - before) / (count - CALLERS)
        async with Runtime(directory, actors=[Counter]) as runtime:
            await runtime.get(Counter, "counter-0").get()
            asleep = used_bytes(means)
        empty = Path(directory) / "empty"
        async with Runtime(str(empty), actors=[Counter]) as runtime:
            await runtime.get(Counter, "counter-0").get()
            sleeping = (asleep - used_bytes(means)) / count
    child.report(active_bytes=active, sleeping_bytes=max(0.0, sleeping))


if __name__ == "__main__":
    if sys.argv[1] == "tracemalloc":
        tracemalloc.start()
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
