"""Bugs that one could make, and whether the simulator notices them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wakeful.testing.sim import run_seed

Plant = Callable[[pytest.MonkeyPatch], None]


class Variants(list[Plant]):
    """Variants of the runtime, each with one bug; used as a decorator it adds one."""

    def __call__(self, plant: Plant) -> Plant:
        self.append(plant)
        return plant


def caught(plant: Plant, patch: pytest.MonkeyPatch, seeds: int) -> bool:
    """Whether one of so many seeds fails with the bug planted."""
    plant(patch)
    return any(run_seed(seed).problems for seed in range(seeds))
