"""Rows that need a WebSocket client: the websockets library's, over loopback."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote, urlencode

from conformance.servers import Facts, Server
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close, Frame, Opcode
from websockets.sync.client import ClientConnection, connect

PATIENCE = 3.0  # seconds for a frame or an end to come
HIBERNATED = 12.0  # seconds after which an object without events has left memory

several: dict[str, Callable[[Server], Facts]] = {}


def row(function: Callable[[Server], Facts]) -> Callable[[Server], Facts]:
    several[function.__name__] = function
    return function


@contextmanager
def talking(server: Server, path: str, **given: Any) -> Iterator[ClientConnection]:
    """A client, connected; what is still open in the end is cut."""
    url = f"ws://127.0.0.1:{server.port}{path}?{urlencode(given, doseq=True)}"
    with connect(url, proxy=None, close_timeout=PATIENCE, compression=None) as client:
        try:
            yield client
        finally:
            cut(client)


def cut(client: ClientConnection) -> None:
    """End a connection without a close frame."""
    with suppress(OSError):
        client.socket.shutdown(socket.SHUT_RDWR)


def to(server: Server, name: str, **given: Any) -> Any:
    """A client of the object of a name."""
    return talking(server, f"/socket/{quote(name)}", space="TALKING", **given)


def says(client: ClientConnection, message: str | bytes) -> Any:
    """What comes back for a message."""
    client.send(message)
    with suppress(TimeoutError):
        return plain(client.recv(PATIENCE))
    return None


def said(client: ClientConnection, what: str) -> Any:
    """What the object says of itself and of the socket."""
    return json.loads(says(client, f"say:{what}"))


def plain(message: str | bytes) -> Any:
    return message if isinstance(message, str) else {"bytes": " ".join(map(str, message))}


def end(client: ClientConnection, wait: float = PATIENCE) -> Facts:
    """The close frame that a client gets, "cut" if none comes, None if nothing ends."""
    try:
        with suppress(ConnectionClosed):
            while True:
                client.recv(wait)
    except TimeoutError:
        return None
    received = client.protocol.close_rcvd
    return [int(received.code), received.reason] if received is not None else "cut"


def closes(client: ClientConnection, code: int | None, reason: str = "") -> Facts:
    """Send a close frame; the one that is the answer."""
    payload = b"" if code is None else Close(code, reason).serialize()
    client.socket.sendall(Frame(Opcode.CLOSE, payload).serialize(mask=True))
    return end(client)


def told(server: Server, name: str, lines: int) -> Any:
    """What an object has heard, once it is so much."""
    deadline = time.monotonic() + PATIENCE
    while True:
        log = server.ask("worker", "heard", {"name": name})["value"]
        if len(log) >= lines or time.monotonic() > deadline:
            return log
        time.sleep(0.02)


@row
def H1(server: Server) -> Facts:
    with to(server, "H1") as client:
        texts = [says(client, f"echo:{text}") for text in ("hello", "", "é" * 3)]
        return [*texts, says(client, b"\x00\xff"), says(client, b""), told(server, "H1", 3)]


@row
def H2(server: Server) -> Facts:
    with to(server, "H2", auto="1") as client:
        before = said(client, "stamp")
        pongs = [says(client, "ping"), says(client, "ping")]
        return [before, pongs, said(client, "stamp"), told(server, "H2", 2)]


@row
def H3(server: Server) -> Facts:
    def born() -> Any:
        return server.ask("worker", "births", {"name": "H3"})

    with to(server, "H3", auto="1") as client:
        before = [said(client, "born"), says(client, "ping")]
        time.sleep(HIBERNATED)
        asleep = [says(client, "ping"), born()]
        woken = [said(client, "stamp"), said(client, "born"), said(client, "name"), born()]
        return [before, asleep, woken, says(client, "ping")]


@row
def H5(server: Server) -> Facts:
    with (
        to(server, "H5", tag=["a", "b"]) as first,
        to(server, "H5", tag=["c", "b"]),
        to(server, "H5", tag=["d"]),
    ):
        return said(first, "tags")


@row
def H9(server: Server) -> Facts:
    with to(server, "H9", tag=["x", "y"]) as client:
        client.send("keep:this")
        before = said(client, "kept")
        time.sleep(HIBERNATED)
        return [before, said(client, "kept"), said(client, "state"), said(client, "born")]


@row
def H10(server: Server) -> Facts:
    with to(server, "H10") as client:
        client.send("throw")
        return [says(client, "echo:on"), said(client, "born")]


@row
def H11(server: Server) -> Facts:
    with to(server, "H11") as client:
        return [closes(client, 4005, "answer"), told(server, "H11", 1)]


@row
def H12(server: Server) -> Facts:
    with to(server, "H12") as client:
        return [closes(client, None), told(server, "H12", 1)]


@row
def H13(server: Server) -> Facts:
    with to(server, "H13") as client:
        said(client, "born")
    log = told(server, "H13", 2)
    time.sleep(0.1)
    return [log, told(server, "H13", 2), server.ask("worker", "live", {"name": "H13"})]


@row
def H14(server: Server) -> Facts:
    with to(server, "H14") as client, to(server, "H14 bare") as bare:
        client.send("close")
        bare.send("bare")
        ends = [end(client), end(bare)]
        return [ends, told(server, "H14", 2), told(server, "H14 bare", 2)]


@row
def H16(server: Server) -> Facts:
    with to(server, "H16") as client:
        client.send("closed")
        found = [end(client), told(server, "H16", 2)]
        return [*found, server.ask("worker", "live", {"name": "H16"})]


@row
def H17(server: Server) -> Facts:
    with to(server, "H17") as client, to(server, "H17") as other:
        client.send("abort")
        ends = [end(client), end(other)]
        with to(server, "H17") as again:
            return [ends, said(again, "born"), server.ask("worker", "live", {"name": "H17"})]


@row
def H21(server: Server) -> Facts:
    with talking(server, "/socket/H21", space="MUTE") as client:
        client.send("nothing")
        server.ask("worker", "broadcast", {"name": "H21", "text": "hello"})
        return [client.recv(PATIENCE), closes(client, 4005, "client")]


@row
def H22(server: Server) -> Facts:
    with to(server, "H22") as client:
        client.send("slow")
        client.send("echo:fast")
        return [client.recv(PATIENCE), client.recv(PATIENCE)]


@row
def H24(server: Server) -> Facts:
    with to(server, "H24") as client, to(server, "H24 send") as sending:
        ends = [closes(client, 4005, "client"), closes(sending, 4005, "send")]
        live = server.ask("worker", "live", {"name": "H24"})
        return [ends, told(server, "H24", 1), told(server, "H24 send", 1), live]


@row
def H27(server: Server) -> Facts:
    with to(server, "H27", standard="1") as client:
        found = [says(client, "echo:hello"), says(client, b"\x01"), says(client, "put:5")]
        # An error may follow on workerd when the client hangs up after its close was answered.
        return [*found, closes(client, 4005, "answer"), told(server, "H27", 3)[:3]]


@row
def H29(server: Server) -> Facts:
    with to(server, "H29", standard="1") as client, to(server, "H29", standard="1") as other:
        said(client, "born")
        cut(other)
        log = told(server, "H29", 2)
        client.send("abort")
        return [end(client), log]


@row
def H30(server: Server) -> Facts:
    with to(server, "H30", standard="1") as client:
        client.send("close")
        return [end(client), told(server, "H30", 2)]


@row
def I3(server: Server) -> Facts:
    with to(server, "I3", standard="1") as client:
        before = said(client, "born")
        time.sleep(HIBERNATED)
        return [before, said(client, "born"), len(said(client, "log"))]


@row
def I18(server: Server) -> Facts:
    with talking(server, "/plain/I18") as client:
        echoes = [says(client, "text"), says(client, b"\x00\x01")]
        client.send("close")
        ended = end(client)
    deadline = time.monotonic() + PATIENCE
    while not (heard := server.ask("worker", "heardPlainly")["value"]):
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return [echoes, ended, heard]


@row
def H32(server: Server) -> Facts:
    with to(server, "H32") as client:
        client.socket.sendall(b"\x83\x80\x00\x00\x00\x00")  # an opcode that there is not
        heard = [line[0] for line in told(server, "H32", 1)]
        time.sleep(0.1)
        return [heard, server.ask("worker", "live", {"name": "H32"})]
