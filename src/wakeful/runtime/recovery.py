"""Opens a store again that can commit no more, so that a passing fault of the disk is survived.

What the runtime has in memory may rest on what the disk has dropped. So all durable actors leave
memory (those at rest keep their sockets), calls are refused, and the store is opened again under
new epochs; then actors wake from what is on disk, as after a crash. If it cannot be opened in time,
this node has nothing left that it could serve.

Invariants: no batch is collected or in flight while the store is opened again; no durable actor
            is in memory between the failure and the new epoch.
"""

from __future__ import annotations

import asyncio
from asyncio import Task
from collections.abc import Callable
from typing import Final

from wakeful.errors import OwnershipLost, StorageError, StorageUnavailable
from wakeful.log import logger
from wakeful.ports import Store, StoreInfo
from wakeful.runtime.activator import Activator
from wakeful.runtime.committer import Committer
from wakeful.runtime.host_loop import HostLoop

FIRST_PAUSE_SECONDS: Final = 0.05
PAUSE_SECONDS_MAX: Final = 2.0


class Recovery:
    """Watches over the reopening of one store.

    Args:
        loop: the loop.
        store: what is opened again.
        committer: whose lanes get the new epochs.
        activator: whose durable activations go.
        seconds: how long it tries.
        reopened: called when calls are taken again.
        gave_up: called with the reason when they never will be.
    """

    def __init__(
        self,
        loop: HostLoop,
        store: Store,
        *,
        committer: Committer,
        activator: Activator,
        seconds: float,
        reopened: Callable[[], None],
        gave_up: Callable[[StorageError], None],
    ) -> None:
        self._loop = loop
        self._store = store
        self._committer = committer
        self._activator = activator
        self._seconds = seconds
        self._reopened = reopened
        self._gave_up = gave_up
        self._why: str | None = None
        self._task: Task[None] | None = None
        self._closed = False

    def begin(self, cause: StorageError) -> None:
        """The store can commit no more: refuse calls, and open it again; nothing if under way."""
        if self._task is not None or self._closed:
            return
        logger().error("the store has failed and is opened again", error=str(cause))
        self._why = str(cause)
        lanes = [lane for lane in self._committer.lanes if lane.ownership.lost is None]
        for lane in lanes:
            lane.ownership.lose(cause)
        for lane in lanes:
            self._activator.drop_lane(lane, cause)
        self._task = self._loop.task(self._run())

    def close(self) -> None:
        """Do not try any more."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._committer.settled()
                info = await self._open()
        except OwnershipLost as error:
            self._end(error)
        except Exception as error:  # a bug of the store must not leave callers waiting
            self._end(self._too_late(error))
        else:
            self._take(info)

    async def _open(self) -> StoreInfo:
        pause_s = FIRST_PAUSE_SECONDS
        while True:
            try:
                return await self._store.reopen()
            except OwnershipLost:
                raise
            except StorageError as error:
                # Its text only: the frames in its traceback would hold open what has failed.
                self._why = str(error)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_SECONDS_MAX)

    def _take(self, info: StoreInfo) -> None:
        self._task = None
        for lane, told in zip(self._committer.lanes, info.lanes, strict=True):
            lane.reacquire(told.epoch)
        logger().info("the store is open again")
        self._reopened()

    def _too_late(self, error: Exception) -> StorageUnavailable:
        why = self._why if isinstance(error, TimeoutError) else repr(error)
        return StorageUnavailable(
            f"the store could not be opened again in {self._seconds:g} s"
            f" (limits.reopen_seconds): {why}"
        )

    def _end(self, error: StorageError) -> None:
        for lane in self._committer.lanes:
            lane.ownership.lose(error)
        self._gave_up(error)
