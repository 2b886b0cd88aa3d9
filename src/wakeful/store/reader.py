"""The reading connection to a partition file, for the loop's thread.

Invariants: no statement stays open between two calls: a checkpoint never waits for a reader.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Final

import apsw

from wakeful.errors import StorageCorrupt, StorageError
from wakeful.ports import Cells
from wakeful.store import checksums
from wakeful.store.limits import Limits
from wakeful.store.schema import quick_check
from wakeful.store.storage_errors import storage_error

_CELLS: Final = "SELECT key, value FROM cells WHERE type = ? AND name = ?"
# Jumps from one value to the next instead of reading every cell in between.
_NAMES: Final = """
WITH RECURSIVE found(name) AS (
    SELECT * FROM (SELECT name FROM {table} WHERE type = ?1 AND name >= ?2 ORDER BY name LIMIT 1)
    UNION ALL
    SELECT (SELECT name FROM {table} WHERE type = ?1 AND name > found.name ORDER BY name LIMIT 1)
    FROM found WHERE found.name IS NOT NULL LIMIT ?3
) SELECT name FROM found WHERE name IS NOT NULL
"""
_TYPES: Final = """
WITH RECURSIVE found(type) AS (
    SELECT * FROM (SELECT type FROM {table} ORDER BY type LIMIT 1)
    UNION ALL
    SELECT (SELECT type FROM {table} WHERE type > found.type ORDER BY type LIMIT 1)
    FROM found WHERE found.type IS NOT NULL
) SELECT type FROM found WHERE type IS NOT NULL
"""
_TABLES: Final = ("cells", "pages")
_NAMES_IN: Final = {table: _NAMES.format(table=table) for table in _TABLES}
_TYPES_IN: Final = {table: _TYPES.format(table=table) for table in _TABLES}
_PAGE: Final = "SELECT data FROM pages WHERE type = ? AND name = ? AND page = ?"
_NUMBERS: Final = "SELECT page FROM pages WHERE type = ? AND name = ?"
_ALARMS: Final = (
    "SELECT value, name FROM cells WHERE key = 'a' AND type = ? AND value < ?"
    " AND (value, name) > (?, ?) ORDER BY value, name LIMIT ?"
)
_EPOCH: Final = "SELECT value FROM meta WHERE key = 'epoch'"
_ALARMS_AT_ONCE: Final = 256
_NAMES_AT_ONCE: Final = 128


class Reader:
    """Reads folded cells and pages.

    Args:
        path: the file.
        limits: how long to wait for others.
        vfs: the name of an apsw VFS.
        checking: leave the log as it is when this is the last to close the file.
        verify: compare pages with their checksums.
    """

    def __init__(
        self,
        path: str,
        limits: Limits,
        vfs: str | None,
        *,
        checking: bool = False,
        verify: bool = True,
    ) -> None:
        self._path = path
        self._connection = apsw.Connection(path, vfs=vfs or checksums.vfs())
        self._connection.set_busy_timeout(limits.busy_timeout_ms)
        for pragma in ("query_only=1", "wal_autocheckpoint=0", "temp_store=memory"):
            self._connection.execute(f"PRAGMA {pragma}")
        if checking:
            self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        if not verify:
            self._connection.execute("PRAGMA checksum_verification=off")

    def cells(self, key: tuple[str, str]) -> Cells:
        """An actor's cells.

        Raises:
            StorageCorrupt: they are damaged.
        """
        try:
            return dict(self._connection.execute(_CELLS, key))
        except apsw.Error as error:
            raise self._unreadable(key, "its cells", error) from error

    def page(self, key: tuple[str, str], number: int) -> bytes | None:
        """A page of an actor.

        Raises:
            StorageCorrupt: it is damaged.
        """
        try:
            page: bytes | None = self._connection.execute(_PAGE, (*key, number)).get
        except apsw.Error as error:
            raise self._unreadable(key, f"page {number} of its SQL database", error) from error
        return page

    def numbers(self, key: tuple[str, str]) -> list[int]:
        """Which pages an actor has.

        Raises:
            StorageCorrupt: that is damaged.
        """
        try:
            rows: list[tuple[int]] = self._connection.execute(_NUMBERS, key).fetchall()  # type: ignore[assignment]
        except apsw.Error as error:
            raise self._unreadable(key, "its SQL database", error) from error
        return [number for (number,) in rows]

    def names(self, type: str, start: str) -> Iterator[str]:
        """A type's names that are not before start, in order; one may come twice."""
        return heapq.merge(*(self._names(table, type, start) for table in _TABLES))

    def _names(self, table: str, type: str, start: str) -> Iterator[str]:
        sql = _NAMES_IN[table]
        while True:
            rows = self._connection.execute(sql, (type, start, _NAMES_AT_ONCE)).fetchall()
            names = [str(name) for (name,) in rows]
            yield from names
            if len(names) < _NAMES_AT_ONCE:
                return
            start = names[-1] + "\0"  # the least text after it

    def types(self) -> list[str]:
        """The types that have cells or pages; one may come twice."""
        return [type for table in _TABLES for type in self._types_in(table)]

    def _types_in(self, table: str) -> list[str]:
        rows = self._connection.execute(_TYPES_IN[table]).fetchall()
        return [str(type) for (type,) in rows]

    def alarms(
        self, until: bytes, types: Collection[str] | None
    ) -> Iterator[tuple[bytes, tuple[str, str]]]:
        """The alarm cells with a lesser value, in order; of some types or of all."""
        kinds = self._types_in("cells") if types is None else types
        return heapq.merge(*(self._alarms(until, type) for type in kinds))

    def _alarms(self, until: bytes, type: str) -> Iterator[tuple[bytes, tuple[str, str]]]:
        after: tuple[object, ...] = (b"", "")
        while True:
            bounds = (type, until, *after, _ALARMS_AT_ONCE)
            rows = self._connection.execute(_ALARMS, bounds).fetchall()
            for cell, name in rows:
                assert isinstance(cell, bytes)
                yield cell, (type, str(name))
            if len(rows) < _ALARMS_AT_ONCE:
                return
            after = rows[-1]

    def _unreadable(self, key: tuple[str, str], what: str, error: apsw.Error) -> StorageError:
        found = storage_error(error, self._path)
        if isinstance(found, StorageCorrupt):
            return StorageCorrupt(f"{key[0]}/{key[1]}: {what} cannot be read: {found}")
        return found

    def epoch(self) -> int:
        """What the file's last owner writes with."""
        return int(self._connection.execute(_EPOCH).get)

    def check(self) -> None:
        """Read the whole file and compare it with itself.

        Raises:
            StorageCorrupt: something is wrong; says what.
        """
        if not quick_check(self._connection, self._path):
            raise StorageCorrupt(f"{self._path} is damaged: a page does not match its checksum")

    def close(self) -> None:
        """Close the connection."""
        with suppress(apsw.Error):  # nothing depends on it
            self._connection.close(True)
