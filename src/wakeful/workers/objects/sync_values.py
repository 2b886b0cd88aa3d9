"""`ctx.storage.kv`: the same keys and values, without anything to await.

Errors:  workerd's texts.
Source:  Cloudflare docs on the storage API; workerd sync-kv.c++.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, Final
from weakref import WeakMethod

from wakeful.workers.objects.cells import Cells, Span
from wakeful.workers.objects.options import MISSING, options, wrong
from wakeful.workers.proxies import JsArray, JsDict, JsException, JsProxy

ENDED: Final = (
    "kv.list() iterator was invalidated because a new call to kv.list() was started. Only one "
    "kv.list() iterator can exist at a time."
)


class SyncKeyValues(JsProxy):
    """The keys and values of one object."""

    js_name = "SyncKvStorage"
    __slots__ = ("_cells",)

    def __init__(self, cells: Cells) -> None:
        self._cells = cells

    def get(self, key: object = MISSING, *_: object) -> Any:
        """The value, a copy; None if there is none."""
        if key is MISSING:
            raise wrong(self.js_name, "get", "string")
        return self._cells.get(key)

    def put(self, key: object = MISSING, value: object = MISSING, *_: object) -> None:
        """Set a value."""
        if key is MISSING:
            raise wrong(self.js_name, "put", "string")
        if value is MISSING:
            raise wrong(self.js_name, "put", "Value", 2)
        self._cells.put([(key, value)])

    def delete(self, key: object = MISSING, *_: object) -> bool:
        """Remove a value; was there one?"""
        if key is MISSING:
            raise wrong(self.js_name, "delete", "string")
        return self._cells.delete([key]) == 1

    def list(self, given: object = None, *_: object, **named: Any) -> Listing:
        """Keys with their values, one by one; a new listing, of whatever kind, ends this one."""
        return Listing(self._cells, Span(options(self.js_name, "list", given, named)))


class Listing(JsProxy):
    """Keys with their values, each as it is when its turn comes, those written meanwhile too."""

    js_name = "Iterator"
    __slots__ = ("__weakref__", "_cells", "_first", "_keys", "_last", "_left", "_me", "_span")

    def __init__(self, cells: Cells, span: Span) -> None:
        self._cells = cells
        self._span = span
        self._keys = cells.keys(span)
        self._first, self._last = 0, len(self._keys)  # what is left of them
        self._left = span.limit
        changed = WeakMethod(self._add)

        def on_new_key(key: str) -> None:
            if (alive := changed()) is not None:
                alive(key)

        self._me = cells.on_new_key = on_new_key

    def __iter__(self) -> Listing:
        return self

    def __next__(self) -> JsArray:
        if self._cells.on_new_key is not self._me:
            raise JsException(ENDED)
        while self._first < self._last and self._left != 0:
            key = self._take().decode()
            if key in self._cells:
                if self._left is not None:
                    self._left -= 1
                return JsArray([key, self._cells.get(key)])
        raise StopIteration

    def next(self) -> JsDict:
        """The next pair as `value`; `done` is True where there is none."""
        pair = next(self, None)
        return JsDict(done=pair is None, value=pair)

    def _take(self) -> bytes:
        if self._span.reverse:
            self._last -= 1
            return self._keys[self._last]
        self._first += 1
        return self._keys[self._first - 1]

    def _add(self, name: str) -> None:
        """Note a new key, if it is among the keys that are left."""
        key, keys = name.encode(), self._keys
        if not self._span.holds(key):
            return
        at = bisect_left(keys, key)
        known = at < len(keys) and keys[at] == key
        if not known and self._first <= at <= self._last:
            keys.insert(at, key)
            self._last += 1
