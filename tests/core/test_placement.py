"""Every shard has one owner, everybody computes the same, and few shards move."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.core.proof import EFFORT, first_violation, prove

from wakeful.core.placement import Placement

SHARDS: Final = 32
NODES: Final = [f"node-{number}" for number in range(6)]


class MembershipMachine(RuleBasedStateMachine):
    """Nodes come and go. The model is the owner of each shard, and may change in two ways only: a
    newcomer takes shards, or the shards of one that leaves are given away."""

    subject: type[Placement] = Placement

    @initialize(first=st.sampled_from(NODES))
    def start(self, first: str) -> None:
        self.nodes = [first]
        self.placement = self.subject(self.nodes, SHARDS)
        self.owners = [first] * SHARDS

    @rule(node=st.sampled_from(NODES), data=st.data())
    def join(self, node: str, data: st.DataObject) -> None:
        if node not in self.nodes:
            moves = self.change([*self.nodes, node], data)
            assert all(new == node for _, _, new in moves)

    @precondition(lambda self: len(self.nodes) > 1)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        gone = data.draw(st.sampled_from(self.nodes))
        owned = self.placement.owned_by(gone)
        moves = self.change([node for node in self.nodes if node != gone], data)
        assert [shard for shard, _, _ in moves] == owned
        assert all(old == gone for _, old, _ in moves)

    @invariant()
    def agrees(self) -> None:
        assert [self.placement.owner(shard) for shard in range(SHARDS)] == self.owners
        owned = [shard for node in self.nodes for shard in self.placement.owned_by(node)]
        assert sorted(owned) == list(range(SHARDS))
        assert self.placement.nodes == tuple(sorted(self.nodes))

    def change(self, nodes: list[str], data: st.DataObject) -> list[tuple[int, str, str]]:
        self.nodes = data.draw(st.permutations(nodes))
        newer = self.subject(self.nodes, SHARDS)
        moves = self.placement.moves(newer)
        for shard, old, new in moves:
            assert old == self.owners[shard] != new
            self.owners[shard] = new
        self.placement = newer
        return moves


def test_placement_moves_only_what_a_node_gains_or_loses() -> None:
    prove(MembershipMachine)


@EFFORT
@given(nodes=st.lists(st.sampled_from(NODES), min_size=1), shards=st.integers(1, 64))
def test_placement_depends_on_the_set_of_nodes_only(nodes: list[str], shards: int) -> None:
    placement = Placement(nodes, shards)
    same = Placement(sorted(set(nodes), reverse=True), shards)
    assert placement.moves(same) == []
    assert placement.nodes == same.nodes


def test_shards_are_spread_evenly() -> None:
    """1,024 shards on four nodes: 256 each, give or take four standard deviations (55)."""
    placement = Placement(NODES[:4], 1024)
    assert all(200 < len(placement.owned_by(node)) < 312 for node in NODES[:4])


def test_placement_is_the_same_on_every_machine_and_in_every_version() -> None:
    """Nodes of different versions run side by side: these owners may never change."""
    placement = Placement(["a", "b", "c"], 12)
    assert "".join(placement.owner(shard) for shard in range(12)) == "abcbcabbcbca"


def test_single_node_owns_everything() -> None:
    placement = Placement(["only"], 4)
    assert placement.owned_by("only") == [0, 1, 2, 3]
    assert placement.owned_by("other") == []


def test_placement_needs_a_node_and_a_shard() -> None:
    with pytest.raises(AssertionError, match="at least one node"):
        Placement([], 4)
    with pytest.raises(AssertionError):
        Placement(["a"], 0)


def test_placements_of_different_numbers_of_shards_cannot_be_compared() -> None:
    with pytest.raises(AssertionError, match="number of shards is fixed"):
        Placement(["a"], 4).moves(Placement(["a"], 8))


# --- what the model catches -------------------------------------------------------------------


class ByRemainder(Placement):
    """The obvious way: a change moves nearly every shard."""

    def __init__(self, nodes: Iterable[str], shards: int) -> None:
        super().__init__(nodes, shards)
        self._owners = [self.nodes[shard % len(self.nodes)] for shard in range(shards)]


class DependsOnTheOrder(Placement):
    def __init__(self, nodes: Iterable[str], shards: int) -> None:
        nodes = list(nodes)
        super().__init__(nodes, shards)
        if len(nodes) > 1:
            self._owners[0] = nodes[0]


class WeighsByNumberOfNodes(Placement):
    def __init__(self, nodes: Iterable[str], shards: int) -> None:
        super().__init__(nodes, shards)

        def weight(node: str, shard: int) -> bytes:
            key = f"{shard}:{node}:{len(self.nodes)}"
            return hashlib.blake2b(key.encode(), digest_size=8).digest()

        self._owners = [
            max(self.nodes, key=lambda node, shard=shard: weight(node, shard))
            for shard in range(shards)
        ]


class ForgetsAMove(Placement):
    def moves(self, newer: Placement) -> list[tuple[int, str, str]]:
        return super().moves(newer)[1:]


BROKEN: Final = [ByRemainder, DependsOnTheOrder, WeighsByNumberOfNodes, ForgetsAMove]


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_placement_is_caught(broken: type[Placement]) -> None:
    assert first_violation(MembershipMachine, broken) is not None
