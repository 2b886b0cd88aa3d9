"""The module `js`: JavaScript's globals, as far as Workers written in Python use them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from wakeful.workers.proxies import (
    JsException,
    JsProxy,
    JsRangeError,
    JsSyntaxError,
    JsTypeError,
    options_of,
)
from wakeful.workers.shims import objects
from wakeful.workers.shims.environment import Environment
from wakeful.workers.values import copied
from wakeful.workers.web.blobs import JsBlob, JsFile
from wakeful.workers.web.forms import JsFormData
from wakeful.workers.web.headers import Headers
from wakeful.workers.web.outgoing import make_request
from wakeful.workers.web.requests import JsRequest
from wakeful.workers.web.responses import JsResponse
from wakeful.workers.web.streams import ReadableStream
from wakeful.workers.web.urls import URL, URLSearchParams


def js_module(environment: Environment) -> ModuleType:
    """The module of one Worker."""
    module = ModuleType("js", __doc__)
    vars(module).update(
        {
            "undefined": None,
            "Error": JsException,
            "TypeError": JsTypeError,
            "RangeError": JsRangeError,
            "SyntaxError": JsSyntaxError,
            "Object": objects.Object,
            "JSON": objects.JSON,
            "Map": objects.JsMap,
            "Set": objects.JsSet,
            "Array": objects.Array,
            "ArrayBuffer": objects.Buffer,
            "Uint8Array": objects.Buffer,
            "Number": objects.Number,
            "Date": objects.make_date(environment.now_ms),
            "console": objects.Console(environment.log),
            "crypto": objects.Crypto(environment.random_bytes),
            "URL": URL,
            "URLSearchParams": URLSearchParams,
            "Headers": Headers,
            "Request": JsRequest,
            "Response": JsResponse,
            "FormData": JsFormData,
            "Blob": JsBlob,
            "File": JsFile,
            "ReadableStream": ReadableStream,
            "WebSocketRequestResponsePair": objects.WebSocketRequestResponsePair,
            "WebSocketPair": _socket_pair(environment),
            "WebSocket": _socket(environment),
            "encodeURIComponent": objects.encode_uri_component,
            "structuredClone": copied,
            "fetch": _fetch(environment),
        }
    )
    return module


def _fetch(environment: Environment) -> Any:
    async def fetch(resource: object, options: object = None, **named: Any) -> JsResponse:
        """Send a request; returns when the head of the response has come."""
        return await environment.fetch(make_request(resource, options_of(options, named.items())))

    return fetch


def _socket_pair(environment: Environment) -> type[JsProxy]:
    class WebSocketPair(JsProxy):
        """Two connected sockets, made by `WebSocketPair.new()`."""

        @classmethod
        def new(cls, *_: Any, **__: Any) -> Any:
            """Client and server."""
            return objects.Pair(*environment.web_socket_pair())

    return WebSocketPair


def _socket(environment: Environment) -> type[JsProxy]:
    class WebSocket(JsProxy):
        """An outgoing socket, made by `WebSocket.new(url)`."""

        CONNECTING = 0
        OPEN = 1
        CLOSING = 2
        CLOSED = 3

        @classmethod
        def new(cls, url: Any, protocols: Any = (), **_: Any) -> Any:
            """Begin to connect; events say what comes of it."""
            offered = (protocols,) if isinstance(protocols, str) else tuple(protocols)
            return environment.web_socket(URL(url).href, offered)

    return WebSocket
