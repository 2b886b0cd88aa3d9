"""WebSockets that code opens to the outside: `WebSocket.new(url)`, `fetch` of an upgrade.

The code has one end of a pair, as for all its sockets. The connection uses that end as a client's
connection does: messages of the code wait for durability, and incoming messages are events.

Errors:  if connecting fails, `fetch` raises OSError or returns the server's answer; the listeners
         of `WebSocket.new` get "error" and "close".
Source:  WHATWG WebSockets; Cloudflare docs on WebSockets; websockets, asyncio client.
"""

from __future__ import annotations

from asyncio import CancelledError, Event, Queue, Task
from collections.abc import Coroutine
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from wakeful.core.hibernation import CUT, LOST, NO_CODE
from wakeful.runtime.gated import inside
from wakeful.runtime.socket import Peer
from wakeful.workers import own_tasks, strict
from wakeful.workers.web import urls
from wakeful.workers.web.outgoing import HOP_BY_HOP
from wakeful.workers.web.requests import JsRequest
from wakeful.workers.web.responses import JsResponse
from wakeful.workers.worker_sockets import Lobby, Outgoing, StandardSocket

NORMAL: Final = 1000
OPEN_SECONDS: Final = 60.0
SCHEMES: Final = {"http:": "ws:", "https:": "wss:"}
PROTOCOLS: Final = "sec-websocket-protocol"

Close = tuple[int, str]


class Outward:
    """Opens connections for one Worker."""

    def __init__(self, lobby: Lobby) -> None:
        self._lobby = lobby
        self._tasks: set[Task[None]] = set()

    def open(self, url: str, protocols: tuple[str, ...]) -> Outgoing:
        """Begin to connect: `WebSocket.new`.

        Raises:
            JsException: the Worker is not running yet, or there are too many connections.
        """
        strict.check_subrequest()
        self._lobby.check_room()
        face, far = self._lobby.outgoing(url)
        face.accept()
        peer = far.returned()
        assert isinstance(peer, StandardSocket), "it is accepted"
        self._begin(self._open(face, peer, url, protocols, self._departure()))
        return face

    async def fetch(self, request: JsRequest) -> JsResponse:
        """Connect, and return the response that has the socket; or the server's, if it refuses.

        Raises:
            OSError: there is no answer.
            JsException: there are too many connections.
        """
        self._lobby.check_room()
        headers = [
            (name, value)
            for name, value in request.headers.raw()
            if name not in HOP_BY_HOP and not name.startswith("sec-websocket-")
        ]
        offered = (request.headers.get(PROTOCOLS) or "").split(",")
        protocols = tuple(name for part in offered if (name := part.strip()))
        try:
            connection = await self._connected(request.url, protocols, headers)
        except InvalidStatus as refused:
            response = _answer(refused)
            response.arrive(request.url, redirected=False)
            return response
        face, far = self._lobby.pair()
        self._begin(_run(connection, far.returned()))
        pairs = [(name.lower(), value) for name, value in _headers(connection)]
        response = JsResponse.received(101, pairs, None)
        response.webSocket = face
        response.arrive(request.url, redirected=False)
        return response

    def close(self) -> None:
        """End all connections."""
        for task in self._tasks:
            task.cancel()

    async def _connected(
        self, url: str, protocols: tuple[str, ...], headers: list[tuple[str, str]]
    ) -> ClientConnection:
        """Connect; return the connection once the handshake has succeeded.

        Raises:
            InvalidStatus: the server refuses.
            OSError: there is no answer.
        """
        address = urls.parse(url)
        address.protocol = SCHEMES.get(address.protocol, address.protocol)
        address.hash = ""
        try:
            return await connect(
                address.href,
                additional_headers=headers,
                user_agent_header=None,
                subprotocols=[Subprotocol(name) for name in protocols] or None,
                open_timeout=OPEN_SECONDS,
                proxy=None,
                max_size=self._lobby.limits.socket_message_bytes,
            )
        except InvalidStatus:
            raise
        except (OSError, WebSocketException) as error:
            raise OSError(f"Network connection lost: {url}: {error}") from error

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._lobby.loop.task(work)
        self._tasks.add(task)
        self._lobby.loop.when_done(task, self._tasks.discard)

    def _departure(self) -> Task[None] | None:
        """Return a task that ends once the object's earlier writes are durable."""
        gated = inside.get()
        if gated is None:
            return None
        return gated.loop.task(gated.depart())

    async def _open(
        self,
        face: Outgoing,
        peer: StandardSocket,
        url: str,
        protocols: tuple[str, ...],
        departure: Task[None] | None,
    ) -> None:
        try:
            if departure is not None:
                await departure
            connection = await self._connected(url, protocols, [])
        except (OSError, InvalidStatus) as error:
            peer.failed(LOST, f"WebSocket connection to {url} failed: {error}")
            peer.disconnected()
            return
        except CancelledError:
            peer.closed(LOST, CUT, clean=False)
            raise
        peer.opened(connection.subprotocol or "")
        await _run(connection, peer)


def _answer(refused: InvalidStatus) -> JsResponse:
    answer = refused.response
    pairs = [(name.lower(), value) for name, value in answer.headers.raw_items()]
    kept = [pair for pair in pairs if pair[0] not in HOP_BY_HOP]
    return JsResponse.received(answer.status_code, kept, bytes(answer.body or b""))


def _headers(connection: ClientConnection) -> list[tuple[str, str]]:
    response = connection.response
    return [] if response is None else list(response.headers.raw_items())


async def _run(connection: ClientConnection, peer: Peer) -> None:
    """Pass messages between the connection and the code's end until the connection has ended."""
    wire = ClientWire(connection)
    writing = own_tasks.begin(wire.write())
    try:
        peer.connect(wire)
        while True:
            await wire.flowing.wait()
            message = await connection.recv()
            peer.received(message)
    except ConnectionClosed as end:
        said = end.rcvd
        if said is None:
            peer.closed(LOST, CUT, clean=False)
        else:
            peer.closed(said.code, said.reason, clean=True)
    except CancelledError:
        connection.transport.abort()
        peer.closed(LOST, CUT, clean=False)
        raise
    finally:
        writing.cancel()
        peer.disconnected()


class ClientWire:
    """The connection, as the code's end of the pair uses it.

    Attributes:
        flowing: what comes is read.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._queue: Queue[str | bytes | Close] = Queue()
        self._bytes = 0
        self.flowing = Event()
        self.flowing.set()

    def send(self, message: str | bytes) -> None:
        """Send a message."""
        self._bytes += _size(message)
        self._queue.put_nowait(message)

    def close(self, code: int, reason: str) -> None:
        """Send a close frame, after what was sent before."""
        self._queue.put_nowait((NORMAL if code == NO_CODE else code, reason))

    def drop(self) -> None:
        """End it at once."""
        self._connection.transport.abort()

    def hold(self, *, held: bool) -> None:
        """Stop reading, or continue."""
        (self.flowing.clear if held else self.flowing.set)()

    def backlog_bytes(self) -> int:
        """Return the size of messages that were sent and have not left yet."""
        return self._bytes

    async def write(self) -> None:
        """Write queued messages until the connection is closed."""
        while True:
            item = await self._queue.get()
            try:
                if isinstance(item, tuple):
                    self.flowing.set()  # to hear the answer
                    await self._connection.close(*item)
                    return
                await self._connection.send(item)
            except ConnectionClosed:
                return
            self._bytes -= _size(item)


def _size(message: str | bytes) -> int:
    return len(message) if isinstance(message, bytes) else len(message.encode())
