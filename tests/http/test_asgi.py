"""The same handler as an ASGI application: mounted in Starlette, and alone under a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from tests.http.actors import Counter, Probe, waiter
from tests.workers.running import methods, running, virtual

from wakeful import Config, Limits, Runtime
from wakeful.http.settings import HttpSettings


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[TestClient]:
    """A Starlette application with the actors below /live; its lifespan runs the runtime."""
    config = Config(limits=Limits(request_bytes=1000))
    runtime = Runtime(tmp_path, actors=[Counter, Probe], config=config)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with runtime:
            yield

    settings = HttpSettings(admin_token="a token of some length")
    app = Starlette(routes=[Mount("/live", app=runtime.asgi(settings))], lifespan=lifespan)
    with TestClient(app) as client:
        yield client


def test_mounted_calls_and_problems(mounted: TestClient) -> None:
    assert mounted.post("/live/actors/Counter/a%2Fb/increment", json={"by": 2}).json() == 2
    assert mounted.post("/live/actors/Counter/a%2Fb/increment").json() == 3
    assert mounted.get("/live/actors/Counter/a%2Fb/get").json() == 3
    refused = mounted.post("/live/actors/Counter/c/increment", json=["x"])
    assert (refused.status_code, refused.json()["field"]) == (422, "by")
    assert refused.headers["content-type"] == "application/problem+json"
    assert mounted.get("/live/_wakeful/health").json() == {"live": True, "ready": True}
    assert "/actors/Counter/{name}/increment" in mounted.get("/live/openapi.json").json()["paths"]
    assert b"wakeful_calls_total" in mounted.get("/live/_wakeful/metrics").content


def test_mounted_limits_and_bad_paths(mounted: TestClient) -> None:
    assert mounted.post("/live/actors/Counter/c/increment", content=b" " * 1001).status_code == 413
    chunks = (b" " * 400 for _ in range(3))
    assert mounted.post("/live/actors/Counter/c/increment", content=chunks).status_code == 413
    assert mounted.post("/live/actors/Counter/%FF/increment").status_code == 400


def test_mounted_admin_needs_a_token(mounted: TestClient) -> None:
    """A mounted application cannot know who can reach it."""
    assert mounted.get("/live/_wakeful/actors").status_code == 403
    headers = {"authorization": "Bearer a token of some length"}
    assert mounted.get("/live/_wakeful/actors", headers=headers).status_code == 200


def test_alone_it_opens_and_closes_the_runtime(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path, actors=[Counter])
    with TestClient(runtime.asgi()) as client:
        assert client.post("/actors/Counter/c/increment").json() == 1
    with TestClient(Runtime(tmp_path, actors=[Counter]).asgi()) as client:
        assert client.get("/actors/Counter/c/get").json() == 1


async def test_while_the_runtime_is_not_running_it_says_so(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path, actors=[Counter])
    transport = httpx2.ASGITransport(app=runtime.asgi())
    async with httpx2.AsyncClient(transport=transport, base_url="http://app") as client:
        refused = await client.post("/actors/Counter/c/increment")
        assert (refused.status_code, refused.json()["code"]) == (503, "shutting_down")
        async with runtime:
            assert (await client.post("/actors/Counter/c/increment")).json() == 1


async def test_a_runtime_that_cannot_start_is_told_to_the_server(tmp_path: Path) -> None:
    async with Runtime(tmp_path, actors=[Counter]):
        sent = await _lifespan(Runtime(tmp_path, actors=[Counter]))
    assert [event["type"] for event in sent] == ["lifespan.startup.failed"]
    assert "another process" in sent[0]["message"] or "in use" in sent[0]["message"]


async def _lifespan(runtime: Runtime) -> list[MutableMapping[str, Any]]:
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(event: MutableMapping[str, Any]) -> None:
        sent.append(event)

    await runtime.asgi()({"type": "lifespan"}, receive, send)
    return sent


async def test_a_client_that_leaves_during_its_body_calls_nobody(tmp_path: Path) -> None:
    events = [
        {"type": "http.request", "body": b"[1", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return events.pop(0)

    async def send(event: MutableMapping[str, Any]) -> None:
        sent.append(event)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/actors/Counter/c/increment",
        "query_string": b"",
        "headers": [(b"transfer-encoding", b"chunked")],
    }
    async with Runtime(tmp_path, actors=[Counter]) as runtime:
        await runtime.asgi()(scope, receive, send)
        assert sent == []
        assert await runtime.get(Counter, "c").get() == 0


async def test_a_cancelled_request_is_cancelled_and_its_turn_goes_on(tmp_path: Path) -> None:
    actor, gate = waiter()
    async with Runtime(tmp_path, actors=[actor]) as runtime:
        transport = httpx2.ASGITransport(app=runtime.asgi())
        async with httpx2.AsyncClient(transport=transport, base_url="http://app") as client:
            call = asyncio.ensure_future(client.post("/actors/Waiting/w/wait"))
            await gate.entered.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            gate.open.set()
            assert (await client.get("/actors/Waiting/w/get")).json() == 1


LEFT = """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/body"):
            return Response(ReadableStream.from_(self.endless()))
        try:
            log.append(await request.text())
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            log.append("cancelled")
            raise

    async def endless(self):
        try:
            while True:
                yield b"."
                await asyncio.sleep(1)
        finally:
            log.append("ended")
