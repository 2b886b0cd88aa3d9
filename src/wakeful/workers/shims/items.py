"""Items of one size in an ArrayBuffer, which others may look at too: what typed arrays stand on.

Items are read as Pyodide gives them: ints where they are whole.

Source:  ECMAScript standard; the texts of errors are V8's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

from wakeful.workers.buffers import View, index, seen_as, shared, zeros
from wakeful.workers.code.entrypoints import arguments_taken
from wakeful.workers.proxies import JsRangeError, JsTypeError, unwrapped
from wakeful.workers.shims.numbers import to_number
from wakeful.workers.values import js_string

Item = int | float


class Items(View):
    """Items in a part of an ArrayBuffer.

    Attributes:
        format: an item, as memoryview calls it.
        BYTES_PER_ELEMENT: what an item takes.
        convert: any value as an item.
    """

    __slots__ = ("_items",)
    js_name = "TypedArray"
    BYTES_PER_ELEMENT = 1
    big = False
    convert: Callable[[Any], Item]

    def __init__(self, source: Any = 0, offset: Any = 0, length: Any = None) -> None:
        source = unwrapped(source)
        buffer = shared(source)
        if buffer is not None:
            self._view(buffer, index(offset), length)
        elif isinstance(source, Iterable) and not isinstance(source, str):
            self._copy(source)
        elif isinstance(source, View):
            self._make(0, source)  # what has no items, to JavaScript
        else:
            self._make(index(to_number(source)), source)

    def _view(self, buffer: Any, offset: int | None, length: Any) -> None:
        size, name = self.BYTES_PER_ELEMENT, self.js_name
        if offset is None or offset % size:
            raise JsRangeError(f"start offset of {name} should be a multiple of {size}")
        if length is None:
            if len(buffer) % size:
                raise JsRangeError(f"byte length of {name} should be a multiple of {size}")
            if offset > len(buffer):
                raise JsRangeError(f"Start offset {offset} is outside the bounds of the buffer")
            count: int | None = (len(buffer) - offset) // size
        else:
            count = index(length)
        if count is None or offset + count * size > len(buffer):
            raise JsRangeError(f"Invalid typed array length: {js_string(length)}")
        self._look(buffer, offset, count * size)

    def _copy(self, source: Any) -> None:
        if isinstance(source, Items) and source.big != self.big:
            raise JsTypeError("Cannot mix BigInt and other types, use explicit conversions")
        items = items_of(source)
        self._make(len(items), len(items))
        if self._is_raw(items):
            self._bytes[:] = bytes(items)
        else:
            self._put(0, items)

    def _is_raw(self, items: Any) -> bool:
        """Whether the bytes of the given items can be copied as they are."""
        if isinstance(items, bytes | bytearray):
            return self.format == "B"
        return type(items) is type(self)

    def _make(self, length: int | None, told: object) -> None:
        if length is None:
            raise JsRangeError(f"Invalid typed array length: {js_string(told)}")
        size = length * self.BYTES_PER_ELEMENT
        self._look(zeros(size), 0, size)

    def _look(self, buffer: Any, offset: int, length: int) -> None:
        super()._look(buffer, offset, length)
        self._items: Any = seen_as(self._bytes, self.format)

    def _put(self, place: int, values: Any) -> None:
        items, convert = self._items, self.convert
        for at, value in enumerate(values, place):
            items[at] = convert(value)

    @classmethod
    def of(cls, *items: Any) -> Self:
        """An array of items."""
        return cls(list(items))

    @classmethod
    def from_(cls, values: Any, function: Any = None, *_: Any) -> Self:
        """An array of what something gives, each changed by a function if there is one."""
        return cls(list(values) if function is None else mapped(function, list(values)))

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return type(self)(self.to_list()[place])
        return self._out(self._items[place])

    def __setitem__(self, place: int, value: Any) -> None:
        self._items[place] = self.convert(value)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.to_list())

    def __contains__(self, value: object) -> bool:
        return value in self._items

    def __repr__(self) -> str:
        return f"{self.js_name}({self.to_list()})"

    def to_list(self) -> list[Any]:
        """The items."""
        return list(map(self._out, self._items.tolist()))

    @staticmethod
    def _out(item: Any) -> Item:
        result: Item = item
        return result


setattr(Items, "from", vars(Items)["from_"])  # a keyword of Python


def items_of(source: Any) -> Any:
    """The items of something: of an object with a length, its members named by place."""
    if isinstance(source, dict):
        return [source.get(str(place)) for place in range(index(source.get("length")) or 0)]
    return source if isinstance(source, bytes | bytearray | Items) else list(source)


def mapped(function: Callable[..., Any], values: list[Any]) -> list[Any]:
    """Call a function with each value and its index."""
    call = relaxed(function, 2)
    return [call(value, at) for at, value in enumerate(values)]


def relaxed(function: Callable[..., Any], most: int, least: int = 1) -> Callable[..., Any]:
    """Return a function that drops the arguments it cannot take.

    Args:
        function: the function.
        most: how many it may take.
        least: how many it gets if it is one of Python's own, which do not say how many they take.
    """
    if inspect.isbuiltin(function) or inspect.isclass(function):
        taken: int | None = least
    else:
        taken = arguments_taken(function, most=most)
    return lambda *given: function(*given[:taken])
