"""TextEncoderStream and TextDecoderStream: texts to bytes and back, chunk by chunk.

Source:  Encoding standard; workerd, where a TextDecoderStream is fatal by default.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from typing import Any

from wakeful.workers.proxies import options_of
from wakeful.workers.shims.codecs import TextDecoder
from wakeful.workers.values import js_string, utf8
from wakeful.workers.web.pipes import Pipe
from wakeful.workers.web.streams import ValueStream


class TextEncoderStream(Pipe):
    """`js.TextEncoderStream`: texts to UTF-8."""

    js_name = "TextEncoderStream"
    encoding = "utf-8"

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__(_encoded, take=js_string)


class TextDecoderStream(Pipe):
    """`js.TextDecoderStream`: bytes to texts.

    Raises:
        JsRangeError: the encoding is not known.
        JsTypeError: later, the bytes are no text, and it is fatal.
    """

    js_name = "TextDecoderStream"

    def __init__(self, label: str = "utf-8", options: Any = None, **named: Any) -> None:
        decoder = TextDecoder(label, {"fatal": True, **options_of(options, named.items())})
        self.encoding = decoder.encoding
        self.fatal = decoder.fatal
        self.ignoreBOM = decoder.ignoreBOM
        super().__init__(partial(_decoded, decoder=decoder), kind=ValueStream)


async def _encoded(texts: AsyncIterator[str]) -> AsyncGenerator[bytes, None]:
    half = ""  # of a surrogate pair: its other half may be in the next text
    async for text in texts:
        text = half + text
        half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        if data := utf8(text.removesuffix(half)):
            yield data
    if half:
        yield utf8(half)


async def _decoded(
    chunks: AsyncIterator[bytes], *, decoder: TextDecoder
) -> AsyncGenerator[str, None]:
    async for chunk in chunks:
        if text := decoder.decode(chunk, stream=True):
            yield text
    if text := decoder.decode():
        yield text
