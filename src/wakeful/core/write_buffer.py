"""The writes of an activation's turns: seen at once by its own reads, committed or undone whole.

`cells` is what the actor sees. A turn's changes can be undone to the last commit point or to a
mark; a commit point hands them to the commit record being collected.

Shapes:     a cell is text -> bytes; in what `take` gives, None means the cell was deleted.
            A mark is the number of writes since the last commit point.
Units:      `size_bytes` counts keys (as characters) and values.
Invariants: undoing everything restores exactly the cells of the last commit point; what `take`
            gives, applied to the store's cells, gives `cells` as of that commit point.
Source:     savepoints as in SQLite; durable-objects.md 1.5, 2.4 (read your own writes).
"""

from __future__ import annotations

from typing import Protocol

from wakeful.core.working_set import COMMIT_POINT

Undo = tuple[str, bytes | None]


class Puts(Protocol):
    """The part of a record that takes cells."""

    puts: dict[str, bytes | None]


class WriteBuffer:
    """Cells of one actor with undo, marks and the changes since the last record."""

    __slots__ = ("_dirty", "_undo", "cells", "size_bytes")

    def __init__(self, cells: dict[str, bytes]) -> None:
        self.cells = cells
        self.size_bytes = sum(len(key) + len(value) for key, value in cells.items())
        self._undo: list[Undo] = []
        self._dirty: dict[str, bytes | None] | None = None

    @property
    def touched(self) -> bool:
        """Whether the current turn has written something since its last commit point."""
        return bool(self._undo)

    def get(self, key: str) -> bytes | None:
        """The value the actor sees, or None."""
        return self.cells.get(key)

    def put(self, key: str, value: bytes) -> None:
        """Set a cell."""
        old = self.cells.get(key)
        self._undo.append((key, old))
        self._set(key, old, value)

    def delete(self, key: str) -> bool:
        """Remove a cell; False if there was none."""
        old = self.cells.get(key)
        if old is None:
            return False
        self._undo.append((key, old))
        self._set(key, old, None)
        return True

    def mark(self) -> int:
        """A mark that `undo` can return to; valid until the next commit point."""
        return len(self._undo)

    def undo(self, mark: int = COMMIT_POINT) -> None:
        """Take back everything since the mark; by default since the last commit point."""
        assert 0 <= mark <= len(self._undo), "a mark does not outlive its commit point"
        while len(self._undo) > mark:
            key, old = self._undo.pop()
            self._set(key, self.cells.get(key), old)

    def release(self, mark: int) -> None:
        """Keep what was written since the mark; a mark is only a number, nothing must be freed."""

    def prepare(self) -> bool:
        """Whether there is something to commit; this part of a commit point never fails."""
        return bool(self._undo)

    def commit(self) -> None:
        """Move what the turn has written to the next record."""
        if self._dirty is None:
            self._dirty = {}
        for key, _ in self._undo:
            self._dirty[key] = self.cells.get(key)
        self._undo.clear()

    def take(self, record: Puts) -> None:
        """Put the changes since the last record, up to the last commit point, into this one."""
        if self._dirty is not None:
            record.puts.update(self._dirty)
            self._dirty = None

    def _set(self, key: str, old: bytes | None, new: bytes | None) -> None:
        if old is not None:
            self.size_bytes -= len(key) + len(old)
        if new is None:
            self.cells.pop(key, None)
        else:
            self.cells[key] = new
            self.size_bytes += len(key) + len(new)

    def check(self) -> None:
        """Assert the invariants."""
        assert self.size_bytes == sum(len(k) + len(v) for k, v in self.cells.items())
