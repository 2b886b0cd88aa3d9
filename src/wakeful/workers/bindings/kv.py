"""`env.CACHE`: a KV namespace, as Cloudflare's binding has it.

Unlike there, a write is seen by every read that begins after it, and is on disk when `await put`
returns; `cacheTtl` is checked and has nothing to do here.

Errors:  the texts and codes of workerd and of wrangler's local KV.
Source:  Cloudflare docs on KV; workerd kv.c++.
"""

from __future__ import annotations

import json
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, KeysView
from typing import Any, Final, TypeVar

from wakeful.errors import Overloaded, RuntimeOverloaded, WakefulError
from wakeful.workers import own_tasks
from wakeful.workers.bindings.backing import Answer, Backing
from wakeful.workers.bindings.kv_store import Entry, Key, KvStore
from wakeful.workers.buffers import View
from wakeful.workers.proxies import (
    JsArray,
    JsArrayBuffer,
    JsDict,
    JsException,
    JsProxy,
    JsSyntaxError,
    JsTypeError,
    options_of,
)
from wakeful.workers.shims.objects import JsMap
from wakeful.workers.values import copied, js_string, utf8
from wakeful.workers.web.streams import ReadableStream

T = TypeVar("T")

KEY_BYTES_MAX: Final = 512
METADATA_BYTES_MAX: Final = 1024
VALUE_BYTES_MAX: Final = 25 * 1024 * 1024
KEYS_MAX: Final = 100  # of one get
LISTED_MAX: Final = 1_000
SECONDS_MIN: Final = 60  # until something expires
CACHE_SECONDS_MIN: Final = 30
EVER: Final = 2**53 - 1
VALUES: Final = (
    "KV put() accepts only strings, ArrayBuffers, ArrayBufferViews, and ReadableStreams as values."
)
TYPES: Final = (
    'Unknown response type. Possible types are "text", "arrayBuffer", "json", and "stream".'
)


class Listing(JsDict):
    """What `list` answers. Code from before the SDK has `listing.keys`, which a dict has too."""

    @property
    def keys(self) -> ListedKeys:  # type: ignore[override]  # a list, and what a dict has
        """The keys that were found; called, those of the dict."""
        return ListedKeys(self)


class ListedKeys(JsArray):
    """The keys of a listing."""

    def __init__(self, listing: Listing) -> None:
        super().__init__(listing["keys"])
        self._listing = listing

    def __call__(self) -> KeysView[str]:
        """The names of what a listing consists of."""
        return dict.keys(self._listing)


