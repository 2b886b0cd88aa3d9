"""WebSockets as a Worker's code sees them.

Life:    an end of a pair is used once: accepted here (`accept`), accepted by an object that may
         sleep (`ctx.acceptWebSocket`), or returned in a response. An end that no code holds
         any more is cut.
Errors:  the texts of workerd.
Source:  Cloudflare docs on WebSockets; WHATWG WebSockets; workerd, web-socket.c++.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from wakeful.core.hibernation import ATTACHMENT_BYTES_MAX, NO_CODE, REASON_BYTES_MAX
from wakeful.runtime.socket import Peer
from wakeful.workers.buffers import BINARY
from wakeful.workers.objects import stored
from wakeful.workers.proxies import JsException, JsSyntaxError, JsTypeError, options_of
from wakeful.workers.socket_pair import End, Use
from wakeful.workers.values import copied, js_string, utf8
from wakeful.workers.web.events import EventTarget
from wakeful.workers.workerd_files import v8_writer

if TYPE_CHECKING:
    from wakeful.workers.worker_sockets import WorkerSocket

NOT_ACCEPTED: Final = (
    "You must call one of accept() or state.acceptWebSocket() on this WebSocket before sending "
    "messages."
)
NOT_SENDABLE: Final = frozenset({1004, 1005, 1006, 1015})
NOT_RETURNED: Final = {
    Use.RETURNED: "Can't return WebSocket that was already used in a response.",
    Use.STANDARD: "Can't return WebSocket in a Response after calling accept().",
    Use.HIBERNATABLE: "Can't return WebSocket in a Response after calling acceptWebSocket().",
}


class Accepting(Protocol):
    """The operations that a socket needs of its Worker."""

    def accept(self, face: JsWebSocket, end: End, *, half_open: bool) -> None:
        """Accept an end for the running code; events go to its face."""

    def face(self, end: End) -> JsWebSocket:
        """Return the socket as code sees it."""

    def abandon(self, end: End) -> None:
        """Note that no code holds an end; called from any thread."""


class JsWebSocket(EventTarget):
    """One end of a pair.

    Attributes:
        binaryType: as what binary messages come to listeners: "arraybuffer" or "blob".
    """

    js_name = "WebSocket"
    CONNECTING: Final = 0
    OPEN: Final = 1
    CLOSING: Final = 2
    CLOSED: Final = 3
    url: str | None = None
    protocol: str = ""
    extensions: Final = ""

    def __init__(self, end: End, home: Accepting, binary_type: str) -> None:
        self._end = end
        self._home = home
        self._released = False
        self.binaryType = binary_type

    @property
    def readyState(self) -> int:
        """OPEN; CLOSING once one side has closed, CLOSED once both have."""
        socket = self._end.socket
        if self._released or socket is None:
            return self.OPEN
        if socket.over or (socket.closed_by_actor and socket.heard_close):
            return self.CLOSED
        return self.CLOSING if socket.closed_by_actor or socket.heard_close else self.OPEN

    def accept(self, options: object = None, **named: Any) -> None:
        """Begin to listen to the other side; `allowHalfOpen`: do not answer its close by itself.

        Raises:
            JsTypeError: it is used in another way already.
        """
        use = self._use()
        if use is Use.RETURNED:
            raise JsTypeError("Can't accept() WebSocket that was already used in a response.")
        if use is Use.HIBERNATABLE:
            raise JsTypeError("Can't accept() WebSocket after enabling hibernation.")
        if use is Use.NONE:
            half_open = bool(options_of(options, named.items()).get("allowHalfOpen"))
            self._home.accept(self, self._end, half_open=half_open)

    def send(self, message: object) -> None:
        """Send a text or bytes, once what was written before is durable.

        Raises:
            JsTypeError: it is closed, or not accepted yet.
        """
        socket = self._usable()
        if socket is None:
            return
        if socket.closed_by_actor:
            raise JsTypeError("Can't call WebSocket send() after close().")
        if isinstance(message, BINARY):
            socket.send(bytes(message))
        else:
            socket.send(utf8(js_string(message)).decode())

    def close(self, code: object = None, reason: object = None) -> None:
        """Close it, once what was written before is durable.

        Raises:
            JsException: the code may not be sent, the reason is too long, or has no code.
            JsTypeError: it is not accepted yet.
        """
        socket = self._usable()
        number, text = _checked(code, reason)
        if socket is not None and not socket.over and not socket.closed_by_actor:
            socket.say_goodbye(number, text)

    def serializeAttachment(self, value: object) -> None:
        """Keep a copy of a value with it; that survives hibernation.

        Raises:
            JsException: it is too large.
            DataCloneError, TypeError: it cannot be copied.
        """
        size = len(v8_writer.write(copied(value)))
        if size > ATTACHMENT_BYTES_MAX:
            raise JsException(
                f"A WebSocket 'attachment' cannot be larger than {ATTACHMENT_BYTES_MAX} bytes."
                f"'attachment' was {size} bytes."
            )
        self._end.attachment = stored.pack(value)

    def deserializeAttachment(self) -> Any:
        """A copy of what was kept, or None."""
        packed = self._end.attachment
        return None if packed is None else stored.unpack(packed)

    def released(self) -> JsWebSocket:
        """Return the same end for another owner; this one counts as used.

        Raises:
            JsTypeError: it is used in another way already.
        """
        self._check_unused()
        self._released = True
        return JsWebSocket(self._end, self._home, self.binaryType)

    def returned(self) -> Peer:
        """Mark the end as returned to a client; return what the client's connection talks to.

        Raises:
            JsTypeError: it is used in another way already.
        """
        self._check_unused()
        return self._end.returned()

    def __del__(self) -> None:
        if not self._released and self._end.use is Use.NONE:
            self._home.abandon(self._end)

    def _use(self) -> Use:
        return Use.RETURNED if self._released else self._end.use

    def _check_unused(self) -> None:
        why = NOT_RETURNED.get(self._use())
        if why is not None:
            raise JsTypeError(why)

    def _usable(self) -> WorkerSocket | None:
        """Return the socket; None if operations on it have no effect any more."""
        use = self._use()
        if use is Use.NONE:
            raise JsTypeError(NOT_ACCEPTED)
        return None if use is Use.RETURNED else self._end.socket


def _checked(code: object, reason: object) -> tuple[int, str]:
    if code is None:
        if reason is not None:
            why = "If you specify a WebSocket close reason, you must also specify a code."
            raise JsException(why, "InvalidAccessError")
        return NO_CODE, ""
    try:
        number = int(float(js_string(code)))
    except (ValueError, OverflowError):  # no number
        number = 0
    if not 1000 <= number <= 4999 or number in NOT_SENDABLE:
        raise JsException(f"Invalid WebSocket close code: {number}.", "InvalidAccessError")
    text = "" if reason is None else utf8(js_string(reason)).decode()
    if len(text.encode()) > REASON_BYTES_MAX:
        raise JsSyntaxError(
            f"A WebSocket close reason cannot be longer than {REASON_BYTES_MAX} bytes of UTF-8."
        )
    return number, text
