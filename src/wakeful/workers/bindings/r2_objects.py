"""What an R2 bucket gives: R2Object, and R2ObjectBody with its bytes as a stream.

Source:  Cloudflare docs on R2; workerd r2-bucket.c++.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

from wakeful.workers.bindings.r2_options import EXPIRY, HTTP
from wakeful.workers.bindings.r2_store import Record
from wakeful.workers.proxies import JsBytes, JsDict, JsMembers, JsTypeError
from wakeful.workers.shims.objects import JsDate
from wakeful.workers.web.blobs import JsBlob
from wakeful.workers.web.body import Body
from wakeful.workers.web.headers import Headers
from wakeful.workers.web.streams import ReadableStream

ALL: Final = frozenset({"httpMetadata", "customMetadata"})
UNKNOWN: Final = (
    "HTTP metadata unknown for key `{}`. Did you forget to add 'httpMetadata' to `include` when "
    "listing?"
)


class R2Checksums(JsMembers):
    """The known checksums of an object: `md5`, `sha1` and so on, as bytes."""

    js_name = "Checksums"

    def __init__(self, digits: dict[str, str]) -> None:
        self._digits = digits
        for name, text in digits.items():
            setattr(self, name, JsBytes(bytes.fromhex(text)))

    def toJSON(self) -> JsDict:
        """The same in hexadecimal digits."""
        return JsDict(self._digits)


class R2Object(JsMembers):
    """An object without its bytes.

    Args:
        record: what the bucket keeps.
        include: which metadata were asked for.
        span: where the range begins and ends, if there is one.

    Attributes:
        key: its name.
        version: of this upload.
        size: in bytes.
        etag: of its bytes.
        httpEtag: the same in quotes, as headers have it.
        uploaded: when.
        checksums: those that are known.
        httpMetadata: what `writeHttpMetadata` writes; None if it was not asked for.
        customMetadata: names and texts; likewise.
        range: which bytes were asked for.
        storageClass: as it was given; there is one kind of storage.
    """

    js_name = "HeadResult"

    def __init__(
        self,
        record: Record,
        include: frozenset[str] = ALL,
        span: tuple[int, int] | None = None,
    ) -> None:
        about = json.loads(record.about)
        self.key = record.key.decode()
        self.version: str = about["version"]
        self.size = record.size
        self.etag = record.etag
        self.httpEtag = f'"{record.etag}"'
        self.uploaded = JsDate.at(record.uploaded)
        self.checksums = R2Checksums(about["checksums"])
        self.httpMetadata = _http(about["http"]) if "httpMetadata" in include else None
        self.customMetadata = JsDict(about["custom"]) if "customMetadata" in include else None
        self.storageClass: str = about["storage"]
        self.range: JsDict | None = None
        if span is not None:
            self.range = JsDict(offset=span[0], length=span[1] - span[0])

    def writeHttpMetadata(self, headers: Any) -> None:
        """Set the headers that the metadata are for.

        Raises:
            JsTypeError: it is from a listing without them.
        """
        if self.httpMetadata is None:
            raise JsTypeError(UNKNOWN.format(self.key))
        for name, header in HTTP.items():
            if name in self.httpMetadata:
                _set(headers, header, self.httpMetadata[name])
        if EXPIRY in self.httpMetadata:
            when = datetime.fromtimestamp(self.httpMetadata[EXPIRY].getTime() / 1000, UTC)
            _set(headers, "expires", format_datetime(when, usegmt=True))

    def toJSON(self) -> JsDict:
        """Return the members as JSON has them."""
        members = vars(self).items()
        known = ((name, it) for name, it in members if it is not None and not name.startswith("_"))
        return JsDict(known)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key!r}, {self.size} bytes>"


class R2ObjectBody(R2Object):
    """An object with its bytes, or the requested range of them; they can be read once."""

    js_name = "GetResult"

    def __init__(self, record: Record, span: tuple[int, int], stream: ReadableStream) -> None:
        super().__init__(record, span=span)
        assert self.httpMetadata is not None
        kind = self.httpMetadata.get("contentType")
        self._body = Body(stream, Headers.received([("content-type", kind)] if kind else []))

    @property
    def body(self) -> ReadableStream | None:
        """The bytes as they come."""
        return self._body.body

    @property
    def bodyUsed(self) -> bool:
        """Whether the body was read, or a read has begun."""
        return self._body.bodyUsed

    async def arrayBuffer(self) -> JsBytes:
        """All bytes."""
        return await self._body.arrayBuffer()

    async def bytes(self) -> JsBytes:
        """All bytes."""
        return await self._body.bytes()

    async def text(self) -> str:
        """All bytes as UTF-8 text."""
        return await self._body.text()

    async def json(self) -> Any:
        """Parse all bytes as JSON."""
        return await self._body.json()

    async def blob(self) -> JsBlob:
        """All bytes with their type."""
        return await self._body.blob()


def _http(stored: dict[str, Any]) -> JsDict:
    members = JsDict(stored)
    if EXPIRY in members:
        members[EXPIRY] = JsDate.at(members[EXPIRY])
    return members


def _set(headers: Any, name: str, value: str) -> None:
    if isinstance(headers, Headers):
        headers.set(name, value)
    else:
        headers[name] = value
