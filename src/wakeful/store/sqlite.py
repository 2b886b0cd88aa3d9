"""The SQLite store: journal first, fold later.

A batch becomes one row of the journal, durable by one fsync, whatever it changes. Its changes then
live in the overlay until they are folded into the cells, in slices, while no batch is waiting.

Shapes:     <dir>/partition-0000.db (and SQLite's -wal and -shm), <dir>/lock; one lane, the
            partition.
Invariants: a read sees exactly the batches whose `done(None)` has been called; the journal and the
            overlay are bounded.
Errors:     as the port says; an error while reading is a StorageError too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from enum import Enum
from pathlib import Path
from typing import Final

import msgspec

from wakeful.errors import (
    Fenced,
    OwnershipLost,
    StorageClosed,
    StorageError,
    StorageUnavailable,
    UnknownOutcome,
    again,
)
from wakeful.ids import ActorId
from wakeful.ports import Alarm, Cells, CommitRecord, Done, Page, StoreInfo
from wakeful.store.flusher import Flusher, Fold, JournalBatch, Stop
from wakeful.store.fold import Folded
from wakeful.store.identity import OpenFiles
from wakeful.store.limits import Limits
from wakeful.store.lock import DirectoryLock
from wakeful.store.partition import Partition

SHARDS: Final = 4096
LET_GO_SECONDS: Final = 0.15  # for a slice that is being folded when the time to close is over


class StoreState(Enum):
    """How far a store is in its life."""

    NEW = "new"
    OPEN = "open"
    FAILED = "failed"  # nothing is written or read until it is opened again
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
    """The store port over a data directory on a local disk; it writes in a thread of its own.

    Args:
        path: the data directory; made if it does not exist.
        shards: how many shards a new directory has, a power of two; an old one keeps its number.
        limits: sizes and thresholds.
        vfs: the name of an apsw VFS, to put faults between SQLite and the disk.
        strict_recovery: refuse a directory whose journal has lost its end.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        shards: int = SHARDS,
        limits: Limits | None = None,
        vfs: str | None = None,
        strict_recovery: bool = False,
    ) -> None:
        assert shards > 0
        assert shards & (shards - 1) == 0, f"not a power of two: {shards}"
        directory = Path(path)
        self._file = str(directory / "partition-0000.db")
        self._shards = shards
        self._limits = limits or Limits()
        self._vfs = vfs
        self._strict = strict_recovery
        self._lock = DirectoryLock(directory)
        self._state = StoreState.NEW
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._ended = asyncio.Event()
        self._closed_because: StorageError = StorageClosed("the store is not open")
        self._lost: OwnershipLost | None = None
        self._files = OpenFiles()  # the lock and the file, also while it is closed after a failure

    @property
    def failed(self) -> StorageError | None:
        """Why nothing can be committed until it is opened again."""
        return self._closed_because if self._state is StoreState.FAILED else None

    async def open(self) -> StoreInfo:
        """Take the data directory: lock, migrate, check, bump the epoch, replay the journal."""
        assert self._state is StoreState.NEW, "a store is opened once"
        self._loop = asyncio.get_running_loop()
        self._lock.acquire()
        try:
            partition = self._opened(None)
        except BaseException:
            self._lock.release()
            raise
        return self._use(partition)

    async def reopen(self) -> StoreInfo:
        """Begin again with what is on the disk, as after a crash; the directory stays locked.

        No handle and nothing in memory outlives this: after a failed fsync the system may have
        dropped what it still shows.
        """
        if self._state is StoreState.OPEN:
            self._fail(StorageUnavailable("the store is being opened again"))
            self._flusher.put(Stop(self._overlay.active))
        await self._ended.wait()
        if self._state is not StoreState.FAILED:
            raise self._closed_because
        self._flusher.join()
        self._partition.stop_reading()
        try:
            self._files.check()
            partition = self._opened(self._partition)
        except OwnershipLost as error:
            self._lost = error
            raise
        self._ended.clear()
        return self._use(partition)

    def _opened(self, after: Partition | None) -> Partition:
        strict = self._strict
        partition = Partition(
            self._file, self._shards, self._limits, self._vfs, strict=strict, after=after
        )
        self._lock.note(partition.files)
        return partition

    def _use(self, partition: Partition) -> StoreInfo:
        self._lock.note(self._files)
        self._files.add(self._file)
        self._partition = partition
        self._overlay = partition.overlay
        self._flusher = Flusher(partition.writer, partition.seq, self, self._loop)
        self._flusher.start()
        self._state = StoreState.OPEN
        self._consider_folding()
        return partition.info()

    def load(self, actor: ActorId) -> Cells:
        """All cells of an actor."""
        self._check_open()
        return self._partition.load(actor)

    def page(self, actor: ActorId, number: int) -> bytes | None:
        """One page of an actor's SQL database."""
        self._check_open()
        return self._partition.page(actor, number)

    async def actors(
        self, type: str, prefix: str = "", cursor: str | None = None, limit: int = 100
    ) -> Page:
        """Actors of a type that have cells or pages."""
        self._check_open()
        return self._partition.actors(type, prefix, cursor, limit)

    async def types(self) -> list[str]:
        """The actor types that have cells or pages."""
        self._check_open()
        return self._partition.types()

    async def alarms(
        self, until_ns: int, limit: int, types: Collection[str] | None = None
    ) -> list[Alarm]:
        """The first alarms due at or before a time."""
        self._check_open()
        return self._partition.alarms(until_ns, limit, types)

    def prove(self, lane: int) -> None:
        """Look at the files again, and at the epoch; takes some 5 microseconds."""
        self._check_open()
        try:
            self._partition.prove()
        except OwnershipLost as error:
            self._lose(error)
            raise

    def commit(self, lane: int, records: Sequence[CommitRecord], done: Done) -> None:
        """Write a batch in the flusher's thread."""
        if self._lost is not None:
            asyncio.get_running_loop().call_soon(done, again(self._lost))
            return
        if self._state is not StoreState.OPEN:
            asyncio.get_running_loop().call_soon(done, again(self._closed_because))
            return
        self._in_flight += 1
        self._idle.clear()
        self._flusher.put(JournalBatch(records, done))

    async def close(self, seconds: float | None = None) -> None:
        """Fold everything, so that the next open has nothing to replay; release the directory.

        What the time does not suffice for is left: the next open folds it. If the disk does not
        answer at all the thread is left behind as well; every statement that it may still come to
        checks the epoch, so the next owner has nothing to fear of it.

        Cancelled, it still does.
        """
        if self._state is StoreState.NEW:
            return
        if self._state in (StoreState.OPEN, StoreState.FAILED):
            self._state = StoreState.CLOSING
            self._closed_because = StorageClosed("the store is closed")
        deadline = None if seconds is None else self._loop.time() + seconds
        cancelled = await _surely(self._idle, deadline)
        if self._state is StoreState.CLOSING:
            self._state = StoreState.CLOSED
            self._partition.stop_reading()
            self._flusher.put(Stop(self._overlay.active))
        cancelled = await _surely(self._ended, deadline) or cancelled
        if not self._ended.is_set():
            self._flusher.give_up()
            let_go = self._loop.time() + LET_GO_SECONDS
            cancelled = await _surely(self._ended, let_go) or cancelled
        if self._ended.is_set():
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
        self._partition.check()

    def statistics(self) -> SQLiteStatistics:
        """What is durable but not folded, and why not if something is wrong."""
        generations = [g for g in (self._overlay.active, self._overlay.frozen) if g is not None]
        return SQLiteStatistics(
            unfolded_bytes=sum(g.size_bytes for g in generations),
            unfolded_actors=sum(len(g.changes) for g in generations),
            unfolded_pages=sum(g.page_count for g in generations),
            fold_error=self._flusher.fold_error,
        )

    # --- results of the flusher, in the loop's thread --------------------------------------------

    def on_written(self, batch: JournalBatch, seq: int, size_bytes: int) -> None:
        """A batch is durable: show it to readers, then say so."""
        self._overlay.active.apply(seq, batch.records, size_bytes)
        self._consider_folding()
        self._answer(batch, None)

    def on_failed(self, batch: JournalBatch, error: StorageError) -> None:
        """A batch has failed; after an unknown outcome the flusher ends."""
        if isinstance(error, UnknownOutcome) and self._state is StoreState.OPEN:
            self._fail(StorageUnavailable(f"nothing can be committed: {error}"))
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
        if self._state in (StoreState.OPEN, StoreState.FAILED):
            self._fail(cause)
        self._ended.set()
        for batch, error in self._flusher.abandoned(cause):
            self._loop.call_soon(self._answer, batch, error)  # one that raises stops no other

    def _fail(self, cause: StorageError) -> None:
        self._state = StoreState.FAILED
        self._closed_because = cause

    def _answer(self, batch: JournalBatch, error: StorageError | None) -> None:
        if not isinstance(error, Fenced):
            error = self._found_lost() or error
        self._in_flight -= 1
        if not self._in_flight:
            self._idle.set()
        batch.done(error)

    def _found_lost(self) -> StorageError | None:
        """Why what was just written is nowhere, if it is."""
        if self._lost is None:
            try:
                self._partition.files.check()
            except OwnershipLost as error:
                self._lose(error)
            except StorageUnavailable as error:
                if self._state is StoreState.OPEN:
                    self._fail(error)
                    self._flusher.put(Stop(self._overlay.active))
                return UnknownOutcome(f"what was written may be elsewhere: {error}")
        return again(self._lost) if self._lost is not None else None

    def _lose(self, error: OwnershipLost) -> None:
        """The directory is not this store's any more: it answers nothing from now on."""
        self._lost = error
        self._flusher.give_up()

    def _consider_folding(self) -> None:
        fullness = self._partition.fullness()
        if self._state is not StoreState.OPEN or (fullness < 1 and not self._is_tight()):
            return
        if self._overlay.frozen is None:
            self._flusher.hurry = False
            self._flusher.put(Fold(self._overlay.freeze()))
        elif fullness >= self._limits.overload:
            self._flusher.hurry = True

    def _is_tight(self) -> bool:
        return self._flusher.tight and bool(self._overlay.active.changes)

    def _check_open(self) -> None:
        if self._lost is not None:
            raise again(self._lost)
        if self._state is not StoreState.OPEN:
            raise again(self._closed_because)


async def _surely(event: asyncio.Event, deadline: float | None) -> asyncio.CancelledError | None:
    """Wait for an event until a time, also if cancelled meanwhile: that is returned."""
    cancelled: asyncio.CancelledError | None = None
    while not event.is_set():
        try:
            async with asyncio.timeout_at(deadline):
                await event.wait()
        except TimeoutError:
            break
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled
