"""Writing an older partition file anew, with a checksum on each page.

Invariants: the old file stays as it is until the new one is complete and synced, and takes its
            place in one step; where that cannot be done, the old one is used on as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import apsw

from wakeful.errors import StorageError
from wakeful.log import logger
from wakeful.store import checksums
from wakeful.store.lock import sync_directory
from wakeful.store.schema import check_verifying, format_version, migrate, quick_check
from wakeful.store.storage_errors import storage_error

Progress = Callable[[int, int], None]  # bytes done, bytes in all
PROGRESS_STEPS: Final = 200_000  # of SQLite's virtual machine: some 10 ms


def has_room(path: str) -> bool:
    """Whether the pages of a file have room for checksums; so has one that is still to be made."""
    try:
        with open(path, "rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        return True
    return len(header) < 100 or header[checksums.RESERVED_AT] == checksums.SUM_BYTES


def consider(path: str, bytes_max: int) -> None:
    """Give an older file checksums as it is opened, if that takes a moment only."""
    if has_room(path) or checksums.vfs() is None:
        return
    if os.stat(path).st_size > bytes_max:
        said = "its pages have no checksums: `wakeful check --add-checksums` adds them"
        logger().warning(said, file=path)
        return
    try:
        add_checksums(path)
    except StorageError as error:
        said = "checksums could not be added to its pages: it is used without them"
        logger().warning(said, file=path, error=str(error))


def add_checksums(path: str, progress: Progress | None = None) -> None:
    """Write a file anew with a checksum on each page; no other process may have it open.

    Raises:
        StorageError: it stays as it is: it is damaged, there is no room, it is in use.
    """
    new = Path(f"{path}.new")
    try:
        new.unlink(missing_ok=True)
        _write_anew(path, new, progress)
        _take_place(new, Path(path))
    except apsw.Error as error:
        raise storage_error(error, path) from error
    except OSError as error:
        raise StorageError(f"{path} cannot be written anew: {error.strerror}") from error
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):
            with suppress(OSError):
                Path(f"{new}{suffix}").unlink(missing_ok=True)


def _write_anew(path: str, new: Path, progress: Progress | None) -> None:
    with closing(apsw.Connection(path, vfs=checksums.vfs())) as old:
        migrate(old, format_version(old, path), shards=0)
        old.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        if progress is not None:
            _report(old, path, new, progress)
        quick_check(old, path)
        checksums.reserve(old)
        old.execute("VACUUM INTO ?", (str(new),))
    with closing(apsw.Connection(str(new), vfs=checksums.vfs())) as made:
        check_verifying(made, migrate(made, format_version(made, path), shards=0), path)


def _report(old: apsw.Connection, path: str, new: Path, progress: Progress) -> None:
    total = os.stat(path).st_size

    def look() -> bool:
        with suppress(FileNotFoundError):
            progress(min(os.stat(new).st_size, total), total)
        return False

    old.set_progress_handler(look, PROGRESS_STEPS)


def _take_place(new: Path, old: Path) -> None:
    log = Path(f"{old}-wal")
    if log.exists() and log.stat().st_size:
        raise StorageError(f"{old} is open elsewhere: what is in its log is not in the file")
    with new.open("rb") as file:
        os.fsync(file.fileno())
    new.replace(old)
    sync_directory(old.parent)
