"""A: alarms: how fast they are set, what a million that are not due cost, how late many ring.

Workload: an alarm is set for each of many new objects, which also note when it is due. In process
(wakeful only), a million a month ahead from 1,000 callers; the server started on them is compared
with one started on a hundred (resident bytes), as is workerd on as many as it is given. Over HTTP,
64 connections, one request an object: all are due in the same millisecond, some seconds later; the
handler writes once. *All rung* is the time from there until the last handler has begun; p50 and
p99 are how late handlers begin. The server on one core, the client on the other.
Unit: alarms/s; bytes per alarm; microseconds.
Durability: an alarm is set when the answer has come, synced; a handler that has run is committed
with the end of its alarm.
"""

from __future__ import annotations

import json
import time
import urllib.request
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.child import measure
from bench.http_rounds import Factory
from bench.load.each_once import each_once
from bench.model import Missing, Section, percentile
from bench.peers import wakeful_http, workerd
from bench.servers import RunningServer, serving
from bench.settings import Settings

IN_PROCESS, OVER_HTTP = "set, in process", "set, over HTTP"
MEMORY, RINGING = "memory of one not due", "due at once: all rung"
AHEAD_MS = 30 * 24 * 3_600_000
RINGING_SECONDS_MAX = 120.0
PROBES = 20  # one in so many is set before, to know how long setting all will take
FEW = 100  # what a server costs that has looked at alarms at all


@dataclass(frozen=True, slots=True)
class Bells:
    """Where a system's bells are."""

    factory: Factory
    ring_at: str
    body: str
    late: str


WORKER_PATHS = ("/bell/b-%d/ring_at", "{}", "/bell/any/late")
SUBJECTS: dict[str, Bells] = {
    "wakeful": Bells(
        partial(wakeful_http.served, "wakeful", wakeful_http.OBJECTS / "native.py"),
        "/actors/Bell/b-%d/ring_at",
        '{{"due_ms": {}}}',
        "/actors/Bell/any/late",
    ),
    "wakeful Worker": Bells(
        partial(wakeful_http.served, "wakeful Worker", wakeful_http.OBJECTS / "worker"),
        *WORKER_PATHS,
    ),
    "workerd": Bells(
        partial(workerd.served, workerd.OBJECTS / "objects.capnp", ready="/bell/any/late"),
        *WORKER_PATHS,
    ),
}


def run(settings: Settings) -> Section:
    """Measure every subject; a subject that is missing is said to be."""
    section = Section("A", "Alarms", "set and rung: synced")
    ringing = f"{settings.alarms_at_once:,} {RINGING}"
    for name, bells in SUBJECTS.items():
        try:
            _ring(section, name, bells, ringing, settings)
        except (Missing, RuntimeError, OSError) as reason:
            for workload in (OVER_HTTP, ringing):
                section.series_of(name, workload).missing = str(reason)
    _memory_of_wakeful(section, settings)
    _memory_of_workerd(section, settings)
    section.expect(
        "resident bytes per alarm that is not due", section.median("wakeful", MEMORY), "bytes",
        at_most=16,
    )  # fmt: skip
    return section


def _ring(section: Section, name: str, bells: Bells, workload: str, settings: Settings) -> None:
    """Set all to the same moment, wait for it, and ask how late they were; on new directories."""
    count = settings.alarms_at_once
    for turn in range(settings.alarm_runs):
        with serving(bells.factory(), _directory(section, name, f"ringing-{turn}", settings)) as on:
            due_ms = int((time.time() + 2 + 1.5 * count / _probed_rate(on, bells, count)) * 1000)
            body = bells.body.format(due_ms)
            rate = each_once(on, "POST", bells.ring_at, count, body=body).per_second
            if time.time() * 1000 > due_ms:
                raise RuntimeError(f"{name} took longer to set {count} alarms than expected")
            section.series_of(name, OVER_HTTP, "alarms/s").add(rate)
            late = _all_late_ms(on, bells.late, due_ms, count)
        section.series_of(name, workload, "us").add(
            max(late) * 1000,
            p50_us=percentile(late, 50) * 1000,
            p99_us=percentile(late, 99) * 1000,
        )


def _probed_rate(server: RunningServer, bells: Bells, count: int) -> float:
    """How many alarms a second it sets; those that are set for this stay a month ahead."""
    body = bells.body.format(int(time.time() * 1000) + AHEAD_MS)
    template = bells.ring_at.replace("b-%d", "probe-%d")
    return each_once(server, "POST", template, count // PROBES + FEW, body=body).per_second


def _all_late_ms(server: RunningServer, path: str, due_ms: int, count: int) -> list[float]:
    """How late each was, once all have rung; the server is asked rarely, so as not to disturb."""
    time.sleep(max(0.0, due_ms / 1000 - time.time()) + 1)
    deadline = time.monotonic() + RINGING_SECONDS_MAX
    while True:
        with urllib.request.urlopen(server.url(path), timeout=60) as answer:
            late: list[float] = json.loads(answer.read())
        if len(late) >= count:
            return late
        if time.monotonic() > deadline:
            raise RuntimeError(f"{server.subject.name}: {len(late)} of {count} alarms have rung")
        time.sleep(1)


def _memory_of_wakeful(section: Section, settings: Settings) -> None:
    bells, count = SUBJECTS["wakeful"], settings.alarms_stored
    set_rate = section.series_of("wakeful", IN_PROCESS, "alarms/s")
    memory = section.series_of("wakeful", MEMORY, "bytes")
    try:
        taken: list[int] = []
        for what, number in (("few", FEW), ("stored", count)):
            directory = _directory(section, "wakeful", what, settings)
            directory.mkdir(parents=True, exist_ok=True)
            data = str(directory / "wakeful-data")
            seen = measure("bench.inproc.alarms", data, str(number), pin=False, timeout_s=1200)
            taken.append(_resident_bytes(bells, directory))
        set_rate.add(seen["per_second"])
        memory.add((taken[1] - taken[0]) / (count - FEW))
        memory.note = f"{count:,} alarms, server restarted"
    except (Missing, RuntimeError) as reason:
        set_rate.missing = memory.missing = str(reason)


def _memory_of_workerd(section: Section, settings: Settings) -> None:
    bells, count = SUBJECTS["workerd"], settings.alarms_of_workerd
    memory = section.series_of("workerd", MEMORY, "bytes")
    section.series_of("workerd", IN_PROCESS).missing = "it has no way in but HTTP"
    try:
        taken: list[int] = []
        body = bells.body.format(int(time.time() * 1000) + AHEAD_MS)
        for what, number in (("few", FEW), ("stored", count)):
            directory = _directory(section, "workerd", what, settings)
            with serving(bells.factory(), directory) as server:
                rate = each_once(server, "POST", bells.ring_at, number, body=body).per_second
            taken.append(_resident_bytes(bells, directory))
        memory.add((taken[1] - taken[0]) / (count - FEW))
    except (Missing, RuntimeError) as reason:
        memory.missing = str(reason)
        return
    minutes = 1_000_000 / rate / 60
    memory.note = f"{count:,} alarms, server restarted; 1,000,000 would take {minutes:,.0f} min"


def _resident_bytes(bells: Bells, directory: Path) -> int:
    """What a server takes soon after it was started on a directory and saw its alarms."""
    with serving(bells.factory(), directory) as server:
        time.sleep(1)
        return server.resident_bytes()


def _directory(section: Section, name: str, what: str, settings: Settings) -> Path:
    return settings.directory / section.code / name.replace(" ", "-") / what
