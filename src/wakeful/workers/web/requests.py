"""Requests: what a Worker is asked, and what it asks others.

Shapes:  `JsRequest` is JavaScript's object; `Request` is Python's face of it.
Source:  Fetch standard, section Request; the Workers SDK.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPMethod
from typing import Any, Final

from wakeful.workers.proxies import JsDict, JsProxy, JsTypeError, options_of
from wakeful.workers.values import js_string
from wakeful.workers.web import urls
from wakeful.workers.web.body import Body, BodyFace, Content, extract, own_headers
from wakeful.workers.web.headers import FixedHeaders, Headers, HeadersView, given_headers, view
from wakeful.workers.web.signals import AbortSignal

UPPER: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
# Those that workerd knows beside them, in whichever case they are written.
KNOWN: Final = UPPER | {
    *("ACL", "CHECKOUT", "COPY", "LOCK", "MERGE", "MKACTIVITY", "MKCOL", "MOVE", "MSEARCH"),
    *("NOTIFY", "PROPFIND", "PROPPATCH", "PURGE", "QUERY", "REPORT", "SEARCH", "SUBSCRIBE"),
    *("TRACE", "UNLOCK", "UNSUBSCRIBE"),
}
REDIRECTS: Final = frozenset({"follow", "manual"})
WRONG_REDIRECT: Final = (
    'Invalid redirect value, must be one of "follow" or "manual" ("error" won\'t be implemented '
    'since it does not make sense at the edge; use "manual" and check the response status code).'
)
METHODS: Final = {method.value: method for method in HTTPMethod}


class Cf(JsDict, JsProxy):
    """`request.cf`: what is known of a connection. `isinstance(request.cf, JsProxy)` is true."""


class JsRequest(Body):
    """A request as JavaScript has it."""

    __slots__ = ("_signal", "cf", "method", "redirect", "url")
    js_name = "Request"
    _signal: AbortSignal | None
    cf: Cf | None
    method: str
    redirect: str
    url: str

    def __init__(self, input: object, options: object = None, **named: Any) -> None:
        init = _init(options, named)
        source = _request_in(input)
        body = init.get("body")
        if source is None:
            content, content_type = extract(body)
            method, redirect, cf, inherited = "GET", "follow", None, None
            self._signal = None
            url = urls.parse(input).href
        else:
            content, content_type = extract(body) if body is not None else (source.spend(), None)
            method, redirect, cf = source.method, source.redirect, source.cf
            url, inherited = source.url, source.headers
            self._signal = source._signal
        self.method = _method(method if init.get("method") is None else init["method"])
        if content is not None and self.method in ("GET", "HEAD"):
            raise JsTypeError("Request with a GET or HEAD method cannot have a body.")
        self.redirect = str(init.get("redirect") or redirect)
        if self.redirect not in REDIRECTS:
            raise JsTypeError(WRONG_REDIRECT)
        signal = init.get("signal")
        if isinstance(signal, AbortSignal):
            self._signal = signal
        given = init.get("cf")
        self.cf = Cf(given) if isinstance(given, dict) else cf
        self.url = url
        headers = init.get("headers")
        super().__init__(
            content, own_headers(inherited if headers is None else headers, content_type)
        )

    @classmethod
    def received(
        cls,
        method: str,
        url: str,
        headers: Iterable[tuple[str, str]],
        content: Content,
        *,
        cf: dict[str, Any] | None = None,
    ) -> JsRequest:
        """A request that a server has read: parsed and checked already.

        Args:
            method: as it was sent.
            url: absolute.
            headers: pairs, the names in lower case.
            content: the body, or None where there is none.
            cf: what `request.cf` tells of the connection.
        """
        request = cls.__new__(cls)
        request.method = method
        request.url = url
        request._signal = None
        request.redirect = "manual"  # what a Worker passes on, it passes on as it is
        request.cf = None if cf is None else Cf(cf)
        Body.__init__(request, content, FixedHeaders.received(headers))
        return request

    cache = None  # as workerd has these three
    integrity = ""
    keepalive = False

    @property
    def signal(self) -> AbortSignal:
        """The signal that was given, or one that is never aborted."""
        if self._signal is None:
            self._signal = AbortSignal()
        return self._signal

    def part_from_signal(self) -> AbortSignal | None:
        """Return the signal that was given, which stays with the sender."""
        signal, self._signal = self._signal, None
        return signal

    def spend(self) -> Content:
        """Return the body, for another request made of this one.

        Raises:
            JsTypeError: it has been used.
        """
        if self.bodyUsed:
            raise JsTypeError("Cannot reconstruct a Request with a used body.")
        return self.take()

    def remade(self) -> JsRequest:
        """Return the request that `Request(request)` makes, without options."""
        return self._with(self.spend(), self.headers.copy())

    def clone(self) -> JsRequest:
        """The same request again; the bodies of both can be read."""
        return self._with(self.split(), self.headers.again())

    def moved(self) -> JsRequest:
        """Return the same request for another owner: this one's body counts as used."""
        return self._with(self.take(), self.headers.copy())

    def arrive(self) -> None:
        """Mark the request as received: its headers can only be read from now on."""
        self.headers = self.headers.fixed()

    def _with(self, content: Content, headers: Headers) -> JsRequest:
        request = JsRequest.__new__(JsRequest)
        request.method, request.url = self.method, self.url
        request.redirect, request.cf, request._signal = self.redirect, self.cf, self._signal
        Body.__init__(request, content, headers)
        return request

    def __wakeful_transfer__(self) -> Request:
        return Request(self.moved())

    def __repr__(self) -> str:
        return f"Request(method={self.method!r}, url={self.url!r})"


