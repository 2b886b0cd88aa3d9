"""An open transaction of one actor: what its work changes is kept, or undone, as a whole.

Its work runs in a critical section, so no turn begins meanwhile; one that had begun before goes on
when the transaction is over, and so does background work. A task that a turn has made may go on
(unless its steps are known: `runtime.steps`), but must not commit half of the transaction along
with its own changes: what would be a commit point of it waits until the transaction is over.

Invariants: transactions of an actor are open one at a time, unless one runs inside another.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Final

from wakeful.runtime.host_loop import HostLoop


class Transaction:
    """An open transaction.

    Attributes:
        turn: the turn that has opened it, None if none has; it is only compared.
        parent: the transaction that this one runs inside, if any.
    """

    __slots__ = ("_waiting", "parent", "turn")

    def __init__(self, parent: Transaction | None, turn: object = None) -> None:
        self.parent = parent
        self.turn = turn
        self._waiting: list[Callable[[], object]] = []

    def when_over(self, do: Callable[[], object]) -> None:
        """Call a function once the transaction is over."""
        self._waiting.append(do)

    def over(self, loop: HostLoop) -> Future[None]:
        """A future that is done when the transaction is over."""
        done: Future[None] = loop.future()
        self.when_over(partial(_tell, done))
        return done

    def close(self) -> None:
        """End the transaction: what waited for that goes on."""
        for do in self._waiting:
            do()


running: Final[ContextVar[Transaction | None]] = ContextVar("wakeful_transaction", default=None)


def _tell(done: Future[None]) -> None:
    if not done.done():
        done.set_result(None)