class KvNamespace(JsProxy):
    """One namespace.

    Args:
        backing: the actor that keeps it.
        now_ms: milliseconds since 1970.
    """

    js_name = "KvNamespace"
    __slots__ = ("_backing", "_now_ms")

    def __init__(self, backing: Backing[KvStore], now_ms: Callable[[], int]) -> None:
        self._backing = backing
        self._now_ms = now_ms

    def get(self, key: object, options: object = None, **named: Any) -> Awaitable[Any]:
        """The value of a key, None if there is none; of a list of keys, a map of their values.

        Args:
            key: the key, or at most 100 of them.
            options: "text" (by default), "json", "arrayBuffer", "stream"; or `type` and `cacheTtl`.
            **named: the same by name.
        """
        made, several = _making(options, named, several=isinstance(key, list | tuple))
        return self._read(key, several, lambda entry: entry and made(entry.value))

    def getWithMetadata(self, key: object, options: object = None, **named: Any) -> Awaitable[Any]:
        """`value`, `metadata` and `cacheStatus` of a key; of a list of keys, a map of these."""
        made, several = _making(options, named, several=isinstance(key, list | tuple))

        def found(entry: Entry | None) -> JsDict | None:
            if entry is None:
                return None if several else JsDict(value=None, metadata=None, cacheStatus=None)
            metadata = None if entry.metadata is None else _json(entry.metadata)
            described = JsDict(value=made(entry.value), metadata=metadata)
            return described if several else JsDict(described, cacheStatus=None)

        return self._read(key, several, found)

    def put(
        self, key: object, value: object, options: object = None, **named: Any
    ) -> Awaitable[None]:
        """Set the value of a key; it is on disk when this returns.

        Args:
            key: at most 512 bytes of UTF-8.
            value: text, bytes or a stream, at most 25 MiB.
            options: `expiration` (seconds since 1970) or `expirationTtl` (seconds from now),
                at least a minute away; `metadata`, at most 1024 bytes of JSON.
            **named: the same by name.
        """
        name = _key(key, "PUT")
        given = options_of(options, named.items())
        metadata, expires = _metadata(given.get("metadata")), self._expiry(given)
        if isinstance(value, ReadableStream):
            return own_tasks.begin(self._put_stream(name, value, metadata, expires))
        return self._put(name, _bytes(value), metadata, expires)

    def delete(self, key: object) -> Awaitable[None]:
        """Remove a key, if it is there."""
        name = _key(key, "DELETE")
        return self._ask("DELETE", lambda store: store.delete(name), _same)

    def list(self, options: object = None, **named: Any) -> Awaitable[JsDict]:
        """Keys in order: `keys`, `list_complete`, and `cursor` where there are more.

        Args:
            options: `prefix`; `limit`, at most 1000; `cursor`, to go on.
            **named: the same by name.
        """
        given = options_of(options, named.items())
        prefix, after = _prefix(given.get("prefix")), _after(given.get("cursor"))
        limit = _limit(given.get("limit"))

        def listing(found: tuple[Key, ...]) -> JsDict:
            keys = JsArray(_listed(key) for key in found[:limit])
            if len(found) <= limit:
                return Listing(keys=keys, list_complete=True, cacheStatus=None)
            cursor = urlsafe_b64encode(found[limit - 1].name).decode()
            return Listing(keys=keys, list_complete=False, cursor=cursor, cacheStatus=None)

        # One more than asked for tells whether there are more.
        return self._ask("GET", lambda store: store.list(prefix, after, limit + 1), listing)

    def _read(self, key: Any, several: bool, made: Callable[[Entry | None], Any]) -> Awaitable[Any]:
        keys = [js_string(item) for item in key] if several else [js_string(key)]
        operation = "GET_BULK" if several else "GET"
        if not 1 <= len(keys) <= KEYS_MAX:
            few = "You must request a minimum of 1 key"
            raise _refused(operation, 400, f"You can request a maximum of {KEYS_MAX} keys" if keys
                           else few)  # fmt: skip
        names = tuple(_key(item, operation) for item in keys)

        def read(entries: tuple[Entry | None, ...]) -> Any:
            if not several:
                return made(entries[0])
            _check_sum(entries)
            return JsMap(zip(keys, map(made, entries), strict=True))

        return self._ask(operation, lambda store: store.get(names, VALUE_BYTES_MAX), read)

    def _put(
        self, name: bytes, value: bytes, metadata: str | None, expires: int | None
    ) -> Awaitable[None]:
        if len(value) > VALUE_BYTES_MAX:
            raise _too_long(len(value))
        return self._ask("PUT", lambda store: store.put(name, value, metadata, expires), _same)

    async def _put_stream(
        self, name: bytes, stream: ReadableStream, metadata: str | None, expires: int | None
    ) -> None:
        chunks, size = [], 0
        async for chunk in stream.chunks():
            size += len(chunk)
            if size > VALUE_BYTES_MAX:
                raise _too_long(size)
            chunks.append(chunk)
        await self._put(name, b"".join(chunks), metadata, expires)

    def _expiry(self, given: dict[str, Any]) -> int | None:
        now = self._now_ms() // 1000
        if (ttl := given.get("expirationTtl")) is not None:
            seconds = _whole(ttl)
            if seconds is None or seconds <= 0:
                text = f"expiration_ttl of {js_string(ttl)}. Please specify integer greater than 0."
                raise _refused("PUT", 400, f"Invalid {text}")
            if seconds < SECONDS_MIN:
                text = f"of {seconds}. Expiration TTL must be at least {SECONDS_MIN}."
                raise _refused("PUT", 400, f"Invalid expiration_ttl {text}")
            return min(now + seconds, EVER)
        if (when := given.get("expiration")) is None:
            return None
        seconds = _whole(when)
        if seconds is None or seconds <= now:
            raise _refused(
                "PUT", 400,
                f"Invalid expiration of {js_string(when)}. Please specify integer greater than "
                "the current number of seconds since the UNIX epoch.",
            )  # fmt: skip
        if seconds < now + SECONDS_MIN:
            text = f"of {seconds}. Expiration times must be at least {SECONDS_MIN} seconds in the"
            raise _refused("PUT", 400, f"Invalid expiration {text} future.")
        return min(seconds, EVER)

    def _ask(
        self, operation: str, call: Callable[[KvStore], Any], made: Callable[[Any], T]
    ) -> Answer[Any, T]:
        def error_of(error: WakefulError) -> JsException:
            if isinstance(error, Overloaded | RuntimeOverloaded):
                return _refused(operation, 429, "Too Many Requests")
            return _refused(operation, 500, str(error))

        return self._backing.ask(call, made, error_of)


def _same(value: T) -> T:
    return value


