"""Idle WebSockets of an actor that sleeps, echoes, and a broadcast; the clients are a process."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from asyncio.subprocess import PIPE, Process

import uvloop

from bench import child
from bench.inproc.memory import used_bytes
from wakeful import Config, DurableObject, Runtime, WebSocket, websocket

FIRST = 500
LISTENERS = 1_000
IDLE_SECONDS = 0.2


class Room(DurableObject):
    """Echoes, and says `all` to everybody."""

    @websocket
    async def join(self, socket: WebSocket) -> None:
        self.ctx.accept(socket)

    async def on_message(self, socket: WebSocket, message: str | bytes) -> None:
        if message == "all":
            for other in self.ctx.sockets():
                other.send(message)
        else:
            socket.send(message)


async def clients(port: int, room: str) -> Process:
    """A process of clients for one room."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.load.sockets", str(port), f"/actors/Room/{room}/join"),
        stdin=PIPE,
        stdout=PIPE,
    )


async def told(process: Process, line: str) -> str:
    """What the clients answer to a line."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{line}\n".encode())
    answer = (await process.stdout.readline()).decode().strip()
    if not answer:
        raise RuntimeError(f"the clients ended at {line!r}")
    return answer


async def main(parent: str, count: int, seconds: float) -> None:
    """Idle memory first, with nothing else in the process; then speed."""
    config = Config(idle_seconds=IDLE_SECONDS)
    with tempfile.TemporaryDirectory(dir=parent) as directory:
        async with Runtime(directory, actors=[Room], config=config) as rt:
            server = rt.serve(port=0)
            idle = await clients(server.port, "idle")
            await told(idle, f"open {FIRST}")
            await asyncio.sleep(5 * IDLE_SECONDS)
            before = used_bytes("rss")
            await told(idle, f"open {count}")
            await asyncio.sleep(5 * IDLE_SECONDS)
            awake = len(rt.host.life.catalog)
            per_socket = (used_bytes("rss") - before) / count
            busy = await clients(server.port, "busy")
            await told(busy, "open 1")
            echoes = float(await told(busy, f"echo {seconds}"))
            await told(busy, f"open {LISTENERS - 1}")
            delivered = float(await told(busy, f"broadcast {max(2, round(20 * seconds))}"))
            for process in (idle, busy):
                process.terminate()
                await process.wait()
    child.report(idle_bytes=per_socket, awake=awake, echoes_per_s=echoes, delivered_per_s=delivered)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
