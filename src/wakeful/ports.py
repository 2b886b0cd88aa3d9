"""What the runtime needs of the outside world: a store and a clock.

A store keeps *cells*: for each actor a mapping from a text key to bytes. What the keys mean is
not the store's business (the runtime keeps declared state under STATE_KEY, user keys under
KV_PREFIX + key). Writes arrive as commit records in batches; a batch is atomic and durable
when `done(None)` is called, in the loop's thread.

Actors hash to shards, and shards are owned in *lanes*: a lane has an epoch of its own, and its
batches succeed or fail whatever becomes of those of other lanes.

Besides cells an actor may have *pages*, those of its SQL database, by number from 1.

Shapes:     a cell's value is bytes; None in `puts` deletes the cell, in `pages` the page.
Units:      sizes are bytes; times are int nanoseconds since 1970.
Invariants: at most one batch of a lane is in flight; a lane's batches become durable in the order
            given; every record's epoch is compared with the store's in the transaction that
            writes it.
Source:     group commit, Helland et al. 1987; fencing tokens, Kleppmann 2016; value-or-awaitable
            reads, workerd's ActorCacheOps.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, runtime_checkable

import msgspec

from wakeful.core.agenda import HEAD_KEY
from wakeful.core.working_set import Part
from wakeful.errors import Fenced, StorageError
from wakeful.facet import Persistence
from wakeful.ids import ActorId

if TYPE_CHECKING:
    from wakeful.actor_storage import Sql

STATE_KEY: Final = "s"
KV_PREFIX: Final = "k"
NAME_KEY: Final = "n"  # of a Worker's object: the name that it was requested by
AGENDA_KEY: Final = HEAD_KEY  # the one cell a store looks into: its first 8 bytes are a time

Cells = dict[str, bytes]
NO_PAGES: Final[dict[int, bytes | None]] = {}  # shared by records without any: never changed

FAILED_ALARM_KEY: Final = "f"  # the alarm that was given up last, and why

SqlValue = None | int | float | str | bytes
SqlRow = tuple[SqlValue, ...]
Done = Callable[[StorageError | None], None]


class SqlCursor(Protocol):
    """Rows of a statement, with SQLite's values."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""

    @property
    def more(self) -> bool:
        """Whether there are rows left."""

    @property
    def entries_written(self) -> int:
        """Entries of tables and of indexes that were written."""

    rows_read: int
    rows_written: int

    def __iter__(self) -> Iterator[SqlRow]: ...

    def __next__(self) -> SqlRow: ...

    def rest(self) -> Sequence[SqlRow]:
        """All rows that are left."""

    def close(self) -> None:
        """Discard the rows that are left."""


class CommitRecord(msgspec.Struct, array_like=True, gc=False):
    """All that one or more whole turns of one actor changed: applied together or not at all.

    Fields are only ever appended, so that older journals stay readable.
    """

    type: str
    name: str
    shard: int
    epoch: int
    seq: int
    wipe: bool
    puts: dict[str, bytes | None]
    pages: dict[int, bytes | None] = {}


class LaneInfo(msgspec.Struct, frozen=True):
    """Shards that one owner writes together: a partition of a directory, a lane of a database.

    Attributes:
        number: which lane; commits name it.
        epoch: what its owner writes with.
        first: its first shard.
        last: its last shard.
    """

    number: int
    epoch: int
    first: int
    last: int


class StoreInfo(msgspec.Struct, frozen=True):
    """The result of opening a store.

    Attributes:
        shards: how many shards actors hash to.
        lanes: what this node owns.
    """

    shards: int
    lanes: tuple[LaneInfo, ...]

    def lane_of(self, shard: int) -> LaneInfo:
        """The lane of a shard.

        Raises:
            Fenced: it is another node's.
        """
        for lane in self.lanes:
            if lane.first <= shard <= lane.last:
                return lane
        raise Fenced(f"shard {shard} is not owned here")


