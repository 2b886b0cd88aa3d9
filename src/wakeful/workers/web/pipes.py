"""TransformStream: what code writes on one side is read on the other, unchanged.

A writer waits while the reader is behind.

Source:  Streams standard; workerd's IdentityTransformStream, which is what `TransformStream` is.
"""

from __future__ import annotations

from typing import Any

from wakeful.workers.proxies import JsException, JsProxy, JsTypeError, options_of
from wakeful.workers.web.sources import CHUNKS_WAITING_MAX, Channel, chunks_of
from wakeful.workers.web.streams import ReadableStream


class Writer(JsProxy):
    """What `getWriter()` gives."""

    js_name = "WritableStreamDefaultWriter"

    def __init__(self, stream: WritableStream) -> None:
        self._stream: WritableStream | None = stream

    async def write(self, chunk: object) -> None:
        """Hand over a chunk; returns when there is room for another one.

        Raises:
            JsTypeError: it is no bytes, or the stream is closed, or nobody reads.
        """
        channel = self._channel()
        if channel.over:
            raise JsTypeError("This WritableStream has been closed.")
        if channel.left:
            raise JsTypeError("This stream has no reader any more.")
        channel.put(chunk)
        while len(channel.chunks) >= CHUNKS_WAITING_MAX and not channel.left:
            await channel.change()

    async def close(self) -> None:
        """Nothing more comes."""
        self._channel().end()

    async def abort(self, reason: object = None) -> None:
        """Nothing more comes, for a reason that the reader is told."""
        why = reason if isinstance(reason, Exception) else JsException(reason)
        self._channel().end(why)

    def releaseLock(self) -> None:
        """Let others write."""
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
        """A writer; nobody else can write until it is released.

        Raises:
            JsTypeError: somebody writes already.
        """
        if self.locked:
            raise JsTypeError("This WritableStream is currently locked to a writer.")
        self.locked = True
        return Writer(self)

    async def close(self) -> None:
        """Nothing more comes."""
        self.channel.end()


class TransformStream(JsProxy):
    """What is written on one side is read on the other.

    Attributes:
        readable: where chunks are read.
        writable: where they are written.

    Raises:
        JsTypeError: it is to change what goes through it.
    """

    js_name = "TransformStream"

    def __init__(self, transformer: Any = None, **named: Any) -> None:
        if options_of(transformer, named.items()):
            raise JsTypeError(
                "wakeful has only the TransformStream that changes nothing. Change the chunks "
                "before they are written"
            )
        channel = Channel()
        self.readable = ReadableStream(chunks_of(channel))
        self.writable = WritableStream(channel)
