"""A seeded plan of faults: which may happen in this run, how often, and how many at most.

Each fault is on or off for a whole seed, so that some schedules are calm, some have one kind of
trouble only, and rare paths become common in others. The budget is bounded, so that what breaks
can also recover, and `stop` ends all of it.

Source: FoundationDB's BUGGIFY; TigerBeetle's fault budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Final

BUDGET: Final = 40

# How likely a fault is at each of its points, in a seed where it is on. The points are: each
# batch (full to thread_late), each load, each page read, each proof of ownership, each life.
CHANCES: Final[Mapping[str, float]] = {
    "full": 0.04,  # nothing is written
    "read_only": 0.03,  # nothing is written
    "refused": 0.02,  # commit itself raises
    "lane_taken": 0.01,  # another owner takes the lane of a batch, and writes nothing
    "unknown_written": 0.04,  # written, and no outcome is reported
    "unknown_lost": 0.04,  # not written, and no outcome is reported
    "disk_stalls": 0.05,  # seconds instead of a millisecond
    "thread_late": 0.10,  # written long before the loop gets the outcome
    "load_slow": 0.30,
    "load_fails": 0.05,
    "load_early": 0.50,  # a slow load is of when it was asked for, not of when it answers
    "page_fails": 0.01,
    "proof_slow": 0.30,
    "proof_fails": 0.02,
    "crash": 0.60,
    "crash_writes": 0.40,  # what was in flight is there after all
    "crash_tears": 0.50,  # of what was in flight a part is there
    "takeover": 0.40,
    "restart": 0.50,
    "disk_fails": 0.02,  # the store fails with the batch, and has to be opened again
}

# These harm nothing that has to recover, so they cost nothing.
HARMLESS: Final = frozenset(
    {"thread_late", "load_slow", "load_early", "proof_slow", "crash_writes", "crash_tears"}
)


class FaultPlan:
    """Draws the faults of one run."""

    def __init__(self, random: Random, budget: int = BUDGET) -> None:
        calm = random.random()  # the share of faults that are off, itself drawn
        self._random = random
        self._on = {name: random.random() >= calm for name in CHANCES}
        self._budget = budget
        self.fired: dict[str, int] = {}

    def hit(self, fault: str) -> bool:
        """Whether the fault happens at this point."""
        if self._budget <= 0 or not self._on[fault]:
            return False
        if self._random.random() >= CHANCES[fault]:
            return False
        self._budget -= fault not in HARMLESS
        self.fired[fault] = self.fired.get(fault, 0) + 1
        return True

    def stop(self) -> None:
        """Stop all faults from now on."""
        self._budget = 0

    def __str__(self) -> str:
        return " ".join(name for name, on in self._on.items() if on) or "none"
