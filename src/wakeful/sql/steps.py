"""The steps of a database's statements: how long one takes, and which are not the user's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import apsw

from wakeful.ports import SqlRow
from wakeful.sql.fence import Fence

OURS: Final = apsw.SQLITE_PREPARE_PERSISTENT  # keeps our cached statements apart from the user's


class Steps:
    """Counts and times the steps of one database, and runs our own statements.

    Args:
        fence: lets our own statements pass.
        now_ns: nanoseconds that only ever grow.
        seconds: how long a step may take.
    """

    __slots__ = ("_fence", "_now_ns", "_number", "_since_ns", "_timed", "seconds")

    def __init__(self, fence: Fence, now_ns: Callable[[], int], seconds: float) -> None:
        self.seconds = seconds
        self._fence = fence
        self._now_ns = now_ns
        self._number = 0
        self._timed = 0
        self._since_ns = 0

    def begin(self) -> None:
        """Note when a step begins."""
        self._number += 1

    def overtime(self) -> bool:
        """Whether the present step has taken too long; SQLite calls this now and then."""
        now_ns = self._now_ns()
        if self._timed != self._number:
            self._timed = self._number
            self._since_ns = now_ns
        return now_ns - self._since_ns > self.seconds * 1e9

    def ours(self, handle: apsw.Connection, sql: str) -> None:
        """Run a statement of our own."""
        self._number += 1
        self._fence.ours = True
        try:
            handle.execute(sql, prepare_flags=OURS)
        finally:
            self._fence.ours = False

    def rows(self, handle: apsw.Connection, sql: str) -> list[SqlRow]:
        """Run a statement of our own that has rows."""
        self._number += 1
        self._fence.ours = True
        try:
            return handle.execute(sql, prepare_flags=OURS).fetchall()
        finally:
            self._fence.ours = False
