from __future__ import annotations

import asyncio
import os
import socket

import pytest

from wakeful.http import takeover
from wakeful.http.takeover import Takeover


@pytest.fixture
def pair() -> tuple[socket.socket, socket.socket, int]:
    """Both ends of a connection, and the port it was accepted on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        ours = socket.create_connection(("127.0.0.1", port))
        theirs, _ = listening.accept()
    return ours, theirs, port


def address(client: socket.socket) -> str:
    host, port = client.getsockname()
    return f"{host}:{port}"


async def test_connection_is_found_and_is_ours_once_the_other_side_has_closed(
    pair: tuple[socket.socket, socket.socket, int],
) -> None:
    client, accepted, port = pair
    finder = Takeover(port)
    taken = finder.take(address(client))
    assert taken is not None
    asyncio.get_running_loop().call_later(0.01, accepted.close)
    await taken.alone()
    taken.socket.sendall(b"x")

    assert client.recv(1) == b"x"
    client.close()
    taken.socket.close()


async def test_connection_that_is_never_let_go(
    pair: tuple[socket.socket, socket.socket, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, accepted, port = pair
    monkeypatch.setattr(takeover, "LET_GO_SECONDS", 0.01)
    taken = Takeover(port).take(address(client))
    assert taken is not None
    with pytest.raises(TimeoutError):
        await taken.alone()
    for one in (client, accepted, taken.socket):
        one.close()


@pytest.mark.parametrize("text", ["127.0.0.1:1", "nonsense", "[::1]:7", ""])
def test_unknown_client_is_not_found(
    text: str, pair: tuple[socket.socket, socket.socket, int]
) -> None:
    client, accepted, port = pair
    before = len(os.listdir("/dev/fd"))

    assert Takeover(port).take(text) is None
    assert Takeover(port + 1).take(address(client)) is None
    assert len(os.listdir("/dev/fd")) == before
    client.close()
    accepted.close()
