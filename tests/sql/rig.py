"""A store of pages in a dict, and the runtime's part played by hand."""

from __future__ import annotations

from wakeful.facet import Persistence
from wakeful.ids import ActorId
from wakeful.ports import CommitRecord
from wakeful.sql.database import SqlDatabase
from wakeful.sql.databases import Databases
from wakeful.sql.face import NativeSql
from wakeful.sql.pages import Changes

ACTOR = ActorId("Thing", "a")


class Rig:
    """One actor's database over a dict.

    Attributes:
        stored: what the store shows.
        batches: all changes that were ever taken, in order.
        flying: taken, and not yet durable.
    """

    def __init__(self, persistence: Persistence | None = None, **limits: int | float) -> None:
        self.stored: dict[int, bytes] = {}
        self.batches: list[Changes] = []
        self.flying: Changes | None = None
        self.reads = 0
        self.databases = Databases(self._page, **limits)  # type: ignore[arg-type]
        self.persistence = persistence or Persistence()
        self.wake()

    def wake(self) -> None:
        """A new activation; what was not durable is lost."""
        self.flying = None
        self.database = self.databases.open(
            ACTOR, self.persistence, lambda: self.flying is not None
        )

    @property
    def sql(self) -> NativeSql:
        return self.database.face

    def save(self) -> bool:
        """A commit point."""
        if not self.database.prepare():
            return False
        self.database.commit()
        return True

    def fly(self) -> None:
        """A record leaves with what was saved; the one before is durable."""
        self.land()
        self.flying = taken(self.database)
        self.batches.append(dict(self.flying))

    def land(self) -> None:
        """The record on its way is durable."""
        if self.flying is not None:
            put(self.stored, self.flying)
            self.flying = None

    def commit(self) -> None:
        """A commit point, made durable."""
        if self.save():
            self.fly()
            self.land()

    def _page(self, actor: ActorId, number: int) -> bytes | None:
        assert actor == ACTOR
        self.reads += 1
        return self.stored.get(number)


def taken(database: SqlDatabase) -> Changes:
    """What a record that leaves now has to carry."""
    record = CommitRecord("Thing", "a", 0, 1, 1, False, {})
    database.take(record)
    return record.pages


def put(stored: dict[int, bytes], changes: Changes) -> None:
    for number, page in changes.items():
        if page is None:
            stored.pop(number, None)
        else:
            stored[number] = page
