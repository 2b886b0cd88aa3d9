"""W: WebSockets: memory of one that is idle while its actor sleeps, echoes, and a broadcast.

Workload: an object accepts 10,000 sockets and goes to sleep; resident bytes per socket, after a
first 500. In another one client's messages are echoed, one at a time, then those of 64 clients;
then each message of one client goes to 1,000. The server on one core, the clients on the other;
a run is a server process of its own. The sockets of the two Workers are hibernatable.
Unit: bytes; round trips and delivered messages a second.
Durability: nothing is written by these turns.
"""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.http_rounds import Factory
from bench.machine import load_core
from bench.model import Missing, Section, ratio
from bench.peers import wakeful_http, workerd
from bench.servers import RunningServer, pinned, serving
from bench.settings import Settings

IDLE, ECHO, ECHOES = "idle socket", "echo, 1 client", "echo, 64 clients"
BROADCAST = "broadcast, 1 to 1,000"
WORKLOADS = {IDLE: "bytes", ECHO: "/s", ECHOES: "/s", BROADCAST: "/s"}
FIRST, LISTENERS, MANY = 500, 1_000, 64
SLEEP_SECONDS = 12.0  # both put an object to sleep after ten idle seconds
AWAKE = 'wakeful_actors{state="active",type="Room"}'


@dataclass(frozen=True, slots=True)
class Rooms:
    """Where a system's rooms are."""

    factory: Factory
    join: str


SUBJECTS: dict[str, Rooms] = {
    "wakeful": Rooms(
        partial(wakeful_http.served, "wakeful", wakeful_http.OBJECTS / "native.py"),
        "/actors/Room/{}/join",
    ),
    "wakeful Worker": Rooms(
        partial(wakeful_http.served, "wakeful Worker", wakeful_http.OBJECTS / "worker"),
        "/room/{}/join",
    ),
    "workerd": Rooms(
        partial(workerd.served, workerd.OBJECTS / "objects.capnp", ready="/room/any/people"),
        "/room/{}/join",
    ),
}


class Clients:
    """A process of clients of one room."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def told(self, line: str) -> str:
        """What the clients answer to a line."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        if not answer:
            raise RuntimeError(f"the clients ended at {line!r}")
        return answer


def run(settings: Settings) -> Section:
    """Measure the subjects in turns; memory once, since it does not vary."""
    section = Section("W", "WebSockets", "nothing is written")
    for name, rooms in SUBJECTS.items():
        _tried(section, name, (IDLE,), partial(_idle, section, name, rooms, settings))
    for _ in range(settings.runs):
        for name, rooms in SUBJECTS.items():
            speeds = partial(_speeds, section, name, rooms, settings)
            _tried(section, name, (ECHO, ECHOES, BROADCAST), speeds)
    for name in ("wakeful", "wakeful Worker"):
        for workload in (ECHO, ECHOES, BROADCAST):
            times = ratio(section.median(name, workload), section.median("workerd", workload))
            section.expect(f"{name} / workerd, {workload}", times, "x")
    return section


def _tried(
    section: Section, name: str, workloads: tuple[str, ...], measure: Callable[[], None]
) -> None:
    """Measure; what cannot be is entered as missing, with the reason."""
    try:
        measure()
    except (Missing, RuntimeError) as reason:
        for workload in workloads:
            section.series_of(name, workload).missing = str(reason)


def _idle(section: Section, name: str, rooms: Rooms, settings: Settings) -> None:
    count = settings.sockets
    with (
        serving(rooms.factory(), _directory(name, "idle", settings)) as server,
        clients(server, rooms.join.format("idle")) as idle,
    ):
        idle.told(f"open {FIRST}")
        time.sleep(SLEEP_SECONDS)
        before = server.resident_bytes()
        idle.told(f"open {count}")
        time.sleep(SLEEP_SECONDS)
        taken = (server.resident_bytes() - before) / count
        section.series_of(name, IDLE, WORKLOADS[IDLE]).add(taken)
        if name == "wakeful":
            section.expect("actors awake while their sockets idle", _awake(server), "", at_most=0)


def _speeds(section: Section, name: str, rooms: Rooms, settings: Settings) -> None:
    seconds = settings.socket_seconds
    with (
        serving(rooms.factory(), _directory(name, "busy", settings)) as server,
        clients(server, rooms.join.format("busy")) as busy,
    ):
        busy.told("open 1")
        seen = {ECHO: busy.told(f"echo 1 {seconds}")}
        busy.told(f"open {MANY - 1}")
        seen[ECHOES] = busy.told(f"echo {MANY} {seconds}")
        busy.told(f"open {LISTENERS - MANY}")
        seen[BROADCAST] = busy.told(f"broadcast {max(2, round(20 * seconds))}")
    for workload, value in seen.items():
        section.series_of(name, workload, WORKLOADS[workload]).add(float(value))


def _directory(name: str, what: str, settings: Settings) -> Path:
    return settings.directory / "W" / name.replace(" ", "-") / what


@contextmanager
def clients(server: RunningServer, path: str) -> Iterator[Clients]:
    """Clients of the room at a path, on the load's core, for the length of a block."""
    command = [sys.executable, "-m", "bench.load.sockets", str(server.port), path]
    with subprocess.Popen(
        pinned(command, load_core()), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Clients(process)
        finally:
            process.terminate()


def _awake(server: RunningServer) -> float:
    with urllib.request.urlopen(server.url("/_wakeful/metrics"), timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(AWAKE):
                return float(line.rpartition(" ")[2])
    raise RuntimeError(f"the metrics have no {AWAKE}")
