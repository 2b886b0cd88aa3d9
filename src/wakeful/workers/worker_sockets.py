"""Sockets that code of a Worker has accepted: how they tell it what happens.

    hibernatable   an object's: each event is one of the object, which it wakes
    standard       an object's: it keeps the object awake, and is lost with it
                   of no object: its listeners are called as things happen

Source:  Cloudflare docs on WebSockets and WebSocket hibernation; workerd.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from wakeful.errors import Overloaded, SocketClosed
from wakeful.log import logger
from wakeful.runtime.gated import inside
from wakeful.runtime.socket import ActorSockets, Event, Socket, SocketGroup, SocketOwner
from wakeful.workers import calls
from wakeful.workers.objects.ids import DurableObjectId
from wakeful.workers.proxies import JsBytes, JsException
from wakeful.workers.socket_pair import End, Use
from wakeful.workers.web.blobs import JsBlob
from wakeful.workers.web.events import JsEvent
from wakeful.workers.web.web_sockets import JsWebSocket

if TYPE_CHECKING:
    from wakeful.actor import Actor
    from wakeful.runtime.gated import Gated
    from wakeful.runtime.host import Host
    from wakeful.workers.objects.host_object import Instance, WorkerObject

HANDLERS: Final = {
    "on_message": "webSocketMessage",
    "on_close": "webSocketClose",
    "on_error": "webSocketError",
}
NOT_HERE: Final = (
    "WebSocket.accept(): code that runs while a Worker is imported handles no event, and cannot "
    "accept sockets."
)

WaitUntil = Callable[[Awaitable[object]], None]


class WorkerSocket(Socket):
    """A socket of a Worker; it receives messages even after it has closed, as on Cloudflare."""

    deaf = False
    __slots__ = ("heard_close",)

    def __init__(self, home: SocketOwner) -> None:
        super().__init__(home)
        self.heard_close = False


class HibernatableSocket(WorkerSocket):
    """A socket that its object keeps while it sleeps.

    Attributes:
        pair_end: the end of the pair it is.
        tags_given: what it was accepted with, also when it is over.
    """

    __slots__ = ("_broken", "_id", "_make_face", "pair_end", "tags_given")

    def __init__(
        self,
        home: SocketOwner,
        end: End,
        id: DurableObjectId,
        make_face: Callable[[End], JsWebSocket],
    ) -> None:
        super().__init__(home)
        self._broken = False
        self._id = id
        self._make_face = make_face
        self.pair_end = end
        self.tags_given: tuple[str, ...] = ()

    def face(self, token: object) -> JsWebSocket:
        """Return the socket as an instance of the object sees it."""
        end = self.pair_end
        if end.token is not token:
            end.face, end.token = self._make_face(end), token
        return cast("JsWebSocket", end.face)

    def handles(self, room: ActorSockets, event: Event) -> bool:
        """Whether the object has a handler for the event."""
        cls: Any = room.type.cls
        handlers = cls._class.exported.handlers
        return not self._has_ended_for(event) and HANDLERS[event.hook] in handlers

    async def handle(self, instance: Actor, event: Event) -> None:
        """Let the object handle an event; an error of the handler is logged."""
        if self._has_ended_for(event):
            return

        def run(target: Instance) -> Any:
            self.heard_close |= event.hook == "on_close"
            return target.handle_socket_event(HANDLERS[event.hook], self, event.args)

        handled = calls.Event(self._id, run)
        await cast("WorkerObject", instance)._handle(handled)
        if handled.error is not None:
            log = logger("wakeful")
            what = f"{HANDLERS[event.hook]} failed"
            log.error(what, object=self._id.toString(), exc_info=handled.error)

    def failed(self, code: int, why: str) -> None:
        """Note that the connection broke a rule."""
        self._broken = True
        super().failed(code, why)

    def _has_ended_for(self, event: Event) -> bool:
        """Whether the object was told of the socket's end already: no close follows an error."""
        return self._broken and event.hook == "on_close"