def _refused(operation: str, status: int, text: str) -> JsException:
    return JsException(f"KV {operation} failed: {status} {text}")


def _too_long(size: int) -> JsException:
    return _refused("PUT", 413, f"Value length of {size} exceeds limit of {VALUE_BYTES_MAX}.")


def _key(key: object, operation: str) -> bytes:
    name = utf8(js_string(key))
    if not name:
        raise JsTypeError("Key name cannot be empty.")
    if name in (b".", b".."):
        raise JsTypeError(f'"{name.decode()}" is not allowed as a key name.')
    _check_length(name, operation)
    return name


def _check_length(name: bytes, operation: str) -> None:
    if len(name) > KEY_BYTES_MAX:
        text = f"UTF-8 encoded length of {len(name)} exceeds key length limit of {KEY_BYTES_MAX}."
        raise _refused(operation, 414, text)


def _bytes(value: object) -> bytes:
    match value:
        case str() | bool() | int() | float():
            return utf8(js_string(value))
        case bytes() | bytearray() | memoryview() | View():
            return bytes(value)
        case _:
            raise JsTypeError(VALUES)


def _making(
    options: object, named: dict[str, Any], *, several: bool
) -> tuple[Callable[[bytes], Any], bool]:
    """Return the function that converts stored bytes to the type that was asked for."""
    given = options_of({"type": options} if isinstance(options, str) else options, named.items())
    operation = "GET_BULK" if several else "GET"
    ttl = given.get("cacheTtl")
    if ttl is not None and ((seconds := _whole(ttl)) is None or seconds < CACHE_SECONDS_MIN):
        text = f"of {js_string(ttl)}. Cache TTL must be at least {CACHE_SECONDS_MIN}."
        raise _refused(operation, 400, f"Invalid cache_ttl {text}")
    kind = js_string(given.get("type") or "text")
    if several and kind not in ("text", "json"):
        text = f'"{kind}" is not a valid type. Use "json" or "text"'
        raise _refused(operation, 400, text)
    if kind not in MAKERS:
        raise JsTypeError(TYPES)
    if several and kind == "json":
        return _json_of_several, several
    return MAKERS[kind], several


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _json(text: str) -> Any:
    try:
        return copied(json.loads(text))
    except json.JSONDecodeError as error:
        raise JsSyntaxError(f"{error.msg} in JSON at position {error.pos}") from None


def _json_of_several(value: bytes) -> Any:
    try:
        return _json(_text(value))
    except JsSyntaxError:
        text = "At least one of the requested keys corresponds to a non-json value"
        raise _refused("GET_BULK", 400, text) from None


MAKERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "text": _text,
    "json": lambda value: _json(_text(value)),
    "arrayBuffer": JsArrayBuffer,
    "stream": ReadableStream.of,
}


def _check_sum(entries: tuple[Entry | None, ...]) -> None:
    if sum(len(entry.value) for entry in entries if entry is not None) > VALUE_BYTES_MAX:
        raise _refused("GET_BULK", 413, "Total size of request exceeds the limit of 25MB")


def _metadata(value: object) -> str | None:
    if value is None:
        return None
    text = json.dumps(copied(value), separators=(",", ":"), ensure_ascii=False)
    size = len(utf8(text))
    if size > METADATA_BYTES_MAX:
        message = f"Metadata length of {size} exceeds limit of {METADATA_BYTES_MAX}."
        raise _refused("PUT", 413, message)
    return utf8(text).decode()


def _prefix(value: object) -> bytes:
    prefix = b"" if value is None else utf8(js_string(value))
    _check_length(prefix, "GET")
    return prefix


def _after(cursor: object) -> bytes:
    if cursor is None or cursor == "":
        return b""
    try:
        return urlsafe_b64decode(js_string(cursor))
    except ValueError:
        raise _refused("GET", 400, "Invalid cursor") from None


def _limit(value: object) -> int:
    limit = LISTED_MAX if value is None else _whole(value) or 0
    if limit > LISTED_MAX:
        text = f"of {limit}. Please specify an integer less than {LISTED_MAX}."
        raise _refused("GET", 400, f"Invalid key_count_limit {text}")
    return limit if limit > 0 else LISTED_MAX


def _listed(key: Key) -> JsDict:
    listed = JsDict(name=key.name.decode())
    if key.expires is not None:
        listed["expiration"] = key.expires
    if key.metadata is not None:
        listed["metadata"] = _json(key.metadata)
    return listed


def _whole(value: object) -> int | None:
    """Return the whole number that a number or its text begins with; None: there is none."""
    try:
        number = float(js_string(value))
    except ValueError:
        return None
    return math.floor(number) if math.isfinite(number) else None
