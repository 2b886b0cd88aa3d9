"""ASGI applications as Workers: the entrypoint, WebSockets, one thread."""

import threading
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from structlog.testing import capture_logs
from tests.runtime.test_sockets import FakeWire
from tests.runtime.world import settle
from tests.workers.environments import Recorded
from tests.workers.running import methods, running, virtual

from wakeful.workers.shims.workers_module import shim_modules
from wakeful.workers.web.requests import JsRequest

SOURCE = "from tests.workers.test_asgi import app\n" + methods("x = 1")
DEFAULT = "Default = workers.asgi.entrypoint(app)\n"


def thread(request: Request) -> Response:
    """Not async: elsewhere it would run in a thread."""
    return PlainTextResponse(f"{threading.get_ident()} {request.scope['env'].OBJECT is not None}")


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    while (message := await socket.receive_text()) != "fail":
        await socket.send_text(f"{socket.url.path} {message}")
        await socket.send_bytes(message.encode())
        if message == "bye":
            await socket.close(4000, "enough")
            return
    raise ValueError(message)


async def fails(request: Request) -> Response:
    raise ValueError("no")


app = Starlette(
    routes=[Route("/thread", thread), Route("/fails", fails), WebSocketRoute("/talk", talk)]
)


async def enter(worker: Any) -> tuple[Any, FakeWire]:
    asked = JsRequest("http://h/talk", headers={"Upgrade": "websocket"})
    response = await worker.runtime.worker.respond(asked)
    assert response.status == 101
    peer, wire = response.webSocket.returned(), FakeWire()
    peer.connect(wire)
    return peer, wire


@virtual
async def test_functions_stay_on_the_thread_of_the_worker(tmp_path: Path) -> None:
    async with running(tmp_path, SOURCE, default=DEFAULT) as worker:
        assert await worker.fetch("/thread") == (200, f"{threading.get_ident()} True")
        assert (await worker.fetch("/nowhere"))[0] == 404


async def test_other_code_has_its_threads_still() -> None:
    import anyio.to_thread

    shim_modules(Recorded().environment)
    assert await anyio.to_thread.run_sync(threading.get_ident) != threading.get_ident()


@virtual
async def test_websockets(tmp_path: Path) -> None:
    async with running(tmp_path, SOURCE, default=DEFAULT) as worker:
        peer, wire = await enter(worker)
        peer.received("hello")
        await settle()
        peer.received("bye")
        await settle()
        assert wire.got == ["/talk hello", b"hello", "/talk bye", b"bye", (4000, "enough")]


@virtual
async def test_an_application_that_fails_closes_its_websocket(tmp_path: Path) -> None:
    async with running(tmp_path, SOURCE, default=DEFAULT) as worker:
        peer, wire = await enter(worker)
        peer.received("fail")
        await settle()
        assert wire.got == [(1011, "")]


@virtual
async def test_an_application_hears_that_the_client_left(tmp_path: Path) -> None:
    heard: list[Any] = []

    async def listen(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            heard.append((scope["scheme"], scope["subprotocols"]))
            heard.extend([await receive(), await receive(), await receive()])

    async with running(tmp_path, SOURCE, default=DEFAULT) as worker:
        response = await worker.module.workers.asgi.websocket(
            listen, JsRequest("https://h/", headers={"sec-websocket-protocol": "a, b"}), None
        )
        peer, wire = response.webSocket.returned(), FakeWire()
        peer.connect(wire)
        peer.received(b"\0")
        peer.closed(1001, "away", clean=True)
        await settle()
    assert heard == [
        ("wss", ["a", "b"]),
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "bytes": b"\0"},
        {"type": "websocket.disconnect", "code": 1001, "reason": "away"},
    ]


async def test_a_body_that_comes_at_once_is_no_stream() -> None:
    async def whole(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"all"})

    async def headless(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.body", "body": b"all"})

    asgi = shim_modules(Recorded().environment)["asgi"]
    response = await asgi.fetch(whole, JsRequest("http://h/"), None)
    assert response.take() == b"all"
    with pytest.raises(RuntimeError, match="before it began"):
        await asgi.fetch(headless, JsRequest("http://h/"), None)


def test_bindings_as_a_dependency_of_fastapi() -> None:
    asgi = shim_modules(Recorded().environment)["asgi"]
    with pytest.raises(ModuleNotFoundError, match="fastapi"):
        _ = asgi.env
    assert not hasattr(asgi, "nonsense")


@virtual
async def test_what_an_application_raises_after_its_answer_is_logged(tmp_path: Path) -> None:
    """Frameworks answer with 500 and raise all the same, for whoever runs them to log."""
    with capture_logs() as logs:
        async with running(tmp_path, SOURCE, default=DEFAULT) as worker:
            assert (await worker.fetch("/fails"))[0] == 500
            await settle()
    (told,) = logs
    assert told["event"] == "an application raised after its answer"
    assert repr(told["exc_info"]) == "ValueError('no')"
