"""All databases of one runtime: opens their handles, and keeps not too many of them open."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from typing import Final, cast

import apsw

from wakeful.facet import Persistence
from wakeful.ids import ActorId
from wakeful.sql.database import SqlDatabase
from wakeful.sql.fence import HIDDEN, STRICT, Fence, Hidden, SqlLimits
from wakeful.sql.pages import PAGE_BYTES, Pages
from wakeful.sql.vfs import PageDisk

StoredPage = Callable[[ActorId, int], bytes | None]

STATEMENTS: Final = 32  # kept compiled per handle; apsw's default is 100
PROGRESS_STEPS: Final = 20_000  # virtual machine steps between two looks at the clock: some 1 ms
ROOM_TRIES: Final = 16  # oldest handles looked at; if all are in use, the limit is exceeded
_HIDDEN: Final = Hidden()
_GENEROUS: Final = SqlLimits()


class Databases:
    """Makes databases and holds their open handles, least recently used first.

    Args:
        stored: reads a page of the store.
        handles: handles open at once; those in a turn stay open even if there are more.
        cache_bytes: SQLite's page cache, per handle.
        turn_bytes: pages one turn may change.
        seconds: how long one statement, or one step to its next row, may take.
        now_ns: the clock for that.
    """

    def __init__(
        self,
        stored: StoredPage,
        *,
        handles: int = 1_000,
        cache_bytes: int = 1024 * 1024,
        turn_bytes: int = 64 * 1024 * 1024,
        seconds: float = 5.0,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.now_ns = now_ns
        self._stored = stored
        self._handles_max = handles
        self._cache_bytes = cache_bytes
        self._turn_pages = max(1, turn_bytes // PAGE_BYTES)
        self._seconds = seconds
        self._disk = PageDisk()
        self._open: OrderedDict[SqlDatabase, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def open(
        self, actor: ActorId, persistence: Persistence, pending: Callable[[], bool]
    ) -> SqlDatabase:
        """The database of an activation; its handle is opened when it is first used.

        Args:
            pending: whether a record of the activation is not durable yet.
        """
        stored = self._stored
        pages = Pages(lambda number: stored(actor, number), self._turn_pages)
        return SqlDatabase(self, actor, pages, persistence, pending=pending, seconds=self._seconds)

    def connect(self, database: SqlDatabase, pages: Pages, fence: Fence) -> apsw.Connection:
        """Open a handle, and close others if there are too many."""
        key = self._disk.add(pages)
        try:
            handle = apsw.Connection(key, vfs=self._disk.name, statementcachesize=STATEMENTS)
        except BaseException:
            self._disk.remove(key)
            raise
        persistence = database.persistence
        try:
            handle.execute(
                f"PRAGMA page_size={PAGE_BYTES}; PRAGMA journal_mode=memory;"
                " PRAGMA locking_mode=exclusive; PRAGMA synchronous=off; PRAGMA temp_store=memory;"
                f" PRAGMA cache_size=-{max(1, self._cache_bytes // 1024)};"
                " PRAGMA foreign_keys=on;"
                f" PRAGMA max_page_count={max(1, persistence.sql_bytes_max // PAGE_BYTES)}",
                can_cache=False,
            ).fetchall()
            handle.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
            (STRICT if persistence.sql_strict else _GENEROUS).apply(handle)
            handle.drop_modules(fence.modules)  # some provide tables without a CREATE
            if persistence.sql_strict:
                handle.create_module(HIDDEN, cast("apsw.VTModule", _HIDDEN), eponymous=True)
            handle.set_progress_handler(database.overtime, PROGRESS_STEPS)
            handle.authorizer = fence.allows
        except BaseException:
            handle.close(True)
            self._disk.remove(key)
            raise
        self._open[database] = key
        if len(self._open) > self._handles_max:
            self._make_room()
        return handle

    def used(self, database: SqlDatabase) -> None:
        """Note that a database's handle was used just now."""
        self._open.move_to_end(database)

    def closed(self, database: SqlDatabase) -> None:
        """Note that a handle is being closed."""
        self._disk.remove(self._open.pop(database))

    def close(self) -> None:
        """Close all handles. No database can be used after it."""
        for database in list(self._open):
            database.close()
        self._disk.unregister()

    def _make_room(self) -> None:
        newest = next(reversed(self._open))
        for database in list(islice(self._open, ROOM_TRIES)):
            if len(self._open) <= self._handles_max or database is newest:
                return
            database.rest()
