"""The two ends of a WebSocketPair, and what joins them: a client's connection, or each other.

An end keeps its state while no code holds it: how it is used, its attachment, and the socket that
has accepted it. Messages that the other side sends before that wait here.

Invariants: an end is used once; messages arrive in the order they were sent, the close last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from wakeful.core.hibernation import CUT, LOST
from wakeful.runtime.socket import Peer, Socket, Wire
from wakeful.runtime.socket_memory import SocketMemory

if TYPE_CHECKING:
    from wakeful.workers.worker_sockets import WorkerSocket

AT_ONCE: Final = 32  # messages that are handed over in one turn of the loop

Soon = Callable[[Callable[[], object]], None]


class Use(Enum):
    """The use that was made of an end."""

    NONE = "nothing yet"
    STANDARD = "accepted; it keeps its object awake"
    HIBERNATABLE = "accepted by an object that may sleep"
    RETURNED = "returned in a response"


class End:
    """One end of a pair. For the connection of the other end it is who to talk to.

    Args:
        soon: does something outside all turns.
        message_bytes_max: the largest message that may come.
        memory: counts what is kept of messages that are not complete.

    Attributes:
        other: the other end.
        use: what has become of it.
        socket: who has accepted it.
        attachment: what was attached, packed.
        face, token: what an object's code sees of it, and which instance of the object that is for.
    """

    __slots__ = (
        *(
            "_soon",
            "_waiting",
            "_wire",
            "attachment",
            "face",
            "memory",
            "message_bytes_max",
            "other",
        ),
        *("socket", "token", "use"),
    )
    other: End

    def __init__(self, soon: Soon, message_bytes_max: int, memory: SocketMemory) -> None:
        self._soon = soon
        self._waiting: list[Callable[[Peer], object]] = []
        self._wire: Wire | None = None
        self.message_bytes_max = message_bytes_max
        self.memory = memory
        self.use = Use.NONE
        self.socket: WorkerSocket | None = None
        self.attachment: bytes | None = None
        self.face: Any = None
        self.token: object = None

    def accepted(self, socket: WorkerSocket, use: Use) -> None:
        """Mark the end as accepted, and join it to the other side."""
        self.use, self.socket = use, socket
        wire, self._wire = self._wire, None
        if wire is not None:
            socket.connect(wire)
            wire.hold(held=False)
        elif self.other.socket is not None:
            join(self.other.socket, socket, self._soon)
        waiting, self._waiting = self._waiting, []
        for tell in waiting:
            tell(socket)

    def returned(self) -> Peer:
        """Mark the end as returned to a client; return what the client's connection talks to."""
        self.use = Use.RETURNED
        there = self.other
        return there if there.socket is None else there.socket

    def abandoned(self) -> None:
        """Mark the end as abandoned: no code will use it."""
        if self.use is Use.NONE:
            self.use = Use.RETURNED
            self.other.closed(LOST, CUT, clean=False)
            self.other.disconnected()

    # --- for the connection of the other end, until this one is accepted -----------------------

    def connect(self, wire: Wire) -> None:
        """The connection is there; it is not read before this end is accepted."""
        if self.socket is not None:
            self.socket.connect(wire)
            return
        self._wire = wire
        wire.hold(held=True)

    def received(self, message: str | bytes) -> None:
        """The client has sent a message."""
        self._tell(lambda peer: peer.received(message))

    def closed(self, code: int, reason: str, *, clean: bool) -> None:
        """Note that the client has closed, or that the connection is lost."""
        self._tell(lambda peer: peer.closed(code, reason, clean=clean))

    def failed(self, code: int, why: str) -> None:
        """Note that the connection broke a rule."""
        self._tell(lambda peer: peer.failed(code, why))

    def disconnected(self) -> None:
        """Note that the connection has ended."""
        self._tell(lambda peer: peer.disconnected())

    def _tell(self, tell: Callable[[Peer], object]) -> None:
        if self.socket is not None:
            tell(self.socket)
        else:
            self._waiting.append(tell)


class LocalWire:
    """A connection between two sockets of one process: it carries what one of them sends."""

    __slots__ = ("_bytes", "_closed", "_held", "_queue", "_scheduled", "_soon", "_to", "back")
    back: LocalWire

    def __init__(self, to: Peer, soon: Soon) -> None:
        self._to = to
        self._soon = soon
        self._queue: deque[tuple[Callable[[], object], int]] = deque()
        self._bytes = 0
        self._closed = self._held = self._scheduled = False

    def send(self, message: str | bytes) -> None:
        """Send a message."""
        if not self._closed:
            size = len(message) if isinstance(message, bytes) else len(message.encode())
            self._put(partial(self._to.received, message), size)

    def close(self, code: int, reason: str) -> None:
        """Say that nothing more will be sent; it ends once the other side has said so too."""
        self._end(partial(self._to.closed, code, reason, clean=True))
        if self._closed and self.back._closed:
            self._disconnect()

    def drop(self) -> None:
        """End it at once."""
        if not (self._closed and self.back._closed):
            self._end(partial(self._to.closed, LOST, CUT, clean=False))
            self.back._closed = True
            self._disconnect()

    def hold(self, *, held: bool) -> None:
        """Hold back what comes from the other side, or let it come."""
        self.back._held = held
        if not held:
            self.back._schedule()

    def backlog_bytes(self) -> int:
        """Return the size of what was sent and has not arrived yet."""
        return self._bytes

    def _end(self, tell: Callable[[], object]) -> None:
        if not self._closed:
            self._closed = True
            self._put(tell)

    def _disconnect(self) -> None:
        self._put(self._to.disconnected)
        self.back._put(self.back._to.disconnected)

    def _put(self, tell: Callable[[], object], size: int = 0) -> None:
        self._queue.append((tell, size))
        self._bytes += size
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        for _ in range(AT_ONCE):
            if not self._queue or self._held:
                return
            tell, size = self._queue.popleft()
            self._bytes -= size
            tell()
        self._schedule()


def join(one: Socket, other: Socket, soon: Soon) -> None:
    """Connect two sockets with each other."""
    there, back = LocalWire(other, soon), LocalWire(one, soon)
    there.back, back.back = back, there
    one.connect(there)
    other.connect(back)
