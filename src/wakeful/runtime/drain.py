"""Puts actors to rest: all of them when a runtime closes, or those of shards that change hands.

There are six stages, under one deadline:

    refuse   new calls get a typed error that says to try again; what turns under way of these
             actors need is still done; their alarms do not fire
    quiet    turns end, and what waits in mailboxes, and work in the background
    sleep    `on_deactivate` runs; who is still busy is thrown away
    flush    what they have written becomes durable
    goodbye  their sockets are closed
    drop     what is left is thrown away, and who still waits is told

A stage that does not end by itself is cut short at the deadline. Each stage after `quiet` has a
little time even then, so that code which does not end takes nothing away from other actors.

Units:      seconds of the loop's time.
Invariants: what was acknowledged is durable; whatever does not answer or end, a drain takes no
            longer than its time and GRACE_SECONDS; nobody waits for an actor that is at rest.
"""

from __future__ import annotations

import asyncio
from asyncio import Future, Task
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from contextlib import suppress
from typing import Any, Final

from wakeful.core.lifecycle import ActivationState
from wakeful.errors import StorageError
from wakeful.ids import ActorId
from wakeful.log import logger
from wakeful.runtime.activation import Activation
from wakeful.runtime.activator import Activator
from wakeful.runtime.committer import Committer
from wakeful.runtime.courier import Courier
from wakeful.runtime.delivery import Delivery
from wakeful.runtime.intake import Intake
from wakeful.runtime.sockets import Sockets

SHARE_SECONDS: Final = 0.15  # for each step that is left when the time is over
GRACE_SECONDS: Final = 2.0  # no more than this after the deadline; documented in docs/operating.md
SLEEP_ROUNDS: Final = 8  # an actor that goes to sleep may wake another, which goes to sleep, ...
CANCELS_MAX: Final = 3  # work that does not end then is left behind
NAMED_MAX: Final = 10  # actors that the log names


class Deadline:
    """The time by which something must have ended."""

    __slots__ = ("_at", "_time")

    def __init__(self, time: Callable[[], float], seconds: float) -> None:
        self._time = time
        self._at = time() + seconds

    def left(self) -> float:
        """The seconds that are left."""
        return max(0.0, self._at - self._time())

    def share(self) -> float:
        """The seconds that the next step has: what is left, or a little if nothing is."""
        return max(SHARE_SECONDS, self.left())


