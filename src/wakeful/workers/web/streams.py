"""A stream of bytes that is read once: the body of a request or response under way.

Invariants: one reader at a time; a chunk is never lost and never read twice, also when two
            branches of a tee read at different speeds.
Source:     Streams standard; ReadableStream as bodies use it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Any

from wakeful.workers.proxies import JsBytes, JsDict, JsProxy, JsTypeError, options_of, unwrapped
from wakeful.workers.web.sources import as_bytes, filled_by


class ReadableStream(JsProxy):
    """Chunks of bytes, as they come."""

    __slots__ = ("_chunks", "disturbed", "locked")
    js_name = "ReadableStream"

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self.disturbed = False
        self.locked = False

    @classmethod
    def new(cls, source: Any = None, *_: Any, **named: Any) -> ReadableStream:
        """A stream that a source fills: an object with `start`, `pull` and `cancel`."""
        if hasattr(source, "__aiter__"):  # by Python code, which need not know of sources
            return cls(source)
        return cls(filled_by(options_of(source, named.items())))

    @classmethod
    def from_(cls, chunks: Any) -> ReadableStream:
        """A stream of what an iterable gives, which may be asynchronous."""
        chunks = unwrapped(chunks)
        return cls(aiter(chunks) if hasattr(chunks, "__aiter__") else _once(chunks))

    @classmethod
    def of(cls, data: bytes) -> ReadableStream:
        """A stream of what is there already."""
        return cls(_once([data] if data else []))

    def getReader(self) -> Reader:
        """A reader; nobody else can read until it is released.

        Raises:
            JsTypeError: somebody reads already.
        """
        self._lock()
        return Reader(self)

    def tee(self) -> tuple[ReadableStream, ReadableStream]:
        """Two streams of the same chunks; this one is read by them alone."""
        self._lock()
        source = _Shared(self.kept())
        return ReadableStream(source.branch(0)), ReadableStream(source.branch(1))

    async def pipeTo(self, destination: Any, *_: Any, **__: Any) -> None:
        """Write all that is left to a WritableStream, and close it."""
        writer = destination.getWriter()
        try:
            async for chunk in self:
                await writer.write(chunk)
        except Exception as error:
            await writer.abort(error)
            raise
        await writer.close()

    async def read_all(self) -> bytes:
        """All that is left."""
        return b"".join([chunk async for chunk in self.kept()])

    def kept(self) -> ReadableStream:
        """The same, for a reader who keeps what was read, as far as one can tell."""
        return self

    async def cancel(self, reason: object = None) -> None:
        """Read no further; what the chunks come from may close."""
        self.disturbed = True
        close = getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()
        self._chunks = _once([])

    async def next_chunk(self) -> bytes | None:
        """The next chunk; None at the end."""
        self.disturbed = True
        chunk: object = await anext(self._chunks, None)
        return None if chunk is None else as_bytes(chunk)

    async def __aiter__(self) -> AsyncIterator[JsBytes]:
        self._lock()
        while (chunk := await self.next_chunk()) is not None:
            yield JsBytes(chunk)

    def _lock(self) -> None:
        if self.locked:
            raise JsTypeError("This ReadableStream is currently locked to a reader.")
        self.locked = True

    def __wakeful_transfer__(self) -> ReadableStream:
        return self


setattr(ReadableStream, "from", ReadableStream.from_)  # a keyword of Python


class Reader(JsProxy):
    """What `getReader()` gives."""

    __slots__ = ("_stream",)
    js_name = "ReadableStreamDefaultReader"

    def __init__(self, stream: ReadableStream) -> None:
        self._stream: ReadableStream | None = stream

    async def read(self) -> JsDict:
        """The next chunk as `value`, or `done`."""
        chunk = await self._owned().next_chunk()
        return JsDict(done=chunk is None, value=None if chunk is None else JsBytes(chunk))

    async def cancel(self, reason: object = None) -> None:
        """Read no further."""
        await self._owned().cancel(reason)

    def releaseLock(self) -> None:
        """Let others read."""
        if self._stream is not None:
            self._stream.locked = False
            self._stream = None

    def _owned(self) -> ReadableStream:
        if self._stream is None:
            raise JsTypeError("This ReadableStream reader has been released.")
        return self._stream


class _Shared:
    """One source, two readers: what one has read first waits for the other."""

    def __init__(self, source: ReadableStream) -> None:
        self._source = source
        self._waiting: tuple[deque[bytes], deque[bytes]] = (deque(), deque())
        self._reading = asyncio.Lock()

    async def branch(self, side: int) -> AsyncIterator[bytes]:
        mine = self._waiting[side]
        while mine or await self._pull(mine):
            yield mine.popleft()

    async def _pull(self, mine: deque[bytes]) -> bool:
        async with self._reading:
            if mine:
                return True  # the other branch has read meanwhile
            chunk = await self._source.next_chunk()
            if chunk is None:
                return False
            for waiting in self._waiting:
                waiting.append(chunk)
            return True


async def _once(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
