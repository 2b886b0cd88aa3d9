"""`asgi`: an ASGI application as a Worker, `Default = asgi.entrypoint(app)`, or as its handler.

The application runs in a task of its own, so that a response may go on streaming after the
handler has returned; the lifespan of the application is that of the one request, as on Cloudflare.
It has ended when a response that came at once is returned; behind a stream, it ends after that.

Source:  ASGI specification, HTTP and Lifespan; the Workers SDK.
"""

from __future__ import annotations

import asyncio
from asyncio import Future, Queue
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from wakeful.log import logger
from wakeful.workers import own_tasks
from wakeful.workers.code.entrypoints import WorkerEntrypoint
from wakeful.workers.shims.asgi_socket import converse
from wakeful.workers.shims.environment import Environment
from wakeful.workers.shims.gateway import Options, entrypoint_class
from wakeful.workers.shims.one_thread import on_one_thread
from wakeful.workers.web.headers import Headers
from wakeful.workers.web.requests import JsRequest, Request
from wakeful.workers.web.responses import NO_BODY, JsResponse
from wakeful.workers.web.streams import ReadableStream
from wakeful.workers.web.urls import URL

Message: TypeAlias = MutableMapping[str, Any]
App: TypeAlias = Callable[..., Awaitable[None]]

VERSIONS: Final = {"version": "3.0", "spec_version": "2.3"}
CHUNKS_WAITING_MAX: Final = 16  # an application ahead of its reader waits


def asgi_module(environment: Environment) -> ModuleType:
    """The module `workers.asgi`, which is `asgi` too."""

    async def fetch(
        app: App, req: Any, env: Any, ctx: Any = None, *, options: Options | None = None
    ) -> JsResponse:
        """Return the response of an application to a request; its body streams."""
        exchange = Exchange(app, _js_request(req), env)
        work = environment.stacks.around(exchange.run())
        environment.wait_until(own_tasks.begin(work))
        return await exchange.response()

    async def websocket(app: App, req: Any, env: Any = None) -> JsResponse:
        """Return the response that opens a WebSocket to an application."""
        request = _js_request(req)
        scope = {**_scope(request, env, {}), "type": "websocket"}
        scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
        offered = request.headers.get("sec-websocket-protocol") or ""
        scope["subprotocols"] = [name for part in offered.split(",") if (name := part.strip())]
        return converse(environment, app, scope)

    async def serve(app: App, options: Options | None, self: Any, req: Any) -> JsResponse:
        if (req.headers.get("upgrade") or "").lower() == "websocket":
            return await websocket(app, req, self.env)
        return await fetch(app, req, self.env, self.ctx, options=options)

    def entrypoint(app: App, *, options: Options | None = None) -> type[WorkerEntrypoint]:
        """The class `Default` of a Worker that is an application."""
        return entrypoint_class(partial(serve, app, options))

    module = ModuleType("workers.asgi", __doc__)
    vars(module).update(fetch=fetch, websocket=websocket, entrypoint=entrypoint, Options=Options)
    vars(module)["__getattr__"] = _asked_for
    return module


def _asked_for(name: str) -> Any:
    """`asgi.env`: a dependency of FastAPI, the bindings of the Worker."""
    if name != "env":
        raise AttributeError(f"module 'workers.asgi' has no attribute {name!r}")
    fastapi = import_module("fastapi")

    async def env(request: Any) -> Any:
        return request.scope["env"]

    env.__annotations__["request"] = fastapi.Request
    return fastapi.Depends(env)


def _js_request(req: Any) -> JsRequest:
    request: JsRequest = req.js_object if isinstance(req, Request) else req
    return request


