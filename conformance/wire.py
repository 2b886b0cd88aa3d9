"""Rows about bytes on a connection: sent as they are, and read without a library in between."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress

from conformance.servers import Facts, Server

PATIENCE = 3.0
several: dict[str, Callable[[Server], Facts]] = {}
OWN = ("date", "server", "connection", "alt-svc")  # said by servers of themselves


def row(function: Callable[[Server], Facts]) -> Callable[[Server], Facts]:
    several[function.__name__] = function
    return function


def exchange(server: Server, text: str | bytes) -> Facts:
    """What is answered to bytes: the status, the headers in order, the body as it comes."""
    data = text.encode("latin-1") if isinstance(text, str) else text
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as connection:
        connection.sendall(data)
        got = b""
        with suppress(TimeoutError, ConnectionError):
            while chunk := connection.recv(65536):
                got += chunk
    head, _, body = got.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = sorted(line for line in lines[1:] if line.partition(":")[0].lower() not in OWN)
    headers = [
        name.lower() + colon + value for name, colon, value in (h.partition(":") for h in headers)
    ]
    return [lines[0], sorted(headers), body.decode("latin-1")]


def get(server: Server, path: str, *headers: str, method: str = "GET", body: str = "") -> Facts:
    head = [f"{method} {path} HTTP/1.1", "Host: h", "Connection: close", *headers]
    return exchange(server, "\r\n".join(head) + "\r\n\r\n" + body)


GIVEN = [
    "text",
    "empty",
    "null",
    "204",
    "205",
    "304",
    "bytes",
    "length",
    "cookies",
    "latin",
    "418",
    "hop",
    "redirect",
    "encoded",
    "gzip",
]


@row
def M1(server: Server) -> Facts:
    return {give: get(server, f"/wire/?give={give}") for give in GIVEN}


@row
def M2(server: Server) -> Facts:
    return {
        f"{m}": get(server, "/wire/x", method=m)
        for m in ("GET", "OPTIONS", "DELETE", "PUT", "PATCH", "PURGE", "PROPFIND", "QUERY", "TRACE")
    }


@row
def M3(server: Server) -> Facts:
    paths = [
        "/wire/a/../b",
        "/wire/./a",
        "/wire//a",
        "/wire/a%20b",
        "/wire/%C3%A9",
        "/wire/a;b",
        "/wire/?a=%20b+c&d",
        "/wire/?a?b=c#d",
        "/wire/%00",
        "/wire/" + "x" * 5000,
        "/wire/?" + "q" * 5000,
        "http://other/wire/abs?x",
    ]
    return {p[:40]: get(server, p) for p in paths}


@row
def M4(server: Server) -> Facts:
    return {
        "length": get(server, "/wire/", "Content-Length: 3", method="POST", body="abc"),
        "chunks": get(
            server,
            "/wire/",
            "Transfer-Encoding: chunked",
            method="POST",
            body="3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        ),
        "none": get(server, "/wire/", method="POST"),
        "zero": get(server, "/wire/", "Content-Length: 0", method="POST"),
        "get with a body": get(server, "/wire/", "Content-Length: 3", body="abc"),
        "twice": get(server, "/wire/", "X: 1", "x: 2", "Cookie: a=1", "Cookie: b=2"),
        "empty": get(server, "/wire/", "X:"),
        "padded": get(server, "/wire/", "X:   a \t b  "),
    }
