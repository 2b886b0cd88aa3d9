"""`ctx.storage.sql`: rows as dicts or typed, values as Python has them.

Shapes:  a row read `into` a class with fields takes its columns by name, into a tuple or NamedTuple
         by position, into anything else (int, str, datetime) its only column.


Source: durable-objects.md 1.6; integers stay exact, unlike in JavaScript.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import is_dataclass
from functools import lru_cache
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Generic,
    TypeVar,
    cast,
    get_origin,
    is_typeddict,
    overload,
)

import msgspec

from wakeful import models
from wakeful.errors import SqlError
from wakeful.ports import SqlRow, SqlValue
from wakeful.sql.cursor import Cursor

if TYPE_CHECKING:
    from wakeful.sql.database import SqlDatabase

T = TypeVar("T")
V = TypeVar("V")
Record = dict[str, SqlValue]
Columns = tuple[str, ...]
Make = Callable[[Columns, SqlRow], T]

MAKERS_MAX: Final = 1024  # types that rows are read into, compiled and kept
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
        return self._made(cursor.columns, row)

    @overload
    def one(self) -> T: ...

    @overload
    def one(self, *, into: type[V]) -> V: ...

    def one(self, *, into: type[V] | None = None) -> T | V:
        """The one row; `into` as for `exec`.

        Raises:
            SqlError: there is none, or there are more, or it does not fit `into`.
        """
        rows = self._cursor
        row = next(rows, None)
        if row is None:
            raise SqlError("expected exactly one row, but there is none")
        if rows.more:
            rows.close()
            raise SqlError("expected exactly one row, but there are more")
        if into is not None:
            return _maker(into)(rows.columns, row)
        return self._made(rows.columns, row)

    def first(self) -> T | None:
        """The next row, or None; discards the other rows."""
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
        return [make(columns, row) for row in rows]

    def raw(self) -> Iterator[SqlRow]:
        """The rows as tuples, from the same position."""
        return self._cursor

    def _made(self, columns: Columns, row: SqlRow) -> T:
        if self._make is not None:
            return self._make(columns, row)
        return cast("T", dict(zip(columns, row, strict=True)))


def _maker(into: type[T]) -> Make[T]:
    """The function that makes a value of a type out of a row."""
    return cast("Make[T]", _compiled_maker(cast("Hashable", into)))


@lru_cache(maxsize=MAKERS_MAX)
def _compiled_maker(into: Hashable) -> Make[object]:
    origin = get_origin(into) or into
    if isinstance(origin, type) and issubclass(origin, tuple):
        source: Callable[[Columns, SqlRow], object] = _by_position
    elif _has_fields(origin):
        source = _by_name
    else:
        source = _only_column

    def make(columns: Columns, row: SqlRow) -> object:
        parts = source(columns, row)
        try:
            return msgspec.convert(parts, cast("Any", into), strict=False, dec_hook=models.load)
        except msgspec.ValidationError as error:
            raise SqlError(f"a row does not fit {_name(into)}: {error}") from None

    return make


def _has_fields(cls: object) -> bool:
    if models.is_model(cls) or is_dataclass(cls) or is_typeddict(cls):
        return True
    return isinstance(cls, type) and (
        issubclass(cls, msgspec.Struct | dict) or hasattr(cls, "__attrs_attrs__")
    )


def _by_name(columns: Columns, row: SqlRow) -> Record:
    return dict(zip(columns, row, strict=True))


def _by_position(columns: Columns, row: SqlRow) -> SqlRow:
    return row


def _only_column(columns: Columns, row: SqlRow) -> SqlValue:
    if len(row) != 1:
        raise SqlError(
            f"a row of {len(row)} columns ({', '.join(columns)}) does not fit one value: select "
            "one column, or read into a class with fields"
        )
    return row[0]


def _name(into: object) -> str:
    return into.__name__ if isinstance(into, type) else str(into)


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
