"""WebSockets over our own server, with a client that is not ours."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from wakeful import Config, DurableObject, Limits, Runtime, WebSocket, websocket
from wakeful.http.server import HttpServer
from wakeful.http.settings import HttpSettings

PATIENCE = 10.0


class Room(DurableObject):
    log: list[str] = []
    woken: int = 0
    _fresh: bool = True

    @websocket
    async def join(self, socket: WebSocket, name: str, level: int = 0) -> None:
        """Come in."""
        if name == "nobody":
            return
        if level < 0:
            raise ValueError("too low")
        self.ctx.set_auto_response("ping", "pong")
        self.ctx.accept(socket, tags=(name,))
        socket.attachment = {"name": name, "level": level}
        socket.send(f"hello {name} {level}")

    async def on_message(self, socket: WebSocket, message: str | bytes) -> None:
        if self._fresh:
            self._fresh = False
            self.woken += 1
        match message:
            case "fail":
                socket.send("never")
                raise ValueError("no")
            case "bye":
                socket.close(4001, "bye")
            case "abort":
                self.ctx.abort()
            case "all":
                for other in self.ctx.sockets():
                    other.send("to all")
            case "who":
                socket.send(f"{socket.attachment} {socket.tags}")
            case _:
                socket.send(message)

    async def on_close(self, socket: WebSocket, code: int, reason: str, clean: bool) -> None:
        self.log = [*self.log, f"{code} {reason} {clean}"]
        if reason == "mine":
            socket.close(4999, "theirs")

    async def on_error(self, socket: WebSocket, error: Exception) -> None:
        self.log = [*self.log, f"error: {error}"]

    async def get_log(self) -> list[str]:
        return self.log

    async def get_woken(self) -> int:
        return self.woken


class Rooms:
    def __init__(self, rt: Runtime, server: HttpServer) -> None:
        self.rt = rt
        self.server = server
        self.room = rt.get(Room, "r")

    def url(self, query: str = "?name=ada", method: str = "join") -> str:
        return f"ws://127.0.0.1:{self.server.port}/actors/Room/r/{method}{query}"

    async def enter(self, name: str = "ada") -> ClientConnection:
        client = await connect(self.url(f"?name={name}"), max_size=None)
        assert await client.recv() == f"hello {name} 0"
        return client

    async def logged(self, lines: int) -> list[str]:
        async with asyncio.timeout(PATIENCE):
            while len(log := await self.room.get_log()) < lines:  # noqa: ASYNC110 - over the wire
                await asyncio.sleep(0.01)
        return log


@pytest.fixture
async def rooms(tmp_path: Path) -> AsyncIterator[Rooms]:
    limits = Limits(socket_message_bytes=100_000)
    config = Config(idle_seconds=0.05, limits=limits)
    async with Runtime(tmp_path / "data", actors=[Room], config=config) as rt:
        yield Rooms(rt, rt.serve(port=0, settings=HttpSettings(close_seconds=1)))


async def closed(client: ClientConnection) -> tuple[int, str]:
    """How a client sees its end."""
    async with asyncio.timeout(PATIENCE):
        await client.wait_closed()
    return client.close_code or 0, client.close_reason or ""


async def refused(url: str, **options: object) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as caught:
        await connect(url, **options)  # type: ignore[arg-type]
    response = caught.value.response
    return response.status_code, bytes(response.body or b"").decode()


async def test_text_and_bytes(rooms: Rooms) -> None:
    client = await rooms.enter()
    for message in ("hi", "ü" * 300, b"\0\xff", b"x" * 100_000, ""):
        await client.send(message)
        assert await client.recv() == message
    await client.close()


async def test_fragments_and_pings(rooms: Rooms) -> None:
    client = await rooms.enter()
    await client.send(["a", "b", "c"])
    await (await client.ping())
    assert await client.recv() == "abc"
    await client.close()


async def test_actor_sleeps_and_wakes_with_what_was_attached(rooms: Rooms) -> None:
    client = await rooms.enter()
    await client.send("one")
    await client.recv()
    async with asyncio.timeout(PATIENCE):
        while len(rooms.rt.host.activator.catalog):  # noqa: ASYNC110 - over the wire
            await asyncio.sleep(0.01)
    await client.send("ping")
    pong = await client.recv()
    asleep = len(rooms.rt.host.activator.catalog) == 0
    await client.send("who")
    who = await client.recv()

    assert (pong, asleep) == ("pong", True)
    assert who == "{'name': 'ada', 'level': 0} ('ada',)"
    assert await rooms.room.get_woken() == 2
    await client.close()


async def test_broadcast(rooms: Rooms) -> None:
    clients = [await rooms.enter(name) for name in "abc"]
    await clients[0].send("all")

    assert [await client.recv() for client in clients] == ["to all"] * 3
    for client in clients:
        await client.close()


async def test_handler_that_raises_leaves_it_open(rooms: Rooms) -> None:
    client = await rooms.enter()
    await client.send("fail")
    await client.send("next")

    assert await client.recv() == "next"
    await client.close()


async def test_clients_close_is_echoed(rooms: Rooms) -> None:
    client = await rooms.enter()
    await client.close(4005, "client")

    assert client.close_code == 4005
    assert await rooms.logged(1) == ["4005 client True"]


async def test_actor_decides_how_the_client_sees_its_close(rooms: Rooms) -> None:
    client = await rooms.enter()
    await client.close(4005, "mine")

    assert (client.close_code, client.close_reason) == (4999, "theirs")


async def test_close_without_a_code_is_1005(rooms: Rooms) -> None:
    client = await rooms.enter()
    client.transport.write(Frame(Opcode.CLOSE, b"").serialize(mask=True))

    assert await rooms.logged(1) == ["1005  True"]
    assert (await closed(client))[0] == 1005


async def test_cut_connection_is_1006(rooms: Rooms) -> None:
    client = await rooms.enter()
    client.transport.abort()

    expected = "1006 WebSocket disconnected without sending Close frame. False"
    assert await rooms.logged(1) == [expected]


async def test_actors_close(rooms: Rooms) -> None:
    client = await rooms.enter()
    await client.send("bye")

    assert await closed(client) == (4001, "bye")
    assert await rooms.logged(1) == ["4001 bye True"]


async def test_abort_cuts_all(rooms: Rooms) -> None:
    first, second = await rooms.enter("a"), await rooms.enter("b")
    await first.send("abort")

    assert (await closed(first))[0] == 1006
    assert (await closed(second))[0] == 1006
    again = await rooms.enter()
    await again.close()


async def test_deletion_cuts(rooms: Rooms) -> None:
    client = await rooms.enter()
    await rooms.rt.delete(Room, "r")

    assert (await closed(client))[0] == 1006


async def test_too_big_a_message_is_1009(rooms: Rooms) -> None:
    client = await rooms.enter()
    await client.send(b"x" * 100_001)

    assert (await closed(client))[0] == 1009
    log = await rooms.logged(2)
    assert "limits.socket_message_bytes" in log[0]
    assert log[1].startswith("1009")


async def test_too_many_fragments_are_1009(rooms: Rooms) -> None:
    client = await rooms.enter()

    async def fragments() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 40_000

    with suppress(ConnectionClosed):
        await client.send(fragments())
    assert (await closed(client))[0] == 1009


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (Frame(Opcode.TEXT, b"\xff").serialize(mask=True), 1007),
        (Frame(Opcode.TEXT, b"x").serialize(mask=False), 1002),
        (Frame(Opcode.CONT, b"x").serialize(mask=True), 1002),
        (b"\x83\x80\0\0\0\0", 1002),
        (b"\x88\x81\0\0\0\0\0", 1002),
    ],
    ids=["not UTF-8", "not masked", "no first fragment", "unknown opcode", "half a code"],
)
async def test_broken_frames(rooms: Rooms, raw: bytes, code: int) -> None:
    client = await rooms.enter()
    client.transport.write(raw)

    assert (await closed(client))[0] == code


async def test_arguments_come_from_the_query(rooms: Rooms) -> None:
    async with connect(rooms.url("?name=ada&level=7")) as client:
        assert await client.recv() == "hello ada 7"


@pytest.mark.parametrize(
    ("query", "status", "what"),
    [
        ("", 422, "missing 'name'"),
        ("?name=a&level=high", 422, "level"),
        ("?name=nobody", 403, "socket_refused"),
        ("?name=a&level=-1", 500, "ValueError"),
    ],
)
async def test_refusals_are_answers(rooms: Rooms, query: str, status: int, what: str) -> None:
    found = await refused(rooms.url(query))

    assert found[0] == status
    assert what in found[1]
    assert rooms.rt.host.sockets.count == 0


async def test_foreign_pages_are_refused(rooms: Rooms) -> None:
    status, body = await refused(rooms.url(), origin="https://evil.example")

    assert (status, "cross_origin" in body) == (403, True)


async def test_own_pages_are_let_in(rooms: Rooms) -> None:
    origin = f"http://127.0.0.1:{rooms.server.port}"
    async with connect(rooms.url(), origin=origin) as client:  # type: ignore[arg-type]
        assert await client.recv() == "hello ada 0"


async def test_other_methods_are_no_sockets(rooms: Rooms) -> None:
    status, _ = await refused(rooms.url("", "get_log"))

    assert status == 405


async def test_socket_method_is_not_called(rooms: Rooms) -> None:
    async with httpx2.AsyncClient(base_url=rooms.server.url) as http:
        got = await http.get("/actors/Room/r/join?name=ada")
        posted = await http.post("/actors/Room/r/join", json={"name": "ada"})
        document = (await http.get("/openapi.json")).text

    assert (got.status_code, got.json()["code"]) == (426, "upgrade_required")
    assert posted.status_code == 426
    assert "/join" not in document


@pytest.mark.parametrize("header", ["Sec-WebSocket-Version", "Sec-WebSocket-Key"])
async def test_half_a_handshake(rooms: Rooms, header: str) -> None:
    key = base64.b64encode(os.urandom(16)).decode()
    headers = {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
    headers[header] = "8"
    reader, writer = await asyncio.open_connection("127.0.0.1", rooms.server.port)
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = ["GET /actors/Room/r/join?name=a HTTP/1.1", "Host: localhost", "Connection: Upgrade"]
    writer.write("\r\n".join([*head, "Upgrade: websocket", *lines, "", ""]).encode())

    assert (await reader.readline()).split()[1] == b"426"
    writer.close()


async def test_too_many_sockets(tmp_path: Path) -> None:
    config = Config(limits=Limits(sockets=1))
    async with Runtime(tmp_path / "data", actors=[Room], config=config) as rt:
        rooms = Rooms(rt, rt.serve(port=0))
        client = await rooms.enter()
        status, body = await refused(rooms.url())
        assert (status, "limits.sockets" in body) == (503, True)
        await client.close()


async def test_parts_of_messages_are_bounded_over_all_clients(tmp_path: Path) -> None:
    config = Config(limits=Limits(sockets_bytes=500_000))
    async with Runtime(tmp_path / "data", actors=[Room], config=config) as rt:
        rooms = Rooms(rt, rt.serve(port=0))
        clients = [await rooms.enter() for _ in range(10)]
        part = Frame(Opcode.BINARY, bytes(100_000), fin=False).serialize(mask=True)
        for client in clients:
            client.transport.write(part)
        async with asyncio.timeout(PATIENCE):
            ended = [asyncio.ensure_future(closed(client)) for client in clients]
            while len([end for end in ended if end.done()]) < 5:
                await asyncio.wait(
                    [end for end in ended if not end.done()], return_when=asyncio.FIRST_COMPLETED
                )
        assert {end.result()[0] for end in ended if end.done()} == {1013}
        assert rt.host.sockets.memory.bytes <= 500_000
        quiet = await rooms.enter("quiet")
        await quiet.send("who sends little")
        assert await quiet.recv() == "who sends little"


async def test_slow_client_is_closed(tmp_path: Path) -> None:
    config = Config(limits=Limits(socket_backlog_bytes=100_000))

    class Flood(Room):
        async def flood(self) -> None:
            for socket in self.ctx.sockets():
                socket.send(b"x" * 100_000)

    async with Runtime(tmp_path / "data", actors=[Flood], config=config) as rt:
        server = rt.serve(port=0)
        client = await connect(
            f"ws://127.0.0.1:{server.port}/actors/Flood/r/join?name=a", max_queue=1
        )
        flood = rt.get(Flood, "r")
        async with asyncio.timeout(PATIENCE):
            while rt.host.sockets.count:
                await flood.flood()
                await asyncio.sleep(0)
        log = await flood.get_log()
        client.transport.abort()

    assert "limits.socket_backlog_bytes" in log[0]
    assert log[1].startswith("1013")


async def test_closing_the_runtime_says_1001(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "data", actors=[Room]) as rt:
        client = await Rooms(rt, rt.serve(port=0)).enter()
        end = asyncio.create_task(closed(client))
    assert (await end)[0] == 1001


async def test_many_connect_at_once(rooms: Rooms) -> None:
    clients = await asyncio.gather(*(rooms.enter(f"n{n}") for n in range(50)))
    await asyncio.gather(*(client.send(str(n)) for n, client in enumerate(clients)))

    assert [await client.recv() for client in clients] == [str(n) for n in range(50)]
    for client in clients:
        client.transport.abort()
    await rooms.logged(50)
