"""The explorer visits every world once, and what it reports has no shorter way."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import pytest

from wakeful.testing.explore import explore


class Counters:
    """Two counters that each go up to a limit; wrong when they reach a forbidden pair."""

    def __init__(self, limit: int, forbidden: tuple[int, int] | None = None) -> None:
        self.values = {"left": 0, "right": 0}
        self.limit = limit
        self.forbidden = forbidden

    def actions(self) -> dict[str, Callable[[], None]]:
        return {
            f"{name} up": lambda name=name: self.up(name)
            for name, value in self.values.items()
            if value < self.limit
        }

    def up(self, name: str) -> None:
        self.values[name] += 1

    def check(self) -> None:
        assert tuple(self.values.values()) != self.forbidden, "a forbidden pair"

    def key(self) -> Hashable:
        return tuple(self.values.values())


def test_every_world_is_visited_once() -> None:
    """Two counters up to 3 make 16 worlds, though there are 20 ways through them."""
    explored = explore(lambda: Counters(3)).verify()
    assert (explored.states, explored.steps, explored.ends, explored.depth) == (16, 24, 1, 6)


def test_failure_is_reported_with_a_shortest_path() -> None:
    explored = explore(lambda: Counters(9, forbidden=(1, 2)))
    assert explored.failure is not None
    assert sorted(explored.failure.path) == ["left up", "right up", "right up"]
    with pytest.raises(AssertionError, match=r"a forbidden pair(.|\n)*3\. right up"):
        explored.verify()


def test_world_that_is_wrong_from_the_start_fails_after_nothing() -> None:
    explored = explore(lambda: Counters(1, forbidden=(0, 0)))
    assert explored.failure is not None
    assert explored.failure.path == ()
    with pytest.raises(AssertionError, match="after: nothing"):
        explored.verify()


@pytest.mark.parametrize("bound", [{"depth_max": 5}, {"states_max": 15}])
def test_exploration_that_met_a_bound_has_proven_nothing(bound: dict[str, int]) -> None:
    explored = explore(lambda: Counters(3), **bound)
    assert explored.failure is None
    assert not explored.complete
    with pytest.raises(AssertionError, match="not all"):
        explored.verify()


def test_action_that_raises_is_a_failure_too() -> None:
    class Fragile(Counters):
        def up(self, name: str) -> None:
            if self.values["left"] == 1:
                raise ValueError("broken")
            super().up(name)

    failure = explore(lambda: Fragile(2)).failure
    assert failure is not None
    assert isinstance(failure.error, ValueError)
    assert failure.path == ("left up", "left up")
