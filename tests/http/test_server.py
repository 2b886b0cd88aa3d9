"""Where the server listens, what it says when it cannot, and how it ends."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import httpx2
import pytest
from tests.http.actors import Counter, serving

from wakeful import ConfigError, Runtime
from wakeful.http.settings import HttpSettings


async def test_it_answers_at_once_on_a_free_port(tmp_path: Path) -> None:
    async with Runtime(tmp_path, actors=[Counter]) as runtime:
        server = runtime.serve(port=0)
        assert server.port > 0
        async with httpx2.AsyncClient() as http:
            answer = await http.get(f"{server.url}/_wakeful/health")
        assert answer.json()["ready"] is True


async def test_it_listens_on_loopback_unless_told_otherwise(tmp_path: Path) -> None:
    async with Runtime(tmp_path, actors=[Counter]) as runtime:
        assert runtime.serve(port=0).loopback
        assert runtime.serve("::1", port=0).url.startswith("http://[::1]:")
        everywhere = runtime.serve("0.0.0.0", port=0)
        assert not everywhere.loopback
        async with httpx2.AsyncClient() as http:
            refused = await http.get(f"http://127.0.0.1:{everywhere.port}/_wakeful/actors")
            assert refused.json()["code"] == "admin_refused"


@pytest.mark.parametrize("reuse_port", [False, True])
async def test_a_port_in_use_is_refused_before_anything_is_served(
    tmp_path: Path, reuse_port: bool
) -> None:
    with socket.socket() as other:
        if reuse_port:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        async with Runtime(tmp_path, actors=[Counter]) as runtime:
            with pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1 is in use"):
                runtime.serve(port=port)


async def test_two_of_our_own_do_not_share_a_port(tmp_path: Path) -> None:
    async with Runtime(tmp_path, actors=[Counter]) as runtime:
        port = runtime.serve(port=0).port
        with pytest.raises(ConfigError, match="in use"):
            runtime.serve(port=port)


@pytest.mark.parametrize(
    ("host", "port", "what"),
    [
        ("no.such.name.invalid", 0, "no address"),
        ("192.0.2.1", 0, "no address of this machine"),
        ("127.0.0.1", 65536, "0 to 65535"),
        ("127.0.0.1", -1, "0 to 65535"),
        ("a" * 300, 0, "no address"),
    ],
)
async def test_an_address_that_cannot_be_is_refused(
    tmp_path: Path, host: str, port: int, what: str
) -> None:
    async with Runtime(tmp_path, actors=[Counter]) as runtime:
        with pytest.raises(ConfigError, match=what):
            runtime.serve(host, port)


async def test_a_closed_server_can_be_replaced_on_its_port(tmp_path: Path) -> None:
    async with Runtime(tmp_path, actors=[Counter]) as runtime, httpx2.AsyncClient() as http:
        first = runtime.serve(port=0)
        url = f"{first.url}/actors/Counter/c/increment"
        assert (await http.post(url)).json() == 1
        await first.close()
        await first.close()
        await first.closed()
        with pytest.raises(httpx2.ConnectError):
            await http.post(url)
        runtime.serve(port=first.port)
        assert (await http.post(url)).json() == 2


async def test_idle_and_half_sent_connections_do_not_hold_up_closing(tmp_path: Path) -> None:
    settings = HttpSettings(header_seconds=30, close_seconds=0.5)
    async with serving(tmp_path, settings=settings) as it, asyncio.timeout(5):
        _, half = await asyncio.open_connection("127.0.0.1", it.server.port)
        half.write(b"POST /act")
        _, idle = await asyncio.open_connection("127.0.0.1", it.server.port)
        async with httpx2.AsyncClient(base_url=it.server.url) as http:
            assert (await http.get("/_wakeful/health")).status_code == 200
    half.close()
    idle.close()
    await it.server.closed()
