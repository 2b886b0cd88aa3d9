"""Takes a connection out of granian's hands, so that it can become a WebSocket of ours.

granian's own WebSockets tell neither the code nor the reason of a close frame, in either direction.
So the connection is duplicated before the answer 101; granian writes that, lets go of its part, and
what is left is ours alone.

Invariants: a connection is read and written by one side at a time: ours begins when granian's
            descriptor is closed.
Source:     measured with granian 2.8; hyper ends a connection after a 101 that nobody upgrades.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

LIKELY_MAX: Final = 64
LET_GO_SECONDS: Final = 5.0
PAUSE_SECONDS: Final = 0.001
KEEPALIVE_SECONDS: Final = 60


class Taken:
    """Our duplicate of a connection whose other descriptor granian still holds."""

    __slots__ = ("_fd", "_inode", "socket")

    def __init__(self, fd: int, ours: socket.socket) -> None:
        self._fd = fd
        self._inode = os.fstat(ours.fileno()).st_ino
        self.socket = ours

    async def alone(self) -> None:
        """Return when granian has closed its descriptor.

        Raises:
            TimeoutError: granian has not closed it in time.
        """
        async with asyncio.timeout(LET_GO_SECONDS):
            while self._held():  # noqa: ASYNC110 - granian has no event for it
                await asyncio.sleep(PAUSE_SECONDS)

    def _held(self) -> bool:
        try:
            return os.fstat(self._fd).st_ino == self._inode
        except OSError:
            return False


class Takeover:
    """Finds the descriptors of granian's connections.

    Args:
        port: where granian listens.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._likely: dict[int, None] = {}  # where connections were lately, the oldest first

    def take(self, client: str) -> Taken | None:
        """The connection of a client ("address:port"), duplicated; None if it is not found."""
        host, _, port = client.rpartition(":")
        peer = (host.strip("[]"), int(port)) if port.isdigit() else ("", 0)
        for fd in self._candidates():
            if self._is(fd, peer):
                return self._duplicate(fd, peer)
        return None

    def cut(self, client: str) -> None:
        """End a connection while an answer is being sent."""
        taken = self.take(client)
        if taken is not None:
            with suppress(OSError):  # it has gone already
                taken.socket.shutdown(socket.SHUT_RDWR)
            taken.socket.close()

    def _candidates(self) -> Iterator[int]:
        likely = list(reversed(self._likely))
        yield from likely
        for name in os.listdir("/dev/fd"):
            if int(name) not in self._likely:
                yield int(name)

    def _duplicate(self, fd: int, peer: tuple[str, int]) -> Taken | None:
        try:
            copy = os.dup(fd)
        except OSError:
            return None
        if not self._is(copy, peer):  # it was closed meanwhile, and its number used again
            os.close(copy)
            return None
        self._likely.pop(fd, None)
        self._likely[fd] = None
        if len(self._likely) > LIKELY_MAX:
            del self._likely[next(iter(self._likely))]
        ours = socket.socket(fileno=copy)
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_SECONDS)
        return Taken(fd, ours)

    def _is(self, fd: int, peer: tuple[str, int]) -> bool:
        try:
            looked_at = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
        except OSError:
            return False
        try:
            if looked_at.getpeername()[:2] != peer:
                return False
            return bool(looked_at.getsockname()[1] == self._port)
        except OSError:
            return False
        finally:
            looked_at.detach()
