"""One actor's database: turns that are transactions, pages that go with the commit record.

A turn's first statement opens a transaction, unless it only writes: SQLite commits that one by
itself, and a second statement opens the transaction then. At the commit point `prepare` commits it
in SQLite, which writes the changed pages; `commit` takes them over, or `undo` gives them up, also
after `prepare`. The connection (the *handle*) is opened when needed, and may be closed between
turns.

Invariants: outside of a turn SQLite has no transaction; what `undo` leaves is the last commit
            point; an error that made SQLite roll the turn back is met by every later statement
            of the turn and by its commit point.
Source:     DESIGN.md 3 (SQL per object); durable-objects.md 1.6, 2.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Final

import apsw

from wakeful.core.working_set import COMMIT_POINT
from wakeful.errors import LimitExceeded, SqlError, StorageClosed, WakefulError
from wakeful.ids import ActorId
from wakeful.ports import CommitRecord, SqlRow, SqlValue
from wakeful.sql import sql_errors
from wakeful.sql.cursor import Cursor
from wakeful.sql.face import NativeSql
from wakeful.sql.fence import RESERVED, Fence, check_length
from wakeful.sql.handles import Handles
from wakeful.sql.open_cursors import OpenCursors
from wakeful.sql.pages import PAGE_BYTES, Pages
from wakeful.sql.programs import UPDATES, Written, counted, entries_written, program, watch_updates
from wakeful.sql.schema import OBJECTS, RENAMED, dropping, renaming
from wakeful.sql.sql_errors import (
    REFUSED,
    advice,
    deleted,
    sql_error,
    too_large,
    too_late,
    too_slow,
    without_parameters,
)
from wakeful.sql.statements import WHITE, is_blank, only_writes, pieces, split
from wakeful.sql.steps import Steps

if TYPE_CHECKING:
    from wakeful.facet import Persistence

LOST: Final = -1  # a mark made after SQLite has rolled the turn back
SHORT: Final = 1_000  # characters of a statement that is inspected before SQLite sees it


class Stage(Enum):
    """How far the turn under way is."""

    IDLE = "idle"  # nothing done yet
    OPEN = "open"  # in SQLite's transaction
    PREPARED = "prepared"  # committed in SQLite, not taken over; more statements may follow


class SqlDatabase:
    """The database of one activation."""

    __slots__ = (
        "__weakref__",
        "_actor",
        "_committed",
        "_cursors",
        "_dropped",
        "_failure",
        "_fence",
        "_gone",
        "_handle",
        "_handles",
        "_pages",
        "_pending",
        "_savepoints",
        "_savepoints_made",
        "_stage",
        "_steps",
        "persistence",
    )

    def __init__(
        self,
        handles: Handles,
        actor: ActorId,
        pages: Pages,
        persistence: Persistence,
        *,
        pending: Callable[[], bool],
        seconds: float,
    ) -> None:
        self.persistence = persistence
        self._actor = actor
        self._handles = handles
        self._pages = pages
        self._pending = pending
        self._handle: apsw.Connection | None = None
        self._fence = Fence(strict=persistence.sql_strict)
        self._steps = Steps(self._fence, handles.now_ns, seconds)
        self._stage = Stage.IDLE
        self._cursors = OpenCursors()
        self._savepoints: list[int] = []
        self._savepoints_made = 0
        self._failure: WakefulError | None = None
        self._dropped = False
        self._committed = False
        self._gone = False

    @property
    def face(self) -> NativeSql:
        """The object that user code gets; made on each access, to avoid a reference cycle."""
        return NativeSql(self)

    @property
    def overtime(self) -> Callable[[], bool]:
        """Whether the present step has taken too long; SQLite calls this now and then."""
        return self._steps.overtime

    @property
    def idle(self) -> bool:
        """Whether no turn is using the handle."""
        return self._stage is Stage.IDLE

    @property
    def touched(self) -> bool:
        """Whether the turn has changed anything; may be True without a change."""
        if self._failure is not None or self._pages.changed:
            return True
        handle = self._handle
        return (
            self._stage is Stage.OPEN
            and handle is not None
            and handle.txn_state("main") == apsw.SQLITE_TXN_WRITE
        )

    @property
    def size_bytes(self) -> int:
        """The bytes of the database without its free pages; at least one page."""
        handle = self._begin()
        count = self._ask(handle, "PRAGMA page_count") - self._ask(handle, "PRAGMA freelist_count")
        return max(1, count) * PAGE_BYTES

    def execute(self, sql: str, bindings: Sequence[SqlValue] = ()) -> Cursor:
        """Run statements up to the first row of the last, which gets the bindings.

        Raises:
            SqlError: SQLite or the fence refuses, or it took too long.
            LimitExceeded: the database or the turn would be too large.
            StorageError: a page could not be read.
        """
        if self._stage is Stage.IDLE and len(sql) <= SHORT and only_writes(sql):
            alone = self._run_alone(sql, bindings)
            if alone is not None:
                return alone
        handle = self._begin()
        if self.persistence.sql_strict:
            check_length(sql)
            last = sql = sql.rstrip(WHITE)
        else:
            last = sql.rstrip("; \n\r\t")
        if ";" in last[:-1] or not last.lstrip()[:1].isalpha():
            last = self._run_all_but_last(handle, sql)
        return self._run(handle, last, bindings)

    # --- the turn --------------------------------------------------------------------------------

    def prepare(self) -> bool:
        """Commit the turn in SQLite; `undo` can still undo it. Returns whether a page changed.

        Raises:
            SqlError: a deferred constraint is violated.
            LimitExceeded: the turn or the database is too large.
            WakefulError: SQLite has rolled the turn back for this error.
        """
        if self._failure is not None:
            raise self._failure
        if self._stage is not Stage.OPEN:
            return self._pages.changed
        assert self._handle is not None
        self._cursors.end(too_late)
        if self._dropped:
            objects = self._steps.rows(self._handle, OBJECTS)
            self._dropped = not objects
        try:
            self._steps.ours(self._handle, "COMMIT")
        except REFUSED as error:
            raise self._error(error) from error
        self._stage = Stage.PREPARED
        self._committed = True
        if self._dropped:
            self._close()
            self._pages.truncate(0)
            self._dropped = False
        if not (changed := self._pages.changed):
            self._forget_turn()
        return changed

    def commit(self) -> None:
        """Make what `prepare` has written the last commit point."""
        assert self._stage is Stage.PREPARED, "commit comes after prepare"
        self._forget_turn()
        self._pages.save()

    def undo(self, mark: int = COMMIT_POINT) -> None:
        """Undo what was done since a mark; by default since the last commit point."""
        if mark == COMMIT_POINT:
            self._undo_turn()
        elif self._failure is None and mark in self._savepoints:
            assert self._handle is not None
            self._steps.ours(self._handle, f"ROLLBACK TO s{mark}")  # open cursors may go on
            self._release(mark)

    def _undo_turn(self) -> None:
        stage, failure = self._stage, self._failure
        self._cursors.end(too_late)
        if stage is Stage.OPEN and failure is None and not self._committed:
            assert self._handle is not None
            try:
                self._steps.ours(self._handle, "ROLLBACK")
            except REFUSED:
                self._close()
        elif failure is not None or stage is Stage.OPEN or self._pages.changed:
            self._close()  # the handle has cached pages that are discarded now
        self._pages.discard()
        self._forget_turn()

    def take(self, record: CommitRecord) -> None:
        """Put the pages changed since the last record into this one."""
        record.pages = self._pages.take()

    def mark(self) -> int:
        """A mark that `undo` can return to; valid until the next commit point."""
        if self._failure is not None:
            return LOST
        if self._stage is Stage.PREPARED:
            self._begin()  # keep what the turn did before the mark
        if self._stage is not Stage.OPEN:
            return COMMIT_POINT
        assert self._handle is not None
        self._savepoints_made += 1
        mark = self._savepoints_made
        self._steps.ours(self._handle, f"SAVEPOINT s{mark}")
        self._savepoints.append(mark)
        return mark

    def release(self, mark: int) -> None:
        """Keep what was done since the mark."""
        if self._failure is None and self._savepoints and self._savepoints[-1] == mark:
            self._release(mark)

    def drop(self) -> None:
        """Remove all tables; at the commit point the pages go too."""
        if self._stage is Stage.IDLE and not self._pages.count:
            return
        handle = self._begin()
        self._cursors.end(deleted)
        handle.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 0)
        try:
            while objects := self._steps.rows(handle, OBJECTS):
                kind, name, _ = objects[0]
                self._steps.ours(handle, dropping(kind, name))
        except REFUSED as error:
            raise self._error(error) from error
        finally:
            handle.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 1)
        self._dropped = True

    def rest(self) -> bool:
        """Close the handle if no turn uses it; whether it is closed."""
        if self.idle:
            self._close()
            if self._pages.kept and not self._pending():
                self._pages.settled()
        return self._handle is None

    def close(self) -> None:
        """Close the database of an activation that is gone; `take` still gives what was saved."""
        self._gone = True
        self._cursors.end(too_late)
        self._close()
        self._pages.discard()
        self._forget_turn()
        self._pending = _nothing_pending  # breaks a reference cycle through the activation

    # --- for cursors -----------------------------------------------------------------------------

    def following(self, cursor: Cursor, rows: apsw.Cursor) -> SqlRow | None:
        """The next row."""
        self._steps.begin()
        try:
            row: SqlRow | None = next(rows, None)
        except REFUSED as error:
            self._cursors.forget(cursor)
            raise self._error(error) from error
        if row is None:
            self._cursors.forget(cursor)
        return row

    def remaining(self, cursor: Cursor, rows: apsw.Cursor) -> list[SqlRow]:
        """All rows that are left."""
        self._steps.begin()
        self._cursors.forget(cursor)
        try:
            return rows.fetchall()
        except REFUSED as error:
            raise self._error(error) from error

    def forget(self, cursor: Cursor) -> None:
        """Forget a cursor that will not be read any more."""
        self._cursors.forget(cursor)

    def columns_of(self, sql: str, bindings: Sequence[SqlValue]) -> tuple[str, ...]:
        """The columns a statement has, whether or not it has rows."""
        found: list[str] = []

        def look(cursor: apsw.Cursor, statement: str, bindings: object) -> bool:
            found.extend(name for name, _ in cursor.get_description())
            return False

        cursor = self._begin().cursor()
        cursor.exec_trace = look
        # One that cannot be prepared again has changed the schema, and such a one has no columns.
        with suppress(apsw.ExecTraceAbort, apsw.SQLError):
            cursor.execute(sql, bindings, can_cache=False)
        return tuple(found)

    # --- inside ----------------------------------------------------------------------------------

    def _begin(self) -> apsw.Connection:
        handle = self._handle
        if self._stage is Stage.OPEN and self._failure is None:
            assert handle is not None
            return handle
        if self._failure is not None:
            raise self._failure
        if self._gone:
            raise StorageClosed(f"{self._actor}: this activation is gone, and its SQL with it")
        if handle is None:
            if not self._pending():
                self._pages.settled()
            try:
                handle = self._handle = self._handles.connect(self, self._pages, self._fence)
            except REFUSED as error:
                raise self._error(error) from error
        self._handles.used(self)
        self._steps.ours(handle, "BEGIN")
        self._stage = Stage.OPEN
        return handle

    def _run_alone(self, sql: str, bindings: Sequence[SqlValue]) -> Cursor | None:
        """Run the first statement of a turn, which SQLite commits; None: run it in a transaction.

        A statement that failed must be run again in a transaction, where its effect is another:
        it may pass for now (a deferred constraint), or end the turn. A failed run changes nothing.
        """
        handle = self._handle
        if handle is None or self._failure is not None:
            return None
        if self.persistence.sql_strict and UPDATES.search(sql):
            return None
        self._handles.used(self)
        self._steps.begin()
        before = handle.total_changes()
        try:
            rows = handle.execute(sql, bindings)
            cursor = Cursor(self, sql, bindings, rows, next(rows, None))
            cursor.read_all()  # of a RETURNING: SQLite commits after the last row
        except apsw.InterruptError as error:
            self._failure = self._error(error)  # as it would have been in a transaction
            raise self._failure from error
        except REFUSED:
            self._pages.error = self._fence.reason = None
            return None
        if self._pages.changed:
            self._stage, self._committed = Stage.PREPARED, True
        self._count(cursor, sql, bindings, before, None)
        return cursor

    def _run(self, handle: apsw.Connection, sql: str, bindings: Sequence[SqlValue]) -> Cursor:
        self._steps.begin()
        before = handle.total_changes()
        updates: list[int] | None = None
        if self.persistence.sql_strict and UPDATES.search(sql):
            updates = watch_updates(handle)
        try:
            rows = handle.execute(sql, bindings)
            first: SqlRow | None = next(rows, None)
        except REFUSED as error:
            self._fence.reason = self._fence.reason or advice(sql, error)
            raise self._error(sql_errors.placed(error, handle, sql, bindings)) from error
        finally:
            if updates is not None:
                handle.set_update_hook(None)
        if self._fence.renaming is not None:
            self._check_renaming(handle)
        cursor = Cursor(self, sql, bindings, rows, first)
        if first is not None:
            if rows.is_readonly:
                self._cursors.add(cursor)
                return cursor
            cursor.take_all()  # a RETURNING: SQLite has done everything and keeps the rows
        self._count(cursor, sql, bindings, before, updates)
        return cursor

    def _count(
        self,
        cursor: Cursor,
        sql: str,
        bindings: Sequence[SqlValue],
        before: int,
        updates: list[int] | None,
    ) -> None:
        """Give a cursor the counts of what its statement has written."""
        assert self._handle is not None
        written = self._handle.total_changes() - before
        if written:
            cursor.rows_written = written
            parts = counted(written, self._handle.changes(), updates)
            cursor.count_entries = partial(self._entries_written, sql, bindings, parts)

    def _run_all_but_last(self, handle: apsw.Connection, sql: str) -> str:
        strict = self.persistence.sql_strict
        *earlier, last = (pieces(sql) if strict else split(sql)) or [""]
        for statement in earlier:
            with without_parameters():
                self._run(handle, statement, ()).close()
        if is_blank(last):
            raise SqlError("SQL code did not contain a statement.")
        return last

    def _entries_written(self, sql: str, bindings: Sequence[SqlValue], written: Written) -> int:
        handle, self._fence.ours = self._begin(), True
        try:
            return entries_written(program(handle, sql, bindings), written)
        finally:
            self._fence.ours = False

    def _check_renaming(self, handle: apsw.Connection) -> None:
        """Check a table's new name, which the authorizer does not see; undo a forbidden one."""
        before, self._fence.renaming = self._fence.renaming, None
        for (name,) in self._steps.rows(handle, RENAMED):
            self._steps.ours(handle, renaming(name, before))
            raise SqlError(f"not authorized: names starting with {RESERVED}", "SQLITE_AUTH")

    def _error(self, error: Exception) -> WakefulError:
        """The error to raise; if SQLite has rolled the turn back, the turn's failure too."""
        fence, pages, handle = self._fence, self._pages, self._handle
        reason, fence.reason, fence.renaming = fence.reason, None, None
        lost = self._stage is Stage.OPEN and (handle is None or not handle.in_transaction)
        found: WakefulError
        if pages.error is not None:
            found, pages.error = pages.error, None
            lost = lost or not isinstance(found, LimitExceeded)
        elif isinstance(error, apsw.FullError):
            found = too_large(self._actor, self.persistence.sql_bytes_max)
        else:
            late = isinstance(error, apsw.InterruptError)
            found = sql_error(error, too_slow(self._steps.seconds) if late else reason)
        if lost:
            self._failure = found
        return found

    def _ask(self, handle: apsw.Connection, sql: str) -> int:
        try:
            value = self._steps.rows(handle, sql)[0][0]
        except REFUSED as error:
            raise self._error(error) from error
        assert isinstance(value, int)
        return value

    def _release(self, mark: int) -> None:
        assert self._handle is not None
        self._steps.ours(self._handle, f"RELEASE s{mark}")
        del self._savepoints[self._savepoints.index(mark) :]

    def _forget_turn(self) -> None:
        self._stage = Stage.IDLE
        self._failure = None
        self._dropped = False
        self._committed = False
        if self._savepoints_made:
            self._savepoints.clear()
            self._savepoints_made = 0

    def _close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            self._handles.closed(self)
            handle.close(True)


def _nothing_pending() -> bool:
    return False
