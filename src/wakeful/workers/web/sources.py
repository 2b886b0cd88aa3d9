"""Where the chunks of a stream come from that code fills: a channel, and what puts chunks into it.

A text is taken as UTF-8 where bytes are meant, which JavaScript refuses. The code that
fills a stream is asked for more only when the reader wants more.

Source:  Streams standard, section on underlying sources; workerd.
"""

from __future__ import annotations

from asyncio import Event, Future
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, Final

from wakeful.workers import own_tasks
from wakeful.workers.buffers import BINARY
from wakeful.workers.proxies import JsException, JsProxy, JsTypeError
from wakeful.workers.values import utf8

CHUNKS_WAITING_MAX: Final = 16
NO_BYTES: Final = (
    "This TransformStream is being used as a byte stream, but received an object of "
    "non-ArrayBuffer/ArrayBufferView type on its writable side."
)


def as_bytes(chunk: object) -> bytes:
    """Convert a chunk that code has made to bytes.

    Raises:
        JsTypeError: the chunk is not bytes.
    """
    if isinstance(chunk, bytes):
        return chunk
    if isinstance(chunk, str):
        return utf8(chunk)
    if isinstance(chunk, BINARY):
        return bytes(chunk)
    raise JsTypeError(NO_BYTES)


class Channel:
    """A channel of chunks from their maker to their reader.

    Args:
        take: makes a chunk of what code hands over.
    """

    def __init__(self, take: Callable[[object], Any] = as_bytes) -> None:
        self.take = take
        self.chunks: deque[Any] = deque()
        self.changed = Event()
        self.over = False
        self.error: Exception | None = None
        self.left = False
        self.cause: Exception | None = None

    def put(self, chunk: object) -> None:
        """Put a chunk.

        Raises:
            JsTypeError: the chunk is not bytes, or the stream is closed.
        """
        if self.over:
            raise JsTypeError("This stream has been closed.")
        taken = self.take(chunk)
        empty = isinstance(taken, bytes | str) and not taken  # no reader waits for that
        if not empty and not self.left:
            self.chunks.append(taken)
        self.wake()

    def end(self, error: Exception | None = None) -> None:
        """End the channel; the reader gets an error after the chunks."""
        self.over, self.error = True, error
        self.wake()

    def leave(self, cause: Exception | None = None) -> None:
        """Note that the reader has left, perhaps for a reason that writers are told."""
        if not self.left:
            self.left, self.cause = True, cause
        self.chunks.clear()
        self.wake()

    async def change(self) -> None:
        """Return when the other side has changed something."""
        await self.changed.wait()

    def wake(self) -> None:
        """Wake the side that waits for the other one."""
        self.changed.set()
        self.changed = Event()


class Controller(JsProxy):
    """What a source of a ReadableStream fills it by."""

    js_name = "ReadableStreamDefaultController"

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @property
    def desiredSize(self) -> int:
        """How many more chunks are wanted."""
        return CHUNKS_WAITING_MAX - len(self._channel.chunks)

    def enqueue(self, chunk: object) -> None:
        """Hand over a chunk.

        Raises:
            JsTypeError: the stream is closed.
        """
        self._channel.put(chunk)

    def close(self) -> None:
        """End the stream."""
        self._channel.end()

    def error(self, reason: object = None) -> None:
        """End the stream, for a reason that the reader gets."""
        why = reason if isinstance(reason, Exception) else JsException(reason)
        self._channel.end(why)


def filled_by(source: Any) -> AsyncGenerator[bytes, None]:
    """The chunks of a source: an object with `start`, which is called now, `pull` and `cancel`."""
    channel = Channel(lambda chunk: chunk)
    controller = Controller(channel)
    start = source.get("start")
    begun = None if start is None else start(controller)
    started = own_tasks.begin(begun) if isinstance(begun, Awaitable) else None
    if started is not None:
        own_tasks.when_done(started, lambda done: _started(channel, done))
    return _pulled(channel, controller, source, started)


def _started(channel: Channel, done: Future[Any]) -> None:
    error = None if done.cancelled() else done.exception()
    if isinstance(error, Exception):
        channel.end(error)
    channel.wake()


async def _pulled(
    channel: Channel, controller: Controller, source: Any, started: Future[Any] | None
) -> AsyncGenerator[bytes, None]:
    """Ask the source when the reader wants more, and tell it when the reader leaves early."""
    pull = source.get("pull")
    try:
        while True:
            while channel.chunks:
                yield channel.chunks.popleft()
            if channel.over:
                break
            if pull is None or (started is not None and not started.done()):
                await channel.change()
            else:
                await _asked(pull, controller, channel)
    except GeneratorExit:
        channel.leave()
        await _called(source.get("cancel"), None)
        raise
    if channel.error is not None:
        raise channel.error


async def _asked(pull: Any, controller: Controller, channel: Channel) -> None:
    """Ask the source for a chunk; wait, if it answers later."""
    await _called(pull, controller)
    if not channel.chunks and not channel.over:
        await channel.change()


async def _called(function: Any, argument: object) -> None:
    result = None if function is None else function(argument)
    if isinstance(result, Awaitable):
        await result
