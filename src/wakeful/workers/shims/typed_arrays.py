"""Typed arrays: numbers of one size, in an ArrayBuffer, which others may look at too.

Items are read as Pyodide gives them: ints where they are whole. Numbers that are put are converted
as JavaScript does it; the items of BigInt64Array and BigUint64Array are ints of Python.

Source:  ECMAScript standard; the texts of errors are V8's.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Self

from wakeful.workers.buffers import View, index, shared, zeros
from wakeful.workers.code.entrypoints import arguments_taken
from wakeful.workers.proxies import (
    JsArray,
    JsBytes,
    JsRangeError,
    JsSyntaxError,
    JsTypeError,
    unwrapped,
)
from wakeful.workers.shims.numbers import number, to_int, to_number
from wakeful.workers.values import js_string

Item = int | float
FRACTIONS: Final = "fd"  # the formats of floats


class TypedArray(View):
    """What the typed arrays have in common.

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
        if isinstance(source, TypedArray) and source.big != self.big:
            raise JsTypeError("Cannot mix BigInt and other types, use explicit conversions")
        items = _items_of(source)
        self._make(len(items), len(items))
        if self._is_raw(items):
            self._bytes[:] = bytes(items)
        else:
            self._put(0, items)

    def _is_raw(self, items: Any) -> bool:
        """Are the bytes of these items those that they have here?"""
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
        self._items: Any = self._bytes.cast(self.format)  # type: ignore[call-overload]

    def _put(self, place: int, values: Any) -> None:
        items, convert = self._items, self.convert
        for at, value in enumerate(values, place):
            items[at] = convert(value)

    # --- made of items ---

    @classmethod
    def of(cls, *items: Any) -> Self:
        """An array of items."""
        return cls(list(items))

    @classmethod
    def from_(cls, values: Any, function: Any = None, *_: Any) -> Self:
        """An array of what something gives, each changed by a function if there is one."""
        return cls(list(values) if function is None else _mapped(function, list(values)))

    # --- as Python has it ---

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

    def __str__(self) -> str:
        return self.join()

    def to_list(self) -> list[Any]:
        """The items."""
        return list(map(self._out, self._items.tolist()))

    @staticmethod
    def _out(item: Any) -> Item:
        result: Item = item
        return result

    # --- as JavaScript has it ---

    @property
    def length(self) -> int:
        """The number of items."""
        return len(self._items)

    def at(self, place: int) -> Item | None:
        """An item; places below 0 count from the end. None if there is none."""
        return self[place] if -len(self) <= place < len(self) else None

    def copyWithin(self, target: int, start: int, end: int | None = None) -> Self:
        """Copy a part to another place."""
        first, last = self._span(start, end)
        to, _ = self._span(target, None)
        count = max(0, min(last - first, len(self) - to))
        self._put(to, self.to_list()[first : first + count])
        return self

    def entries(self) -> JsArray:
        """Places and items."""
        return JsArray(JsArray(pair) for pair in enumerate(self))

    def every(self, test: Callable[..., object]) -> bool:
        """Do all items pass?"""
        return all(_results(test, self))

    def fill(self, value: Any, start: int = 0, end: int | None = None) -> Self:
        """Put one value in each place."""
        first, last = self._span(start, end)
        self._put(first, [value] * (last - first))
        return self

    def filter(self, test: Callable[..., object]) -> Self:
        """The items that pass."""
        found = zip(self.to_list(), _results(test, self), strict=True)
        return type(self)([item for item, passed in found if passed])

    def find(self, test: Callable[..., object]) -> Item | None:
        """The first item that passes."""
        return self.at(found) if (found := self.findIndex(test)) >= 0 else None

    def findIndex(self, test: Callable[..., object]) -> int:
        """The place of the first item that passes; -1 if none does."""
        return next((at for at, passed in enumerate(_results(test, self)) if passed), -1)

    def forEach(self, function: Callable[..., object]) -> None:
        """Call back with each item, its place, and the array."""
        for _ in _results(function, self):
            pass

    def includes(self, value: object) -> bool:
        """Is it one of the items? NaN is."""
        nan = isinstance(value, float) and math.isnan(value)
        return value in self or (nan and any(item != item for item in self))

    def indexOf(self, value: object, start: int = 0) -> int:
        """The first place of an item; -1 if there is none."""
        first, last = self._span(start, None)
        return next((at for at in range(first, last) if self._items[at] == value), -1)

    def lastIndexOf(self, value: object) -> int:
        """The last place of an item; -1 if there is none."""
        places = range(len(self) - 1, -1, -1)
        return next((at for at in places if self._items[at] == value), -1)

    def join(self, between: str = ",") -> str:
        """The items as text."""
        return between.join(map(str if self.big else js_string, self))

    def keys(self) -> JsArray:
        """The places."""
        return JsArray(range(len(self)))

    def map(self, function: Callable[..., Any]) -> Self:
        """An array of what a function makes of the items."""
        return type(self)(list(_results(function, self)))

    def reduce(self, function: Callable[..., Any], *first: Any) -> Any:
        """What is left when a function has made one of each two.

        Raises:
            JsTypeError: there is nothing.
        """
        if not first and not len(self):
            raise JsTypeError("Reduce of empty array with no initial value")
        return functools.reduce(_relaxed(function, 2), self, *first)

    def reverse(self) -> Self:
        """Turn the order round."""
        self._put(0, self.to_list()[::-1])
        return self

    def set(self, source: Any, offset: int = 0) -> None:
        """Put items at a place.

        Raises:
            JsRangeError: they do not fit.
        """
        items = _items_of(source)
        if not 0 <= offset <= len(self) - len(items):
            raise JsRangeError("offset is out of bounds")
        self._put(offset, items.to_list() if isinstance(items, TypedArray) else items)

    def slice(self, start: int = 0, end: int | None = None) -> Self:
        """A copy of a part; places below 0 count from the end."""
        first, last = self._span(start, end)
        return type(self)(self.to_list()[first:last])

    def some(self, test: Callable[..., object]) -> bool:
        """Does an item pass?"""
        return any(_results(test, self))

    def sort(self, compare: Callable[..., Any] | None = None) -> Self:
        """Order by size, or as a function says of each two."""
        key = _by_size if compare is None else functools.cmp_to_key(_relaxed(compare, 2))
        self._put(0, sorted(self.to_list(), key=key))
        return self

    def subarray(self, start: int = 0, end: int | None = None) -> Self:
        """A part, which shares the bytes; places below 0 count from the end."""
        first, last = self._span(start, end)
        offset = self.byteOffset + first * self.BYTES_PER_ELEMENT
        return type(self)(self.buffer, offset, last - first)

    def toJSON(self) -> dict[str, Item]:
        """What JSON makes of it: an object, whose members are named by place."""
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

    def __wakeful_transfer__(self) -> Self:
        return type(self)(self)


