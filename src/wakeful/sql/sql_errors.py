"""What SQLite's errors mean to those who run SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import apsw

from wakeful.errors import LimitExceeded, SqlError
from wakeful.ids import ActorId
from wakeful.ports import SqlValue
from wakeful.sql.fence import ABSENT

PARAMETERS: Final = "only the last of several statements can have parameters"
NO_LIMIT: Final = (
    "DELETE and UPDATE have no ORDER BY and LIMIT here; say which rows with WHERE rowid IN "
    "(SELECT rowid ... ORDER BY ... LIMIT ...)"
)
_FUNCTION: Final = re.compile(r"not authorized to use function: (\w+)")
_LIMITED: Final = re.compile(r"\s*(?:delete|update)\b", re.IGNORECASE)
# What apsw and Python raise for bindings and texts that SQLite cannot take.
REFUSED: Final = (apsw.Error, OverflowError, TypeError, ValueError)


def sql_error(error: Exception, reason: str | None = None) -> SqlError:
    """The error of ours for one of SQLite's; `reason` is put after what SQLite says."""
    if not isinstance(error, apsw.Error):
        return SqlError(f"a text or a binding cannot be used: {error}", "SQLITE_MISUSE")
    if isinstance(error, apsw.BindingsError):
        return SqlError(f"wrong number of bindings: {error}", "SQLITE_RANGE")
    said = str(error)
    refused = _FUNCTION.fullmatch(said)
    if refused is not None and refused[1].lower() in ABSENT:
        said = f"no such function: {refused[1]}"
    offset = getattr(error, "error_offset", -1)
    if offset >= 0:
        said = f"{said} at offset {offset}"
    if reason is not None:
        said = f"{said}: {reason}"
    code = getattr(error, "result", apsw.SQLITE_ERROR)
    extended = getattr(error, "extendedresult", code)
    return SqlError(said, _name(code), _name(extended))


def placed(
    error: Exception, handle: apsw.Connection, sql: str, bindings: Sequence[SqlValue]
) -> Exception:
    """The error with its place in the text; a cached statement's own error lacks the place."""
    if not isinstance(error, apsw.SQLError) or getattr(error, "error_offset", -1) >= 0:
        return error
    cursor = handle.cursor()
    cursor.exec_trace = _only_prepared
    try:
        cursor.execute(sql, bindings, can_cache=False)
    except apsw.ExecTraceAbort:
        return error
    except REFUSED as again:
        return again if str(again) == str(error) else error
    return error


def _only_prepared(cursor: apsw.Cursor, statement: str, bindings: object) -> bool:
    return False


def advice(sql: str, error: Exception) -> str | None:
    """A hint what to write instead, where SQLite only reports a syntax error."""
    if _LIMITED.match(sql) and str(error).startswith(('near "LIMIT"', 'near "ORDER"')):
        return NO_LIMIT
    return None


@contextmanager
def without_parameters() -> Iterator[None]:
    """Explain the error of a statement with parameters that is not the last, so has no bindings."""
    try:
        yield
    except SqlError as error:
        if error.name != "SQLITE_RANGE":
            raise
        raise SqlError(PARAMETERS, "SQLITE_RANGE") from error


def too_large(actor: ActorId, bytes_max: int) -> LimitExceeded:
    """The error for a database that has no room for more."""
    return LimitExceeded(
        f"{actor}'s database would be larger than {bytes_max} bytes "
        "(DurabilityConfig.sql_bytes_max)"
    )


def too_slow(seconds: float) -> str:
    """Why a statement was interrupted."""
    return f"it took more than {seconds} s (limits.sql_seconds)"


def too_late() -> SqlError:
    """The error for reading a cursor whose turn is over."""
    return SqlError(
        "this cursor had rows left when its turn was committed (the turn ended, called another "
        "actor or waited for sync()); take them before that with .all()",
        "SQLITE_ABORT",
    )


def deleted() -> SqlError:
    """The error for reading a cursor of a database that has been deleted."""
    return SqlError("SQLite query was canceled because the database was deleted.")


def _name(code: int) -> str:
    for names in (apsw.mapping_result_codes, apsw.mapping_extended_result_codes):
        name = names.get(code)
        if isinstance(name, str):
            return name
    return f"SQLITE_{code}"
