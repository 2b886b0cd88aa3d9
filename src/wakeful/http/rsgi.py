"""Requests as our own server hands them over: RSGI, granian's interface.

Source: the RSGI specification 1.4. In granian's implementation each use of `headers` copies them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from wakeful.errors import MalformedRequest
from wakeful.http.invoke import too_large
from wakeful.http.message import Answering, ClientGone, Headers


class RsgiHeaders(Protocol):
    """What is used of granian's headers."""

    def get(self, key: str) -> str | None:
        """The first value, if it is ASCII."""


class RsgiScope(Protocol):
    """What is used of granian's scope."""

    proto: str
    method: str
    path: str
    query_string: str
    headers: RsgiHeaders


class RsgiProtocol(Protocol):
    """What is used of granian's HTTP protocol."""

    async def __call__(self) -> bytes:
        """The whole body."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body as it comes."""

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer."""


class RsgiRequest:
    """A request over RSGI."""

    __slots__ = ("_proto", "_scope", "header", "method", "path")

    def __init__(self, scope: RsgiScope, proto: RsgiProtocol) -> None:
        self._scope = scope
        self._proto = proto
        self.method = scope.method
        self.path = scope.path
        self.header = scope.headers.get

    @property
    def query(self) -> str:
        """The query string."""
        return self._scope.query_string

    async def body(self, limit: int) -> bytes:
        """The whole body."""
        try:
            if self.header("transfer-encoding") is None:
                return await self._proto()  # the server reads what Content-Length says, no more
            return await self._collect(limit)
        except RuntimeError as error:  # granian's errors are
            raise ClientGone from error

    async def _collect(self, limit: int) -> bytes:
        """A body of unknown length.

        A good one ends with one empty chunk. One that broke off has another before it, which is all
        that granian tells; trailers do the same, and so are refused with it.
        """
        chunks, size, empty = [], 0, 0
        async for chunk in self._proto:
            size += len(chunk)
            if size > limit:
                raise too_large(limit)
            empty += not chunk
            chunks.append(chunk)
        if empty != 1:
            raise MalformedRequest("the body broke off, or has trailers")
        return b"".join(chunks)


class RsgiApplication:
    """The gateway as an RSGI application."""

    def __init__(self, gateway: Answering) -> None:
        self._handle = gateway.handle

    async def __rsgi__(self, scope: RsgiScope, proto: RsgiProtocol) -> None:
        """Answer one request."""
        try:
            status, headers, body = await self._handle(RsgiRequest(scope, proto))
        except ClientGone:
            return
        proto.response_bytes(status, headers, body)
