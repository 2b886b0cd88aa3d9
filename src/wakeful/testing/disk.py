"""A simulated disk that outlives nodes, and the store a node has on it.

A batch is one journal row, in the real store's form. It is on its way for a while, then it lands:
whole, or not at all, after its epoch has been compared. Later the loop of its node hears of it.
A crash between loses it, leaves it whole, or leaves a torn row, which recovery must tell from a
good one. The disk tells its witness of everything that lands, when it lands.

Shapes:     `cells` is what a reader sees; `rows` is what is stored, and recovery must get the
            one from the other.
Invariants: at most one batch of a lane is on its way; rows land in the order of their numbers.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, TimerHandle
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from random import Random
from typing import Final, TypeVar

from wakeful.errors import (
    Fenced,
    StorageClosed,
    StorageError,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
    UnknownOutcome,
)
from wakeful.ids import ActorId, shard_of
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
from wakeful.store import journal
from wakeful.store.images import Images, make_whole
from wakeful.store.overlay import Key
from wakeful.testing.faults import FaultPlan

K = TypeVar("K", str, int)

SHARDS: Final = 16
LANES: Final = 2
Landed = Callable[[Sequence[CommitRecord], int], None]


class _LaneRows:
    """The journal of one lane.

    Attributes:
        epoch: of its last owner.
        rows: by number.
        last: the number of the last one that is durable.
        images: the pages that rows may have ranges of.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.rows: dict[int, bytes] = {}
        self.last = 0
        self.images = Images()

    def row(self, records: Sequence[CommitRecord]) -> bytearray:
        """Encode the next row: a batch, under the number after the last durable one."""
        return journal.encode(self.last + 1, [self.images.logged(record) for record in records])


class SimDisk:
    """What is stored, whichever store owns it at the moment."""

    def __init__(
        self, random: Random, plan: FaultPlan, landed: Landed | None = None, lanes: int = LANES
    ) -> None:
        self.random = random
        self.plan = plan
        self.cells: dict[ActorId, Cells] = {}
        self.pages: dict[ActorId, dict[int, bytes]] = {}
        self._lanes = [_LaneRows() for _ in range(lanes)]
        self._landed = landed

    @property
    def actors(self) -> set[ActorId]:
        """List the actors that have anything stored."""
        return self.cells.keys() | self.pages.keys()

    def epoch(self, lane: int) -> int:
        """Return the epoch of the last owner of a lane."""
        return self._lanes[lane].epoch

    def acquire(self) -> StoreInfo:
        """A new owner of everything: recover from the rows, raise the epochs."""
        self._recover()
        epochs = [self.take(lane) for lane in range(len(self._lanes))]
        return StoreInfo(SHARDS, even_lanes(SHARDS, epochs))

    def take(self, lane: int) -> int:
        """A lane has a new owner; the epoch it writes with."""
        rows = self._lanes[lane]
        rows.images = Images()
        rows.epoch += 1
        return rows.epoch

    def land(self, lane: int, records: Sequence[CommitRecord], epoch: int) -> StorageError | None:
        """Write a batch in one transaction that compares epochs; the error if it refuses."""
        rows = self._lanes[lane]
        if epoch != rows.epoch:
            return Fenced(f"epoch {epoch} has been followed by epoch {rows.epoch}")
        if any(record.epoch != epoch for record in records):
            return Fenced(f"a record has another epoch than the {epoch} its store writes with")
        row = bytes(rows.row(records))
        rows.last += 1
        rows.rows[rows.last] = row
        rows.images.keep(records)
        _apply(self.cells, self.pages, records)
        if self._landed is not None:
            self._landed(records, epoch)
        return None

    def tear(self, lane: int, records: Sequence[CommitRecord]) -> None:
        """Write only a part of a row, as an interrupted write does."""
        rows = self._lanes[lane]
        row = rows.row(records)
        cut = self.random.randrange(len(row))
        if self.random.random() < 0.5:
            torn = bytes(row[:cut])
        else:  # the whole length was reserved, a part of it is missing
            end = self.random.randrange(cut, len(row)) + 1
            torn = bytes(row[:cut]) + bytes(end - cut) + bytes(row[end:])
        if torn != row:
            rows.rows[rows.last + 1] = torn

    def _recover(self) -> None:
        cells: dict[ActorId, Cells] = {}
        pages: dict[ActorId, dict[int, bytes]] = {}
        for rows in self._lanes:
            _replay(rows, cells, pages)
        assert cells == self.cells, "the rows do not give the cells"
        assert pages == self.pages, "the rows do not give the pages"


