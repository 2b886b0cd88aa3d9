"""W: WebSockets: memory of one that is idle while its actor sleeps, echoes, and a broadcast.

Workload: one actor accepts 10,000 sockets and goes to sleep; resident bytes per socket. Another
echoes one client's messages, one at a time; then each message of one goes to 1,000.
Unit: bytes; round trips and delivered messages a second.
Durability: nothing is written by these turns.
"""

from __future__ import annotations

from bench.child import measure
from bench.model import Missing, Section
from bench.settings import Settings

IDLE, ECHO, BROADCAST = "idle socket", "echo, one client", "broadcast, 1 to 1,000"


def run(settings: Settings) -> Section:
    """Measure in one server process, with the clients in others."""
    section = Section("W", "WebSockets", "nothing is written")
    directory = settings.directory / "W"
    directory.mkdir(parents=True, exist_ok=True)
    idle = section.series_of("wakeful", IDLE, "bytes")
    echo = section.series_of("wakeful", ECHO, "/s")
    broadcast = section.series_of("wakeful", BROADCAST, "/s")
    for series in (idle, echo, broadcast):
        peer = section.series_of("workerd", series.workload, series.unit)
        peer.missing = "its worker for this is not written yet"
    try:
        seen = measure(
            "bench.inproc.sockets",
            str(directory),
            str(settings.sockets),
            str(settings.socket_seconds),
        )
    except Missing as reason:
        idle.missing = echo.missing = broadcast.missing = str(reason)
        return section
    idle.add(seen["idle_bytes"])
    echo.add(seen["echoes_per_s"])
    broadcast.add(seen["delivered_per_s"])
    section.expect("actors awake while their sockets idle", seen["awake"], "", at_most=0)
    return section
