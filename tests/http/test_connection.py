"""A WebSocket connection over a transport that is none."""

import asyncio
import tracemalloc
from typing import Any, cast

from websockets.frames import Close, Frame, Opcode

from wakeful.http.connection import PONGS_BYTES_MAX, Connection
from wakeful.http.pace import FRAMES, TURN_FRAMES, Pace
from wakeful.runtime.socket_memory import SocketMemory

PONG = len(Frame(Opcode.PONG, b"").serialize(mask=False))


class Transport:
    """Keeps what is written, as for a client that does not read."""

    def __init__(self) -> None:
        self.unread = bytearray()
        self.reading = True
        self.closed = False

    def write(self, data: bytes) -> None:
        self.unread += data

    def get_write_buffer_size(self) -> int:
        return len(self.unread)

    def is_closing(self) -> bool:
        return self.closed

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.closed = True

    abort = close


class Peer:
    """Hears everything and says nothing."""

    def __init__(self, memory: SocketMemory, message_bytes_max: int) -> None:
        self.message_bytes_max = message_bytes_max
        self.heard: list[object] = []
        self.memory = memory

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


def connected(
    pace: Pace | None = None,
    memory: SocketMemory | None = None,
    message_bytes_max: int = 1000,
) -> tuple[Connection, Transport, Peer]:
    loop = asyncio.get_running_loop()
    transport, peer = Transport(), Peer(memory or SocketMemory(10**9), message_bytes_max)
    connection = Connection(loop, cast("Any", peer), pace or Pace(loop))
    connection.connection_made(transport)
    return connection, transport, peer


def masked(opcode: Opcode, data: bytes) -> bytes:
    return Frame(opcode, data).serialize(mask=True)


async def test_client_that_pings_and_never_reads_does_not_fill_the_memory() -> None:
    connection, transport, _ = connected()
    pings = masked(Opcode.PING, b"x" * 125) * FRAMES
    for _ in range(1000):
        connection.data_received(pings)
        await asyncio.sleep(0)
    assert len(transport.unread) < PONGS_BYTES_MAX + 128

    while not transport.reading:  # noqa: ASYNC110 - the loop's turns are what is counted
        await asyncio.sleep(0)
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


async def test_burst_of_messages_is_handled_a_few_in_a_turn_of_the_loop() -> None:
    connection, transport, peer = connected()
    messages = [str(number) for number in range(10_000)]
    connection.data_received(b"".join(masked(Opcode.TEXT, text.encode()) for text in messages))
    turns, before = 0, 0
    while len(peer.heard) < len(messages):
        assert len(peer.heard) - before <= FRAMES
        assert not transport.reading, "what comes after them waits in the system"
        before = len(peer.heard)
        await asyncio.sleep(0)
        turns += 1
    assert turns >= len(messages) / FRAMES - 1
    assert peer.heard == messages
    await asyncio.sleep(0)
    assert transport.reading
    assert connection._reader is None


async def test_burst_of_pings_and_tiny_fragments_is_handled_a_few_in_a_turn() -> None:
    connection, transport, peer = connected()
    fragments = Frame(Opcode.CONT, b"", fin=False).serialize(mask=True) * 1000
    connection.data_received(
        masked(Opcode.PING, b"") * 1000
        + Frame(Opcode.TEXT, b"a", fin=False).serialize(mask=True)
        + fragments
        + masked(Opcode.CONT, b"z")
    )
    turns, before = 0, 0
    while not peer.heard:
        assert len(transport.unread) - before <= FRAMES * PONG
        before = len(transport.unread)
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 2000 // FRAMES
    assert peer.heard == ["az"]


async def test_many_that_send_bursts_share_a_turn_and_take_turns() -> None:
    pace = Pace(asyncio.get_running_loop())
    several = [connected(pace) for _ in range(100)]
    for connection, _, _ in several:
        connection.data_received(masked(Opcode.TEXT, b"x") * 200)
    before = sum(len(peer.heard) for _, _, peer in several)
    assert before == TURN_FRAMES
    newcomer, _, its = connected(pace)
    while before < 20_000:
        await asyncio.sleep(0)
        heard = [len(peer.heard) for _, _, peer in several]
        assert sum(heard) - before <= TURN_FRAMES
        assert max(heard) - min(heard) <= 2 * FRAMES, "each in its turn"
        before = sum(heard)
        newcomer.data_received(masked(Opcode.TEXT, b"x"))
        assert its.heard.pop() == "x", "who sends little does not wait for those who send much"


async def test_held_connection_handles_nothing_until_it_is_let_go_on() -> None:
    connection, transport, peer = connected()
    connection.hold(held=True)
    connection.data_received(masked(Opcode.TEXT, b"x") * 3)
    await asyncio.sleep(0)
    assert (peer.heard, transport.reading) == ([], False)
    connection.hold(held=False)
    await asyncio.sleep(0)
    assert (peer.heard, transport.reading) == (["x"] * 3, True)


async def test_empty_fragments_take_no_memory() -> None:
    connection, _, _ = connected()
    connection.data_received(Frame(Opcode.TEXT, b"", fin=False).serialize(mask=True))
    fragments = Frame(Opcode.CONT, b"", fin=False).serialize(mask=True) * FRAMES
    tracemalloc.start()
    try:
        for _ in range(500):
            connection.data_received(fragments)
            await asyncio.sleep(0)
        assert tracemalloc.get_traced_memory()[0] < 50_000
    finally:
        tracemalloc.stop()


async def test_parts_of_messages_have_a_bound_over_all_connections() -> None:
    pace, memory = Pace(asyncio.get_running_loop()), SocketMemory(1_000_000)
    several = [connected(pace, memory, 1_000_000) for _ in range(100)]
    part = masked(Opcode.BINARY, bytes(900_000))[:30_000]
    for connection, _, _ in several:
        connection.data_received(part)
    small, _, its = connected(pace, memory, 1_000_000)
    small.data_received(masked(Opcode.BINARY, bytes(12_000))[:10_000])
    await asyncio.sleep(0)
    kept = [connection for connection, _, peer in several if peer.heard != [1013]]
    assert len(kept) == 33
    assert 29_000 * 33 < memory.bytes <= 1_000_000
    assert all(transport.closed for connection, transport, _ in several if connection not in kept)
    assert its.heard == [], "who has sent little may stay"
    for connection in kept:
        connection.connection_lost(None)
    assert memory.bytes == 0
