"""What a request and an answer are, whichever server they come through.

Shapes:  an Answer is (status, headers, body); headers are pairs of lower-case ASCII text; a body is
         bytes, or chunks as they come, which whoever sends them closes; of an answer with status
         101 it is who talks over the connection from then on.
Errors:  PayloadTooLarge when a body is over its limit, ClientGone when its sender has left.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager
from typing import Final, Protocol, TypeAlias

from wakeful.codec import to_json
from wakeful.runtime.socket import Peer

Headers: TypeAlias = list[tuple[str, str]]
Content: TypeAlias = bytes | AsyncGenerator[bytes, None] | Peer
Answer: TypeAlias = tuple[int, Headers, Content]

SWITCHING: Final = 101
JSON: Final = "application/json"
JSON_HEADERS: Final[Headers] = [("content-type", JSON)]


class Request(Protocol):
    """One request."""

    @property
    def method(self) -> str:
        """GET, POST, ... as it was sent."""

    @property
    def path(self) -> str:
        """The path, percent-decoded, with U+FFFD for what is no UTF-8."""

    @property
    def raw_path(self) -> bytes | None:
        """The path as it was sent; None where the server does not tell."""

    @property
    def root(self) -> str:
        """What the application is mounted at, without a slash at the end; "" if at the top."""

    @property
    def is_near(self) -> bool:
        """Whether server and client are known to be on this machine, with no proxy in sight."""

    @property
    def query(self) -> str:
        """What follows the question mark, still encoded."""

    @property
    def client(self) -> str | None:
        """The address of the other end, without the port; None where it is unknown."""

    def header(self, name: str, /) -> str | None:
        """The value of a header, by its lower-case name; None if it is no ASCII."""

    def values(self, name: str, /) -> list[str]:
        """All values of a header, by its lower-case name, without those that are no ASCII."""

    def pairs(self) -> Headers:
        """All headers, names in lower case."""

    def until_left(self) -> AbstractContextManager[None]:
        """What runs inside is cancelled when the client leaves, and raises ClientGone then.

        Some time later, and only where the server can tell.
        """

    async def body(self, limit: int) -> bytes:
        """The whole body; call this at most once, and only if the body is needed.

        Raises:
            PayloadTooLarge: it is longer; the rest is not read.
            ClientGone: its sender has left.
        """

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives, instead of `body`: chunks that are not empty.

        Raises:
            MalformedRequest: it breaks off.
            ClientGone: its sender has left.
        """


class Answering(Protocol):
    """What a server calls for answers: the gateway, or a wrapper around it."""

    async def handle(self, request: Request) -> Answer:
        """The answer to a request.

        Raises:
            ClientGone: the client has left.
            UpgradeRequired: `connect` is to answer it.
        """

    async def connect(self, request: Request) -> Answer:
        """The answer to a request with an upgrade: 101 with a socket, or a refusal."""

    def close(self) -> None:
        """Stop answering: the server has ended."""


class ClientGone(Exception):
    """The client has left, so no answer can be sent."""


def json_answer(value: object, status: int = 200) -> Answer:
    """An answer that is a JSON value."""
    return status, JSON_HEADERS, to_json(value)
