"""Responses: what a Worker answers, and what it is answered.

Shapes:  `JsResponse` is JavaScript's object; `Response` is Python's face of it.
Source:  Fetch standard, section Response; the Workers SDK; the texts are workerd's.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from wakeful.workers import js_json
from wakeful.workers.buffers import ArrayBuffer, View
from wakeful.workers.proxies import JsBytes, JsRangeError, JsTypeError, options_of
from wakeful.workers.values import js_string
from wakeful.workers.web import urls
from wakeful.workers.web.blobs import Blob, JsBlob
from wakeful.workers.web.body import Body, BodyFace, Content, extract, own_headers
from wakeful.workers.web.forms import FormData, JsFormData
from wakeful.workers.web.headers import FixedHeaders, Headers, HeadersView, given_headers, view
from wakeful.workers.web.streams import ReadableStream

BAD_TEXT: Final = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
NO_BODY: Final = frozenset({101, 204, 205, 304})
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# Python's own change with its versions.
TEXTS: Final = {status.value: status.phrase for status in HTTPStatus} | {
    413: "Payload Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Entity",
}
BODIES: Final = (
    *(str, bytes, FormData, JsFormData, Blob, JsBlob),
    *(ReadableStream, urls.URLSearchParams, JsBytes, ArrayBuffer, View),
)


class JsResponse(Body):
    """A response as JavaScript has it."""

    __slots__ = ("_text", "redirected", "status", "url", "webSocket")
    js_name = "Response"

    def __init__(self, body: object = None, options: object = None, **named: Any) -> None:
        self._make(body, _init(options, named))

    def _make(self, body: object, init: Mapping[str, Any]) -> None:
        content, content_type = extract(body)
        socket = init.get("webSocket")
        self.status = _status(init.get("status"), socket)
        if content is not None and self.status in NO_BODY:
            if content != b"":  # an empty one has always been let through
                raise JsTypeError(
                    "Response with null body status (101, 204, 205, or 304) cannot have a body."
                )
            content = None
        self._text = js_string(init.get("statusText") or "")
        if BAD_TEXT.search(self._text):
            raise JsTypeError("Invalid statusText")
        self.webSocket = socket
        self.url = ""
        self.redirected = False
        super().__init__(content, own_headers(init.get("headers"), content_type))

    @classmethod
    def received(
        cls,
        status: int,
        headers: Iterable[tuple[str, str]],
        content: Content,
        *,
        text: str = "",
    ) -> JsResponse:
        """A response that a client has read: checked already, names in lower case."""
        response = cls.__new__(cls)
        response.status = status
        response._text = text or TEXTS.get(status, "")
        response.webSocket = None
        response.url = ""
        response.redirected = False
        Body.__init__(response, content, Headers.received(headers))
        return response

    @classmethod
    def of_bytes(cls, content: bytes, headers: Headers) -> JsResponse:
        """A response with status 200 that code makes: nothing of it is left to be checked."""
        response = cls.__new__(cls)
        response.status, response._text = 200, ""
        response.webSocket, response.url, response.redirected = None, "", False
        Body.__init__(response, content, headers)
        return response

    @property
    def ok(self) -> bool:
        """Whether the status is one of success, 200 to 299."""
        return 200 <= self.status < 300

    @property
    def statusText(self) -> str:
        """The text beside the status code; the usual one, if it arrived without."""
        return self._text

    def arrive(self, url: str, *, redirected: bool) -> None:
        """Mark the response as received: its headers can only be read from now on."""
        self.url, self.redirected = url, redirected
        self._text = self._text or TEXTS.get(self.status, "")
        self.headers = self.headers.fixed()

    @property
    def type(self) -> str:
        """Always "default"."""
        return "default"

    def json(self: Any, *args: Any, **named: Any) -> Any:
        """The value that the body is JSON of; as `Response.json(data)`, a response of data."""
        if isinstance(self, JsResponse):
            return Body.json(self)
        return JsResponse._of_json(self, *args, **named)

    @classmethod
    def _of_json(cls, data: Any, options: object = None, **named: Any) -> JsResponse:
        init = _init(options, named)
        headers = own_headers(init.get("headers"), "application/json")
        return cls(js_json.write(data), {**init, "headers": headers})

    @classmethod
    def redirect(cls, url: object, status: int = 302) -> JsResponse:
        """A response that sends its reader elsewhere.

        Raises:
            JsRangeError: the status is not one of a redirect.
            JsTypeError: the URL is not absolute.
        """
        if status not in REDIRECTS:
            raise JsRangeError(
                f"{js_string(status)} is not a redirect status code. It must be one of: 301, 302, "
                "303, 307, or 308."
            )
        try:
            location = urls.parse(url).href
        except JsTypeError:
            raise JsTypeError(f"Unable to parse URL: {js_string(url)}") from None
        response = cls(None, status=status)
        response.headers = FixedHeaders.received([("location", location)])
        return response

    def clone(self) -> JsResponse:
        """The same response again; the bodies of both can be read."""
        if self.webSocket is not None:
            raise JsTypeError("Cannot clone a response to a WebSocket handshake.")
        return self._with(self.split(), self.headers.again())

    async def body_for(self, method: str) -> Content:
        """Return the body for the method of the request: HEAD gets none."""
        content = self.take()
        if method != "HEAD":
            return content
        if isinstance(content, ReadableStream):
            await content.cancel()
        return None

    def moved(self) -> JsResponse:
        """Return the same response for another owner: this one's body counts as used."""
        return self.with_content(self.take())

    def with_content(self, content: Content) -> JsResponse:
        """Return the same response with another body; the socket goes with it.

        Raises:
            JsTypeError: the socket is used already.
        """
        return self._with(content, self.headers.copy())

    def _with(self, content: Content, headers: Headers) -> JsResponse:
        response = JsResponse.__new__(JsResponse)
        response.status, response._text = self.status, self._text
        response.url, response.redirected = self.url, self.redirected
        response.webSocket = None if self.webSocket is None else self.webSocket.released()
        Body.__init__(response, content, headers)
        return response

    def __wakeful_transfer__(self) -> Response:
        return Response(self.moved())


