"""The wait graph finds a cycle exactly when there is one."""

from __future__ import annotations

from wakeful.core.waits import WaitGraph


def test_chain_of_any_length_is_followed_to_its_end() -> None:
    """Ten thousand actors may wait in a row, which is more than Python nests calls."""
    graph: WaitGraph[int] = WaitGraph()
    for actor in range(10_000):
        graph.add(actor, actor + 1, "next", key=actor)
    chain = graph.cycle(10_000, 0)
    assert chain == [(actor, "next") for actor in range(10_000)]
