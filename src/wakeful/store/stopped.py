"""A data directory that no server uses: read, and written, in the thread that asks.

For commands that look into one, move actors in or out, and have no event loop.

Errors: StorageError.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import apsw

from wakeful.errors import StorageClosed, StorageError
from wakeful.ids import ActorId
from wakeful.ports import Cells, CommitRecord, Page, StoreInfo
from wakeful.store import journal
from wakeful.store.fold import Folder
from wakeful.store.limits import Limits
from wakeful.store.lock import DirectoryLock
from wakeful.store.partition import Partition
from wakeful.store.sqlite import SHARDS
from wakeful.store.storage_errors import storage_error, strangers


class StoppedStore:
    """What a stopped data directory holds.

    Args:
        path: the data directory; made if it does not exist.
        limits: sizes and thresholds.
        strict_recovery: refuse a directory whose journal has lost its end.
    """

    def __init__(
        self, path: Path, *, limits: Limits | None = None, strict_recovery: bool = False
    ) -> None:
        self._file = str(path / "partition-0000.db")
        self._limits = limits or Limits()
        self._strict = strict_recovery
        self._lock = DirectoryLock(path)
        self._opened: Partition | None = None

    def open(self) -> StoreInfo:
        """Take the data directory, as a server would.

        Raises:
            DirectoryInUse, FormatTooNew, StorageCorrupt, StorageReadOnly, StorageFull.
        """
        self._lock.acquire()
        try:
            partition = Partition(self._file, SHARDS, self._limits, None, strict=self._strict)
            self._lock.note(partition.files)
        except BaseException:
            self._lock.release()
            raise
        self._opened = partition
        self._folder = Folder(partition.writer, self._limits)
        return partition.info()

    def load(self, actor: ActorId) -> Cells:
        """All cells of an actor."""
        return self._partition.load(actor)

    def page(self, actor: ActorId, number: int) -> bytes | None:
        """One page of an actor's SQL database."""
        return self._partition.page(actor, number)

    def actors(
        self, type: str, prefix: str = "", cursor: str | None = None, limit: int = 100
    ) -> Page:
        """Actors of a type that have cells or pages."""
        return self._partition.actors(type, prefix, cursor, limit)

    def types(self) -> list[str]:
        """The actor types that have cells or pages."""
        return self._partition.types()

    def commit(self, records: Sequence[CommitRecord]) -> None:
        """Write a batch; it is durable on return.

        Raises:
            StorageError: nothing was written; as UnknownOutcome: it may have been.
        """
        partition = self._partition
        writer, overlay, seq = partition.writer, partition.overlay, partition.seq + 1
        if (fenced := strangers(records, partition.epoch)) is not None:
            raise fenced
        try:
            now_ns = time.time_ns()
            row = journal.encode(seq, records, now_ns)
            writer.append(seq, row, records, now_ns)
            partition.files.check()
            writer.note()
        except (apsw.Error, ValueError, TypeError) as error:
            raise storage_error(error, self._file) from error
        partition.seq = seq
        overlay.active.apply(seq, records, len(row))
        if partition.fullness() < 1 and not writer.room.tight:
            return
        if overlay.frozen is None:
            self._folder.add(overlay.freeze())
        with suppress(StorageError):  # the batch is durable, whether or not this works
            partition.fold_all(self._folder)
            overlay.frozen = None
            writer.folded()
        if writer.wal_bytes > self._limits.wal_bytes:
            with suppress(apsw.Error):  # what is not copied stays in the log
                writer.checkpoint()

    def integrity_check(self) -> None:
        """Read the whole file and compare it with itself.

        Raises:
            StorageCorrupt: something is wrong; says what.
        """
        self._partition.check()

    def close(self) -> None:
        """Fold everything and release the directory. Idempotent."""
        partition, self._opened = self._opened, None
        if partition is not None:
            partition.stop_reading()
            self._folder.add(partition.overlay.active)
            with suppress(StorageError):  # the journal has it: the next open folds it
                partition.fold_all(self._folder)
            partition.writer.close(clean=not self._folder.pending)
        self._lock.release()

    @property
    def _partition(self) -> Partition:
        if self._opened is None:
            raise StorageClosed("the store is closed")
        return self._opened
