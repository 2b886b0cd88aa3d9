"""Sockets that stay open while their actor sleeps: who is connected, what they say, what they get.

A message is a turn of the actor and wakes it. What an actor does to its sockets is an effect of the
turn: it is kept in the activation's effects until a commit point, then until that is durable; if
the turn is undone it is taken back.

Invariants: events of one socket are delivered in order; its last is `on_close`, once; a socket is
            dropped with its activation, never when that only goes to sleep; nothing waits without
            a bound: reading stops when an actor is slow, a slow client is closed.
Source:     Cloudflare WebSocket hibernation; workerd hibernation-manager and io-gate.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from contextvars import Context as Variables
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from wakeful.actor import WebSocket
from wakeful.actor_type import ActorType, MethodPlan
from wakeful.config import Limits
from wakeful.core.hibernation import (
    GOING_AWAY,
    INTERNAL_ERROR,
    TRY_LATER,
    checked_auto,
    checked_tags,
)
from wakeful.core.lifecycle import ActivationState
from wakeful.errors import (
    ActorAborted,
    ActorMoved,
    ConfigError,
    InvalidArguments,
    Overloaded,
    ShuttingDown,
    SocketClosed,
    StorageError,
    WakefulError,
)
from wakeful.ids import ActorId
from wakeful.log import logger
from wakeful.ports import Clock
from wakeful.runtime.activation import Activation
from wakeful.runtime.committer import Committer
from wakeful.runtime.host_loop import HostLoop
from wakeful.runtime.internal_plan import InterleavedPlan, InternalPlan
from wakeful.runtime.lane import Lane
from wakeful.runtime.socket import ActorSockets, Effect, Event, Held, Socket, SocketGroup, nothing
from wakeful.runtime.socket_memory import SocketMemory
from wakeful.runtime.socket_registry import SocketRegistry

if TYPE_CHECKING:
    from wakeful.actor import Actor

WINDOW: Final = 32  # events of one socket in its actor's mailbox; more wait, and it is not read
WINDOW_BYTES: Final = 1024 * 1024  # of large messages among them; one may be larger
RETRY_SECONDS: Final = 0.05
RETRIES_MAX: Final = 100
CLOSE_SECONDS: Final = 1.0  # for clients to answer the last close frame

Post = Callable[[ActorType, ActorId, MethodPlan, object, Variables], "Future[object]"]


Of = Callable[[ActorId], bool]


class EventPlan(InternalPlan):
    """An event of a socket: it waits its turn like a call."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("socket event", _handle)
        self.urgent = False