"""


@pytest.mark.parametrize(
    ("path", "sent", "log"),
    [
        ("/", [], ["", "cancelled"]),
        ("/", [b"abc"], ["abc", "cancelled"]),
        ("/", [b"abc" * 9000, b"def"], ["abc" * 9000 + "def", "cancelled"]),
        ("/body", [], ["ended"]),
        ("/body", [b"abc" * 9000, b"never read"], []),
    ],
    ids=["no body", "small body", "body as it comes", "answer under way", "body not read"],
)
@virtual
async def test_what_a_worker_does_for_a_client_ends_when_it_leaves(
    tmp_path: Path, path: str, sent: list[bytes], log: list[str]
) -> None:
    left, answer = asyncio.Event(), bytearray()
    events: list[MutableMapping[str, Any]] = [
        {"type": "http.request", "body": chunk, "more_body": True} for chunk in sent
    ] or [{"type": "http.request"}]
    events[-1]["more_body"] = False

    async def receive() -> MutableMapping[str, Any]:
        if events:
            return events.pop(0)
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(event: MutableMapping[str, Any]) -> None:
        answer.extend(event.get("body", b""))

    length = str(sum(map(len, sent))).encode()
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(b"content-length", length)] if sent else [],
    }
    source = methods("async def none(self): pass") + "from js import ReadableStream\n"
    async with running(tmp_path, source, default=LEFT) as worker:
        serving = asyncio.ensure_future(worker.runtime.asgi()(scope, receive, send))
        await asyncio.sleep(10)
        assert not serving.done()
        left.set()
        await asyncio.sleep(1)
        assert (serving.done(), worker.log) == (bool(log), log)
        serving.cancel()
        await asyncio.wait([serving])


@pytest.mark.parametrize(
    ("raw_path", "url"),
    [
        (b"/app/a%2Fb%2e%41%zz", "/a%2Fb%2e%41%zz"),
        (b"/app/%ff\xc3\xa4", "/%ff%C3%A4"),
        (b"/%61pp/a%2Fb", "/a/b"),
        (None, "/a/b"),
    ],
)
@virtual
async def test_a_path_is_what_was_sent_where_the_server_tells(
    tmp_path: Path, raw_path: bytes | None, url: str
) -> None:
    answer = bytearray()

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    async def send(event: MutableMapping[str, Any]) -> None:
        answer.extend(event.get("body", b""))

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/app/a/b",
        "root_path": "/app",
        "query_string": b"",
        "headers": [],
    } | ({} if raw_path is None else {"raw_path": raw_path})
    default = """
    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            return Response(request.url)
    """
    source = methods("async def none(self): pass")
    async with running(tmp_path, source, default=default) as worker:
        await worker.runtime.asgi()(scope, receive, send)
    assert answer.decode() == f"http://localhost{url}"


async def test_websockets_are_refused(tmp_path: Path) -> None:
    with (
        TestClient(Runtime(tmp_path, actors=[Counter]).asgi()) as client,
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/actors/Counter/c"),
    ):
        pass


# --- mounted ---------------------------------------------------------------------------------


async def asked(
    tmp_path: Path, path: str, *, host: str = "127.0.0.1:8000", client: str = "127.0.0.1"
) -> httpx2.Response:
    """The answer of an application without a token that is mounted at /live."""
    runtime = Runtime(tmp_path, actors=[Counter])
    app = Starlette(routes=[Mount("/live", app=runtime.asgi())])
    transport = httpx2.ASGITransport(app=app, client=(client, 4000))
    async with (
        runtime,
        httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http,
    ):
        return await http.get(f"/live{path}", headers={"host": host})


async def test_the_openapi_document_says_where_it_is_mounted(tmp_path: Path) -> None:
    document = (await asked(tmp_path, "/openapi.json")).json()
    assert document["servers"] == [{"url": "/live"}]
    assert "/actors/Counter/{name}/get" in document["paths"]


async def test_a_problem_links_to_where_it_is_mounted(tmp_path: Path) -> None:
    problem = (await asked(tmp_path, "/actors/Counter/c/nothing")).json()
    assert problem["type"] == "/live/_wakeful/errors/unknown_method"
    page = await asked(tmp_path, problem["type"].removeprefix("/live"))
    assert page.status_code == 200
    assert page.text.startswith("unknown_method: HTTP 404")


@pytest.mark.parametrize(
    ("host", "client", "status"),
    [
        ("127.0.0.1:8000", "127.0.0.1", 200),
        ("localhost", "127.0.0.1", 200),
        ("127.0.0.1:8000", "203.0.113.7", 403),
        ("evil.example", "127.0.0.1", 403),
    ],
)
async def test_admin_paths_are_open_to_this_machine_where_it_is_mounted(
    tmp_path: Path, host: str, client: str, status: int
) -> None:
    """By its own name: a page whose name was pointed here gets nothing."""
    answer = await asked(tmp_path, "/_wakeful/actors", host=host, client=client)
    assert answer.status_code == status
