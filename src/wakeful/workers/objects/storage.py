"""`ctx.storage`: key-value storage of an object, in memory and committed step by step.

Every call acts when it is made, awaited or not. Awaiting its result lets no other code run: no
other event comes between an object's read and its write.

Options: `allowConcurrency` and `noCache` have no effect here, where no read waits.
         With `allowUnconfirmed` no message of the object waits for the write, unless another
         write in the same step, or in the same commit, has to be confirmed.
Errors:  workerd's texts.
Source:  Cloudflare docs on the storage API; workerd actor-state.c++.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any, Final, Generic, NoReturn, ParamSpec, TypeVar

import msgspec

from wakeful.runtime.alarm_face import EVER_NS
from wakeful.runtime.gated import Gated
from wakeful.workers.objects import stored
from wakeful.workers.objects.cells import Cells, Span, text
from wakeful.workers.objects.options import MISSING, alarm_time, truth, wrong
from wakeful.workers.objects.options import options as options_for
from wakeful.workers.objects.sql import SqlStorage
from wakeful.workers.objects.sync_values import SyncKeyValues
from wakeful.workers.objects.transactions import Savepoint, Transaction, run_transaction
from wakeful.workers.proxies import JsDict, JsException, JsProxy, JsTypeError
from wakeful.workers.strict import Strict

V = TypeVar("V")
P = ParamSpec("P")

PUT_FORMS: Final = (
    "put() may only be called with a single key-value pair and optional options as "
    "put(key, value, options) or with multiple key-value pairs and optional options as "
    "put(entries, options)"
)
_ENABLE: Final = (
    "change `new_classes` to `new_sqlite_classes` within the 'migrations' field in your "
    "wrangler.jsonc or wrangler.toml file. If using workerd directly,{}set `enableSql = true` in "
    "your workerd config for the class. Note that this change cannot be made after the class is "
    "already deployed to production."
)
NO_KV: Final = (
    "The storage.kv (synchronous KV) API is only available for SQLite-backed Durable Objects, but "
    "this object's namespace is not declared to use SQLite. You can use the older, asyncronous "
    "interface via methods of `storage` itself (e.g. `storage.get()`). Alternatively, to enable "
    "SQLite, " + _ENABLE.format(" ")
)
NO_SQL: Final = "SQL is not enabled for this Durable Object class. To enable it, " + _ENABLE.format(
    ""
)
NO_BOOKMARKS: Final = (
    "This Durable Object's storage back-end does not implement point-in-time recovery."
)
MS_NS: Final = 1_000_000


class Promise(Generic[V]):
    """The result of a call that has happened: to be awaited, once, often or never.

    Its name is what Python says of code that forgets to: 'Promise' and 'int' cannot be added.
    """

    __slots__ = ("_value",)

    def __init__(self, value: V) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, None, V]:
        yield from ()
        return self._value


class KeyValues(JsProxy):
    """What `ctx.storage` and a transaction have in common; options come last and may be named."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells

    def _refuse(self, operation: str) -> None:
        """Refuse an operation that may not be done now."""

    def _check(self, operation: str, given: object, named: Mapping[str, Any]) -> dict[str, Any]:
        self._refuse(operation)
        return options_for(self.js_name, operation, given, named)

    def _confirmed(self, operation: str, given: object, named: Mapping[str, Any]) -> bool:
        """Whether messages that leave the object wait for a write."""
        return not truth(self._check(operation, given, named).get("allowUnconfirmed"))

    def get(
        self, key: object = MISSING, options: object = None, *_: object, **named: Any
    ) -> Promise[Any]:
        """The value of a key, or the values of a list of keys by key, in order."""
        if key is MISSING:
            raise wrong(self.js_name, "get", "string or Array")
        self._check("get", options, named)
        if isinstance(key, list | tuple | set):
            self._cells.check(key)
            keys = sorted({text(item) for item in key}, key=str.encode)
            return Promise(
                JsDict((item, self._cells.get(item)) for item in keys if item in self._cells)
            )
        self._cells.check([key])
        return Promise(self._cells.get(key))

    def put(
        self,
        key: object = MISSING,
        value: object = MISSING,
        options: object = None,
        *_: object,
        **named: Any,
    ) -> Promise[None]:
        """Set a value, or all values of a dict.

        Raises:
            JsTypeError: no key or no value was given.
            DataCloneError, TypeError: a value cannot be stored; nothing was.
        """
        if key is MISSING:
            raise wrong(self.js_name, "put", "string or object")
        if isinstance(key, dict):
            if isinstance(value, bool | int | float | str):
                raise JsTypeError(PUT_FORMS)
            entries = None if value is MISSING else value
            self._cells.put(key.items(), confirmed=self._confirmed("put", entries, named))
        elif value is MISSING:
            raise JsTypeError("put() called with undefined value.")
        else:
            self._cells.put([(key, value)], confirmed=self._confirmed("put", options, named))
        return Promise(None)

    def delete(
        self, key: object = MISSING, options: object = None, *_: object, **named: Any
    ) -> Promise[Any]:
        """Remove a value: was there one? Or those of a list of keys: how many were there?"""
        if key is MISSING:
            raise wrong(self.js_name, "delete", "string or Array")
        confirmed = self._confirmed("delete", options, named)
        if isinstance(key, list | tuple | set):
            self._cells.check(key)
            return Promise(self._cells.delete(key, confirmed=confirmed))
        self._cells.check([key])
        return Promise(self._cells.delete([key], confirmed=confirmed) == 1)

    def list(self, options: object = None, *_: object, **named: Any) -> Promise[JsDict]:
        """Values by key, in the order of the keys' UTF-8 bytes.

        Args:
            options: `start` (inclusive), `startAfter`, `end` (exclusive), `prefix`, `reverse`,
                `limit`; also by name.
            **named: the same.
        """
        span = Span(self._check("list", options, named))
        found = self._cells.within(span)
        return Promise(JsDict((key, stored.unpack(cell)) for key, cell in found.items()))

    def setAlarm(
        self, when: object = MISSING, options: object = None, *_: object, **named: Any
    ) -> Promise[None]:
        """Let `alarm()` be called at a time, in place of the one that was set; a past one is now.

        A class without `alarm()` may set one too, as every class in Python may on Cloudflare: the
        alarm fails when its time comes.

        Raises:
            JsTypeError: the value is not a time.
        """
        confirmed = self._confirmed("setAlarm", options, named)
        gated, ms = self._cells.gated, alarm_time(self.js_name, when)
        if ms <= 0:
            raise JsTypeError("setAlarm() cannot be called with an alarm time <= 0")
        gated.alarm.set(at_ns=min(ms * MS_NS, EVER_NS))
        gated.touch(confirmed=confirmed)
        return Promise(None)

    def getAlarm(self, options: object = None, *_: object, **named: Any) -> Promise[int | None]:
        """Return when `alarm()` will be called, in milliseconds since 1970; None while it runs."""
        self._check("getAlarm", options, named)
        due_ns = self._cells.gated.alarm.get()
        return Promise(None if due_ns is None else due_ns // MS_NS)

    def deleteAlarm(self, options: object = None, *_: object, **named: Any) -> Promise[None]:
        """Delete the alarm; an `alarm()` that runs goes on, and is not called again."""
        confirmed = self._confirmed("deleteAlarm", options, named)
        self._cells.gated.alarm.delete()
        self._cells.gated.touch(confirmed=confirmed)
        return Promise(None)


class StorageKind(msgspec.Struct, frozen=True, kw_only=True):
    """What the storage of a class can do.

    Attributes:
        sqlite: it is in SQLite, so there are `kv` and `sql` too.
        delete_all_deletes_alarm: `deleteAll` takes the alarm with it.
        strict: it keeps to the limits of Cloudflare's network.
    """

    sqlite: bool
    delete_all_deletes_alarm: bool
    strict: Strict | None = None


class Storage(KeyValues):
    """`ctx.storage`.

    Args:
        gated: whose storage.
        kind: what it can do.
    """

    js_name = "DurableObjectStorage"

    def __init__(self, gated: Gated, kind: StorageKind) -> None:
        super().__init__(Cells(gated, limited=kind.strict is not None and not kind.sqlite))
        self._kind = kind
        self._sync = SyncKeyValues(self._cells)
        self._sql = SqlStorage(gated)

    @property
    def kv(self) -> SyncKeyValues:
        """The same keys and values, by calls that give their results at once.

        Raises:
            JsException: the class keeps its data in key-value storage.
        """
        if not self._kind.sqlite:
            raise JsException(NO_KV)
        return self._sync

    @property
    def sql(self) -> SqlStorage:
        """The object's SQL database.

        Raises:
            JsException: the class keeps its data in key-value storage.
        """
        if not self._kind.sqlite:
            raise JsException(NO_SQL)
        return self._sql

    def deleteAll(self, options: object = None, *_: object, **named: Any) -> Promise[None]:
        """Remove everything the object has stored.

        Raises:
            JsException: a transaction is open.
        """
        confirmed = self._confirmed("deleteAll", options, named)
        if self._cells.gated.activation.transaction is not None:
            raise JsException("Cannot call deleteAll() within a transaction")
        self._cells.clear(confirmed=confirmed)
        if self._kind.sqlite:
            self._cells.gated.database.drop()
        if self._kind.delete_all_deletes_alarm:
            self._cells.gated.alarm.delete()
        self._cells.gated.wiped()
        return Promise(None)

    async def sync(self, *_: object) -> None:
        """Return when everything written before is durable."""
        await self._cells.gated.sync()

    def getCurrentBookmark(self, *_: object, **__: object) -> NoReturn:
        """Refuse: there is no recovery of an earlier state.

        Raises:
            JsException: always.
        """
        raise JsException(NO_BOOKMARKS)

    getBookmarkForTime = onNextSessionRestoreBookmark = getCurrentBookmark

    def transaction(
        self, callback: Callable[[Any], object] | None = None, *_: object, **__: object
    ) -> Awaitable[Any]:
        """Call back with a transaction; what it writes is kept, or undone if it raises.

        Nothing else is delivered to the object meanwhile. What was written before stays.
        """
        callback = _function("transaction", callback)
        return run_transaction(
            self._cells.gated, callback, lambda state: TransactionFace(self._cells, state)
        )

    def transactionSync(self, callback: Callable[[], V] | None = None, *_: object) -> V:
        """Call back; what it writes is undone if it raises."""
        callback = _function("transactionSync", callback)
        self._cells.gated.activation.check_here()
        savepoint = Savepoint(self._cells.gated)
        try:
            result = callback()
        except BaseException:
            savepoint.undo()
            raise
        savepoint.release()
        return result


class TransactionFace(KeyValues):
    """The transaction as the callback of `transaction` gets it: `txn`."""

    js_name = "DurableObjectTransaction"

    def __init__(self, cells: Cells, state: Transaction) -> None:
        super().__init__(cells)
        self._state = state

    def rollback(self, *_: object) -> None:
        """Undo what the transaction has written; may be called again.

        Raises:
            JsException: a transaction inside this one is still open, or it is over.
        """
        self._state.roll_back()

    def deleteAll(self, *_: object, **__: object) -> Promise[None]:
        """Refuse.

        Raises:
            JsException: always.
        """
        raise JsException("Cannot call deleteAll() within a transaction")

    def _refuse(self, operation: str) -> None:
        self._state.check(operation)


def _function(call: str, callback: Callable[P, V] | None) -> Callable[P, V]:
    if not callable(callback):
        raise wrong(Storage.js_name, call, "function")
    return callback
