"""WebSockets through another server: uvicorn, with the runtime as its ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from tests.http.test_websocket import PATIENCE, Room, closed, refused
from websockets.asyncio.client import connect

from wakeful import Config, Limits, Runtime


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    config = Config(idle_seconds=0.05, limits=Limits(socket_message_bytes=1000))
    async with Runtime(tmp_path / "data", actors=[Room], config=config) as rt:
        server = uvicorn.Server(
            uvicorn.Config(rt.asgi(), port=0, log_level="error", lifespan="off")
        )
        task = asyncio.create_task(server.serve())
        async with asyncio.timeout(PATIENCE):
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event
                await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/actors/Room/r/join"
        server.should_exit = True
        await task


async def test_messages(url: str) -> None:
    async with connect(url + "?name=ada") as client:
        assert await client.recv() == "hello ada 0"
        await client.send("hi")
        assert await client.recv() == "hi"
        await client.send(b"\0")
        assert await client.recv() == b"\0"
        await client.send("ping")
        assert await client.recv() == "pong"


async def test_actors_close(url: str) -> None:
    client = await connect(url + "?name=ada")
    await client.send("bye")

    assert await closed(client) == (4001, "bye")


async def test_too_big_a_message(url: str) -> None:
    client = await connect(url + "?name=ada")
    await client.send("x" * 1001)

    assert (await closed(client))[0] == 1009


async def test_refusal_is_an_answer(url: str) -> None:
    status, body = await refused(url)

    assert (status, "missing 'name'" in body) == (422, True)
