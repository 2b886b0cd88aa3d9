"""The load: wrk with one thread on a core of its own, and one request after another in Python."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.machine import load_core
from bench.model import Missing
from bench.servers import RunningServer, pinned

SCRIPT = Path(__file__).with_name("requests.lua")


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of a load saw."""

    per_second: float
    p50_us: float
    p99_us: float
    requests: int = 0


def wrk(
    server: RunningServer,
    method: str,
    template: str,
    *,
    objects: int,
    seconds: int,
    connections: int = 64,
) -> Load:
    """Load a server from the other core; an answer that is not 2xx is an error, as is none.

    An answer that takes more than wrk's two seconds is slow, not wrong: it is in the figures.
    """
    binary = shutil.which("wrk")
    if binary is None:
        raise Missing("wrk is not installed (Debian package wrk)")
    command = [
        binary,
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "-s",
        str(SCRIPT),
        server.url(),
        "--",
        method,
        template,
        str(objects),
    ]
    done = subprocess.run(
        pinned(command, load_core()),
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 60,
    )
    seen = json.loads(done.stdout.splitlines()[-1])
    if seen["status_errors"] or seen["socket_errors"] or not seen["requests"]:
        raise RuntimeError(f"{server.subject.name} answered {method} {template} wrongly: {seen}")
    per_second = seen["requests"] / seen["duration_us"] * 1e6
    return Load(per_second, seen["p50_us"], seen["p99_us"], seen["requests"])


def first_requests(server: RunningServer, action: str, count: int) -> list[float]:
    """Microseconds of one request to each object in turn, over one connection."""
    template = getattr(server.subject, action)
    method = "POST" if action == "write" else "GET"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    seen: list[float] = []
    with on_core(load_core()):
        _request(connection, method, _path(template, count + 1))
        for number in range(1, count + 1):
            started = time.perf_counter()
            _request(connection, method, _path(template, number))
            seen.append((time.perf_counter() - started) * 1e6)
    connection.close()
    return seen


def _path(template: str, number: int) -> str:
    return template.replace("%d", str(number))


def _request(connection: http.client.HTTPConnection, method: str, path: str) -> None:
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise RuntimeError(f"{method} {path} answered {response.status} {body[:200]!r}")


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Run a block of this process on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
