"""`caches`: responses kept in memory, for as long as their headers allow.

One cache belongs to one process, as one belongs to one data center on Cloudflare. When there is no
room, the response that was used least recently is dropped.

Errors:  JsTypeError for what cannot be kept.
Source:  Cloudflare docs on the Cache API; RFC 9111 on freshness.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from wakeful.workers.proxies import JsProxy, JsTypeError, options_of
from wakeful.workers.web.headers import Headers, Pairs
from wakeful.workers.web.outgoing import make_request
from wakeful.workers.web.requests import JsRequest
from wakeful.workers.web.responses import FetchResponse, JsResponse

BYTES_MAX: Final = 64 * 1024 * 1024  # of all caches of a Worker together
NOT_KEPT: Final = frozenset({"no-store", "no-cache", "private"})
# Seconds that responses without a word on it are kept, by status, as Cloudflare's cache has it.
DEFAULT_SECONDS: Final = {200: 7200, 301: 7200, 302: 1200, 303: 1200, 404: 180, 410: 180}
PARTIAL: Final = 206


class Entry(msgspec.Struct, frozen=True):
    """A response that is kept."""

    status: int
    headers: Pairs
    body: bytes
    until_ms: float


class CacheStorage(JsProxy):
    """`caches`.

    Attributes:
        default: the cache without a name.
    """

    js_name = "CacheStorage"

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._entries: OrderedDict[tuple[str, str], Entry] = OrderedDict()
        self._bytes = 0
        self.default = Cache(self, "")

    async def open(self, name: str) -> Cache:
        """The cache of a name."""
        return Cache(self, f"name:{name}")

    def find(self, key: tuple[str, str]) -> Entry | None:
        """Return the kept response, if it is still valid."""
        entry = self._entries.get(key)
        if entry is not None and entry.until_ms <= self._now_ms():
            self.drop(key)
            return None
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def keep(self, key: tuple[str, str], entry: Entry) -> None:
        """Keep a response, unless it is too large by itself."""
        self.drop(key)
        if len(entry.body) > BYTES_MAX:
            return
        self._entries[key] = entry
        self._bytes += len(entry.body)
        while self._bytes > BYTES_MAX:
            self.drop(next(iter(self._entries)))

    def drop(self, key: tuple[str, str]) -> bool:
        """Forget a response; return whether it was kept."""
        entry = self._entries.pop(key, None)
        self._bytes -= 0 if entry is None else len(entry.body)
        return entry is not None

    def lifetime_ms(self, status: int, headers: Headers) -> float:
        """Return how long a response may be kept."""
        words = _words(headers.get("cache-control") or "")
        if NOT_KEPT & words.keys() or headers.has("set-cookie"):
            return 0
        for name in ("s-maxage", "max-age"):
            if name in words:
                return float(words[name]) * 1000 if words[name].isdecimal() else 0
        expires = headers.get("expires")
        if expires is None:
            return DEFAULT_SECONDS.get(status, 0) * 1000
        try:
            return parsedate_to_datetime(expires).timestamp() * 1000 - self._now_ms()
        except ValueError:
            return 0


class Cache(JsProxy):
    """One cache: responses by the URL of their request."""

    js_name = "Cache"

    def __init__(self, storage: CacheStorage, name: str) -> None:
        self._storage = storage
        self._name = name

    async def put(self, request: object, response: Any) -> None:
        """Keep a response, whose body is read.

        Raises:
            JsTypeError: the request is no GET, or the response is partial or not for everybody.
        """
        asked = _request(request)
        answer: JsResponse = response.js_object if isinstance(response, FetchResponse) else response
        if asked.method != "GET":
            raise JsTypeError("Cannot cache response to non-GET request.")
        if answer.status == PARTIAL:
            raise JsTypeError("Cannot cache response to a range request (206 Partial Content).")
        if (answer.headers.get("vary") or "").strip() == "*":
            raise JsTypeError("Cannot cache response with 'Vary: *' header.")
        lifetime = self._storage.lifetime_ms(answer.status, answer.headers)
        headers = answer.headers.raw()
        body = bytes(await answer.bytes())
        if lifetime > 0:
            until = self._storage._now_ms() + lifetime
            self._storage.keep(self._key(asked), Entry(answer.status, headers, body, until))

    async def match(self, request: object, options: object = None, **named: Any) -> Any:
        """The response that is kept, or None."""
        asked = _request(request)
        ignore_method = bool(options_of(options, named.items()).get("ignoreMethod"))
        if asked.method != "GET" and not ignore_method:
            return None
        entry = self._storage.find(self._key(asked))
        if entry is None:
            return None
        pairs = [*entry.headers, ("cf-cache-status", "HIT")]
        response = JsResponse.received(entry.status, pairs, entry.body)
        response.arrive("", redirected=False)
        return response

    async def delete(self, request: object, options: object = None, **named: Any) -> bool:
        """Forget a response; return whether it was kept."""
        return self._storage.drop(self._key(_request(request)))

    def _key(self, request: JsRequest) -> tuple[str, str]:
        return self._name, request.url.partition("#")[0]


def _request(given: object) -> JsRequest:
    return given if isinstance(given, JsRequest) else make_request(given, {})


def _words(text: str) -> dict[str, str]:
    """Parse the directives of a Cache-Control header."""
    pairs = (part.partition("=") for part in text.lower().split(","))
    return {name.strip(): value.strip(' "') for name, _, value in pairs}
