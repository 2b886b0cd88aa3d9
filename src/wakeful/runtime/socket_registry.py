"""Which actor has which sockets, and how many there are.

Invariants: a room is there while it has sockets or its actor is awake; an actor is kept awake
            while one of its standing sockets is open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from wakeful.config import Limits
from wakeful.core.lifecycle import ActivationState
from wakeful.errors import Overloaded
from wakeful.ids import ActorId
from wakeful.runtime.activation import Activation
from wakeful.runtime.host_loop import HostLoop
from wakeful.runtime.socket import ActorSockets, Socket


class SocketRegistry:
    """The rooms of all actors of one runtime.

    Args:
        active: the activations there are.
        pump: goes on with an activation that nothing keeps awake any more.

    Attributes:
        count: sockets that are in a room.
    """

    def __init__(
        self,
        loop: HostLoop,
        limits: Limits,
        active: Mapping[ActorId, Activation],
        pump: Callable[[Activation], None],
    ) -> None:
        self.count = 0
        self._loop = loop
        self._limits = limits
        self._active = active
        self._pump = pump
        self._rooms: dict[ActorId, ActorSockets] = {}

    def __iter__(self) -> Iterator[ActorSockets]:
        return iter(list(self._rooms.values()))

    def __len__(self) -> int:
        return len(self._rooms)

    def get(self, actor: ActorId) -> ActorSockets | None:
        """The room of an actor, if it has one."""
        return self._rooms.get(actor)

    def of(self, activation: Activation) -> ActorSockets:
        """The room of an actor that is awake, made when first needed."""
        room = self._rooms.get(activation.id)
        if room is None:
            room = ActorSockets(activation.type, activation.id, activation.lane)
            self._rooms[activation.id] = room
        return room

    def enter(self, activation: Activation, socket: Socket, tags: tuple[str, ...]) -> None:
        """Enter a socket with its checked tags; a standing one keeps the actor awake.

        Raises:
            Overloaded: the actor has as many as it may have.
        """
        room = self.of(activation)
        if len(room) >= self._limits.sockets_per_actor:
            raise Overloaded(f"{activation.id} has {len(room)} sockets (limits.sockets_per_actor)")
        if socket.standing:
            self._stand(activation, room, socket)
        else:
            room.set.add(socket, tags)
        socket.room = room
        self.count += 1

    def forget(self, socket: Socket) -> None:
        """A socket is over."""
        room = socket.room
        if not isinstance(room, ActorSockets):
            return
        before = len(room)
        if socket.standing:
            self._leave(room, socket)
        else:
            room.set.discard(socket)
        self.count -= before - len(room)
        if room.actor not in self._active:
            self.tidy(room)

    def tidy(self, room: ActorSockets | None) -> None:
        """Forget a room that has no sockets and whose actor is not awake."""
        if room is not None and not len(room) and self._rooms.get(room.actor) is room:
            del self._rooms[room.actor]

    def clear(self) -> None:
        """Forget them all."""
        self._rooms.clear()

    def _stand(self, activation: Activation, room: ActorSockets, socket: Socket) -> None:
        if not room.standing:
            room.pin = self._loop.future()
            if activation.background is None:
                activation.background = set()
            activation.background.add(room.pin)
            activation.refresh()
        room.standing[socket] = None

    def _leave(self, room: ActorSockets, socket: Socket) -> None:
        room.standing.pop(socket, None)
        pin = room.pin
        if room.standing or pin is None:
            return
        room.pin = None
        activation = self._active.get(room.actor)
        if activation is None or activation.background is None:
            return
        activation.background.discard(pin)
        if activation.life.state is ActivationState.ACTIVE:
            self._pump(activation)