setattr(TypedArray, "from", vars(TypedArray)["from_"])  # a keyword of Python


def _items_of(source: Any) -> Any:
    """The items of something: of an object with a length, its members named by place."""
    if isinstance(source, dict):
        return [source.get(str(place)) for place in range(index(source.get("length")) or 0)]
    return source if isinstance(source, bytes | bytearray | TypedArray) else list(source)


def _results(function: Callable[..., Any], array: Any) -> Iterator[Any]:
    call = _relaxed(function, 3)
    return (call(item, at, array) for at, item in enumerate(array))


def _mapped(function: Callable[..., Any], values: list[Any]) -> list[Any]:
    call = _relaxed(function, 2)
    return [call(value, at) for at, value in enumerate(values)]


def _relaxed(function: Callable[..., Any], most: int) -> Callable[..., Any]:
    """A function that takes fewer arguments than JavaScript hands to it."""
    if inspect.isbuiltin(function) or inspect.isclass(function):
        taken: int | None = most - 1 if most == 2 and not inspect.isclass(function) else 1
    else:
        taken = arguments_taken(function, most=most)
    return lambda *given: function(*given[:taken])


def _by_size(item: Item) -> tuple[bool, float, float]:
    """NaN is last, and -0 before 0."""
    nan = item != item
    return nan, 0.0 if nan else item, math.copysign(1, item)


# --- the conversions ---------------------------------------------------------------------------


def _unsigned(bits: int) -> Callable[[Any], int]:
    top = 1 << bits
    return lambda value: value if type(value) is int and 0 <= value < top else to_int(value, bits)


def _signed(bits: int) -> Callable[[Any], int]:
    half = 1 << (bits - 1)
    return lambda value: (to_int(value, bits) + half) % (2 * half) - half


def _clamped(value: Any) -> int:
    given = to_number(value)
    return 0 if math.isnan(given) else round(min(max(given, 0), 255))


def _big(value: Any) -> int:
    if isinstance(value, str):
        try:
            return int(value.strip() or "0", 0)
        except ValueError:
            raise JsSyntaxError(f"Cannot convert {value} to a BigInt") from None
    if isinstance(value, int):
        return int(value)
    raise JsTypeError(f"Cannot convert {js_string(value)} to a BigInt")


def _big_signed(value: Any) -> int:
    return (_big(value) + 2**63) % 2**64 - 2**63


def _big_unsigned(value: Any) -> int:
    return _big(value) % 2**64


def of_buffer(data: memoryview) -> Any:
    """A buffer of Python as what has the same items: bytes, or a typed array.

    Raises:
        JsTypeError: nothing has such items.
    """
    if data.format in ("B", "b", "c", "?"):
        return JsBytes(data)
    letter = data.format.removeprefix("<").replace("l", "q").replace("L", "Q")
    kind = next((kind for kind in ARRAYS if kind.format == letter), None)
    if kind is None or data.itemsize != kind.BYTES_PER_ELEMENT:
        raise JsTypeError(f"no typed array has items of the format {data.format!r}")
    made = kind(data.nbytes // data.itemsize)
    made.assign(data.tobytes())
    return made


def _array(name: str, format: str, size: int, convert: Callable[[Any], Item]) -> type[TypedArray]:
    members: dict[str, Any] = {
        "__slots__": (),
        "__doc__": f"`js.{name}`.",
        "js_name": name,
        "format": format,
        "BYTES_PER_ELEMENT": size,
        "big": convert in (_big_signed, _big_unsigned),
        "convert": staticmethod(convert),
    }
    if format in FRACTIONS:
        members["_out"] = staticmethod(number)
    return type(name, (TypedArray,), members)


Int8Array: Final = _array("Int8Array", "b", 1, _signed(8))
Uint8Array: Final = _array("Uint8Array", "B", 1, _unsigned(8))
ARRAYS: Final = (
    Int8Array,
    Uint8Array,
    _array("Uint8ClampedArray", "B", 1, _clamped),
    _array("Int16Array", "h", 2, _signed(16)),
    _array("Uint16Array", "H", 2, _unsigned(16)),
    _array("Int32Array", "i", 4, _signed(32)),
    _array("Uint32Array", "I", 4, _unsigned(32)),
    _array("Float32Array", "f", 4, to_number),
    _array("Float64Array", "d", 8, to_number),
    _array("BigInt64Array", "q", 8, _big_signed),
    _array("BigUint64Array", "Q", 8, _big_unsigned),
)