def _replay(
    rows: _LaneRows, cells: dict[ActorId, Cells], pages: dict[ActorId, dict[int, bytes]]
) -> None:
    def page(key: Key, number: int) -> bytes | None:
        return pages.get(ActorId(*key), {}).get(number)

    for number, row in list(rows.rows.items()):
        try:
            records = journal.decode(number, row)
        except journal.BadRow:
            assert number == rows.last + 1, f"row {number} was durable and is damaged"
            del rows.rows[number]
        else:
            assert number <= rows.last, "a torn row was taken for a good one"
            for record in records:
                make_whole(record, page)
            _apply(cells, pages, records)


class _Flight:
    """A batch on its way."""

    __slots__ = ("context", "done", "epoch", "fails", "lane", "records", "timer")

    def __init__(
        self, lane: int, records: Sequence[CommitRecord], done: Done, epoch: int, context: Context
    ) -> None:
        self.lane = lane
        self.records = records
        self.done = done
        self.epoch = epoch
        self.context = context
        self.timer: TimerHandle | None = None
        self.fails = False


class SimStore:
    """The store port over a simulated disk, for one node."""

    def __init__(self, disk: SimDisk) -> None:
        self._disk = disk
        self._info: StoreInfo | None = None
        self._closing = False
        self._why: StorageUnavailable | None = None
        self._dead_tries = 0  # of opening it again, that fail
        self._flights: dict[int, _Flight] = {}  # by lane
        self._landed: asyncio.Event | None = None
        self._sent: asyncio.Future[None] | None = None

    @property
    def epochs(self) -> tuple[int, ...]:
        """What it writes with, by lane; empty while it is not open."""
        return () if self._info is None else tuple(lane.epoch for lane in self._info.lanes)

    async def open(self) -> StoreInfo:
        """Take the disk over from its previous owner."""
        self._info = self._disk.acquire()
        self._closing = False
        return self._info

    @property
    def failed(self) -> StorageError | None:
        """Why it has to be opened again."""
        return self._why

    async def reopen(self) -> StoreInfo:
        """Begin again with what has landed, under new epochs; it may take some tries."""
        info = self._info
        if info is None or self._closing:
            raise StorageClosed("the simulated store is closed")
        assert not self._flights, "a batch is on its way"
        if any(lane.epoch != self._disk.epoch(lane.number) for lane in info.lanes):
            raise Fenced("a lane has a new owner")
        if self._dead_tries:
            self._dead_tries -= 1
            raise StorageUnavailable("the simulated disk is still dead")
        self._why = None
        return await self.open()

    def load(self, actor: ActorId) -> Cells | asyncio.Future[Cells]:
        """All cells of an actor, now or a little later."""
        self._open_info()
        plan = self._disk.plan
        failed = (
            StorageError(f"{actor}: a page could not be read") if plan.hit("load_fails") else None
        )
        if not plan.hit("load_slow"):
            if failed is not None:
                raise failed
            return self._read(actor)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Cells] = loop.create_future()
        early = self._read(actor) if plan.hit("load_early") else None
        loop.call_later(self._latency_s(), self._loaded, answer, actor, early, failed)
        return answer

    def page(self, actor: ActorId, number: int) -> bytes | None:
        """One page of an actor's SQL database; of two owners they do not fit together."""
        lane = self._open_info().lane_of(shard_of(actor, SHARDS))
        if lane.epoch != (newest := self._disk.epoch(lane.number)):
            raise Fenced(f"epoch {lane.epoch} has been followed by epoch {newest}")
        if self._disk.plan.hit("page_fails"):
            raise StorageError(f"{actor}: page {number} could not be read")
        return self._disk.pages.get(actor, {}).get(number)

    def prove(self, lane: int) -> asyncio.Future[None] | None:
        """Compare the epoch with the disk's, now or a little later."""
        self._open_info()
        if not self._disk.plan.hit("proof_slow"):
            self._prove(lane)
            return None
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[None] = loop.create_future()
        delay_s = self._disk.random.choice((self._latency_s(), self._disk.random.random()))
        loop.call_later(delay_s, self._prove_later, answer, lane)
        return answer

    def _prove_later(self, answer: asyncio.Future[None], lane: int) -> None:
        if answer.done():
            return
        try:
            self._prove(lane)
        except StorageError as error:
            answer.set_exception(error)
        else:
            answer.set_result(None)

    def _prove(self, lane: int) -> None:
        epoch, newest = self._open_info().lanes[lane].epoch, self._disk.epoch(lane)
        if epoch != newest:
            raise Fenced(f"epoch {epoch} has been followed by epoch {newest}")
        if self._disk.plan.hit("proof_fails"):
            raise StorageError("the epoch could not be read")

    def commit(self, lane: int, records: Sequence[CommitRecord], done: Done) -> None:
        """Start writing a batch; it lands later."""
        assert lane not in self._flights, "a batch of this lane is on its way already"
        loop = asyncio.get_running_loop()
        info, closed = self._info, StorageClosed("the simulated store is closed")
        if info is None or self._closing or self._why is not None:
            loop.call_soon(done, self._why or closed)
            return
        for record in records:
            assert info.lane_of(record.shard).number == lane, "a record of another lane"
        if self._disk.plan.hit("refused"):
            raise StorageClosed("the simulated store refuses")
        if self._disk.plan.hit("lane_taken"):
            self._disk.take(lane)
        flight = _Flight(lane, records, done, info.lanes[lane].epoch, copy_context())
        self._flights[lane] = flight
        delay_s = self._latency_s()
        if self._disk.plan.hit("disk_stalls"):
            delay_s += self._disk.random.uniform(0.5, 5.0)
        # In a context of its own: what the hardware does goes on while the process is paused.
        flight.timer = loop.call_later(delay_s, self._land, loop, flight, context=Context())
        if self._sent is not None and not self._sent.done():
            self._sent.set_result(None)

    async def actors(
        self, type: str, prefix: str = "", cursor: str | None = None, limit: int = 100
    ) -> Page:
        """Actors of a type that have cells."""
        self._open_info()
        after = b"" if cursor is None else cursor.encode()
        names = sorted(
            (a.name for a in self._disk.actors if a.type == type and a.name.startswith(prefix)),
            key=str.encode,
        )
        rest = [name for name in names if cursor is None or name.encode() > after]
        page = rest[:limit]
        return Page(
            actors=tuple(ActorId(type, name) for name in page),
            cursor=page[-1] if len(rest) > limit else None,
        )

    async def types(self) -> list[str]:
        """The actor types that have cells."""
        self._open_info()
        return sorted({actor.type for actor in self._disk.actors})

    async def alarms(
        self, until_ns: int, limit: int, types: Collection[str] | None = None
    ) -> list[Alarm]:
        """The first alarms due at or before a time."""
        self._open_info()
        found = [
            Alarm(due_of(cells[AGENDA_KEY]), actor)
            for actor, cells in self._disk.cells.items()
            if (types is None or actor.type in types)
            and AGENDA_KEY in cells
            and due_of(cells[AGENDA_KEY]) <= until_ns
        ]
        return sorted(found)[:limit]

    async def close(self, seconds: float | None = None) -> None:
        """Finish what is in flight."""
        self._closing = True
        while self._flights:
            self._landed = asyncio.Event()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._landed.wait()
        self._info = None

    async def sent(self) -> None:
        """Return when the next batch has been sent on its way."""
        self._sent = asyncio.get_running_loop().create_future()
        await self._sent

    def crash(self) -> None:
        """Crash the node: batches on their way are kept whole, in part, or not at all."""
        flights, self._flights = self._flights, {}
        for lane, flight in flights.items():
            if flight.timer is None:
                continue
            flight.timer.cancel()
            if self._disk.plan.hit("crash_writes"):
                self._disk.land(lane, flight.records, flight.epoch)
            elif flight.epoch == self._disk.epoch(lane) and self._disk.plan.hit("crash_tears"):
                self._disk.tear(lane, flight.records)

    def _land(self, loop: AbstractEventLoop, flight: _Flight) -> None:
        flight.timer = None
        error = self._fate(flight)
        if self._disk.plan.hit("thread_late"):
            loop.call_later(
                self._disk.random.uniform(0.0, 0.05),
                self._tell,
                flight,
                error,
                context=flight.context,
            )
        else:
            loop.call_soon(self._tell, flight, error, context=flight.context)

    def _fate(self, flight: _Flight) -> StorageError | None:
        plan = self._disk.plan
        flight.fails = plan.hit("disk_fails")
        if flight.fails and self._disk.random.random() < 0.5:
            return UnknownOutcome("the simulated disk has died")
        if plan.hit("full"):
            return StorageFull("the simulated disk is full")
        if plan.hit("read_only"):
            return StorageReadOnly("the simulated disk is read-only")
        if plan.hit("unknown_lost"):
            return UnknownOutcome("the simulated disk has not said")
        unknown = plan.hit("unknown_written")
        error = self._disk.land(flight.lane, flight.records, flight.epoch)
        if unknown and error is None:
            error = UnknownOutcome("the simulated disk has not said")
        return error

    def _tell(self, flight: _Flight, error: StorageError | None) -> None:
        self._flights.pop(flight.lane, None)
        if flight.fails:
            self._why = StorageUnavailable("the simulated disk is dead")
            self._dead_tries = self._disk.random.choice((0, 0, 1, 5))
            if not isinstance(error, Fenced):
                error = UnknownOutcome("the simulated disk has died")
        flight.done(error)
        if self._landed is not None:
            self._landed.set()

    def _loaded(
        self,
        answer: asyncio.Future[Cells],
        actor: ActorId,
        early: Cells | None,
        failed: StorageError | None,
    ) -> None:
        if answer.done():
            return
        if failed is not None:
            answer.set_exception(failed)
        else:
            answer.set_result(self._read(actor) if early is None else early)

    def _read(self, actor: ActorId) -> Cells:
        return self._disk.cells.get(actor, {}).copy()

    def _latency_s(self) -> float:
        return self._disk.random.uniform(0.0001, 0.003)

    def _open_info(self) -> StoreInfo:
        if self._info is None:
            raise StorageClosed("the simulated store is not open")
        if self._why is not None:
            raise self._why
        return self._info


