"""Whether a lane is still owned, as the store has said last: by a batch, or because it was asked.

What an owner reads from memory is right only as long as nobody else writes. A process that was
paused, or whose data directory was taken away, does not notice by itself. So an answer leaves only
if the store has confirmed ownership at the time the answer was worked out, or later; each
confirmation counts for a term, from before the store was asked. Nothing is asked while nothing is
answered: there is no timer.

Invariants: at most one question of a lane is under way, whoever waits for it; those who wait are
            told in order; after a loss nobody is told anything but the loss.
Source:     leases, Gray & Cheriton 1989.
"""

from __future__ import annotations

from asyncio import Future, Task
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from wakeful.core.lease import Lease
from wakeful.errors import OwnershipLost, StorageClosed, StorageError, again
from wakeful.ports import LaneInfo, Store
from wakeful.runtime.host_loop import HostLoop

TERM_NS: Final = 100_000_000

Told = Callable[[StorageError | None], None]


class Ownership:
    """One lane's claim, and who waits for it to be confirmed.

    Attributes:
        lease: the claim.
        lost: why the lane is not owned any more, or not until the store is opened again.
        now_ns: the clock that terms are counted by.

    Args:
        loop: the loop.
        store: who confirms.
        info: what the store says of the lane.
        now_ns: see above.
        on_failed: gets the reason why the store has not confirmed it, in a later turn of the loop.
        on_idle: is called when no answer waits any more.
    """

    __slots__ = (
        *("_lane", "_loop", "_on_idle", "_on_failed", "_question", "_store", "_waiting"),
        *("lease", "lost", "now_ns"),
    )

    def __init__(
        self,
        loop: HostLoop,
        store: Store,
        info: LaneInfo,
        *,
        now_ns: Callable[[], int],
        on_failed: Callable[[StorageError], None],
        on_idle: Callable[[], None],
    ) -> None:
        self.lease = Lease(info.epoch, TERM_NS)
        self.lost: StorageError | None = None
        self.now_ns = now_ns
        self._lane = info.number
        self._loop = loop
        self._store = store
        self._on_failed = on_failed
        self._on_idle = on_idle
        self._waiting: list[tuple[int, Told]] = []
        self._question: Task[None] | bool = False  # under way: a task, or a call right now

    @property
    def busy(self) -> bool:
        """Whether anybody waits for an answer."""
        return bool(self._waiting)

    def confirm(self, asked_ns: int) -> None:
        """A batch that was handed to the store at that time is durable."""
        self.lease.renew(asked_ns)
        self._tell()

    def lose(self, error: StorageError) -> None:
        """The store has refused the epoch, is not where it was, or has failed; the first two stay.

        It is not asked again, unless the lane is acquired again.
        """
        if not isinstance(self.lost, OwnershipLost):
            self.lost = error
            self.lease.lose()
            self._fail(error)

    def reacquire(self, epoch: int) -> None:
        """The store was opened again, and has given a newer epoch."""
        assert not self.busy, "somebody waits for the old epoch to be confirmed"
        self.lease.reacquire(epoch)
        self.lost = None

    async def proven(self, at_ns: int) -> None:
        """Return when the store has confirmed that the lane was owned at a time.

        Raises:
            OwnershipLost: it is not.
            StorageError: that cannot be found out now.
        """
        if not self.lease.held(at_ns):
            proven: Future[None] = self._loop.future()
            self.when_proven(at_ns, partial(_resolve, proven))
            await proven

    def when_proven(self, at_ns: int, do: Told) -> None:
        """Call a function once the lane is confirmed for a time, or with the error."""
        if self.lease.held(at_ns):
            do(None)
        elif self.lost is not None:
            do(again(self.lost))
        else:
            self._waiting.append((at_ns, do))
            if not self._question:
                self._ask()

    def abandon(self) -> None:
        """Stop waiting for the store."""
        self._fail(StorageClosed("the runtime was closed before ownership was confirmed"))

    def _ask(self) -> None:
        asked_ns = self.now_ns()
        self._question = True
        try:
            answer = self._store.prove(self._lane)
        except StorageError as error:
            self._answered(asked_ns, error)
        else:
            if answer is None:
                self._answered(asked_ns, None)
            else:
                self._question = self._loop.task(self._hear(asked_ns, answer))

    async def _hear(self, asked_ns: int, answer: Awaitable[None]) -> None:
        try:
            await answer
        except StorageError as error:
            self._answered(asked_ns, error)
        except Exception as error:  # a bug of the store must not leave callers waiting
            failed = StorageError(f"the store could not say who owns lane {self._lane}: {error!r}")
            failed.__cause__ = error
            self._answered(asked_ns, failed)
        else:
            self._answered(asked_ns, None)

    def _answered(self, asked_ns: int, error: StorageError | None) -> None:
        self._question = False
        if error is None:
            self.lease.renew(asked_ns)
            self._tell()
            if self._waiting and not self._question:
                self._ask()  # the answer took longer than a term
            return
        if self.lost is None:
            if isinstance(error, OwnershipLost):
                self.lose(error)
            self._loop.soon(self._on_failed, error)
        self._fail(error)

    def _tell(self) -> None:
        ready = [do for at_ns, do in self._waiting if self.lease.held(at_ns)]
        if ready:
            self._waiting = [(at, do) for at, do in self._waiting if not self.lease.held(at)]
            for do in ready:
                do(None)
            self._tell_idle()

    def _fail(self, error: StorageError) -> None:
        waiting, self._waiting = self._waiting, []
        for _, do in waiting:
            do(again(error))
        self._tell_idle()

    def _tell_idle(self) -> None:
        if not self._waiting:
            if isinstance(self._question, Task):
                self._question.cancel()  # a batch has answered it
                self._question = False
            self._on_idle()


def _resolve(proven: Future[None], error: StorageError | None) -> None:
    if proven.done():
        return
    if error is None:
        proven.set_result(None)
    else:
        proven.set_exception(error)
