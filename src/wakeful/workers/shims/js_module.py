"""The module `js`: JavaScript's globals, as far as Workers written in Python use them."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any, Final

from wakeful.workers.buffers import ArrayBuffer
from wakeful.workers.proxies import (
    JsDict,
    JsDomException,
    JsEvalError,
    JsException,
    JsProxy,
    JsRangeError,
    JsReferenceError,
    JsSyntaxError,
    JsTypeError,
    JsURIError,
    options_of,
)
from wakeful.workers.shims import codecs, maths, numbers, objects, primitives
from wakeful.workers.shims.crypto import Crypto
from wakeful.workers.shims.data_view import DataView
from wakeful.workers.shims.environment import Environment
from wakeful.workers.shims.promises import Promise
from wakeful.workers.shims.regexp import RegExp
from wakeful.workers.shims.text_streams import TextDecoderStream, TextEncoderStream
from wakeful.workers.shims.timers import Timers
from wakeful.workers.shims.typed_arrays import ARRAYS
from wakeful.workers.shims.url_pattern import URLPattern
from wakeful.workers.values import cloned
from wakeful.workers.web.blobs import JsBlob, JsFile
from wakeful.workers.web.caches import CacheStorage
from wakeful.workers.web.compression import CompressionStream, DecompressionStream
from wakeful.workers.web.forms import JsFormData
from wakeful.workers.web.headers import Headers
from wakeful.workers.web.outgoing import abortable
from wakeful.workers.web.pipes import (
    FixedLengthStream,
    IdentityTransformStream,
    TransformStream,
    WritableStream,
)
from wakeful.workers.web.requests import JsRequest
from wakeful.workers.web.responses import JsResponse
from wakeful.workers.web.signals import AbortController, AbortSignal
from wakeful.workers.web.streams import ReadableStream
from wakeful.workers.web.urls import URL, URLSearchParams

# What Workers use of JavaScript and do not find here; imports of them say so.
NOT_PROVIDED: Final = {
    "HTMLRewriter": "HTMLRewriter. Change HTML with a Python library",
    "EventSource": "EventSource. Read the body of a fetch line by line",
    "eval": "JavaScript",
    "Function": "JavaScript",
    "WebAssembly": "WebAssembly",
}


ERRORS: Final = (
    *(JsException, JsTypeError, JsRangeError, JsSyntaxError),
    *(JsReferenceError, JsEvalError, JsURIError, JsDomException),
)


# What is the same for every Worker.
PLAIN: Final = {
    "undefined": None,
    "NaN": math.nan,
    "Infinity": math.inf,
    **{error.js_name: error for error in ERRORS},
    "Object": objects.Object,
    "JSON": objects.JSON,
    "Map": objects.JsMap,
    "Set": objects.JsSet,
    "Promise": Promise,
    "Array": objects.Array,
    "ArrayBuffer": ArrayBuffer,
    "DataView": DataView,
    **{array.js_name: array for array in ARRAYS},
    "Number": numbers.Number,
    "parseInt": numbers.parse_int,
    "parseFloat": numbers.parse_float,
    "isNaN": numbers.is_nan,
    "isFinite": numbers.is_finite,
    "Boolean": primitives.Boolean,
    "String": primitives.String,
    "Reflect": primitives.Reflect,
    "RegExp": RegExp,
    "URL": URL,
    "URLPattern": URLPattern,
    "URLSearchParams": URLSearchParams,
    "Headers": Headers,
    "Request": JsRequest,
    "Response": JsResponse,
    "FormData": JsFormData,
    "Blob": JsBlob,
    "File": JsFile,
    "ReadableStream": ReadableStream,
    "TransformStream": TransformStream,
    "IdentityTransformStream": IdentityTransformStream,
    "FixedLengthStream": FixedLengthStream,
    "CompressionStream": CompressionStream,
    "DecompressionStream": DecompressionStream,
    "TextEncoderStream": TextEncoderStream,
    "TextDecoderStream": TextDecoderStream,
    "WritableStream": WritableStream,
    "AbortController": AbortController,
    "AbortSignal": AbortSignal,
    "TextEncoder": codecs.TextEncoder,
    "TextDecoder": codecs.TextDecoder,
    "WebSocketRequestResponsePair": objects.WebSocketRequestResponsePair,
    "atob": codecs.atob,
    "btoa": codecs.btoa,
    "encodeURI": codecs.encode_uri,
    "encodeURIComponent": codecs.encode_uri_component,
    "decodeURI": codecs.decode_uri,
    "decodeURIComponent": codecs.decode_uri_component,
    "structuredClone": cloned,
}


def js_module(environment: Environment) -> ModuleType:
    """The module of one Worker."""
    module = ModuleType("js", __doc__)
    timers = Timers(environment)
    vars(module).update(PLAIN)
    vars(module).update(
        {
            "Symbol": primitives.make_symbol(),
            "navigator": JsDict(userAgent="Cloudflare-Workers"),
            "Math": maths.Math(environment.random_bytes),
            "performance": maths.Performance(environment.now_ms),
            "Date": objects.make_date(environment.now_ms),
            "console": objects.Console(environment.log),
            "crypto": Crypto(environment.random_bytes),
            "caches": CacheStorage(environment.now_ms),
            "WebSocketPair": _socket_pair(environment),
            "WebSocket": _socket(environment),
            "setTimeout": timers.set_timeout,
            "clearTimeout": timers.clear,
            "setInterval": timers.set_interval,
            "clearInterval": timers.clear,
            "queueMicrotask": timers.queue_microtask,
            "fetch": _fetch(environment),
            "globalThis": module,
            "self": module,
            "__getattr__": _missing,
        }
    )
    return module


def _missing(name: str) -> Any:
    if name in NOT_PROVIDED:
        raise ImportError(f"js.{name}: wakeful does not provide {NOT_PROVIDED[name]}")
    raise AttributeError(f"module 'js' has no attribute {name!r}")


def _fetch(environment: Environment) -> Any:
    async def fetch(resource: object, options: object = None, **named: Any) -> JsResponse:
        """Send a request; returns when the head of the response has come."""
        return await abortable(environment.fetch, resource, options_of(options, named.items()))

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
