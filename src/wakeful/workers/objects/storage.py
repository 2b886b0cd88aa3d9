"""`ctx.storage`: key-value storage of an object, in memory and committed step by step.

Every call acts when it is made, awaited or not, and what it gives can be awaited without letting
anything else run: an object's read, then write, is never interleaved.

Options: `allowConcurrency` and `noCache` have nothing to do here, where no read waits.
         With `allowUnconfirmed` nothing that leaves the object waits for a write, unless one
         beside it in the same step, or in the same commit, is to be confirmed.
Errors:  workerd's texts.
Source:  Cloudflare docs on the storage API; workerd actor-state.c++.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from typing import Any, Final, Generic, NoReturn, TypeVar

import msgspec

from wakeful.ports import KV_PREFIX
from wakeful.runtime.alarms import EVER_NS, can_have_alarm
from wakeful.runtime.gated import Gated
from wakeful.workers import strict
from wakeful.workers.objects import stored
from wakeful.workers.objects.options import alarm_time, int32
from wakeful.workers.objects.options import options as options_for
from wakeful.workers.objects.sql import SqlStorage
from wakeful.workers.objects.transactions import Savepoint, Transaction, run_transaction
from wakeful.workers.proxies import JsArray, JsDict, JsException, JsProxy, JsTypeError, options_of
from wakeful.workers.strict import Strict
from wakeful.workers.values import copied, js_string, stored_text

V = TypeVar("V")

VALUE_BYTES_MAX: Final = 2 * 1024 * 1024  # key and value, as Cloudflare has it
LIST_OPTIONS: Final = ("start", "startAfter", "end", "prefix", "reverse", "limit")
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


class Missing:
    """No argument, where None is one."""


MISSING: Final = Missing()


class Cells:
    """The keys and values of one object, by JavaScript's rules.

    Args:
        gated: whose.
        limited: they keep to the limits of Cloudflare's key-value storage.
    """

    __slots__ = ("gated", "limited")

    def __init__(self, gated: Gated, *, limited: bool = False) -> None:
        self.gated = gated
        self.limited = limited

    def check(self, keys: Iterable[object]) -> None:
        """Refuse keys that are too many at once or too long, where there are such limits.

        Raises:
            JsRangeError: says what is allowed.
        """
        if self.limited:
            strict.check_keys([text(key) for key in keys])

    def get(self, key: object) -> Any:
        """The value, a copy; None if there is none."""
        activation = self.gated.activation
        activation.check_here()
        cell = activation.buffer.get(KV_PREFIX + text(key)) if activation.buffer else None
        return None if cell is None else stored.unpack(cell)

    def __contains__(self, key: str) -> bool:
        buffer = self.gated.activation.buffer
        return buffer is not None and buffer.get(KV_PREFIX + key) is not None

    def put(self, pairs: Iterable[tuple[object, object]], *, confirmed: bool = True) -> None:
        """Set values, all of them or none.

        Raises:
            DataCloneError, TypeError: a value cannot be stored.
            JsRangeError: they are too many or too large, where there are such limits.
        """
        activation = self.gated.activation
        activation.check_here()
        if self.limited:
            given = {text(key): copied(value) for key, value in pairs}
            strict.check_pairs(given)
            pairs = given.items()
        cells = [(KV_PREFIX + text(key), stored.pack(value)) for key, value in pairs]
        for key, data in cells:
            if len(key) + len(data) > VALUE_BYTES_MAX:
                raise JsException("string or blob too big: SQLITE_TOOBIG")
        for key, data in cells:
            activation.writes().put(key, data)
        self.gated.touch(confirmed=confirmed)

    def delete(self, keys: Iterable[object], *, confirmed: bool = True) -> int:
        """Remove values; how many there were."""
        activation = self.gated.activation
        activation.check_here()
        buffer = activation.writes()
        count = sum(buffer.delete(KV_PREFIX + text(key)) for key in keys)
        self.gated.touch(confirmed=confirmed)
        return count

    def list(self, options: Mapping[str, Any]) -> dict[str, bytes]:
        """Packed values by key, in the order of the keys' UTF-8 bytes.

        Raises:
            JsTypeError: options contradict each other.
        """
        start, after, end = (options.get(name) for name in ("start", "startAfter", "end"))
        limit = None if (given := options.get("limit")) is None else int32(given)
        if start is not None and after is not None:
            raise JsTypeError("list() cannot be called with both start and startAfter values.")
        if limit is not None and limit <= 0:
            raise JsTypeError("List limit must be positive.")
        activation = self.gated.activation
        activation.check_here()
        if activation.buffer is None:
            return {}
        prefix = KV_PREFIX + ("" if (given := options.get("prefix")) is None else text(given))
        low = b"" if start is None else text(start).encode()
        above = None if after is None else text(after).encode()
        high = None if end is None else text(end).encode()
        cells = activation.buffer.cells
        keys = [cell[len(KV_PREFIX) :] for cell in cells if cell.startswith(prefix)]
        found = [
            (encoded, key)
            for encoded, key in ((key.encode(), key) for key in keys)
            if encoded >= low
            and (above is None or encoded > above)
            and (high is None or encoded < high)
        ]
        found.sort(reverse=bool(options.get("reverse")))
        chosen = found if limit is None else found[:limit]
        return {key: cells[KV_PREFIX + key] for _, key in chosen}

    def clear(self, *, confirmed: bool = True) -> None:
        """Remove all values."""
        activation = self.gated.activation
        activation.check_here()
        buffer = activation.writes()
        for key in [cell for cell in buffer.cells if cell.startswith(KV_PREFIX)]:
            buffer.delete(key)
        self.gated.touch(confirmed=confirmed)


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
        """Whether what leaves the object waits for a write."""
        return not self._check(operation, given, named).get("allowUnconfirmed", False)

    def get(self, key: object, options: object = None, **named: Any) -> Promise[Any]:
        """The value of a key, or the values of a list of keys by key, in order."""
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
        self, key: object, value: object = MISSING, options: object = None, **named: Any
    ) -> Promise[None]:
        """Set a value, or all values of a dict.

        Raises:
            JsTypeError: no value was given.
            DataCloneError, TypeError: a value cannot be stored; nothing was.
        """
        if isinstance(key, dict):
            if not isinstance(value, Missing | dict | None):
                raise JsTypeError(PUT_FORMS)
            entries = None if value is MISSING else value
            self._cells.put(key.items(), confirmed=self._confirmed("put", entries, named))
        elif value is MISSING:
            raise JsTypeError("put() called with undefined value.")
        else:
            self._cells.put([(key, value)], confirmed=self._confirmed("put", options, named))
        return Promise(None)

    def delete(self, key: object, options: object = None, **named: Any) -> Promise[Any]:
        """Remove a value: was there one? Or those of a list of keys: how many were there?"""
        confirmed = self._confirmed("delete", options, named)
        if isinstance(key, list | tuple | set):
            self._cells.check(key)
            return Promise(self._cells.delete(key, confirmed=confirmed))
        self._cells.check([key])
        return Promise(self._cells.delete([key], confirmed=confirmed) == 1)

    def list(self, options: object = None, **named: Any) -> Promise[JsDict]:
        """Values by key, in the order of the keys' UTF-8 bytes.

        Args:
            options: `start` (inclusive), `startAfter`, `end` (exclusive), `prefix`, `reverse`,
                `limit`; also by name.
            **named: the same.
        """
        found = self._cells.list(self._check("list", options, named))
        return Promise(JsDict((key, stored.unpack(cell)) for key, cell in found.items()))

    def setAlarm(self, when: object, options: object = None, **named: Any) -> Promise[None]:
        """Let `alarm()` be called at a time, in place of the one that was set; a past one is now.

        Raises:
            JsTypeError: it is no time, or the class has no `alarm()`.
        """
        confirmed = self._confirmed("setAlarm", options, named)
        gated, ms = self._cells.gated, alarm_time(self.js_name, when)
        if ms <= 0:
            raise JsTypeError("setAlarm() cannot be called with an alarm time <= 0")
        if not can_have_alarm(gated.activation.type):
            raise JsTypeError(
                "Your Durable Object class must have an alarm() handler in order to call setAlarm()"
            )
        gated.alarm.set(min(ms * MS_NS, EVER_NS))
        gated.touch(confirmed=confirmed)
        return Promise(None)

    def getAlarm(self, options: object = None, **named: Any) -> Promise[int | None]:
        """When `alarm()` will be called, in milliseconds since 1970; None while it runs."""
        self._check("getAlarm", options, named)
        due_ns = self._cells.gated.alarm.get()
        return Promise(None if due_ns is None else due_ns // MS_NS)

    def deleteAlarm(self, options: object = None, **named: Any) -> Promise[None]:
        """Take the alarm back; an `alarm()` that runs goes on, and is not called again."""
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

    def deleteAll(self, options: object = None, **named: Any) -> Promise[None]:
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

    async def sync(self) -> None:
        """Return when everything written before is durable."""
        await self._cells.gated.sync()

    def getCurrentBookmark(self, *_: object, **__: object) -> NoReturn:
        """Refuse: there is no recovery of an earlier state.

        Raises:
            JsException: always.
        """
        raise JsException(NO_BOOKMARKS)

    getBookmarkForTime = onNextSessionRestoreBookmark = getCurrentBookmark

    def transaction(self, callback: Callable[[Any], object]) -> Awaitable[Any]:
        """Call back with a transaction; what it writes is kept, or undone if it raises.

        Nothing else is delivered to the object meanwhile. What was written before stays.
        """
        _check_function("transaction", callback)
        return run_transaction(
            self._cells.gated, callback, lambda state: TransactionFace(self._cells, state)
        )

    def transactionSync(self, callback: Callable[[], V]) -> V:
        """Call back; what it writes is undone if it raises."""
        _check_function("transactionSync", callback)
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
    """`txn`, as the callback of `transaction` gets it."""

    js_name = "DurableObjectTransaction"

    def __init__(self, cells: Cells, state: Transaction) -> None:
        super().__init__(cells)
        self._state = state

    def rollback(self) -> None:
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


class SyncKeyValues(JsProxy):
    """`ctx.storage.kv`: the same keys and values, without anything to await."""

    js_name = "SyncKvStorage"
    __slots__ = ("_cells", "_listing")

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._listing = 0

    def get(self, key: object) -> Any:
        """The value, a copy; None if there is none."""
        return self._cells.get(key)

    def put(self, key: object, value: object = None) -> None:
        """Set a value."""
        self._cells.put([(key, value)])

    def delete(self, key: object) -> bool:
        """Remove a value; was there one?"""
        return self._cells.delete([key]) == 1

    def list(self, options: object = None, **named: Any) -> Iterable[JsArray]:
        """Keys with their values, one by one; a new listing ends this one."""
        found = self._cells.list(options_of(options, named.items()))
        self._listing += 1
        return self._pairs(found, self._listing)

    def _pairs(self, found: dict[str, bytes], listing: int) -> Generator[JsArray, None, None]:
        for key, cell in found.items():
            if listing != self._listing:
                raise JsException(
                    "kv.list() iterator was invalidated because a new call to kv.list() was "
                    "started. Only one kv.list() iterator can exist at a time."
                )
            yield JsArray([key, stored.unpack(cell)])


def text(key: object) -> str:
    """A key as it is stored: JavaScript's String(key), as valid Unicode."""
    return stored_text(js_string(key))


def _check_function(call: str, callback: object) -> None:
    if not callable(callback):
        raise JsTypeError(
            f"Failed to execute '{call}' on 'DurableObjectStorage': parameter 1 is not of type "
            "'function'."
        )
