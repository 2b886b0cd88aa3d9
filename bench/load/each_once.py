"""One request to each of many objects, from 64 connections at once: for objects that must wake.

wrk counts seconds, not requests, so this is a client of our own; it costs some 15 µs a request.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from typing import Final, cast

import uvloop

from bench.load import Load, on_core
from bench.machine import load_core
from bench.model import percentile
from bench.servers import RunningServer

CONNECTIONS: Final = 64
LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Caller(asyncio.Protocol):
    """One connection: the next request follows the answer to the one before.

    Args:
        requests: what all callers take from.
        seen: the microseconds of each, of all callers.
    """

    def __init__(self, requests: Iterator[bytes], seen: list[float]) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._seen = seen
        self._buffer = b""
        self._started = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = LENGTH.search(head)
        if not head.startswith(b"HTTP/1.1 200") or length is None:
            self._end(RuntimeError(f"answered {self._buffer[:300]!r}"))
        elif len(body) >= int(length[1]):
            self._seen.append((time.perf_counter() - self._started) * 1e6)
            self._buffer = b""
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error or ConnectionResetError("the server closed the connection"))

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._end(None)
        else:
            self._started = time.perf_counter()
            self._transport.write(request)

    def _end(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)
        self._transport.close()


def each_once(
    server: RunningServer, method: str, template: str, objects: int, *, body: str = ""
) -> Load:
    """One request to each object; requests/s until all are answered, p50 and p99 of an answer."""
    head = f"HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    elif method == "POST":
        head += "Content-Length: 0\r\n"
    requests = [
        f"{method} {template.replace('%d', str(number))} {head}\r\n{body}".encode()
        for number in range(1, objects + 1)
    ]
    with on_core(load_core()):
        seen, seconds = uvloop.run(_callers(server, requests))
    return Load(len(seen) / seconds, percentile(seen, 50), percentile(seen, 99), len(seen))


async def _callers(server: RunningServer, requests: list[bytes]) -> tuple[list[float], float]:
    loop = asyncio.get_running_loop()
    seen: list[float] = []
    todo = iter(requests)
    started, trust = time.perf_counter(), server.trust()
    made = [
        await loop.create_connection(
            lambda: Caller(todo, seen), "127.0.0.1", server.port, ssl=trust
        )
        for _ in range(min(CONNECTIONS, len(requests)))
    ]
    await asyncio.gather(*(caller.ended for _, caller in made))
    return seen, time.perf_counter() - started