class StandardSocket(WorkerSocket):
    """A socket whose events go to listeners.

    Args:
        half_open: the other side's close is not answered before the code here closes too.
        wait_until: lets go on what listeners return to be awaited.
    """

    standing = True
    __slots__ = ("_begun", "_face", "_half_open", "_held", "_hung_up", "_wait_until")

    def __init__(
        self, home: SocketOwner, face: JsWebSocket, *, half_open: bool, wait_until: WaitUntil
    ) -> None:
        super().__init__(home)
        self._face = face
        self._half_open = half_open
        self._hung_up = False
        self._wait_until = wait_until
        self._begun = 0  # listeners that have not ended
        self._held = False

    def hold(self, *, held: bool) -> None:
        """Stop reading or continue; nothing is read while too many listeners are still running."""
        self._held = held
        super().hold(held=held or self._begun >= self._home.limits.mailbox)

    def handles(self, room: ActorSockets, event: Event) -> bool:
        """Always true: the socket's state changes too."""
        return True

    async def handle(self, instance: Actor, event: Event) -> None:
        """Call the listeners, as an event of the object."""

        async def run(target: Instance) -> None:
            self.tell(event)

        await cast("WorkerObject", instance)._handle(calls.Event(None, run))

    def tell(self, event: Event) -> None:
        """Call the listeners."""
        match event.hook, event.args:
            case "on_message", (message,):
                self._tell("message", data=self._data(message))
            case "on_close", (code, reason, clean):
                self.heard_close = bool(clean)  # readyState first becomes what it is after a cut
                self._tell("close", code=code, reason=reason, wasClean=clean)
                self.heard_close = True
            case "on_open", _:
                self._tell("open")
            case "on_error", (error,):
                self._tell("error", message=str(error), error=JsException(str(error)))

    def opened(self, protocol: str) -> None:
        """Note that the connection which the code has opened is established."""
        if isinstance(self._face, Outgoing):
            self._face.protocol = protocol
        self._home.offer(Event(self, "on_open"))

    def closed(self, code: int, reason: str, *, clean: bool) -> None:
        """Note that the other side has closed, or is lost."""
        if clean and not self._half_open and not self.closed_by_actor and not self.over:
            self.closed_by_actor = True
            self._put(lambda wire: wire.close(code, reason))
        super().closed(code, reason, clean=clean)

    def finish(self, code: int, *, clean: bool) -> bool:
        """End the socket, unless the code here may still send and close."""
        self.over = self.over or not clean or self.closed_by_actor or self._hung_up
        return self.over

    def disconnected(self) -> None:
        """Note that the connection has ended."""
        super().disconnected()
        self._hung_up = True
        if self.heard_close:
            self._home.abandon(self)

    def _tell(self, type: str, **members: Any) -> None:
        self._face.tell(JsEvent(type, **members), self._begin)

    def _begin(self, work: Awaitable[object]) -> None:
        self._begun += 1
        if self._begun == self._home.limits.mailbox:
            self.hold(held=self._held)
        self._wait_until(self._ended(work))

    async def _ended(self, work: Awaitable[object]) -> None:
        try:
            await work
        finally:
            self._begun -= 1
            if self._begun == self._home.limits.mailbox - 1:
                self.hold(held=self._held)

    def _data(self, message: object) -> object:
        if not isinstance(message, bytes):
            return message
        return JsBlob([message]) if self._face.binaryType == "blob" else JsBytes(message)


class Outgoing(JsWebSocket):
    """The code's end of a connection that it has opened to the outside.

    Attributes:
        url: where to.
        protocol: what the server has chosen of the protocols offered.
        connecting: the connection is not there yet.
    """

    def __init__(self, end: End, home: Lobby, binary_type: str, url: str) -> None:
        super().__init__(end, home, binary_type)
        self.url = url
        self.connecting = True

    @property
    def readyState(self) -> int:
        """CONNECTING first; later the same as for every other socket."""
        return self.CONNECTING if self.connecting else super().readyState

    def send(self, message: object) -> None:
        """Send a text or bytes.

        Raises:
            JsException: the connection is not there yet.
            JsTypeError: it is closed.
        """
        if self.connecting:
            raise JsException("WebSocket is not open yet: send on 'open'.", "InvalidStateError")
        super().send(message)

    def tell(self, event: JsEvent, begin: Callable[[Awaitable[object]], None]) -> None:
        """Call all listeners; the first event ends the state CONNECTING."""
        self.connecting = False
        super().tell(event, begin)


