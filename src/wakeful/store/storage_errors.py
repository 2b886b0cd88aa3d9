"""What SQLite's errors mean to those who call the store."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from wakeful.errors import (
    Fenced,
    StorageCorrupt,
    StorageError,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
)
from wakeful.ports import CommitRecord
from wakeful.store import disk_probe
from wakeful.store.checksums import is_mismatch


def storage_error(error: Exception, path: str) -> StorageError:
    """The error of ours for one of SQLite's, all of whose statements are atomic."""
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    match error:
        case StorageError():
            return error
        case apsw.FullError() | apsw.IOError() if _is_full(error):
            return StorageFull(f"no space for {path}, nothing was written ({said})")
        case apsw.ReadOnlyError() | apsw.PermissionsError():
            return StorageReadOnly(f"{path} cannot be written ({said})")
        case apsw.IOError() if is_mismatch(error):
            return StorageCorrupt(f"{path} is damaged: a page of it does not match its checksum")
        case apsw.CorruptError() | apsw.IOError() if _may_be_unreadable(error):
            if (failed := disk_probe.failure(path)) is not None:
                return StorageUnavailable(f"{path} cannot be read: {failed.strerror} ({said})")
            return StorageCorrupt(f"{path} is damaged ({said})")
        case apsw.NotADBError():
            return StorageCorrupt(f"{path} is damaged ({said})")
        case apsw.IOError() | apsw.CantOpenError():
            return StorageUnavailable(f"{path} cannot be reached: the disk fails ({said})")
        case apsw.BusyError() | apsw.LockedError():
            return StorageError(f"another process keeps {path} locked ({said})")
        case _:
            return StorageError(f"{path} failed ({said})")


def _may_be_unreadable(error: Exception) -> bool:
    """Whether SQLite says this of a damaged file and of one that the system does not read.

    EIO while reading is SQLITE_IOERR_CORRUPTFS, and SQLITE_CORRUPT if a statement was running.
    """
    code = getattr(error, "extendedresult", None)
    return isinstance(error, apsw.CorruptError) or code == apsw.SQLITE_IOERR_CORRUPTFS


def _is_full(error: Exception) -> bool:
    """Whether there is no space; of a page of shared memory SQLite says it in its own way."""
    code = getattr(error, "extendedresult", None)
    return isinstance(error, apsw.FullError) or code == apsw.SQLITE_IOERR_SHMSIZE


def strangers(records: Sequence[CommitRecord], epoch: int) -> Fenced | None:
    """The refusal of a batch that has a record of another epoch than the owner's."""
    for record in records:
        if record.epoch != epoch:
            return Fenced(
                f"{record.type}/{record.name}: a record of epoch {record.epoch}, the store writes"
                f" with epoch {epoch}"
            )
    return None
