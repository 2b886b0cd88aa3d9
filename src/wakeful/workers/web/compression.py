"""CompressionStream and DecompressionStream: gzip, deflate and deflate-raw, a piece at a time.

A stream that becomes much larger takes no more memory than its reader keeps: nothing is unpacked
before the reader asks for it, and other tasks run between two pieces.

Source:  Compression Streams standard; the texts of errors are workerd's, with `strict_compression`.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from functools import partial
from typing import Any, Final

from wakeful.workers.proxies import JsTypeError
from wakeful.workers.values import js_string
from wakeful.workers.web.pipes import Pipe

PIECE_BYTES: Final = 64 * 1024
WINDOWS: Final = {"gzip": 31, "deflate": 15, "deflate-raw": -15}
NO_FORMAT: Final = "The compression format must be either 'deflate', 'deflate-raw' or 'gzip'."


class CompressionStream(Pipe):
    """`js.CompressionStream`: packs bytes.

    Raises:
        JsTypeError: the format is not known.
    """

    js_name = "CompressionStream"

    def __init__(self, format: Any, *_: Any, **__: Any) -> None:
        super().__init__(partial(_packed, window=_window(format)))


class DecompressionStream(Pipe):
    """`js.DecompressionStream`: unpacks bytes.

    Raises:
        JsTypeError: the format is not known; later, the bytes are not of it.
    """

    js_name = "DecompressionStream"

    def __init__(self, format: Any, *_: Any, **__: Any) -> None:
        super().__init__(partial(_unpacked, window=_window(format)))


def _window(format: Any) -> int:
    try:
        return WINDOWS[js_string(format)]
    except KeyError:
        raise JsTypeError(NO_FORMAT) from None


async def _packed(chunks: AsyncIterator[bytes], *, window: int) -> AsyncGenerator[bytes, None]:
    packing = zlib.compressobj(wbits=window)
    async for chunk in chunks:
        for start in range(0, len(chunk), PIECE_BYTES):
            if packed := packing.compress(chunk[start : start + PIECE_BYTES]):
                yield packed
            await asyncio.sleep(0)
    yield packing.flush()


async def _unpacked(chunks: AsyncIterator[bytes], *, window: int) -> AsyncGenerator[bytes, None]:
    unpacking = zlib.decompressobj(wbits=window)
    async for chunk in chunks:
        for piece in _pieces(unpacking, chunk):
            yield piece
            await asyncio.sleep(0)
    if not unpacking.eof:
        raise JsTypeError("Called close() on a decompression stream with incomplete data")


def _pieces(unpacking: Any, data: bytes) -> Iterator[bytes]:
    """Yield the converted bytes piece by piece: after a full piece there may be more."""
    full = True
    while data or full:
        if unpacking.eof:
            if data:
                raise JsTypeError("Trailing bytes after end of compressed data")
            return
        try:
            piece = unpacking.decompress(data, PIECE_BYTES)
        except zlib.error:
            raise JsTypeError("Decompression failed.") from None
        data, full = unpacking.unconsumed_tail or unpacking.unused_data, len(piece) == PIECE_BYTES
        if piece:
            yield piece