class FetchResponse(BodyFace):
    """A response, for Python code."""

    __slots__ = ("js_object",)
    js_object: JsResponse

    def __init__(self, response: JsResponse) -> None:
        self.js_object = response
        super().__init__(response)

    @property
    def js_response(self) -> JsResponse:
        """JavaScript's object, by Pyodide's name."""
        return self.js_object

    @property
    def status(self) -> int:
        """The status code."""
        return self.js_object.status

    @property
    def status_text(self) -> str:
        """The text beside the status code; the usual one, if it arrived without."""
        return self.js_object.statusText

    @property
    def headers(self) -> HeadersView:
        """The headers, as they are now."""
        return view(self.js_object.headers)

    @property
    def ok(self) -> bool:
        """Whether the status is one of success, 200 to 299."""
        return self.js_object.ok

    @property
    def url(self) -> str:
        """Where it came from; empty if it was made here."""
        return self.js_object.url

    @property
    def redirected(self) -> bool:
        """Whether a redirect led to the response."""
        return self.js_object.redirected

    @property
    def type(self) -> str:
        """Always "default"."""
        return self.js_object.type

    @property
    def web_socket(self) -> Any:
        """The socket of an upgrade; None otherwise."""
        return self.js_object.webSocket

    def raise_for_status(self) -> None:
        """Raise if the status is one of an error.

        Raises:
            OSError: it is 400 to 599.
        """
        if 400 <= self.status < 600:
            side = "Client" if self.status < 500 else "Server"
            raise OSError(f"{self.status} {side} Error: {self.status_text} for url: {self.url}")

    async def string(self) -> str:
        """The whole body as UTF-8 text."""
        return await self.text()

    async def memoryview(self) -> memoryview:
        """The whole body."""
        return memoryview(await self.bytes())

    async def formData(self) -> FormData:
        """The form that the body is."""
        return await self.form_data()

    def clone(self) -> Response:
        """The same response again; the bodies of both can be read."""
        self.check_unused()
        return Response(self.js_object.clone())

    def replace_body(self, body: object) -> Response:
        """A response with the same status and headers, and another body."""
        return Response(JsResponse(body, _options_of_response(self.js_object)))

    def __wakeful_transfer__(self) -> Response:
        return self.js_object.__wakeful_transfer__()

    @staticmethod
    def redirect(url: str, status: HTTPStatus | int = HTTPStatus.FOUND) -> Response:
        """A response that sends its reader elsewhere.

        Raises:
            ValueError: the status is not one of a redirect.
            TypeError: the URL is not absolute.
        """
        return Response(JsResponse.redirect(url, int(status)))

    @staticmethod
    def from_json(
        data: Any,
        status: HTTPStatus | int = HTTPStatus.OK,
        status_text: str = "",
        headers: object = None,
    ) -> Response:
        """A response that is a JSON value."""
        own = given_headers(headers)
        own.set_missing("content-type", "application/json")
        text = _json(data)
        if status == 200 and not status_text:  # nothing to check
            return Response(JsResponse.of_bytes(text.encode(), own))
        return Response(text, status, status_text, own)

    def json(self: Any, *args: Any, **named: Any) -> Any:
        """The value that the body is JSON of; as `Response.json(data)`, a response of data."""
        if isinstance(self, FetchResponse):
            return self.parsed(named)
        return Response.from_json(self, *args, **named)

    statusText = status_text  # JavaScript's names, see BodyFace
    webSocket = web_socket


