"""Bodies of requests: received whole, within limits, or handed on as they come.

Invariants: a large body, or one of unknown length, is received whole only if there is room for it
            beside the others, until its call is answered, which may wait in a mailbox; one that is
            handed on takes no more memory than its reader makes it, and the reader says what it
            keeps.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final, TypeAlias

from wakeful.config import Limits
from wakeful.errors import PayloadTooLarge, RuntimeOverloaded
from wakeful.http.deadline import Deadlines
from wakeful.http.message import Request
from wakeful.refusals import RequestTimeout

LENGTH_DIGITS_MAX: Final = 15  # the server has checked that it is a number
SMALL_BODY_BYTES: Final = 16 * 1024


class BodyBudget:
    """The memory that large bodies may have together.

    Args:
        bytes_max: how much that is.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0

    def take(self, size: int, *, has: int = 0) -> None:
        """Take memory for a body that has some already; a body that is alone gets what it needs.

        Raises:
            RuntimeOverloaded: there is not enough memory left.
        """
        if self._bytes > has and self._bytes + size > self._bytes_max:
            raise RuntimeOverloaded("too many large bodies are under way (http.body_bytes)")
        self._bytes += size

    def give_back(self, size: int) -> None:
        """Give memory back to the budget."""
        self._bytes -= size


class StreamedBody:
    """A body that is handed on as it comes.

    Args:
        chunks: bytes that are not empty.
        room: what is kept of it takes room of this.
    """

    __slots__ = ("_kept_bytes", "_room", "chunks")

    def __init__(self, chunks: AsyncGenerator[bytes, None], room: BodyBudget) -> None:
        self.chunks = chunks
        self._room = room
        self._kept_bytes = 0

    def keep(self, size: int) -> None:
        """Count more bytes as kept in memory, until `release`.

        Raises:
            RuntimeOverloaded: there is no room for it beside the others.
        """
        self._room.take(size, has=self._kept_bytes)
        self._kept_bytes += size

    def release(self) -> None:
        """The request is answered: count nothing of its body as kept any more."""
        self._room.give_back(self._kept_bytes)
        self._kept_bytes = 0


Incoming: TypeAlias = bytes | StreamedBody | None


class Bodies:
    """Receives bodies.

    Args:
        limits: how large a body may be.
        deadlines: looks after those that wait.
        bytes_max: how much large bodies may have together.

    Attributes:
        room: what they have.
    """

    def __init__(self, limits: Limits, deadlines: Deadlines, bytes_max: int) -> None:
        self._whole_bytes_max = limits.request_bytes
        self._stream_bytes_max = limits.stream_bytes
        self._deadlines = deadlines
        self.room = BodyBudget(bytes_max)

    def expected(self, request: Request) -> bool:
        """Whether there is a body.

        Raises:
            PayloadTooLarge: its Content-Length is too large for receiving it whole.
        """
        length = request.header("content-length")
        if length is None:
            return request.header("transfer-encoding") is not None
        if len(length) > LENGTH_DIGITS_MAX or int(length) > self._whole_bytes_max:
            raise too_large(self._whole_bytes_max)
        return length != "0"

    async def whole(self, request: Request) -> tuple[bytes, int]:
        """The whole body, and the memory counted for it: 0 unless it is large or of unknown length.

        Raises:
            PayloadTooLarge, RuntimeOverloaded, RequestTimeout, ClientGone: it is not received.
        """
        length = request.header("content-length")
        size = self._whole_bytes_max if length is None else int(length)
        if size <= SMALL_BODY_BYTES:
            return await self._deadlines.watch(request.body(size), _slow), 0
        self.room.take(size)
        try:
            body = await self._deadlines.watch(request.body(self._whole_bytes_max), _slow)
        except BaseException:
            self.room.give_back(size)
            raise
        self.room.give_back(size - len(body))
        return body, len(body)

    async def incoming(self, request: Request) -> Incoming:
        """The body for a reader that takes it as it comes; a small one whole, None without one.

        Raises:
            PayloadTooLarge: it says that it is larger than `limits.stream_bytes`.
            RequestTimeout, ClientGone: it is not received.
        """
        length = request.header("content-length")
        if length is None:
            chunked = request.header("transfer-encoding") is not None
            return StreamedBody(self._handed_on(request), self.room) if chunked else None
        if len(length) > LENGTH_DIGITS_MAX or int(length) > self._stream_bytes_max:
            raise too_large(self._stream_bytes_max, "stream_bytes")
        size = int(length)
        if size > SMALL_BODY_BYTES:
            return StreamedBody(self._handed_on(request), self.room)
        return await self._deadlines.watch(request.body(size), _slow) if size else None

    async def _handed_on(self, request: Request) -> AsyncGenerator[bytes, None]:
        chunks, size = request.chunks(), 0
        while chunk := await self._deadlines.watch(_next(chunks), _slow):
            size += len(chunk)
            if size > self._stream_bytes_max:
                raise too_large(self._stream_bytes_max, "stream_bytes")
            yield chunk


async def joined(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    """A body that comes in chunks, as one.

    Raises:
        PayloadTooLarge: it is longer than the limit.
    """
    kept, size = [], 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        kept.append(chunk)
    return b"".join(kept)


def too_large(limit: int, setting: str = "request_bytes") -> PayloadTooLarge:
    """The error for a body over its limit."""
    return PayloadTooLarge(f"a body has at most {limit} bytes (limits.{setting})")


async def _next(chunks: AsyncIterator[bytes]) -> bytes:
    return await anext(chunks, b"")


def _slow(seconds: float) -> RequestTimeout:
    return RequestTimeout(f"the body did not arrive within {seconds} s (limits.request_seconds)")
