"""What stays in memory while an actor sleeps: its open sockets, their tags, its automatic answer.

Shapes:     a socket is the driver's, opaque here; tags are text; the newest socket comes first.
Invariants: a socket is in a set once; a tag that no socket has costs nothing.
Errors:     InvalidArguments for what an actor's code must not ask for; it says what is allowed.
Source:     Cloudflare WebSocket hibernation; RFC 6455 5.5 and 7.4.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Generic, NamedTuple, TypeVar

from wakeful.errors import InvalidArguments

S = TypeVar("S")

TAGS_MAX: Final = 10
TAG_CHARS_MAX: Final = 256
AUTO_BYTES_MAX: Final = 2048
REASON_BYTES_MAX: Final = 123  # a control frame has 125 bytes, two are the code
ATTACHMENT_BYTES_MAX: Final = 16_384

NO_CODE: Final = 1005  # never sent: the client closed without a code
LOST: Final = 1006  # never sent: the connection ended without a close frame
CUT: Final = "WebSocket disconnected without sending Close frame."  # the reason for LOST
GOING_AWAY: Final = 1001
TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011
RESTART: Final = 1012
TRY_LATER: Final = 1013

_SENDABLE: Final = frozenset((1000, 1001, 1002, 1003, *range(1007, 1015)))


class AutoResponse(NamedTuple):
    """A message, and the answer that it gets without waking the actor."""

    request: str
    response: str


class SocketSet(Generic[S]):
    """The sockets of one actor.

    Attributes:
        auto: what is answered without the actor, if anything.
    """

    __slots__ = ("_sockets", "_tagged", "auto")

    def __init__(self) -> None:
        self.auto: AutoResponse | None = None
        self._sockets: dict[S, tuple[str, ...]] = {}
        self._tagged: dict[str, dict[S, None]] = {}

    def __len__(self) -> int:
        return len(self._sockets)

    def add(self, socket: S, tags: tuple[str, ...]) -> None:
        """Enter a socket with its checked tags."""
        assert socket not in self._sockets, "a socket is accepted once"
        self._sockets[socket] = tags
        for tag in tags:
            self._tagged.setdefault(tag, {})[socket] = None

    def discard(self, socket: S) -> None:
        """Forget a socket, if it is here."""
        for tag in self._sockets.pop(socket, ()):
            tagged = self._tagged[tag]
            del tagged[socket]
            if not tagged:
                del self._tagged[tag]

    def tags(self, socket: S) -> tuple[str, ...]:
        """The tags of a socket; no tags if the socket is not in the set."""
        return self._sockets.get(socket, ())

    def find(self, tag: str | None = None) -> list[S]:
        """All sockets, or those with a tag; the newest first."""
        found = self._sockets if tag is None else self._tagged.get(tag, {})
        return list(reversed(found))

    def check(self) -> None:
        """Assert the invariants."""
        expected: dict[str, dict[S, None]] = {}
        for socket, tags in self._sockets.items():
            for tag in tags:
                expected.setdefault(tag, {})[socket] = None
        assert expected == self._tagged


def checked_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags without repeats, in the order they were given.

    Raises:
        InvalidArguments: there are too many, or one is too long or no text.
    """
    if isinstance(tags, str):
        raise InvalidArguments(f"tags are a tuple of texts, not one text: ({tags!r},)", "tags")
    unique = tuple(dict.fromkeys(tags))
    if len(unique) > TAGS_MAX:
        raise InvalidArguments(f"a socket cannot have more than {TAGS_MAX} tags", "tags")
    for tag in unique:
        if not isinstance(tag, str):
            raise InvalidArguments(f"a tag is text, not {type(tag).__name__}", "tags")
        if len(tag) > TAG_CHARS_MAX:
            raise InvalidArguments(
                f"{tag[:20]!r}... is longer than the max tag length ({TAG_CHARS_MAX} characters)",
                "tags",
            )
    return unique


def check_close(code: int, reason: str) -> None:
    """Refuse what no close frame can carry.

    Raises:
        InvalidArguments: the code may not be sent, or the reason is too long.
    """
    if type(code) is not int or not (code in _SENDABLE or 3000 <= code <= 4999):
        raise InvalidArguments(
            f"invalid WebSocket close code: {code!r}; your own are 4000 to 4999, 1000 is normal",
            "code",
        )
    size = len(reason.encode())
    if size > REASON_BYTES_MAX:
        raise InvalidArguments(
            f"a close reason has at most {REASON_BYTES_MAX} bytes of UTF-8, this one {size}",
            "reason",
        )


def checked_auto(request: str, response: str) -> AutoResponse:
    """A pair to be answered without the actor.

    Raises:
        InvalidArguments: one of them is no text, or too long.
    """
    for what, text in (("request", request), ("response", response)):
        if not isinstance(text, str):
            raise InvalidArguments(f"a {what} is text, not {type(text).__name__}", what)
        size = len(text.encode())
        if size > AUTO_BYTES_MAX:
            raise InvalidArguments(
                f"a {what} cannot be larger than {AUTO_BYTES_MAX} bytes; this one has {size}", what
            )
    return AutoResponse(request, response)
