"""The thread that makes batches durable, and folds and checkpoints while none is waiting.

Shapes:  the loop's thread puts a JournalBatch, a Fold or a Stop into a queue; the answers are
         callbacks in the loop's thread.
Invariants: batches are written in the order given; each is answered once, also if the thread dies;
            folding delays a batch by one slice, or under overload by what the batch itself costs.
Source:     group commit, Helland et al. 1987.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol

import apsw
import msgspec

from wakeful.errors import StorageClosed, StorageError, StorageUnavailable, UnknownOutcome
from wakeful.ports import CommitRecord, Done
from wakeful.store import journal
from wakeful.store.checkpointer import Checkpointer
from wakeful.store.fold import Folded, Folder
from wakeful.store.images import Images
from wakeful.store.overlay import Generation
from wakeful.store.reserve import only_deletes
from wakeful.store.storage_errors import storage_error, strangers
from wakeful.store.writer import Writer


class JournalBatch(msgspec.Struct, gc=False):
    """Records to be made durable.

    Attributes:
        touched: the disk may have seen it.
    """

    records: Sequence[CommitRecord]
    done: Done
    touched: bool = False


class Fold(msgspec.Struct, frozen=True):
    """A generation to be folded."""

    generation: Generation


class Stop(msgspec.Struct, frozen=True):
    """Fold what is left and the last generation, then end."""

    generation: Generation


class Copied(msgspec.Struct, frozen=True):
    """The checkpointer has done what it could."""


Message = JournalBatch | Fold | Stop | Copied


class Listener(Protocol):
    """Gets the results of the flusher's work, in the loop's thread."""

    def on_written(self, batch: JournalBatch, seq: int, size_bytes: int) -> None:
        """A batch is durable."""

    def on_failed(self, batch: JournalBatch, error: StorageError) -> None:
        """A batch is not durable, or its outcome is unknown."""

    def on_folded(self, folded: Folded) -> None:
        """A slice is in the cells."""

    def on_end(self, cause: StorageError) -> None:
        """Nothing will be written any more."""


class _LoopGone(Exception):
    """The loop is closed, so no result can be handed to it."""


class Flusher:
    """Runs a Writer in a thread of its own.

    Attributes:
        hurry: changes pile up faster than idle time can fold them (set in the loop's thread).
        fold_error: why folding has stopped, until a batch succeeds.
    """

    def __init__(
        self, writer: Writer, seq: int, listener: Listener, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.hurry = False
        self.fold_error: StorageError | None = None
        self._writer = writer
        self._limits = writer.limits
        self._folder = Folder(writer, writer.limits)
        self._images = Images()
        self._seq = seq
        self._listener = listener
        self._loop = loop
        self._queue: SimpleQueue[Message] = SimpleQueue()
        self._current: JournalBatch | None = None
        self._given_up = False
        self._checkpointer = Checkpointer(
            writer.path, writer.limits, writer.vfs, lambda: self._queue.put(Copied())
        )
        self._thread = threading.Thread(target=self._run, name="wakeful-flusher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, message: Message) -> None:
        """Have it done after all that was put before."""
        self._queue.put(message)

    def give_up(self) -> None:
        """End as soon as possible: what is not folded and not written stays so."""
        self._given_up = True

    @property
    def tight(self) -> bool:
        """Whether what is durable is to be folded at once, since the disk is full."""
        return self._writer.room.tight

    def join(self) -> None:
        """Wait for the end of the thread, after on_end."""
        self._thread.join()

    def abandoned(self, cause: StorageError) -> list[tuple[JournalBatch, StorageError]]:
        """After the end: the batches that were not answered, and what to answer."""
        left: list[tuple[JournalBatch, StorageError]] = []
        if (batch := self._current) is not None:
            unknown = UnknownOutcome(f"while this batch was being written {cause}")
            left.append((batch, unknown if batch.touched else cause))
        while not self._queue.empty():
            message = self._queue.get_nowait()
            if isinstance(message, JournalBatch):
                left.append((message, cause))
        return left

    # --- in the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        cause: StorageError = StorageClosed("the store is closed")
        clean = False
        try:
            self._serve()
            clean = self._finish()
        except StorageError as error:
            cause = StorageUnavailable(f"nothing can be committed: {error}")
        except BaseException as error:
            cause = StorageUnavailable(f"nothing can be committed: the flusher died: {error!r}")
        self._checkpointer.close()
        self._writer.close(clean=clean)
        with suppress(_LoopGone):
            self._tell(self._listener.on_end, cause)

    def _serve(self) -> None:
        while True:
            message = self._next()
            match message:
                case JournalBatch():
                    self._flush(message)
                case Fold():
                    self._images.freeze()
                    self._folder.add(message.generation)
                case Copied():
                    self._checkpoint()
                case Stop():
                    self._folder.add(message.generation)
                    return

    def _next(self) -> Message:
        while self._may_fold():
            try:
                return self._queue.get_nowait()
            except Empty:
                self._writer.note()
                self._fold()
        if self._queue.empty():
            self._writer.note()
        return self._queue.get()

    def _flush(self, batch: JournalBatch) -> None:
        self._current = batch
        seq = self._seq + 1
        try:
            size_bytes = self._write(seq, batch)
        except Exception as error:
            failure = storage_error(error, self._writer.path)
            self._current = None
            self._tell(self._listener.on_failed, batch, failure)
            if isinstance(failure, UnknownOutcome):
                raise failure from error
            return
        self._current = None
        self._seq = seq
        self.fold_error = None
        self._tell(self._listener.on_written, batch, seq, size_bytes)
        self._consider_copying()
        if self.hurry:
            self._fold_bytes(2 * size_bytes)

    def _write(self, seq: int, batch: JournalBatch) -> int:
        if self._given_up:
            raise StorageClosed("the store was closed before this was written")
        if self.hurry and self.fold_error is not None and not only_deletes(batch.records):
            # Too much piles up: as long as it cannot be folded nothing more is added.
            self.fold_error = None
            self._fold()
            if self.fold_error is not None:
                raise self.fold_error
        if self.tight:
            self.fold_error = None
            while self._may_fold():  # what was deleted before makes room for this
                self._fold()
        if (fenced := strangers(batch.records, self._writer.epoch)) is not None:
            raise fenced
        now_ns = time.time_ns()
        records = [self._images.logged(record) for record in batch.records]
        row = journal.encode(seq, records, now_ns)
        batch.touched = True
        self._writer.append(seq, row, batch.records, now_ns)
        self._images.keep(batch.records)
        return len(row)

    def _fold_bytes(self, size_bytes: int) -> None:
        owed = size_bytes
        while owed > 0 and self._may_fold():
            owed -= max(1, self._fold())

    def _may_fold(self) -> bool:
        return self._folder.pending and self.fold_error is None and not self._given_up

    def _fold(self) -> int:
        try:
            folded = self._folder.step()
        except (apsw.Error, StorageError) as error:
            self.fold_error = storage_error(error, self._writer.path)
            return 0
        if folded.finished:
            self._images.folded()
            self._writer.folded()
        self._tell(self._listener.on_folded, folded)
        self._consider_copying()
        return folded.worth_bytes

    def _consider_copying(self) -> None:
        if self._writer.wal_bytes > self._limits.wal_bytes:
            self._writer.wal_bytes = 0
            self._checkpointer.start()

    def _checkpoint(self) -> None:
        with suppress(apsw.Error):  # what is not copied stays in the log
            self._writer.checkpoint()

    def _finish(self) -> bool:
        """Fold everything; whether that is done."""
        self.fold_error = None
        while self._may_fold():
            self._fold()
        return not self._folder.pending

    def _tell(self, hear: Callable[..., None], *what: object) -> None:
        try:
            self._loop.call_soon_threadsafe(hear, *what)
        except RuntimeError as error:
            raise _LoopGone from error
