"""Values of a Worker's storage, serialized as V8 does it: workerd reads them.

Values:  what `stored.unpack` gives. Bytes become an ArrayBuffer, naive datetimes are local time,
         ints beyond 2**53 BigInts.
         A dict, list or set that comes again is a reference.
Errors:  TypeError for what JavaScript has no form for; RecursionError for what is too deep.
Source:  V8, value-serializer.cc, version 15.
"""

from __future__ import annotations

import struct
from datetime import datetime
from typing import Final

from wakeful.workers.values import SAFE_INT_MAX, js_string, milliseconds

HEADER: Final = b"\xff\x0f"
SMALL_INT_MAX: Final = 2**30 - 1  # what V8 itself writes as an integer; others are doubles
ERROR_TAGS: Final = {
    "EvalError": b"E",
    "RangeError": b"R",
    "ReferenceError": b"F",
    "SyntaxError": b"S",
    "TypeError": b"T",
    "URIError": b"U",
}


def write(value: object) -> bytes:
    """The serialized form of a value.

    Raises:
        TypeError: JavaScript has no such value.
        RecursionError: it is nested too deeply.
    """
    out = bytearray(HEADER)
    _write(out, value, {})
    return bytes(out)


def _write(out: bytearray, value: object, known: dict[int, int]) -> None:
    """Write a value; `known` has the numbers of containers by id, and those of other objects."""
    match value:
        case None:
            out += b"0"
        case bool():
            out += b"T" if value else b"F"
        case int():
            _int(out, value)
        case float():
            out += b"N" + struct.pack("<d", value)
        case str():
            _text(out, value)
        case bytes() | datetime() | Exception():
            known[~len(known)] = len(known)
            _alone(out, value)
        case dict() | list() | set():
            _container(out, value, known)
        case _:
            raise TypeError(f"JavaScript has no value for a {type(value).__name__}")


def _alone(out: bytearray, value: bytes | datetime | Exception) -> None:
    match value:
        case bytes():
            out += b"B" + _varint(len(value)) + value
        case datetime():
            out += b"D" + struct.pack("<d", milliseconds(value))
        case Exception():
            _error(out, value)


def _container(
    out: bytearray,
    value: dict[object, object] | list[object] | set[object],
    known: dict[int, int],
) -> None:
    if id(value) in known:
        out += b"^" + _varint(known[id(value)])
        return
    known[id(value)] = len(known)
    count = _varint(len(value))
    match value:
        case dict():
            out += b"o"
            for key, member in value.items():
                _text(out, js_string(key))
                _write(out, member, known)
            out += b"{" + count
        case list():
            out += b"A" + count
            for item in value:
                _write(out, item, known)
            out += b"$\0" + count
        case set():
            out += b"'"
            for item in value:
                _write(out, item, known)
            out += b"," + count


def _int(out: bytearray, value: int) -> None:
    if abs(value) <= SMALL_INT_MAX:
        out += b"I" + _varint(value << 1 if value >= 0 else ~value << 1 | 1)
    elif abs(value) <= SAFE_INT_MAX:
        out += b"N" + struct.pack("<d", value)
    else:
        size = -(-value.bit_length() // 64) * 8
        out += b"Z" + _varint(size << 1 | (value < 0)) + abs(value).to_bytes(size, "little")


def _text(out: bytearray, text: str) -> None:
    try:
        data = text.encode("latin-1")
    except UnicodeEncodeError:
        data = text.encode("utf-16-le", "surrogatepass")
        size = _varint(len(data))
        if (len(out) + 1 + len(size)) % 2:
            out += b"\0"  # two-byte characters start at an even offset
        out += b"c" + size + data
    else:
        out += b'"' + _varint(len(data)) + data


def _error(out: bytearray, error: Exception) -> None:
    out += b"r" + ERROR_TAGS.get(getattr(error, "name", ""), b"") + b"m"
    _text(out, str(getattr(error, "message", error)))
    out += b"."


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
