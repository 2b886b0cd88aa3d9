"""Requests as our own server hands them over: RSGI, granian's interface.

Source: the RSGI specification 1.4. In granian's implementation each use of `headers` copies them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import AbstractContextManager, aclosing
from functools import partial
from typing import Final, Protocol

from wakeful.errors import MalformedRequest, WakefulError
from wakeful.http.bodies import joined
from wakeful.http.connection import Connection, lost
from wakeful.http.disconnects import Disconnects
from wakeful.http.message import SWITCHING, Answer, Answering, ClientGone, Content, Headers
from wakeful.http.pace import Pace
from wakeful.http.problems import problem
from wakeful.http.takeover import Taken, Takeover
from wakeful.http.websocket import handshake
from wakeful.refusals import InternalError, UpgradeRequired
from wakeful.runtime.socket import Peer

CLOSE: Final = ("connection", "close")
DRAIN_DIGITS_MAX: Final = 5  # of Content-Length: less than 100 kB
DRAIN_SECONDS: Final = 1.0


class RsgiHeaders(Protocol):
    """The part of granian's headers that we use."""

    def get(self, key: str) -> str | None:
        """The first value, if it is ASCII."""

    def get_all(self, key: str) -> list[str]:
        """All values that are ASCII."""

    def items(self) -> Headers:
        """All names and values."""


class RsgiScope(Protocol):
    """The part of granian's scope that we use."""

    proto: str
    client: str
    method: str
    path: str
    query_string: str
    headers: RsgiHeaders


class RsgiTransport(Protocol):
    """The part of granian's stream that we use."""

    async def send_bytes(self, data: bytes) -> None:
        """Send a chunk."""


class RsgiProtocol(Protocol):
    """The part of granian's HTTP protocol that we use."""

    async def __call__(self) -> bytes:
        """The whole body."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body as it comes."""

    def client_disconnect(self) -> Awaitable[None]:
        """Return when the client has gone."""

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer."""

    def response_stream(self, status: int, headers: Headers) -> RsgiTransport:
        """Begin to answer."""

    def response_empty(self, status: int, headers: Headers) -> None:
        """Answer without a body."""


class RsgiRequest:
    """A request over RSGI."""

    __slots__ = (
        *("_leaving", "_proto", "_read", "_scope"),
        *("handed_on", "header", "method", "path", "values"),
    )

    def __init__(self, scope: RsgiScope, proto: RsgiProtocol, leaving: Disconnects) -> None:
        self._scope = scope
        self._proto = proto
        self._leaving = leaving
        self._read = False
        self.handed_on = False  # the body is read as it comes
        self.method = scope.method
        self.path = scope.path
        headers = scope.headers
        self.header = headers.get
        self.values = headers.get_all

    @property
    def raw_path(self) -> None:
        """None: RSGI does not tell the path as it was sent."""

    @property
    def root(self) -> str:
        """Empty: our own server is never mounted."""
        return ""

    @property
    def is_near(self) -> bool:
        """Return False: our own guard goes by the address on which the server listens."""
        return False

    @property
    def query(self) -> str:
        """The query string."""
        return self._scope.query_string

    @property
    def client(self) -> str | None:
        """The address of the other end."""
        return self._scope.client.rpartition(":")[0].strip("[]") or None

    def pairs(self) -> Headers:
        """All headers."""
        return list(self._scope.headers.items())

    def until_left(self) -> AbstractContextManager[None]:
        """What runs inside is cancelled when the client leaves, and raises ClientGone then."""
        return self._leaving.until_left(self._proto)

    async def body(self, limit: int) -> bytes:
        """The whole body."""
        try:
            if self.header("transfer-encoding") is None:
                body = await self._proto()  # the server reads what Content-Length says, no more
            else:
                return await joined(self.chunks(), limit)
        except RuntimeError as error:  # granian's errors are
            raise ClientGone from error
        self._read = True
        return body

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes.

        A complete body ends with one empty chunk. A body that broke off has another empty chunk
        before that; granian gives no other sign. A body with trailers looks the same, so it is
        refused too.
        """
        self.handed_on = True
        empty = 0
        try:
            async for chunk in self._proto:
                if chunk:
                    yield chunk
                else:
                    empty += 1
        except RuntimeError as error:
            raise ClientGone from error
        if empty != 1:
            raise MalformedRequest("the body broke off, or has trailers")
        self._read = True

    def unread(self) -> bool:
        """Whether part of the body has not been read."""
        if self._read:
            return False
        length = self.header("content-length") or "0"
        return length != "0" or self.header("transfer-encoding") is not None

    async def drain(self) -> bool:
        """Read a small body that is not needed; returns whether it has been read to its end.

        A client that is still sending when the connection is closed may never see the answer.
        """
        length = self.header("content-length")
        if length is None or len(length) > DRAIN_DIGITS_MAX:
            return False
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._proto()
        except (TimeoutError, RuntimeError):  # too slow; broken off, or partly read already
            return False
        return True


