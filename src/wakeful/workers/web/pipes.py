"""Pipes: chunks written on one side are read on the other, unchanged or changed on the way.

A writer waits while the reader is behind. Nothing runs by itself: the reader's calls do the work.

Invariants: when the reader leaves, or a change fails, the writer gets the error, or the stream
            that is piped through does.
Source:     Streams standard; workerd's IdentityTransformStream and FixedLengthStream.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias

from wakeful.workers.proxies import JsException, JsProxy, JsTypeError, options_of
from wakeful.workers.values import SAFE_INT_MAX
from wakeful.workers.web.sources import CHUNKS_WAITING_MAX, Channel, as_bytes
from wakeful.workers.web.streams import END, ReadableStream, ValueStream

NO_LENGTH: Final = "FixedLengthStream requires an integer expected length less than 2^53."


class Writer(JsProxy):
    """The writer that `getWriter()` returns."""

    js_name = "WritableStreamDefaultWriter"

    def __init__(self, stream: WritableStream) -> None:
        self._stream: WritableStream | None = stream

    async def write(self, chunk: object) -> None:
        """Hand over a chunk; returns when there is room for another one.

        Raises:
            JsTypeError: the chunk is not bytes, the stream is closed, or the reader has left.
        """
        channel = self._channel()
        if channel.over:
            raise JsTypeError("This WritableStream has been closed.")
        if channel.left:
            raise channel.cause or JsTypeError("This stream has no reader any more.")
        channel.put(chunk)
        while len(channel.chunks) >= CHUNKS_WAITING_MAX and not channel.left:
            await channel.change()

    async def close(self) -> None:
        """End the stream."""
        self._channel().end()

    async def abort(self, reason: object = None) -> None:
        """End the stream, for a reason that the reader gets."""
        why = reason if isinstance(reason, Exception) else JsException(reason)
        self._channel().end(why)

    def releaseLock(self) -> None:
        """Let other code write."""
        if self._stream is not None:
            self._stream.locked = False
            self._stream = None

    def _channel(self) -> Channel:
        if self._stream is None:
            raise JsTypeError("This WritableStream writer has been released.")
        return self._stream.channel


class WritableStream(JsProxy):
    """The side of a TransformStream that chunks are written to."""

    js_name = "WritableStream"

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.locked = False

    def getWriter(self) -> Writer:
        """A writer; no other writer can be made until it is released.

        Raises:
            JsTypeError: somebody writes already.
        """
        self.lock()
        return Writer(self)

    def lock(self) -> None:
        """Take the only place of a writer.

        Raises:
            JsTypeError: somebody writes already.
        """
        if self.locked:
            raise JsTypeError("This WritableStream is currently locked to a writer.")
        self.locked = True

    async def close(self) -> None:
        """End the stream."""
        self.channel.end()


class Incoming:
    """The input of a pipe: written chunks, or another stream."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._source: ReadableStream | None = None
        self.begun = False

    def comes_from(self, source: ReadableStream) -> None:
        """Read a stream in place of written chunks."""
        self._source = source

    def __aiter__(self) -> Incoming:
        return self

    async def __anext__(self) -> Any:
        self.begun = True
        if self._source is not None:
            return await self._of_source(self._source)
        channel = self._channel
        while not channel.chunks and not channel.over:
            await channel.change()
        if channel.chunks:
            chunk = channel.chunks.popleft()
            channel.wake()
            return chunk
        channel.leave()
        if channel.error is not None:
            raise channel.error
        raise StopAsyncIteration

    async def _of_source(self, source: ReadableStream) -> Any:
        value = await source.next_value()
        if value is END:
            raise StopAsyncIteration
        return self._channel.take(value)

    async def leave(self, cause: Exception | None = None) -> None:
        """Accept no further chunks, perhaps for a reason."""
        self._channel.leave(cause)
        if self._source is not None:
            await self._source.cancel(cause)


Change: TypeAlias = Callable[[AsyncIterator[Any]], AsyncGenerator[Any, None]]


