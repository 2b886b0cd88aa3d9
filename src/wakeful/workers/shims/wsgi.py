"""`wsgi`: a WSGI application as a Worker, `Default = wsgi.entrypoint(app)`, or as its handler.

The application is called on the stack of the event, where `run_sync` can wait; its request body is
read before, its response streams as it is made.

Errors:  what the application raises before its first chunk; after that the body ends early.
Source:  PEP 3333; the Workers SDK.
"""

from __future__ import annotations

import io
import sys
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from functools import partial
from types import ModuleType, TracebackType
from typing import Any, Final, TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit

from wakeful.workers.code.entrypoints import WorkerEntrypoint
from wakeful.workers.code.stacks import Stacks
from wakeful.workers.shims.environment import Environment
from wakeful.workers.shims.gateway import Options, entrypoint_class
from wakeful.workers.web.headers import Headers
from wakeful.workers.web.requests import JsRequest, Request
from wakeful.workers.web.responses import NO_BODY, JsResponse
from wakeful.workers.web.streams import ReadableStream

App: TypeAlias = Callable[..., Iterable[bytes]]
Raised: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None]

PORTS: Final = {"http": "80", "https": "443"}
NOT_PREFIXED: Final = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})


def wsgi_module(environment: Environment) -> ModuleType:
    """The module `workers.wsgi`; applications may use `run_sync`."""
    stacks = environment.stacks

    async def fetch(
        app: App, req: Any, env: Any, ctx: Any = None, *, options: Options | None = None
    ) -> JsResponse:
        """The response of an application to a request; its body streams."""
        request: JsRequest = req.js_object if isinstance(req, Request) else req
        body = await request.bytes()
        stacks.wanted = True
        return await stacks.around(_respond(app, environ_of(request, env, body), stacks))

    async def serve(app: App, options: Options | None, self: Any, req: Any) -> JsResponse:
        return await fetch(app, req, self.env, self.ctx, options=options)

    def entrypoint(app: App, *, options: Options | None = None) -> type[WorkerEntrypoint]:
        """The class `Default` of a Worker that is an application."""
        return entrypoint_class(partial(serve, app, options))

    module = ModuleType("workers.wsgi", __doc__)
    vars(module).update(fetch=fetch, entrypoint=entrypoint, Options=Options)
    return module


def environ_of(request: JsRequest, env: Any, body: bytes) -> dict[str, Any]:
    """Convert a request to WSGI's environ; bindings are at `workers.env`."""
    url = urlsplit(request.url)
    environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(url.path or "/").decode("latin-1"),
        "QUERY_STRING": url.query,
        "SERVER_NAME": url.hostname or "localhost",
        "SERVER_PORT": str(url.port or PORTS[url.scheme]),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": url.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "workers.env": env,
    }
    for name, value in request.headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key in NOT_PREFIXED else f"HTTP_{key}"] = value
    environ["CONTENT_LENGTH"] = str(len(body))
    if "HTTP_CF_CONNECTING_IP" in environ:
        environ["REMOTE_ADDR"] = environ["HTTP_CF_CONNECTING_IP"]
    return environ


class Answer:
    """The part of the response that the application has given so far."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: list[tuple[str, str]] = []
        self.written: list[bytes] = []

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Raised | None = None
    ) -> Callable[[bytes], None]:
        """`start_response`; gives `write`.

        Raises:
            RuntimeError: it was called before, and not for an error.
        """
        if self.status is not None and exc_info is None:
            raise RuntimeError("start_response was called more than once.")
        if self.status is not None and exc_info is not None and self.written:
            raise exc_info[1].with_traceback(exc_info[2])
        self.status = int(status.split(" ", 1)[0])
        self.headers = Headers(headers).raw()
        return self.written.append


async def _respond(app: App, environ: dict[str, Any], stacks: Stacks) -> JsResponse:
    answer = Answer()
    result = app(environ, answer.start)
    try:
        chunks = iter(result)
        first = next((chunk for chunk in chunks if chunk), b"")
        if answer.status is None:
            raise RuntimeError("The application did not call start_response.")
    except BaseException:
        _close(result)
        raise
    head = b"".join([*answer.written, first])
    if answer.status in NO_BODY:
        _close(result)
        return JsResponse.received(answer.status, answer.headers, None)
    if isinstance(result, list | tuple):
        body = head + b"".join(chunks)
        _close(result)
        return JsResponse.received(answer.status, answer.headers, body)
    stream = ReadableStream(_stream(head, chunks, partial(_close, result), stacks))
    return JsResponse.received(answer.status, answer.headers, stream)


async def _stream(
    head: bytes, chunks: Iterator[bytes], close: Callable[[], None], stacks: Stacks
) -> AsyncGenerator[bytes, None]:
    try:
        if head:
            yield head
        while (chunk := await stacks.around(_next(chunks))) is not None:
            if chunk:
                yield chunk
    finally:
        close()


async def _next(chunks: Iterator[bytes]) -> bytes | None:
    return next(chunks, None)


def _close(result: Iterable[bytes]) -> None:
    close = getattr(result, "close", None)
    if close is not None:
        close()
