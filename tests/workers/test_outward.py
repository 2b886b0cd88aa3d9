"""WebSockets that code of a Worker opens to the outside, over real connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from wakeful import Config, Limits
from wakeful.store.memory import MemoryStore
from wakeful.worker_node import WorkerRuntime
from wakeful.workers.config.wrangler import read_config

TOML = """
name = "app"
main = "src/entry.py"
compatibility_date = "2026-03-01"

[[durable_objects.bindings]]
name = "THING"
class_name = "Thing"
"""
ENTRY = """
import asyncio
import js
from workers import DurableObject, Response, WorkerEntrypoint, fetch

class Thing(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.log = []
        self.over = asyncio.Event()

    async def listen(self, url):
        ws = self.ws = js.WebSocket.new(url, ["a", "chat"])
        for type in ("open", "message", "error", "close"):
            ws.addEventListener(type, self.hear)
        self.log.append([ws.readyState, ws.url == url])
        try:
            ws.send("early")
        except js.Error as error:
            self.log.append(error.name)
        await self.over.wait()
        return [self.log, ws.readyState]

    async def hear(self, event):
        ws = self.ws
        if event.type == "open":
            self.log.append(["open", ws.readyState, ws.protocol])
            await self.ctx.storage.put("opened", True)
            ws.send("hello")
        elif event.type == "message":
            self.log.append(event.data)
            if event.data == "echo hello":
                ws.send(b"\\0")
            else:
                ws.close(4000, "done")
        elif event.type == "close":
            self.log.append([event.code, event.reason, event.wasClean])
            self.over.set()
        else:
            self.log.append("error")

    async def hold(self, url):
        headers = {"Upgrade": "websocket", "Sec-WebSocket-Protocol": "chat"}
        self.ws = (await fetch(url, headers=headers)).web_socket
        self.ws.accept()

    async def ask(self, url, headers={}):
        response = await fetch(url, headers={"Upgrade": "websocket", **headers})
        ws = response.web_socket
        if ws is None:
            return [response.status, await response.text()]
        got = asyncio.Queue()
        ws.addEventListener("message", lambda event: got.put_nowait(event.data))
        ws.accept()
        ws.send("x" * 3)
        answer = [response.status, await got.get()]
        ws.close()
        return answer

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("hello")
"""


CHAT = {"Sec-WebSocket-Protocol": "other, chat"}
server_has_one = asyncio.Event()


async def echo(connection: ServerConnection) -> None:
    server_has_one.set()
    request = connection.request
    assert request is not None
    if request.path == "/hasty":
        await connection.close(4001, "go away")
        return
    if request.path == "/cut":
        connection.transport.abort()
        return
    prefix = request.headers.get("x-prefix", "echo")
    with suppress(ConnectionClosed):
        async for message in connection:
            await connection.send(f"{prefix} {message}" if isinstance(message, str) else message)


def refuse(connection: ServerConnection, request: Request) -> Response | None:
    return connection.respond(403, "no") if request.path == "/forbidden" else None


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server_has_one.clear()
    chat = [Subprotocol("chat")]
    async with serve(echo, "127.0.0.1", 0, process_request=refuse, subprotocols=chat) as server:
        yield server


def runtime_in(path: Path, **limits: Any) -> WorkerRuntime:
    (path / "src").mkdir()
    (path / "src" / "entry.py").write_text(ENTRY)
    (path / "wrangler.toml").write_text(TOML)
    config = Config(limits=Limits(**limits))
    return WorkerRuntime(MemoryStore(), read_config(path), config=config)


@pytest.fixture
async def thing(tmp_path: Path) -> AsyncIterator[Any]:
    async with runtime_in(tmp_path) as runtime:
        yield runtime.worker.env.THING.getByName("a")  # type: ignore[attr-defined]


def address(server: Server, scheme: str = "ws") -> str:
    return f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_conversation(server: Server, thing: Any) -> None:
    log, state = await thing.listen(f"{address(server)}/")
    assert log == [
        [0, True],
        "InvalidStateError",
        ["open", 1, "chat"],
        "echo hello",
        b"\0",
        [4000, "done", True],
    ]
    assert state == 3


@pytest.mark.parametrize(
    ("path", "heard"),
    [
        ("hasty", [4001, "go away", True]),
        ("cut", [1006, "WebSocket disconnected without sending Close frame.", False]),
    ],
)
async def test_the_other_side_ends_it(
    server: Server, thing: Any, path: str, heard: list[object]
) -> None:
    log, _ = await thing.listen(f"{address(server)}/{path}")
    assert (log[2][0], log[3:]) == ("open", [heard])


async def test_no_connection(server: Server, thing: Any) -> None:
    server.close()
    await server.wait_closed()
    url = "ws://127.0.0.1:9"
    log, _ = await thing.listen(url)
    assert [log[2], log[3][0], log[3][2]] == ["error", 1006, False]


async def test_a_fetch_that_asks_for_one(server: Server, thing: Any) -> None:
    url = address(server, "http")
    assert await thing.ask(url, {**CHAT, "X-Prefix": "said"}) == [101, "said xxx"]
    assert await thing.ask(f"{url}/forbidden") == [403, "no"]
    with pytest.raises(Exception, match="Network connection lost"):
        await thing.ask("http://127.0.0.1:9/")


async def test_one_too_many(server: Server, tmp_path: Path) -> None:
    async with runtime_in(tmp_path, sockets=1) as runtime:
        stub: Any = runtime.worker.env.THING.getByName("b")  # type: ignore[attr-defined]
        await stub.hold(address(server, "http"))
        for asked in (stub.listen(address(server)), stub.ask(address(server, "http"))):
            with pytest.raises(Exception, match=r"1 WebSockets are open \(limits\.sockets\)"):
                await asked


async def test_what_is_open_does_not_hold_up_the_end(server: Server, tmp_path: Path) -> None:
    async with runtime_in(tmp_path) as runtime:
        stub: Any = runtime.worker.env.THING.getByName("b")  # type: ignore[attr-defined]
        listening = asyncio.ensure_future(stub.listen(f"{address(server)}/?"))
        await server_has_one.wait()
        started = asyncio.get_running_loop().time()
        runtime.worker._outward.close()
        assert (await listening)[0][-1][0] == 1006
    assert asyncio.get_running_loop().time() - started < 5
