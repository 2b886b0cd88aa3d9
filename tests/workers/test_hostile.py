"""A served Worker and clients that leave, lie or send what no decent client sends."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from wakeful.http import disconnects
from wakeful.http.server import HttpServer
from wakeful.store.memory import MemoryStore
from wakeful.worker_node import WorkerRuntime
from wakeful.workers.config.wrangler import read_config

ENTRY = """
import asyncio
from js import ReadableStream
from workers import DurableObject, Response, WorkerEntrypoint

kept = ValueError("kept")  # which keeps what it went through
lives = []

async def forever():
    lives.append("began")
    try:
        await asyncio.sleep(1000)
    finally:
        lives.append("ended")

class Thing(DurableObject):
    async def fetch(self, request):
        async def chunks():
            yield b"abc"
            await forever()
        return Response(ReadableStream.new(chunks()))

    async def next(self, n):
        return await self.env.THING.getByName(str(n)).next(n + 1)

    async def alarm(self):
        await self.env.THING.getByName("other").touch()
        lives.append("alarm")
        if len(lives) <= 300:
            await self.ctx.storage.setAlarm(1)

    async def raises(self):
        raise ValueError("/secret/path")

    async def touch(self):
        pass

    async def begin(self):
        await self.ctx.storage.setAlarm(1)

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = "/" + request.url.partition("//")[2].partition("/")[2]
        thing = self.env.THING.getByName("a")
        if path == "/wait":
            await forever()
        elif path == "/raises":
            raise ValueError("/secret/path")
        elif path == "/object/raises":
            await thing.raises()
        elif path == "/objects":
            await thing.next(0)
        elif path == "/workers":
            return await self.env.SELF.fetch(request)
        elif path == "/alarms":
            await thing.begin()
        elif path == "/thing/stream":
            return await thing.fetch(request)
        elif path == "/cancelled":
            raise asyncio.CancelledError
        elif path.startswith("/stream/"):
            return Response(ReadableStream.new(self.chunks(path)))
        return Response(request.url)

    async def chunks(self, path):
        yield b"abc"
        if path == "/stream/fails":
            raise kept
        if path == "/stream/exit":
            raise SystemExit
        if path == "/stream/number":
            yield 10**13
        await forever()
"""
TOML = """
name = "app"
main = "src/entry.py"
compatibility_date = "2026-03-01"
durable_objects.bindings = [{name = "THING", class_name = "Thing"}]
migrations = [{tag = "v1", new_sqlite_classes = ["Thing"]}]
services = [{binding = "SELF", service = "app"}]
"""
PATIENCE = 10


class Served:
    """A Worker that is served."""

    def __init__(self, runtime: WorkerRuntime, server: HttpServer) -> None:
        self.runtime = runtime
        self.server = server
        module: Any = runtime.worker._worker and runtime.worker._worker.module
        self.lives: list[str] = module.lives

    async def asks(self, path: str, *, host: str = "localhost", until: bytes = b"") -> bytes:
        """What comes up to that, or up to the end of the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        head = f"GET {path} HTTP/1.1\r\nhost: {host}\r\n"
        writer.write((head + ("\r\n" if until else "connection: close\r\n\r\n")).encode())
        async with asyncio.timeout(PATIENCE):
            got = await (reader.readuntil(until) if until else reader.read())
        writer.close()
        return got

    async def leaves(self, path: str) -> None:
        """Ask, and leave without an answer."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        await self.until("began")
        writer.close()

    async def until(self, *lives: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.lives != [*lives]:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)


@pytest.fixture
async def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    monkeypatch.setattr(disconnects, "LOOK_SECONDS", 0.01)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "entry.py").write_text(ENTRY)
    (tmp_path / "wrangler.toml").write_text(TOML)
    worker = read_config(tmp_path)
    async with WorkerRuntime(MemoryStore(), worker, development=True) as runtime:
        yield Served(runtime, runtime.serve(port=0))


@pytest.mark.parametrize("path", ["/wait", "/stream/waits", "/thing/stream"])
async def test_what_is_done_for_a_client_ends_when_it_leaves(served: Served, path: str) -> None:
    await served.leaves(path)
    await served.until("began", "ended")


@pytest.mark.parametrize("path", ["/stream/fails", "/stream/exit", "/stream/number"])
async def test_a_response_that_breaks_off_does_not_look_complete(served: Served, path: str) -> None:
    with capture_logs() as logs:
        answer = await served.asks(path)
    assert b"200 OK" in answer or not answer  # the head is perhaps not on its way yet
    assert not answer.endswith(b"0\r\n\r\n")
    assert [line["event"] for line in logs] == ["a response broke off"]


async def test_a_handler_that_raises_a_cancellation_is_answered(served: Served) -> None:
    answer = await served.asks("/cancelled")
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"CancelledError" in answer


async def test_a_host_is_nothing_but_a_host(served: Served) -> None:
    for host in (
        "localhost",
        "LocalHost:80",
        "[::1]:8787",
        "a.localhost",
        "127.0.0.1",
        "127.9.9.9:",
    ):
        assert (await served.asks("/p", host=host)).endswith(f"http://{host}/p".encode())
    for host in (
        *("a/admin?", "a@b", "a#b", "a b", "a\\b", "a:b:c", "[::1", "a,b@c", "a:123456"),
        *("[::1]evil.example", "127.0.0.1:80@evil.example", "localhost\r\nhost: localhost"),
        *("localhost\r\norigin: http://localhost\r\norigin: http://localhost",),
    ):
        answer = await served.asks("/p", host=host)
        assert answer.startswith(b"HTTP/1.1 400"), host


async def test_a_name_that_somebody_pointed_here_reaches_no_worker(served: Served) -> None:
    """DNS rebinding: the page of evil.example asks its own name, which is 127.0.0.1 by now."""
    for host in ("evil.example:8787", "a", "localhost.evil.example", "10.0.0.1"):
        answer = await served.asks("/p", host=host)
        assert answer.startswith(b"HTTP/1.1 403"), host
        assert b"host_not_allowed" in answer
        answer = await served.asks(
            "/p", host=f"{host}\r\nconnection: upgrade\r\nupgrade: websocket"
        )
        assert answer.startswith(b"HTTP/1.1 403"), host


async def test_what_code_raises_is_told_in_development_only(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "entry.py").write_text(ENTRY)
    (tmp_path / "wrangler.toml").write_text(TOML)
    for development in (True, False):
        worker = read_config(tmp_path)
        async with WorkerRuntime(MemoryStore(), worker, development=development) as runtime:
            served = Served(runtime, runtime.serve(port=0))
            with capture_logs() as logs:
                answers = [await served.asks(path) for path in ("/raises", "/object/raises")]
        for answer in answers:
            assert answer.startswith(b"HTTP/1.1 500")
            assert (b"/secret/path" in answer) is development
        seen = [line["path"] for line in logs if line["event"] == "the Worker raised"]
        assert seen == ([] if development else ["/raises", "/object/raises"])


@pytest.mark.parametrize("path", ["/objects", "/workers"])
async def test_calls_that_lead_to_calls_without_end_are_refused(served: Served, path: str) -> None:
    assert b"recursed through Workers too many times" in await served.asks(path)


async def test_alarms_that_set_alarms_may_go_on(served: Served) -> None:
    await served.asks("/alarms")
    await served.until(*["alarm"] * 301)
