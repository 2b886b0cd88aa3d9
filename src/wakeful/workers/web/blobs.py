"""Blob and File: bytes with a type, and a name; they never change.

Shapes:  `JsBlob` and `JsFile` are JavaScript's objects; `Blob` and `File` are Python's face of
         them, as the module `workers` exports it.
Source:  File API standard; the Workers SDK.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

from wakeful.workers.buffers import View
from wakeful.workers.proxies import JsBytes, JsProxy, JsTypeError, options_of
from wakeful.workers.values import js_string, utf8
from wakeful.workers.web.streams import ReadableStream


class BlobEnding(StrEnum):
    """What becomes of line ends in text."""

    TRANSPARENT = "transparent"
    NATIVE = "native"


class JsBlob(JsProxy):
    """Bytes with a type."""

    __slots__ = ("data", "type")
    js_name = "Blob"

    def __init__(self, parts: Iterable[Any] = (), options: object = None, **named: object) -> None:
        if isinstance(parts, str) or not isinstance(parts, Iterable):
            raise JsTypeError(
                f"Failed to construct '{self.js_name}': constructor parameter 1 is not of type "
                "'Array'."
            )
        members = options_of(options, named.items())
        native = members.get("endings") == BlobEnding.NATIVE
        self.data = b"".join(_bytes_of(part, native=native) for part in parts)
        kind = members.get("type") or ""
        text = str(kind)
        self.type = text.lower() if text.isascii() and text.isprintable() else ""

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self.data)

    async def text(self) -> str:
        """The bytes as UTF-8 text."""
        return self.data.decode("utf-8", "replace")

    async def arrayBuffer(self) -> JsBytes:
        """The bytes."""
        return JsBytes(self.data)

    async def bytes(self) -> JsBytes:
        """The bytes."""
        return JsBytes(self.data)

    def stream(self) -> ReadableStream:
        """The bytes as a stream."""
        return ReadableStream.of(self.data)

    def slice(
        self, start: int | None = None, end: int | None = None, content_type: str | None = None
    ) -> JsBlob:
        """Part of it; negative places count from the end."""
        return JsBlob([self.data[start:end]], type=content_type)

    def __wakeful_transfer__(self) -> Blob:
        return Blob.of(self)


class JsFile(JsBlob):
    """A blob with a name."""

    __slots__ = ("lastModified", "name")
    js_name = "File"

    def __init__(
        self,
        parts: Iterable[Any],
        name: str | None = None,
        options: object = None,
        **named: object,
    ) -> None:
        super().__init__(parts, options, **named)
        if name is None:
            raise JsTypeError(
                "Failed to construct 'File': constructor parameter 2 is not of type 'string'."
            )
        self.name = name
        self.lastModified = int(options_of(options, named.items()).get("lastModified") or 0)


PARTS: Final = str | bytes | bytearray | memoryview | View | JsBlob


class Blob:
    """Bytes with a type, for Python code."""

    __slots__ = ("js_object",)
    js_object: JsBlob

    def __init__(
        self,
        blob_parts: Any,
        content_type: str | None = None,
        endings: BlobEnding | str | None = None,
    ) -> None:
        parts, inherited = _parts(blob_parts)
        if content_type is None and isinstance(inherited, JsBlob):
            content_type = inherited.type
        self.js_object = JsBlob(parts, type=content_type, endings=endings)

    @staticmethod
    def of(blob: JsBlob) -> Blob:
        """Python's face of a JavaScript object: a File of a JsFile."""
        face = object.__new__(File if isinstance(blob, JsFile) else Blob)
        face.js_object = blob
        return face

    @property
    def _js_blob(self) -> JsBlob:
        """JavaScript's blob, by the name that it has inside of the SDK."""
        return self.js_object

    @property
    def size(self) -> int:
        """The number of bytes."""
        return self.js_object.size

    @property
    def content_type(self) -> str:
        """The type, or an empty text."""
        return self.js_object.type

    async def text(self) -> str:
        """The bytes as UTF-8 text."""
        return await self.js_object.text()

    async def bytes(self) -> bytes:
        """The bytes."""
        return self.js_object.data

    def slice(
        self, start: int | None = None, end: int | None = None, content_type: str | None = None
    ) -> Blob:
        """Part of it; negative places count from the end."""
        return Blob.of(self.js_object.slice(start, end, content_type))

    def __wakeful_transfer__(self) -> Blob:
        return self


class File(Blob):
    """A blob with a name, for Python code."""

    __slots__ = ()
    js_object: JsFile

    def __init__(
        self,
        blob_parts: Any,
        filename: str,
        content_type: str | None = None,
        endings: BlobEnding | str | None = None,
        last_modified: int | None = None,
    ) -> None:
        parts, inherited = _parts(blob_parts)
        if content_type is None and isinstance(inherited, JsBlob):
            content_type = inherited.type
        if last_modified is None and isinstance(inherited, JsFile):
            last_modified = inherited.lastModified
        self.js_object = JsFile(
            parts, filename, type=content_type, endings=endings, lastModified=last_modified
        )

    @property
    def name(self) -> str:
        """The file's name."""
        return self.js_object.name

    @property
    def last_modified(self) -> int:
        """Milliseconds since 1970; 0 if no time was given."""
        return self.js_object.lastModified


def essence(content_type: str) -> str:
    """A type as a blob has it: names in lower case, no blanks around parameters."""
    kind, *parameters = (part.strip(" \t") for part in content_type.split(";"))
    pairs = (parameter.partition("=") for parameter in parameters)
    return ";".join([kind.lower(), *(f"{name.lower()}={value}" for name, _, value in pairs)])


def _parts(given: Any) -> tuple[list[Any], object]:
    """The parts, and the one part that is given by itself: its type is inherited."""
    if isinstance(given, PARTS | Blob):
        return [given], given.js_object if isinstance(given, Blob) else given
    parts = list(given) if isinstance(given, Iterable) else [given]
    for part in parts:
        if not isinstance(part, PARTS | Blob):
            raise TypeError(f"Don't know how to handle {type(part)} for Blob()")
    return parts, None


def _bytes_of(part: object, *, native: bool) -> bytes:
    match part:
        case str():
            return utf8(re.sub(r"\r\n?", "\n", part) if native else part)
        case Blob():
            return part.js_object.data
        case JsBlob():
            return part.data
        case bytes() | bytearray() | memoryview() | View():
            return bytes(part)
        case _:
            return utf8(js_string(part))
