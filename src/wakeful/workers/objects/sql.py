"""`ctx.storage.sql`: the object's SQLite database, with values as JavaScript has them.

In:      numbers are REAL, True and False the texts 'true' and 'false', None and NaN are NULL,
         bytes a BLOB; whatever else there is becomes the text that JavaScript's String() makes.
Out:     numbers, text, bytes and None; an integer too large for JavaScript is the nearest double.
Cursors: read one row ahead. When the object waits for something, a cursor reads its remaining
         rows into memory: later writes do not show in it.
Errors:  JsException with SQLite's text and code; some texts are workerd's.
Source:  Cloudflare docs on SqlStorage; workerd sql.c++, sqlite.c++.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar
from weakref import WeakSet

from wakeful.errors import SqlError, WakefulError
from wakeful.ports import SqlCursor, SqlRow, SqlValue
from wakeful.runtime.gated import Gated
from wakeful.workers.buffers import View
from wakeful.workers.objects.options import MISSING, wrong
from wakeful.workers.proxies import (
    JsArray,
    JsArrayBuffer,
    JsDict,
    JsException,
    JsMembers,
    JsProxy,
    JsTypeError,
)
from wakeful.workers.values import SAFE_INT_MAX, js_string, stored_text

T = TypeVar("T")

TRANSACTIONS: Final = (
    "To execute a transaction, please use the state.storage.transaction() or "
    "state.storage.transactionSync() APIs instead of the SQL BEGIN TRANSACTION or SAVEPOINT "
    "statements. The JavaScript API is safer because it will automatically roll back on "
    "exceptions, and because it interacts correctly with Durable Objects' automatic atomic write "
    "coalescing."
)
PARAMETERS: Final = (
    "When executing multiple SQL statements in a single call, only the last statement can have "
    "parameters."
)
NO_STATEMENT: Final = "SQL code did not contain a statement."
PLAIN: Final = (NO_STATEMENT, "SQLite query was canceled because the database was deleted.")
ROLLED_BACK: Final = "abort due to ROLLBACK: SQLITE_ABORT (extended: SQLITE_ABORT_ROLLBACK)"
PAGE_BYTES: Final = 4096
BINDINGS: Final = "Wrong number of parameter bindings for SQL query."


class SqlStorage(JsProxy):
    """The database of one object."""

    js_name = "SqlStorage"

    def __init__(self, gated: Gated) -> None:
        self._gated = gated
        self._cursors: WeakSet[Cursor] = WeakSet()
        gated.before_commit = self._hold

    @property
    def databaseSize(self) -> int:
        """Bytes the database takes, without what is free in it, and what keys and values would."""
        size: Any = self._gated.database.face.database_size
        buffer = self._gated.activation.buffer
        beside = 0 if buffer is None else -(-buffer.size_bytes // PAGE_BYTES) * PAGE_BYTES
        return int(size) + beside

    def exec(self, query: object = MISSING, *bindings: object) -> Cursor:
        """Run statements; the last one gets the bindings and gives the rows.

        Raises:
            JsException: SQLite refuses.
            JsTypeError: the text is missing, or a binding has no value in SQL.
        """
        if query is MISSING:
            raise wrong(self.js_name, "exec", "String")
        self._gated.activation.check_here()
        values = tuple([_bound(value) for value in bindings])
        found = _in_js_words(lambda: self._gated.database.execute(_text(query), values))
        if self._gated.database.touched:
            self._gated.touch()
        cursor = Cursor(found)
        if found.more:
            self._cursors.add(cursor)
        return cursor

    def _hold(self) -> None:
        if self._cursors:  # before each commit; hardly ever is there one
            for cursor in list(self._cursors):
                cursor.hold()
            self._cursors.clear()


class Cursor(JsMembers):
    """Rows, read from where the last reading ended, whichever way that was."""

    js_name = "Cursor"

    def __init__(self, rows: SqlCursor) -> None:
        self._rows = rows
        self._held: deque[SqlRow] | None = None

    @property
    def columnNames(self) -> JsArray:
        """The names of the columns; one that comes twice is there twice."""
        return JsArray(_in_js_words(lambda: self._rows.columns))

    @property
    def rowsRead(self) -> int:
        """Rows read so far, the one read ahead included."""
        return self._rows.rows_read

    @property
    def rowsWritten(self) -> int:
        """Rows of tables and entries of indexes written."""
        return self._rows.entries_written

    def __iter__(self) -> Iterator[JsDict]:
        while (row := self._next()) is not None:
            yield self._made(row)

    def next(self, *_: object) -> JsDict:
        """The next row as `value`; `done` is True where there is none."""
        row = self._next()
        return JsDict(done=row is None, value=None if row is None else self._made(row))

    def toArray(self, *_: object) -> JsArray:
        """All rows that are left."""
        return JsArray(self)

    def one(self, *_: object) -> JsDict:
        """The one row.

        Raises:
            JsException: the number of rows is not one.
        """
        row = self._next()
        if row is None:
            raise JsException("Expected exactly one result from SQL query, but got no results.")
        if self._held or self._rows.more:
            self._rows.close()
            self._held = None
            raise JsException(
                "Expected exactly one result from SQL query, but got multiple results."
            )
        return self._made(row)

    def raw(self, *_: object) -> RawRows:
        """The rows as arrays, from the same place."""
        return RawRows(self._next)

    def hold(self) -> None:
        """Read the remaining rows into memory: the turn that they belong to ends."""
        if self._rows.more:
            self._held = deque(self._rows.rest())

    def _next(self) -> SqlRow | None:
        if self._held is not None:
            return self._held.popleft() if self._held else None
        return _in_js_words(lambda: next(self._rows, None))

    def _made(self, row: SqlRow) -> JsDict:
        return JsDict(zip(self._rows.columns, map(seen, row), strict=True))


class RawRows(JsProxy):
    """What `raw()` gives."""

    js_name = "RawIterator"

    def __init__(self, take: Callable[[], SqlRow | None]) -> None:
        self._take = take

    def __iter__(self) -> Iterator[JsArray]:
        while (row := self._take()) is not None:
            yield JsArray(map(seen, row))

    def next(self, *_: object) -> JsDict:
        """The next row as `value`; `done` is True where there is none."""
        row = self._take()
        value = None if row is None else JsArray(map(seen, row))
        return JsDict(done=row is None, value=value)

    def toArray(self, *_: object) -> JsArray:
        """All rows that are left."""
        return JsArray(self)


def _bound(value: object) -> SqlValue:
    """Convert a value to what SQLite gets."""
    match value:
        case None:
            return None
        case bool():
            return js_string(value)
        case int():
            if abs(value) > SAFE_INT_MAX:
                raise JsTypeError("Cannot convert a BigInt value to a number")
            return float(value)
        case float():
            return None if math.isnan(value) else value
        case bytes() | bytearray() | memoryview() | View():
            return bytes(value)
        case _:
            return _text(value)


def _text(value: object) -> str:
    """Convert a value as JavaScript's String() does, to valid Unicode."""
    return stored_text(js_string(value))


