"""DataView: numbers of every size, at any place of an ArrayBuffer.

Source:  ECMAScript standard; the texts of errors are V8's.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from wakeful.workers.buffers import View, index, seen_as, shared
from wakeful.workers.proxies import JsRangeError, JsTypeError, unwrapped
from wakeful.workers.shims.items import Item
from wakeful.workers.shims.typed_arrays import ARRAYS

OUTSIDE = "Offset is outside the bounds of the DataView"


class DataView(View):
    """`js.DataView`: reads and puts numbers, big-endian if nothing else is said."""

    __slots__ = ()
    js_name = "DataView"

    def __init__(self, source: Any, offset: Any = 0, length: Any = None) -> None:
        buffer = shared(unwrapped(source))
        if buffer is None:
            raise JsTypeError("First argument to DataView constructor must be an ArrayBuffer")
        start = index(offset)
        if start is None or start > len(buffer):
            raise JsRangeError(f"Start offset {offset} is outside the bounds of the buffer")
        count = len(buffer) - start if length is None else index(length)
        if count is None or start + count > len(buffer):
            raise JsRangeError(f"Invalid DataView length {length}")
        self._look(buffer, start, count)

    def _place(self, offset: Any, size: int) -> int:
        place = index(offset)
        if place is None or place + size > len(self._bytes):
            raise JsRangeError(OUTSIDE)
        return place

    def __wakeful_copy__(self) -> DataView:
        return DataView(self.buffer.slice(), self.byteOffset, self.byteLength)


def _getter(format: str, size: int, out: Callable[[Any], Item]) -> Any:
    forms = struct.Struct(f">{format}"), struct.Struct(f"<{format}")

    def get(self: DataView, offset: Any = 0, little: object = None) -> Item:
        """The number at a place."""
        form = forms[bool(little)]
        return out(form.unpack_from(self._bytes, self._place(offset, size))[0])

    return get


def _setter(format: str, size: int, convert: Callable[[Any], Item]) -> Any:
    def set(self: DataView, offset: Any = 0, value: Any = None, little: object = None) -> None:
        """Put a number at a place."""
        place = self._place(offset, size)
        item: Any = seen_as(bytearray(size), format)
        item[0] = convert(value)
        data = item.tobytes()
        self._bytes[place : place + size] = data if bool(little) == NATIVE_LITTLE else data[::-1]

    return set


NATIVE_LITTLE = struct.pack("H", 1)[0] == 1

for _kind in ARRAYS:
    if _kind.js_name != "Uint8ClampedArray":
        _name = _kind.js_name.removesuffix("Array")
        _size, _format = _kind.BYTES_PER_ELEMENT, _kind.format
        setattr(DataView, f"get{_name}", _getter(_format, _size, _kind._out))
        setattr(DataView, f"set{_name}", _setter(_format, _size, _kind.convert))
