"""A WebSocket connection: bytes to messages and back, over an asyncio transport.

What comes in is parsed by the websockets library's sans-I/O part. The close frame of a client is
not answered at once: its actor says how, or its own code goes back when `on_close` has ended.

Invariants: an idle connection holds no parser; what a client sends is bounded by the largest
            message, by what there is room for beside others, and in time by `pace`; it is read only
            while nothing of it waits; the connection ends within CLOSE_SECONDS of our close frame.
Source:     RFC 6455.
"""

from __future__ import annotations

import struct
from asyncio import AbstractEventLoop, Protocol, TimerHandle, Transport
from collections.abc import Generator
from contextvars import Context
from typing import Final, cast

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Close, Frame, Opcode
from websockets.streams import StreamReader

from wakeful.core.hibernation import CUT, LOST, NO_CODE, TOO_BIG, TRY_LATER
from wakeful.http.pace import Pace
from wakeful.runtime.socket import Peer
from wakeful.runtime.socket_memory import FULL, SMALL_BYTES

CLOSE_SECONDS: Final = 5.0
PONGS_BYTES_MAX: Final = 64 * 1024  # at most this waits for a client that pings and never reads
PROTOCOL_ERROR: Final = 1002
NOT_UTF8: Final = 1007
TEXT: Final = 0x81  # whole messages: the fin bit and the opcode
BINARY: Final = 0x82

Parser = Generator[None, None, Frame]


class Partial:
    """A message of which fragments are missing."""

    __slots__ = ("data", "opcode")

    def __init__(self, opcode: Opcode) -> None:
        self.opcode = opcode
        self.data = bytearray()  # a list would grow with empty fragments too


