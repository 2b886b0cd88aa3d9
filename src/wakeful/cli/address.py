"""Where a data directory's server answers: written when it listens, removed when it stops.

Shapes:     <data>/server.json: {"url", "pid", "token", "certificate"}, for its owner's eyes only.
Invariants: the file is believed only if its pid is the one in the directory's lock, so a file
            that a killed server left behind is ignored.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Final

import msgspec

from wakeful.log import logger
from wakeful.store.reserve import NO_SPACE, with_reserve

FILE: Final = "server.json"
PARTITION: Final = "partition-0000.db"
ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # listening there, it answers here


class Server(msgspec.Struct, frozen=True):
    """A server that listens.

    Attributes:
        url: its address.
        pid: its process.
        token: opens its admin paths, if they need one.
        certificate: the file with its certificate, if it speaks TLS.
    """

    url: str
    pid: int
    token: str | None = None
    certificate: str | None = None

    def verify(self) -> ssl.SSLContext | bool:
        """What a client accepts as this server: its own certificate, whatever name that is for."""
        if self.certificate is None:
            return True
        context = ssl.create_default_context(cafile=self.certificate)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.check_hostname = False
        return context


def announce(
    data: Path, host: str, port: int, token: str | None, certificate: Path | None = None
) -> None:
    """Say where the server of this directory answers."""
    host = ANY.get(host, host)
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    url = f"http://{place}" if certificate is None else f"https://{place}"
    path = None if certificate is None else str(certificate.resolve())
    content = msgspec.json.encode(Server(url, os.getpid(), token, path))
    try:
        with_reserve(str(data / PARTITION), lambda: _write(data, content))
    except OSError as error:
        (data / f"{FILE}.new").unlink(missing_ok=True)
        if error.errno not in NO_SPACE:
            raise
        said = "the disk is full: commands for this directory will not find its server"
        logger().warning(said, file=str(data / FILE))


def _write(data: Path, content: bytes) -> None:
    temporary = data / f"{FILE}.new"
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    temporary.replace(data / FILE)


def withdraw(data: Path) -> None:
    """Remove the address when the server stops, unless another server has written its own."""
    try:
        written = msgspec.json.decode((data / FILE).read_bytes(), type=Server)
    except (OSError, msgspec.MsgspecError):
        return
    if written.pid == os.getpid():
        (data / FILE).unlink(missing_ok=True)


def find(data: Path) -> Server | None:
    """The server of a directory that is in use, if it has one."""
    try:
        server = msgspec.json.decode((data / FILE).read_bytes(), type=Server)
        owner = (data / "lock").read_text().strip()
    except (OSError, ValueError, msgspec.MsgspecError):
        return None
    return server if owner == str(server.pid) else None
