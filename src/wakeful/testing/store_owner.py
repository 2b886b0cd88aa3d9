"""A store under test, called from synchronous code.

Shapes:  a Place is where a store keeps its cells; an Owner is an open store with a loop of its own.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, Sequence
from typing import Protocol, TypeVar

import pytest

from wakeful.errors import StorageError
from wakeful.ids import ActorId, shard_of
from wakeful.ports import Cells, CommitRecord, FarPages, LaneInfo, Store

T = TypeVar("T")


class Place(Protocol):
    """Where a store under test keeps its cells."""

    def store(self) -> Store:
        """A new store over this place, not opened yet."""

    def steal(self) -> None:
        """Let a second store open this place while the first lives, as when a lock is broken."""


class Owner:
    """An open store, called from synchronous code."""

    def __init__(self, place: Place) -> None:
        self._runner = asyncio.Runner()
        try:
            self.store = place.store()
            self.info = self.run(self.store.open)
        except BaseException:
            self._runner.close()
            raise
        self._seq = 0

    def __enter__(self) -> Owner:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def record(
        self,
        name: str,
        puts: dict[str, bytes | None],
        *,
        type: str = "Counter",
        wipe: bool = False,
        epoch: int | None = None,
        pages: dict[int, bytes | None] | None = None,
    ) -> CommitRecord:
        """A record that this owner may write."""
        self._seq += 1
        return CommitRecord(
            type=type,
            name=name,
            shard=shard_of(ActorId(type, name), self.info.shards),
            epoch=self.lane(name, type=type).epoch if epoch is None else epoch,
            seq=self._seq,
            wipe=wipe,
            puts=puts,
            pages=pages or {},
        )

    def lane(self, name: str, *, type: str = "Counter") -> LaneInfo:
        """The lane of an actor."""
        return self.info.lane_of(shard_of(ActorId(type, name), self.info.shards))

    def neighbours(self, name: str, count: int) -> list[str]:
        """Return `count` names of actors in one lane, the given one first."""
        lane = self.lane(name)
        others = (f"{name}{number}" for number in itertools.count())
        return [name, *itertools.islice((n for n in others if self.lane(n) == lane), count - 1)]

    def due(
        self, until_ns: int, limit: int = 100, types: Collection[str] | None = None
    ) -> list[tuple[int, str]]:
        """The alarms due by a time."""
        alarms = self.run(lambda: self.store.alarms(until_ns, limit, types))
        return [(alarm.due_ns, alarm.actor.name) for alarm in alarms]

    def commit(self, *records: CommitRecord) -> None:
        """Commit a batch of each lane that records are of, one after the other.

        Raises:
            StorageError: what `done` was given.
        """
        of_lane: dict[int, list[CommitRecord]] = {}
        for record in records:
            of_lane.setdefault(self.info.lane_of(record.shard).number, []).append(record)
        for batch in of_lane.values():

            async def commit(batch: list[CommitRecord] = batch) -> StorageError | None:
                return await self.committed(batch)

            if (error := self.run(commit)) is not None:
                raise error

    def committed(self, records: Sequence[CommitRecord]) -> asyncio.Future[StorageError | None]:
        """Begin a commit of one lane: what `done` will be given (call it in the loop)."""
        lane = self.info.lane_of(records[0].shard).number
        future: asyncio.Future[StorageError | None] = asyncio.get_running_loop().create_future()
        self.store.commit(lane, records, future.set_result)
        return future

    def reopen(self) -> None:
        """Have the store begin again, as after a failure of its disk."""
        self.info = self.run(self.store.reopen)

    def put(self, name: str, puts: dict[str, bytes | None], *, type: str = "Counter") -> None:
        """Commit a single record."""
        self.commit(self.record(name, puts, type=type))

    def load(self, name: str, *, type: str = "Counter") -> Cells:
        """An actor's cells."""
        return self.read(lambda: self.store.load(ActorId(type, name)))

    def put_pages(
        self, name: str, pages: dict[int, bytes | None], *, type: str = "Counter"
    ) -> None:
        """Commit a single record that has pages only."""
        self.commit(self.record(name, {}, type=type, pages=pages))

    def pages(self, name: str, *, type: str = "Counter", last: int = 4) -> dict[int, bytes]:
        """An actor's first pages, fetched for that if they are far."""
        actor = ActorId(type, name)

        async def read() -> dict[int, bytes]:
            far = self.store if isinstance(self.store, FarPages) else None
            if far is not None:
                await far.fetch(actor)
            found = {number: self.store.page(actor, number) for number in range(1, last + 1)}
            if far is not None:
                far.forget(actor)
            return {number: page for number, page in found.items() if page is not None}

        return self.run(read)

    def load_all(self, actors: Sequence[ActorId]) -> list[Cells]:
        """Several actors' cells."""

        async def load() -> list[Cells]:
            found = [self.store.load(actor) for actor in actors]
            return [cells if isinstance(cells, dict) else await cells for cells in found]

        return self.run(load)

    def names(self, type: str = "Counter", *, prefix: str = "", limit: int = 100) -> list[str]:
        """All names of a type, page by page."""
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = self.run(
                lambda: self.store.actors(type, prefix=prefix, cursor=cursor, limit=limit)  # noqa: B023 - it runs before the loop goes on
            )
            assert len(page.actors) <= limit
            assert {actor.type for actor in page.actors} <= {type}
            found += [actor.name for actor in page.actors]
            cursor = page.cursor
            if cursor is None:
                return found

    def types(self) -> list[str]:
        """The types that have cells."""
        return self.run(self.store.types)

    def close(self) -> None:
        """Close the store and its loop; harmless when done before."""
        try:
            self.run(self.store.close)
        finally:
            self._runner.close()

    def prove(self, lane: int) -> None:
        """Ask the store whether the lane is still owned.

        Raises:
            StorageError: it is not, or that cannot be found out.
        """
        self.read(lambda: self.store.prove(lane))

    def run(self, work: Callable[[], Coroutine[object, object, T]]) -> T:
        """Run a coroutine in the store's loop."""
        return self._runner.run(work())

    def read(self, call: Callable[[], Awaitable[T] | T]) -> T:
        """Call the store in its loop; what it returns may be awaitable."""

        async def main() -> T:
            result = call()
            return await result if inspect.isawaitable(result) else result

        return self._runner.run(main())


class Suite:
    """A subclass provides the fixture `place`."""

    @pytest.fixture
    def owner(self, place: Place) -> Iterator[Owner]:
        """An open store."""
        with Owner(place) as owner:
            yield owner
