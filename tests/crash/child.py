"""A process with a runtime of its own that says on stdout what it does; no HTTP, no client.

    DIRECTORY CALLERS COUNTERS SEED

Lines, each written whole before anything else happens:
    ready COUNT STORED ROWS ARMED RANG ...    all counters as they were found, in order
    + N                         an increment of counter N is about to be called
    = N VALUE                   it was acknowledged
"""

from __future__ import annotations

import asyncio
import os
import sys
from random import Random

from tests.crash.app import Counter
from tests.crash.tally import ALARM_TRIES, ALARM_TRY_SECONDS, all_rang

from wakeful import Runtime


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def call(runtime: Runtime, random: Random, counters: int) -> None:
    while True:
        number = random.randrange(counters)
        say("+", number)
        say("=", number, await runtime.get(Counter, f"c{number}").increment())


async def main(directory: str, callers: int, counters: int, seed: int) -> None:
    random = Random(seed)
    async with Runtime(directory, actors=[Counter]) as runtime:
        for _ in range(ALARM_TRIES):
            names = [f"c{number}" for number in range(counters)]
            found = {name: tuple(await runtime.get(Counter, name).get()) for name in names}
            if all_rang(found):
                break
            await asyncio.sleep(ALARM_TRY_SECONDS)
        say("ready", *(value for values in found.values() for value in values))
        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(call(runtime, random, counters))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *(int(word) for word in sys.argv[2:])))
