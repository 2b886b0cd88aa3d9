"""K: what a choice costs, in process.

Workload: asks of actors that differ in one thing: facets, state that survives, a method that waits,
a call to another actor. One caller asks one after another; writes come from 64 callers at once.
Each run is a process of its own on one core, in which the choices take turns.
Unit: microseconds of CPU per ask, of the whole process.
Durability: writes are answered after the sync.
"""

from __future__ import annotations

from bench.child import measure
from bench.model import Section
from bench.settings import Settings

SUBJECT = "wakeful"


def run(settings: Settings) -> Section:
    """Measure all choices; nothing is judged."""
    section = Section("K", "What a choice costs, in process", "writes synced before the answer")
    settings.directory.mkdir(parents=True, exist_ok=True)
    for _ in range(settings.runs):
        seen = measure("bench.inproc.choices", str(settings.choice_asks), str(settings.directory))
        for choice, value in seen.items():
            if choice != "python":
                section.series_of(SUBJECT, choice, "us").add(value)
    return section
