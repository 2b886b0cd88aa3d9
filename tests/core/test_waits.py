"""The wait graph finds a cycle exactly when there is one, and names a shortest."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.core.proof import first_violation, prove

from wakeful.core.waits import Wait, WaitGraph

ACTORS: Final = 5
TURNS: Final = 2  # of each actor, that may run at the same time
Node = tuple[int, int | None]  # an actor and one of its turns, or all of them


class WaitGraphMachine(RuleBasedStateMachine):
    """The model is a list of waits; it walks all of them at once, one step further each time."""

    subject: type[WaitGraph[int, int]] = WaitGraph

    @initialize()
    def start(self) -> None:
        self.graph = self.subject()
        self.waits: list[tuple[Node, str, Node]] = []
        self.noted: list[Wait[int, int]] = []

    @rule(
        asker=st.integers(0, ACTORS - 1),
        turn=st.integers(0, TURNS - 1),
        method=st.sampled_from("mn"),
        other=st.integers(0, ACTORS - 1),
    )
    def add(self, asker: int, turn: int, method: str, other: int) -> None:
        self.noted.append(self.graph.add(asker, turn, method, other))
        self.waits.append(((asker, turn), method, (other, None)))

    @rule(which=st.integers(0, 9), turn=st.integers(0, TURNS - 1))
    def begin(self, which: int, turn: int) -> None:
        """A call that was queued runs now."""
        if which < len(self.waits):
            asking, method, (target, _) = self.waits[which]
            self.noted[which].runs_as = turn
            self.waits[which] = (asking, method, (target, turn))

    @rule(which=st.integers(0, 9))
    def remove(self, which: int) -> None:
        if which < len(self.waits):
            self.graph.remove(self.noted.pop(which))
            del self.waits[which]

    @invariant()
    def agrees(self) -> None:
        self.graph.check()
        assert len(self.graph) == len(self.waits)
        for asker in range(ACTORS):
            for turn in range(TURNS):
                for target in range(ACTORS):
                    self.agrees_on(asker, turn, target)

    def agrees_on(self, asker: int, turn: int, target: int) -> None:
        chain = self.graph.cycle(asker, turn, target)
        length = self.distance(target, asker, turn)
        if length is None:
            assert chain is None
            return
        assert chain is not None
        assert len(chain) == length
        stations = [actor for actor, _ in chain] + [asker]
        assert stations[0] == target
        known = {(start, method, end) for (start, _), method, (end, _) in self.waits}
        for (start, method), end in zip(chain, stations[1:], strict=True):
            assert (start, method, end) in known

    def distance(self, start: int, asker: int, turn: int) -> int | None:
        """How many waits lead from all turns of an actor to a turn, itself or with all others."""
        if start == asker:
            return 0
        reached: set[Node] = {(start, None)}
        for length in range(1, ACTORS * (TURNS + 1)):
            reached |= {
                waited_for
                for asking, _, waited_for in self.waits
                if asking in reached or (asking[0], None) in reached
            }
            if reached & {(asker, None), (asker, turn)}:
                return length
        return None


def test_wait_graph_agrees_with_a_list_of_waits() -> None:
    prove(WaitGraphMachine)


def test_chain_names_who_asks_with_what() -> None:
    graph: WaitGraph[str, int] = WaitGraph()
    graph.add("b", 1, "pay", "c")
    graph.add("c", 2, "check", "a")
    assert graph.cycle("a", 0, "b") == [("b", "pay"), ("c", "check")]
    assert graph.cycle("a", 0, "d") is None


def test_actor_that_asks_itself_closes_the_shortest_cycle() -> None:
    graph: WaitGraph[str, int] = WaitGraph()
    assert graph.cycle("a", 0, "a") == []


def test_every_wait_of_an_actor_is_followed() -> None:
    """Turns that interleave wait for several others at once; each wait ends by itself."""
    graph: WaitGraph[str, int] = WaitGraph()
    graph.add("b", 1, "first", "x")
    second = graph.add("b", 2, "second", "a")
    assert graph.cycle("a", 0, "b") == [("b", "second")]
    graph.remove(second)
    assert graph.cycle("a", 0, "b") is None


def test_call_that_runs_is_waited_for_and_no_other_turn_of_its_actor() -> None:
    graph: WaitGraph[str, int] = WaitGraph()
    wait = graph.add("b", 1, "m", "a")
    assert graph.cycle("a", 0, "b") == [("b", "m")]
    wait.runs_as = 2
    assert graph.cycle("a", 0, "b") is None
    assert graph.cycle("a", 2, "b") == [("b", "m")]
    graph.add("a", 2, "n", "c")
    graph.add("c", 3, "o", "a")
    assert graph.cycle("a", 0, "b") == [("b", "m"), ("a", "n"), ("c", "o")]


def test_cycle_of_others_is_walked_once() -> None:
    graph: WaitGraph[str, int] = WaitGraph()
    graph.add("b", 1, "m", "c")
    graph.add("c", 2, "m", "b")
    assert graph.cycle("a", 0, "b") is None


def test_chain_of_any_length_is_followed_to_its_end() -> None:
    """Ten thousand actors may wait in a row, which is more than Python nests calls."""
    graph: WaitGraph[int, int] = WaitGraph()
    for actor in range(10_000):
        graph.add(actor, 0, "next", actor + 1)
    chain = graph.cycle(10_000, 0, 0)
    assert chain == [(actor, "next") for actor in range(10_000)]


# --- what the model catches -------------------------------------------------------------------

Chain = list[tuple[int, str]] | None


class FollowsOneWaitOnly(WaitGraph[int, int]):
    def cycle(self, asker: int, turn: int, target: int) -> Chain:
        chain: list[tuple[int, str]] = []
        at = target
        while at != asker:
            waits = list(self._waits.get(at, ()))
            if not waits or len(chain) > ACTORS:
                return None
            chain.append((at, waits[0].method))
            at = waits[0].target
        return chain


class SeesNeighboursOnly(WaitGraph[int, int]):
    def cycle(self, asker: int, turn: int, target: int) -> Chain:
        chain = super().cycle(asker, turn, target)
        return chain if chain is not None and len(chain) <= 1 else None


class WalksBackwards(WaitGraph[int, int]):
    def cycle(self, asker: int, turn: int, target: int) -> Chain:
        return super().cycle(target, turn, asker)


class RemovesAllWaits(WaitGraph[int, int]):
    def remove(self, wait: Wait[int, int]) -> None:
        self._waits.pop(wait.asker, None)


class RemovesNothing(WaitGraph[int, int]):
    def remove(self, wait: Wait[int, int]) -> None:
        pass


class KeepsOneWaitAnActor(WaitGraph[int, int]):
    def add(self, asker: int, turn: int, method: str, target: int) -> Wait[int, int]:
        self._waits.pop(asker, None)
        return super().add(asker, turn, method, target)

    def remove(self, wait: Wait[int, int]) -> None:
        if wait in self._waits.get(wait.asker, {}):
            super().remove(wait)


class NamesTheWrongMethod(WaitGraph[int, int]):
    def add(self, asker: int, turn: int, method: str, target: int) -> Wait[int, int]:
        return super().add(asker, turn, "m", target)


class KnowsActorsOnly(WaitGraph[int, int]):
    """As if whoever waits for a turn waited for all turns of its actor."""

    def cycle(self, asker: int, turn: int, target: int) -> Chain:
        kept = [(wait, wait.runs_as) for waits in self._waits.values() for wait in waits]
        for wait, _ in kept:
            wait.runs_as = None
        chain = super().cycle(asker, turn, target)
        for wait, runs_as in kept:
            wait.runs_as = runs_as
        return chain


class KnowsTurnsOnly(WaitGraph[int, int]):
    """As if a call that is queued waited for nobody."""

    def cycle(self, asker: int, turn: int, target: int) -> Chain:
        chain = super().cycle(asker, turn, target)
        waits = [wait for waits in self._waits.values() for wait in waits]
        last = any(wait.target == asker and wait.runs_as == turn for wait in waits)
        return chain if last or asker == target else None


BROKEN: Final = [
    FollowsOneWaitOnly,
    SeesNeighboursOnly,
    WalksBackwards,
    RemovesAllWaits,
    RemovesNothing,
    KeepsOneWaitAnActor,
    NamesTheWrongMethod,
    KnowsActorsOnly,
    KnowsTurnsOnly,
]


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_wait_graph_is_caught(broken: type[WaitGraph[int, int]]) -> None:
    assert first_violation(WaitGraphMachine, broken) is not None
