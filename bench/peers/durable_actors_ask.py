"""durable-actors: a Rust server with Python hosts, asked by its own async client over loopback.

It has no in-process mode. Its local server runs two processes per actor, so only one actor with
one caller is asked: the processes that 1,000 actors need do not fit the benchmark's machine.
Durability: the server answers after it stored a snapshot of the persisted fields on the local
disk. Its command line needs mypy 1, wakeful's tools need mypy 2; so it lives in an environment of
its own, whose interpreter is named by DURABLE_ACTORS_PYTHON.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench import child
from bench.inproc.loops import latencies_us, run
from bench.model import percentile
from bench.servers import free_port

COMMAND = Path(sys.executable).with_name("durable-actors")
ATTEMPTS = 100
ACTORS = """
from durable_actors import Actor, persisted


class Counter(Actor):
    count: int = persisted(0)

    def increment(self, amount: int = 1) -> int:
        self.count += amount
        return self.count
"""


@contextmanager
def serving(parent: str) -> Iterator[int]:
    """Its local server on a free port, with the counter; ended with every host it started."""
    project = Path(tempfile.mkdtemp(dir=parent)).resolve()
    (project / "src").mkdir()
    (project / "src" / "actors.py").write_text(ACTORS)
    port = free_port()
    with (project / "log").open("wb") as log:
        server = subprocess.Popen(
            [str(COMMAND), "dev", "--no-watch", "--port", str(port), "--data-dir", "data"],
            cwd=project,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        yield port
    finally:
        # The server may leave hosts behind; they are in the process group that began with it.
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(15)
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)


async def ask(port: int, seconds: float) -> None:
    """One caller asks one counter again and again."""
    from durable_actors import (  # type: ignore[import-not-found, unused-ignore]
        ActorInvocationError,
        AsyncClient,
    )

    async with AsyncClient(f"http://127.0.0.1:{port}") as client:

        async def increment() -> object:
            return await client.invoke("Counter", "counter-1", "increment", [1])

        for _ in range(ATTEMPTS):
            with suppress(ActorInvocationError):
                await increment()
                break
            await asyncio.sleep(0.2)
        else:
            return child.missing("its local server did not become ready in time")
        seen = await latencies_us(increment, seconds)
    child.report(p50_us=percentile(seen, 50), p99_us=percentile(seen, 99))


if __name__ == "__main__":
    if COMMAND.exists():
        with serving(sys.argv[2]) as loopback_port:
            run(ask(loopback_port, float(sys.argv[1])))
    else:
        child.missing("not installed beside wakeful (needs mypy 1); set DURABLE_ACTORS_PYTHON")