class Request(BodyFace):
    """A request, for Python code."""

    __slots__ = ("js_object",)
    js_object: JsRequest

    def __init__(self, input: object, **options: Any) -> None:
        if isinstance(input, JsRequest):
            if options:
                raise ValueError("Expected no options when constructing Request from a js.Request")
            self.js_object = input
        else:
            if "headers" in options:
                options["headers"] = given_headers(options["headers"])
            self.js_object = JsRequest(input, options)
        super().__init__(self.js_object)

    @property
    def method(self) -> HTTPMethod | str:
        """The method; text where Python does not know it."""
        return METHODS.get(self.js_object.method, self.js_object.method)

    @property
    def url(self) -> str:
        """The whole URL."""
        return self.js_object.url

    @property
    def headers(self) -> HeadersView:
        """The headers, as they are now."""
        return view(self.js_object.headers)

    @property
    def cf(self) -> Cf | None:
        """What is known of the connection; None of a request that code has made without it."""
        return self.js_object.cf

    @property
    def redirect(self) -> str:
        """What is done with redirects when it is sent."""
        return self.js_object.redirect

    @property
    def _js_request(self) -> JsRequest:
        """JavaScript's request, by the name that code has taken from the inside of the SDK."""
        return self.js_object

    def clone(self) -> Request:
        """The same request again; the bodies of both can be read."""
        self.check_unused()
        return Request(self.js_object.clone())

    async def json(self, **options: Any) -> Any:
        """The value that the body is JSON of; options are those of `json.loads`."""
        return await self.parsed(options)

    def __wakeful_transfer__(self) -> Request:
        return self.js_object.__wakeful_transfer__()

    def __repr__(self) -> str:
        return repr(self.js_object)


def _init(options: object, named: dict[str, Any]) -> dict[str, Any]:
    """Read options; a request given as options provides all but the URL."""
    other = _request_in(options)
    if other is None:
        return options_of(options, named.items())
    return {
        **{"method": other.method, "headers": other.headers, "redirect": other.redirect},
        **{"body": other.spend(), "cf": other.cf, "signal": other._signal},
        **named,
    }


def _request_in(input: object) -> JsRequest | None:
    if isinstance(input, Request):
        return input.js_object
    return input if isinstance(input, JsRequest) else None


def _method(value: object) -> str:
    if type(value) is str and value in UPPER:
        return value
    text = str(value.value) if isinstance(value, HTTPMethod) else js_string(value)
    if text.upper() not in KNOWN or not text.isascii():
        raise JsTypeError(f"Invalid HTTP method string: {text}")
    return text.upper()