class Outgoing:
    """The output of a pipe."""

    def __init__(self, incoming: Incoming, change: Change | None) -> None:
        self._incoming = incoming
        self._changed = None if change is None else change(incoming)

    def __aiter__(self) -> Outgoing:
        return self

    async def __anext__(self) -> Any:
        if self._changed is None:
            return await anext(self._incoming)
        try:
            return await anext(self._changed)
        except StopAsyncIteration:
            await self._incoming.leave()
            raise
        except Exception as error:
            await self._incoming.leave(error)
            raise

    async def aclose(self) -> None:
        """Note that the reader has left."""
        if self._changed is not None:
            await self._changed.aclose()
        await self._incoming.leave()


class Pipe(JsProxy):
    """What is written on one side is read on the other.

    Args:
        change: what becomes of the chunks on the way.
        take: makes a chunk of what code writes.
        kind: of the readable side.

    Attributes:
        readable: where chunks are read.
        writable: where they are written.
    """

    js_name = "TransformStream"

    def __init__(
        self,
        change: Change | None = None,
        *,
        take: Callable[[object], Any] = as_bytes,
        kind: type[ReadableStream] = ReadableStream,
    ) -> None:
        channel = Channel(take)
        self._incoming = Incoming(channel)
        self.readable = kind(Outgoing(self._incoming, change))
        self.writable = WritableStream(channel)

    def fed_by(self, source: ReadableStream) -> bool:
        """Let a stream go through; False if that has to be done by writing, as chunks are there.

        Raises:
            JsTypeError: somebody reads it, or writes here.
        """
        if self._incoming.begun or self.writable.channel.chunks:
            return False
        self.writable.lock()
        source.lock()
        self._incoming.comes_from(source)
        return True


class IdentityTransformStream(Pipe):
    """`js.IdentityTransformStream`: bytes, unchanged."""

    js_name = "IdentityTransformStream"

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()


class FixedLengthStream(Pipe):
    """`js.FixedLengthStream`: a given number of bytes, unchanged.

    Raises:
        JsTypeError: the length is no whole number; later, there are more or fewer bytes.
    """

    js_name = "FixedLengthStream"

    def __init__(self, length: Any, *_: Any, **__: Any) -> None:
        if not isinstance(length, int | float) or not 0 <= length <= SAFE_INT_MAX:
            raise JsTypeError(NO_LENGTH)
        super().__init__(partial(_counted, length=int(length)))


async def _counted(chunks: AsyncIterator[bytes], *, length: int) -> AsyncGenerator[bytes, None]:
    left = length
    async for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise JsTypeError("Attempt to write too many bytes through a FixedLengthStream.")
        yield chunk
    if left:
        raise JsTypeError("FixedLengthStream did not see all expected bytes before close().")


class TransformController(JsProxy):
    """The controller by which a transformer hands chunks on."""

    js_name = "TransformStreamDefaultController"
    desiredSize = 1

    def __init__(self) -> None:
        self.chunks: deque[Any] = deque()
        self.over = False

    def enqueue(self, chunk: Any = None) -> None:
        """Hand a chunk on."""
        self.chunks.append(chunk)

    def terminate(self) -> None:
        """End the output."""
        self.over = True

    def error(self, reason: object = None) -> None:
        """End the output, for a reason that the reader gets."""
        raise reason if isinstance(reason, Exception) else JsException(reason)


class TransformStream(Pipe):
    """`js.TransformStream`: what a transformer makes of chunks; without one, bytes, unchanged.

    A transformer is an object with `start`, `transform` and `flush`, or some of them.
    """

    def __init__(self, transformer: Any = None, *_: Any, **named: Any) -> None:
        given = options_of(transformer, named.items())
        if given:
            super().__init__(partial(_transformed, by=given), take=_as_it_is, kind=ValueStream)
        else:
            super().__init__()


async def _transformed(
    chunks: AsyncIterator[Any], *, by: dict[str, Any]
) -> AsyncGenerator[Any, None]:
    controller = TransformController()
    out, transform = controller.chunks, by.get("transform", _handed_on)
    await _called(by.get("start"), controller)
    async for chunk in chunks:
        await _called(transform, chunk, controller)
        while out:
            yield out.popleft()
        if controller.over:
            return
    await _called(by.get("flush"), controller)
    while out:
        yield out.popleft()


async def _called(function: Callable[..., Any] | None, *args: object) -> None:
    if function is not None:
        result = function(*args)
        if isinstance(result, Awaitable):
            await result


def _handed_on(chunk: Any, controller: TransformController) -> None:
    controller.enqueue(chunk)


def _as_it_is(chunk: object) -> object:
    return chunk
