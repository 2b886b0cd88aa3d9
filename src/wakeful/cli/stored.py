"""Stored actors as `wakeful actors` sees them: in a stopped directory, or through its server.

Errors: Failure, in one line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import msgspec

from wakeful.cli import address
from wakeful.cli.failures import DataFailure, Failure
from wakeful.errors import DirectoryInUse, StorageError, WakefulError
from wakeful.ids import ActorId, shard_of
from wakeful.packing import decode
from wakeful.ports import KV_PREFIX, STATE_KEY, CommitRecord, Page, StoreInfo
from wakeful.state import describe, stored_version
from wakeful.store.sqlite import SQLiteStore

COUNTED_MAX: Final = 10_000  # actors of a type; counting more would make a look take seconds
PAGE: Final = 1_000


class Stored(msgspec.Struct, frozen=True):
    """All that one actor keeps.

    Attributes:
        version: the schema version of its state; None if it has no declared state.
        state: declared attributes by name.
        storage: what it has put into its storage, by key.
        size_bytes: of the values as they are stored.
    """

    type: str
    name: str
    version: int | None
    state: dict[str, object]
    storage: dict[str, object]
    size_bytes: int


class Source(Protocol):
    """Somewhere stored actors can be seen."""

    def types(self) -> list[str]:
        """The types that have stored actors."""

    def list(self, type: str, prefix: str, cursor: str | None, limit: int) -> Page:
        """A page of names."""

    def get(self, actor: ActorId) -> Stored | None:
        """What an actor keeps, or None if that is nothing."""

    def delete(self, actor: ActorId) -> None:
        """Remove an actor and all it keeps."""


@contextmanager
def open_source(data: Path) -> Iterator[Source]:
    """Look into a data directory, whether a server runs on it or not.

    Raises:
        Failure: it is no data directory, or cannot be read.
    """
    if not any(data.glob("partition-*.db")):
        what = "holds no actors" if data.is_dir() else "does not exist"
        message = f"{data} {what}: name the data directory with --data"
        raise DataFailure(message)
    store = SQLiteStore(data)
    try:
        info = store.open()
    except DirectoryInUse as error:
        with _running(data, error) as source:
            yield source
        return
    except StorageError as error:
        raise DataFailure(str(error)) from error
    try:
        yield Stopped(store, info)
    except WakefulError as error:
        raise Failure(str(error)) from error
    finally:
        asyncio.run(store.close())


def count(source: Source, type: str) -> int:
    """How many actors of a type are stored; counting ends soon after COUNTED_MAX."""
    found, cursor = 0, None
    while found < COUNTED_MAX:
        page = source.list(type, "", cursor, PAGE)
        found += len(page.actors)
        cursor = page.cursor
        if cursor is None:
            break
    return found


class Stopped:
    """A directory that no process owns: opened here, for a moment."""

    def __init__(self, store: SQLiteStore, info: StoreInfo) -> None:
        self._store = store
        self._info = info

    def types(self) -> list[str]:
        """The types that have stored actors."""
        return self._store.types()

    def get(self, actor: ActorId) -> Stored | None:
        """What an actor keeps."""
        cells = self._store.load(actor)
        if not cells:
            return None
        state = cells.get(STATE_KEY)
        return Stored(
            type=actor.type,
            name=actor.name,
            version=None if state is None else stored_version(state),
            state={} if state is None else describe(state),
            storage={
                key.removeprefix(KV_PREFIX): decode(value)
                for key, value in sorted(cells.items())
                if key.startswith(KV_PREFIX)
            },
            size_bytes=sum(map(len, cells.values())),
        )

    def delete(self, actor: ActorId) -> None:
        """Remove an actor and all it keeps."""
        info = self._info
        shard = shard_of(actor, info.shards)
        record = CommitRecord(actor.type, actor.name, shard, info.epoch, 1, True, {})
        self._store.commit_now([record])

    def list(self, type: str, prefix: str, cursor: str | None, limit: int) -> Page:
        """A page of names."""
        return self._store.list(type, prefix, cursor, limit)


@contextmanager
def _running(data: Path, error: DirectoryInUse) -> Iterator[Source]:
    server = address.find(data)
    if server is None:
        raise DataFailure(f"{error}; it answers no HTTP")
    raise NotImplementedError
    yield
