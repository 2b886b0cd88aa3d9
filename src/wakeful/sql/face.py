"""`ctx.storage.sql`: rows as dicts or typed, values as Python has them.

Source: durable-objects.md 1.6; integers stay exact, unlike in JavaScript.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast, overload

import msgspec

from wakeful.errors import SqlError
from wakeful.ports import SqlRow, SqlValue
from wakeful.sql.cursor import Cursor

if TYPE_CHECKING:
    from wakeful.sql.database import SqlDatabase

T = TypeVar("T")
Record = dict[str, SqlValue]
Make = Callable[[Record], T]

_PLAIN: Final = frozenset({int, float, str, bytes, bool, type(None)})


class NativeSql:
    """SQL for the actor's own code."""

    __slots__ = ("_database",)

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    @property
    def database_size(self) -> int:
        """Bytes the database takes, without what is free in it."""
        return self._database.size_bytes

    @overload
    def exec(self, query: str, /, *bindings: object) -> Rows[Record]: ...

    @overload
    def exec(self, query: str, /, *bindings: object, into: type[T]) -> Rows[T]: ...

    def exec(
        self, query: str, /, *bindings: object, into: type[T] | None = None
    ) -> Rows[Record] | Rows[T]:
        """Run statements; the last one gets the bindings and gives the rows."""
        for value in bindings:
            if type(value) not in _PLAIN:
                bindings = tuple([_plain(n, value) for n, value in enumerate(bindings, 1)])
                break
        cursor = self._database.execute(query, cast("tuple[SqlValue, ...]", bindings))
        if into is None:
            return Rows(cursor, None)
        return Rows(cursor, _maker(into))


class Rows(Generic[T]):
    """The rows of a statement, read one ahead; iterate, or ask for what you expect."""

    __slots__ = ("_cursor", "_make")

    def __init__(self, cursor: Cursor, make: Make[T] | None) -> None:
        self._cursor = cursor
        self._make = make

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self._cursor.columns

    @property
    def rows_read(self) -> int:
        """Rows given so far, the one read ahead included."""
        return self._cursor.rows_read

    @property
    def rows_written(self) -> int:
        """Rows inserted, updated and deleted, also by triggers."""
        return self._cursor.rows_written

    def __iter__(self) -> Rows[T]:
        return self

    def __next__(self) -> T:
        cursor = self._cursor
        row = cursor.__next__()
        return self._made(dict(zip(cursor.columns, row, strict=True)))

    def one(self) -> T:
        """The one row.

        Raises:
            SqlError: there is none, or there are more.
        """
        rows = self._cursor
        row = next(rows, None)
        if row is None:
            raise SqlError("expected exactly one row, but there is none")
        if rows.more:
            rows.close()
            raise SqlError("expected exactly one row, but there are more")
        return self._made(dict(zip(rows.columns, row, strict=True)))

    def first(self) -> T | None:
        """The next row, or None; the others are given up."""
        row = next(self, None)
        self._cursor.close()
        return row

    def all(self) -> list[T]:
        """All rows that are left."""
        cursor = self._cursor
        rows = cursor.rest()
        if not rows:
            return []
        columns, make = cursor.columns, self._made
        return [make(dict(zip(columns, row, strict=True))) for row in rows]

    def raw(self) -> Iterator[SqlRow]:
        """The rows as tuples, from the same position."""
        return self._cursor

    def _made(self, record: Record) -> T:
        return cast("T", record) if self._make is None else self._make(record)


def _maker(into: type[T]) -> Make[T]:
    def make(record: Record) -> T:
        try:
            return msgspec.convert(record, into, strict=False)
        except msgspec.ValidationError as error:
            raise SqlError(f"a row does not fit {into.__name__}: {error}") from None

    return make


def _plain(position: int, value: object) -> SqlValue:
    """A binding as SQLite takes it."""
    if type(value) in _PLAIN:
        return cast("SqlValue", value)
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    match value:  # an IntEnum, a StrEnum, a subclass
        case int():
            return int(value)
        case float():
            return float(value)
        case str():
            return str.__str__(value)
        case bytes():
            return bytes(value)
    raise SqlError(
        f"binding {position} is a {type(value).__name__}: "
        "bind None, bool, int, float, str or bytes, and convert others yourself"
    )
