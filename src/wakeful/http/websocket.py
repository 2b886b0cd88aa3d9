"""WebSocket clients: from a request with an upgrade to a socket that its actor has accepted.

Nothing is upgraded before the actor's turn is durable, so that a refusal is an ordinary answer.

Source: RFC 6455 4.2; the turn that accepts may send at once, what it says follows the handshake.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

from wakeful.actor_type import EMPTY, ActorType, SocketPlan
from wakeful.errors import RuntimeOverloaded, ShuttingDown, UnknownActorType, WakefulError
from wakeful.http.deadline import Deadlines
from wakeful.http.invoke import Address, from_query, late, of_the_actor
from wakeful.http.message import Headers, Request
from wakeful.http.request_header import RequestHeader
from wakeful.http.routes import actor_call, actor_name
from wakeful.ids import ActorId
from wakeful.refusals import NoSuchPath, SocketRefused, UpgradeRequired
from wakeful.runtime.host import Host
from wakeful.runtime.refs import Asking
from wakeful.runtime.socket import Socket

MAGIC: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY_BYTES: Final = 16


class Doors:
    """Lets WebSocket clients in.

    Args:
        host: whose actors.
        deadlines: looks after those that wait.
    """

    def __init__(self, host: Host, deadlines: Deadlines) -> None:
        self._host = host
        self._deadlines = deadlines
        self._doors: dict[tuple[str, str], tuple[ActorType, SocketPlan, Asking]] = {
            (name, plan.name): (actor_type, plan, host.delivery.asking(plan))
            for name, actor_type in host.types.items()
            for plan in actor_type.socket_methods.values()
        }

    async def open(self, request: Request, path: str, header: RequestHeader) -> Socket:
        """Open a socket to the actor that a path names; returns it once the actor has accepted it.

        Raises:
            WakefulError: the socket was refused, or the turn that should accept it failed.
        """
        actor_type, plan, ask, actor = self._find(path)
        host = self._host
        if host.intake.closing:
            raise ShuttingDown("the runtime is shutting down")
        if host.sockets.full():
            limit = host.config.limits.sockets
            raise RuntimeOverloaded(f"{limit} WebSockets are open (limits.sockets)")
        query = request.query
        args, kwargs = from_query(plan, query) if query else ((), {})
        if any(p.default is EMPTY for p in plan.parameters) and not kwargs:
            plan.from_json([], {})  # raises: an argument is missing
        socket = Socket(host.sockets)
        address = Address(actor_type, actor)
        try:
            await self._deadlines.watch(ask(address, socket, *args, **kwargs), late, header)
        except WakefulError:
            host.sockets.abandon(socket)
            raise
        except BaseException as error:
            host.sockets.abandon(socket)
            raise of_the_actor(error) from error
        if not socket.accepted:
            raise SocketRefused(f"{actor} did not accept the WebSocket")
        return socket

    def _find(self, path: str) -> tuple[ActorType, SocketPlan, Asking, ActorId]:
        type_name, name, method = actor_call(path)
        found = self._doors.get((type_name, method))
        if found is None:
            actor_type = self._host.types.get(type_name)
            if actor_type is None:
                raise UnknownActorType(f"no actor type {type_name!r} is registered")
            known = ", ".join(actor_type.socket_methods) or "none"
            raise NoSuchPath(f"{type_name} has no @websocket method {method!r}; it has: {known}")
        return (*found, ActorId(type_name, actor_name(name)))


def wants_upgrade(request: Request) -> bool:
    """Whether a request asks to become a WebSocket."""
    upgrade = request.header("upgrade") or ""
    connection = request.header("connection") or ""
    tokens = (token.strip().lower() for token in connection.split(","))
    return upgrade.strip().lower() == "websocket" and "upgrade" in tokens


def handshake(request: Request) -> Headers:
    """The headers of the answer that turns a connection into a WebSocket.

    Raises:
        UpgradeRequired: the client's part of the handshake is wrong.
    """
    key = request.header("sec-websocket-key") or ""
    if request.header("sec-websocket-version") != "13":
        raise UpgradeRequired("Sec-WebSocket-Version must be 13")
    try:
        good = len(base64.b64decode(key, validate=True)) == KEY_BYTES
    except binascii.Error:
        good = False
    if not good:
        raise UpgradeRequired("Sec-WebSocket-Key must be 16 bytes in base64")
    digest = hashlib.sha1((key + MAGIC).encode(), usedforsecurity=False).digest()
    return [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-accept", base64.b64encode(digest).decode()),
    ]
