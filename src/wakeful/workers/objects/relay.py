"""The body of a response on its way out of an object, chunk by chunk.

The object's own code makes the chunks, in a task of the object. What the code writes meanwhile is
committed, and each chunk leaves only when those writes are durable. A slow reader makes the task
wait. A reader that leaves cancels the task, wherever it waits.
"""

from __future__ import annotations

from asyncio import CancelledError, Future, Queue, Task
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from wakeful.errors import ActivationAborted
from wakeful.runtime.gated import Gated
from wakeful.runtime.host_loop import HostLoop
from wakeful.workers.js_errors import ObjectReset, thrown, undelivered
from wakeful.workers.proxies import JsException
from wakeful.workers.web.streams import ReadableStream

CHUNKS_WAITING_MAX: Final = 16


class _Channel:
    """Chunks between the two sides."""

    __slots__ = ("_cancel", "closed", "ended", "queue")

    def __init__(self) -> None:
        self._cancel: Callable[[], object] = _nothing
        self.closed = self.ended = False
        self.queue: Queue[bytes | JsException | None] = Queue(CHUNKS_WAITING_MAX)

    def clear(self) -> None:
        """Drop the waiting chunks; a writer that waits for room goes on."""
        while not self.queue.empty():
            self.queue.get_nowait()

    def fail(self, error: JsException) -> None:
        """End the stream with an error."""
        self.ended = True
        self.clear()
        self.queue.put_nowait(error)

    def filled_by(self, work: Task[None], loop: HostLoop) -> None:
        """Set the task that makes the chunks; it is cancelled when the reader leaves."""
        self._cancel = lambda: loop.soon_from_thread(work.cancel)

    def leave(self) -> None:
        """The reader has left; this may be called from any thread."""
        if not self.closed:
            self.closed = True
            self.clear()
            with suppress(RuntimeError):  # the loop has been closed
                self._cancel()


class _Reader:
    """The reader's side, outside of the object."""

    def __init__(self, channel: _Channel) -> None:
        self._channel = channel

    def __aiter__(self) -> _Reader:
        return self

    async def __anext__(self) -> bytes:
        chunk = None if self._channel.closed else await self._channel.queue.get()
        if isinstance(chunk, bytes):
            return chunk
        self._channel.closed = True
        if chunk is None:
            raise StopAsyncIteration
        raise chunk

    async def aclose(self) -> None:
        """Stop reading."""
        self._channel.leave()

    def __del__(self) -> None:
        self._channel.leave()


def relayed(gated: Gated, content: ReadableStream) -> ReadableStream:
    """Return the same body for a reader outside of the object that makes it."""
    channel = _Channel()
    relay = _relay(gated, content, channel)
    task = gated.keep_awake(relay)
    channel.filled_by(task, gated.loop)

    def ended(task: Future[None]) -> None:
        relay.close()
        if task.cancelled() and not channel.ended:  # before its first step: it could not say so
            channel.fail(_lost(gated))

    gated.loop.when_done(task, ended)
    return ReadableStream(_Reader(channel))


def _lost(gated: Gated) -> JsException:
    """Return why a body breaks off although its own code did not raise."""
    cause = gated.activation.life.cause
    if cause is None:
        return JsException("Network connection lost.")
    error = undelivered(cause)
    error.remote = isinstance(cause, ObjectReset)
    return error


async def _relay(gated: Gated, content: ReadableStream, channel: _Channel) -> None:
    try:
        async for chunk in content.chunks():
            await gated.depart()
            if channel.closed:
                break
            await channel.queue.put(bytes(chunk))
        else:
            channel.ended = True
            await channel.queue.put(None)
    except (ActivationAborted, CancelledError):
        cause = gated.activation.life.cause
        if channel.closed and cause is None:
            content.locked = False
            await content.cancel()
        channel.fail(_lost(gated))
        raise
    except Exception as error:
        channel.fail(thrown(error))
    finally:
        content.locked = False
    await content.cancel()


def _nothing() -> None:
    """The default of `_cancel`: no task makes chunks yet."""
