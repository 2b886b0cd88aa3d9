"""Where a data directory's server answers: written when it listens, removed when it stops.

Shapes:     <data>/server.json: {"url", "pid", "version"}.
Invariants: the file is believed only if its pid is the one in the directory's lock, so that what a
            killed server left behind misleads nobody.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

FILE: Final = "server.json"
ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # listening there, it answers here


class Server(msgspec.Struct, frozen=True):
    """A server that listens."""

    url: str
    pid: int
    version: str


def url_of(host: str, port: int) -> str:
    """The address in a form that can be pasted into a browser."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def announce(data: Path, host: str, port: int, version: str) -> None:
    """Say where the server of this directory answers."""
    server = Server(url_of(ANY.get(host, host), port), os.getpid(), version)
    temporary = data / f"{FILE}.new"
    temporary.write_bytes(msgspec.json.encode(server))
    temporary.replace(data / FILE)


def withdraw(data: Path) -> None:
    """The server answers no more."""
    (data / FILE).unlink(missing_ok=True)


def find(data: Path) -> Server | None:
    """The server of a directory that is in use, if it has one."""
    try:
        server = msgspec.json.decode((data / FILE).read_bytes(), type=Server)
        owner = (data / "lock").read_text().strip()
    except (OSError, ValueError, msgspec.MsgspecError):
        return None
    return server if owner == str(server.pid) else None
