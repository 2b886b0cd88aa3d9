"""The writing connection to a partition file: every statement that changes it is here.

Invariants: a commit is one autocommit statement, durable by one fsync of the write-ahead log; every
            change compares the epoch in the statement that makes it; folding does not wait for the
            disk, because the log is written in order: whatever outlives a crash is a prefix of it.
Source:     one statement per commit, since each call into SQLite lets other threads run, and a busy
            loop gives the turn back only after Python's switch interval of 5 ms.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import Final, TypeVar

import apsw
import msgspec

from wakeful.errors import Fenced, StorageCorrupt, StorageUnavailable, UnknownOutcome
from wakeful.log import logger
from wakeful.ports import CommitRecord
from wakeful.store import checksums, journal
from wakeful.store.checksums import is_mismatch, reserve
from wakeful.store.identity import OpenFiles
from wakeful.store.journal import Logged
from wakeful.store.limits import Limits
from wakeful.store.mark import Mark
from wakeful.store.room import KEPT_EVERY_BYTES, Room
from wakeful.store.schema import check_verifying, format_version, migrate, quick_check
from wakeful.store.storage_errors import storage_error

T = TypeVar("T")
PAGE_BYTES: Final = 4096
NOTED_EVERY: Final = 64  # batches, under a load that leaves no time to note each
SQLiteValue = str | bytes | int
_OURS: Final = "(SELECT value FROM meta WHERE key = 'epoch') = ?2"
_APPEND: Final = f"INSERT INTO journal SELECT ?1, ?3 WHERE {_OURS}"
# Rows go in as parameters of one statement: twice as fast as JSON, and one turn for all of them.
# A few sizes of statement are enough, as repeating the last row changes nothing.
_ROWS: Final = (1, 4, 16, 64, 256)
_PUT: Final = (
    "INSERT INTO {table} SELECT * FROM (VALUES {rows})"
    " WHERE (SELECT value FROM meta WHERE key = 'epoch') = ?"
    " ON CONFLICT DO UPDATE SET {value} = excluded.{value}"
)
_DELETE: Final = (
    "DELETE FROM {table} WHERE ({columns}) IN (VALUES {rows})"
    " AND (SELECT value FROM meta WHERE key = 'epoch') = ?"
)
_FORGET: Final = f"DELETE FROM journal WHERE seq < ?1 AND {_OURS}"


def _statements(sql: str, width: int, **parts: str) -> dict[int, str]:
    row = f"({','.join('?' * width)})"
    return {rows: sql.format(rows=",".join([row] * rows), **parts) for rows in _ROWS}


_PUTS: Final = _statements(_PUT, 4, table="cells", value="value")
_PAGE_PUTS: Final = _statements(_PUT, 4, table="pages", value="data")
_DELETES: Final = _statements(_DELETE, 3, table="cells", columns="type, name, key")
_PAGE_DELETES: Final = _statements(_DELETE, 3, table="pages", columns="type, name, page")
_WIPES: Final = _statements(_DELETE, 2, table="cells", columns="type, name")
_PAGE_WIPES: Final = _statements(_DELETE, 2, table="pages", columns="type, name")
_EPOCH: Final = "SELECT value FROM meta WHERE key = 'epoch'"
_REPLAY: Final = "SELECT seq, CAST(batch AS BLOB) FROM journal ORDER BY seq"
_FOUND: Final = "SELECT seq FROM journal WHERE seq = ?"
_SETTLE: Final = "UPDATE meta SET value = value + 1 WHERE key = 'settled'"
_LAST: Final = "SELECT seq, CAST(batch AS BLOB) FROM journal ORDER BY seq DESC LIMIT 1"
_OWN: Final = (
    "UPDATE meta SET value = CASE key WHEN 'epoch' THEN value + 1 ELSE 0 END"
    " WHERE key IN ('epoch', 'clean')"
)
_CLEAN: Final = f"UPDATE meta SET value = ?1 WHERE key = 'clean' AND {_OURS}"


class Meta(msgspec.Struct, frozen=True):
    """What a partition file says about itself.

    Attributes:
        id: which file it is; empty in older formats.
    """

    epoch: int
    clean: int
    shards: int
    id: str = ""


class Writer:
    """The one connection that writes to a partition file; used by one thread at a time.

    Attributes:
        epoch: what this owner writes with.
        wal_bytes: about how much the log has grown since the last checkpoint.
        seq: the last batch that is durable.
        time_ns: when it was written, if it says so.
        files: whether the file and its log are still where they were opened.
        room: what is done when the disk is full.
    """

    def __init__(self, path: str, limits: Limits, vfs: str | None) -> None:
        self.path = path
        self.epoch = 0
        self.wal_bytes = 0
        self.seq = 0
        self.time_ns: int | None = None
        self.limits = limits
        self.vfs = vfs
        self.files = OpenFiles()
        self.room = Room(path, limits, lambda: self._connection)
        self._log = f"{os.path.realpath(path)}-wal"  # where SQLite has it
        self._mark: Mark | None = None
        self._durable = True  # is `synchronous` FULL?
        self._connection = self._connect()
        self.files.add(path)

    def open(self, shards: int) -> Meta:
        """Migrate, check, and take ownership.

        Raises:
            FormatTooNew, StorageCorrupt, apsw.Error.
        """
        self.prepare(shards)
        return self.own()

    def prepare(self, shards: int) -> Meta:
        """Migrate and check; a file of the present format stays as it is, and so does its log.

        Raises:
            FormatTooNew, StorageCorrupt, apsw.Error.
        """
        connection = self._connection
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        version = format_version(connection, self.path)
        if not version:
            reserve(connection)
        connection.execute("PRAGMA journal_mode=wal")
        check_verifying(connection, migrate(connection, version, shards), self.path)
        if not version:  # what it is must not depend on its log
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        meta = self._meta()
        small = self._size_bytes() <= self.limits.check_bytes_max
        if not meta.clean and small and not quick_check(connection, self.path):
            said = "a page does not match its checksum: `wakeful check` says who cannot be read"
            logger().error(said, file=self.path)
        for seq, blob in connection.execute(_LAST):
            self.seq, self.time_ns = seq, self._decoded(seq, blob, journal.time_of)
        return meta

    def settle(self) -> None:
        """Copy the log into the file, sync that, and begin the log anew.

        After a failed fsync the system may show what it will not write any more. What was read from
        the log is then written a second time, so that the file does not depend on it.

        Raises:
            apsw.Error: it is not settled, and nothing is to be built on it.
        """
        self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def own(self) -> Meta:
        """Take ownership of a file that is prepared."""
        self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
        self._execute(_OWN, ())
        meta = self._meta()
        self.epoch = meta.epoch
        self.files.add(self._log)
        if meta.id:
            self._mark = Mark(self.path, meta.id, meta.epoch)
            self.note()
            self._mark.sync()
        self.room.keep(self.files, 0)
        if self.room.short:
            self.room.refill()
        return meta

    def replay(self) -> Iterator[tuple[int, list[Logged], int]]:
        """The journal's batches in order: seq, records, size of the row.

        Raises:
            StorageCorrupt: a row is damaged or missing; names it.
        """
        before: int | None = None
        for seq, blob in self._connection.execute(_REPLAY):
            if before is not None and seq != before + 1:
                said = f"{self.path}: rows {before + 1} to {seq - 1} of the journal are missing"
                raise StorageCorrupt(said)
            before = seq
            yield seq, self._decoded(seq, blob, journal.decode), len(blob)

    def note(self) -> None:
        """Put into the mark how far the journal reaches; costs a system call."""
        if self._mark is not None:
            self._mark.note(self.seq, self.time_ns or 0)

    def append(
        self,
        seq: int,
        row: bytes | bytearray,
        records: Sequence[CommitRecord],
        time_ns: int = 0,
    ) -> None:
        """Make a batch durable; records and time are those in its row.

        On a full disk only deletions may use the reserve.

        Raises:
            StorageFull: the disk is full, nothing was written.
            Fenced: another owner has opened the file since; nothing was written.
            UnknownOutcome: it cannot be found out whether it was written.
            StorageError, apsw.Error: nothing was written.
        """
        try:
            self._set_durable(durable=True)
            if self.room.short:
                self.room.admit(records, self.files, self.wal_bytes)
            self._execute(_APPEND, (seq, self.epoch, row), records)
            if self._connection.changes() != 1:
                raise self.fenced()
        except apsw.IOError as error:
            if is_mismatch(error):
                raise storage_error(error, self.path) from error  # it failed while reading
            if not self._settled(seq, error):
                said = f"{self.path}: writing failed ({error}), nothing was written"
                raise StorageUnavailable(said) from error
        self.wal_bytes += 2 * PAGE_BYTES + len(row)
        self.seq, self.time_ns = seq, time_ns
        if abs(self.wal_bytes - self.room.kept_at) > KEPT_EVERY_BYTES:
            self.room.keep(self.files, self.wal_bytes)
        if seq % NOTED_EVERY == 0:
            self.note()

    def put(self, cells: Sequence[tuple[str, str, str, bytes]], size_bytes: int) -> None:
        """Store cells: type, name, key, value."""
        self.room.check_growth()
        self._fold(_PUTS, cells)
        self.wal_bytes += size_bytes

    def delete(self, cells: Sequence[tuple[str, str, str]]) -> None:
        """Delete cells: type, name, key."""
        self._fold(_DELETES, cells)

    def put_pages(self, pages: Sequence[tuple[str, str, int, bytes]], size_bytes: int) -> None:
        """Store pages: type, name, number, data."""
        self.room.check_growth()
        self._fold(_PAGE_PUTS, pages)
        self.wal_bytes += size_bytes

    def delete_pages(self, pages: Sequence[tuple[str, str, int]]) -> None:
        """Delete pages: type, name, number."""
        self._fold(_PAGE_DELETES, pages)

    def wipe(self, actors: Sequence[tuple[str, str]]) -> None:
        """Delete all cells and pages of actors: type, name."""
        self._fold(_WIPES, actors)
        self._fold(_PAGE_WIPES, actors)

    def forget(self, seq: int) -> None:
        """Delete the journal rows before one; that one stays, so that seq never starts again."""
        self._set_durable(durable=False)
        self._execute(_FORGET, (seq, self.epoch))

    def checkpoint(self) -> None:
        """Copy the rest of the log into the file, so that the next write begins it anew."""
        self.wal_bytes = 0
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        finally:
            self.room.keep(self.files, 0)

    def folded(self) -> None:
        """All that was to be folded is: what it took away may serve others, and the reserve."""
        self.room.relieve()
        self.room.keep(self.files, self.wal_bytes)

    def close(self, *, clean: bool) -> None:
        """Close the file; clean says that nothing is left to fold.

        Errors are of no consequence here: the next open makes up for what was not done.
        """
        with suppress(apsw.Error):
            if clean:
                self._set_durable(durable=True)
                self._connection.execute(_CLEAN, (1, self.epoch))
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            else:  # what a failed sync has left in the log is not what SQLite believes to be there
                self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        with suppress(apsw.Error):
            if intact := self.files.intact():
                self.files.closed()
            self._connection.close(True)  # SQLite leaves the log of another file at the path alone
            if intact:
                self.room.refill()
        if self._mark is not None:
            self.note()
            self._mark.sync()
            self._mark.close()

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(self.path, vfs=self.vfs or checksums.vfs())
        connection.set_busy_timeout(self.limits.busy_timeout_ms)
        try:
            for pragma in (
                "synchronous=full",
                "wal_autocheckpoint=0",
                "temp_store=memory",
                f"cache_size=-{self.limits.cache_bytes // 1024}",
            ):
                connection.execute(f"PRAGMA {pragma}")
        except apsw.Error:
            connection.close(True)  # the error's traceback would keep it open
            raise
        self._durable = True
        return connection

    def _fold(self, statements: dict[int, str], rows: Sequence[tuple[SQLiteValue, ...]]) -> None:
        self._set_durable(durable=False)
        for start in range(0, len(rows), _ROWS[-1]):
            some = rows[start : start + _ROWS[-1]]
            size = next(size for size in _ROWS if size >= len(some))
            bindings = [*chain.from_iterable(some), *some[-1] * (size - len(some)), self.epoch]
            self._execute(statements[size], bindings)
        self.wal_bytes += len(rows) * PAGE_BYTES
        if self._connection.execute(_EPOCH).get != self.epoch:
            raise self.fenced()

    def _execute(
        self,
        sql: str,
        bindings: Sequence[SQLiteValue | bytearray],
        records: Sequence[CommitRecord] = (),
    ) -> None:
        """Execute a statement; on a full disk with what room there is for such records."""
        self.room.run(lambda: self._connection.execute(sql, bindings), records)

    def fenced(self) -> Fenced:
        """The error for a write, once the file has a new owner."""
        return Fenced(f"{self.path} has a new owner: epoch {self.epoch} may not write any more")

    def _settled(self, seq: int, error: apsw.IOError) -> bool:
        """After an I/O error: is the batch durable? Whatever the answer, it holds for good.

        A failed fsync leaves frames that may or may not reach the disk later, and the kernel
        reports it once only. So the log is copied and truncated and a new one begun: what was in it
        is in the file now and synced, what was not can never come back.
        """
        self.files.check()  # another directory at this path is not to be opened
        try:
            with suppress(apsw.Error):
                self.files.remove(self._log)
                self._connection.close(True)
            self._connection = self._connect()
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            self._connection.execute(_SETTLE)
            self.files.add(self._log)
            if self._connection.execute(_EPOCH).get != self.epoch:
                raise UnknownOutcome(f"{self.path}: writing failed ({error}), it has a new owner")
            return self._connection.execute(_FOUND, (seq,)).get is not None
        except apsw.Error as second:
            raise UnknownOutcome(
                f"{self.path}: writing failed ({error}), and so did finding out what of it is there"
                f" ({second})"
            ) from second

    def _set_durable(self, *, durable: bool) -> None:
        if durable != self._durable:
            # The pragma takes effect when it is compiled: a cached statement would do nothing.
            level = "full" if durable else "normal"
            self._connection.execute(f"PRAGMA synchronous={level}", can_cache=False)
            self._durable = durable

    def _decoded(self, seq: int, blob: bytes, decode: Callable[[int, bytes], T]) -> T:
        try:
            return decode(seq, blob)
        except journal.BadRow as error:
            raise StorageCorrupt(f"{self.path}: row {seq} of the journal {error}") from error

    def _meta(self) -> Meta:
        rows = dict(self._connection.execute("SELECT key, value FROM meta"))
        try:
            return msgspec.convert(rows, Meta)
        except msgspec.ValidationError as error:
            raise StorageCorrupt(
                f"{self.path}: what it says about itself is wrong: {error}"
            ) from None

    def _size_bytes(self) -> int:
        return int(self._connection.execute("PRAGMA page_count").get) * PAGE_BYTES