class Lobby:
    """The maker of a Worker's socket pairs, and the home of sockets that belong to no object.

    Args:
        wait_until: lets something go on after the event that is being handled.
        answers_close: sockets answer the close of the other side by themselves.
        binary_type: as what binary messages come to listeners, until they say so.

    Attributes:
        connected: sockets whose connection has not ended.
    """

    def __init__(self, wait_until: WaitUntil, *, answers_close: bool, binary_type: str) -> None:
        self._host: Host | None = None
        self._wait_until = wait_until
        self._answers_close = answers_close
        self._binary_type = binary_type
        self._room = SocketGroup()

    def start(self, host: Host) -> None:
        """Let a host serve the Worker from now on."""
        self._host = host
        self.loop = host.loop
        self.connected = host.sockets.connected
        self.limits = host.config.limits
        self.memory = host.sockets.memory
        self.now_ns = host.clock.now_ns
        self.soon = host.sockets.soon
        self.notice = host.sockets.notice

    def close(self) -> None:
        """Close all connections."""
        if self._host is not None:
            for socket in list(self.connected):
                if socket.room is self._room:
                    socket.hang_up(*self._host.sockets.goodbye)

    def pair(self) -> tuple[JsWebSocket, JsWebSocket]:
        """Make two connected ends.

        Raises:
            JsException: the Worker is not running yet.
        """
        one, other = self._ends()
        return self.face(one), self.face(other)

    def outgoing(self, url: str) -> tuple[Outgoing, JsWebSocket]:
        """Make the end of the code that opens a connection, and the end behind the connection.

        Raises:
            JsException: the Worker is not running yet.
        """
        near, far = self._ends()
        return Outgoing(near, self, self._binary_type, url), self.face(far)

    def check_room(self) -> None:
        """Refuse a connection beyond the limit.

        Raises:
            JsException: there are as many as the process may have.
        """
        if self._host is not None and self._host.sockets.full():
            limit = self.limits.sockets
            raise JsException(f"{limit} WebSockets are open (limits.sockets)")

    def _ends(self) -> tuple[End, End]:
        if self._host is None:
            raise JsException(NOT_HERE)
        limit = self.limits.socket_message_bytes
        one, other = (End(self.soon, limit, self.memory) for _ in range(2))
        one.other, other.other = other, one
        return one, other

    def face(self, end: End) -> JsWebSocket:
        """Return the socket as code sees it."""
        return JsWebSocket(end, self, self._binary_type)

    def accept(self, face: JsWebSocket, end: End, *, half_open: bool) -> None:
        """Accept an end for the code that runs.

        Raises:
            JsException: the object has too many.
        """
        half_open = half_open or not self._answers_close
        gated = inside.get()
        home: SocketOwner = self if gated is None else gated.sockets
        socket = StandardSocket(home, face, half_open=half_open, wait_until=self._wait_until)
        if gated is None:
            socket.room = self._room
        else:
            enter(gated, socket, ())
        end.accepted(socket, Use.STANDARD)

    def abandon(self, given: End | Socket) -> None:
        """Cut an end that no code holds, or forget an ended socket; callable from any thread."""
        if isinstance(given, Socket):
            given.over = True
        elif self._host is not None:
            with suppress(RuntimeError):  # the loop has been closed
                self._host.loop.soon_from_thread(given.abandoned)

    # --- home of sockets of no object ------------------------------------------------------------

    def later(
        self, room: SocketGroup, do: Callable[[], object], undo: Callable[[], object]
    ) -> None:
        """Run a function now: outside of objects no write has to be awaited."""
        do()

    def offer(self, event: Event) -> None:
        """Call the listeners."""
        self.soon(partial(self._told, event))

    def _told(self, event: Event) -> None:
        socket = cast("StandardSocket", event.socket)
        event.settle()
        if socket.over:
            return
        socket.tell(event)
        if event.hook == "on_close":
            _, _, clean = cast("tuple[int, str, bool]", event.args)
            socket.finish(0, clean=clean)


def enter(gated: Gated, socket: WorkerSocket, tags: tuple[str, ...]) -> None:
    """Give a socket to an object.

    Raises:
        JsException: it has too many.
    """
    try:
        gated.sockets.accept(gated.activation, socket, tags)
    except Overloaded:
        limit = gated.sockets.limits.sockets_per_actor
        raise JsException(
            f"only {limit} websockets can be accepted on a single Durable Object instance"
        ) from None


def handler_arguments(args: tuple[object, ...]) -> tuple[object, ...]:
    """Convert an event to the arguments of a handler, as JavaScript has them."""
    return tuple(
        JsBytes(arg)
        if isinstance(arg, bytes)
        else JsException(str(arg))
        if isinstance(arg, SocketClosed)
        else arg
        for arg in args
    )
