"""Bugs that one could make, and whether the simulator notices them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from wakeful.testing.sim import run_seed

Plant = Callable[[pytest.MonkeyPatch], None]


class Variants(list[Plant]):
    """Variants of the runtime, each with one bug; used as a decorator it adds one."""

    def __call__(self, plant: Plant) -> Plant:
        self.append(plant)
        return plant


# Seeds that caught them, where others took long; a change of the simulator gives others.
QUICK: Final = {
    "a_steps_changes_are_undone_by_the_failure_of_background_work": 26,
    "a_turn_admitted_before_begins_inside_of_a_transaction": 217,
    "read_after_the_term": 285,
    "sections_overlap": 12,
    "store_is_opened_again_while_a_batch_is_on_its_way": 160,
    "torn_row_is_read": 105,
    "the_lost_are_thrown_away_one_by_one": 1260,
}


def caught(plant: Plant, patch: pytest.MonkeyPatch, seeds: int) -> bool:
    """Whether one of so many seeds fails with the bug planted."""
    plant(patch)
    order = [QUICK.get(plant.__name__, 0), *range(seeds)]
    return any(run_seed(seed).problems for seed in order)
