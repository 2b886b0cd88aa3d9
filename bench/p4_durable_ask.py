"""P4: durable asks in process, from 1,000 callers at once and from one caller.

Workload: each of 1,000 tasks repeats `increment()` on a counter of its own; then one task alone on
one counter. Each run is a process of its own with both cores; the subjects take turns. fdatasync is
measured in the same directory in the same rounds, as a 4 KiB write and sync.
Unit: asks/s for many callers, microseconds per ask (p50, with p99) for one.
Durability: the answer follows the sync; peers at their durable setting, see their modules.
"""

from __future__ import annotations

from bench.child import measure_into
from bench.machine import fdatasync_us
from bench.model import Section
from bench.settings import Settings

MANY, ONE, SYNC = "1,000 callers", "1 caller", "4 KiB write and fdatasync"
SUBJECTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("wakeful", MANY): ("bench.inproc.durable_ask", "many"),
    ("wakeful", ONE): ("bench.inproc.durable_ask", "one"),
    ("casty", MANY): ("bench.peers.casty_ask", "durable-many"),
    ("casty", ONE): ("bench.peers.casty_ask", "durable-one"),
    ("durable-actors", ONE): ("bench.peers.durable_actors_ask",),
}
TOO_MANY = "its local server runs two processes per actor: 1,000 actors do not fit this machine"


def run(settings: Settings) -> Section:
    """Measure every subject in turns, with the disk between them, and judge wakeful."""
    section = Section("P4", "In-process durable ask", "synced before the answer")
    settings.directory.mkdir(parents=True, exist_ok=True)
    disk = section.series_of("fdatasync", SYNC, "us")
    for _ in range(settings.runs):
        synced = fdatasync_us(settings.directory)
        disk.add(synced["append_p50"], **synced)
        for (name, workload), command in SUBJECTS.items():
            series = section.series_of(name, workload, "asks/s" if workload == MANY else "us")
            directory = str(settings.directory)
            measure_into(series, command, str(settings.ask_seconds), directory, pin=False)
    section.series_of("durable-actors", MANY).missing = TOO_MANY
    section.expect(
        "wakeful, 1,000 callers", section.median("wakeful", MANY), "asks/s", at_least=200_000
    )
    allowed = (disk.median or 0.0) + 150
    section.expect(
        "wakeful, 1 caller (fdatasync + 150 us)", section.median("wakeful", ONE), "us",
        at_most=round(allowed, 1),
    )  # fmt: skip
    return section
