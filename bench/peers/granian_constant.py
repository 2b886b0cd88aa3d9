"""Bare granian returning a constant: an RSGI application embedded in one uvloop, no wakeful in it.

Run as a module it is the server; `subject` is how the benchmarks start it.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

from bench.servers import HttpSubject


def subject() -> HttpSubject:
    """The constant on granian."""

    def command(port: int, directory: Path) -> list[str]:
        return [sys.executable, "-m", "bench.peers.granian_constant", str(port)]

    return HttpSubject("bare granian", command, ready="/", get="/", write="/")


HEADERS = [("content-type", "application/json")]


class Constant:
    """The smallest application that answers with a JSON number."""

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        """Answer 1 to everything."""
        proto.response_bytes(200, HEADERS, b"1")


async def serve(port: int, app: Any) -> None:
    """Serve an RSGI application until SIGTERM or SIGINT."""
    from granian.constants import HTTPModes, Interfaces
    from granian.server.embed import Server

    server = Server(
        app,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        log_enabled=False,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    await server.serve()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1]), Constant()))
