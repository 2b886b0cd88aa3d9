"""Our own HTTP server: granian, embedded in the running event loop.

The socket is ours, so that a taken port is an error before anything is served, port 0 works, and a
started server accepts connections at once: they wait in the operating system's queue.

Invariants: `start` returns when clients can connect; `close` stops accepting, lets requests under
            way end, and returns when the server is gone or its time is up.
Errors:     ConfigError when the address cannot be listened on.
"""

from __future__ import annotations

import asyncio
import errno
import math
import socket
from asyncio import Task
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Final

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server.embed import Server

from wakeful.errors import ConfigError
from wakeful.forks import keep_from_children, open_descriptors
from wakeful.http.guard import is_loopback
from wakeful.http.message import Answering
from wakeful.http.rsgi import RsgiApplication
from wakeful.http.settings import HttpSettings

BACKLOG: Final = 2048


class _Embedded(Server):
    """granian's server over a socket that listens already."""

    _shd: Any

    def take(self, listening: socket.socket) -> None:
        """Serve connections to this socket; from now on the server closes it."""
        holder: Any = SocketHolder  # the stub lacks its arguments: fd, is_uds, backlog
        self._shd = holder(listening.detach(), False, BACKLOG)

    def _init_shared_socket(self) -> None:
        """Nothing to do: `_shd` is there, and `_ssp` is None."""

    def interrupt(self) -> None:
        """Make `serve` return, once the workers have ended."""
        self.signal_handler_interrupt()  # type: ignore[no-untyped-call]  # granian's


class HttpServer:
    """Listens on an address and answers what comes in.

    Attributes:
        host, port: where it listens; the port is the real one, also if 0 was asked for.
        loopback: whether only this machine can reach it.
    """

    def __init__(self, host: str, port: int, settings: HttpSettings) -> None:
        self._settings = settings
        self._socket = listen(host, port)
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        self.loopback = is_loopback([self._socket.getsockname()[0]])
        self._server: _Embedded | None = None
        self._gateway: Answering | None = None
        self._task: Task[None] | None = None
        self._ended = asyncio.Event()
        keep_from_children(self, HttpServer._descriptors)

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "http" if self._settings.tls_cert is None else "https"
        return f"{scheme}://{host}:{self.port}"

    async def __aenter__(self) -> HttpServer:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop in good order."""
        await self.close()

    def start(self, gateway: Answering) -> None:
        """Let a gateway answer from now on."""
        assert self._task is None, "a server is started once"
        settings = self._settings
        self._gateway = gateway
        self._server = _Embedded(
            RsgiApplication(gateway, self.port),
            address=self.host,
            port=self.port,
            interface=Interfaces.RSGI,
            http=HTTPModes.http1,
            websockets=False,
            backlog=BACKLOG,
            backpressure=settings.connections,
            http1_settings=HTTP1Settings(
                header_read_timeout=round(settings.header_seconds * 1000),
                max_buffer_size=settings.header_bytes,
            ),
            log_enabled=False,
            ssl_cert=settings.tls_cert,
            ssl_key=settings.tls_key,
            ssl_protocol_min=SSLProtocols.tls12,
        )
        self._server.take(self._socket)
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._server.serve())
        self._task.add_done_callback(lambda _: self._ended.set())

    def _descriptors(self) -> Iterator[int]:
        """All sockets with our port, connections too, so that clients notice our end."""
        return iter(()) if self._ended.is_set() else sockets_of(self.port)

    async def closed(self) -> None:
        """Return when the server has ended, for whatever reason."""
        await self._ended.wait()

    async def close(self, seconds: float = math.inf) -> None:
        """Stop in good order. Idempotent.

        Args:
            seconds: how long it may take, if that is less than `close_seconds`.
        """
        if self._server is None or self._task is None:
            self._socket.close()
            self._ended.set()
            return
        self._server.interrupt()
        try:
            # Connections still open then end by themselves: a half-sent head after header_seconds.
            await asyncio.wait([self._task], timeout=min(seconds, self._settings.close_seconds))
        finally:
            self._ended.set()
            if self._gateway is not None:
                self._gateway.close()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        ConfigError: the address cannot be used; says why and what to do.
    """
    if not 0 <= port <= 65535:
        raise ConfigError(f"a port is a number from 0 to 65535, not {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise ConfigError(f"{host!r} is no address of this machine: {error}") from error
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise ConfigError(_why(error, host, port)) from error
    return listening


def sockets_of(port: int) -> Iterator[int]:
    """The descriptors of this process's sockets with a local port."""
    for fd in open_descriptors():
        with suppress(OSError):  # it is no socket, or that of the listing itself
            looked_at = socket.socket(fileno=fd)
            try:
                name = looked_at.getsockname()
            finally:
                looked_at.detach()
            if isinstance(name, tuple) and name[1] == port:
                yield fd


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is in use by another program: stop it, or choose another port"
        )
    if error.errno == errno.EACCES:
        return f"port {port} may not be used without privileges: choose one above 1023"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host!r} is no address of this machine"
    return f"cannot listen on {host}, port {port}: {error}"
