"""One socket: what an actor sees of it, and what its server tells of it.

Invariants: what an actor does is an effect of its turn (see sockets); an automatic answer is not;
            after the last event nothing more is delivered.
"""

from __future__ import annotations

from asyncio import Future
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, runtime_checkable

from wakeful import codec
from wakeful.actor import WebSocket
from wakeful.actor_type import ActorType
from wakeful.config import Limits
from wakeful.core.hibernation import (
    ATTACHMENT_BYTES_MAX,
    CUT,
    LOST,
    TRY_LATER,
    SocketSet,
    check_close,
)
from wakeful.errors import InvalidArguments, PayloadTooLarge, SocketClosed
from wakeful.ids import ActorId
from wakeful.runtime.socket_memory import FULL, SMALL_BYTES, SocketMemory

if TYPE_CHECKING:
    from wakeful.actor import Actor
    from wakeful.runtime.lane import Lane


class Wire(Protocol):
    """A connection, as a server gives it."""

    def send(self, message: str | bytes) -> None:
        """Send a message."""

    def close(self, code: int, reason: str) -> None:
        """Send a close frame (NO_CODE: an empty one), and end once the client has answered."""

    def drop(self) -> None:
        """End it at once, without a close frame."""

    def hold(self, *, held: bool) -> None:
        """Stop reading, or go on."""

    def backlog_bytes(self) -> int:
        """What was sent and has not left yet."""


@runtime_checkable
class Peer(Protocol):
    """What a server tells of a connection."""

    @property
    def message_bytes_max(self) -> int:
        """The largest message the client may send."""

    @property
    def memory(self) -> SocketMemory:
        """Counts what is kept of messages that are not complete."""

    def connect(self, wire: Wire, /) -> None:
        """The connection is there."""

    def received(self, message: str | bytes, /) -> None:
        """The client has sent a message."""

    def closed(self, code: int, reason: str, /, *, clean: bool) -> None:
        """The client has closed (clean), or the connection is lost: nothing comes any more."""

    def failed(self, code: int, why: str, /) -> None:
        """The connection broke a rule; the wire closes it."""

    def disconnected(self) -> None:
        """The connection has ended."""


class SocketOwner(Protocol):
    """What a socket needs of those who look after all of them."""

    connected: set[Socket]
    limits: Limits
    memory: SocketMemory

    @property
    def now_ns(self) -> Callable[[], int]:
        """Tells wall-clock nanoseconds since 1970."""

    def later(
        self, room: SocketGroup, do: Callable[[], object], undo: Callable[[], object]
    ) -> None:
        """Do something once the running turn's changes may be seen; undo it if they never may."""

    def soon(self, do: Callable[[], object]) -> None:
        """Do something outside all turns."""

    def offer(self, event: Event) -> None:
        """Deliver an event."""

    def abandon(self, socket: Socket) -> None:
        """Forget a socket: it is over."""

    def notice(self, socket: Socket) -> None:
        """The connection of a socket has ended."""


class Event:
    """Something that happened on a socket.

    Attributes:
        size: what a large message takes of the memory for all sockets, until it is settled.
    """

    __slots__ = ("args", "begun", "hook", "size", "socket", "tries")

    def __init__(self, socket: Socket, hook: str, *args: object) -> None:
        self.socket = socket
        self.hook = hook
        self.args = args
        self.begun = False
        self.tries = 0
        self.size = 0

    def settle(self) -> None:
        """Settle an event that is handled or dropped. Idempotent."""
        size, self.size = self.size, 0
        if size:
            self.socket.taken_bytes -= size
            self.socket.memory.give_back(size)


class Effect(NamedTuple):
    """What a turn does to a socket: done when it may leave, or taken back."""

    do: Callable[[], object]
    undo: Callable[[], object]


class Held(NamedTuple):
    """Effects of a turn that is committed, waiting until its batch is durable.

    Attributes:
        at_ns: its actor must have been owned then; -1 if that does not matter.
    """

    batch: int
    effects: list[Effect]
    at_ns: int


class SocketGroup:
    """Sockets that belong together."""

    __slots__ = ("set",)

    def __init__(self) -> None:
        self.set: SocketSet[Socket] = SocketSet()