class Exchange:
    """One request to an application, and its response."""

    def __init__(self, app: App, request: JsRequest, env: Any) -> None:
        self._app = app
        self._env = env
        self._request = request
        self._incoming = _chunks(request)
        self._start: Message | None = None
        # The head, and the body if it came at once.
        self._begun: Future[tuple[Message, bytes | None]]
        self._begun = asyncio.get_running_loop().create_future()
        self._pipe = Pipe()
        self._over = asyncio.Event()
        self._stopped = asyncio.Event()
        self._failure: Exception | None = None  # of the shutdown, until it is raised or logged

    async def run(self) -> None:
        """Run the application to its end."""
        state: dict[str, Any] = {}
        lifespan = Lifespan(self._app, state)
        try:
            await lifespan.start()
            await self._serve(state)
        except Exception as error:
            self._begun.set_exception(error)
        finally:
            self._begun.cancel()  # unless it is done, as it is if this was not cancelled
            self._over.set()
            await self._pipe.put(None)
            await self._stop(lifespan)

    async def _serve(self, state: dict[str, Any]) -> None:
        try:
            with on_one_thread():
                scope = _scope(self._request, self._env, dict(state))
                await self._app(scope, self._receive, self._send)
            if not self._begun.done():
                raise RuntimeError("The application returned without a response.")
        except Exception as error:
            if not self._begun.done():
                raise
            logger("wakeful").error("an application raised after its answer", exc_info=error)
            await self._pipe.put(error)

    async def _stop(self, lifespan: Lifespan) -> None:
        try:
            await lifespan.stop()
        except Exception as error:
            self._failure = error if self._is_whole() else None
            if self._failure is None:
                logger("wakeful").error("an application did not shut down", exc_info=error)
        finally:
            self._stopped.set()

    def _is_whole(self) -> bool:
        """Whether the whole response came at once."""
        begun = self._begun
        is_there = begun.done() and not begun.cancelled() and begun.exception() is None
        return is_there and begun.result()[1] is not None

    async def response(self) -> JsResponse:
        """The response: a stream as soon as its body begins, where it comes in pieces.

        Raises:
            RuntimeError: the application did not start, gave no response, or did not shut down.
            Exception: what the application raised before it answered.
        """
        await asyncio.wait({self._begun})
        if self._begun.cancelled() or self._begun.exception() or self._is_whole():
            await self._stopped.wait()
        head, whole = self._begun.result()
        if self._failure is not None:
            raise self._failure
        given = head["headers"]
        pairs = Headers((k.decode("latin-1"), v.decode("latin-1")) for k, v in given).raw()
        status = head["status"]
        if status in NO_BODY:
            await self._pipe.aclose()
            return JsResponse.received(status, pairs, None)
        content = ReadableStream(self._pipe) if whole is None else whole
        return JsResponse.received(status, pairs, content)

    async def _receive(self) -> Message:
        chunk = await anext(self._incoming, None)
        if chunk is None:
            await self._over.wait()
            return {"type": "http.disconnect"}
        data, more = chunk
        return {"type": "http.request", "body": data, "more_body": more}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = {"headers": (), **message}
        elif message["type"] == "http.response.body":
            await self._body(bytes(message.get("body") or b""), more=bool(message.get("more_body")))

    async def _body(self, data: bytes, *, more: bool) -> None:
        if not more:
            self._over.set()
        if not self._begun.done():
            if self._start is None:
                raise RuntimeError("The application sent a body before it began its response.")
            self._begun.set_result((self._start, None if more else data))
            if not more:
                return
        if data:
            await self._pipe.put(data)
        if not more:
            await self._pipe.put(None)


def _scope(request: JsRequest, env: Any, state: dict[str, Any]) -> dict[str, Any]:
    url = URL(request.url)
    return {
        "type": "http",
        "asgi": VERSIONS,
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.protocol[:-1],
        "path": unquote(url.pathname),
        "raw_path": url.pathname.encode(),
        "root_path": "",
        "query_string": url.search[1:].encode(),
        "headers": [
            (k.encode("latin-1"), v.encode("latin-1", "replace")) for k, v in request.headers.raw()
        ],
        "server": (url.hostname, int(url.port or (443 if url.protocol == "https:" else 80))),
        "client": None,
        "state": state,
        "env": env,
    }


class Pipe:
    """The body from the application to the response's reader; it drops chunks without a reader."""

    def __init__(self) -> None:
        self._queue: Queue[bytes | Exception | None] = Queue(CHUNKS_WAITING_MAX)
        self._closed = False

    async def put(self, chunk: bytes | Exception | None) -> None:
        """Hand over a chunk, an error, or the end; waits while the reader is behind."""
        if not self._closed:
            await self._queue.put(chunk)

    async def aclose(self) -> None:
        """Stop reading, and release a waiting writer."""
        self._closed = True
        while not self._queue.empty():
            self._queue.get_nowait()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = None if self._closed else await self._queue.get()
        if isinstance(chunk, bytes):
            return chunk
        await self.aclose()
        if chunk is None:
            raise StopAsyncIteration
        raise chunk


class Lifespan:
    """Start and stop of an application; an application without lifespan support is served too."""

    def __init__(self, app: App, state: dict[str, Any]) -> None:
        self._to_app: Queue[Message] = Queue()
        self._from_app: Queue[Message] = Queue()
        self._started = False
        scope = {"type": "lifespan", "asgi": VERSIONS, "state": state}
        self._task = own_tasks.begin(app(scope, self._to_app.get, self._from_app.put))

    async def start(self) -> None:
        """Let the application prepare.

        Raises:
            RuntimeError: the application says that its start has failed.
        """
        answer = await self._ask("startup")
        if answer is not None and answer["type"] == "lifespan.startup.failed":
            raise RuntimeError(f"The application did not start: {answer.get('message', '')}")
        self._started = answer is not None

    async def stop(self) -> None:
        """Let the application clean up.

        Raises:
            RuntimeError: the application says that its shutdown has failed.
        """
        answer = await self._ask("shutdown") if self._started else None
        self._task.cancel()
        (error,) = await own_tasks.all_of([self._task], return_exceptions=True)
        failure = error if self._started and isinstance(error, Exception) else None
        if answer is not None and answer["type"] == "lifespan.shutdown.failed":
            told = f"The application did not shut down: {answer.get('message', '')}"
            raise RuntimeError(told) from failure
        if failure is not None:
            logger("wakeful").error("an application raised in its lifespan", exc_info=failure)

    async def _ask(self, what: str) -> Message | None:
        self._to_app.put_nowait({"type": f"lifespan.{what}"})
        answer: Future[Message] = own_tasks.begin(self._from_app.get())
        both: list[Future[Any]] = [answer, self._task]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        answer.cancel()
        return None


async def _chunks(request: JsRequest) -> AsyncIterator[tuple[bytes, bool]]:
    """The body's chunks, each with whether another one comes."""
    content = request.take()
    if isinstance(content, ReadableStream):
        async for chunk in content.kept().chunks():  # frameworks join it
            yield bytes(chunk), True
        content = b""
    yield content or b"", False
