"""A stream of bytes that is read once: the body of a request or response under way.

Invariants: one reader at a time; a chunk is never lost and never read twice, also when two
            branches of a tee read at different speeds.
Source:     Streams standard; ReadableStream as bodies use it.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections import deque
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

from wakeful.workers import own_tasks
from wakeful.workers.proxies import JsBytes, JsDict, JsProxy, JsTypeError, options_of, unwrapped
from wakeful.workers.web.sources import as_bytes, filled_by

END: Final = object()  # of a stream, where any value may be a chunk


class ReadableStream(JsProxy):
    """Chunks of bytes, as they arrive."""

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
            return ValueStream(source)
        return ValueStream(filled_by(options_of(source, named.items())))

    @classmethod
    def from_(cls, chunks: Any) -> ReadableStream:
        """A stream of what an iterable gives, which may be asynchronous."""
        chunks = unwrapped(chunks)
        return ValueStream(aiter(chunks) if hasattr(chunks, "__aiter__") else _once(chunks))

    @classmethod
    def of(cls, data: bytes) -> ReadableStream:
        """A stream of what is there already."""
        return cls(_once([data] if data else []))

    def getReader(self) -> Reader:
        """A reader; no other reader can be made until it is released.

        Raises:
            JsTypeError: somebody reads already.
        """
        self.lock()
        return Reader(self)

    def tee(self) -> tuple[ReadableStream, ReadableStream]:
        """Two streams of the same chunks; this one is read by them alone."""
        self.lock()
        source = _Shared(self.kept())
        return self._like(source.branch(0)), self._like(source.branch(1))

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

    def pipeThrough(self, transform: Any, *_: Any, **__: Any) -> Any:
        """Let all that is left go through what has a writable and a readable side.

        Returns:
            The readable side.

        Raises:
            JsTypeError: somebody reads already, or writes to the other side.
        """
        into = getattr(transform, "fed_by", None)
        if into is not None and into(self):
            return transform.readable
        piping = own_tasks.begin(self.pipeTo(transform.writable))
        own_tasks.when_done(piping, _retrieved)
        return transform.readable

    async def read_all(self) -> bytes:
        """Read all that is left."""
        return b"".join([chunk async for chunk in self.kept().chunks()])

    def kept(self) -> ReadableStream:
        """The same, for a reader who keeps what was read, as far as one can tell."""
        return self

    async def cancel(self, reason: object = None) -> None:
        """Read no further; the source of the chunks may close."""
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

    async def next_value(self) -> Any:
        """The next chunk as code sees it; END at the end."""
        chunk = await self.next_chunk()
        return END if chunk is None else JsBytes(chunk)

    async def chunks(self) -> AsyncIterator[bytes]:
        """All that is left, as bytes."""
        self.lock()
        while (chunk := await self.next_chunk()) is not None:
            yield chunk

    def _like(self, chunks: AsyncIterator[Any]) -> ReadableStream:
        """Return another stream of such chunks."""
        return ReadableStream(chunks)

    async def __aiter__(self) -> AsyncIterator[Any]:
        self.lock()
        while (value := await self.next_value()) is not END:
            yield value

    def lock(self) -> None:
        """Claim the only place of a reader.

        Raises:
            JsTypeError: somebody reads already.
        """
        if self.locked:
            raise JsTypeError("This ReadableStream is currently locked to a reader.")
        self.locked = True

    def __wakeful_transfer__(self) -> ReadableStream:
        return self


setattr(ReadableStream, "from", ReadableStream.from_)  # a keyword of Python


class ValueStream(ReadableStream):
    """Chunks of any kind, as code has made them; those of a body have to be bytes or text."""

    __slots__ = ()

    async def next_value(self) -> Any:
        """The next chunk as code sees it; END at the end."""
        self.disturbed = True
        value: object = await anext(self._chunks, END)
        return JsBytes(value) if isinstance(value, bytes | bytearray | memoryview) else value

    async def next_chunk(self) -> bytes | None:
        """The next chunk as bytes; None at the end.

        Raises:
            JsTypeError: the chunk is neither text nor bytes.
        """
        while (value := await self.next_value()) is not END:
            if chunk := as_bytes(value):
                return chunk
        return None

    def _like(self, chunks: AsyncIterator[Any]) -> ReadableStream:
        return ValueStream(chunks)


class Reader(JsProxy):
    """What `getReader()` gives."""

    __slots__ = ("_stream",)
    js_name = "ReadableStreamDefaultReader"

    def __init__(self, stream: ReadableStream) -> None:
        self._stream: ReadableStream | None = stream

    async def read(self) -> JsDict:
        """The next chunk as `value`, or `done`."""
        value = await self._owned().next_value()
        return JsDict(done=value is END, value=None if value is END else value)

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
    """One source with two readers: a chunk that one has read first waits for the other."""

    def __init__(self, source: ReadableStream) -> None:
        self._source = source
        self._waiting: tuple[deque[Any], deque[Any]] = (deque(), deque())
        self._reading = asyncio.Lock()

    async def branch(self, side: int) -> AsyncIterator[Any]:
        mine = self._waiting[side]
        while mine or await self._pull(mine):
            yield mine.popleft()

    async def _pull(self, mine: deque[Any]) -> bool:
        async with self._reading:
            if mine:
                return True  # the other branch has read meanwhile
            value = await self._source.next_value()
            if value is END:
                return False
            for waiting in self._waiting:
                waiting.append(value)
            return True


def _retrieved(piping: Future[None]) -> None:
    """Mark the error of a pipe as seen: the reader at the pipe's end gets it too."""
    if not piping.cancelled():
        piping.exception()


async def _once(chunks: Iterable[Any]) -> AsyncIterator[Any]:
    for chunk in chunks:
        yield chunk
