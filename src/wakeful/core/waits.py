"""Who waits for whom: finds the cycle before a call that would close it is made to wait.

Every turn that asks another actor is noted as waiting for it. A new wait closes a cycle if from
its target one can walk, along turns running there and what they wait for, back to the asker.

Shapes:     an actor is any hashable; a label says which method runs there.
Invariants: an actor without a running turn waits for nobody.
Source:     wait-for graphs, Holt 1972; the ask is dotnet/orleans#4655 (say which methods).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

A = TypeVar("A", bound=Hashable)


class WaitGraph(Generic[A]):
    """Actors as nodes; an edge for each ask that is waiting, with the asking method's name."""

    __slots__ = ("_edges",)

    def __init__(self) -> None:
        self._edges: dict[A, dict[int, tuple[A, str]]] = {}

    def cycle(self, asker: A, target: A) -> list[tuple[A, str]] | None:
        """The shortest chain from `target` back to `asker`, as (actor, method asking), or None.

        The chain is empty when the asker asks itself.
        """
        if asker == target:
            return []
        asked_by: dict[A, tuple[A, str]] = {}
        nearest = deque([target])
        while nearest and asker not in asked_by:
            at = nearest.popleft()
            for waited_for, method in self._edges.get(at, {}).values():
                if waited_for not in asked_by:
                    asked_by[waited_for] = (at, method)
                    nearest.append(waited_for)
        return _chain(asked_by, asker, target) if asker in asked_by else None

    def add(self, asker: A, target: A, method: str, key: int) -> None:
        """Note that a turn of `asker` running `method` waits for `target`."""
        edges = self._edges.setdefault(asker, {})
        assert key not in edges, "a wait is noted once"
        edges[key] = (target, method)

    def remove(self, asker: A, key: int) -> None:
        """The wait is over."""
        edges = self._edges[asker]
        del edges[key]
        if not edges:
            del self._edges[asker]

    def check(self) -> None:
        """Assert the invariants."""
        assert all(self._edges.values())


def _chain(asked_by: dict[A, tuple[A, str]], asker: A, target: A) -> list[tuple[A, str]]:
    chain: list[tuple[A, str]] = []
    at = asker
    while at != target:
        step = asked_by[at]
        chain.append(step)
        at = step[0]
    chain.reverse()
    return chain
