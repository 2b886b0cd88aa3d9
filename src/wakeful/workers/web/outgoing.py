"""Requests that code sends: to the outside world over httpx2, and to objects and other Workers.

Errors:  OSError where no answer comes, as on Cloudflare; JsTypeError for what cannot be asked.
Source:  Fetch standard, section HTTP-redirect fetch; httpx2.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from http import HTTPMethod
from typing import Any, Final, NamedTuple, TypeAlias

import httpx2

from wakeful.workers.proxies import JsTypeError
from wakeful.workers.web import urls
from wakeful.workers.web.body import Content
from wakeful.workers.web.headers import Headers
from wakeful.workers.web.requests import JsRequest, Request
from wakeful.workers.web.responses import NO_BODY, JsResponse, Response
from wakeful.workers.web.streams import ReadableStream

Fetcher: TypeAlias = Callable[[JsRequest], Awaitable[JsResponse]]

REDIRECTS_MAX: Final = 20  # Fetch standard
TOO_MANY_REDIRECTS: Final = "Too many redirects."
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# Said by the connection, not by the sender; and what no longer fits once a body is decoded.
HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "upgrade", "content-length", "host"}
)
ENCODED: Final = frozenset({"content-encoding", "content-length"})
ABOUT_BODY: Final = (
    *("content-encoding", "content-language", "content-length"),
    *("content-location", "content-type"),
)


class Hop(NamedTuple):
    """A request on its way through redirects."""

    method: str
    url: str
    headers: Headers
    content: Content

    def next(self, status: int, location: str) -> Hop:
        """Return the next request after a redirect.

        Raises:
            JsTypeError: it leads nowhere, or the body cannot be sent again.
        """
        method, content, headers = self.method, self.content, self.headers.copy()
        to = urls.parse(location, self.url)
        if to.origin != urls.parse(self.url).origin:
            headers.delete("authorization")
            headers.delete("cookie")
        if _becomes_get(status, method):
            method, content = "GET", None
            for name in ABOUT_BODY:
                headers.delete(name)
        if isinstance(content, ReadableStream):
            raise JsTypeError(
                "A request with a one-time-use body (it was initialized from a stream, not a "
                "buffer) encountered a redirect requiring the body to be retransmitted."
            )
        return Hop(method, to.href, headers, content)


class Fetching:
    """The response of an object or another Worker, to be awaited; the request is sent at once.

    Redirects lead to the same object, and are followed by who awaits this.
    """

    __slots__ = ("_first", "_hop", "_redirect", "_send", "_signal")

    def __init__(
        self, request: JsRequest, send: Callable[[JsRequest], Awaitable[Response]]
    ) -> None:
        content = request.content()
        if isinstance(content, bytes):
            request.headers.set_missing("content-length", str(len(content)))
        request.arrive()
        self._redirect = request.redirect
        self._hop = Hop(request.method, request.url, request.headers, content)
        self._send = send
        self._signal = request.part_from_signal()
        aborted = self._signal is not None and self._signal.aborted
        self._first = None if aborted else send(request)

    def __repr__(self) -> str:
        return "<the answer to a request: await it>"

    def __await__(self) -> Generator[Any, Any, Response]:
        work = self._followed()
        return (work if self._signal is None else self._signal.guarded(work)).__await__()

    async def _followed(self) -> Response:
        assert self._first is not None, "what is aborted is not sent, and not awaited"
        hop, response = self._hop, await self._first
        for hops in range(REDIRECTS_MAX + 1):
            inner = response.js_object
            location = inner.headers.get("location") if inner.status in REDIRECTS else None
            if location is None or self._redirect == "manual":
                inner.arrive(hop.url.partition("#")[0], redirected=hops > 0)
                return response
            hop = hop.next(inner.status, location)
            request = JsRequest.received(hop.method, hop.url, hop.headers.raw(), hop.content)
            response = await self._send(request)
        raise JsTypeError(TOO_MANY_REDIRECTS)


class HttpFetch:
    """Sends requests over a client; bodies stream both ways."""

    __slots__ = ("_client",)

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def __call__(self, request: JsRequest) -> JsResponse:
        """Send a request, follow redirects if it says so, and return when the head has come.

        Raises:
            OSError: there is no answer.
            JsTypeError: the URL is not http or https, or a redirect cannot be followed.
        """
        hop = Hop(request.method, request.url, request.headers, request.take())
        for hops in range(REDIRECTS_MAX + 1):
            pairs = [pair for pair in hop.headers.raw() if pair[0] not in HOP_BY_HOP]
            answer = await self._send(hop.method, hop.url, pairs, hop.content)
            location = answer.headers.get("location")
            if answer.status_code not in REDIRECTS or location is None:
                return await _response(answer, hop.url, redirected=hops > 0)
            if request.redirect == "manual":
                return await _response(answer, hop.url, redirected=False)
            await answer.aclose()
            hop = hop.next(answer.status_code, location)
        raise JsTypeError(TOO_MANY_REDIRECTS)

    async def _send(
        self, method: str, url: str, headers: list[tuple[str, str]], content: object
    ) -> httpx2.Response:
        if not url.startswith(("http://", "https://")):
            raise JsTypeError(f"Fetch API cannot load: {url}")
        body: Any = content.chunks() if isinstance(content, ReadableStream) else content
        try:
            built = self._client.build_request(method, url, headers=headers, content=body)
            return await self._client.send(built, stream=True, follow_redirects=False)
        except httpx2.TransportError as error:
            raise OSError(f"Network connection lost: {url}: {_said(error)}") from None


def make_fetch(fetcher: Fetcher) -> Callable[..., Awaitable[Response]]:
    """The function `fetch` as `workers` exports it.

    Args:
        fetcher: sends a request; the runtime's, which also waits for writes to be durable.
    """

    async def fetch(resource: object, **options: Any) -> Response:
        """Send a request; returns when the head of the response has come."""
        send = options.pop("fetcher", None) or fetcher
        return Response(await abortable(send, resource, options))

    fetch.__qualname__ = "fetch"  # as errors about its arguments name it
    return fetch


async def abortable(send: Fetcher, resource: object, options: dict[str, Any]) -> JsResponse:
    """Send the request of `fetch(resource, **options)`, until its signal is aborted.

    Raises:
        JsException: it was aborted.
    """
    request = make_request(resource, options)
    signal = request.part_from_signal()
    work = send(request)
    return await (work if signal is None else signal.guarded(work))


def make_request(resource: object, options: dict[str, Any]) -> JsRequest:
    """Make the request of `fetch(resource, **options)`; a given request is used up."""
    if isinstance(resource, Request):
        resource = resource.js_object
    if not options and isinstance(resource, JsRequest):
        return resource.remade()
    if isinstance(options.get("method"), HTTPMethod):
        options = {**options, "method": options["method"].value}
    return JsRequest(resource, options)


def _becomes_get(status: int, method: str) -> bool:
    if status == 303:
        return method not in ("GET", "HEAD")
    return status in (301, 302) and method == "POST"


async def _response(answer: httpx2.Response, url: str, *, redirected: bool) -> JsResponse:
    decoded = "content-encoding" in answer.headers
    dropped = HOP_BY_HOP if decoded else HOP_BY_HOP - ENCODED
    pairs = [
        (name, value)
        for name, value in ((name.lower(), value) for name, value in answer.headers.multi_items())
        if name not in dropped and not (decoded and name in ENCODED)
    ]
    content: Content = None
    if answer.status_code in NO_BODY:
        await answer.aclose()
    else:
        content = ReadableStream(_chunks(answer))
    response = JsResponse.received(answer.status_code, pairs, content, text=answer.reason_phrase)
    response.arrive(url, redirected=redirected)
    return response


async def _chunks(answer: httpx2.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_bytes():
            yield chunk
    except httpx2.TransportError as error:
        raise OSError(f"Network connection lost: {_said(error)}") from None
    finally:
        await answer.aclose()


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__  # a timeout has no text
