"""Migrates stored objects to the classes that Workers declare, before anything is served.

One commit changes the record, which also names the classes whose objects must be deleted. These
objects are deleted after it, page by page, and a second commit records that they are gone. If a
start is interrupted, the next start completes it.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from wakeful.errors import StorageError
from wakeful.ids import ActorId, shard_of
from wakeful.log import logger
from wakeful.ports import CommitRecord, Store, StoreInfo
from wakeful.workers.history import ledger
from wakeful.workers.history.ledger import LEDGER, Ledger
from wakeful.workers.history.reconcile import Claim, planned

AT_ONCE: Final = 5_000  # objects deleted by one commit: less than a MiB of journal

Agree = Callable[[Ledger], None]


def _agreed(_: Ledger) -> None:
    """Accept everything: the default for `agree`."""


class Stored(msgspec.Struct, frozen=True):
    """What a data directory holds of Workers.

    Attributes:
        ledger: which class has which namespace.
        types: the namespaces that have objects.
    """

    ledger: Ledger
    types: frozenset[str]


async def stored(store: Store) -> Stored:
    """Read what a data directory holds of Workers.

    Raises:
        StorageError: it cannot be read.
    """
    cells = store.load(LEDGER)
    recorded = ledger.read(await cells if isinstance(cells, Awaitable) else cells)
    return Stored(recorded, frozenset(await store.types()))


async def migrate(
    store: Store, info: StoreInfo, claims: Sequence[Claim], agree: Agree = _agreed
) -> Ledger:
    """Bring a data directory to what these Workers declare; return the namespace of each class.

    Args:
        store: opened, and not used by any other code yet.
        info: what opening it has yielded.
        claims: what the Workers say.
        agree: told what is to be recorded, before anything is written; may raise ConfigError.

    Raises:
        ConfigError: it cannot be brought there; nothing has changed.
        StorageError: it cannot be read or written; the next start goes on from where it is.
    """
    before = await stored(store)
    plan = planned(before.ledger, claims, before.types.__contains__)
    agree(plan.ledger)
    for warning in plan.warnings:
        logger().warning(warning)
    writer = _Writer(store, info)
    await writer.record(before.ledger, plan.ledger)
    for namespace in ledger.to_delete(plan.ledger):
        logger().info("objects of a deleted class are removed", namespace=namespace)
        await writer.delete(namespace)
    done = ledger.deleted(plan.ledger)
    await writer.record(plan.ledger, done)
    return done


def check(before: Stored, claims: Sequence[Claim], agree: Agree = _agreed) -> None:
    """Raise the error that `migrate` would raise, and change nothing.

    Args:
        before: what the data directory has.
        claims: what the Workers say.
        agree: as for `migrate`.

    Raises:
        ConfigError: they do not fit together, or not to what the store has.
    """
    agree(planned(before.ledger, claims, before.types.__contains__).ledger)


class _Writer:
    """Writes commits, one at a time."""

    def __init__(self, store: Store, info: StoreInfo) -> None:
        self._store = store
        self._info = info
        self._seq = 0

    async def record(self, before: Ledger, after: Ledger) -> None:
        """Write the changes of the ledger."""
        if changes := ledger.changes(before, after):
            await self._commit([self._record(LEDGER, changes)])

    async def delete(self, namespace: str) -> None:
        """Delete all objects of a namespace."""
        cursor: str | None = None
        while True:
            page = await self._store.actors(namespace, cursor=cursor, limit=AT_ONCE)
            if page.actors:
                await self._commit([self._record(actor, None) for actor in page.actors])
            cursor = page.cursor
            if cursor is None:
                return

    def _record(self, actor: ActorId, puts: dict[str, bytes | None] | None) -> CommitRecord:
        self._seq += 1
        shard = shard_of(actor, self._info.shards)
        epoch = self._info.lane_of(shard).epoch
        wipe = puts is None
        return CommitRecord(actor.type, actor.name, shard, epoch, self._seq, wipe, puts or {})

    async def _commit(self, records: list[CommitRecord]) -> None:
        """Write records: a batch for each lane they are of."""
        of_lane: dict[int, list[CommitRecord]] = {}
        for record in records:
            of_lane.setdefault(self._info.lane_of(record.shard).number, []).append(record)
        for lane, batch in of_lane.items():
            done: Future[StorageError | None] = asyncio.get_running_loop().create_future()
            self._store.commit(lane, batch, done.set_result)
            if (error := await done) is not None:
                raise error
