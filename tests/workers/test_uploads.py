"""Bodies that come in chunk by chunk: to a Worker, and through it to an object."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from wakeful import Config, Limits
from wakeful.http.server import HttpServer
from wakeful.http.settings import HttpSettings
from wakeful.store.memory import MemoryStore
from wakeful.worker_node import WorkerRuntime
from wakeful.workers.config.wrangler import read_config

ENTRY = """
import json
from workers import DurableObject, Response, WorkerEntrypoint

class Box(DurableObject):
    async def fetch(self, request):
        if request.method == "GET":
            return Response(json.dumps(self.ctx.storage.kv.get("sizes")))
        sizes = []
        try:
            async for chunk in request.body:
                sizes.append(len(chunk))
                self.ctx.storage.kv.put("sizes", sizes)
        except Exception as error:
            self.ctx.storage.kv.put("sizes", [str(error)])
            raise
        return Response(str(sum(sizes)))

    async def note(self, size):
        self.ctx.storage.kv.put("sizes", [size])

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if "/unread" in request.url:
            return Response("unread")
        if "/whole" in request.url:
            return Response(str(len(await request.text())))
        box, size = self.env.BOX.getByName("a"), 0
        if "/twice" in request.url:
            one, other = request.body.tee()
            async for chunk in one:
                size += len(chunk)
                await box.note(size)
            return Response(str(len(await Response(other).text())))
        return await box.fetch(request)
"""
TOML = """
name = "app"
main = "src/entry.py"
compatibility_date = "2026-03-01"
durable_objects.bindings = [{name = "BOX", class_name = "Box"}]
migrations = [{tag = "v1", new_sqlite_classes = ["Box"]}]
"""
LARGE = 300_000
ALL_KEPT = 400_000
PATIENCE = 10


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[HttpServer]:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "entry.py").write_text(ENTRY)
    (tmp_path / "wrangler.toml").write_text(TOML)
    config = Config(limits=Limits(request_bytes=1000, stream_bytes=LARGE, request_seconds=5))
    async with WorkerRuntime(MemoryStore(), read_config(tmp_path), config=config) as runtime:
        yield runtime.serve(port=0, settings=HttpSettings(body_bytes=ALL_KEPT))


class Client:
    """A connection that sends as it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, server: HttpServer, head: str, *, method: str = "POST") -> "Client":
        client = cls(*await asyncio.open_connection("127.0.0.1", server.port))
        path, _, more = head.partition(" ")
        client.writer.write(
            f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n{more}\r\n\r\n".encode()
        )
        return client

    async def sends(self, chunk: bytes) -> None:
        self.writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        await self.writer.drain()

    async def answer(self) -> tuple[int, str]:
        """Status and body; the connection is closed."""
        async with asyncio.timeout(PATIENCE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.lower().partition("content-length: ")[2].split()[0])
            body = (await self.reader.readexactly(length)).decode()
        self.writer.close()
        return int(head.split()[1]), body


async def seen(server: HttpServer) -> str:
    """What the object has written of the chunks it got."""
    return (await (await Client.to(server, "/", method="GET")).answer())[1]


async def until_seen(server: HttpServer, text: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while await seen(server) != text:
            pass


async def test_a_chunk_reaches_the_object_before_the_body_ends(server: HttpServer) -> None:
    client = await Client.to(server, "/ transfer-encoding: chunked")
    await client.sends(b"x" * 10)
    await until_seen(server, "[10]")
    await client.sends(b"y" * 20)
    await client.sends(b"")
    assert await client.answer() == (200, "30")
    assert await seen(server) == "[10, 20]"


@pytest.mark.parametrize("path", ["/", "/whole"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_body_comes_through(server: HttpServer, path: str, chunked: bool) -> None:
    """Larger than what an actor's arguments may be."""
    how = "transfer-encoding: chunked" if chunked else f"content-length: {LARGE}"
    client = await Client.to(server, f"{path} {how}")
    if chunked:
        for _ in range(3):
            await client.sends(b"x" * (LARGE // 3))
        await client.sends(b"")
    else:
        client.writer.write(b"x" * LARGE)
    assert await client.answer() == (200, str(LARGE))


@pytest.mark.parametrize("path", ["/", "/whole"])
async def test_a_body_over_the_limit_is_413(server: HttpServer, path: str) -> None:
    client = await Client.to(server, f"{path} content-length: {LARGE + 1}")
    status, body = await client.answer()
    assert (status, "limits.stream_bytes" in body) == (413, True)
    client = await Client.to(server, f"{path} transfer-encoding: chunked")
    await client.sends(b"x" * LARGE)
    await client.sends(b"x")
    status, body = await client.answer()
    assert (status, "limits.stream_bytes" in body) == (413, True)


async def upload(server: HttpServer, path: str) -> int:
    """The status of a large body."""
    client = await Client.to(server, f"{path} content-length: {LARGE}")
    client.writer.write(b"x" * LARGE)
    return (await client.answer())[0]


async def test_what_is_read_whole_has_a_limit_together(server: HttpServer) -> None:
    slow = await Client.to(server, "/twice transfer-encoding: chunked")
    await slow.sends(b"x" * (LARGE - 1))
    await until_seen(server, f"[{LARGE - 1}]")
    assert await upload(server, "/whole") == 503
    assert await upload(server, "/") == 200  # not kept
    await slow.sends(b"")
    assert await slow.answer() == (200, str(LARGE - 1))
    assert await upload(server, "/whole") == 200


@pytest.mark.parametrize("how", ["transfer-encoding: chunked", "content-length: 200000"])
async def test_a_body_that_breaks_off_is_an_error_where_it_is_read(
    server: HttpServer, how: str
) -> None:
    client = await Client.to(server, f"/ {how}")
    await client.sends(b"x" * 10)
    await until_seen(server, "[10]" if "chunked" in how else "[15]")
    client.writer.close()
    await until_seen(server, '["Error: Network connection lost."]')


async def test_a_body_that_nobody_reads_does_not_hold_the_answer(server: HttpServer) -> None:
    client = await Client.to(server, "/unread transfer-encoding: chunked")
    await client.sends(b"x" * 10)
    assert await client.answer() == (200, "unread")
    client = await Client.to(server, f"/unread content-length: {LARGE}")
    assert await client.answer() == (200, "unread")
