"""Durable increments in process: 1,000 callers on 1,000 counters, or one caller on one."""

from __future__ import annotations

import sys
import tempfile

import uvloop

from bench import child
from bench.inproc.counters import Counter
from bench.inproc.loops import concurrent_per_second, latencies_us
from bench.model import percentile
from wakeful import Runtime

CALLERS = 1_000


async def main(mode: str, seconds: float, parent: str) -> None:
    with tempfile.TemporaryDirectory(dir=parent) as directory:
        async with Runtime(directory, actors=[Counter]) as runtime:
            if mode == "many":
                refs = [runtime.get(Counter, f"counter-{n}") for n in range(CALLERS)]
                calls = [ref.increment for ref in refs]
                child.report(per_second=await concurrent_per_second(calls, seconds))
                return
            counter = runtime.get(Counter, "counter-1")
            seen = await latencies_us(counter.increment, seconds)
            child.report(p50_us=percentile(seen, 50), p99_us=percentile(seen, 99))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], float(sys.argv[2]), sys.argv[3]))
