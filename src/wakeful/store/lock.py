"""One owner of a data directory at a time, held by the operating system.

Invariants: the lock dies with its process, so that a crash leaves nothing to clean up, and forked
            children do not keep it; the file's content (the owner's pid) is for people, the lock
            itself is flock's. A lock of fcntl would need no care at a fork, but any other code that
            closes the file, a copy of the directory say, would give it up.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from wakeful.errors import DirectoryInUse, StorageFull, StorageReadOnly
from wakeful.forks import keep_from_children
from wakeful.store.identity import OpenFiles

_PID_CHARS: Final = 10  # always as many: nothing of an earlier owner's is left


class DirectoryLock:
    """An exclusive lock on a data directory, taken without waiting."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / "lock"
        self._fd: int | None = None
        keep_from_children(self, DirectoryLock._descriptors)

    def acquire(self) -> None:
        """Take the lock, creating the directory if need be.

        Raises:
            DirectoryInUse: another owner holds it; the message says which process.
            StorageReadOnly, StorageFull: the directory or the lock file cannot be written.
        """
        assert self._fd is None, "the lock is already held"
        try:
            fd = self._open()
        except OSError as error:
            raise self._refused(error) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(OSError):  # for people, and a full disk may have no room for it
                os.pwrite(fd, f"{os.getpid():<{_PID_CHARS}}\n".encode(), 0)
        except BlockingIOError:
            owner = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(fd)
            raise DirectoryInUse(
                f"{self._directory} is in use by process {owner}: stop it, or choose another"
                " data directory"
            ) from None
        except OSError as error:
            os.close(fd)
            raise self._refused(error) from error
        self._fd = fd

    def release(self) -> None:
        """Give the lock up; harmless if it is not held."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def note(self, files: OpenFiles) -> None:
        """Add the lock that is held to the files whose paths are looked at again.

        Raises:
            DirectoryLost: it has been deleted meanwhile.
        """
        assert self._fd is not None, "the lock is not held"
        files.add(self._path, self._fd)

    def _descriptors(self) -> list[int]:
        return [] if self._fd is None else [self._fd]

    def _open(self) -> int:
        self._directory.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._directory.mkdir()
        except FileExistsError:
            pass
        else:
            sync_directory(self._directory.parent)
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def _refused(self, error: OSError) -> StorageReadOnly | StorageFull:
        message = f"cannot write to the data directory {self._directory}: {error.strerror}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return StorageFull(message)
        return StorageReadOnly(message)


def sync_directory(path: Path) -> None:
    """Make a new entry of a directory survive power loss."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