class Connection(Protocol):
    """One client's connection; for its socket, the wire.

    Args:
        loop: the loop it is on.
        socket: gets what the client sends.
        pace: how much of that is handled at once.
    """

    __slots__ = (
        *("_close_sent", "_held", "_kept_bytes", "_loop", "_message_bytes_max", "_pace"),
        *("_parser", "_partial", "_reader", "_socket", "_their_close", "_timer", "_transport"),
        "_waits",
    )

    def __init__(self, loop: AbstractEventLoop, socket: Peer, pace: Pace) -> None:
        self._loop = loop
        self._socket = socket
        self._pace = pace
        self._message_bytes_max = socket.message_bytes_max
        self._transport: Transport | None = None
        self._reader: StreamReader | None = None
        self._parser: Parser | None = None
        self._partial: Partial | None = None
        self._timer: TimerHandle | None = None
        self._kept_bytes = 0  # as counted in the memory of all sockets
        self._close_sent = False
        self._their_close = False
        self._held = False  # by its socket
        self._waits = False  # for a later turn of the loop

    # --- the transport's side --------------------------------------------------------------------

    def connection_made(self, transport: object) -> None:
        """Keep the transport; asyncio calls this once, first."""
        self._transport = cast("Transport", transport)
        self._socket.connect(self)

    def data_received(self, data: bytes) -> None:
        """Take in received bytes; those after the last frame are discarded."""
        if self._their_close:
            return
        if self._reader is None:
            self._reader = StreamReader()
        self._reader.feed_data(data)
        if not self._waits and not self._held:
            frames = self._pace.take()
            self._pace.give_back(frames - self._handle(frames))
        self._count()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the socket that the connection has ended; asyncio calls this once, last."""
        if self._timer is not None:
            self._timer.cancel()
        self._transport = None
        self._forget()
        if not self._their_close:
            self._socket.closed(LOST, CUT, clean=False)
        self._socket.disconnected()

    # --- the memory's side -----------------------------------------------------------------------

    def make_room(self) -> None:
        """Drop what is kept of a message, and tell the client to try again later."""
        self._their_close = True
        self._kept_bytes = 0  # the memory has counted it off
        self._forget()
        self._loop.call_soon(self._fail, TRY_LATER, FULL, context=Context())

    # --- the socket's side -----------------------------------------------------------------------

    def send(self, message: str | bytes) -> None:
        """Send a message."""
        if self._transport is None or self._close_sent:
            return
        text = isinstance(message, str)
        data = message.encode() if isinstance(message, str) else message
        self._transport.write(_header(TEXT if text else BINARY, len(data)) + data)

    def close(self, code: int, reason: str) -> None:
        """Send a close frame, and end once the client has answered."""
        if self._close_sent:
            return
        payload = b"" if code == NO_CODE else Close(code, reason).serialize()
        self._write(Frame(Opcode.CLOSE, payload))
        self._close_sent = True
        if self._transport is None:
            return
        self._timer = self._loop.call_later(CLOSE_SECONDS, self._transport.abort)
        if self._their_close:
            self._transport.close()

    def drop(self) -> None:
        """End the connection at once, without a close frame."""
        if self._transport is not None:
            self._transport.abort()

    def hold(self, *, held: bool) -> None:
        """Handle nothing more, and stop reading; or go on."""
        self._held = held
        if not held and self._reader is not None and not self._waits:
            self._wait()
        else:
            self._read_or_not()

    def backlog_bytes(self) -> int:
        """How many bytes were sent and have not left yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    # --- frames ----------------------------------------------------------------------------------

    def _write(self, frame: Frame) -> None:
        if self._transport is not None and not self._close_sent:
            self._transport.write(frame.serialize(mask=False))

    def _handle(self, frames: int) -> int:
        """Handle at most `frames` frames of what has come; return how many it was."""
        handled = 0
        try:
            while handled < frames and (frame := self._next_frame()) is not None:
                handled += 1
                self._take(frame)
        except PayloadTooBig:
            limit = self._message_bytes_max
            why = f"a message has at most {limit} bytes (limits.socket_message_bytes)"
            self._fail(TOO_BIG, why)
        except ProtocolError as error:
            self._fail(PROTOCOL_ERROR, str(error))
        except UnicodeDecodeError:
            self._fail(NOT_UTF8, "text is not UTF-8")
        if handled == frames and not self._held and self._reader is not None:
            self._wait()  # there is more, or a part of it
        return handled

    def _wait(self) -> None:
        """Go on in a later turn of the loop."""
        self._waits = True
        self._pace.wait(self._go_on)
        self._read_or_not()

    def _go_on(self, frames: int) -> None:
        self._waits = False
        if not self._held:
            self._handle(frames)
        self._count()
        self._read_or_not()

    def _read_or_not(self) -> None:
        transport = self._transport
        read = not (self._held or self._waits)
        if transport is None or transport.is_closing() or transport.is_reading() is read:
            return
        if read:
            transport.resume_reading()
        else:
            transport.pause_reading()

    def _next_frame(self) -> Frame | None:
        """The next frame that is to be handled now, if all of it is there."""
        reader = self._reader
        if reader is None or self._held:
            return None
        if self._parser is None:
            limit = self._message_bytes_max - (len(self._partial.data) if self._partial else 0)
            self._parser = Frame.parse(reader.read_exact, mask=True, max_size=max(125, limit))
        try:
            next(self._parser)
        except StopIteration as stop:
            self._parser = None
            if not reader.buffer:
                self._reader = None
            return cast("Frame", stop.value)
        return None

    def _count(self) -> None:
        """Count in the sockets' memory what is kept and not handled yet."""
        size = len(self._reader.buffer) if self._reader is not None else 0
        if self._partial is not None:
            size += len(self._partial.data)
        if size > SMALL_BYTES or self._kept_bytes:
            self._kept_bytes = size if size > SMALL_BYTES else 0
            self._socket.memory.keep(self, size)

    def _forget(self) -> None:
        self._reader = self._parser = self._partial = None
        self._count()

    def _take(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is Opcode.CLOSE:
            self._closed_by_client(Close.parse(bytes(frame.data)))
        elif opcode is Opcode.PING:
            if self.backlog_bytes() < PONGS_BYTES_MAX:  # RFC 6455 5.5.3: the latest will do
                self._write(Frame(Opcode.PONG, frame.data))
        elif opcode is Opcode.CONT or opcode in (Opcode.TEXT, Opcode.BINARY):
            self._take_data(frame)

    def _take_data(self, frame: Frame) -> None:
        partial = self._partial
        if (frame.opcode is Opcode.CONT) != (partial is not None):
            raise ProtocolError("fragments of a message do not follow each other")
        if frame.fin and partial is None:
            self._message(frame.opcode, frame.data)
            return
        if partial is None:
            partial = self._partial = Partial(frame.opcode)
        partial.data += frame.data
        if len(partial.data) > self._message_bytes_max:
            raise PayloadTooBig(len(partial.data), self._message_bytes_max)
        if frame.fin:
            self._partial = None
            self._message(partial.opcode, partial.data)

    def _message(self, opcode: Opcode, data: bytes | bytearray | memoryview) -> None:
        if len(data) > self._message_bytes_max:
            raise PayloadTooBig(len(data), self._message_bytes_max)
        if self._kept_bytes:
            self._count()  # from here on the socket counts it
        raw = bytes(data)
        self._socket.received(raw.decode() if opcode is Opcode.TEXT else raw)

    def _closed_by_client(self, close: Close) -> None:
        self._their_close = True
        self._forget()
        if self._close_sent:
            assert self._transport is not None
            self._transport.close()
        self._socket.closed(int(close.code), close.reason, clean=True)

    def _fail(self, code: int, why: str) -> None:
        """End the connection of a client that has broken a rule; nothing more of it is read."""
        self._their_close = True
        self._forget()
        self._socket.failed(code, why)
        self.close(code, why[:100])


def lost(peer: object) -> None:
    """Tell a peer that the connection it was to talk over is lost."""
    if isinstance(peer, Peer):
        peer.closed(LOST, CUT, clean=False)
        peer.disconnected()


def _header(first: int, size: int) -> bytes:
    """The header of a frame that is not masked."""
    if size < 126:
        return bytes((first, size))
    if size < 65536:
        return struct.pack("!BBH", first, 126, size)
    return struct.pack("!BBQ", first, 127, size)
