"""Asks of a plain actor, or of the bare method of the same class outside any runtime."""

from __future__ import annotations

import sys
import tempfile

import uvloop

from bench import child
from bench.inproc.counters import PlainCounter
from bench.inproc.loops import sequential_per_second
from wakeful import Runtime


async def ask_actor(seconds: float) -> float:
    with tempfile.TemporaryDirectory() as directory:
        async with Runtime(directory, actors=[]) as runtime:
            counter = runtime.spawn(PlainCounter)
            return await sequential_per_second(counter.increment, seconds)


async def call_method(seconds: float) -> float:
    counter = PlainCounter()
    return await sequential_per_second(counter.increment, seconds)


if __name__ == "__main__":
    subject = {"actor": ask_actor, "method": call_method}[sys.argv[1]]
    child.report(per_second=uvloop.run(subject(float(sys.argv[2]))))