def seen(value: SqlValue) -> object:
    """Convert a value to what JavaScript has: all numbers are doubles."""
    if isinstance(value, int):
        return value if abs(value) <= SAFE_INT_MAX else int(float(value))
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) <= SAFE_INT_MAX
        return int(value) if whole and (value or math.copysign(1, value) > 0) else value
    return JsArrayBuffer(value) if isinstance(value, bytes) else value


def _in_js_words(run: Callable[[], T]) -> T:
    try:
        return run()
    except SqlError as error:
        raise JsException(text_of(error)) from error


def text_of(error: WakefulError) -> str:
    """Return a Worker's error text for an error of SQL, or one that kept it from running."""
    if not isinstance(error, SqlError):
        return str(error)
    if error.message in PLAIN:
        return error.message
    if error.message.endswith("null character in query"):
        return NO_STATEMENT
    if error.message.startswith("wrong number of bindings"):
        return BINDINGS
    if error.message.startswith("only the last of several"):
        return PARAMETERS
    if error.name == "SQLITE_ABORT":  # the cursor's transaction is undone; a commit ends none here
        return ROLLED_BACK
    if "transactions are not opened with SQL" in error.message:
        return TRANSACTIONS
    if error.name == "SQLITE_AUTH" and error.message.startswith("not authorized"):
        return "not authorized: SQLITE_AUTH"
    return str(error)