class Sockets:
    """The sockets of all actors of one runtime.

    Args:
        active: the activations there are.
        post: delivers an event to an actor, after those before it.
        pump: goes on with an activation that nothing keeps awake any more.

    Attributes:
        connected: sockets whose connection has not ended yet.
        goodbye: what is said to them when the runtime closes.
    """

    def __init__(
        self,
        *,
        loop: HostLoop,
        clock: Clock,
        limits: Limits,
        active: Mapping[ActorId, Activation],
        committer: Committer,
        post: Post,
        pump: Callable[[Activation], None],
    ) -> None:
        self.connected: set[Socket] = set()
        self.limits = limits
        self.memory = SocketMemory(limits.sockets_bytes)
        self.now_ns = clock.now_ns
        self.goodbye = (GOING_AWAY, "the server is going away")
        self._loop = loop
        self._active = active
        self._committer = committer
        self._post = post
        self._rooms = SocketRegistry(loop, limits, active, pump)
        self._goodbyes: list[tuple[set[Socket], Future[None]]] = []
        self._plan = EventPlan()
        self._gated_plan = InterleavedPlan("socket event", _handle)

    @property
    def count(self) -> int:
        """Accepted sockets that are open."""
        return self._rooms.count

    def full(self) -> bool:
        """Whether no further socket may be accepted."""
        return max(self._rooms.count, len(self.connected)) >= self.limits.sockets

    # --- what actors do --------------------------------------------------------------------------

    def accept(self, activation: Activation, socket: WebSocket, tags: Iterable[str]) -> None:
        """Make a socket one of an actor's."""
        activation.check_here()
        if not isinstance(socket, Socket):
            raise InvalidArguments(f"a socket is accepted, not {type(socket).__name__}", "socket")
        if socket.accepted:
            raise InvalidArguments("the socket has been accepted already", "socket")
        if socket.over:
            raise SocketClosed("the client has left, or was told that it took too long")
        if activation.type.lifetime is None:
            raise ConfigError(
                f"{activation.type.name} cannot keep sockets: it does not wake by itself. "
                "Derive it from DurableObject, or attach a VirtualActorFacet"
            )
        self._rooms.enter(activation, socket, checked_tags(tags))

    def room(self, activation: Activation) -> ActorSockets:
        """The room of an actor that is awake.

        Raises:
            WakefulError: it is not any more.
        """
        activation.check_here()
        return self._rooms.of(activation)

    def find(self, activation: Activation, tag: str | None) -> list[Socket]:
        """An actor's sockets that it has not closed, the newest first."""
        return [socket for socket in self.open(activation, tag) if not socket.closed_by_actor]

    def open(self, activation: Activation, tag: str | None) -> list[Socket]:
        """An actor's sockets whose last event is not over, the newest first."""
        activation.check_here()
        room = self._rooms.get(activation.id)
        return room.set.find(tag) if room is not None else []

    def auto(self, activation: Activation) -> tuple[str, str] | None:
        """The automatic answer of an actor."""
        room = self._rooms.get(activation.id)
        return room.set.auto if room is not None else None

    def set_auto(self, activation: Activation, request: str | None, response: str) -> None:
        """Set it, or take it back."""
        pair = None if request is None else checked_auto(request, response)
        activation.check_here()
        room = self._rooms.of(activation)
        before, room.set.auto = room.set.auto, pair
        self.later(room, nothing, partial(setattr, room.set, "auto", before))

    def later(
        self, room: SocketGroup, do: Callable[[], object], undo: Callable[[], object]
    ) -> None:
        """Do something once the running turn's changes may be seen; undo it if they never may."""
        assert isinstance(room, ActorSockets)
        activation = self._active.get(room.actor)
        if activation is None:
            raise ActorAborted(
                f"{room.actor} has gone to sleep: work that goes on after a call belongs in "
                "ctx.wait_until(...), which keeps the actor awake"
            )
        activation.check_here()
        if activation.effects is None:
            activation.effects = []
            activation.free = False  # until then each turn ends before the next one starts
            self._loop.soon(self.drain, activation)
        activation.effects.append(Effect(do, undo))

    # --- when it may be seen ---------------------------------------------------------------------

    def drain(self, activation: Activation) -> None:
        """Release effects that no running turn will; commits what was done outside turns too."""
        if activation.effects is None or activation.turns:
            return
        if activation.life.state is not ActivationState.ACTIVE:
            return  # a hook is running: its end releases them
        if activation.transaction is not None:
            activation.transaction.when_over(partial(self.drain, activation))
            return
        try:
            if activation.durable and activation.save():
                self._committer.wrote(activation)
        except WakefulError as error:
            activation.undo()
            self._log("what was sent outside a call is lost", activation.id, error)
        self.release(activation)
        activation.refresh()

    def release(self, activation: Activation) -> None:
        """Release the effects that an activation has committed, once they are durable."""
        effects, activation.effects = activation.effects, None
        if not effects or activation.life.cause is not None:
            return
        room = self._rooms.of(activation)
        ownership = room.lane.ownership
        pending = activation.confirm and self._committer.pending(activation)
        at_ns = ownership.now_ns() if activation.confirm else -1
        if not pending and room.held is None and ownership.lease.held(at_ns):
            _do(effects)
            return
        if room.held is None:
            room.held = deque()
        batch = activation.gate.batch
        waiting = bool(room.held) and room.held[-1].batch == batch
        room.held.append(Held(batch, effects, at_ns))
        if not pending:
            ownership.when_proven(at_ns, partial(self._proven, room))
        elif not waiting:
            ticket: Future[object] = self._loop.future()
            self._loop.when_done(ticket, partial(self._settled, room))
            activation.lane.commit.wait(activation.gate, ticket)

    def _settled(self, room: ActorSockets, ticket: Future[object]) -> None:
        if ticket.cancelled() or ticket.exception() is not None:
            room.held = None  # these are never sent
            return
        self._let_go(room)

    def _let_go(self, room: ActorSockets) -> None:
        settled, ownership = room.lane.commit.settled, room.lane.ownership
        while room.held and room.held[0].batch <= settled:
            if not ownership.lease.held(room.held[0].at_ns):
                ownership.when_proven(room.held[0].at_ns, partial(self._proven, room))
                return
            _do(room.held.popleft().effects)
        if not room.held:
            room.held = None

    def _proven(self, room: ActorSockets, error: StorageError | None) -> None:
        """The actor was owned when it sent what is held; or nobody knows, and nothing is sent."""
        if error is None:
            self._let_go(room)
        else:
            self._drop(room)

    def gone(self, activation: Activation) -> None:
        """An activation has gone: its sockets stay if it sleeps, and are dropped if it is lost."""
        room = self._rooms.get(activation.id)
        if activation.life.cause is None:
            effects = activation.effects or []
            if room is not None:
                self._let_go(room)
            if room is not None and room.held is not None:
                room.held.append(Held(0, effects, -1))  # after what waits there
            else:
                _do(effects)
            self._rooms.tidy(room)
        elif room is not None:
            self._drop(room)
        activation.effects = None

    def unborn(self, activation: Activation) -> None:
        """An activation failed to wake: undo its effects; its actor's sockets stay."""
        activation.take_back(0)
        self._rooms.tidy(self._rooms.get(activation.id))

    def drop_lane(self, lane: Lane) -> None:
        """Cut every connection to an actor of a lane."""
        for room in self._rooms:
            if room.lane is lane:
                self._drop(room)

    def _drop(self, room: ActorSockets) -> None:
        room.held = None
        for socket in room.everyone():
            self._rooms.forget(socket)
            socket.drop()
        room.set.auto = room.event_seconds = None
        self._rooms.tidy(room)

    # --- what clients do -------------------------------------------------------------------------

    def offer(self, event: Event) -> None:
        """Deliver an event after those before it, or keep it until there is room."""
        socket, room = event.socket, event.socket.room
        if not isinstance(room, ActorSockets):
            event.settle()
        elif socket.waiting is not None:
            socket.waiting.append(event)
        elif socket.outstanding or socket.handles(room, event):
            self._deliver(room, event)
            if socket.outstanding and _is_full(socket):
                self._hold(socket)
        else:
            event.settle()
            self._finish(event)

    def abandon(self, socket: Socket) -> None:
        """Forget a socket whose turn was undone or whose connection could not be made."""
        self._rooms.forget(socket)
        socket.over = True

    def soon(self, do: Callable[[], object]) -> None:
        """Do something outside all turns."""
        self._loop.soon(do)

    def _deliver(self, room: ActorSockets, event: Event) -> None:
        socket = event.socket
        plan = self._gated_plan if room.type.gated else self._plan
        try:
            reply = self._post(room.type, room.actor, plan, event, self._loop.context())
        except (ShuttingDown, ActorMoved):
            event.settle()
            return
        except Overloaded as error:
            self._postpone(event, error)
            return
        except WakefulError as error:
            self._undeliverable(event, error)
            return
        socket.outstanding += 1
        if reply.done():
            self._handled(event, reply)
        else:
            self._loop.when_done(reply, partial(self._handled_later, event))

    def _postpone(self, event: Event, error: Overloaded) -> None:
        socket = event.socket
        event.tries += 1
        if event.tries > RETRIES_MAX:
            self._log("a socket is closed: its actor is overloaded", _actor(socket), error)
            event.settle()
            socket.end(TRY_LATER, "overloaded")
            self._rooms.forget(socket)
            return
        self._hold(socket).appendleft(event)
        if not socket.outstanding:
            self._loop.later(RETRY_SECONDS, self._go_on, socket)

    def _go_on(self, socket: Socket) -> None:
        """Deliver what waits, as far as there is room."""
        room, tries = socket.room, 0
        while isinstance(room, ActorSockets) and socket.waiting and not _is_full(socket):
            event = socket.waiting.popleft()
            tries = event.tries
            self._deliver(room, event)
            if event.tries > tries:
                return
        if socket.waiting is not None and not socket.waiting and _has_room(socket):
            socket.waiting = None
            socket.hold(held=False)

    def _handled_later(self, event: Event, reply: Future[object]) -> None:
        self._handled(event, reply)
        self._go_on(event.socket)

    def _handled(self, event: Event, reply: Future[object]) -> None:
        event.socket.outstanding -= 1
        event.settle()
        error = None if reply.cancelled() else reply.exception()
        if error is not None and not isinstance(error, ShuttingDown | ActorMoved | ActorAborted):
            if event.begun:
                self._log(f"{event.hook} failed", _actor(event.socket), error)
            else:
                self._undeliverable(event, error)
        if event.hook == "on_close":
            self._finish(event)

    def _undeliverable(self, event: Event, error: BaseException) -> None:
        socket = event.socket
        event.settle()
        self._log("a socket is closed: its actor cannot be reached", _actor(socket), error)
        socket.end(INTERNAL_ERROR, "the actor cannot be reached")
        self._rooms.forget(socket)

    def _finish(self, event: Event) -> None:
        """Finish a socket's event; after the last event the socket is forgotten."""
        if event.hook != "on_close":
            return
        code, _, clean = cast("tuple[int, str, bool]", event.args)
        if event.socket.finish(code, clean=clean):
            self._rooms.forget(event.socket)

    # --- ending ----------------------------------------------------------------------------------

    def notice(self, socket: Socket) -> None:
        """The connection of a socket has ended."""
        for waiting, ended in self._goodbyes:
            waiting.discard(socket)
            if not waiting and not ended.done():
                ended.set_result(None)

    def let_go(self, of: Of) -> None:
        """Hang up on those that keep some actors awake."""
        for room in self._rooms:
            for socket in list(room.standing) if of(room.actor) else ():
                socket.hang_up(*self.goodbye)

    def _say_goodbye(self, socket: Socket) -> None:
        socket.end(*self.goodbye)
        self._rooms.forget(socket)

    async def close(self, seconds: float, of: Of | None = None) -> None:
        """Say goodbye to the clients of some actors, or to all.

        Args:
            seconds: who has not answered then, or in CLOSE_SECONDS, is cut off.
            of: which actors; None: all clients.
        """
        rooms = [room for room in self._rooms if of is None or of(room.actor)]
        leaving = dict.fromkeys(socket for room in rooms for socket in room.everyone())
        for room in rooms:
            for socket in room.set.find():
                self._say_goodbye(socket)
        if of is None:
            leaving |= dict.fromkeys(self.connected)
            for socket in list(self.connected):
                socket.end(*self.goodbye)
            self._rooms.clear()
        waiting = {socket for socket in leaving if socket in self.connected}
        if waiting:
            await self._all_gone(waiting, min(seconds, CLOSE_SECONDS))
        for socket in leaving:
            if socket in self.connected:
                socket.drop()

    async def _all_gone(self, waiting: set[Socket], seconds: float) -> None:
        goodbye = waiting, self._loop.future()
        self._goodbyes.append(goodbye)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await goodbye[1]
        finally:
            self._goodbyes.remove(goodbye)

    def _hold(self, socket: Socket) -> deque[Event]:
        """Stop reading a socket; returns the queue in which its further events wait."""
        if socket.waiting is None:
            socket.waiting = deque()
            socket.hold(held=True)
        return socket.waiting

    def _log(self, event: str, actor: ActorId | None, error: BaseException) -> None:
        log = logger()
        log.error(event, actor=str(actor), error=repr(error), exc_info=error)


def _is_full(socket: Socket) -> bool:
    """Whether the socket has as many outstanding events as allowed."""
    outstanding = socket.outstanding
    return outstanding >= WINDOW or (outstanding > 0 and socket.taken_bytes > WINDOW_BYTES)


def _has_room(socket: Socket) -> bool:
    """Whether few enough events are outstanding to read the socket again."""
    return socket.outstanding <= WINDOW // 2 and not _is_full(socket)


def _do(effects: list[Effect]) -> None:
    for effect in effects:
        effect.do()


def _actor(socket: Socket) -> ActorId | None:
    return socket.room.actor if isinstance(socket.room, ActorSockets) else None


async def _handle(instance: Actor, event: Event) -> None:
    """The turn of an event."""
    if event.socket.over:
        return
    event.begun = True
    await event.socket.handle(instance, event)
