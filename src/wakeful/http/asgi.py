"""The gateway as an ASGI application, to be mounted in Starlette or FastAPI, or run by uvicorn.

Source: ASGI 3.0, HTTP and lifespan. Below a mount `path` starts with `root_path`, which is cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, TypeAlias

from wakeful.errors import ShuttingDown
from wakeful.http.gateway import Gateway
from wakeful.http.invoke import too_large
from wakeful.http.message import Answer, ClientGone, Headers
from wakeful.http.problems import problem

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class AsgiRequest:
    """A request over ASGI."""

    __slots__ = ("_headers", "_receive", "_scope", "method", "path")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self._headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))
        self.method: str = scope["method"]
        path: str = scope["path"]
        self.path = path.removeprefix(scope.get("root_path", ""))

    @property
    def query(self) -> str:
        """The query string."""
        query: bytes = self._scope["query_string"]
        return query.decode("latin-1")

    def header(self, name: str, /) -> str | None:
        """The first value of a header, if it is ASCII."""
        value = self._headers.get(name.encode())
        return value.decode() if value is not None and value.isascii() else None

    def pairs(self) -> Headers:
        """All headers."""
        headers: list[tuple[bytes, bytes]] = self._scope["headers"]
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]

    async def body(self, limit: int) -> bytes:
        """The whole body."""
        chunks, size, more = [], 0, True
        while more:
            event = await self._receive()
            if event["type"] == "http.disconnect":
                raise ClientGone
            chunk: bytes = event.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise too_large(limit)
            chunks.append(chunk)
            more = event.get("more_body", False)
        return b"".join(chunks)


class AsgiApplication:
    """Answers over ASGI.

    Args:
        gateway: gives the gateway of the running runtime, or None while it is not running.
        runtime: opened at start-up and closed at shut-down by a server that runs this as its
            whole application, unless it is open already; a mounted application gets no such event.
    """

    def __init__(
        self,
        gateway: Callable[[], Gateway | None],
        runtime: AbstractAsyncContextManager[object],
    ) -> None:
        self._gateway = gateway
        self._runtime = runtime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway()
        try:
            answer = (
                problem(ShuttingDown("the runtime is not running"))
                if gateway is None
                else await gateway.handle(AsgiRequest(scope, receive))
            )
        except ClientGone:
            return
        await _send(answer, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        opened = self._gateway() is None
        try:
            if opened:
                await self._runtime.__aenter__()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        try:
            await receive()
        finally:
            if opened:
                await asyncio.shield(self._runtime.__aexit__(None, None, None))
        await send({"type": "lifespan.shutdown.complete"})


async def _send(answer: Answer, send: Send) -> None:
    status, headers, body = answer
    pairs = [(name.encode(), value.encode()) for name, value in headers]
    if isinstance(body, bytes) and status != 204:
        pairs.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    if not isinstance(body, bytes):
        async with aclosing(body):
            async for chunk in body:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        body = b""
    await send({"type": "http.response.body", "body": body})
