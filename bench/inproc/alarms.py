"""Sets an alarm, a month ahead, for each of many new actors; the directory stays for a server."""

from __future__ import annotations

import asyncio
import sys
import time

import uvloop

from bench import child
from bench.peers.objects.native import Bell
from wakeful import Config, Runtime

CALLERS = 1_000
AHEAD_MS = 30 * 24 * 3_600_000
IDLE_SECONDS = 1.0  # they sleep soon, so that memory is that of actors asleep


async def main(directory: str, count: int) -> None:
    due_ms = int(time.time() * 1000) + AHEAD_MS
    async with Runtime(directory, actors=[Bell], config=Config(idle_seconds=IDLE_SECONDS)) as rt:
        todo = iter(range(count))

        async def caller() -> None:
            for number in todo:
                await rt.get(Bell, f"b-{number}").ring_at(due_ms + number)

        started = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        seconds = time.perf_counter() - started
    child.report(per_second=count / seconds)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
