"""The body of a response on its way out of an object, chunk by chunk.

The chunks are made by the object's own code, in a task of the object: what it writes meanwhile is
committed, and each chunk leaves only when that is durable. A reader that falls behind makes the
object wait; one that goes away ends it.
"""

from __future__ import annotations

from asyncio import CancelledError, Queue
from typing import Final

from wakeful.errors import ActivationAborted
from wakeful.runtime.gated import Gated
from wakeful.workers.failures import thrown, undelivered
from wakeful.workers.proxies import JsException
from wakeful.workers.web.streams import ReadableStream

CHUNKS_WAITING_MAX: Final = 16


class _Channel:
    """Chunks between the two sides."""

    __slots__ = ("closed", "queue")

    def __init__(self) -> None:
        self.closed = False
        self.queue: Queue[bytes | JsException | None] = Queue(CHUNKS_WAITING_MAX)

    def clear(self) -> None:
        """Forget what waits, which lets go of a side that waits for room."""
        while not self.queue.empty():
            self.queue.get_nowait()

    def fail(self, error: JsException) -> None:
        """Nothing more comes, for this reason."""
        self.clear()
        self.queue.put_nowait(error)


class _Reader:
    """The side outside of the object."""

    def __init__(self, channel: _Channel) -> None:
        self._channel = channel

    def __aiter__(self) -> _Reader:
        return self

    async def __anext__(self) -> bytes:
        chunk = None if self._channel.closed else await self._channel.queue.get()
        if isinstance(chunk, bytes):
            return chunk
        await self.aclose()
        if chunk is None:
            raise StopAsyncIteration
        raise chunk

    async def aclose(self) -> None:
        """Take no more."""
        self._channel.closed = True
        self._channel.clear()

    def __del__(self) -> None:
        self._channel.closed = True
        self._channel.clear()


def relayed(gated: Gated, content: ReadableStream) -> ReadableStream:
    """The same body, for somebody outside of the object that makes it."""
    channel = _Channel()
    gated.keep_awake(_relay(gated, content, channel))
    return ReadableStream(_Reader(channel))


async def _relay(gated: Gated, content: ReadableStream, channel: _Channel) -> None:
    try:
        async for chunk in content:
            await gated.depart()
            if channel.closed:
                break
            await channel.queue.put(bytes(chunk))
        else:
            await channel.queue.put(None)
    except (ActivationAborted, CancelledError):
        cause = gated.activation.life.cause
        gone = JsException("Network connection lost.")
        channel.fail(undelivered(cause) if cause is not None else gone)
        raise
    except Exception as error:
        channel.fail(thrown(error))
    finally:
        content.locked = False
    await content.cancel()