class Drain:
    """One drain, to be run once.

    Args:
        intake, activator, committer, delivery, sockets, courier: of the host.
        deadline: when it is to be over.
        shards: whose actors it puts to rest; None: all, for good.
    """

    def __init__(
        self,
        *,
        intake: Intake,
        activator: Activator,
        committer: Committer,
        delivery: Delivery,
        sockets: Sockets,
        courier: Courier,
        deadline: Deadline,
        shards: Collection[int] | None = None,
    ) -> None:
        self._intake = intake
        self._activator = activator
        self._committer = committer
        self._delivery = delivery
        self._sockets = sockets
        self._courier = courier
        self._deadline = deadline
        self._all = shards is None
        self._shards = frozenset(range(intake.shards) if shards is None else shards)
        self._cut_short: list[ActorId] = []
        self._left_behind: dict[Future[object], None] = {}  # work that was cut short

    async def run(self) -> bool:
        """Put the actors to rest. A cancellation skips to the last stage.

        Returns:
            Whether all that they have written is durable.
        """
        flushed = False
        self._refuse()
        try:
            await within(self._deadline.left(), self._quiet)
            self._cut(self._busy())
            await within(self._deadline.share(), self._sleep)
            flushed = await within(self._deadline.share(), self._flush)
            await self._goodbye()
        finally:
            await self._drop(flushed=flushed)
        return flushed and not any(map(self._committer.pending, self._mine()))

    # --- the stages ------------------------------------------------------------------------------

    def _refuse(self) -> None:
        if self._all:
            self._intake.closing = True
            self._courier.close()
        self._sockets.let_go(self._is_mine)  # first: what hears of it is an event of the actor
        self._intake.refuse(self._shards)
        for activation in self._mine():
            activation.draining = True
            activation.refresh()

    async def _quiet(self) -> None:
        found = True
        while found:  # repeat: turns may give work to actors that had none
            found = False
            for activation in self._mine():
                while _works(activation):
                    found = True
                    await self._activator.change()

    async def _sleep(self) -> None:
        for _ in range(SLEEP_ROUNDS):
            await self._flush()
            self._cut(self._busy())
            for activation in self._mine():
                if activation.quiet() and not self._committer.pending(activation):
                    self._activator.sleep(activation)
            while any(map(self._has, self._activator.hooks)):
                await self._activator.change()
            if not any(True for _ in self._mine()):
                return
            await asyncio.sleep(0)

    async def _flush(self) -> None:
        for activation in self._mine():
            if self._committer.pending(activation):
                with suppress(StorageError):  # told to those who wrote
                    await self._committer.written(activation)
        if self._all:
            await self._committer.settled()

    async def _goodbye(self) -> None:
        await self._sockets.close(self._deadline.share(), None if self._all else self._is_mine)

    async def _drop(self, *, flushed: bool) -> None:
        self._cut(self._mine())
        await self._delivery.end_turns(SHARE_SECONDS, lambda turn: self._has(turn.activation))
        await end_tasks(self._left_behind, SHARE_SECONDS)
        if self._all:
            flushed = flushed and await within(SHARE_SECONDS, self._committer.settled)
            if not flushed:
                self._committer.abandon()
            await within(SHARE_SECONDS, self._courier.finished)
            self._activator.catalog.close()
            self._delivery.close()
        await asyncio.sleep(0)  # lets the waiting code forget the activations
        if self._cut_short:
            self._log()

    # --- who it is about -------------------------------------------------------------------------

    def _is_mine(self, actor: ActorId) -> bool:
        return self._intake.shard_of(actor) in self._shards

    def _has(self, activation: Activation) -> bool:
        return activation.shard in self._shards

    def _mine(self) -> Iterator[Activation]:
        """The drained activations in memory, also those that only wait for their last writes."""
        return filter(self._has, self._activator.catalog)

    def _busy(self) -> Iterator[Activation]:
        """The drained activations that still have work to do."""
        return (a for a in self._mine() if a.life.state is ActivationState.ACTIVE and _works(a))

    def _cut(self, activations: Iterable[Activation]) -> None:
        """Throw activations away, even if they are busy."""
        for activation in activations:
            if activation.life.state is ActivationState.GONE:
                continue
            self._cut_short.append(activation.id)
            tasks = [*(activation.background or ()), self._activator.hooks.task_of(activation)]
            self._left_behind.update((task, None) for task in tasks if isinstance(task, Task))
            self._activator.discard(activation, self._intake.refusal(activation.id))

    def _log(self) -> None:
        log = logger()
        log.error(
            "the time to close is over (limits.shutdown_seconds): actors were thrown away",
            actors=[str(actor) for actor in self._cut_short[:NAMED_MAX]],
            count=len(self._cut_short),
            stuck=sum(not task.done() for task in self._left_behind),
        )


def _works(activation: Activation) -> bool:
    """Whether a turn of it runs or waits, or work of it goes on in the background."""
    return bool(activation.turns or activation.mailbox or activation.background)


async def within(seconds: float, work: Callable[[], Awaitable[object]]) -> bool:
    """Wait for work up to a time; returns whether it has ended."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await work()
            return True
    return False


async def end_tasks(tasks: Iterable[Future[Any]], seconds: float) -> None:
    """Cancel tasks, some of which have to be told more than once; wait so long for them."""
    for _ in range(CANCELS_MAX):
        left = [task for task in tasks if not task.done() and task is not asyncio.current_task()]
        if not left:
            return
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=seconds / CANCELS_MAX)
