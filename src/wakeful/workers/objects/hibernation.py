"""The part of an object's `ctx` that is about sockets which stay open while it sleeps.

Errors:  workerd's texts.
Source:  Cloudflare docs on WebSocket hibernation; workerd, actor-state.c++.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from wakeful.core.hibernation import AUTO_BYTES_MAX, TAG_CHARS_MAX, TAGS_MAX
from wakeful.runtime.gated import Gated
from wakeful.workers.objects.ids import DurableObjectId
from wakeful.workers.proxies import JsArray, JsException, JsProxy, JsRangeError, JsTypeError
from wakeful.workers.shims.objects import JsDate, WebSocketRequestResponsePair
from wakeful.workers.socket_pair import Use
from wakeful.workers.values import js_string, utf8
from wakeful.workers.web.web_sockets import JsWebSocket
from wakeful.workers.worker_sockets import HibernatableSocket, enter

EVENT_MS_MAX: Final = 604_800_000  # a week
MS_NS: Final = 1_000_000
ACCEPTED: Final = (
    "Cannot call `acceptWebSocket()` if the WebSocket was already accepted via `accept()`"
)
NOT_FREE: Final = (
    "Tried to make an api::WebSocket hibernatable when it was in an incompatible state."
)
NO_TAGS: Final = (
    "you must call 'acceptWebSocket()' before attempting to access the tags of a WebSocket."
)
NEGATIVE: Final = (
    "The value cannot be converted because it is negative and this API expects a positive number."
)


class Hibernation(JsProxy):
    """The sockets of one object, as an instance of it sees them.

    Args:
        id: the object.
    """

    def __init__(self, gated: Gated, id: DurableObjectId) -> None:
        self._gated = gated
        self._whose = id
        self._token = object()  # sockets look new to each instance

    def acceptWebSocket(self, socket: Any, tags: Any = None) -> None:
        """Accept an end of a pair; its events come to the handlers of the object, and wake it.

        Raises:
            JsException: it is accepted already, or has too many tags, or too long ones.
            JsTypeError: the value is not a socket, or was returned already.
        """
        end = _socket(socket, "acceptWebSocket")._end
        if end.use in (Use.STANDARD, Use.HIBERNATABLE):
            raise JsException(ACCEPTED)
        if socket._use() is not Use.NONE:
            raise JsTypeError(NOT_FREE)
        checked = _checked_tags(tags)
        accepted = HibernatableSocket(self._gated.sockets, end, self._whose, socket._home.face)
        enter(self._gated, accepted, checked)
        accepted.tags_given = accepted.tags
        end.face, end.token = socket, self._token
        end.accepted(accepted, Use.HIBERNATABLE)

    def getWebSockets(self, tag: object = None) -> JsArray:
        """The open sockets; all, the newest first, or those with a tag, the oldest first."""
        gated = self._gated
        found = gated.sockets.open(gated.activation, None if tag is None else js_string(tag))
        if tag is not None:
            found.reverse()
        return JsArray(self._face(socket) for socket in found)

    def getTags(self, socket: Any) -> JsArray:
        """The tags that a socket was accepted with.

        Raises:
            JsException: it was not, or by `accept()`.
        """
        accepted = _socket(socket, "getTags")._end.socket
        if accepted is None:
            raise JsException(NO_TAGS)
        if not isinstance(accepted, HibernatableSocket):
            raise JsException("only hibernatable websockets can have tags.")
        return JsArray(accepted.tags_given)

    def setWebSocketAutoResponse(self, pair: Any = None) -> None:
        """Set the text that is answered without waking the object; None: no text from now on.

        Raises:
            JsRangeError: a text is too long.
            JsTypeError: the value is not a WebSocketRequestResponsePair.
        """
        gated = self._gated
        if pair is None:
            gated.sockets.set_auto(gated.activation, None, "")
            return
        if not isinstance(pair, WebSocketRequestResponsePair):
            raise JsTypeError(_wrong("setWebSocketAutoResponse", "WebSocketRequestResponsePair"))
        for what, text in (("Request", pair.request), ("Response", pair.response)):
            size = len(utf8(text))
            if size > AUTO_BYTES_MAX:
                raise JsRangeError(
                    f"{what} cannot be larger than {AUTO_BYTES_MAX} bytes. "
                    f"A {what.lower()} of size {size} was provided."
                )
        gated.sockets.set_auto(gated.activation, pair.request, pair.response)

    def getWebSocketAutoResponse(self) -> WebSocketRequestResponsePair | None:
        """Return the text that is answered without waking the object, and its answer."""
        pair = self._gated.sockets.auto(self._gated.activation)
        return None if pair is None else WebSocketRequestResponsePair(*pair)

    def getWebSocketAutoResponseTimestamp(self, socket: Any) -> datetime | None:
        """Return when a socket last got an automatic answer."""
        accepted = _socket(socket, "getWebSocketAutoResponseTimestamp")._end.socket
        answered_ns = None if accepted is None else accepted.auto_response_ns
        return None if answered_ns is None else JsDate.at(answered_ns // MS_NS)

    def setHibernatableWebSocketEventTimeout(self, ms: Any = None) -> None:
        """How long a handler of sockets may take before it is cancelled; 0 or None: any time.

        Raises:
            JsTypeError: it is negative.
            JsException: it is more than a week.
        """
        given = int(ms or 0)
        if given < 0:
            raise JsTypeError(NEGATIVE)
        if given > EVENT_MS_MAX:
            raise JsException(f"Event timeout should not exceed {EVENT_MS_MAX} ms.")
        room = self._gated.sockets.room(self._gated.activation)
        room.event_seconds = given / 1000 if given else None

    def getHibernatableWebSocketEventTimeout(self) -> int | None:
        """Return the timeout of socket handlers, in milliseconds."""
        seconds = self._event_seconds()
        return None if seconds is None else round(seconds * 1000)

    def _event_seconds(self) -> float | None:
        return self._gated.sockets.room(self._gated.activation).event_seconds

    def _face(self, socket: Any) -> JsWebSocket:
        face: JsWebSocket = socket.face(self._token)
        return face


def _socket(given: Any, method: str) -> JsWebSocket:
    if not isinstance(given, JsWebSocket):
        raise JsTypeError(_wrong(method, "WebSocket"))
    return given


def _checked_tags(tags: Any) -> tuple[str, ...]:
    if tags is None:
        return ()
    if not isinstance(tags, list | tuple):
        raise JsTypeError(_wrong("acceptWebSocket", "Array", 2))
    if len(tags) > TAGS_MAX:
        raise JsException(f"a Hibernatable WebSocket cannot have more than {TAGS_MAX} tags")
    checked = tuple(js_string(tag) for tag in tags)
    for tag in checked:
        if len(tag) > TAG_CHARS_MAX:
            raise JsException(
                f'"{tag}" is longer than the max tag length ({TAG_CHARS_MAX} characters).'
            )
    return checked


def _wrong(method: str, type: str, place: int = 1) -> str:
    return (
        f"Failed to execute '{method}' on 'DurableObjectState': parameter {place} is not of type "
        f"'{type}'."
    )
