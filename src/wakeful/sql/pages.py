"""The pages of one database as its turns see them, in layers over the store.

`dirty` is what the turn under way has written, `saved` what the next commit record will carry,
`sent` what the last record carried and the store may not show yet. Below is the store.

Shapes:     pages are numbered from 1 as in SQLite's file format; None marks one that is gone.
Invariants: `discard` gives back exactly the last commit point; what `take` returns, applied to the
            store's pages, gives the pages as of that commit point.
Source:     https://sqlite.org/fileformat2.html (the header holds the number of pages).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from wakeful.errors import LimitExceeded, WakefulError

PAGE_BYTES: Final = 4096
_COUNT_AT: Final = slice(28, 32)

Changes = dict[int, bytes | None]


class Pages:
    """Reads and writes of one database file.

    Attributes:
        count: how many pages the database has.
        error: why the last read or write failed; SQLite itself reports only that one did.
    """

    __slots__ = ("_dirty", "_dirty_max", "_saved", "_sent", "_stable", "_stored", "count", "error")

    def __init__(self, stored: Callable[[int], bytes | None], dirty_max: int) -> None:
        self._stored = stored
        self._dirty: Changes = {}
        self._dirty_max = dirty_max
        self._saved: Changes = {}
        self._sent: Changes = {}
        self.error: WakefulError | None = None
        header = stored(1)
        self.count = self._stable = (
            0 if header is None else int.from_bytes(header[_COUNT_AT], "big")
        )

    @property
    def changed(self) -> bool:
        """Whether the turn has written anything."""
        return bool(self._dirty)

    @property
    def kept(self) -> bool:
        """Whether there are pages that the store may not have yet."""
        return bool(self._saved or self._sent)

    def read(self, number: int) -> bytes | None:
        """A page, or None if it has never been written."""
        for layer in (self._dirty, self._saved, self._sent):
            if number in layer:
                return layer[number]
        return self._stored(number) if number <= self.count else None

    def write(self, number: int, page: bytes) -> None:
        """Set a page.

        Raises:
            LimitExceeded: the turn has written too much.
        """
        dirty = self._dirty
        if number not in dirty and len(dirty) >= self._dirty_max:
            raise LimitExceeded(
                f"one turn changes more than {self._dirty_max * PAGE_BYTES} bytes of its database "
                "(limits.sql_turn_bytes): do less in a turn"
            )
        dirty[number] = page
        self.count = max(self.count, number)

    def truncate(self, count: int) -> None:
        """Forget the pages after the first `count`."""
        for number in range(count + 1, self.count + 1):
            self._dirty[number] = None
        self.count = count

    def save(self) -> bool:
        """Make a commit point: what the turn has written belongs to the next record."""
        if not self._dirty:
            return False
        self._saved.update(self._dirty)
        self._dirty.clear()
        self._stable = self.count
        return True

    def discard(self) -> None:
        """Undo what was written since the last commit point."""
        self._dirty.clear()
        self.count = self._stable
        self.error = None

    def take(self) -> Changes:
        """The pages for the next record; the record before it must be durable by now."""
        self._sent, self._saved = self._saved, {}
        return self._sent

    def settled(self) -> None:
        """Forget what was sent: the store has all of it now."""
        self._sent = {}