class ActorSockets(SocketGroup):
    """The sockets of one actor, and what is on its way to them.

    Attributes:
        lane: the actor's.
        standing: those that do not outlive the activation, and keep it awake.
        pin: what keeps it awake.
        event_seconds: how long a handler may take; for those who made the actor's type.
    """

    __slots__ = ("actor", "event_seconds", "held", "lane", "pin", "standing", "type")

    def __init__(self, actor_type: ActorType, actor: ActorId, lane: Lane) -> None:
        super().__init__()
        self.type = actor_type
        self.actor = actor
        self.lane = lane
        self.held: deque[Held] | None = None
        self.standing: dict[Socket, None] = {}
        self.pin: Future[object] | None = None
        self.event_seconds: float | None = None

    def __len__(self) -> int:
        return len(self.set) + len(self.standing)

    def everyone(self) -> list[Socket]:
        """All sockets of the actor."""
        return [*self.set.find(), *self.standing]


class Socket(WebSocket):
    """One client's connection; made by the server, accepted by the actor.

    Attributes:
        standing: it is lost when its actor's activation goes, keeps that awake, and has no
            automatic answers.
        deaf: once its actor has closed it, it handles no more messages.
        outstanding: its events in its actor's mailbox, or being handled.
        waiting: its events for which there was no room there; None if reading goes on.
        taken_bytes: what its large messages take of the memory for all sockets.
    """

    standing: ClassVar[bool] = False
    deaf: ClassVar[bool] = True

    __slots__ = (
        *("_attachment", "_auto_ns", "_early", "_home", "_last", "_queued_bytes", "_wire"),
        *("closed_by_actor", "memory", "outstanding", "over", "room", "taken_bytes", "waiting"),
    )

    def __init__(self, home: SocketOwner) -> None:
        self._home = home
        self.memory = home.memory
        self._wire: Wire | None = None
        self._early: list[tuple[Callable[[Wire], object], int]] | None = None
        self._attachment: bytes | None = None
        self._queued_bytes = 0
        self._last = False
        self.room: SocketGroup | None = None
        self._auto_ns: int | None = None
        self.closed_by_actor = False
        self.over = False
        self.outstanding = 0
        self.taken_bytes = 0
        self.waiting: deque[Event] | None = None

    # --- for the actor ---------------------------------------------------------------------------

    @property
    def tags(self) -> tuple[str, ...]:
        """What it was accepted with."""
        return self._room().set.tags(self)

    @property
    def attachment(self) -> object:
        """A copy of what was attached, or None."""
        return None if self._attachment is None else codec.decode(self._attachment)

    @attachment.setter
    def attachment(self, value: object) -> None:
        packed = codec.encode(value)
        if len(packed) > ATTACHMENT_BYTES_MAX:
            raise InvalidArguments(
                f"an attachment cannot be larger than {ATTACHMENT_BYTES_MAX} bytes; "
                f"this one has {len(packed)}",
                "attachment",
            )
        before, self._attachment = self._attachment, packed
        self._home.later(self._room(), nothing, partial(setattr, self, "_attachment", before))

    @property
    def auto_response_ns(self) -> int | None:
        """When it was last answered automatically, in nanoseconds since 1970."""
        return self._auto_ns

    def send(self, message: str | bytes) -> None:
        """Send a message when the turn may be seen."""
        if not isinstance(message, str | bytes):
            raise InvalidArguments(f"a message is str or bytes, not {type(message).__name__}")
        room = self._room()
        self._check_open()
        limits = self._home.limits
        size = len(message) if isinstance(message, bytes) else len(message.encode())
        if size > limits.socket_message_bytes:
            raise PayloadTooLarge(
                f"a message has at most {limits.socket_message_bytes} bytes "
                f"(limits.socket_message_bytes), this one {size}"
            )
        if self.over:
            return
        if self._is_slow():
            self._home.soon(self._too_slow)
            return
        self._queued_bytes += size
        self._home.later(room, partial(self._send, message, size), partial(self._unqueue, size))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it when the turn may be seen."""
        check_close(code, reason)
        self._room()
        self._check_open()
        self.say_goodbye(code, reason)

    def say_goodbye(self, code: int, reason: str) -> None:
        """Close it when the turn may be seen; code and reason have been checked."""
        room = self._room()
        self.closed_by_actor = True
        undo = partial(setattr, self, "closed_by_actor", False)
        self._home.later(room, partial(self._put, partial(_close, code, reason)), undo)

    def _room(self) -> SocketGroup:
        if self.room is None:
            raise InvalidArguments("accept the socket before you use it: self.ctx.accept(socket)")
        return self.room

    def _check_open(self) -> None:
        if self.closed_by_actor:
            raise SocketClosed("the socket was closed by its actor")

    # --- for the server --------------------------------------------------------------------------

    @property
    def message_bytes_max(self) -> int:
        """The largest message the client may send."""
        return self._home.limits.socket_message_bytes

    @property
    def accepted(self) -> bool:
        """Whether the actor has accepted it."""
        return self.room is not None

    def connect(self, wire: Wire) -> None:
        """The connection is there: what was sent before goes out."""
        self._wire = wire
        self._home.connected.add(self)
        early, self._early = self._early, None
        for put, size in early or ():
            self._unqueue(size)
            put(wire)
        if self.over:
            wire.drop()

    def disconnected(self) -> None:
        """The connection has ended."""
        self._home.connected.discard(self)
        self._home.notice(self)

    def received(self, message: str | bytes) -> None:
        """The client has sent a message."""
        room = self.room
        if self.over or self._last or room is None or (self.closed_by_actor and self.deaf):
            return
        auto = room.set.auto
        if auto is not None and message == auto.request and not self.standing:
            if self._is_slow():
                self._too_slow()
                return
            self._auto_ns = self._home.now_ns()
            self._put(partial(_send, auto.response))
        else:
            self._offer(message)

    def closed(self, code: int, reason: str, *, clean: bool) -> None:
        """The client has closed (clean), or the connection is lost: nothing comes any more."""
        if self.over or self._last:
            return
        self._last = True
        self._home.offer(Event(self, "on_close", code, reason, clean))

    def failed(self, code: int, why: str) -> None:
        """The connection broke a rule; the wire closes it."""
        if self.over or self._last:
            return
        self._home.offer(Event(self, "on_error", SocketClosed(why, code)))
        self.closed(code, why, clean=False)

    def _offer(self, message: str | bytes) -> None:
        event = Event(self, "on_message", message)
        if len(message) > SMALL_BYTES:
            size = message.__sizeof__()
            if not self.memory.take(size):
                self._end_early(FULL, "try again later")
                return
            event.size = size
            self.taken_bytes += size
        self._home.offer(event)

    # --- for the driver --------------------------------------------------------------------------

    def handles(self, room: ActorSockets, event: Event) -> bool:
        """Whether there is code that handles it."""
        return hasattr(room.type.cls, event.hook)

    async def handle(self, instance: Actor, event: Event) -> None:
        """Handle it, in a turn of the actor."""
        handler = getattr(instance, event.hook, None)
        if handler is not None:
            await handler(self, *event.args)

    def finish(self, code: int, *, clean: bool) -> bool:
        """Its last event has been handled; whether it is over."""
        if clean:
            self._answer_close(code)
        self.over = True
        return True

    def end(self, code: int, reason: str) -> None:
        """Close the socket without asking its actor; no more events are delivered."""
        if not self.over:
            self.over = True
            self._drop_waiting()
            self._put(partial(_close, code, reason))

    def hang_up(self, code: int, reason: str) -> None:
        """Close it, and tell the code here that it is lost."""
        if not self.over and not self._last:
            self._put(partial(_close, code, reason))
            self.closed(LOST, CUT, clean=False)

    def drop(self) -> None:
        """Cut the connection; no more events are delivered."""
        self.over = True
        self._drop_waiting()
        if self._wire is not None:
            self._wire.drop()

    def _drop_waiting(self) -> None:
        waiting, self.waiting = self.waiting, None
        for event in waiting or ():
            event.settle()

    def _answer_close(self, code: int) -> None:
        """After the last event, answer the client's close frame unless the actor has done so."""
        if not self.closed_by_actor:
            self._put(partial(_close, code, ""))

    def hold(self, *, held: bool) -> None:
        """Stop reading, or go on."""
        if self._wire is not None and not self.over:
            self._wire.hold(held=held)

    def _put(self, put: Callable[[Wire], object], size: int = 0) -> None:
        if self._wire is not None:
            self._unqueue(size)
            put(self._wire)
            return
        if self._early is None:
            self._early = []
        self._early.append((put, size))

    def _send(self, message: str | bytes, size: int) -> None:
        if self.over:
            self._unqueue(size)
        else:
            self._put(partial(_send, message), size)

    def _unqueue(self, size: int) -> None:
        self._queued_bytes -= size

    def _is_slow(self) -> bool:
        backlog = self._wire.backlog_bytes() if self._wire is not None else 0
        return self._queued_bytes + backlog > self._home.limits.socket_backlog_bytes

    def _too_slow(self) -> None:
        limit = self._home.limits.socket_backlog_bytes
        why = f"more than {limit} bytes wait for a slow client (limits.socket_backlog_bytes)"
        self._end_early(why, "too slow")

    def _end_early(self, why: str, reason: str) -> None:
        if not self.over and not self._last:
            self.failed(TRY_LATER, why)
            self._put(partial(_close, TRY_LATER, reason))


def _send(message: str | bytes, wire: Wire) -> None:
    wire.send(message)


def _close(code: int, reason: str, wire: Wire) -> None:
    wire.close(code, reason)


def nothing() -> None:
    """There is nothing to do."""
