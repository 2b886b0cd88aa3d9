"""The cursors of a turn that have rows left: the end of the turn ends those still referenced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from weakref import ref

from wakeful.errors import WakefulError
from wakeful.sql.cursor import Cursor

KNOWN: Final = 64  # then cursors no longer referenced are removed


class OpenCursors:
    """Cursors of one database."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[int, ref[Cursor]] = {}

    def add(self, cursor: Cursor) -> None:
        """Note a cursor that has rows left."""
        if len(self._known) >= KNOWN:
            self._known = {key: one for key, one in self._known.items() if one() is not None}
        self._known[id(cursor)] = ref(cursor)

    def forget(self, cursor: Cursor) -> None:
        """Forget a cursor that will not be read any more."""
        self._known.pop(id(cursor), None)

    def end(self, why: Callable[[], WakefulError]) -> None:
        """End all cursors; reading on raises an error."""
        if self._known:
            for known in self._known.values():
                cursor = known()
                if cursor is not None:
                    cursor.end(why)
            self._known.clear()
