"""The writing connection to a partition file: every statement that changes it is here.

Invariants: a commit is one autocommit statement, durable by one fsync of the write-ahead log; every
            change compares the epoch in the statement that makes it; folding does not wait for the
            disk, because the log is written in order: whatever outlives a crash is a prefix of it.
Source:     one statement per commit, since each call into SQLite lets other threads run, and a busy
            loop gives the turn back only after Python's switch interval of 5 ms.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import apsw
import msgspec

from wakeful.errors import Fenced, StorageCorrupt
from wakeful.ports import CommitRecord
from wakeful.store import journal
from wakeful.store.limits import Limits
from wakeful.store.schema import migrate

PAGE_BYTES: Final = 4096
_OURS: Final = "(SELECT value FROM meta WHERE key = 'epoch') = ?2"
_APPEND: Final = f"INSERT INTO journal SELECT ?1, ?3 WHERE {_OURS}"
_FORGET: Final = f"DELETE FROM journal WHERE seq < ?1 AND {_OURS}"
_PUT: Final = (
    "INSERT INTO cells SELECT value->>0, value->>1, value->>2, unhex(value->>3) FROM json_each(?1)"
    f" WHERE {_OURS} ON CONFLICT DO UPDATE SET value = excluded.value"
)
_PUT_LARGE: Final = (
    f"INSERT INTO cells SELECT ?1, ?3, ?4, ?5 WHERE {_OURS}"
    " ON CONFLICT DO UPDATE SET value = excluded.value"
)
_DELETE: Final = (
    "DELETE FROM cells WHERE (type, name, key) IN"
    f" (SELECT value->>0, value->>1, value->>2 FROM json_each(?1)) AND {_OURS}"
)
_WIPE: Final = (
    "DELETE FROM cells WHERE (type, name) IN"
    f" (SELECT value->>0, value->>1 FROM json_each(?1)) AND {_OURS}"
)
_OWN: Final = (
    "UPDATE meta SET value = CASE key WHEN 'epoch' THEN value + 1 ELSE 0 END"
    " WHERE key IN ('epoch', 'clean')"
)
_TOUCH: Final = f"UPDATE meta SET value = ?1 WHERE key = 'clean' AND {_OURS}"


class Meta(msgspec.Struct, frozen=True):
    """What a partition file says about itself."""

    epoch: int
    clean: int
    shards: int


class Writer:
    """The one connection that writes to a partition file; used by one thread at a time.

    Attributes:
        epoch: what this owner writes with.
        wal_bytes: about how much the log has grown since the last checkpoint.
    """

    def __init__(self, path: str, limits: Limits, vfs: str | None) -> None:
        self.path = path
        self.epoch = 0
        self.wal_bytes = 0
        self.limits = limits
        self._vfs = vfs
        self._durable = True  # is `synchronous` FULL?
        self._connection = self._connect()

    def open(self, shards: int) -> Meta:
        """Migrate, check, and take ownership.

        Raises:
            FormatTooNew, StorageCorrupt, apsw.Error.
        """
        migrate(self._connection, self.path, shards)
        before = self._meta()
        if not before.clean and self._size_bytes() <= self.limits.check_bytes_max:
            self.check()
        self._connection.execute(_OWN)
        meta = self._meta()
        self.epoch = meta.epoch
        return meta

    def replay(self) -> Iterator[tuple[int, list[CommitRecord], int]]:
        """The journal's batches in order: seq, records, size of the row.

        Raises:
            StorageCorrupt: a row is damaged; names it.
        """
        for seq, blob in self._connection.execute("SELECT seq, batch FROM journal ORDER BY seq"):
            try:
                yield seq, journal.decode(seq, blob), len(blob)
            except journal.BadRow as error:
                raise StorageCorrupt(f"{self.path}: row {seq} of the journal {error}") from error

    def append(self, seq: int, row: bytes | bytearray) -> None:
        """Make a batch durable.

        Raises:
            Fenced: another owner has opened the file since; nothing was written.
            apsw.Error: nothing was written, unless it is an IOError (see `settle`).
        """
        self._set_durable(durable=True)
        self._connection.execute(_APPEND, (seq, self.epoch, row))
        if self._connection.changes() != 1:
            raise Fenced(f"{self.path} has a new owner: epoch {self.epoch} may not write any more")
        self.wal_bytes += 2 * PAGE_BYTES + len(row)

    def put(self, cells: list[tuple[str, str, str, str]], size_bytes: int) -> None:
        """Store cells (type, name, key, value in hexadecimal)."""
        self._fold(_PUT, msgspec.json.encode(cells).decode())
        self.wal_bytes += len(cells) * PAGE_BYTES + size_bytes

    def put_large(self, cell: tuple[str, str, str], value: bytes) -> None:
        """Store one cell without spelling its value out."""
        self._set_durable(durable=False)
        type_, name, key = cell
        self._connection.execute(_PUT_LARGE, (type_, self.epoch, name, key, value))
        self.wal_bytes += PAGE_BYTES + len(value)

    def delete(self, cells: list[tuple[str, str, str]]) -> None:
        """Delete cells."""
        self._fold(_DELETE, msgspec.json.encode(cells).decode())
        self.wal_bytes += len(cells) * PAGE_BYTES

    def wipe(self, actors: list[tuple[str, str]]) -> None:
        """Delete all cells of actors."""
        self._fold(_WIPE, msgspec.json.encode(actors).decode())
        self.wal_bytes += len(actors) * PAGE_BYTES

    def forget(self, seq: int) -> None:
        """Delete the journal rows before one; that one stays, so that seq never starts again."""
        self._fold(_FORGET, seq)

    def checkpoint(self) -> None:
        """Copy the log into the file, as far as nobody reads the older state."""
        self.wal_bytes = 0
        self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def settle(self, seq: int) -> bool:
        """Find out, after an I/O error, whether a batch is durable, and make that so for good.

        A failed fsync leaves frames that may or may not reach the disk later, and the kernel
        reports it once only. So the log is copied and truncated and a new one begun: what was in it
        is in the file now and synced, what was not can never come back.

        Raises:
            apsw.Error: it cannot be found out.
        """
        with suppress(apsw.Error):
            self._connection.close(True)
        self._connection = self._connect()
        self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self._connection.execute(_TOUCH, (0, self.epoch))
        found = self._connection.execute("SELECT count(*) FROM journal WHERE seq=?", (seq,)).get
        return bool(found)

    def check(self) -> None:
        """Read the whole file and compare it with itself.

        Raises:
            StorageCorrupt: something is wrong; says what.
        """
        said = [line for (line,) in self._connection.execute("PRAGMA quick_check(3)")]
        if said != ["ok"]:
            raise StorageCorrupt(f"{self.path} is damaged: {'; '.join(map(str, said))}")

    def close(self, *, clean: bool) -> None:
        """Close the file; clean says that nothing is left to fold."""
        try:
            if clean:
                self._set_durable(durable=True)
                self._connection.execute(_TOUCH, (1, self.epoch))
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        finally:
            self._connection.close(True)

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(self.path, vfs=self._vfs)
        connection.set_busy_timeout(self.limits.busy_timeout_ms)
        for pragma in (
            "journal_mode=wal",
            "synchronous=full",
            "wal_autocheckpoint=0",
            "temp_store=memory",
            f"cache_size=-{self.limits.cache_bytes // 1024}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        self._durable = True
        return connection

    def _fold(self, sql: str, argument: str | int) -> None:
        self._set_durable(durable=False)
        self._connection.execute(sql, (argument, self.epoch))

    def _set_durable(self, *, durable: bool) -> None:
        if durable != self._durable:
            # The pragma takes effect when it is compiled: a cached statement would do nothing.
            level = "full" if durable else "normal"
            self._connection.execute(f"PRAGMA synchronous={level}", can_cache=False)
            self._durable = durable

    def _meta(self) -> Meta:
        return msgspec.convert(dict(self._connection.execute("SELECT key, value FROM meta")), Meta)

    def _size_bytes(self) -> int:
        return int(self._connection.execute("PRAGMA page_count").get) * PAGE_BYTES
