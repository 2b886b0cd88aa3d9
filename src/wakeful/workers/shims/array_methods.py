"""What typed arrays are asked: methods that change nothing.

Source:  ECMAScript standard.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

from wakeful.workers.proxies import JsArray, JsTypeError
from wakeful.workers.shims.items import Item, Items, relaxed
from wakeful.workers.values import js_string


class Readable(Items):
    """Items, with JavaScript's methods that change nothing."""

    __slots__ = ()

    @property
    def length(self) -> int:
        """The number of items."""
        return len(self._items)

    def at(self, place: int) -> Item | None:
        """An item; places below 0 count from the end. None if there is none."""
        return self[place] if -len(self) <= place < len(self) else None

    def entries(self) -> JsArray:
        """Places and items."""
        return JsArray(JsArray(pair) for pair in enumerate(self))

    def every(self, test: Callable[..., object]) -> bool:
        """Whether all items pass."""
        return all(results(test, self))

    def find(self, test: Callable[..., object]) -> Item | None:
        """The first item that passes."""
        return self.at(found) if (found := self.findIndex(test)) >= 0 else None

    def findIndex(self, test: Callable[..., object]) -> int:
        """The place of the first item that passes; -1 if none does."""
        return next((at for at, passed in enumerate(results(test, self)) if passed), -1)

    def forEach(self, function: Callable[..., object]) -> None:
        """Call back with each item, its place, and the array."""
        for _ in results(function, self):
            pass

    def includes(self, value: object) -> bool:
        """Whether a value is one of the items; NaN is found too."""
        nan = isinstance(value, float) and math.isnan(value)
        return value in self or (nan and any(item != item for item in self))

    def indexOf(self, value: object, start: int = 0) -> int:
        """The first place of an item; -1 if there is none."""
        first, last = self._span(start, None)
        return next((at for at in range(first, last) if self._items[at] == value), -1)

    def join(self, between: str = ",") -> str:
        """The items as text."""
        return between.join(map(str if self.big else js_string, self))

    def keys(self) -> JsArray:
        """The places."""
        return JsArray(range(len(self)))

    def lastIndexOf(self, value: object) -> int:
        """The last place of an item; -1 if there is none."""
        places = range(len(self) - 1, -1, -1)
        return next((at for at in places if self._items[at] == value), -1)

    def reduce(self, function: Callable[..., Any], *first: Any) -> Any:
        """Combine all items with a function of two arguments.

        Raises:
            JsTypeError: there is nothing.
        """
        if not first and not len(self):
            raise JsTypeError("Reduce of empty array with no initial value")
        return functools.reduce(relaxed(function, 2, 2), self, *first)

    def some(self, test: Callable[..., object]) -> bool:
        """Whether an item passes."""
        return any(results(test, self))

    def toJSON(self) -> dict[str, Item]:
        """Return what JSON makes of the array: an object whose members are the indices."""
        return {str(place): item for place, item in enumerate(self)}

    def toString(self) -> str:
        """The items as text."""
        return self.join()

    def values(self) -> JsArray:
        """The items."""
        return JsArray(self)

    def _span(self, start: int, end: int | None) -> tuple[int, int]:
        first, last, _ = slice(start, end).indices(len(self))
        return first, max(first, last)

    def __str__(self) -> str:
        return self.join()


def results(function: Callable[..., Any], array: Any) -> Iterator[Any]:
    """Call a function with each item, its index and the array."""
    call = relaxed(function, 3)
    return (call(item, at, array) for at, item in enumerate(array))
