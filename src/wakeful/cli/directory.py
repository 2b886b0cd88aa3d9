"""A data directory that no server uses, owned by a command for a moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wakeful.cli.exit_codes import DataFailure
from wakeful.errors import StorageError
from wakeful.ports import StoreInfo
from wakeful.store.stopped import StoppedStore


def is_there(data: Path) -> bool:
    """Whether the path is a data directory already."""
    return any(data.glob("partition-*.db"))


@contextmanager
def owned(data: Path) -> Iterator[tuple[StoppedStore, StoreInfo]]:
    """Open the store of a directory; a directory that does not exist is made.

    Raises:
        DataFailure: it is in use, or cannot be used.
    """
    store = StoppedStore(data)
    try:
        info = store.open()
    except StorageError as error:
        raise DataFailure(str(error)) from error
    try:
        yield store, info
    finally:
        store.close()
