"""Who waits for whom: finds the cycle before a call that would close it is made to wait.

Every turn that asks another actor is recorded as waiting. While its call is queued, the turn waits
for all turns of that actor; once the call runs, it waits only for the turn that runs the call. A
new wait closes a cycle if a path of such waits leads from its target back to the asking turn.

Shapes:     actors and turns are any hashables; a label says which method runs there.
Invariants: an actor without a running turn waits for nobody.
Source:     wait-for graphs, Holt 1972; the ask is dotnet/orleans#4655 (say which methods).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

A = TypeVar("A", bound=Hashable)
T = TypeVar("T", bound=Hashable)


class Wait(Generic[A, T]):
    """An ask that is waiting.

    Attributes:
        runs_as: the turn of the target that is this call; None while it is queued.
    """

    __slots__ = ("asker", "method", "runs_as", "target", "turn")

    def __init__(self, asker: A, turn: T, method: str, target: A) -> None:
        self.asker = asker
        self.turn = turn
        self.method = method
        self.target = target
        self.runs_as: T | None = None


class WaitGraph(Generic[A, T]):
    """The waits of all turns: a graph with a node for each turn, an edge for each waiting ask."""

    __slots__ = ("_waits",)

    def __init__(self) -> None:
        self._waits: dict[A, dict[Wait[A, T], None]] = {}

    def __len__(self) -> int:
        """How many waits there are."""
        return sum(map(len, self._waits.values()))

    def cycle(self, asker: A, turn: T, target: A) -> list[tuple[A, str]] | None:
        """The shortest chain from `target` back to a turn of `asker`, or None.

        The chain consists of pairs (actor, asking method); it is empty when the asker asks itself.
        """
        if asker == target:
            return []
        start: tuple[A, T | None] = (target, None)
        asked_by: dict[tuple[A, T | None], tuple[tuple[A, T | None], str]] = {}
        nearest = deque([start])
        while nearest:
            at = nearest.popleft()
            for wait in self._waits.get(at[0], ()):
                waited_for = (wait.target, wait.runs_as)
                if waited_for in asked_by or at[1] not in (None, wait.turn):
                    continue
                asked_by[waited_for] = (at, wait.method)
                if waited_for in ((asker, None), (asker, turn)):
                    return _chain(asked_by, waited_for, start)
                nearest.append(waited_for)
        return None

    def add(self, asker: A, turn: T, method: str, target: A) -> Wait[A, T]:
        """Note that a turn of `asker` running `method` waits for `target`."""
        wait = Wait(asker, turn, method, target)
        self._waits.setdefault(asker, {})[wait] = None
        return wait

    def remove(self, wait: Wait[A, T]) -> None:
        """The wait is over."""
        waits = self._waits[wait.asker]
        del waits[wait]
        if not waits:
            del self._waits[wait.asker]

    def check(self) -> None:
        """Assert the invariants."""
        assert all(self._waits.values())


def _chain(
    asked_by: dict[tuple[A, T | None], tuple[tuple[A, T | None], str]],
    end: tuple[A, T | None],
    start: tuple[A, T | None],
) -> list[tuple[A, str]]:
    chain: list[tuple[A, str]] = []
    while end != start:
        end, method = asked_by[end]
        chain.append((end[0], method))
    chain.reverse()
    return chain
