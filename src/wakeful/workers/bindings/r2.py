"""`env.BUCKET`: an R2 bucket, as Cloudflare's binding has it.

Bytes go in and out chunk by chunk, so that a body of any size takes the memory of a few. A put is
seen, whole, once it is on disk; a body is that of its get, whatever is put meanwhile.

Errors:  "put: ... (10037)", with the texts and codes of workerd and of wrangler's local R2.
Source:  Cloudflare docs on R2; workerd r2-bucket.c++.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from wakeful.workers import own_tasks
from wakeful.workers.bindings.backing import Backing
from wakeful.workers.bindings.r2_contents import CHUNK_BYTES
from wakeful.workers.bindings.r2_digests import Digests
from wakeful.workers.bindings.r2_listing import after
from wakeful.workers.bindings.r2_multipart import R2MultipartUpload
from wakeful.workers.bindings.r2_objects import R2Object, R2ObjectBody
from wakeful.workers.bindings.r2_options import (
    read_about,
    read_condition,
    read_include,
    read_key,
    read_keys,
    read_limit,
    read_options,
    read_range,
    refused,
)
from wakeful.workers.bindings.r2_store import Draft, Found, Page, R2Store, Record
from wakeful.workers.bindings.r2_transfer import (
    INTERNAL,
    STALLED,
    Transfer,
    chained,
    cut,
    same,
    value_of,
)
from wakeful.workers.proxies import JsArray, JsDict, JsProxy, options_of
from wakeful.workers.values import js_string, utf8


class R2Bucket(JsProxy):
    """One bucket.

    Args:
        backing: the actor that keeps it.
        random_bytes: that many random bytes.
    """

    js_name = "R2Bucket"

    def __init__(self, backing: Backing[R2Store], random_bytes: Callable[[int], bytes]) -> None:
        self._transfer = Transfer(backing)
        self._random_bytes = random_bytes

    def head(self, key: object) -> Awaitable[R2Object | None]:
        """An object without its bytes; None if there is none."""
        name = read_key("head", key)
        return self._transfer.ask("head", lambda store: store.head(name), _headed)

    def get(self, key: object, options: object = None, **named: Any) -> Awaitable[Any]:
        """An object with its bytes; without them, if `onlyIf` is not true; None if there is none.

        Args:
            key: its name.
            options: `range`: `offset` and `length`, or `suffix`, or headers; `onlyIf`:
                `etagMatches`, `etagDoesNotMatch`, `uploadedBefore`, `uploadedAfter`, or headers.
            **named: the same by name.
        """
        name, given = read_key("get", key), read_options("get", options, named)
        only_if, part = read_condition(given.get("onlyIf")), read_range(given.get("range"))

        def found(it: Found | None) -> R2Object | None:
            if it is None or not it.holds:
                return None if it is None else R2Object(it.record)
            if it.span is None:
                raise refused("get", "The requested range is not satisfiable", 10039)
            body = self._transfer.body(it.record.content, it.span, it.data)
            return R2ObjectBody(it.record, it.span, body)

        return self._transfer.ask("get", lambda store: store.get(name, only_if, part), found)

    def put(
        self, key: object, value: object, options: object = None, **named: Any
    ) -> Awaitable[R2Object | None]:
        """Set an object; it is on disk when this returns. None if `onlyIf` is not true.

        Args:
            key: at most 1024 bytes of UTF-8.
            value: text, bytes, a blob, a stream, or None for no bytes.
            options: `httpMetadata` (or headers), `customMetadata`, `onlyIf`, `storageClass`, and
                one of `md5`, `sha1`, `sha256`, `sha384`, `sha512` to be checked.
            **named: the same by name.
        """
        name, given = read_key("put", key), read_options("put", options, named)
        only_if, digests = read_condition(given.get("onlyIf")), Digests("put", given)
        about, version = read_about("put", given), self._random_bytes(16).hex()

        def draft() -> Draft:
            kept = about.written(version, digests.checksums())
            return Draft(name, digests.size, digests.etag, kept, only_if)

        data = b"" if value is None else value_of("put", value)
        if isinstance(data, bytes) and len(data) < CHUNK_BYTES:
            return self._put(data, digests, draft)
        return own_tasks.begin(self._put_chunks(cut(data), digests, draft))

    def delete(self, keys: object) -> Awaitable[None]:
        """Remove an object, or at most 1000 objects; a key without an object is no error."""
        names = read_keys(keys)
        return self._transfer.ask("delete", lambda store: store.delete(names), same)

    def list(self, options: object = None, **named: Any) -> Awaitable[JsDict]:
        """Objects by key: `objects`, `delimitedPrefixes`, `truncated`, and `cursor` if it is.

        Args:
            options: `prefix`, `delimiter`, `startAfter`; `limit`, at most 1000; `cursor`, to go
                on; `include`, of "httpMetadata" and "customMetadata".
            **named: the same by name.
        """
        given = options_of(options, named.items())
        prefix, delimiter = _text(given.get("prefix")), _text(given.get("delimiter"))
        limit, include = read_limit(given.get("limit")), read_include(given.get("include"))
        place = max(_after(given.get("startAfter")), _place(given.get("cursor")))

        def listing(page: Page) -> JsDict:
            made = JsDict(
                objects=JsArray(R2Object(record, include) for record in page.records),
                truncated=page.place is not None,
                delimitedPrefixes=JsArray(one.decode() for one in page.prefixes),
            )
            if page.place is not None:
                made["cursor"] = urlsafe_b64encode(page.place).decode()
            return made

        return self._transfer.ask(
            "list", lambda store: store.list(prefix, place, delimiter, limit), listing
        )

    def createMultipartUpload(
        self, key: object, options: object = None, **named: Any
    ) -> Awaitable[R2MultipartUpload]:
        """Begin an upload in parts.

        Args:
            key: of the object.
            options: `httpMetadata`, `customMetadata` and `storageClass` of the object.
            **named: the same by name.
        """
        action = "createMultipartUpload"
        name, given = read_key(action, key), read_options(action, options, named)
        about = read_about(action, given).written(self._random_bytes(16).hex(), {})
        upload = self._random_bytes(64).hex()

        def made(_: None) -> R2MultipartUpload:
            return self.resumeMultipartUpload(key, upload)

        return self._transfer.ask(action, lambda store: store.create(upload, name, about), made)

    def resumeMultipartUpload(self, key: object, upload: object) -> R2MultipartUpload:
        """Return an upload that was begun earlier; whether it exists is checked when it is used."""
        return R2MultipartUpload(self._transfer, js_string(key), js_string(upload))

    def _put(
        self, data: bytes, digests: Digests, draft: Callable[[], Draft]
    ) -> Awaitable[R2Object | None]:
        digests.update(data)
        wanted = draft()
        return self._transfer.ask("put", lambda store: store.put(wanted, data), _headed)

    async def _put_chunks(
        self, chunks: AsyncIterator[bytes], digests: Digests, draft: Callable[[], Draft]
    ) -> R2Object | None:
        first = await anext(chunks, b"")
        if len(first) < CHUNK_BYTES:
            return await self._put(first, digests, draft)
        content = await self._transfer.send("put", chained(first, chunks), digests)
        try:
            wanted = draft()
        except BaseException:
            self._transfer.drop("put", content)
            raise

        def finished(it: tuple[bool, Record | None]) -> R2Object | None:
            if not it[0]:
                raise refused("put", STALLED, INTERNAL)
            return _headed(it[1])

        return await self._transfer.ask(
            "put", lambda store: store.finish(wanted, content), finished, counted=False
        )


def _headed(record: Record | None) -> R2Object | None:
    return None if record is None else R2Object(record)


def _text(value: object) -> bytes:
    return b"" if value is None else utf8(js_string(value))


def _after(key: object) -> bytes:
    return b"" if key is None else after(_text(key))


def _place(cursor: object) -> bytes:
    if cursor is None:
        return b""
    try:
        return urlsafe_b64decode(js_string(cursor))
    except ValueError:
        raise refused("list", "The cursor is none that a listing has given.", 10029) from None
