"""WebSocket clients, told what to do line by line: open N · echo N SECONDS · broadcast ROUNDS.

Frames are made by hand (masked with zeros), so that the client costs little.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import cast

import uvloop

MASKED_ECHO = b"\x81\x84\0\0\0\0echo"
MASKED_ALL = b"\x81\x83\0\0\0\0all"
OPENING = 64


class Client(asyncio.Protocol):
    """One connection; counts the frames it gets (each shorter than 126 bytes)."""

    def __init__(self) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_frame = asyncio.Event()
        self.frames = 0
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.opened.done():
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head:
                self.opened.set_exception(RuntimeError(self._buffer.decode()))
                return
            self._buffer = rest
            self.opened.set_result(None)
        while len(self._buffer) >= 2 and len(self._buffer) >= 2 + self._buffer[1]:
            self._buffer = self._buffer[2 + self._buffer[1] :]
            self.frames += 1
            self.on_frame.set()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(RuntimeError("the server closed before it had answered"))


class Clients:
    """All connections of this process."""

    def __init__(self, port: int, path: str) -> None:
        self.port = port
        self.path = path
        self.all: list[Client] = []

    async def open(self, count: int) -> None:
        """Open so many more."""
        todo = iter(range(count))

        async def opener() -> None:
            for _ in todo:
                self.all.append(await self._connect())

        await asyncio.gather(*(opener() for _ in range(OPENING)))

    async def echo(self, count: int, seconds: float) -> float:
        """Round trips a second on so many connections, each one after the other."""
        rounds = await asyncio.gather(*(_echo(client, seconds) for client in self.all[:count]))
        return sum(rounds)

    async def broadcast(self, rounds: int) -> float:
        """Messages delivered a second when each that is sent goes to everybody."""
        before = sum(client.frames for client in self.all)
        total = before + rounds * len(self.all)
        start = time.perf_counter()
        for _ in range(rounds):
            self.all[0].transport.write(MASKED_ALL)
        while sum(client.frames for client in self.all) < total:  # noqa: ASYNC110
            await asyncio.sleep(0.001)  # an event for each frame would cost more
        return rounds * len(self.all) / (time.perf_counter() - start)

    async def _connect(self) -> Client:
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(Client, "127.0.0.1", self.port)
        client.transport.write(
            f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        await client.opened
        return client


async def _echo(client: Client, seconds: float) -> float:
    rounds, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        client.on_frame.clear()
        client.transport.write(MASKED_ECHO)
        await client.on_frame.wait()
        rounds += 1
    return rounds / (time.perf_counter() - start)


async def main(port: int, path: str) -> None:
    """Obey the lines of standard input; answer each with a line."""
    clients = Clients(port, path)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        match line.split():
            case ["open", count]:
                await clients.open(int(count))
                print("ok", flush=True)
            case ["echo", count, seconds]:
                print(await clients.echo(int(count), float(seconds)), flush=True)
            case ["broadcast", rounds]:
                print(await clients.broadcast(int(rounds)), flush=True)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
