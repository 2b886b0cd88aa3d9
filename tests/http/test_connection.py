"""A WebSocket connection over a transport that is none."""

import asyncio
from typing import Any, cast

from websockets.frames import Close, Frame, Opcode

from wakeful.http.connection import PONGS_BYTES_MAX, Connection


class Transport:
    """Keeps what is written, as for a client that does not read."""

    def __init__(self) -> None:
        self.unread = bytearray()

    def write(self, data: bytes) -> None:
        self.unread += data

    def get_write_buffer_size(self) -> int:
        return len(self.unread)

    def close(self) -> None:
        pass

    abort = close


class Peer:
    """Hears everything and says nothing."""

    message_bytes_max = 1000

    def __init__(self) -> None:
        self.heard: list[object] = []

    def connect(self, wire: object) -> None:
        pass

    def received(self, message: str | bytes) -> None:
        self.heard.append(message)

    def closed(self, code: int, reason: str, *, clean: bool) -> None:
        self.heard.append((code, clean))

    def failed(self, code: int, why: str) -> None:
        self.heard.append(code)

    def disconnected(self) -> None:
        pass


def connected() -> tuple[Connection, Transport, Peer]:
    transport, peer = Transport(), Peer()
    connection = Connection(asyncio.get_running_loop(), cast("Any", peer))
    connection.connection_made(transport)
    return connection, transport, peer


def masked(opcode: Opcode, data: bytes) -> bytes:
    return Frame(opcode, data).serialize(mask=True)


async def test_client_that_pings_and_never_reads_does_not_fill_the_memory() -> None:
    connection, transport, _ = connected()
    pings = masked(Opcode.PING, b"x" * 125) * 100
    for _ in range(100):
        connection.data_received(pings)
    assert len(transport.unread) < PONGS_BYTES_MAX + 128

    transport.unread.clear()
    connection.data_received(masked(Opcode.PING, b"there?"))
    assert bytes(transport.unread) == Frame(Opcode.PONG, b"there?").serialize(mask=False)


async def test_what_comes_after_a_close_frame_is_not_kept() -> None:
    connection, _, peer = connected()
    connection.data_received(masked(Opcode.CLOSE, Close(1000, "").serialize()))
    held = connection._reader
    for _ in range(100):
        connection.data_received(b"x" * 1000)
    assert peer.heard == [(1000, True)]
    assert held is None or len(held.buffer) == 0


async def test_what_comes_after_a_broken_frame_is_not_kept() -> None:
    connection, _, peer = connected()
    connection.data_received(masked(Opcode.TEXT, b"x" * 1001))
    for _ in range(100):
        connection.data_received(b"x" * 1000)
    assert peer.heard == [1009]
    assert connection._reader is None
    connection.connection_lost(None)
