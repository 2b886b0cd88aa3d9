"""The SQLite store: journal first, fold later.

A batch becomes one row of the journal, durable by one fsync, whatever it changes. Its changes then
live in the overlay until they are folded into the cells, in slices, while no batch is waiting.

Shapes:     <dir>/partition-0000.db (and SQLite's -wal and -shm), <dir>/lock.
Invariants: a read sees exactly the batches whose `done(None)` has been called; the journal and the
            overlay are bounded; after a crash the journal is replayed, twice or half folded rows
            do no harm.
Errors:     as the port says; an error while reading is a StorageError too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import ExitStack, suppress
from enum import Enum
from pathlib import Path
from typing import Final, TypeAlias

import apsw
import msgspec

from wakeful.errors import StorageClosed, StorageError
from wakeful.ids import ActorId
from wakeful.ports import Alarm, Cells, CommitRecord, Done, Page, StoreInfo, due_cell
from wakeful.store import journal
from wakeful.store.flusher import Flusher, Fold, JournalBatch, Stop
from wakeful.store.fold import Folded, Folder
from wakeful.store.images import make_whole
from wakeful.store.limits import Limits
from wakeful.store.lock import DirectoryLock
from wakeful.store.overlay import Overlay
from wakeful.store.reader import Reader
from wakeful.store.storage_errors import storage_error, strangers
from wakeful.store.writer import Writer

SHARDS: Final = 4096
Alarms: TypeAlias = list[Alarm]
Names: TypeAlias = list[str]  # inside the class, `list` is the port's method


class StoreState(Enum):
    """How far a store is in its life."""

    NEW = "new"
    OPEN = "open"
    FAILED = "failed"  # nothing can be written any more; reads go on
    CLOSING = "closing"
    CLOSED = "closed"


class SQLiteStatistics(msgspec.Struct, frozen=True):
    """What a SQLite store has in its hands.

    Attributes:
        unfolded_bytes: journal rows that a crash now would have to replay.
        unfolded_actors: actors in the overlay, counted twice if in both generations.
        unfolded_pages: their changed pages, counted likewise.
        fold_error: why folding has stopped; it is tried again after the next batch.
    """

    unfolded_bytes: int
    unfolded_actors: int
    unfolded_pages: int
    fold_error: StorageError | None


class SQLiteStore:
    """The store port over a data directory on a local disk.

    Opened where an event loop runs (or given one), it writes in a thread of its own. Opened without
    a loop, for a look into a stopped directory, it reads, and writes with `commit_now`.

    Args:
        path: the data directory; made if it does not exist.
        loop: the loop whose thread calls the store; by default the one running at `open`.
        shards: how many shards a new directory has, a power of two; an old one keeps its number.
        limits: sizes and thresholds.
        vfs: the name of an apsw VFS, to put faults between SQLite and the disk.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        loop: asyncio.AbstractEventLoop | None = None,
        shards: int = SHARDS,
        limits: Limits | None = None,
        vfs: str | None = None,
    ) -> None:
        assert shards > 0
        assert shards & (shards - 1) == 0, f"not a power of two: {shards}"
        self._directory = Path(path)
        self._file = str(self._directory / "partition-0000.db")
        self._loop = loop
        self._shards = shards
        self._limits = limits or Limits()
        self._vfs = vfs
        self._lock = DirectoryLock(self._directory)
        self._overlay = Overlay()
        self._state = StoreState.NEW
        self._seq = 0
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._ended = asyncio.Event()
        self._closed_because: StorageError = StorageClosed("the store is not open")

    def open(self) -> StoreInfo:
        """Take the data directory: lock, migrate, check, bump the epoch, replay the journal."""
        assert self._state is StoreState.NEW, "a store is opened once"
        with ExitStack() as undo:
            self._lock.acquire()
            undo.callback(self._lock.release)
            try:
                self._writer = Writer(self._file, self._limits, self._vfs)
                undo.callback(self._writer.close, clean=False)
                meta = self._writer.open(self._shards)
                self._reader = Reader(self._file, self._limits, self._vfs)
                undo.callback(self._reader.close)
                self._replay()
            except apsw.Error as error:
                raise storage_error(error, self._file) from error
            undo.pop_all()
        self._folder = Folder(self._writer, self._limits)
        self._loop = self._loop or _running_loop()
        if self._loop is not None:
            self._flusher = Flusher(self._writer, self._seq, self, self._loop)
            self._flusher.start()
        self._state = StoreState.OPEN
        self._consider_folding()
        return StoreInfo(epoch=meta.epoch, shards=meta.shards)

    def load(self, actor: ActorId) -> Cells:
        """All cells of an actor."""
        self._check_open()
        try:
            return self._overlay.load(actor, self._reader.cells)
        except apsw.Error as error:
            raise storage_error(error, self._file) from error

    def page(self, actor: ActorId, number: int) -> bytes | None:
        """One page of an actor's SQL database."""
        self._check_open()
        try:
            return self._overlay.sql_page(actor, number, self._reader.page)
        except apsw.Error as error:
            raise storage_error(error, self._file) from error

    def list(
        self, type: str, prefix: str = "", cursor: str | None = None, limit: int = 100
    ) -> Page:
        """Actors of a type that have cells."""
        self._check_open()
        reader = self._reader
        try:
            return self._overlay.page(
                type,
                prefix,
                cursor,
                limit=limit,
                names=reader.names,
                cells=reader.cells,
                numbers=reader.numbers,
            )
        except apsw.Error as error:
            raise storage_error(error, self._file) from error

    def types(self) -> Names:
        """The actor types that have cells."""
        self._check_open()
        reader = self._reader
        try:
            return self._overlay.types(reader.types(), reader.names, reader.cells, reader.numbers)
        except apsw.Error as error:
            raise storage_error(error, self._file) from error

    def alarms(self, until_ns: int, limit: int, types: Collection[str] | None = None) -> Alarms:
        """The first alarms due at or before a time."""
        self._check_open()
        try:
            return self._overlay.alarms(due_cell(until_ns + 1), limit, types, self._reader.alarms)
        except apsw.Error as error:
            raise storage_error(error, self._file) from error

    def commit(self, records: Sequence[CommitRecord], done: Done) -> None:
        """Write a batch in the flusher's thread."""
        assert self._loop is not None, "opened without a loop: use commit_now"
        if self._state is not StoreState.OPEN:
            self._loop.call_soon(done, self._closed_because)
            return
        self._in_flight += 1
        self._idle.clear()
        self._flusher.put(JournalBatch(records, done))

    def commit_now(self, records: Sequence[CommitRecord]) -> None:
        """Write a batch in this thread; only for a store that was opened without a loop.

        Raises:
            StorageError: nothing was written, or (UnknownOutcome) nobody knows.
        """
        assert self._loop is None, "opened with a loop: use commit"
        self._check_open()
        seq = self._seq + 1
        if (fenced := strangers(records, self._writer.epoch)) is not None:
            raise fenced
        try:
            row = journal.encode(seq, records)
            self._writer.append(seq, row)
        except (apsw.Error, ValueError, TypeError) as error:
            raise storage_error(error, self._file) from error
        self._seq = seq
        self._overlay.active.apply(seq, records, len(row))
        if self._fullness() < 1:
            return
        if self._overlay.frozen is None:
            self._folder.add(self._overlay.freeze())
        with suppress(StorageError):  # the batch is durable, whether or not this works
            self._fold_now()
            self._overlay.frozen = None
        if self._writer.wal_bytes > self._limits.wal_bytes:
            with suppress(apsw.Error):  # what is not copied stays in the log
                self._writer.checkpoint()

    async def close(self) -> None:
        """Fold everything, so that the next open has nothing to replay; release the directory.

        Cancelled, it still does.
        """
        if self._loop is None or self._state is StoreState.NEW:
            self._close_now()
            return
        if self._state in (StoreState.OPEN, StoreState.FAILED):
            self._state = StoreState.CLOSING
            self._closed_because = StorageClosed("the store is closed")
        cancelled = await _surely(self._idle)
        self._reader.close()
        if self._state is StoreState.CLOSING:
            self._state = StoreState.CLOSED
            self._flusher.put(Stop(self._overlay.active))
        cancelled = await _surely(self._ended) or cancelled
        self._flusher.join()
        self._lock.release()
        if cancelled is not None:
            raise cancelled

    def integrity_check(self) -> None:
        """Read the whole file and compare it with itself; blocks as long as that takes.

        Raises:
            StorageCorrupt: something is wrong; says what.
        """
        self._check_open()
        try:
            self._reader.check()
        except apsw.Error as error:
            raise storage_error(error, self._file) from error

    def statistics(self) -> SQLiteStatistics:
        """What is durable but not folded, and why not if something is wrong."""
        generations = [g for g in (self._overlay.active, self._overlay.frozen) if g is not None]
        return SQLiteStatistics(
            unfolded_bytes=sum(g.size_bytes for g in generations),
            unfolded_actors=sum(len(g.changes) for g in generations),
            unfolded_pages=sum(g.page_count for g in generations),
            fold_error=self._flusher.fold_error if self._loop is not None else None,
        )

    # --- heard from the flusher, in the loop's thread --------------------------------------------

    def on_written(self, batch: JournalBatch, seq: int, size_bytes: int) -> None:
        """A batch is durable: show it to readers, then say so."""
        self._overlay.active.apply(seq, batch.records, size_bytes)
        self._consider_folding()
        self._answer(batch, None)

    def on_failed(self, batch: JournalBatch, error: StorageError) -> None:
        """A batch has failed."""
        self._answer(batch, error)

    def on_folded(self, folded: Folded) -> None:
        """A slice is in the cells."""
        overlay = self._overlay
        if overlay.frozen is None:
            return  # the last generation, folded at the end
        overlay.frozen.drop(folded.keys)
        if folded.finished:
            overlay.frozen = None
            self._consider_folding()

    def on_end(self, cause: StorageError) -> None:
        """The flusher has ended: in order, or of an error."""
        if self._state is StoreState.OPEN:
            self._state = StoreState.FAILED
        self._closed_because = cause
        self._ended.set()
        assert self._loop is not None
        for batch, error in self._flusher.abandoned(cause):
            self._loop.call_soon(self._answer, batch, error)  # one that raises stops no other

    def _answer(self, batch: JournalBatch, error: StorageError | None) -> None:
        self._in_flight -= 1
        if not self._in_flight:
            self._idle.set()
        batch.done(error)

    def _consider_folding(self) -> None:
        fullness = self._fullness()
        if fullness < 1 or self._loop is None or self._state is not StoreState.OPEN:
            return
        if self._overlay.frozen is None:
            self._flusher.hurry = False
            self._flusher.put(Fold(self._overlay.freeze()))
        elif fullness >= self._limits.overload:
            self._flusher.hurry = True

    def _fullness(self) -> float:
        limits, active = self._limits, self._overlay.active
        by_bytes = active.size_bytes / limits.fold_bytes
        by_pages = active.page_count / limits.fold_pages
        return max(by_bytes, by_pages, len(active.changes) / limits.fold_actors)

    def _fold_now(self) -> None:
        try:
            while self._folder.pending:
                self._folder.step()
        except apsw.Error as error:
            raise storage_error(error, self._file) from error

    def _replay(self) -> None:
        overlay, stored = self._overlay, self._reader.page
        for seq, records, size_bytes in self._writer.replay():
            for record in records:
                make_whole(record, lambda key, number: overlay.sql_page(key, number, stored))
            self._overlay.active.apply(seq, records, size_bytes)
            self._seq = seq

    def _check_open(self) -> None:
        if self._state not in (StoreState.OPEN, StoreState.FAILED):
            raise self._closed_because

    def _close_now(self) -> None:
        if self._state is StoreState.OPEN:
            self._closed_because = StorageClosed("the store is closed")
            self._state = StoreState.CLOSED
            self._reader.close()
            self._folder.add(self._overlay.active)
            with suppress(StorageError):  # the journal has it: the next open folds it
                self._fold_now()
            self._writer.close(clean=not self._folder.pending)
        self._lock.release()


async def _surely(event: asyncio.Event) -> asyncio.CancelledError | None:
    """Wait for an event, also if cancelled meanwhile: that is returned."""
    cancelled: asyncio.CancelledError | None = None
    while not event.is_set():
        try:
            await event.wait()
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
