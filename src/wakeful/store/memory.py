"""A store in memory, for tests and for actors that need not outlive the process.

What it keeps lasts as long as its `MemoryDisk`. Open a second store on the same disk and it takes
over; the first is fenced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from wakeful.errors import Fenced, StorageClosed, StorageError
from wakeful.ids import ActorId
from wakeful.ports import (
    AGENDA_KEY,
    Alarm,
    Cells,
    CommitRecord,
    Done,
    Page,
    StoreInfo,
    due_of,
    even_lanes,
)

K = TypeVar("K", str, int)

SHARDS: Final = 4096


class MemoryDisk:
    """What outlives a store: cells, pages, and the epoch of each lane's last owner."""

    def __init__(self, shards: int = SHARDS, lanes: int = 1) -> None:
        self.shards = shards
        self.epochs = [0] * lanes
        self.cells: dict[tuple[str, str], Cells] = {}  # no actor has an empty dict
        self.pages: dict[tuple[str, str], dict[int, bytes]] = {}  # nor here

    def take(self, lane: int) -> int:
        """A lane has a new owner; the epoch it writes with."""
        self.epochs[lane] += 1
        return self.epochs[lane]


class MemoryStore:
    """The store port over a dict."""

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        self._disk = disk or MemoryDisk()
        self._epochs: list[int] = []  # of its lanes, while it is open
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def open(self) -> StoreInfo:
        """Take the disk over from whoever had it."""
        disk = self._disk
        self._epochs = [disk.take(lane) for lane in range(len(disk.epochs))]
        return StoreInfo(disk.shards, even_lanes(disk.shards, self._epochs))

    @property
    def failed(self) -> StorageError | None:
        """Memory does not fail."""
        return None

    async def reopen(self) -> StoreInfo:
        """Take the disk over from this owner itself."""
        for lane in range(len(self._epochs)):
            self.prove(lane)
        self._check_open()
        return await self.open()

    def load(self, actor: ActorId) -> Cells:
        """All cells of an actor."""
        self._check_open()
        return self._disk.cells.get((actor.type, actor.name), {}).copy()

    def page(self, actor: ActorId, number: int) -> bytes | None:
        """One page of an actor's SQL database."""
        self._check_open()
        return self._disk.pages.get((actor.type, actor.name), {}).get(number)

    def prove(self, lane: int) -> None:
        """Compare the epoch with that of the lane's last owner."""
        self._check_open()
        if (epoch := self._epochs[lane]) != (newest := self._disk.epochs[lane]):
            raise Fenced(f"epoch {epoch} has been followed by epoch {newest}")

    def commit(self, lane: int, records: Sequence[CommitRecord], done: Done) -> None:
        """Write a batch; `done` is called in a later turn of the loop."""
        self._in_flight += 1
        self._idle.clear()
        epoch = self._epochs[lane] if self._epochs else 0
        asyncio.get_running_loop().call_soon(self._finish, lane, records, done, epoch)

    async def actors(
        self, type: str, prefix: str = "", cursor: str | None = None, limit: int = 100
    ) -> Page:
        """Actors of a type that have cells."""
        self._check_open()
        names = sorted(
            name
            for kind, name in self._disk.cells.keys() | self._disk.pages.keys()
            if kind == type and name.startswith(prefix) and (cursor is None or name > cursor)
        )
        return Page(
            actors=tuple(ActorId(type, name) for name in names[:limit]),
            cursor=names[limit - 1] if len(names) > limit else None,
        )

    async def types(self) -> list[str]:
        """The actor types that have cells."""
        self._check_open()
        return sorted({kind for kind, _ in self._disk.cells.keys() | self._disk.pages.keys()})

    async def alarms(
        self, until_ns: int, limit: int, types: Collection[str] | None = None
    ) -> list[Alarm]:
        """The first alarms due at or before a time."""
        self._check_open()
        found = [
            Alarm(due_of(cells[AGENDA_KEY]), ActorId(*key))
            for key, cells in self._disk.cells.items()
            if (types is None or key[0] in types)
            and AGENDA_KEY in cells
            and due_of(cells[AGENDA_KEY]) <= until_ns
        ]
        return sorted(found)[:limit]

    async def close(self, seconds: float | None = None) -> None:
        """Finish what is in flight."""
        self._epochs = []
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    def _check_open(self) -> None:
        if not self._epochs:
            raise StorageClosed("the memory store is not open")

    def _finish(self, lane: int, records: Sequence[CommitRecord], done: Done, epoch: int) -> None:
        error = self._write(lane, records, epoch)
        self._in_flight -= 1
        if not self._in_flight:
            self._idle.set()
        done(error)

    def _write(self, lane: int, records: Sequence[CommitRecord], epoch: int) -> StorageError | None:
        disk = self._disk
        if not epoch:
            return StorageClosed("the memory store is closed")
        newest = disk.epochs[lane]
        if epoch != newest:
            return Fenced(f"epoch {epoch} has been followed by epoch {newest}")
        if strangers := {record.epoch for record in records} - {epoch}:
            return Fenced(f"a record has epoch {strangers.pop()}, the store writes with {epoch}")
        for record in records:
            self._apply(record)
        return None

    def _apply(self, record: CommitRecord) -> None:
        key, disk = (record.type, record.name), self._disk
        if record.wipe:
            disk.cells.pop(key, None)
            disk.pages.pop(key, None)
        if record.puts:
            _change(disk.cells, key, record.puts)
        if record.pages:
            _change(disk.pages, key, record.pages)


def _change(
    kept: dict[tuple[str, str], dict[K, bytes]],
    key: tuple[str, str],
    changes: Mapping[K, bytes | None],
) -> None:
    mine = kept.setdefault(key, {})
    for name, value in changes.items():
        if value is None:
            mine.pop(name, None)
        else:
            mine[name] = value
    if not mine:
        del kept[key]
