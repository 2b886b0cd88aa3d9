"""Whether the files of a data directory are still where they were opened.

A directory can be deleted, renamed or replaced by a copy while a server has it open. The server's
descriptors go on working: it would write, and acknowledge, what is not found at the path, while a
second server takes that path and acknowledges as well. So the paths are looked at again, before
a batch is confirmed and whenever ownership is to be proven.

Shapes:     a file is (device, inode). As long as it is open its inode number is given to no other.
Invariants: paths are absolute from the start; a program may change its working directory.
"""

from __future__ import annotations

import os
from pathlib import Path

from wakeful.errors import DirectoryLost, StorageUnavailable
from wakeful.store.disk_probe import FAILURES


class OpenFiles:
    """The files that an owner has open, by path."""

    def __init__(self) -> None:
        self._noted: dict[str, tuple[int, int]] = {}  # never changed, but replaced

    def add(self, path: str | Path, fd: int | None = None) -> None:
        """Note a file that has just been opened.

        Args:
            path: where it is.
            fd: its descriptor; without one the file at the path is taken for it.

        Raises:
            DirectoryLost: nothing is at the path any more.
        """
        path = os.path.abspath(path)
        self._noted = {**self._noted, path: _identity(path if fd is None else fd)}

    def remove(self, path: str) -> None:
        """Forget a file that its owner itself may take away."""
        path = os.path.abspath(path)
        self._noted = {noted: found for noted, found in self._noted.items() if noted != path}

    def check(self) -> None:
        """Compare each path with the file that was opened; costs about a microsecond each.

        Raises:
            DirectoryLost: a path leads elsewhere, or nowhere.
            StorageUnavailable: the disk does not say.
        """
        noted = self._noted
        try:
            for path, opened in noted.items():
                if _identity(path) != opened:
                    raise DirectoryLost(f"{path} has been replaced{_WHILE_OPEN}")
        except DirectoryLost:
            if self._noted is noted:  # else its owner has taken it away, in another thread
                raise

    def closed(self) -> None:
        """From now on there is nothing to compare: the owner itself takes its files away."""
        self._noted = {}

    def intact(self) -> bool:
        """Whether all paths lead to the files that were opened."""
        try:
            self.check()
        except (DirectoryLost, StorageUnavailable):
            return False
        return True


_WHILE_OPEN = " while this process had it open: restart it on the directory that is to be served"


def _identity(file: str | int) -> tuple[int, int]:
    try:
        found = os.stat(file)
    except OSError as error:
        if error.errno in FAILURES:
            raise StorageUnavailable(f"{file} cannot be looked at: {error.strerror}") from error
        said = "has been deleted" if isinstance(error, FileNotFoundError) else str(error.strerror)
        raise DirectoryLost(f"{file} {said}{_WHILE_OPEN}") from error
    return found.st_dev, found.st_ino
