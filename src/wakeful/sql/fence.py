"""What user SQL may not do, and how large it may be.

The authorizer is asked when a statement is prepared. Statements of our own (BEGIN and the like)
are prepared with a flag, so that SQLite's statement cache never hands one to the user.

Source: durable-objects.md 1.6 (statements, pragmas, limits); https://sqlite.org/c3ref/set_authorizer.html
"""

from __future__ import annotations

import re
from typing import Final

import apsw
import msgspec

from wakeful.errors import SqlError

RESERVED: Final = "_cf_"
HIDDEN: Final = "_cf_KV"
TRANSACTIONS: Final = (
    "transactions are not opened with SQL: everything a turn does is one transaction, and "
    "ctx.storage.transaction(work) undoes a part of it"
)

_TEMPORARY: Final = frozenset(
    {
        apsw.SQLITE_CREATE_TEMP_INDEX,
        apsw.SQLITE_CREATE_TEMP_TABLE,
        apsw.SQLITE_CREATE_TEMP_TRIGGER,
        apsw.SQLITE_CREATE_TEMP_VIEW,
        apsw.SQLITE_DROP_TEMP_INDEX,
        apsw.SQLITE_DROP_TEMP_TABLE,
        apsw.SQLITE_DROP_TEMP_TRIGGER,
        apsw.SQLITE_DROP_TEMP_VIEW,
    }
)
_NAMING: Final = frozenset(
    {
        apsw.SQLITE_CREATE_INDEX,
        apsw.SQLITE_CREATE_TABLE,
        apsw.SQLITE_CREATE_TRIGGER,
        apsw.SQLITE_CREATE_VIEW,
        apsw.SQLITE_CREATE_VTABLE,
        apsw.SQLITE_DROP_INDEX,
        apsw.SQLITE_DROP_TABLE,
        apsw.SQLITE_DROP_TRIGGER,
        apsw.SQLITE_DROP_VIEW,
        apsw.SQLITE_DROP_VTABLE,
    }
)
_TOUCHING: Final = frozenset(
    {apsw.SQLITE_DELETE, apsw.SQLITE_INSERT, apsw.SQLITE_READ, apsw.SQLITE_UPDATE}
)
_FREE: Final = frozenset(
    {apsw.SQLITE_ANALYZE, apsw.SQLITE_RECURSIVE, apsw.SQLITE_REINDEX, apsw.SQLITE_SELECT}
)
_FUNCTIONS: Final = frozenset(
    {
        "fts3_tokenizer",
        "sqlite_compileoption_get",
        "sqlite_compileoption_used",
        "sqlite_log",
        "sqlite_source_id",
        "sqlite_version",
    }
)
# Functions that Cloudflare's SQLite does not have.
ABSENT: Final = frozenset(
    {
        *("fts3_tokenizer", "geopoly_area", "geopoly_bbox", "geopoly_blob", "geopoly_ccw"),
        *("geopoly_contains_point", "geopoly_debug", "geopoly_group_bbox", "geopoly_json"),
        *("geopoly_overlap", "geopoly_regular", "geopoly_svg", "geopoly_within", "geopoly_xform"),
        *("matchinfo", "median", "offsets", "optimize", "percentile", "percentile_cont"),
        "percentile_disc",
    }
)
# Functions that SQLite has and that are not in Cloudflare's list.
_UNLISTED: Final = frozenset(
    {
        *("ceiling", "fts5", "fts5_get_locale", "fts5_insttoken", "fts5_locale", "fts5_source_id"),
        *("if", "json_array_insert", "json_error_position", "json_pretty", "jsonb_array_insert"),
        *("log10", "power", "rtreedepth", "rtreenode", "subtype", "unistr", "unistr_quote"),
    }
)
MODULES: Final = frozenset({"fts5", "fts5vocab", "rtree", "rtree_i32"})
MODULES_OF_OURS: Final = MODULES | {"geopoly"}
# Pragmas, by what they may be given: a flag or nothing, a name of a table or index, one or nothing,
# nothing.
_OF_FLAGS: Final = frozenset(
    {
        "case_sensitive_like",
        "defer_foreign_keys",
        "foreign_keys",
        "ignore_check_constraints",
        "legacy_alter_table",
        "recursive_triggers",
        "reverse_unordered_selects",
    }
)
_OF_NAMES: Final = frozenset(
    {
        *("foreign_key_list", "index_info", "index_list", "index_xinfo", "table_info"),
        "table_xinfo",
    }
)
_OF_NAMES_OR_ALL: Final = frozenset({"foreign_key_check", "quick_check"})
_TO_READ: Final = frozenset({"data_version", "page_size"})
_FLAGS: Final = ("0", "1", "false", "no", "off", "on", "true", "yes")  # prefixes of flag values
_NUMBER: Final = re.compile(r"[+-]?(?:0x[0-9a-f]+|[0-9]+)", re.IGNORECASE)


class SqlLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How large a statement and its parts may be; the defaults are generous.

    Attributes:
        value_bytes: a text, a blob, a row.
        sql_bytes: the text of a statement.
        columns: of a table, an index, a result.
        variables: parameters of a statement.
        compound: SELECTs joined by UNION and the like.
        expression_depth: nesting of an expression.
        like_bytes: the pattern of LIKE or GLOB (the time it takes grows steeply with it).
        operations: instructions of a compiled statement.
        trigger_depth: triggers that set off triggers.
    """

    value_bytes: int = 64 * 1024 * 1024
    sql_bytes: int = 1_000_000
    columns: int = 2_000
    variables: int = 32_766
    compound: int = 500
    expression_depth: int = 1_000
    like_bytes: int = 1_000
    operations: int = 1_000_000
    trigger_depth: int = 100

    def apply(self, connection: apsw.Connection) -> None:
        """Set the limits on a connection."""
        for limit, value in (
            (apsw.SQLITE_LIMIT_LENGTH, self.value_bytes),
            (apsw.SQLITE_LIMIT_SQL_LENGTH, self.sql_bytes),
            (apsw.SQLITE_LIMIT_COLUMN, self.columns),
            (apsw.SQLITE_LIMIT_VARIABLE_NUMBER, self.variables),
            (apsw.SQLITE_LIMIT_COMPOUND_SELECT, self.compound),
            (apsw.SQLITE_LIMIT_EXPR_DEPTH, self.expression_depth),
            (apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, self.like_bytes),
            (apsw.SQLITE_LIMIT_VDBE_OP, self.operations),
            (apsw.SQLITE_LIMIT_TRIGGER_DEPTH, self.trigger_depth),
            (apsw.SQLITE_LIMIT_ATTACHED, 0),
        ):
            connection.limit(limit, value)


# What Cloudflare enforces (durable-objects.md 1.6); a value may have 2 MB there.
STRICT: Final = SqlLimits(
    value_bytes=2_000_000,
    sql_bytes=100_000,
    columns=100,
    variables=100,
    compound=5,
    expression_depth=100,
    like_bytes=50,
    operations=25_000,
    trigger_depth=10,
)


def check_length(sql: str) -> None:
    """Refuse a text, of one or more statements, that is longer than Cloudflare takes.

    Raises:
        SqlError: it is longer.
    """
    longest = STRICT.sql_bytes
    if len(sql) > longest // 4 and len(sql.encode()) > longest:
        raise SqlError("statement too long", "SQLITE_TOOBIG")


class Hidden:
    """Stands for Cloudflare's table of keys and values, so that naming it gets Cloudflare's error.

    Our databases have no such table. SQLite finds this virtual one and asks the authorizer, which
    refuses.
    """

    def Connect(self, *_: object) -> tuple[str, Hidden]:
        """Make the table: SQLite wants its columns."""
        return "CREATE TABLE hidden(key TEXT, value BLOB)", self

    Create = Connect

    def Disconnect(self) -> None:
        """Do nothing: the table holds nothing."""


class Fence:
    """The authorizer of one connection.

    Args:
        strict: refuse functions and modules that Cloudflare does not have.

    Attributes:
        modules: what virtual tables may be made with.
        ours: the statement being prepared is not the user's.
        renaming: the table that a statement of the user's alters, whose new name is to be checked.
        reason: why the last statement was refused, if there is more to say than "not authorized".
    """

    __slots__ = ("_strict", "modules", "ours", "reason", "renaming")

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self.modules = MODULES if strict else MODULES_OF_OURS
        self.ours = False
        self.reason: str | None = None
        self.renaming: str | None = None

    def allows(
        self,
        operation: int,
        first: str | None,
        second: str | None,
        database: str | None,
        trigger: str | None,
    ) -> int:
        """Whether a statement that does this may be prepared."""
        if self.ours or operation in _FREE:
            return apsw.SQLITE_OK
        if operation in _TEMPORARY or (operation in _NAMING and database == "temp"):
            self.reason = "there are no temporary tables, views and triggers: a turn is short"
            return apsw.SQLITE_DENY
        if operation == apsw.SQLITE_PRAGMA:
            allowed = database != "temp" and _allows_pragma((first or "").lower(), second)
            return apsw.SQLITE_OK if allowed else apsw.SQLITE_DENY
        return apsw.SQLITE_OK if self._allows(operation, first, second) else apsw.SQLITE_DENY

    def _allows(self, operation: int, first: str | None, second: str | None) -> bool:
        if operation in _TOUCHING:
            return not _reserved(first)
        if operation in _NAMING:
            return not _reserved(first, second) and (
                operation != apsw.SQLITE_CREATE_VTABLE or (second or "").lower() in self.modules
            )
        if operation == apsw.SQLITE_FUNCTION:
            name = (second or "").lower()
            if self._strict and (name in _UNLISTED or name in ABSENT):
                return False
            return name not in _FUNCTIONS
        if operation == apsw.SQLITE_ALTER_TABLE:
            self.renaming = second
            return not _reserved(second)
        if operation in (apsw.SQLITE_TRANSACTION, apsw.SQLITE_SAVEPOINT):
            self.reason = TRANSACTIONS
        return False


def _reserved(*names: str | None) -> bool:
    return any(name is not None and name.lower().startswith(RESERVED) for name in names)


def _allows_pragma(name: str, value: str | None) -> bool:
    if name in _OF_FLAGS:
        return value is None or value.lower().startswith(_FLAGS)
    if name in _OF_NAMES:
        return value is not None and not _reserved(value)
    if name in _OF_NAMES_OR_ALL:
        return not _reserved(value)
    if name == "optimize":
        return value is None or _NUMBER.fullmatch(value) is not None
    return name == "table_list" or (value is None and name in _TO_READ)
