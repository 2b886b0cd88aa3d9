"""A transaction of one actor: what its work changes is kept, or undone, as a whole.

Its work runs in a critical section, so no turn begins meanwhile; but a turn that had begun before
may go on. Such a turn must not commit half of the transaction along with its own changes: what
would be a commit point of it waits until the transaction is over.

Invariants: transactions of an actor are open one at a time, unless one runs inside another.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial
from typing import Final, TypeVar

from wakeful.runtime.activation import Activation
from wakeful.runtime.host_loop import HostLoop

V = TypeVar("V")


class Transaction:
    """An open transaction.

    Attributes:
        parent: the one it runs inside of.
    """

    __slots__ = ("_waiting", "parent")

    def __init__(self, parent: Transaction | None) -> None:
        self.parent = parent
        self._waiting: list[Callable[[], object]] = []

    def when_over(self, do: Callable[[], object]) -> None:
        """Call a function once the transaction is over."""
        self._waiting.append(do)

    async def over(self, loop: HostLoop) -> None:
        """Return when the transaction is over."""
        done: Future[None] = loop.future()
        self.when_over(partial(_tell, done))
        await done

    def close(self) -> None:
        """It is over: those that waited go on."""
        for do in self._waiting:
            do()


running: Final[ContextVar[Transaction | None]] = ContextVar("wakeful_transaction", default=None)


def in_transaction(activation: Activation) -> bool:
    """Whether the running code is the work of the transaction that is open."""
    return activation.transaction is not None and activation.transaction is running.get()


def _tell(done: Future[None]) -> None:
    if not done.done():
        done.set_result(None)


async def transact(loop: HostLoop, activation: Activation, work: Callable[[], Awaitable[V]]) -> V:
    """Run work as a transaction: if it raises, state and storage are as before."""
    while activation.transaction is not None and not in_transaction(activation):
        await activation.transaction.over(loop)
    working = activation.working_set()
    before, sent = working.mark(), len(activation.effects or ())
    transaction = Transaction(activation.transaction)
    activation.transaction = transaction
    outside = running.get()
    running.set(transaction)
    try:
        result = await work()
        working.release(before)
        return result
    except BaseException:
        working.undo(before)
        activation.take_back(sent)
        raise
    finally:
        running.set(outside)
        activation.transaction = transaction.parent
        transaction.close()
