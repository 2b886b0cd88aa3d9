"""P5: waking stored counters in process.

Workload: counters are stored and the runtime is closed; a new process opens the directory and asks
each counter `get` for the first time, one after another, then other counters from 100 callers.
Unit: microseconds to the first reply (p50, p99), and activations/s from 100 callers.
Durability: reads of what an earlier process synced; the page cache of the system is warm.
"""

from __future__ import annotations

from bench.child import measure
from bench.model import Missing, Section
from bench.settings import Settings

ONE, MANY = "1 caller", "100 callers"


def run(settings: Settings) -> Section:
    """Store once, wake in as many fresh processes as there are runs."""
    section = Section("P5", "Cold activation of a stored counter", "reads only")
    directory = settings.directory / "P5"
    directory.mkdir(parents=True, exist_ok=True)
    one = section.series_of("wakeful", ONE, "us")
    many = section.series_of("wakeful", MANY, "activations/s")
    count = str(settings.activations)
    try:
        measure("bench.inproc.activation", "store", str(directory), count)
        for _ in range(settings.runs):
            seen = measure("bench.inproc.activation", "wake", str(directory), count)
            one.add(seen["p50_us"], p99_us=seen["p99_us"])
            many.add(seen["per_second"])
    except Missing as reason:
        one.missing = many.missing = str(reason)
    section.expect("p50 to the first reply", one.median, "us", at_most=250)
    section.expect("p99 to the first reply", one.detail_median("p99_us"), "us", at_most=1_000)
    section.expect("activations/s", many.median, "activations/s", at_least=10_000)
    return section
