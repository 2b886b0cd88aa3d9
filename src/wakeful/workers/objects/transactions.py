"""`storage.transaction(callback)`: a critical section whose writes are kept or undone as a whole.

Invariants: writes before a transaction are committed before it begins, and so are never undone
            with it; nothing is committed while a transaction is open; an inner transaction ends
            before its outer one.
Errors:     workerd's texts.
Source:     workerd actor-sqlite.c++, ExplicitTxn.
"""

from __future__ import annotations

import inspect
from asyncio import Task
from collections.abc import Callable
from typing import Any

from wakeful.errors import ActivationAborted
from wakeful.runtime import transaction as runtime_transaction
from wakeful.runtime.gated import Gated, section_of
from wakeful.workers.proxies import JsException


class Savepoint:
    """A point in what an object has written, to return to."""

    __slots__ = ("_gated", "_mark", "_working", "_writes")

    def __init__(self, gated: Gated) -> None:
        self._gated = gated
        self._writes = gated.writes
        self._working = gated.activation.working_set()
        self._mark = self._working.mark()

    def undo(self) -> None:
        """Undo what was written since."""
        self._working.undo(self._mark)
        self._gated.writes = self._writes

    def release(self) -> None:
        """Keep what was written since."""
        self._working.release(self._mark)


class Transaction:
    """An open transaction, and its state."""

    __slots__ = ("_gated", "_outcome", "_savepoint", "_section", "_within")

    def __init__(self, gated: Gated) -> None:
        gated.commit()
        activation = gated.activation
        activation.check_here()
        self._gated = gated
        self._outcome = ""
        self._section = section_of.get()
        self._savepoint = Savepoint(gated)
        self._within = runtime_transaction.Transaction(activation.transaction)
        activation.transaction = self._within

    def check(self, operation: str) -> None:
        """Refuse an operation on a transaction that is over.

        Raises:
            JsException: the transaction is over.
        """
        if self._outcome == "rolled back":
            raise JsException(f"Cannot {operation}() on rolled back transaction")
        if self._outcome:
            raise JsException(
                f"Cannot call {operation}() on transaction that has already committed: did you "
                "move `txn` outside of the closure?"
            )

    def roll_back(self) -> None:
        """Undo what the transaction has written; it goes on, but `txn` can no longer be used.

        Raises:
            JsException: it is over, or another one inside it is open.
        """
        if self._outcome == "rolled back":
            return
        self.check("rollback")
        if self._gated.activation.input.innermost is not self._section:
            raise JsException(
                "Cannot roll back an outer transaction while a nested transaction is still running."
            )
        self._undo()

    async def alone(self) -> None:
        """Return when no transaction inside it is open."""
        while (open_one := self._gated.activation.transaction) is not self._within:
            assert open_one is not None, "an outer transaction ends after those inside it"
            await open_one.over(self._gated.loop)

    def close(self, *, failed: bool) -> None:
        """End the transaction: its writes are kept, unless it failed."""
        activation = self._gated.activation
        if failed and not self._outcome:
            self._undo()
        if not self._outcome:
            self._savepoint.release()
            self._outcome = "committed"
        activation.transaction = self._within.parent
        self._within.close()

    def abandon(self) -> None:
        """Give the transaction up: its object is gone."""
        self._gated.activation.transaction = None
        self._within.close()

    def _undo(self) -> None:
        self._outcome = "rolled back"
        self._savepoint.undo()


def run_transaction(
    gated: Gated, callback: Callable[[Any], Any], face: Callable[[Transaction], object]
) -> Task[Any]:
    """Run a callback as a transaction; return the task, which ends with the callback's result."""

    async def run() -> Any:
        transaction = Transaction(gated)
        try:
            result = callback(face(transaction))
            if inspect.isawaitable(result):
                result = await result
        except (ActivationAborted, GeneratorExit):
            transaction.abandon()  # the object is gone, and this with it
            raise
        except BaseException:
            await transaction.alone()
            transaction.close(failed=True)
            raise
        await transaction.alone()
        transaction.close(failed=False)
        return result

    return gated.in_section(run)
