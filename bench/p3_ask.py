"""P3: asking a plain actor in process, beside the bare method and other actor libraries.

Workload: one task awaits `increment()` of one `Actor` without facets, one call after another; the
same for the method of a bare object, and for one actor of each peer. Each run is a process of its
own, pinned to one core; the subjects take turns.
Unit: asks/s.
Durability: none, everything here is volatile.
"""

from __future__ import annotations

from bench.child import measure_into
from bench.model import Section, ratio
from bench.settings import Settings

ASK = "sequential asks"
SUBJECTS: dict[str, tuple[str, ...]] = {
    "wakeful Actor": ("bench.inproc.ask", "actor"),
    "bare method": ("bench.inproc.ask", "method"),
    "pykka": ("bench.peers.pykka_ask",),
    "xoscar": ("bench.peers.xoscar_ask",),
    "casty": ("bench.peers.casty_ask", "volatile"),
}


def run(settings: Settings) -> Section:
    """Measure every subject in turns and judge the plain actor."""
    section = Section("P3", "In-process ask, Actor without facets", "volatile")
    for _ in range(settings.runs):
        for name, command in SUBJECTS.items():
            series = section.series_of(name, ASK, "asks/s")
            measure_into(series, command, str(settings.ask_seconds))
    section.series_of("durable-actors", ASK).missing = "it has no in-process mode"
    actor = section.median("wakeful Actor", ASK)
    section.expect("wakeful Actor", actor, "asks/s", at_least=1_000_000)
    cost = ratio(section.median("bare method", ASK), actor)
    section.expect("cost of an ask / of the bare method", cost, "x", at_most=8)
    return section
