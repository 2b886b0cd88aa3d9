"""The wait graph finds a cycle exactly when there is one, and names a shortest."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.core.proof import first_violation, prove

from wakeful.core.waits import WaitGraph

ACTORS: Final = 5
Wait = tuple[int, int, str, int]  # asker, target, method, key


class WaitGraphMachine(RuleBasedStateMachine):
    """The model is a list of waits; it walks all of them at once, one step further each time."""

    subject: type[WaitGraph[int]] = WaitGraph

    @initialize()
    def start(self) -> None:
        self.graph = self.subject()
        self.waits: list[Wait] = []
        self.keys = iter(range(1_000_000))

    @rule(
        asker=st.integers(0, ACTORS - 1),
        other=st.integers(0, ACTORS - 1),
        method=st.sampled_from("mn"),
    )
    def add(self, asker: int, other: int, method: str) -> None:
        wait = (asker, other, method, next(self.keys))
        self.graph.add(*wait)
        self.waits.append(wait)

    @rule(which=st.integers(0, 9))
    def remove(self, which: int) -> None:
        if which < len(self.waits):
            asker, _, _, key = self.waits.pop(which)
            self.graph.remove(asker, key)

    @invariant()
    def agrees(self) -> None:
        self.graph.check()
        for asker in range(ACTORS):
            for target in range(ACTORS):
                self.agrees_on(asker, target)

    def agrees_on(self, asker: int, target: int) -> None:
        chain = self.graph.cycle(asker, target)
        length = self.distance(target, asker)
        if length is None:
            assert chain is None
            return
        assert chain is not None
        assert len(chain) == length
        stations = [actor for actor, _ in chain] + [asker]
        assert stations[0] == target
        known = {(start, method, end) for start, end, method, _ in self.waits}
        for (start, method), end in zip(chain, stations[1:], strict=True):
            assert (start, method, end) in known

    def distance(self, start: int, goal: int) -> int | None:
        reached = {start}
        for length in range(ACTORS):
            if goal in reached:
                return length
            reached |= {end for asker, end, _, _ in self.waits if asker in reached}
        return None


def test_wait_graph_agrees_with_a_list_of_waits() -> None:
    prove(WaitGraphMachine)


def test_chain_names_who_asks_with_what() -> None:
    graph: WaitGraph[str] = WaitGraph()
    graph.add("b", "c", "pay", key=1)
    graph.add("c", "a", "check", key=2)
    assert graph.cycle("a", "b") == [("b", "pay"), ("c", "check")]
    assert graph.cycle("a", "d") is None


def test_actor_that_asks_itself_closes_the_shortest_cycle() -> None:
    graph: WaitGraph[str] = WaitGraph()
    assert graph.cycle("a", "a") == []


def test_every_wait_of_an_actor_is_followed() -> None:
    """Turns that interleave wait for several others at once; each wait ends by itself."""
    graph: WaitGraph[str] = WaitGraph()
    graph.add("b", "x", "first", key=1)
    graph.add("b", "a", "second", key=2)
    assert graph.cycle("a", "b") == [("b", "second")]
    graph.remove("b", 2)
    assert graph.cycle("a", "b") is None


def test_cycle_of_others_is_walked_once() -> None:
    graph: WaitGraph[str] = WaitGraph()
    graph.add("b", "c", "m", key=1)
    graph.add("c", "b", "m", key=2)
    assert graph.cycle("a", "b") is None


def test_chain_of_any_length_is_followed_to_its_end() -> None:
    """Ten thousand actors may wait in a row, which is more than Python nests calls."""
    graph: WaitGraph[int] = WaitGraph()
    for actor in range(10_000):
        graph.add(actor, actor + 1, "next", key=actor)
    chain = graph.cycle(10_000, 0)
    assert chain == [(actor, "next") for actor in range(10_000)]


def test_wait_is_noted_once() -> None:
    graph: WaitGraph[str] = WaitGraph()
    graph.add("a", "b", "m", key=1)
    with pytest.raises(AssertionError, match="noted once"):
        graph.add("a", "c", "m", key=1)


# --- what the model catches -------------------------------------------------------------------


class FollowsOneWaitOnly(WaitGraph[int]):
    def cycle(self, asker: int, target: int) -> list[tuple[int, str]] | None:
        chain: list[tuple[int, str]] = []
        at = target
        while at != asker:
            waits = list(self._edges.get(at, {}).values())
            if not waits or len(chain) > ACTORS:
                return None
            chain.append((at, waits[0][1]))
            at = waits[0][0]
        return chain


class SeesNeighboursOnly(WaitGraph[int]):
    def cycle(self, asker: int, target: int) -> list[tuple[int, str]] | None:
        chain = super().cycle(asker, target)
        return chain if chain is not None and len(chain) <= 1 else None


class WalksBackwards(WaitGraph[int]):
    def cycle(self, asker: int, target: int) -> list[tuple[int, str]] | None:
        return super().cycle(target, asker)


class RemovesAllWaits(WaitGraph[int]):
    def remove(self, asker: int, key: int) -> None:
        self._edges.pop(asker, None)


class RemovesNothing(WaitGraph[int]):
    def remove(self, asker: int, key: int) -> None:
        pass


class KeepsOneWaitAnActor(WaitGraph[int]):
    def add(self, asker: int, target: int, method: str, key: int) -> None:
        self._edges[asker] = {key: (target, method)}

    def remove(self, asker: int, key: int) -> None:
        if key in self._edges.get(asker, {}):
            super().remove(asker, key)


class NamesTheWrongMethod(WaitGraph[int]):
    def add(self, asker: int, target: int, method: str, key: int) -> None:
        super().add(asker, target, "m", key)


BROKEN: Final = [
    FollowsOneWaitOnly,
    SeesNeighboursOnly,
    WalksBackwards,
    RemovesAllWaits,
    RemovesNothing,
    KeepsOneWaitAnActor,
    NamesTheWrongMethod,
]


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_wait_graph_is_caught(broken: type[WaitGraph[int]]) -> None:
    assert first_violation(WaitGraphMachine, broken) is not None
