"""xoscar: an actor in the main pool of this process, asked through its reference. Volatile."""

from __future__ import annotations

import sys

from bench import child
from bench.inproc.loops import run, sequential_per_second
from bench.servers import free_port


async def main(seconds: float) -> None:
    """Ask one actor again and again from one task."""
    try:
        import xoscar  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        return child.missing(f"xoscar is not installed: {error}")

    class Counter(xoscar.Actor):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.count = 0

        async def increment(self, by: int = 1) -> int:
            self.count += by
            return self.count

    pool = await xoscar.create_actor_pool(f"127.0.0.1:{free_port()}", n_process=0)
    async with pool:
        counter = await xoscar.create_actor(Counter, address=pool.external_address, uid="counter")
        child.report(per_second=await sequential_per_second(counter.increment, seconds))


if __name__ == "__main__":
    run(main(float(sys.argv[1])))
