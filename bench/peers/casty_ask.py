"""casty: virtual actors in Python on a Rust core; asked in process.

Volatile, or with `durable="write"` on its SQLite store: a confirmed write has then reached the
store, one transaction per write. It needs Python 3.12.
"""

# mypy: ignore-errors
# Its types use the syntax of Python 3.12, which the checker set to 3.11 cannot read.

from __future__ import annotations

import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import child
from bench.inproc.loops import concurrent_per_second, latencies_us, run, sequential_per_second
from bench.model import percentile

if sys.version_info < (3, 12):
    child.missing(f"it needs Python 3.12, this is 3.{sys.version_info.minor}")
    sys.exit(0)
try:
    from casty import ActorSystem, Askable, Context, actor
    from casty.stores import SQL
except ImportError as error:
    child.missing(f"it is not installed: {error}")
    sys.exit(0)


@dataclass(frozen=True)
class Add(Askable[int]):
    """Add to the count and answer the new one."""

    amount: int


@actor(initial=0)
async def volatile_counter(ctx: Context[int, Add]) -> None:
    async for message in ctx.inbox:
        await ctx.state.set(ctx.state.value + message.amount)
        message.reply_to.tell(ctx.state.value)


@actor(initial=0, durable="write")
async def durable_counter(ctx: Context[int, Add]) -> None:
    async for message in ctx.inbox:
        await ctx.state.set(ctx.state.value + message.amount)
        message.reply_to.tell(ctx.state.value)


async def volatile(seconds: float) -> None:
    """One caller, one volatile counter."""
    async with ActorSystem() as system:
        ask = partial(system.ref(volatile_counter, "counter").ask, Add(1))
        child.report(per_second=await sequential_per_second(ask, seconds))


async def durable(url: str, seconds: float, *, callers: int) -> None:
    """One durable counter per caller: the latency of a single caller, or the rate of many."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(SQL(url))
        system = await stack.enter_async_context(ActorSystem(store=store))
        asks = [
            partial(system.ref(durable_counter, f"counter-{number}").ask, Add(1))
            for number in range(callers)
        ]
        if callers > 1:
            child.report(per_second=await concurrent_per_second(asks, seconds))
            return
        seen = await latencies_us(asks[0], seconds)
        child.report(p50_us=percentile(seen, 50), p99_us=percentile(seen, 99))


if __name__ == "__main__":
    mode, duration = sys.argv[1], float(sys.argv[2])
    if mode == "volatile":
        run(volatile(duration))
    else:
        data = Path(tempfile.mkdtemp(dir=sys.argv[3])).resolve()
        number_of_callers = 1_000 if mode == "durable-many" else 1
        url = f"sqlite://{data}/casty.sqlite?mode=rwc"
        run(durable(url, duration, callers=number_of_callers))