def even_lanes(shards: int, epochs: Sequence[int]) -> tuple[LaneInfo, ...]:
    """Lanes of about equal numbers of shards, one for each epoch."""
    count = len(epochs)
    starts = [number * shards // count for number in range(count + 1)]
    return tuple(
        LaneInfo(number, epoch, starts[number], starts[number + 1] - 1)
        for number, epoch in enumerate(epochs)
    )


class Page(msgspec.Struct, frozen=True):
    """One page of a listing; `cursor` continues it, None at the end."""

    actors: tuple[ActorId, ...]
    cursor: str | None


class Alarm(NamedTuple):
    """An actor is to be woken at a time."""

    due_ns: int
    actor: ActorId


def due_cell(due_ns: int, rest: bytes = b"") -> bytes:
    """The value of an alarm cell: cells in order of their bytes are in order of time."""
    return due_ns.to_bytes(8, "big") + rest


def due_of(cell: bytes) -> int:
    """When an alarm cell is due."""
    return int.from_bytes(cell[:8], "big")


class Store(Protocol):
    """Durable cells and pages of actors, each lane of them written by one owner at a time.

    All methods are called in the loop's thread. A read sees every batch whose `done(None)` was
    called before the read, and never part of a batch.
    """

    @property
    def failed(self) -> StorageError | None:
        """Why nothing can be committed until `reopen`; None while all is well.

        It is set before the batch that has met the failure is answered. From then on reads and
        commits get StorageUnavailable.
        """

    async def open(self) -> StoreInfo:
        """Take ownership: lock, migrate, check, raise the epoch of each lane.

        Raises:
            DirectoryInUse, FormatTooNew, StorageCorrupt, StorageReadOnly, StorageFull.
        """

    async def reopen(self) -> StoreInfo:
        """Begin again after a failure: what is durable is read anew, each lane has a newer epoch.

        Lanes have the numbers and shards that they had. No batch is in flight. May be tried again.

        Raises:
            OwnershipLost: another owner has it now, or it is gone: trying again is of no use.
            StorageError: it cannot be opened yet.
        """

    def load(self, actor: ActorId) -> Cells | Awaitable[Cells]:
        """All cells of an actor (a new dict, the caller's to keep); empty if it has none.

        Raises:
            StorageError: it cannot be read.
        """

    def page(self, actor: ActorId, number: int) -> bytes | None:
        """One page of an actor's SQL database, or None; they are not loaded with the cells.

        A store that cannot read a page at once has the methods of `FarPages` too.

        Raises:
            Fenced: another owner has taken over (in stores where that can happen), so the pages no
                longer fit those read before.
            StorageError: it cannot be read.
        """

    def prove(self, lane: int) -> Awaitable[None] | None:
        """Find out whether this owner still owns a lane; asked while nothing is written.

        It did when this was called, if nothing is raised.

        Raises:
            Fenced: another owner has taken over.
            DirectoryLost: what was opened is not where it was (in stores of files).
            StorageError: that cannot be found out now.
        """

    def commit(self, lane: int, records: Sequence[CommitRecord], done: Done) -> None:
        """Write a batch of a lane atomically; call `done` once, later, in the loop's thread.

        All records are of actors in the lane. The store may read them until `done`; the caller
        does not change them.
        `done` gets None (durable, and the lane was still owned then), or the error: Fenced,
        StorageFull, StorageReadOnly, StorageUnavailable and StorageClosed mean nothing was
        written; UnknownOutcome means it may have been, DirectoryLost that it may have been,
        elsewhere.
        """

    async def actors(
        self, type: str, prefix: str = "", cursor: str | None = None, limit: int = 100
    ) -> Page:
        """Actors of a type that have cells or pages, by the UTF-8 bytes of their names."""

    async def types(self) -> list[str]:
        """The actor types that have cells or pages, in order."""

    async def alarms(
        self, until_ns: int, limit: int, types: Collection[str] | None = None
    ) -> Sequence[Alarm]:
        """The first `limit` alarms due at or before a time, earliest first.

        Found by an index: what it costs does not depend on how many there are, of these types or
        of others.

        Args:
            types: whose; None: of all.
        """

    async def close(self, seconds: float | None = None) -> None:
        """Finish what is in flight and release ownership. Idempotent.

        Args:
            seconds: work that has not ended in this time, and a moment more, is left behind; it
                must do no harm to the next owner. None: no limit.
        """


@runtime_checkable
class FarPages(Protocol):
    """The further methods of a store that cannot read a page at once, as over a network."""

    async def fetch(self, actor: ActorId) -> None:
        """Bring an actor's pages near, before its first turn.

        Until `forget` has been called as often as `fetch`, `page` reads these pages, with all
        batches confirmed meanwhile.

        Raises:
            StorageError: they cannot be read.
        """

    def forget(self, actor: ActorId) -> None:
        """Release the fetched pages; one call for each `fetch` that has returned."""


class Database(Part[CommitRecord], Protocol):
    """The SQL database of one activation, as the runtime drives it.

    A turn sees its own changes at once. `take` puts the pages changed since the last record into
    the next one; the record before must be durable by then.
    """

    @property
    def face(self) -> Sql:
        """What user code gets."""

    def execute(self, sql: str, bindings: Sequence[SqlValue] = ()) -> SqlCursor:
        """Run statements up to the first row of the last, which gets the bindings.

        Raises:
            SqlError, LimitExceeded, StorageError.
        """

    def drop(self) -> None:
        """Remove everything in it."""

    def close(self) -> None:
        """Close the database of an activation that is gone; `take` still gives what was saved."""


class SqlFactory(Protocol):
    """Makes the databases of a runtime."""

    def open(
        self, actor: ActorId, persistence: Persistence, pending: Callable[[], bool]
    ) -> Database:
        """The database of an activation; `pending`: is a record of it not durable yet?"""

    def close(self) -> None:
        """Close them all."""


class Clock(Protocol):
    """Time as the runtime sees it; virtual in the simulator.

    Attributes:
        trust_seconds: how long a span worked out from `now_ns` may be trusted: the wall clock of a
            machine can be set, and stands still while the machine sleeps.
    """

    trust_seconds: float

    def now_ns(self) -> int:
        """Wall-clock nanoseconds since 1970."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that only ever grow, also while the machine sleeps."""
