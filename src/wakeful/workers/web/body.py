"""What a request and a response have in common: headers, and a body that is read once.

Invariants: a body is complete text or bytes, or a stream; reading `.body` makes it a stream, and
            reading that stream uses the body.
Errors:     JsTypeError on a second read; Python's face says OSError "Body already used".
Source:     Fetch standard, section Body; the texts are workerd's.
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeAlias

from wakeful.workers import js_json
from wakeful.workers.buffers import View
from wakeful.workers.proxies import JsArray, JsBytes, JsDict, JsProxy, JsTypeError
from wakeful.workers.values import js_string, utf8
from wakeful.workers.web.blobs import Blob, JsBlob, essence
from wakeful.workers.web.forms import FormData, JsFormData
from wakeful.workers.web.headers import Headers
from wakeful.workers.web.multipart import URLENCODED, parse_form, write_form
from wakeful.workers.web.streams import ReadableStream
from wakeful.workers.web.urls import URLSearchParams

Content: TypeAlias = bytes | ReadableStream | None

TEXT: Final = "text/plain;charset=UTF-8"
USED: Final = (
    "Body has already been used. It can only be used once. Use tee() first if you need to read it "
    "twice."
)


NOT_CLONED: Final = "This ReadableStream is currently locked to a reader,"  # as workerd writes it


def extract(body: object) -> tuple[Content, str | None]:
    """What a body given by user code is made of, and the Content-Type it brings along.

    Raises:
        JsTypeError: it is a stream that somebody reads.
    """
    match body:
        case str():
            return utf8(body), TEXT
        case None:
            return None, None
        case bytes() | bytearray() | memoryview() | View():
            return bytes(body), None
        case FormData() | Blob():
            return extract(body.js_object)
        case JsFormData():
            return write_form(body)
        case JsBlob():
            return body.data, body.type or None
        case URLSearchParams():
            return utf8(body.toString()), f"{URLENCODED};charset=UTF-8"
        case ReadableStream():
            if body.disturbed or body.locked:
                raise JsTypeError(
                    "This ReadableStream is disturbed (has already been read from), and cannot be "
                    "used as a body."
                )
            return body, None
        case _:
            return utf8(_text(body)), TEXT


def _text(body: object) -> str:
    """Convert a value that is neither text nor bytes to text; containers read as in Python."""
    return str(body) if type(body) in (dict, list, tuple) else js_string(body)


class Body(JsProxy):
    """Headers and a body."""

    __slots__ = ("_content", "_used", "headers")

    def __init__(self, content: Content, headers: Headers) -> None:
        self._content = content
        self._used = False
        self.headers = headers

    @property
    def body(self) -> ReadableStream | None:
        """The body as a stream; None if there is none."""
        if isinstance(self._content, bytes):
            stream = ReadableStream.of(self._content)
            stream.disturbed = self._used
            self._content = stream
        return self._content

    @property
    def bodyUsed(self) -> bool:
        """Whether the body was read, or a read has begun."""
        if isinstance(self._content, ReadableStream):
            return self._used or self._content.disturbed
        return self._used

    def content(self) -> Content:
        """Return the body unread, for inspection."""
        return self._content

    def take(self) -> Content:
        """Take the body to send or read it elsewhere: it counts as used now.

        Raises:
            JsTypeError: it has been used.
        """
        if self.bodyUsed:
            raise JsTypeError(USED)
        if isinstance(self._content, ReadableStream) and self._content.locked:
            raise JsTypeError("This ReadableStream is currently locked to a reader.")
        self._used = self._content is not None
        return self._content

    def split(self) -> Content:
        """Return a second body for a clone; both can be read.

        Raises:
            JsTypeError: it has been used.
        """
        if self.bodyUsed or (isinstance(self._content, ReadableStream) and self._content.locked):
            raise JsTypeError(NOT_CLONED)
        if isinstance(self._content, ReadableStream):
            self._content, other = self._content.tee()
            return other
        return self._content

    async def bytes(self) -> JsBytes:
        """The whole body."""
        content = self.take()
        if isinstance(content, ReadableStream):
            content = await content.read_all()
        return JsBytes(content or b"")

    async def arrayBuffer(self) -> JsBytes:
        """The whole body."""
        return await self.bytes()

    async def text(self) -> str:
        """The whole body as UTF-8 text."""
        return (await self.bytes()).decode("utf-8-sig", "replace")

    async def json(self) -> Any:
        """The value that the body is JSON of.

        Raises:
            JsSyntaxError: the body is not JSON.
        """
        return js_json.read(await self.text())

    async def blob(self) -> JsBlob:
        """The body with its type."""
        blob = JsBlob([await self.bytes()])
        blob.type = essence(self.headers.get("content-type") or "")
        return blob

    async def formData(self) -> JsFormData:
        """The form that the body is.

        Raises:
            JsTypeError: the body is not a form.
        """
        content_type = self.headers.get("content-type")
        if content_type is None:
            raise JsTypeError("Parsing a Body as FormData requires a Content-Type header.")
        return parse_form(await self.bytes(), content_type)


def own_headers(init: object, content_type: str | None) -> Headers:
    """Return the given headers, with the Content-Type of the body unless they have one."""
    headers = Headers(init)
    if content_type is not None:
        headers.set_missing("content-type", content_type)
    return headers


class BodyFace:
    """What Python's request and response have in common."""

    __slots__ = ("_body",)

    def __init__(self, body: Body) -> None:
        self._body = body

    def check_unused(self) -> None:
        """Refuse a second read.

        Raises:
            OSError: the body has been used.
        """
        if self._body.bodyUsed:
            raise OSError("Body already used")

    @property
    def body(self) -> ReadableStream | None:
        """The body as a stream; None if there is none."""
        return self._body.body

    @property
    def body_used(self) -> bool:
        """Whether the body was read, or a read has begun."""
        return self._body.bodyUsed

    async def text(self) -> str:
        """The whole body as UTF-8 text."""
        self.check_unused()
        return await self._body.text()

    async def bytes(self) -> bytes:
        """The whole body."""
        self.check_unused()
        return bytes(await self._body.bytes())

    async def buffer(self) -> JsBytes:
        """The whole body."""
        self.check_unused()
        return await self._body.arrayBuffer()

    async def blob(self) -> Blob:
        """The body with its type."""
        self.check_unused()
        return Blob.of(await self._body.blob())

    async def form_data(self) -> FormData:
        """The form that the body is."""
        self.check_unused()
        return FormData(await self._body.formData())

    async def parsed(self, options: dict[str, Any]) -> Any:
        """The value that the body is JSON of; objects are dicts with JavaScript's ways.

        Args:
            options: those of `json.loads`; with some, it is what that makes of it.
        """
        text = await self.text()
        if options:
            return json.loads(text, **options)
        value = json.loads(text, object_pairs_hook=JsDict)
        return JsArray(value) if type(value) is list else value

    # What code from before the SDK calls the same: it had JavaScript's own objects.
    arrayBuffer = buffer
    formData = form_data
    bodyUsed = body_used
