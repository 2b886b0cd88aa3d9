"""The working set of an active actor: parts that are marked, undone and committed as one.

What a turn changes lies in several parts: the declared state, the cells, the pages of a database.
Each part goes back to its last commit point or to a mark, and gives what was committed since the
last record to the next one. A working set does the same with all its parts at once.

To add a part: a class with the methods of `Part`, and one call of `add` where it comes into being.

A turn can hold what it changes over its calls: then a commit point is one of the parts that stand
apart (what a turn intends, and owes, is written before its end), and the others keep what is
changed until they are let go. So all of the turn can be undone at its end, or commits once.

Shapes:     a part's mark is a number, 0 the last commit point; a set's mark is a tuple of its
            parts' marks, in the order the parts were added: one added since goes back to 0.
Invariants: a commit point is whole: when one part, or the check of their size, refuses it, no part
            has taken over anything, and the turn can go on or be undone; undoing gives back what
            there was at the mark, or at the last commit point; a mark is good for one `undo` or
            `release`, and not after that of an older one, nor after a commit point of its part;
            while changes are held, the parts that do not stand apart have no commit point.
Source:     savepoints as in SQLite; two phases as in Gray 1978, "Notes on Data Base Operating
            Systems", within one process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

Record = TypeVar("Record", contravariant=True)

Marks = tuple[int, ...]

COMMIT_POINT: Final = 0


class Part(Protocol[Record]):
    """One kind of what an actor keeps, as its turns change it."""

    @property
    def touched(self) -> bool:
        """Whether something has changed since the last commit point."""

    def mark(self) -> int:
        """A mark of what there is now."""

    def undo(self, mark: int = COMMIT_POINT, /) -> None:
        """Go back to a mark; by default to the last commit point, also after `prepare`."""

    def release(self, mark: int, /) -> None:
        """Keep what was done since a mark; no `undo` will go back to that mark."""

    def prepare(self) -> bool:
        """Do every step of a commit point that can fail, but take nothing over.

        Returns:
            Whether there is something to commit.
        """

    def commit(self) -> None:
        """Take over for the next record what was prepared; called only if there was something."""

    def take(self, record: Record, /) -> None:
        """Put what was committed since the last record into this one."""


class WorkingSet(Generic[Record]):
    """Parts that are committed or undone together.

    Args:
        parts: what there is from the beginning.
        check: raises if the actor would keep too much; called between `prepare` and `commit`.
    """

    __slots__ = ("_apart", "_check", "_committed", "_parts", "_prepared")

    def __init__(self, parts: tuple[Part[Record], ...], check: Callable[[], None]) -> None:
        self._parts = self._committed = parts  # all, and those that the next commit point is of
        self._apart: tuple[Part[Record], ...] = ()
        self._check = check
        self._prepared: list[Part[Record]] = []

    def add(self, part: Part[Record], *, apart: bool = False) -> None:
        """Add a part; at this moment it must hold no changes.

        Args:
            part: the part.
            apart: it is committed also while the changes of a turn are held.
        """
        held = self.held
        self._parts = (*self._parts, part)
        if apart:
            self._apart = (*self._apart, part)
        self._committed = self._apart if held else self._parts

    @property
    def held(self) -> bool:
        """Whether the changes of a turn are held."""
        return self._committed is not self._parts

    def hold(self) -> None:
        """Hold what is changed from now on over commit points: a turn begins."""
        assert not self.touched, "what was changed before is not of this turn"
        self._committed = self._apart

    def let_go(self) -> None:
        """The next commit point is one of all parts: the turn ends, or has been undone."""
        self._committed = self._parts

    @property
    def touched(self) -> bool:
        """Whether something has changed since the last commit point."""
        return any(part.touched for part in self._parts)

    def mark(self) -> Marks:
        """A mark of what there is now."""
        return tuple([part.mark() for part in self._parts])

    def undo(self, marks: Marks = ()) -> None:
        """Go back to a mark; by default to the last commit point."""
        known = len(marks)
        for index, part in enumerate(self._parts):
            part.undo(marks[index] if index < known else COMMIT_POINT)

    def release(self, marks: Marks) -> None:
        """Keep what was done since a mark; no `undo` will go back to that mark."""
        for part, mark in zip(self._parts, marks, strict=False):
            part.release(mark)

    def save(self) -> bool:
        """Make a commit point; returns whether there was anything to commit.

        Raises:
            Exception: a part refuses, or there would be too much; nothing was taken over.
        """
        if not self.prepare():
            return False
        self.commit()
        return True

    def prepare(self) -> bool:
        """Do all of a commit point that can fail; returns whether there is something to commit.

        Raises:
            Exception: a part refuses, or there would be too much.
        """
        prepared = self._prepared = []
        for part in self._committed:
            if part.prepare():
                prepared.append(part)
        if not prepared:
            return False
        self._check()
        return True

    def commit(self) -> None:
        """Take over for the next record what was prepared."""
        for part in self._prepared:
            part.commit()
        self._prepared = []

    def take(self, record: Record) -> None:
        """Put what was committed since the last record into this one."""
        for part in self._parts:
            part.take(record)
