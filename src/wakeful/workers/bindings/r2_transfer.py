"""Bytes on their way into an R2 bucket and out of it, a chunk at a time.

Invariants: at most about two chunks of a stream are in memory; what was not sent to its end is
            dropped.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final, TypeVar

from wakeful.errors import Overloaded, RuntimeOverloaded, WakefulError
from wakeful.workers.bindings.backing import Answer, Backing
from wakeful.workers.bindings.r2_contents import CHUNK_BYTES, KEPT_SECONDS
from wakeful.workers.bindings.r2_digests import Digests
from wakeful.workers.bindings.r2_options import refused
from wakeful.workers.bindings.r2_store import R2Store
from wakeful.workers.buffers import View
from wakeful.workers.proxies import JsException, JsTypeError
from wakeful.workers.values import utf8
from wakeful.workers.web.blobs import Blob, JsBlob
from wakeful.workers.web.streams import ReadableStream

R = TypeVar("R")
T = TypeVar("T")

INTERNAL: Final = 10001
VALUES: Final = (
    "R2 {}() accepts only strings, ArrayBuffers, ArrayBufferViews, Blobs and ReadableStreams as "
    "values."
)
STALLED: Final = f"Nothing of the value came for more than {KEPT_SECONDS} seconds."
GONE: Final = (
    "The object was replaced or deleted, and its body not read for more than "
    f"{KEPT_SECONDS} seconds."
)


class Transfer:
    """The way to one bucket.

    Args:
        backing: the actor that keeps it.
    """

    def __init__(self, backing: Backing[R2Store]) -> None:
        self._backing = backing

    def ask(
        self,
        action: str,
        call: Callable[[R2Store], Coroutine[Any, Any, R]],
        made: Callable[[R], T],
        *,
        counted: bool = True,
    ) -> Answer[R, T]:
        """Call the actor.

        Args:
            action: what the Worker has called, for errors.
            call: calls a method.
            made: makes of the result what the Worker gets.
            counted: it is a subrequest, and no part of one.
        """

        def error_of(error: WakefulError) -> JsException:
            if isinstance(error, Overloaded | RuntimeOverloaded):
                return refused(action, "Please reduce your concurrent request rate.", 10058)
            return refused(action, str(error), INTERNAL)

        return self._backing.ask(call, made, error_of, counted=counted)

    async def send(self, action: str, chunks: AsyncIterator[bytes], digests: Digests) -> int:
        """Write a content; return its id. It is loose until an object or a part holds it."""
        content = await self.ask(action, lambda store: store.begin(), same)
        try:
            async for chunk in chunks:
                await self._append(action, content, digests.size, chunk)
                digests.update(chunk)
        except BaseException:
            self.drop(action, content)
            raise
        return content

    def drop(self, action: str, content: int) -> None:
        """Drop a content that is not needed; its removal need not be awaited."""
        self.ask(action, lambda store: store.drop(content), same, counted=False)

    def body(self, content: int, span: tuple[int, int], first: bytes) -> ReadableStream:
        """Stream a part of a content, whose first bytes are known."""
        return ReadableStream(self._rest(content, span, first))

    async def _append(self, action: str, content: int, at: int, chunk: bytes) -> None:
        def call(store: R2Store) -> Coroutine[Any, Any, bool]:
            return store.append(content, at, chunk)

        if not await self.ask(action, call, same, counted=False):
            raise refused(action, STALLED, INTERNAL)

    async def _rest(self, content: int, span: tuple[int, int], data: bytes) -> AsyncIterator[bytes]:
        at, end = span
        while at < end:
            if not data:
                raise refused("get", GONE, INTERNAL)
            yield data[: end - at]
            at += len(data)
            data = await self._read(content, at) if at < end else b""

    def _read(self, content: int, at: int) -> Answer[bytes, bytes]:
        return self.ask("get", lambda store: store.read(content, at), same, counted=False)


def same(value: T) -> T:
    """Return the answer unchanged."""
    return value


def value_of(method: str, value: object) -> bytes | ReadableStream:
    """Convert what a Worker wants to store.

    Raises:
        JsTypeError: the value cannot be stored.
    """
    match value:
        case str():
            return utf8(value)
        case bytes() | bytearray() | memoryview() | View():
            return bytes(value)
        case JsBlob():
            return value.data
        case Blob():
            return value.js_object.data
        case ReadableStream():
            return value
        case _:
            raise JsTypeError(VALUES.format(method))


async def cut(value: bytes | ReadableStream) -> AsyncIterator[bytes]:
    """Cut the bytes of a value into chunks; all but the last have the same size."""
    if isinstance(value, bytes):
        for at in range(0, len(value), CHUNK_BYTES):
            yield value[at : at + CHUNK_BYTES]
        return
    waiting = bytearray()
    async for data in value.kept().chunks():
        waiting += data
        while len(waiting) >= CHUNK_BYTES:
            yield bytes(waiting[:CHUNK_BYTES])
            del waiting[:CHUNK_BYTES]
    if waiting:
        yield bytes(waiting)


async def chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield a chunk that was read already, then the rest."""
    yield first
    async for chunk in rest:
        yield chunk
