"""The actor that keeps a D1 database: its SQL database is the database, a call is a transaction."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from wakeful.actor import DurableObject
from wakeful.errors import SqlError
from wakeful.ports import SqlValue

MS_NS: Final = 1_000_000
ROWS_BYTES_MAX: Final = 64 * 1024 * 1024  # of one call, about: they are in memory together
VALUE_BYTES: Final = 64  # of any value, beside what it is long
TOO_MANY: Final = (
    f"the rows of a query, or of a batch, have more than {ROWS_BYTES_MAX} bytes: ask for fewer "
    "columns, or for some rows after the other with LIMIT"
)
CHANGES: Final = "SELECT total_changes(), last_insert_rowid()"


class Statement(msgspec.Struct, frozen=True):
    """A statement with its parameters.

    Attributes:
        sql: its text; of several statements in it, the last one has the parameters and the rows.
        params: by position: None, int, float, str or bytes.
    """

    sql: str
    params: tuple[object, ...] = ()


class Result(msgspec.Struct, frozen=True):
    """The result of a statement.

    Attributes:
        columns: names.
        rows: values of the same types, as many as there are columns.
        rows_read: rows given.
        rows_written: rows written.
        changes: rows changed, also by triggers.
        last_row_id: of the last row inserted since the database was opened, or 0.
        size_after: bytes the database takes.
        changed_db: whether anything is different.
        duration: milliseconds.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    rows_read: int
    rows_written: int
    changes: int
    last_row_id: int
    size_after: int
    changed_db: bool
    duration: float


class Counters(NamedTuple):
    """The database's counters between two statements."""

    changes: int
    last_row_id: int
    size: int


class _Room:
    """The memory that is left for the rows of one call."""

    def __init__(self) -> None:
        self._bytes = ROWS_BYTES_MAX

    def take(self, row: tuple[SqlValue, ...]) -> tuple[SqlValue, ...]:
        """Return the row, if there is room for it.

        Raises:
            SqlError: there is no room.
        """
        self._bytes -= VALUE_BYTES * len(row)
        for value in row:
            if isinstance(value, str | bytes):
                self._bytes -= len(value)
        if self._bytes < 0:
            raise SqlError(TOO_MANY, "SQLITE_TOOBIG")
        return row


class D1Store(DurableObject):
    """One database."""

    async def run(self, statements: tuple[Statement, ...]) -> tuple[Result, ...]:
        """Run statements, all of them or none.

        Raises:
            SqlError: one is refused, or there are too many rows.
        """
        before, results, room = self._state(), [], _Room()
        for statement in statements:
            result, before = self._run(statement, before, room)
            results.append(result)
        return tuple(results)

    async def run_lines(self, lines: tuple[tuple[int, str], ...]) -> tuple[Result, ...]:
        """Run numbered lines of SQL, all of them or none.

        Raises:
            SqlError: one is refused; its text has number and line.
        """
        before, results, room = self._state(), [], _Room()
        for number, line in lines:
            try:
                result, before = self._run(Statement(line), before, room)
            except SqlError as error:
                raise _placed(f"Error in line {number}: {line}", error) from error
            results.append(result)
        return tuple(results)

    async def apply(self, table: str, migrations: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
        """Apply the migrations that were not applied yet, and note them; all of them or none.

        Args:
            table: where they are noted.
            migrations: names and SQL, in order.

        Raises:
            SqlError: one is refused; its text has the name.
        """
        sql, name_of = self.ctx.storage.sql, f'"{table.replace(chr(34), chr(34) * 2)}"'
        sql.exec(
            f"CREATE TABLE IF NOT EXISTS {name_of}(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT"
            " UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)"
        )
        there = {name for (name,) in sql.exec(f"SELECT name FROM {name_of}").raw()}
        due = [(name, text) for name, text in migrations if name not in there]
        for name, text in due:
            try:
                sql.exec(text)
            except SqlError as error:
                raise _placed(name, error) from error
            sql.exec(f"INSERT INTO {name_of}(name) VALUES (?)", name)
        return tuple([name for name, _ in due])

    def _run(self, statement: Statement, before: Counters, room: _Room) -> tuple[Result, Counters]:
        """Run a statement; return its result and the counters after it."""
        began_ns = self.ctx.now_ns()
        found = self.ctx.storage.sql.exec(statement.sql, *statement.params)
        rows = tuple(map(room.take, found.raw()))
        after = self._state()
        result = Result(
            columns=tuple(found.columns),
            rows=rows,
            rows_read=found.rows_read,
            rows_written=found.rows_written,
            changes=after.changes - before.changes,
            last_row_id=after.last_row_id,
            size_after=after.size,
            changed_db=(after.changes, after.size) != (before.changes, before.size),
            duration=max(0, self.ctx.now_ns() - began_ns) / MS_NS,
        )
        return result, after

    def _state(self) -> Counters:
        sql = self.ctx.storage.sql
        ((changes, last_row_id),) = sql.exec(CHANGES).raw()
        assert isinstance(changes, int)
        assert isinstance(last_row_id, int)
        return Counters(changes, last_row_id, sql.database_size)


def _placed(where: str, error: SqlError) -> SqlError:
    return SqlError(f"{where}: {error.message}", error.name, error.extended)