class RsgiApplication:
    """The gateway as an RSGI application.

    Args:
        port: where the server listens.
    """

    def __init__(self, gateway: Answering, port: int) -> None:
        self._handle = gateway.handle
        self._connect = gateway.connect
        self._takeover = Takeover(port)
        self._leaving = Disconnects()
        self._pace = Pace(asyncio.get_running_loop())

    async def __rsgi__(self, scope: RsgiScope, proto: RsgiProtocol) -> None:
        """Answer one request."""
        request = RsgiRequest(scope, proto, self._leaving)
        try:
            status, headers, body = await self._handle(request)
        except ClientGone:
            return
        except UpgradeRequired:
            await self._upgrade(request, scope, proto)
            return
        unread = (status >= 400 or request.handed_on) and request.unread()
        if unread and (status == 413 or not await request.drain()):
            headers = [*headers, CLOSE]  # the server closes then, and the client should know
        if isinstance(body, bytes):
            proto.response_bytes(status, headers, body)
        elif status == SWITCHING:
            await self._switch(request, scope, proto, headers, body)
        else:
            await self._stream(scope, proto, (status, headers, body))

    async def _upgrade(self, request: RsgiRequest, scope: RsgiScope, proto: RsgiProtocol) -> None:
        """Make the connection a WebSocket, if its actor accepts it."""
        try:
            headers, taken = self._take(request, scope)
        except WakefulError as error:
            await self._answer(scope, proto, problem(error))
            return
        try:
            status, others, body = await self._connect(request)
        except ClientGone:
            taken.socket.close()
            return
        if status == SWITCHING:
            await _become(proto, taken, [*headers, *others], body, self._pace)
            return
        taken.socket.close()
        await self._answer(scope, proto, (status, others, body))

    async def _switch(
        self,
        request: RsgiRequest,
        scope: RsgiScope,
        proto: RsgiProtocol,
        headers: Headers,
        body: Content,
    ) -> None:
        """Make the connection a WebSocket that has been accepted already."""
        try:
            own, taken = self._take(request, scope)
        except WakefulError as error:
            lost(body)
            await self._answer(scope, proto, problem(error))
            return
        await _become(proto, taken, [*own, *headers], body, self._pace)

    async def _answer(self, scope: RsgiScope, proto: RsgiProtocol, answer: Answer) -> None:
        status, headers, body = answer
        if isinstance(body, bytes):
            proto.response_bytes(status, headers, body)
        else:
            await self._stream(scope, proto, answer)

    async def _stream(self, scope: RsgiScope, proto: RsgiProtocol, answer: Answer) -> None:
        """Send a body as it comes; one that fails cuts the connection, or it would look complete.

        Raises:
            BaseException: whatever the body raised.
        """
        status, headers, body = answer
        assert isinstance(body, AsyncGenerator)
        held = [proto.response_stream(status, headers)]
        try:
            with self._leaving.until_left(proto):
                await _send(held, body)
        except ClientGone:
            return
        except BaseException:
            self._takeover.cut(scope.client)
            raise
        finally:
            held.clear()  # ends the answer even if an error keeps these frames alive

    def _take(self, request: RsgiRequest, scope: RsgiScope) -> tuple[Headers, Taken]:
        """The headers of the answer, and the connection.

        Raises:
            UpgradeRequired: the client's part of the handshake is wrong.
            InternalError: the connection is not found.
        """
        headers = handshake(request)
        taken = self._takeover.take(scope.client)
        if taken is None:
            raise InternalError("this connection cannot become a WebSocket")
        return headers, taken


async def _become(
    proto: RsgiProtocol, taken: Taken, headers: Headers, body: Content, pace: Pace
) -> None:
    assert isinstance(body, Peer)
    proto.response_empty(SWITCHING, headers)
    loop = asyncio.get_running_loop()
    try:
        await taken.alone()
        await loop.connect_accepted_socket(partial(Connection, loop, body, pace), taken.socket)
    except BaseException as error:
        taken.socket.close()
        lost(body)
        if not isinstance(error, OSError):  # the client has gone already
            raise


async def _send(held: list[RsgiTransport], body: AsyncGenerator[bytes, None]) -> None:
    async with aclosing(body):
        async for chunk in body:
            if not await _sent(held, chunk):
                return


async def _sent(held: list[RsgiTransport], chunk: bytes) -> bool:
    """Send a chunk; returns whether the client is still there."""
    try:
        await held[0].send_bytes(chunk)
    except RuntimeError:  # granian's
        return False
    return True