class FarSimStore(SimStore):
    """One that reads no page before all of the actor's have been fetched.

    Attributes:
        fetched: whose have, and how often.
    """

    def __init__(self, disk: SimDisk) -> None:
        super().__init__(disk)
        self.fetched: Counter[ActorId] = Counter()

    async def fetch(self, actor: ActorId) -> None:
        """Fetch the pages of an actor; this may take a while, or fail."""
        if self._disk.plan.hit("load_slow"):
            await asyncio.sleep(self._latency_s())
        if self._disk.plan.hit("page_fails"):
            raise StorageError(f"{actor}: its pages could not be read")
        self._open_info()
        self.fetched[actor] += 1

    def forget(self, actor: ActorId) -> None:
        """Undo one fetch of an actor's pages; after the last one the pages are far again."""
        assert self.fetched[actor] > 0, f"{actor}: its pages are not near"
        self.fetched[actor] -= 1

    def page(self, actor: ActorId, number: int) -> bytes | None:
        """One page of an actor whose pages have been fetched."""
        assert self.fetched[actor] > 0, f"{actor}: its pages are far away"
        return super().page(actor, number)


def _apply(
    cells: dict[ActorId, Cells],
    pages: dict[ActorId, dict[int, bytes]],
    records: Sequence[CommitRecord],
) -> None:
    """Put records into cells and pages; an actor without any is not there."""
    for record in records:
        actor = ActorId(record.type, record.name)
        _change(cells, actor, record.puts, wipe=record.wipe)
        _change(pages, actor, record.pages, wipe=record.wipe)


def _change(
    kept: dict[ActorId, dict[K, bytes]],
    actor: ActorId,
    changes: Mapping[K, bytes | None],
    *,
    wipe: bool,
) -> None:
    mine = {} if wipe else kept.get(actor, {}).copy()
    for key, value in changes.items():
        if value is None:
            mine.pop(key, None)
        else:
            mine[key] = value
    kept[actor] = mine
    if not mine:
        del kept[actor]
