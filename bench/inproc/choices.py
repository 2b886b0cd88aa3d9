"""What a choice costs: asks of actors that differ in one thing, in turns, by CPU time.

One caller asks one call after another; durable writes are asked for by 64 callers at once. The CPU
time is that of the whole process, the thread that writes included.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable

import uvloop

from bench import child
from wakeful import Actor, DurableObject, MethodMetrics, RateLimit, Runtime, readonly

ROUNDS = 7
CALLERS = 64

Call = Callable[[], Awaitable[object]]


class Plain(Actor):
    """An actor without facets."""

    def __init__(self) -> None:
        self.count = 0

    async def straight(self) -> int:
        """A method without an await."""
        self.count += 1
        return self.count

    async def waiting(self) -> int:
        """A method that really waits, once."""
        await asyncio.sleep(0)
        self.count += 1
        return self.count


class Limited(Plain):
    """With a facet that refuses calls over a rate."""

    facets = (RateLimit(per_second=1e9, burst=1_000_000),)


class Metered(Plain):
    """With a facet that counts and times calls."""

    facets = (MethodMetrics(),)


class Durable(DurableObject):
    """State that survives."""

    count: int = 0

    @readonly
    async def get(self) -> int:
        """Read."""
        return self.count

    async def increment(self) -> int:
        """Write."""
        self.count += 1
        return self.count

    async def put(self) -> int:
        """Write a value of the key-value storage in place of declared state."""
        value = await self.ctx.storage.get("count", type=int, default=0) + 1
        await self.ctx.storage.put("count", value)
        return value

    async def row(self) -> int:
        """Insert a row into a table of its own."""
        sql = self.ctx.storage.sql
        sql.exec("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, text TEXT)")
        return sql.exec("INSERT INTO rows (text) VALUES (?) RETURNING id", "text").one(into=int)

    async def other(self) -> int:
        """Ask another actor, which only reads."""
        return await self.ctx.get(Durable, "other").get()


async def main(calls: int, parent: str) -> None:
    """Report the microseconds of CPU per ask of every choice."""
    with tempfile.TemporaryDirectory(dir=parent) as directory:
        async with Runtime(directory, actors=[Durable]) as runtime:
            bare, durable = Plain(), runtime.get(Durable, "one")
            plain, limited, metered = (runtime.spawn(cls) for cls in (Plain, Limited, Metered))
            alone: dict[str, Call] = {
                "the bare method": bare.straight,
                "an Actor": plain.straight,
                "with RateLimit": limited.straight,
                "with MethodMetrics": metered.straight,
                "DurableObject, a read": durable.get,
                "DurableObject, a read through another actor": durable.other,
                "the bare method that waits": bare.waiting,
                "an Actor, a method that waits": plain.waiting,
            }
            many = [runtime.get(Durable, f"many-{number}") for number in range(CALLERS)]
            together: dict[str, list[Call]] = {
                "DurableObject, a write": [ref.increment for ref in many],
                "DurableObject, a write of storage": [ref.put for ref in many],
                "DurableObject, an SQL insert": [ref.row for ref in many],
            }
            seen: dict[str, list[float]] = {name: [] for name in [*alone, *together]}
            for _ in range(ROUNDS):
                for name, call in alone.items():
                    seen[name].append(await _cpu_us(_repeat(call, calls), calls))
                for name, each in together.items():
                    work = asyncio.gather(*(_repeat(call, calls // CALLERS) for call in each))
                    seen[name].append(await _cpu_us(work, calls // CALLERS * CALLERS))
            child.report(**{name: statistics.median(values) for name, values in seen.items()})


async def _repeat(call: Call, times: int) -> None:
    for _ in range(times):
        await call()


async def _cpu_us(work: Awaitable[object], calls: int) -> float:
    before = time.process_time()
    await work
    return (time.process_time() - before) / calls * 1e6


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
