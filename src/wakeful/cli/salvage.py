"""What `wakeful check` does with each actor: see whether all of it can be read, and copy it."""

from __future__ import annotations

import math
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from wakeful.errors import StorageError, WakefulError
from wakeful.facet import Persistence
from wakeful.ids import ActorId, shard_of
from wakeful.ports import Cells, CommitRecord
from wakeful.runtime.inspection import view
from wakeful.sql.databases import Databases
from wakeful.store.check import SALVAGE, Check
from wakeful.store.stopped import StoppedStore

PAGES_AT_ONCE: Final = 1_000
PAGE_COUNT_AT: Final = slice(28, 32)  # https://sqlite.org/fileformat2.html
QUICK_CHECK: Final = "PRAGMA quick_check(3)"


class Actors:
    """Reads all that actors keep.

    Args:
        check: the file.
        sql: open their SQL databases as well.

    Attributes:
        count: how many have been looked at.
        databases: how many SQL databases they have.
    """

    def __init__(self, check: Check, *, sql: bool) -> None:
        self.count = 0
        self.databases = 0
        self._check = check
        self._sql = sql

    def is_sound(self, actor: ActorId) -> bool:
        """Whether everything an actor keeps can be read; damage is noted."""
        self.count += 1
        before = self._check.found
        try:
            view(actor.type, actor.name, self._check.cells(actor))
            first = self._check.page(actor, 1)
        except (WakefulError, AssertionError, msgspec.MsgspecError) as error:
            self._check.add(str(actor), error, SALVAGE)
            return False
        if first is not None:
            self.databases += 1
            if self._sql:
                self._look_into(actor)
        return self._check.found == before

    def _look_into(self, actor: ActorId) -> None:
        databases = Databases(self._check.page, seconds=math.inf)
        database = databases.open(actor, Persistence(), lambda: False)
        try:
            said = [str(line) for (line,) in database.execute(QUICK_CHECK).rest()]
            if said != ["ok"]:
                self._check.add(str(actor), f"its SQL database: {'; '.join(said)}", SALVAGE)
        except WakefulError as error:
            self._check.add(str(actor), f"its SQL database: {error}", SALVAGE)
        finally:
            database.undo()
            database.close()
            databases.close()


class Salvage:
    """Copies actors into a new data directory.

    Args:
        check: where they are.
        target: the new directory; None copies nothing.

    Attributes:
        count: how many were copied.
    """

    def __init__(self, check: Check, target: Path | None) -> None:
        self.count = 0
        self._check = check
        self._store = None if target is None else StoppedStore(target)

    def __enter__(self) -> Self:
        """Make the directory."""
        if self._store is not None:
            info = self._store.open()
            self._epoch, self._shards = info.lanes[0].epoch, info.shards
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        if self._store is not None:
            self._store.close()

    def copy(self, actor: ActorId) -> None:
        """Copy all that an actor keeps; nothing of it stays if a part cannot be read after all."""
        if self._store is None:
            return
        try:
            cells: Cells = self._check.cells(actor)
            first = self._check.page(actor, 1)
            self._write(actor, cells, {} if first is None else {1: first}, wipe=True)
            if first is not None:
                self._copy_pages(actor, int.from_bytes(first[PAGE_COUNT_AT], "big"))
        except StorageError as error:
            self._check.add(str(actor), error, SALVAGE)
            self._write(actor, {}, {}, wipe=True)
            return
        self.count += 1

    def _copy_pages(self, actor: ActorId, count: int) -> None:
        pages: dict[int, bytes | None] = {}
        for number in range(2, count + 1):
            if (page := self._check.page(actor, number)) is not None:
                pages[number] = page
            if len(pages) == PAGES_AT_ONCE or (number == count and pages):
                self._write(actor, {}, pages)
                pages = {}

    def _write(
        self, actor: ActorId, cells: Cells, pages: dict[int, bytes | None], *, wipe: bool = False
    ) -> None:
        assert self._store is not None
        shard = shard_of(actor, self._shards)
        puts: dict[str, bytes | None] = dict(cells)
        record = CommitRecord(actor.type, actor.name, shard, self._epoch, 1, wipe, puts, pages)
        self._store.commit([record])
