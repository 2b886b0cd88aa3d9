"""A WebSocket client of the simulated world, and its end of the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Final

from wakeful.ids import ActorId
from wakeful.node import Runtime
from wakeful.runtime.socket import Socket
from wakeful.testing.history import Answered, Heard, History, Invoked, Joined, Left, Step, Trouble
from wakeful.testing.vault import PING, PONG
from wakeful.testing.workload import EXPECTED

MESSAGES_MAX: Final = 6


class Wire:
    """A connection: what is sent arrives at once, close frames are answered a moment later.

    Attributes:
        open: neither end has ended it.
        said: the number of the last thing heard.
    """

    def __init__(self, socket: Socket, number: int, actor: ActorId, history: History) -> None:
        self.socket = socket
        self.actor = actor
        self.number = number
        self.open = True
        self.said = -1
        self.pongs = 0
        self.asked: dict[int, int] = {}  # the calls that are answered by a token
        self._history = history
        self._soon = asyncio.get_running_loop().call_soon

    def send(self, message: str | bytes) -> None:
        """A message arrives."""
        if message == PONG:
            self.pongs += 1
            return
        said, token = (int(part) for part in str(message).split())
        self.said = said
        self._history.add(Heard(self.number, self.actor, said, token))
        if (op := self.asked.pop(token, None)) is not None:
            self._history.add(Answered(op, None))

    def close(self, code: int, reason: str) -> None:
        """The server's close frame: the client answers, and the connection ends."""
        if self.end(f"closed by the server with {code}"):
            self._soon(partial(self.socket.closed, code, reason, clean=True))
        self._soon(self.socket.disconnected)

    def drop(self) -> None:
        """The server cuts the connection."""
        self.end("dropped")
        self._soon(self.socket.disconnected)

    def hold(self, *, held: bool) -> None:
        """The server reads no more, or again: nobody here waits for that."""

    def backlog_bytes(self) -> int:
        """Nothing waits."""
        return 0

    def end(self, why: str) -> bool:
        """It is over; whether it was not before."""
        was, self.open = self.open, False
        if was:
            self._history.add(Left(self.number, why))
        return was


class Visitors:
    """The WebSocket clients of one node.

    Args:
        ops: numbers of calls.
        sockets: numbers of sockets.
        tokens: numbers that no call has used.
    """

    def __init__(
        self,
        runtime: Runtime,
        node: str,
        history: History,
        random: Random,
        *,
        ops: Iterator[int],
        sockets: Iterator[int],
        tokens: Callable[[], int],
    ) -> None:
        self.wires: dict[ActorId, list[Wire]] = {}
        self._runtime = runtime
        self._node = node
        self._history = history
        self._random = random
        self._ops = ops
        self._sockets = sockets
        self._tokens = tokens

    async def visit(self, actor: ActorId, idle_s: float) -> None:
        """Come in, say some things with pauses in which the actor may sleep, go or stay."""
        wire = await self.enter(actor)
        if wire is None:
            return
        random = self._random
        for number in range(1, random.randint(1, MESSAGES_MAX) + 1):
            kind = random.choice(("quick", "quick", "slow", "boom", PING))
            if kind == PING:
                self.ping(wire)
            else:
                self.say(wire, number, kind)
            if random.random() < 0.5:
                await asyncio.sleep(random.choice((0.0, 0.003, 2.5 * idle_s)) * random.random())
        if random.random() < 0.6:
            self.leave(wire, clean=random.random() < 0.5)

    async def enter(self, actor: ActorId) -> Wire | None:
        """Let an actor accept a socket, and connect it; None if it was refused."""
        host = self._runtime.host
        actor_type = host.types[actor.type]
        socket = Socket(host.sockets)
        ask = host.delivery.asking(actor_type.socket_methods["enter"])
        try:
            await ask(host.ref(actor_type, actor.name), socket)
        except asyncio.CancelledError:
            host.sockets.abandon(socket)
            raise
        except Exception as error:
            host.sockets.abandon(socket)
            if not isinstance(error, EXPECTED):
                self._history.add(Trouble(f"a client comes in: {type(error).__name__}: {error}"))
            return None
        wire = Wire(socket, next(self._sockets), actor, self._history)
        self.wires.setdefault(actor, []).append(wire)
        self._history.add(Joined(wire.number, self._node, actor))
        socket.connect(wire)
        return wire

    def say(self, wire: Wire, number: int, kind: str) -> None:
        """Send a message."""
        if not wire.open:
            return
        token, op = self._tokens(), next(self._ops)
        steps = () if kind == "boom" else (Step(wire.actor, token),)
        self._history.add(Invoked(op, self._node, f"{kind} message", wire.actor, steps))
        wire.asked[token] = op
        wire.socket.received(f"{number} {kind} {token}")

    def ping(self, wire: Wire) -> None:
        """It must be answered at once, and without waking the actor."""
        active = self._runtime.host.activator.catalog.actors
        asleep, pongs = wire.actor not in active, wire.pongs
        wire.socket.received(PING)
        if wire.open and wire.pongs != pongs + 1:
            self._history.add(Trouble(f"socket {wire.number}: a ping is not answered at once"))
        if asleep and wire.actor in active:
            self._history.add(Trouble(f"socket {wire.number}: a ping has woken {wire.actor}"))

    def leave(self, wire: Wire, *, clean: bool) -> None:
        """Close the connection, or lose it."""
        if not wire.end("left" if clean else "lost"):
            return
        code = 1000 if clean else 1006
        wire.socket.closed(code, "", clean=clean)
        if not clean:
            wire.socket.disconnected()
