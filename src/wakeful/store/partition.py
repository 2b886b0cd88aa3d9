"""A partition file, opened by its owner: what it holds, and what of it is not folded yet.

Invariants: a read sees the cells and pages with the overlay upon them; after a crash the journal
            is replayed, twice or half folded rows do no harm.
Errors:     StorageError, also while reading.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack

import apsw

from wakeful.errors import DirectoryLost, StorageCorrupt
from wakeful.forks import descriptors_of, keep_from_children
from wakeful.ids import ActorId
from wakeful.log import logger
from wakeful.ports import Alarm, Cells, Page, StoreInfo, due_cell, even_lanes
from wakeful.store import recovery, upgrade
from wakeful.store.fold import Folder
from wakeful.store.images import make_whole
from wakeful.store.limits import Limits
from wakeful.store.overlay import Key, Overlay
from wakeful.store.reader import Reader
from wakeful.store.reserve import with_reserve
from wakeful.store.seal import seal
from wakeful.store.storage_errors import storage_error
from wakeful.store.writer import Writer


class Partition:
    """A partition file with its two connections and its overlay.

    Opening it migrates the file, checks it, raises its epoch and replays the journal.

    Args:
        path: the file; made if it does not exist.
        shards: how many shards a new file has.
        limits: sizes and thresholds.
        vfs: the name of an apsw VFS.
        strict: refuse a file whose journal has lost its end, instead of going on without it.
        after: its owner's last one, of which nothing but the file is trusted: the disk has failed.

    Attributes:
        writer: the connection that writes.
        overlay: what is durable and not folded.
        seq: the number of the last batch in the journal.
        epoch: what its owner writes with.
        shards: how many shards its actors hash to.
        id: which file it is.
        loss: what the journal has lost at its end, and the owner goes on without.
        files: whether it is still where it was opened.

    Raises:
        FormatTooNew, StorageCorrupt, StorageReadOnly, StorageFull, DirectoryLost, StorageError.
    """

    def __init__(
        self,
        path: str,
        shards: int,
        limits: Limits,
        vfs: str | None,
        *,
        strict: bool = False,
        after: Partition | None = None,
    ) -> None:
        self.overlay = Overlay()
        self.seq = 0
        self.id: str = "" if after is None else after.id
        self._path = path
        self._limits = limits
        with_reserve(path, lambda: self._take(shards, vfs, strict, after))
        keep_from_children(self, Partition._descriptors)
        self.epoch = self.writer.epoch

    def _take(self, shards: int, vfs: str | None, strict: bool, after: Partition | None) -> None:
        path, limits = self._path, self._limits
        with ExitStack() as undo:
            try:
                if vfs is None:
                    seal(path)
                    upgrade.consider(path, limits.check_bytes_max)
                self.writer = Writer(path, limits, vfs)
                undo.callback(self.writer.close, clean=False)
                before = self.writer.prepare(shards)
                if after is not None and before.id != self.id:
                    raise DirectoryLost(f"{path} has been replaced by another data file")
                if after is not None and self.writer.seq < after.writer.seq:
                    raise StorageCorrupt(
                        f"{path} is damaged: its journal ends with batch {self.writer.seq}, and"
                        f" batch {after.writer.seq} was acknowledged"
                    )
                self.loss = recovery.loss(path, before, self.writer.seq, self.writer.time_ns)
                if self.loss is not None:
                    recovery.accept(path, self.loss, before.epoch, strict=strict)
                if after is not None:
                    self.writer.settle()
                meta = self.writer.own()
                self.files = self.writer.files
                self._reader = Reader(path, limits, vfs)
                undo.callback(self._reader.close)
                self.seq = self.writer.seq
                if not before.clean:
                    self._replay()
            except apsw.Error as error:
                raise storage_error(error, path) from error
            undo.pop_all()
        self.shards = meta.shards
        self.id = meta.id

    def info(self) -> StoreInfo:
        """What the store over it yields: it holds all shards."""
        return StoreInfo(self.shards, even_lanes(self.shards, [self.epoch]))

    def load(self, actor: ActorId) -> Cells:
        """All cells of an actor."""
        try:
            return self.overlay.load(actor, self._reader.cells)
        except apsw.Error as error:
            raise storage_error(error, self._path) from error

    def page(self, actor: ActorId, number: int) -> bytes | None:
        """One page of an actor's SQL database."""
        try:
            return self.overlay.sql_page(actor, number, self._reader.page)
        except apsw.Error as error:
            raise storage_error(error, self._path) from error

    def actors(self, type: str, prefix: str, cursor: str | None, limit: int) -> Page:
        """Actors of a type that have cells or pages."""
        reader = self._reader
        try:
            return self.overlay.page(
                type,
                prefix,
                cursor,
                limit=limit,
                names=reader.names,
                cells=reader.cells,
                numbers=reader.numbers,
            )
        except apsw.Error as error:
            raise storage_error(error, self._path) from error

    def types(self) -> list[str]:
        """The actor types that have cells or pages."""
        reader = self._reader
        try:
            return self.overlay.types(reader.types(), reader.names, reader.cells, reader.numbers)
        except apsw.Error as error:
            raise storage_error(error, self._path) from error

    def alarms(self, until_ns: int, limit: int, types: Collection[str] | None) -> list[Alarm]:
        """The first alarms due at or before a time."""
        try:
            return self.overlay.alarms(due_cell(until_ns + 1), limit, types, self._reader.alarms)
        except apsw.Error as error:
            raise storage_error(error, self._path) from error

    def check(self) -> None:
        """Read the whole file and compare it with itself; blocks as long as that takes.

        Raises:
            StorageCorrupt: something is wrong; says what.
        """
        try:
            self._reader.check()
        except apsw.Error as error:
            raise storage_error(error, self._path) from error

    def fullness(self) -> float:
        """How full the younger generation of the overlay is; from 1 on it is to be folded."""
        limits, active = self._limits, self.overlay.active
        by_bytes = active.size_bytes / limits.fold_bytes
        by_pages = active.page_count / limits.fold_pages
        return max(by_bytes, by_pages, len(active.changes) / limits.fold_actors)

    def fold_all(self, folder: Folder) -> None:
        """Fold all that a folder has left to do.

        Raises:
            StorageError: it cannot be folded now; the journal keeps it.
        """
        try:
            while folder.pending:
                folder.step()
        except apsw.Error as error:
            raise storage_error(error, self._path) from error

    def _descriptors(self) -> Iterator[int]:
        """The descriptors of the file and of SQLite's files beside it, in the whole process."""
        return descriptors_of([self._path, f"{self._path}-wal", f"{self._path}-shm"])

    def prove(self) -> None:
        """Find out whether the file is still this owner's.

        Raises:
            DirectoryLost, Fenced: it is not.
            StorageError: that cannot be found out.
        """
        self.files.check()
        try:
            epoch = self._reader.epoch()
        except apsw.Error as error:
            raise storage_error(error, self._path) from error
        if epoch != self.epoch:
            raise self.writer.fenced()

    def stop_reading(self) -> None:
        """Close the connection that reads."""
        self._reader.close()

    def _replay(self) -> None:
        overlay, stored = self.overlay, self._reader.page

        def page(key: Key, number: int) -> bytes | None:
            return overlay.sql_page(key, number, stored)

        for seq, records, size_bytes in self.writer.replay():
            for record in records:
                for damage in make_whole(record, page):
                    logger().error("a page cannot be brought up to date", error=str(damage))
            overlay.active.apply(seq, records, size_bytes)
