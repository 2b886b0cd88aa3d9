"""What a writer does on a full disk: it begins the log anew, and for deletions it has a reserve.

A write that adds something is refused as soon as the reserve cannot be kept whole. Else it would
take, by and by, the room that deletions need: the log they are written to, and the growth of the
file that has to come before the log can be begun anew.

Invariants: the reserve is for the start of an owner, for deletions, and for folding, which gives
            back the pages of the journal. It holds at least as much as the file has to grow by when
            the log is copied into it: so the log can be begun anew, and has room for deletions.
            Free pages of the file count as room, since what is written next goes into them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import apsw

from wakeful.errors import StorageFull
from wakeful.ports import CommitRecord
from wakeful.store.checksums import PAGE_BYTES
from wakeful.store.identity import OpenFiles
from wakeful.store.limits import Limits
from wakeful.store.reserve import Reserve, only_deletes

KEPT_EVERY_BYTES: Final = 256 * 1024  # of log
MORE_BYTES: Final = 1024 * 1024  # than a log, and what may wait to be folded
BUSY_TRIES: Final = 1_000
BUSY_SECONDS: Final = 0.002
FOLD_BYTES: Final = 512 * 1024  # more than a slice takes


class Room:
    """Room for the writes of an owner.

    Args:
        file: the data file.
        limits: how large its log becomes before it is begun anew, and how much may wait to be
            folded: the file may have to grow by both.
        connection: gives the connection that writes.

    Attributes:
        pressed: the disk has been full since the last fold.
        kept_at: how large the log was when the reserve was last looked at.
        short: there is less room than deletions may need: nothing may be added.
    """

    def __init__(
        self, file: str, limits: Limits, connection: Callable[[], apsw.Connection]
    ) -> None:
        self.pressed = False
        self.kept_at = 0
        self.short = False
        self._file = file
        self._reserve = Reserve(file)
        self._bytes_max = limits.wal_bytes + limits.overload * limits.fold_bytes + MORE_BYTES
        self._bytes = 0
        self._connection = connection

    @property
    def tight(self) -> bool:
        """Whether what is durable is to be folded at once, so that what is deleted makes room."""
        return self.pressed or self.short

    def run(self, work: Callable[[], object], records: Sequence[CommitRecord] = ()) -> None:
        """Do some work, again with the log begun anew if the disk is full, and with the reserve.

        Args:
            work: it leaves nothing behind when it fails.
            records: what it makes durable: if that adds something it gets no reserve.

        Raises:
            apsw.FullError: there is no room.
        """
        try:
            work()
            return
        except apsw.FullError:
            self.pressed = True
        spare = only_deletes(records)
        while True:
            self._begin_log_anew()
            try:
                work()
                return
            except apsw.FullError:
                if not (spare and self._give()):
                    self.refill()
                    raise

    def check_growth(self) -> None:
        """See that what is folded leaves enough of the reserve to copy the log into the file.

        Raises:
            StorageFull: it would not: what is not folded stays in the journal.
        """
        if self.pressed and self._left_bytes() < FOLD_BYTES:
            raise StorageFull(f"no space for {self._file} to fold its journal")

    def admit(self, records: Sequence[CommitRecord], files: OpenFiles, wal_bytes: int) -> None:
        """Let a batch pass while there is little room.

        Raises:
            StorageFull: it adds something, and there is still too little.
        """
        if only_deletes(records):
            return
        self.keep(files, wal_bytes)
        if self.short:
            self.pressed = True
            said = f"no space for {self._file}, nothing was written: what is left is for deletions"
            raise StorageFull(said)

    def relieve(self) -> None:
        """After a fold: if the disk was full have the log begun anew."""
        if self.pressed:
            self._begin_log_anew()
            self.pressed = False

    def keep(self, files: OpenFiles, wal_bytes: int) -> None:
        """Fill the reserve if there is room, and see whether there is enough.

        Args:
            files: they must still be where they were.
            wal_bytes: how large the log is.
        """
        self.kept_at = wal_bytes
        if not files.intact():
            return
        with suppress(apsw.Error):
            used_bytes = self._size_bytes() - self._free_bytes()
            enough = min(2 * used_bytes + MORE_BYTES, self._bytes_max)
            self._bytes = max(enough, self._growth_bytes() + MORE_BYTES)
            filled = self._reserve.fill(self._bytes)
            self.short = not filled and self._left_bytes() < self._bytes

    def refill(self) -> None:
        """Fill the reserve as far as there is room: with what a log that is gone has left, say."""
        self._reserve.gather(self._bytes)

    def _give(self) -> bool:
        given = self._reserve.give()
        self.short = self.short or given
        return given

    def _begin_log_anew(self) -> None:
        """Copy all of the log into the file: then the next write goes to the log's beginning.

        What the reserve gives for that it need not cover any more: what is left stays the same.
        """
        with suppress(apsw.Error):  # what is not copied stays in the log
            while not self._copied():
                if not self._give():
                    return

    def _copied(self) -> bool:
        for _ in range(BUSY_TRIES):
            try:
                self._connection().wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                return True
            except apsw.BusyError:
                time.sleep(BUSY_SECONDS)  # the checkpointer copies, in its own thread
            except apsw.FullError:
                return False
        return True

    def _size_bytes(self) -> int:
        return int(self._connection().execute("PRAGMA page_count").get) * PAGE_BYTES

    def _free_bytes(self) -> int:
        return int(self._connection().execute("PRAGMA freelist_count").get) * PAGE_BYTES

    def _left_bytes(self) -> int:
        """How much can be added, once the log has been copied into the file."""
        return self._reserve.size_bytes + self._free_bytes() - self._growth_bytes()

    def _growth_bytes(self) -> int:
        try:
            return max(0, self._size_bytes() - os.stat(self._file).st_size)
        except OSError:
            return 0  # it is gone, which is found out elsewhere
