"""Whether a file can be read at all: tells a disk that fails from a file that is damaged.

SQLite calls a file corrupt too if the system could not read it: EIO becomes SQLITE_IOERR_CORRUPTFS,
and SQLITE_CORRUPT while a statement runs. The file is intact then, and can be read once the disk
is back; nothing of it has to be repaired or given up.
"""

from __future__ import annotations

import errno
import mmap
import os
from contextlib import suppress
from typing import Final

BLOCK_BYTES: Final = 4096
# The disk, or the way to it, failed. What is denied, missing or full is something else.
FAILURES: Final = frozenset(
    getattr(errno, name)
    for name in ("EIO", "ENXIO", "ENODEV", "ESTALE", "ENOTCONN", "ESHUTDOWN", "ETIMEDOUT")
    if hasattr(errno, name)
)


def failure(path: str) -> OSError | None:
    """Why a file and its log cannot be read, past the kernel's cache where it can be passed."""
    for file in (path, f"{path}-wal"):
        try:
            _read(file)
        except OSError as error:
            if error.errno in FAILURES:
                return error
    return None


def _read(file: str) -> None:
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(AttributeError):  # not every system lets a reader pass the cache
            _read_past_cache(file)
        os.pread(fd, BLOCK_BYTES, 0)
    finally:
        os.close(fd)


def _read_past_cache(file: str) -> None:
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECT)
    except OSError as error:
        if error.errno == errno.EINVAL:
            return  # nor does every file system
        raise
    try:
        with mmap.mmap(-1, BLOCK_BYTES) as aligned:
            os.preadv(fd, [aligned], 0)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(fd)
