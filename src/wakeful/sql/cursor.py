"""The rows of one statement, read one ahead.

Invariants: at most one row is held; a cursor that has rows left is known to its database, which
            ends it at the next commit point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import apsw

from wakeful.errors import WakefulError
from wakeful.ports import SqlRow, SqlValue

if TYPE_CHECKING:
    from wakeful.sql.database import SqlDatabase


class Cursor:
    """Rows as SQLite's values: None, int, float, str, bytes.

    Attributes:
        rows_read: rows the statement has given so far, the one read ahead included.
        rows_written: rows it has inserted, updated and deleted, also by triggers.
        count_entries: counts what the statement has written; None if that is nothing.
    """

    __slots__ = (
        "__weakref__",
        "_ahead",
        "_bindings",
        "_columns",
        "_database",
        "_ended",
        "_rows",
        "_sql",
        "_taken",
        "count_entries",
        "rows_read",
        "rows_written",
    )

    def __init__(
        self,
        database: SqlDatabase,
        sql: str,
        bindings: Sequence[SqlValue],
        rows: apsw.Cursor,
        first: SqlRow | None,
    ) -> None:
        self._database = database
        self._sql = sql
        self._bindings = bindings
        self._rows = rows
        self._ahead = first
        self._columns: tuple[str, ...] | None = None
        self._taken: Iterator[SqlRow] | None = None
        self._ended: Callable[[], WakefulError] | None = None
        self.rows_read = 0 if first is None else 1
        self.rows_written = 0
        self.count_entries: Callable[[], int] | None = None

    def __iter__(self) -> Cursor:
        return self

    def __next__(self) -> SqlRow:
        row = self._ahead
        if row is None:
            if self._ended is not None:
                raise self._ended()
            raise StopIteration
        if self._columns is None:
            self._columns = tuple([name for name, _ in self._rows.get_description()])
        if self._taken is None:
            following = self._database.following(self, self._rows)
        else:
            following = next(self._taken, None)
        self._ahead = following
        if following is not None:
            self.rows_read += 1
        return row

    @property
    def more(self) -> bool:
        """Whether there are rows left."""
        return self._ahead is not None

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        if self._columns is None:
            if self._ahead is not None:
                self._columns = tuple([name for name, _ in self._rows.get_description()])
            elif self._ended is not None:
                raise self._ended()
            else:
                self._columns = self._database.columns_of(self._sql, self._bindings)
        return self._columns

    @property
    def entries_written(self) -> int:
        """Entries of tables and of indexes it has written."""
        return 0 if self.count_entries is None else self.count_entries()

    def rest(self) -> list[SqlRow]:
        """All rows that are left."""
        row = self._ahead
        if row is None:
            if self._ended is not None:
                raise self._ended()
            return []
        _ = self.columns
        self._ahead = None
        if self._taken is None:
            rows = self._database.remaining(self, self._rows)
        else:
            rows = list(self._taken)
        self.rows_read += len(rows)
        rows.insert(0, row)
        return rows

    def take_all(self) -> None:
        """Read all rows into memory, so that SQLite's statement is finished."""
        _ = self.columns
        self._taken = iter(self._database.remaining(self, self._rows))

    def read_all(self) -> None:
        """As `take_all`, for a statement that runs alone.

        Raises:
            apsw.Error: SQLite's own error, after which nothing of it has happened.
        """
        if self._ahead is not None:
            _ = self.columns
            self._taken = iter(self._rows.fetchall())

    def close(self) -> None:
        """Discard the rows that are left."""
        if self._ahead is not None:
            _ = self.columns
            self._ahead = None
            self._database.forget(self)
            self._rows.close()

    def end(self, why: Callable[[], WakefulError]) -> None:
        """End the cursor at its turn's commit point; reading on then raises SqlError."""
        self._ahead = None
        self._ended = why
        self._rows.close()
