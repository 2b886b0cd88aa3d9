"""A data directory that no server uses, owned by a command for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wakeful.cli.exit_codes import DataFailure
from wakeful.errors import StorageError
from wakeful.ports import StoreInfo
from wakeful.store.sqlite import SQLiteStore


def is_there(data: Path) -> bool:
    """Whether it is a data directory already."""
    return any(data.glob("partition-*.db"))


@contextmanager
def owned(data: Path) -> Iterator[tuple[SQLiteStore, StoreInfo]]:
    """Its store; a directory that does not exist is made.

    Raises:
        DataFailure: it is in use, or cannot be used.
    """
    store = SQLiteStore(data)
    try:
        info = store.open()
    except StorageError as error:
        raise DataFailure(str(error)) from error
    try:
        yield store, info
    finally:
        asyncio.run(store.close())
