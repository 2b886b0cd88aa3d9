"""Every interleaving of a small configuration, breadth first: what fails, fails shortest.

A world says what may happen in it now, and the explorer makes everything happen in every order:

    explore(lambda: TwoCallers(disk_failures=1)).verify()

A world is never copied: each is built anew and the actions that led to it are replayed. So it may
be made of any objects, the real machines first of all, but must do the same every time.

Shapes:     a path is the names of the actions taken, from the first.
Invariants: worlds with equal keys are visited once; a path that is reported has no shorter one.
Source:     explicit-state search, Holzmann 1991; replay not copies, VeriSoft, Godefroid 1997.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Protocol

Path = tuple[str, ...]


class World(Protocol):
    """A configuration under exploration."""

    def actions(self) -> Mapping[str, Callable[[], None]]:
        """What may happen now, by name; nothing when all is done."""

    def check(self) -> None:
        """Assert what must be true after every action."""

    def key(self) -> Hashable:
        """Equal for worlds from which the same can happen and the same be checked."""


@dataclass(frozen=True)
class Failure:
    """What went wrong, and a shortest way to it."""

    path: Path
    error: Exception

    def __str__(self) -> str:
        steps = "".join(f"\n  {number}. {name}" for number, name in enumerate(self.path, 1))
        return f"{type(self.error).__name__}: {self.error}, after:{steps or ' nothing'}"


@dataclass(frozen=True)
class Explored:
    """What an exploration has seen.

    Attributes:
        states: how many different worlds there are.
        steps: how many actions led from one to another, or to one already seen.
        ends: how many worlds there are in which nothing can happen any more.
        depth: the length of the longest path that was needed.
        complete: nothing was left out: no failure, no bound was met.
        failure: the first that was found, if any.
    """

    states: int
    steps: int
    ends: int
    depth: int
    complete: bool
    failure: Failure | None = None

    def verify(self) -> Explored:
        """Return self if every world was visited and nothing failed.

        Raises:
            AssertionError: with the shortest path to the failure, or the bound that was met.
        """
        if self.failure is not None:
            raise AssertionError(str(self.failure)) from self.failure.error
        assert self.complete, f"stopped at {self.states} states, depth {self.depth}: not all"
        return self


def explore(
    build: Callable[[], World], *, depth_max: int = 100, states_max: int = 100_000
) -> Explored:
    """Visit every world that can be reached from the one that `build` makes."""
    world = build()
    failure = _act(world, ())
    seen = {world.key()}
    frontier: deque[tuple[Path, World]] = deque([((), world)])
    steps = ends = depth = 0
    complete = True
    while frontier and failure is None:
        path, world = frontier.popleft()
        names = list(world.actions())
        ends += not names
        if names and (len(path) >= depth_max or len(seen) >= states_max):
            complete = False
            continue
        for name in names:
            if name != names[0]:  # the first action has used the world up
                world = _replay(build, path)
            steps += 1
            failure = _act(world, (*path, name))
            if failure is not None:
                break
            if (key := world.key()) not in seen:
                seen.add(key)
                depth = len(path) + 1
                frontier.append(((*path, name), world))
    return Explored(len(seen), steps, ends, depth, complete and failure is None, failure)


def _replay(build: Callable[[], World], path: Path) -> World:
    """The world at the end of a path that is known to go well."""
    world = build()
    for name in path:
        world.actions()[name]()
    return world


def _act(world: World, path: Path) -> Failure | None:
    """Take the last action of a path; what is wrong then, if anything."""
    try:
        for name in path[-1:]:
            world.actions()[name]()
        world.check()
    except Exception as error:
        return Failure(path, error)
    return None
