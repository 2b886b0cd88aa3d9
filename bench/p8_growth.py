"""P8: what stored objects cost the others.

Workload: 1,000 callers repeat durable increments in process on 1,000 counters spread evenly over
what is stored: 1,000 counters in one directory, a million in the other, the same configuration.
Unit: asks/s; the two directories take turns, each run in a process of its own.
Durability: the answer follows the sync.
"""

from __future__ import annotations

from pathlib import Path

from bench.child import measure
from bench.model import Missing, Section, ratio
from bench.settings import Settings

SMALL = 1_000


def run(settings: Settings) -> Section:
    """Store both sizes, then measure them in turns."""
    section = Section("P8", "Growth: durable asks with many stored objects", "synced")
    sizes = {f"{count:,} stored": count for count in (SMALL, settings.stored_objects)}
    try:
        for workload, count in sizes.items():
            directory = settings.directory / f"P8-{count}"
            directory.mkdir(parents=True, exist_ok=True)
            measure("bench.inproc.growth", "store", str(directory), str(count), pin=False)
            section.facts[f"stored MiB, {workload}"] = _mebibytes(directory)
        for _ in range(settings.runs):
            for workload, count in sizes.items():
                seen = measure(
                    "bench.inproc.growth",
                    "ask",
                    str(settings.directory / f"P8-{count}"),
                    str(count),
                    str(settings.ask_seconds),
                    pin=False,
                )
                section.series_of("wakeful", workload, "asks/s").add(seen["per_second"])
    except Missing as reason:
        for workload in sizes:
            section.series_of("wakeful", workload).missing = str(reason)
    small, large = (section.median("wakeful", workload) for workload in sizes)
    name = f"throughput with {settings.stored_objects:,} stored / with {SMALL:,}"
    section.expect(name, ratio(large, small), "x", at_least=0.90)
    return section


def _mebibytes(directory: Path) -> float:
    files = (path for path in directory.rglob("*") if path.is_file())
    return round(sum(path.stat().st_size for path in files) / 2**20, 1)
