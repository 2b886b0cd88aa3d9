"""Room on the disk that is kept for a start and for deletions, when all the rest is taken.

A full disk must not keep its server from starting, nor from deleting, and both write: the log has
to grow, the file perhaps. So a file beside the data file holds some room. It is given up piece by
piece, as much as is needed and no more, and filled again when there is room.

Shapes:     <partition>.reserve: its size counts, what is in it means nothing. Deleting it while no
            server runs does no harm; the next start makes it anew.
Invariants: only those who have ownership of the data file, or take it, change its reserve.
Errors:     none: where a reserve cannot be kept there is none, and a full disk is only an error.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from wakeful.errors import StorageFull
from wakeful.ports import CommitRecord

T = TypeVar("T")
PIECE_BYTES: Final = 128 * 1024
PIECE_BYTES_MIN: Final = 4096
NO_SPACE: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_MADE_BYTES: Final = 64 * 1024  # at a time, where the system cannot allocate


def path_of(file: str) -> str:
    """Where the reserve of a data file is."""
    return f"{file.removesuffix('.db')}.reserve"


def only_deletes(records: Sequence[CommitRecord]) -> bool:
    """Whether a batch takes away and adds nothing."""
    return all(
        value is None
        for record in records
        for values in (record.puts, record.pages)
        for value in values.values()
    )


class Reserve:
    """The reserve of a data file.

    Args:
        file: the data file.
    """

    def __init__(self, file: str) -> None:
        self._path = path_of(file)

    @property
    def size_bytes(self) -> int:
        """How much room it holds."""
        try:
            return os.stat(self._path).st_size
        except OSError:
            return 0

    def give(self) -> bool:
        """Give a piece of it up; False if nothing is left."""
        left = self.size_bytes
        if not left:
            return False
        try:
            os.truncate(self._path, max(0, left - PIECE_BYTES))
        except OSError:
            return False
        return True

    def fill(self, size_bytes: int) -> bool:
        """Fill it up to a size; False if the disk has no room for that."""
        have = self.size_bytes
        if have >= size_bytes:
            return True
        try:
            _grow(self._path, have, size_bytes)
        except OSError as error:
            with suppress(OSError):  # an attempt may leave a part of what it was for
                os.truncate(self._path, have)
            return error.errno not in NO_SPACE
        return True

    def gather(self, size_bytes: int) -> None:
        """Fill it up to a size as far as there is room."""
        have = self.size_bytes
        piece = size_bytes - have
        while piece >= PIECE_BYTES_MIN and have < size_bytes:
            if self.fill(min(size_bytes, have + piece)):
                have += piece
            else:
                piece //= 2


def with_reserve(file: str, work: Callable[[], T]) -> T:
    """Do what needs a little room beside a data file; on a full disk with a piece of its reserve.

    Args:
        file: the data file.
        work: may be repeated.

    Raises:
        StorageFull, OSError: there is no room, and no reserve.
    """
    reserve = Reserve(file)
    while True:
        try:
            return work()
        except StorageFull:
            if not reserve.give():
                raise
        except OSError as error:
            if error.errno not in NO_SPACE or not reserve.give():
                raise


def _grow(path: str, have: int, size_bytes: int) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, have, size_bytes - have)
            return
        for start in range(have, size_bytes, _MADE_BYTES):
            os.pwrite(fd, bytes(min(_MADE_BYTES, size_bytes - start)), start)
    finally:
        os.close(fd)
