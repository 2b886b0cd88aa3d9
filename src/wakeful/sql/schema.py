"""Statements that read a database's schema, and statements that remove or rename its parts."""

from __future__ import annotations

from typing import Final

from wakeful.ports import SqlValue
from wakeful.sql.fence import RESERVED

OBJECTS: Final = (
    "SELECT type, name, sql LIKE 'CREATE VIRTUAL%' FROM sqlite_schema"
    " WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY 3 DESC"
)
RENAMED: Final = (
    f"SELECT name FROM sqlite_schema WHERE substr(lower(name), 1, {len(RESERVED)}) = '{RESERVED}'"
)


def dropping(kind: SqlValue, name: SqlValue) -> str:
    """The statement that removes a table or a view."""
    return f"DROP {kind!s} {_quoted(name)}"


def renaming(name: SqlValue, to: SqlValue) -> str:
    """The statement that gives a table another name."""
    return f"ALTER TABLE {_quoted(name)} RENAME TO {_quoted(to)}"


def _quoted(name: SqlValue) -> str:
    return '"' + str(name).replace('"', '""') + '"'
