"""The gateway as an ASGI application, to be mounted in Starlette or FastAPI, or run by uvicorn.

Source: ASGI 3.0, HTTP and lifespan. Below a mount `path` starts with `root_path`, which is cut off.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    aclosing,
)
from typing import Any, Final, TypeAlias

from wakeful.core.hibernation import CUT, INTERNAL_ERROR, LOST, NO_CODE, TOO_BIG
from wakeful.errors import ShuttingDown
from wakeful.header import call_header
from wakeful.http.bodies import joined
from wakeful.http.connection import CLOSE_SECONDS, lost
from wakeful.http.disconnects import Disconnects
from wakeful.http.gateway import Gateway
from wakeful.http.guard import is_loopback
from wakeful.http.message import SWITCHING, Answer, ClientGone, Headers
from wakeful.http.pace import FRAMES
from wakeful.http.problems import problem
from wakeful.refusals import UpgradeRequired
from wakeful.runtime.socket import Peer

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

POLICY: Final = 1008
PROTOCOL: Final = "sec-websocket-protocol"


class AsgiRequest:
    """A request over ASGI.

    ASGI reports that a client has left in place of the body or after it. So while a body is unread,
    the departure of its client goes unnoticed.
    """

    __slots__ = ("_headers", "_leaving", "_read", "_receive", "_scope", "method", "path")

    def __init__(self, scope: Scope, receive: Receive, leaving: Disconnects) -> None:
        self._scope = scope
        self._receive = receive
        self._leaving = leaving
        self._read = asyncio.Event()  # the body, to its end
        self._headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))
        self.method: str = scope.get("method", "GET")  # the scope of a WebSocket has no method
        path: str = scope["path"]
        self.path = path.removeprefix(scope.get("root_path", ""))

    @property
    def raw_path(self) -> bytes | None:
        """The path as it was sent, without the mount's path; None if the server does not tell."""
        path: bytes | None = self._scope.get("raw_path")
        root: bytes = self._scope.get("root_path", "").encode()
        return path.removeprefix(root) if path is not None and path.startswith(root) else None

    @property
    def root(self) -> str:
        """The path that the application is mounted at."""
        root: str = self._scope.get("root_path", "")
        return root.rstrip("/")

    @property
    def is_near(self) -> bool:
        """Whether both ends of the connection are loopback addresses."""
        ends = [self._scope.get("server"), self._scope.get("client")]
        return all(end is not None and is_loopback([end[0]]) for end in ends)

    @property
    def query(self) -> str:
        """The query string."""
        query: bytes = self._scope["query_string"]
        return query.decode("latin-1")

    def header(self, name: str, /) -> str | None:
        """The first value of a header, if it is ASCII."""
        value = self._headers.get(name.encode())
        return value.decode() if value is not None and value.isascii() else None

    def values(self, name: str, /) -> list[str]:
        """All values of a header that are ASCII."""
        wanted = name.encode()
        pairs = self._scope["headers"]
        return [value.decode() for key, value in pairs if key == wanted and value.isascii()]

    @property
    def client(self) -> str | None:
        """The address of the other end, as the server tells it."""
        client: tuple[str, int] | None = self._scope.get("client")
        return None if client is None else client[0]

    def pairs(self) -> Headers:
        """All headers."""
        headers: list[tuple[bytes, bytes]] = self._scope["headers"]
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]

    def until_left(self) -> AbstractContextManager[None]:
        """What runs inside is cancelled when the client leaves, and raises ClientGone then."""
        return self._leaving.until_left(self)

    async def client_disconnect(self) -> None:
        """Return when the client has gone."""
        length = self.header("content-length") or "0"
        if length != "0" or self.header("transfer-encoding") is not None:
            await self._read.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def body(self, limit: int) -> bytes:
        """The whole body."""
        return await joined(self.chunks(), limit)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes."""
        more = True
        while more:
            event = await self._receive()
            if event["type"] == "http.disconnect":
                raise ClientGone
            if chunk := event.get("body", b""):
                yield chunk
            more = event.get("more_body", False)
        self._read.set()


class AsgiWire:
    """A socket over ASGI: what is sent waits in a queue for the server to take it.

    The server answers a client's close frame itself, with the client's code.
    """

    __slots__ = ("_backlog_bytes", "_queue", "_receive", "_send", "_socket", "_unheld")

    def __init__(self, socket: Peer, receive: Receive, send: Send) -> None:
        self._socket = socket
        self._receive = receive
        self._send = send
        self._backlog_bytes = 0
        self._queue: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._unheld = asyncio.Event()
        self._unheld.set()

    async def run(self, headers: Headers) -> None:
        """Accept the connection; return when it has ended."""
        await self._send(_acceptance(headers))
        self._socket.connect(self)
        reading = asyncio.create_task(self._read())
        writing = asyncio.create_task(self._write())
        try:
            await asyncio.wait((reading, writing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reading, writing):
                task.cancel()
            await asyncio.wait((reading, writing))
            self._socket.closed(LOST, CUT, clean=False)
            self._socket.disconnected()

    def send(self, message: str | bytes) -> None:
        """Send a message."""
        kind = "text" if isinstance(message, str) else "bytes"
        self._backlog_bytes += len(message)
        self._queue.put_nowait({"type": "websocket.send", kind: message})

    def close(self, code: int, reason: str) -> None:
        """Send a close frame."""
        code = 1000 if code == NO_CODE else code
        self._queue.put_nowait({"type": "websocket.close", "code": code, "reason": reason})

    def drop(self) -> None:
        """End the connection; ASGI cannot do that without a close frame."""
        self.close(INTERNAL_ERROR, "")

    def hold(self, *, held: bool) -> None:
        """Stop reading, or go on."""
        if held:
            self._unheld.clear()
        else:
            self._unheld.set()

    def backlog_bytes(self) -> int:
        """How many bytes were sent and have not left yet."""
        return self._backlog_bytes

    async def _read(self) -> None:
        limit = self._socket.message_bytes_max
        for count in itertools.count(1):
            if count % FRAMES == 0:
                await asyncio.sleep(0)  # reading what has arrived does not suspend
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                code: int = event.get("code") or NO_CODE
                reason: str = event.get("reason") or ("" if code != LOST else CUT)
                self._socket.closed(code, reason, clean=code != LOST)
                return
            message: str | bytes = event.get("text") or event.get("bytes") or ""
            if len(message) > limit:
                self._socket.failed(TOO_BIG, f"a message has at most {limit} bytes")
                self.close(TOO_BIG, "too big")
                await asyncio.sleep(CLOSE_SECONDS)
            self._socket.received(message)
            await self._unheld.wait()

    async def _write(self) -> None:
        while True:
            event = await self._queue.get()
            self._backlog_bytes -= len(event.get("text") or event.get("bytes") or b"")
            await self._send(event)
            if event["type"] == "websocket.close":
                return


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
        self._leaving = Disconnects()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        before = call_header.get()  # the task may belong to the program that mounts us
        try:
            await self._handle(scope, receive, send)
        finally:
            call_header.set(before)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway()
        request = AsgiRequest(scope, receive, self._leaving)
        try:
            answer = (
                problem(ShuttingDown("the runtime is not running"))
                if gateway is None
                else await gateway.handle(request)
            )
            if answer[0] == SWITCHING:
                lost(answer[2])
                answer = problem(UpgradeRequired("this server cannot make it a WebSocket"))
            if isinstance(answer[2], bytes):
                await _send(answer, send)
            else:
                with request.until_left():
                    await _send(answer, send)
        except ClientGone:
            return

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self._gateway()
        await receive()
        answer = (
            problem(ShuttingDown("the runtime is not running"))
            if gateway is None
            else await gateway.connect(AsgiRequest(scope, receive, self._leaving))
        )
        if isinstance(answer[2], Peer):
            await AsgiWire(answer[2], receive, send).run(answer[1])
        elif "websocket.http.response" in scope.get("extensions", {}):
            await _send(answer, send, "websocket.http.response")
        else:
            await send({"type": "websocket.close", "code": POLICY})

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


def _acceptance(headers: Headers) -> MutableMapping[str, Any]:
    pairs = [(name.encode(), value.encode()) for name, value in headers if name != PROTOCOL]
    chosen = next((value for name, value in headers if name == PROTOCOL), None)
    return {"type": "websocket.accept", "subprotocol": chosen, "headers": pairs}


async def _send(answer: Answer, send: Send, kind: str = "http.response") -> None:
    status, headers, body = answer
    pairs = [(name.encode(), value.encode()) for name, value in headers]
    if isinstance(body, bytes) and status != 204:
        pairs.append((b"content-length", str(len(body)).encode()))
    await send({"type": f"{kind}.start", "status": status, "headers": pairs})
    if isinstance(body, AsyncGenerator):
        async with aclosing(body):
            async for chunk in body:
                await send({"type": f"{kind}.body", "body": chunk, "more_body": True})
        body = b""
    await send({"type": f"{kind}.body", "body": body})
