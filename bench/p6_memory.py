"""P6: memory of counters that are awake, and of counters that sleep.

Workload: counters are created by an increment each (awake); then the same directory is opened anew,
so that all of them sleep, against an empty directory (asleep). Awake is measured by resident set
size and, in another process, by tracemalloc; asleep by tracemalloc alone, because the resident size
keeps what the counters used before.
Unit: bytes per counter.
Durability: every counter is stored before it is counted.
"""

from __future__ import annotations

from bench.child import measure
from bench.model import Missing, Section
from bench.settings import Settings

ACTIVE, SLEEPING = "awake", "asleep"


def run(settings: Settings) -> Section:
    """Measure by both means and judge the resident size awake, the traced size asleep."""
    section = Section("P6", "Memory per counter", "stored before it is counted")
    directory = settings.directory / "P6"
    directory.mkdir(parents=True, exist_ok=True)
    asleep = section.series_of("wakeful, tracemalloc", SLEEPING, "bytes")
    for means in ("rss", "tracemalloc"):
        awake = section.series_of(f"wakeful, {means}", ACTIVE, "bytes")
        try:
            seen = measure(
                "bench.inproc.memory", means, str(directory), str(settings.memory_actors)
            )
        except Missing as reason:
            awake.missing = asleep.missing = str(reason)
            continue
        awake.add(seen["active_bytes"])
        if means == "tracemalloc":
            asleep.add(seen["sleeping_bytes"])
    resident = section.median("wakeful, rss", ACTIVE)
    section.expect("resident bytes per counter awake", resident, "bytes", at_most=2.5 * 1024)
    section.expect("traced bytes per counter asleep", asleep.median, "bytes", at_most=1)
    return section
