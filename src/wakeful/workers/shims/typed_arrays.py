"""Typed arrays: numbers of one size, in an ArrayBuffer, which others may look at too.

Numbers that are put are converted as JavaScript does it; the items of BigInt64Array and
BigUint64Array are ints of Python.

Source:  ECMAScript standard; the texts of errors are V8's.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Final, Self

from wakeful.workers.proxies import JsBytes, JsRangeError, JsSyntaxError, JsTypeError
from wakeful.workers.shims.array_methods import Readable, results
from wakeful.workers.shims.items import Item, items_of, relaxed
from wakeful.workers.shims.numbers import number, to_int, to_number
from wakeful.workers.values import js_string

FRACTIONS: Final = "fd"  # the formats of floats


class TypedArray(Readable):
    """What the typed arrays have in common."""

    __slots__ = ()

    def copyWithin(self, target: int, start: int, end: int | None = None) -> Self:
        """Copy a part to another place."""
        first, last = self._span(start, end)
        to, _ = self._span(target, None)
        count = max(0, min(last - first, len(self) - to))
        self._put(to, self.to_list()[first : first + count])
        return self

    def fill(self, value: Any, start: int = 0, end: int | None = None) -> Self:
        """Put one value in each place."""
        first, last = self._span(start, end)
        self._put(first, [value] * (last - first))
        return self

    def filter(self, test: Callable[..., object]) -> Self:
        """The items that pass."""
        found = zip(self.to_list(), results(test, self), strict=True)
        return type(self)([item for item, passed in found if passed])

    def map(self, function: Callable[..., Any]) -> Self:
        """An array of what a function makes of the items."""
        return type(self)(list(results(function, self)))

    def reverse(self) -> Self:
        """Turn the order round."""
        self._put(0, self.to_list()[::-1])
        return self

    def set(self, source: Any, offset: int = 0) -> None:
        """Put items at a place.

        Raises:
            JsRangeError: they do not fit.
        """
        items = items_of(source)
        if not 0 <= offset <= len(self) - len(items):
            raise JsRangeError("offset is out of bounds")
        self._put(offset, items.to_list() if isinstance(items, TypedArray) else items)

    def slice(self, start: int = 0, end: int | None = None) -> Self:
        """A copy of a part; places below 0 count from the end."""
        first, last = self._span(start, end)
        return type(self)(self.to_list()[first:last])

    def sort(self, compare: Callable[..., Any] | None = None) -> Self:
        """Order by size, or as a function says of each two."""
        key = _by_size if compare is None else functools.cmp_to_key(relaxed(compare, 2, 2))
        self._put(0, sorted(self.to_list(), key=key))
        return self

    def subarray(self, start: int = 0, end: int | None = None) -> Self:
        """A part, which shares the bytes; places below 0 count from the end."""
        first, last = self._span(start, end)
        offset = self.byteOffset + first * self.BYTES_PER_ELEMENT
        return type(self)(self.buffer, offset, last - first)

    def __wakeful_copy__(self) -> Self:
        return type(self)(self)


def _by_size(item: Item) -> tuple[bool, float, float]:
    """Return the sort key: NaN is last, and -0 comes before 0."""
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
