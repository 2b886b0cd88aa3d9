"""Who opens the connections of databases, and counts them: what a database needs of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import apsw

if TYPE_CHECKING:
    from wakeful.sql.database import SqlDatabase
    from wakeful.sql.fence import Fence
    from wakeful.sql.pages import Pages


class Handles(Protocol):
    """What a database needs of those who open and count handles."""

    def connect(self, database: SqlDatabase, pages: Pages, fence: Fence) -> apsw.Connection:
        """Open a handle."""

    def used(self, database: SqlDatabase) -> None:
        """A turn uses the handle."""

    def closed(self, database: SqlDatabase) -> None:
        """The handle is closed."""

    def now_ns(self) -> int:
        """Nanoseconds that only ever grow."""