class Response(FetchResponse):
    """A response that a Worker makes."""

    __slots__ = ()

    def __init__(
        self,
        body: object = None,
        status: HTTPStatus | int | None = None,
        status_text: str = "",
        headers: object = None,
        web_socket: Any = None,
    ) -> None:
        if isinstance(body, JsResponse):
            if status is not None or status_text or headers is not None:
                raise ValueError(
                    "Expected no options when constructing Response from a js.Response"
                )
            super().__init__(body)
            return
        if body is not None and not isinstance(body, BODIES):
            error = TypeError(f"Unsupported type in Response: {type(body).__name__}")
            if isinstance(body, dict | list):
                error.add_note("Response.json(data) makes a response of data")
            raise error
        response = JsResponse.__new__(JsResponse)
        response._make(
            body,
            {
                "status": status,
                "statusText": status_text,
                "headers": given_headers(headers) if headers else None,
                "webSocket": web_socket,
            },
        )
        super().__init__(response)

    def __repr__(self) -> str:
        said = [f"status={self.status}"]
        if self.status_text:
            said.append(f"status_text={self.status_text!r}")
        if content_type := self.js_object.headers.get("content-type"):
            said.append(f"content_type={content_type!r}")
        if self.url:
            said.append(f"url={self.url!r}")
        return f"Response({', '.join(said)})"


def _json(data: Any) -> str:
    try:
        return json.dumps(data)
    except TypeError as error:
        if _awaited_later(data):
            error.add_note("a call in the data was not awaited: write await before it")
        raise


def _awaited_later(data: Any) -> bool:
    items = data.values() if isinstance(data, dict) else data if isinstance(data, list) else ()
    return inspect.isawaitable(data) or any(map(_awaited_later, items))


def _init(options: object, named: dict[str, Any]) -> dict[str, Any]:
    if isinstance(options, Response):
        options = options.js_object
    if isinstance(options, JsResponse):
        options = _options_of_response(options)
    return options_of(options, named.items())


def _options_of_response(response: JsResponse) -> dict[str, Any]:
    return {
        "status": response.status,
        "statusText": response._text,
        "headers": response.headers,
        "webSocket": response.webSocket,
    }


def _status(given: Any, socket: object) -> int:
    try:
        status = 200 if given is None else int(given)
    except (TypeError, ValueError, OverflowError):  # no number
        status = 0
    if socket is not None:
        if status != 101:
            raise JsRangeError("Responses with a WebSocket must have status code 101.")
        return status
    if not 200 <= status <= 599:
        raise JsRangeError(
            "Responses may only be constructed with status codes in the range 200 to 599, "
            "inclusive."
        )
    return status
