"""`env.DB`: a D1 database, as Cloudflare's binding has it.

In:      numbers are REAL, True and False 1 and 0, None is NULL, bytes and lists of bytes a BLOB.
Out:     numbers, text and None; a BLOB is a list of numbers.
Errors:  JsException "D1_ERROR: ...", with SQLite's text and code.
Source:  Cloudflare docs on D1; workerd d1-api.ts.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn, cast

from wakeful.errors import WakefulError
from wakeful.ports import SqlValue
from wakeful.workers.bindings.backing import Backing
from wakeful.workers.bindings.d1_store import D1Store, Result, Statement
from wakeful.workers.buffers import View
from wakeful.workers.calls import failed
from wakeful.workers.objects.sql import seen, text_of
from wakeful.workers.proxies import JsArray, JsDict, JsException, JsProxy, JsTypeError, options_of
from wakeful.workers.values import SAFE_INT_MAX, js_string, utf8

SERVED_BY: Final = "wakeful"
NO_TABLE: Final = "no such table"
MAKE_TABLES: Final = (
    "Tables of D1 are made while no server runs: wakeful d1 execute WORKER DATABASE --file "
    "schema.sql, or wakeful d1 migrations apply WORKER DATABASE"
)
CONSTRAINTS: Final = ("first-primary", "first-unconstrained")


class D1Session(JsProxy):
    """A session with the database, of which there is one copy: queries see all earlier writes."""

    js_name = "D1DatabaseSession"

    def __init__(self, backing: Backing[D1Store], bookmark: str | None) -> None:
        self._backing = backing
        self._bookmark = bookmark

    def prepare(self, query: object) -> D1PreparedStatement:
        """A statement, to be bound and run."""
        return D1PreparedStatement(self._run, _sql(query))

    def batch(self, statements: Any) -> Awaitable[JsArray]:
        """Run statements in one transaction; their results."""
        for statement in statements:
            if not isinstance(statement, D1PreparedStatement):
                raise JsTypeError("batch() takes a list of prepared statements.")
        given = tuple(Statement(one.statement, one.given) for one in statements)
        return self._run(given, lambda results: JsArray(map(_result, results)))

    def getBookmark(self) -> str | None:
        """Return the bookmark that the session was made with; queries give no newer one."""
        return self._bookmark

    def _run(
        self, statements: tuple[Statement, ...], made: Callable[[tuple[Result, ...]], Any]
    ) -> Awaitable[Any]:
        if not statements:
            return failed(JsException("D1_ERROR: No SQL statements detected."))
        return self._backing.ask(lambda store: store.run(statements), made, _error_of("D1_ERROR"))


class D1Database(D1Session):
    """One database.

    Args:
        backing: the actor that keeps it.
    """

    js_name = "D1Database"

    def __init__(self, backing: Backing[D1Store]) -> None:
        super().__init__(backing, None)

    def exec(self, query: object) -> Awaitable[JsDict]:
        """Run lines of SQL in one transaction: `count` of them, and `duration`."""
        numbered = enumerate(_sql(query).strip().split("\n"), 1)
        lines = tuple((n, line) for n, line in numbered if not _is_blank(line))
        if not lines:
            return failed(JsException("D1_EXEC_ERROR: No SQL statements detected."))

        def summed(results: tuple[Result, ...]) -> JsDict:
            return JsDict(count=len(results), duration=sum(one.duration for one in results))

        return self._backing.ask(
            lambda store: store.run_lines(lines), summed, _error_of("D1_EXEC_ERROR")
        )

    def withSession(self, constraint: object = None) -> D1Session:
        """A session: "first-primary", "first-unconstrained" or a bookmark of another one."""
        text = "" if constraint is None else js_string(constraint).strip()
        return D1Session(self._backing, text if text and text not in CONSTRAINTS else None)


class D1PreparedStatement(JsProxy):
    """A statement, with its parameters once they are bound.

    Attributes:
        statement: its text.
        given: its parameters, as SQLite has them.
    """

    js_name = "D1PreparedStatement"
    __slots__ = ("_run", "given", "statement")

    def __init__(
        self,
        run: Callable[[tuple[Statement, ...], Callable[[tuple[Result, ...]], Any]], Awaitable[Any]],
        statement: str,
        given: tuple[SqlValue, ...] = (),
    ) -> None:
        self._run = run
        self.statement = statement
        self.given = given

    def bind(self, *values: object) -> D1PreparedStatement:
        """The same statement with parameters.

        Raises:
            JsException: a value cannot be one.
        """
        return D1PreparedStatement(self._run, self.statement, tuple(map(_bound, values)))

    def all(self) -> Awaitable[JsDict]:
        """Run it: `success`, `meta` and `results`, the rows as objects."""
        return self._one(_result)

    run = all

    def first(self, column: object = None) -> Awaitable[Any]:
        """Run it: the first row, or a column of it; None where there is no row."""
        name = None if column is None else js_string(column)

        def first(result: Result) -> Any:
            row = next(iter(_records(result)), None)
            if row is None or name is None:
                return row
            if name not in row:
                raise JsException(f"D1_COLUMN_NOTFOUND: Column not found ({name})")
            return row[name]

        return self._one(first)

    def raw(self, options: object = None, **named: Any) -> Awaitable[JsArray]:
        """Run it: the rows as arrays; with `columnNames`, those come first."""
        titled = bool(options_of(options, named.items()).get("columnNames"))

        def arrays(result: Result) -> JsArray:
            rows = [JsArray(map(_seen, row)) for row in result.rows]
            return JsArray([JsArray(result.columns), *rows] if titled else rows)

        return self._one(arrays)

    def _one(self, made: Callable[[Result], Any]) -> Awaitable[Any]:
        return self._run((Statement(self.statement, self.given),), lambda found: made(found[0]))


def _error_of(prefix: str) -> Callable[[WakefulError], JsException]:
    def error_of(error: WakefulError) -> JsException:
        raised = JsException(f"{prefix}: {text_of(error)}")
        if NO_TABLE in raised.message:
            raised.add_note(MAKE_TABLES)
        return raised

    return error_of


def _sql(query: object) -> str:
    return utf8(js_string(query)).decode()


def _is_blank(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("--")


def _result(result: Result) -> JsDict:
    meta = JsDict(
        served_by=SERVED_BY,
        duration=result.duration,
        changes=result.changes,
        last_row_id=result.last_row_id,
        changed_db=result.changed_db,
        size_after=result.size_after,
        rows_read=result.rows_read,
        rows_written=result.rows_written,
    )
    return JsDict(success=True, meta=meta, results=JsArray(_records(result)))


def _records(result: Result) -> list[JsDict]:
    columns = result.columns
    return [JsDict(zip(columns, map(_seen, row), strict=True)) for row in result.rows]


def _seen(value: object) -> object:
    return JsArray(value) if isinstance(value, bytes) else seen(cast("SqlValue", value))


def _bound(value: object) -> SqlValue:
    match value:
        case None | str():
            return None if value is None else utf8(value).decode()
        case int() if abs(value) > SAFE_INT_MAX:
            return _no_value(value, "bigint")
        case int() | float():
            return float(value) if math.isfinite(value) else None
        case bytes() | bytearray() | memoryview() | View():
            return bytes(value)
        case list() | tuple() if all(type(item) is int and 0 <= item < 256 for item in value):
            return bytes(value)
    return _no_value(value, "function" if callable(value) else "object")


def _no_value(value: object, kind: str) -> NoReturn:
    raise JsException(f"D1_TYPE_ERROR: Type '{kind}' not supported for value '{js_string(value)}'")
