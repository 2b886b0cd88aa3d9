"""V8's structured-clone serialization, read: the form in which workerd stores values.

Values:  null, undefined and holes of arrays are None; numbers int where they are whole and exact,
         else float; BigInts int; boxed primitives the primitives. Dates are naive local
         datetimes, as Workers have them; ArrayBuffers and all views of them bytes (the part that is
         viewed, little-endian); errors a JsException of that name. A Map is a dict, its keys as
         text, which only text, numbers, booleans and null have; a Set is a set and holds the same
         things. A RegExp is a `RegExp`, which nothing in Python stores.
Limits:  DEPTH_MAX levels; EXPANDED_BYTES_MAX, counting what is referred to again each time.
Invariants: what occurs twice is read once, so an object that contains itself does so here too.
Errors:  Unreadable, naming the offset, for whatever bytes; nothing else.
Source:  V8, value-serializer.cc, versions 13 to 15; checked against Node's and workerd's bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn

import msgspec

from wakeful.errors import StorageError
from wakeful.workers.proxies import JsException, JsRangeError, JsSyntaxError, JsTypeError
from wakeful.workers.values import SAFE_INT_MAX, from_milliseconds, js_string

VERSION_TAG: Final = 0xFF
VERSIONS: Final = range(13, 16)
DEPTH_MAX: Final = 100  # as deep as the codec stores
EXPANDED_BYTES_MAX: Final = 16 * 1024 * 1024  # workerd stores values of 2 MB
SLOT_BYTES: Final = 8  # what an item of a sparse array takes, there or not
UINT32_MAX: Final = 2**32 - 1
TRACKS_LENGTH: Final = 1  # flag of a view: it ends where its buffer does
SHOWN_CHARS: Final = 40  # of a key, in a message
REGEXP_FLAGS: Final = "gimyusdvl"  # by bit; l, linear, is V8's own

SCALARS: Final = (str, int, float, type(None))
ERRORS: Final[Mapping[int, Callable[[str], JsException]]] = {
    ord("E"): lambda text: JsException(text, "EvalError"),
    ord("R"): JsRangeError,
    ord("F"): lambda text: JsException(text, "ReferenceError"),
    ord("S"): JsSyntaxError,
    ord("T"): JsTypeError,
    ord("U"): lambda text: JsException(text, "URIError"),
}
ELEMENT_BYTES: Final[Mapping[int, int]] = {
    **dict.fromkeys(b"bBC?", 1),
    **dict.fromkeys(b"wWh", 2),
    **dict.fromkeys(b"dDf", 4),
    **dict.fromkeys(b"FqQ", 8),
}


class Unreadable(StorageError):
    """Bytes that are no serialized value, or one that Python has no form for.

    Attributes:
        offset: where in the bytes.
    """

    def __init__(self, problem: str, offset: int) -> None:
        super().__init__(f"{problem} (at byte {offset})")
        self.offset = offset


class RegExp(msgspec.Struct, frozen=True):
    """A regular expression of JavaScript."""

    source: str
    flags: str


def read(data: bytes) -> Any:
    """The value of serialized bytes.

    Raises:
        Unreadable: they are malformed, or too large or deep, or Python has no such value.
    """
    return Reader(data).whole()


class Reader:
    """Reads one value from front to back."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._depth = 0
        self._extra = 0  # bytes that the value has beyond those read so far
        self._objects: list[Any] = []
        self._weights: list[int] = []  # of each object, expanded; 0 while it is being read
        self._buffers: set[int] = set()  # which of the objects are ArrayBuffers

    def whole(self) -> Any:
        """Read one value from all bytes."""
        if self._byte() != VERSION_TAG:
            self._fail("this is no value that V8 serialized: it does not start with FF", 0)
        if (version := self._varint()) not in VERSIONS:
            self._fail(f"version {version} of V8's format is not known", 1)
        self._grow(len(self._data))
        value = self._value()
        if self._at != len(self._data):
            self._fail(f"{len(self._data) - self._at} more bytes after the value")
        return value

    # --- bytes -----------------------------------------------------------------------------------

    def _fail(self, problem: str, offset: int | None = None) -> NoReturn:
        raise Unreadable(problem, self._at if offset is None else offset)

    def _bytes(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            self._fail(f"the value ends too early: {count} more bytes were to come")
        found = self._data[self._at : end]
        self._at = end
        return found

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _tag(self) -> int:
        tag = 0
        while not tag:  # zeros are padding
            tag = self._byte()
        return tag

    def _peek(self) -> int | None:
        at = self._at
        while at < len(self._data) and not self._data[at]:
            at += 1
        return self._data[at] if at < len(self._data) else None

    def _varint(self) -> int:
        start, found, shift = self._at, 0, 0
        while True:
            byte = self._byte()
            found |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 28:
                self._fail("a number is longer than 32 bits", start)
        if found > UINT32_MAX:
            self._fail("a number is longer than 32 bits", start)
        return found

    def _double(self) -> float:
        found: float = struct.unpack("<d", self._bytes(8))[0]
        return found

    def _grow(self, count: int) -> None:
        self._extra += count
        if self._extra > EXPANDED_BYTES_MAX:
            self._fail(f"the value is larger than {EXPANDED_BYTES_MAX} bytes")

    # --- values ----------------------------------------------------------------------------------

    def _value(self) -> Any:
        tag = self._tag()
        read = _READ.get(tag)
        if read is None:
            self._fail(f"{_UNSUPPORTED.get(tag) or _unknown(tag)} cannot be read", self._at - 1)
        if self._depth > DEPTH_MAX:
            self._fail(f"nested more than {DEPTH_MAX} deep", self._at - 1)
        self._depth += 1
        start, extra, number = self._at, self._extra, len(self._objects)
        value = read(self)
        self._depth -= 1
        if len(self._objects) > number:
            self._weights[number] = self._at - start + self._extra - extra
        return value

    def _new(self, value: Any) -> Any:
        self._objects.append(value)
        self._weights.append(0)
        return value

    def _none(self) -> None:
        return None

    def _true(self) -> bool:
        return True

    def _false(self) -> bool:
        return False

    def _int32(self) -> int:
        number = self._varint()
        return (number >> 1) ^ -(number & 1)

    def _number(self) -> int | float:
        value = self._double()
        whole = value.is_integer() and abs(value) <= SAFE_INT_MAX
        return int(value) if whole and str(value) != "-0.0" else value

    def _bigint(self) -> int:
        field = self._varint()
        size = int.from_bytes(self._bytes(field >> 1), "little")
        return -size if field & 1 else size

    def _latin1(self) -> str:
        return self._bytes(self._varint()).decode("latin-1")

    def _utf8(self) -> str:
        return self._bytes(self._varint()).decode("utf-8", "replace")

    def _utf16(self) -> str:
        start, data = self._at, self._bytes(self._varint())
        if len(data) % 2:
            self._fail("text of two-byte characters has an odd length", start)
        return data.decode("utf-16-le", "surrogatepass")

    def _text(self) -> str:
        at = self._at
        value = self._value()
        if not isinstance(value, str):
            self._fail("this should be text", at)
        return value

    def _boxed(self, read: Callable[[Reader], Any]) -> Any:
        number = len(self._objects)
        self._new(None)
        self._objects[number] = value = read(self)
        return value

    def _date(self) -> Any:
        at, value = self._at, self._double()
        try:
            return self._new(from_milliseconds(value))
        except (ValueError, OverflowError, OSError):
            self._fail("a Date that Python has not (not a date, or not of the years 1 to 9999)", at)

    def _regexp(self) -> RegExp:
        number = len(self._objects)
        self._new(None)
        source, flags = self._text(), self._varint()
        names = "".join(name for bit, name in enumerate(REGEXP_FLAGS) if flags >> bit & 1)
        self._objects[number] = value = RegExp(source, names)
        return value

    def _error(self) -> JsException:
        number = len(self._objects)
        self._new(None)
        make: Callable[[str], JsException] = JsException
        message = ""
        while (tag := self._byte()) != ord("."):
            match chr(tag):
                case "m":
                    message = self._text()
                case "s":
                    self._text()
                case "c":
                    self._value()
                case _ if tag in ERRORS:
                    make = ERRORS[tag]
                case _:
                    self._fail(f"an error has an unknown part {_unknown(tag)}", self._at - 1)
        self._objects[number] = value = make(message)
        return value

    # --- containers ------------------------------------------------------------------------------

    def _members(self, end: str) -> list[tuple[str | int | float, Any]]:
        """Read keys and values up to the end tag and their count."""
        found = []
        while self._peek() != ord(end):
            at = self._at
            key = self._value()
            if not isinstance(key, str | int | float) or isinstance(key, bool) or _is_big(key):
                self._fail("the key of a member is neither text nor a number", at)
            found.append((key, self._value()))
        self._tag()
        self._check_count(len(found))
        return found

    def _check_count(self, count: int) -> None:
        at = self._at
        if (said := self._varint()) != count:
            self._fail(f"{count} members, though it says {said}", at)

    def _object(self) -> dict[str, Any]:
        value: dict[str, Any] = self._new({})
        value.update((js_string(key), member) for key, member in self._members("{"))
        return value

    def _dense(self) -> list[Any]:
        at, count = self._at, self._varint()
        if count > len(self._data) - self._at:
            self._fail(f"an array of {count} elements is longer than the value", at)
        value: list[Any] = self._new([])
        for _ in range(count):
            if self._peek() == ord("-"):
                self._tag()
                value.append(None)
            else:
                value.append(self._value())
        self._place(value, self._members("$"))
        self._check_count(count)
        return value

    def _sparse(self) -> list[Any]:
        count = self._varint()
        self._grow(count * SLOT_BYTES)
        value: list[Any] = self._new([None] * count)
        self._place(value, self._members("@"))
        self._check_count(count)
        return value

    def _place(self, value: list[Any], members: list[tuple[str | int | float, Any]]) -> None:
        for key, member in members:
            if not isinstance(key, int) or not 0 <= key < len(value):
                name = js_string(key)[:SHOWN_CHARS]
                self._fail(f"an array has a member {name!r} beside its elements; a list cannot")
            value[key] = member

    def _map(self) -> dict[str, Any]:
        value: dict[str, Any] = self._new({})
        while self._peek() != ord(":"):
            at = self._at
            key = self._value()
            if not isinstance(key, SCALARS):
                self._fail("a Map has a key that is an object: the keys of a dict are text", at)
            if _is_big(key):
                self._fail("a Map has a BigInt for a key: the keys of a dict are text", at)
            text = js_string(key, none="null")
            if text in value:
                self._fail(f"two keys of a Map are both {text[:SHOWN_CHARS]!r} as text", at)
            value[text] = self._value()
        self._tag()
        self._check_count(2 * len(value))
        return value

    def _set(self) -> set[Any]:
        value: set[Any] = self._new(set())
        while self._peek() != ord(","):
            at = self._at
            member = self._value()
            if not isinstance(member, SCALARS):
                self._fail("a Set holds an object: Python's sets hold text and numbers only", at)
            if member in value:
                self._fail("a Set holds two members that Python finds equal", at)
            value.add(member)
        self._tag()
        self._check_count(len(value))
        return value

    # --- binary data -----------------------------------------------------------------------------

    def _buffer(self) -> bytes:
        return self._viewed(self._new_buffer(self._bytes(self._varint())))

    def _resizable(self) -> bytes:
        count, at = self._varint(), self._at
        if self._varint() < count:
            self._fail("an ArrayBuffer is longer than it may become", at)
        return self._viewed(self._new_buffer(self._bytes(count)))

    def _new_buffer(self, data: bytes) -> bytes:
        number = len(self._objects)
        self._buffers.add(number)
        self._new(data)
        self._weights[number] = len(data)
        return data

    def _viewed(self, buffer: bytes) -> bytes:
        """Return the part of a buffer that a following view shows; without one, the buffer."""
        if self._peek() != ord("V"):
            return buffer
        self._tag()
        at = self._at
        kind, start, count, flags = self._byte(), self._varint(), self._varint(), 0
        if self._data[1] >= 14:
            flags = self._varint()
        if kind not in ELEMENT_BYTES:
            self._fail(f"a view has an unknown type {_unknown(kind)}", at)
        if flags & TRACKS_LENGTH:
            count = max(0, len(buffer) - start)
            count -= count % ELEMENT_BYTES[kind]
        if start + count > len(buffer) or count % ELEMENT_BYTES[kind]:
            self._fail("a view does not fit its ArrayBuffer", at)
        self._grow(count)
        number = len(self._objects)
        view: bytes = self._new(buffer[start : start + count])
        self._weights[number] = count
        return view

    def _reference(self) -> Any:
        at, number = self._at, self._varint()
        if number >= len(self._objects):
            self._fail(f"there is no object number {number} to refer to", at)
        value = self._objects[number]
        if value is None:
            self._fail("an error or a RegExp refers to itself: Python's cannot", at)
        if number in self._buffers and self._peek() == ord("V"):
            return self._viewed(value)
        self._grow(self._weights[number])
        return value


def _is_big(key: object) -> bool:
    return isinstance(key, int) and abs(key) > SAFE_INT_MAX


def _unknown(tag: int) -> str:
    return f"{tag:#04x}" + (f" ({chr(tag)!r})" if 0x20 < tag < 0x7F else "")


_UNSUPPORTED: Final[Mapping[int, str]] = {
    ord("\\"): "an object of the runtime itself",
    ord("u"): "a SharedArrayBuffer",
    ord("t"): "an ArrayBuffer that was transferred",
    ord("p"): "a shared object",
    ord("w"): "a WebAssembly module",
    ord("m"): "a WebAssembly memory",
}

_READ: Final[Mapping[int, Callable[[Reader], Any]]] = {
    ord(tag): read
    for tag, read in {
        "_": Reader._none,
        "0": Reader._none,
        "T": Reader._true,
        "F": Reader._false,
        "I": Reader._int32,
        "U": Reader._varint,
        "N": Reader._number,
        "Z": Reader._bigint,
        '"': Reader._latin1,
        "S": Reader._utf8,
        "c": Reader._utf16,
        "y": lambda reader: reader._boxed(Reader._true),
        "x": lambda reader: reader._boxed(Reader._false),
        "n": lambda reader: reader._boxed(Reader._number),
        "z": lambda reader: reader._boxed(Reader._bigint),
        "s": lambda reader: reader._boxed(Reader._text),
        "D": Reader._date,
        "R": Reader._regexp,
        "r": Reader._error,
        "o": Reader._object,
        "A": Reader._dense,
        "a": Reader._sparse,
        ";": Reader._map,
        "'": Reader._set,
        "B": Reader._buffer,
        "~": Reader._resizable,
        "^": Reader._reference,
    }.items()
}
