"""Binary data that can change: ArrayBuffers, and what looks at a part of one.

Invariants: views of one ArrayBuffer share its bytes. What others give (bodies, storage, messages)
            is `JsBytes`, which never changes: a view of that has a copy.
Source:     ECMAScript standard; Pyodide's JsBuffer.
"""

from __future__ import annotations

import math
from typing import Any, Final

from wakeful.workers.proxies import Buffer, Constructor, JsBytes, JsProxy, JsRangeError, JsTypeError

INDEX_MAX: Final = 2**53 - 1


def seen_as(data: bytearray | memoryview, format: str) -> memoryview:
    """Bytes as items of a format, as `memoryview` names it; they share their memory."""
    items: memoryview = memoryview(data).cast("B").cast(format)  # type: ignore[call-overload]  # its stub: literals only
    return items


class ArrayBuffer(Buffer, bytearray):
    """A buffer of bytes whose length does not change."""

    js_name = "ArrayBuffer"

    @classmethod
    def new(cls, source: Any = 0, options: Any = None, **named: Any) -> ArrayBuffer:
        """Make a buffer of zeros of a given length, or of a copy of bytes.

        Raises:
            JsRangeError: a buffer cannot have that many bytes.
            JsTypeError: it is to be resizable.
        """
        if options is not None or named:
            raise JsTypeError("wakeful has no ArrayBuffer whose length changes")
        if isinstance(source, BINARY):
            return cls(bytes(source))
        length = index(source)
        if length is None:
            raise JsRangeError("Invalid array buffer length")
        return zeros(length)

    @staticmethod
    def isView(value: object) -> bool:
        """Whether a value is a typed array or a DataView."""
        return isinstance(value, View)

    @property
    def constructor(self) -> Constructor:
        """What JavaScript says it is."""
        return Constructor(self.js_name)

    def slice(self, start: int = 0, end: int | None = None) -> ArrayBuffer:  # type: ignore[override]  # as in JavaScript
        """A copy of a part of the bytes; places below 0 count from the end."""
        return ArrayBuffer(self[start:end])

    def assign(self, source: Any) -> None:
        """Replace all bytes, as Pyodide's method does.

        Raises:
            ValueError: there are more or fewer.
        """
        self[:] = of_length(source, len(self))


class View(JsProxy):
    """A part of an ArrayBuffer."""

    __slots__ = ("_bytes", "buffer", "byteOffset")
    format = "B"
    buffer: ArrayBuffer
    byteOffset: int
    _bytes: memoryview

    def _look(self, buffer: ArrayBuffer, offset: int, length: int) -> None:
        """Make this a view of a part of a buffer."""
        self.buffer = buffer
        self.byteOffset = offset
        self._bytes = memoryview(buffer)[offset : offset + length]

    @property
    def byteLength(self) -> int:
        """The number of bytes."""
        return len(self._bytes)

    @property
    def nbytes(self) -> int:
        """The number of bytes, as memoryview calls it."""
        return len(self._bytes)

    def tobytes(self) -> bytes:
        """A copy of the bytes, as memoryview calls it."""
        return self._bytes.tobytes()

    def to_bytes(self) -> bytes:
        """A copy of the bytes, as Pyodide calls it."""
        return self._bytes.tobytes()

    def to_py(self, **_: object) -> memoryview:
        """Return a copy, with the items of this view, which is what Pyodide gives."""
        return seen_as(bytearray(self._bytes), self.format)

    def to_memoryview(self) -> memoryview:
        """The same as `to_py`."""
        return self.to_py()

    def to_string(self, encoding: str | None = None) -> str:
        """Decode the bytes to text."""
        return str(self._bytes, encoding or "utf-8")

    def to_file(self, file: Any) -> None:
        """Write the bytes to a file."""
        file.write(self.to_bytes())

    def from_file(self, file: Any) -> None:
        """Fill the view from a file."""
        file.readinto(self._bytes)

    def assign(self, source: Any) -> None:
        """Replace all bytes.

        Raises:
            ValueError: there are more or fewer.
        """
        self._bytes[:] = of_length(source, len(self._bytes))

    def assign_to(self, target: Any) -> None:
        """Replace all bytes of a Python buffer.

        Raises:
            ValueError: that has more or fewer.
        """
        there = memoryview(target).cast("B")
        there[:] = of_length(self._bytes, len(there))

    def __bytes__(self) -> bytes:
        return self._bytes.tobytes()

    def __wakeful_copy__(self) -> View:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if isinstance(other, View):
            return self.js_name == other.js_name and self._bytes == other._bytes
        return isinstance(other, BINARY) and self._bytes == bytes(other)

    __hash__ = None  # type: ignore[assignment]  # it can change


# What holds bytes: `bytes(value)` gives them.
BINARY: Final = bytes | bytearray | memoryview | View


def index(value: object) -> int | None:
    """Convert a number to a length or an index: 0 if it is no number, None if out of range."""
    if not isinstance(value, int | float) or math.isnan(value):
        return 0
    return int(value) if -1 < value <= INDEX_MAX else None


def zeros(length: int) -> ArrayBuffer:
    """Make a buffer of zeros.

    Raises:
        JsRangeError: there is no room for it.
    """
    try:
        return ArrayBuffer(length)
    except (MemoryError, OverflowError):
        raise JsRangeError("Array buffer allocation failed") from None


def shared(source: object) -> ArrayBuffer | None:
    """Return the ArrayBuffer of a value, or a copy of its bytes; None for any other value."""
    if isinstance(source, ArrayBuffer):
        return source
    return ArrayBuffer(source) if isinstance(source, JsBytes) else None


def of_length(source: Any, length: int) -> bytes:
    """Return the bytes of a value, if their number is as given.

    Raises:
        ValueError: there are more or fewer.
    """
    data = bytes(source)
    if len(data) != length:
        raise ValueError(f"cannot assign {len(data)} bytes to a buffer of {length}")
    return data
