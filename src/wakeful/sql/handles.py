"""What a database needs of whatever opens its connection and counts the open ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import apsw

if TYPE_CHECKING:
    from wakeful.sql.database import SqlDatabase
    from wakeful.sql.fence import Fence
    from wakeful.sql.pages import Pages


class Handles(Protocol):
    """What a database needs to get and to count its handle."""

    def connect(self, database: SqlDatabase, pages: Pages, fence: Fence) -> apsw.Connection:
        """Open a handle."""

    def used(self, database: SqlDatabase) -> None:
        """Note that a turn uses the handle."""

    def closed(self, database: SqlDatabase) -> None:
        """Note that the handle is closed."""

    def now_ns(self) -> int:
        """Nanoseconds that only ever grow."""
