"""Plain Python values as bytes that say what they are, and back, type for type.

Shapes:  one version byte, then MessagePack; what it has no type for travels as an extension
         (`Code`): a tuple stays a tuple, an aware datetime keeps its zone, an int has any size.
Values:  None, bool, int, float, str, bytes, list, tuple, dict, set, frozenset, datetime, date,
         time, timedelta, Decimal, UUID, nested at most DEPTH_MAX deep. Exact types only: a
         subclass would come back as its base. Aware datetimes keep instant and offset, and those
         with a ZoneInfo the zone's key.
Errors:  packing raises Refused, without a place: `fault` finds it, off the fast path; unpacking
         malformed bytes raises StorageCorrupt and nothing else.
Source:  MessagePack specification, extension types 0-127 are the application's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType, NoneType
from typing import Any, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from msgspec.msgpack import Ext

from wakeful.errors import StateInvalid, StorageCorrupt

VERSION: Final = b"\x01"
DEPTH_MAX: Final = 100  # a decoder's C stack and Python's recursion limit allow several times that
PATH_CHARS_MAX: Final = 120

MICROSECOND: Final = timedelta(microseconds=1)
INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**64 - 1


class Code:
    """What an extension holds. Codes are never reused: they are on disk."""

    INT: Final = 1
    STR: Final = 2  # text with lone surrogates, which UTF-8 cannot encode
    TUPLE: Final = 3
    SET: Final = 4
    FROZENSET: Final = 5
    PAIRS: Final = 6  # a dict with a key that MessagePack cannot have
    DATETIME: Final = 7
    DATE: Final = 8
    TIME: Final = 9
    TIMEDELTA: Final = 10
    DECIMAL: Final = 11
    UUID: Final = 12


class Refused(Exception):
    """A value has no packed form; `fault` says where and why."""


class Fault(NamedTuple):
    """What is wrong with a value, and where inside it."""

    path: str
    problem: str

    def inside(self, step: str) -> Fault:
        """The same fault, seen from one level up."""
        return Fault(step + self.path, self.problem)

    def within(self, name: str) -> str:
        """The fault as a sentence about `name`, the place the value is in."""
        return f"{name}{_short(self.path)}: {self.problem}"

    def __str__(self) -> str:
        return f"{self.problem} at {_short(self.path.lstrip('.'))}" if self.path else self.problem


def _short(path: str) -> str:
    return path if len(path) <= PATH_CHARS_MAX else f"{path[:PATH_CHARS_MAX]}..."


# --- packing ---------------------------------------------------------------------------------

pack_native: Final = msgspec.msgpack.Encoder().encode

NATIVE: Final = frozenset({NoneType, bool, int, float, str, bytes})
_NESTED: Final = frozenset({list, dict})
_CONTAINERS: Final = frozenset({list, tuple, set, frozenset})


def is_plain(value: Any, depth: int = 0) -> bool:
    """Whether MessagePack restores the value as it is (it refuses big ints and surrogates)."""
    kind = type(value)
    if kind is dict:
        if not NATIVE.issuperset(map(type, value)):
            return False
        value = value.values()
    elif kind is not list:
        return kind in NATIVE
    if depth == DEPTH_MAX:
        return False
    if NATIVE.issuperset(map(type, value)):
        return True
    for child in value:
        kind = type(child)
        if kind not in NATIVE and not (kind in _NESTED and is_plain(child, depth + 1)):
            return False
    return True


def wrap(value: object, depth: int = 0) -> Any:
    """The value in MessagePack's own types and extensions.

    Raises:
        Refused: something in it has no packed form.
    """
    kind = type(value)
    special = _WRAP.get(kind)
    if special is None:
        if kind in NATIVE:
            return value
        raise Refused
    if depth > DEPTH_MAX:
        raise Refused
    return special(value, depth)


def _wrap_int(value: int, depth: int) -> object:
    if INT_MIN <= value <= INT_MAX:
        return value
    return Ext(Code.INT, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _wrap_str(value: str, depth: int) -> object:
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return Ext(Code.STR, value.encode(errors="surrogatepass"))
    return value


def _wrap_list(value: list[object], depth: int) -> object:
    return [wrap(item, depth + 1) for item in value]


def _wrap_dict(value: dict[object, object], depth: int) -> object:
    return wrap_pairs(
        [(wrap(key, depth + 1), wrap(item, depth + 1)) for key, item in value.items()]
    )


def wrap_pairs(pairs: list[tuple[Any, Any]]) -> object:
    """A dict of wrapped keys and values, also with keys that MessagePack does not support."""
    if NATIVE.issuperset(type(key) for key, _ in pairs):
        return dict(pairs)
    return Ext(Code.PAIRS, pack_native([part for pair in pairs for part in pair]))


def wrap_tuple(items: list[Any]) -> object:
    """A tuple of wrapped items."""
    return Ext(Code.TUPLE, pack_native(items))


def wrap_set(items: list[Any], code: int) -> object:
    """A set of wrapped items, sorted, so that equal sets are equal bytes."""
    packed = sorted(map(pack_native, items))
    return Ext(code, pack_native([msgspec.Raw(item) for item in packed]))


def wrap_moment(value: datetime | time, code: int) -> object:
    """A datetime or time as ISO 8601 without its zone, followed by its fold and its zone, if any.

    A zone is its key or, after an @, an offset in microseconds (ISO 8601 readers round those).
    """
    text = value.replace(tzinfo=None).isoformat()
    zone = ""
    if type(value.tzinfo) is ZoneInfo and value.tzinfo.key:
        zone = value.tzinfo.key
    elif value.tzinfo is not None:
        offset = value.utcoffset()
        if offset is None:
            raise Refused  # unpacking would lose its zone
        zone = f"@{offset // MICROSECOND}"
    if value.fold or zone:
        text = f"{text}|{value.fold}|{zone}"
    return Ext(code, text.encode())


_WRAP: Final[dict[type, Callable[[Any, int], object]]] = {
    int: _wrap_int,
    str: _wrap_str,
    list: _wrap_list,
    dict: _wrap_dict,
    tuple: lambda value, depth: wrap_tuple([wrap(item, depth + 1) for item in value]),
    set: lambda value, depth: wrap_set([wrap(item, depth + 1) for item in value], Code.SET),
    frozenset: lambda value, depth: wrap_set(
        [wrap(item, depth + 1) for item in value], Code.FROZENSET
    ),
    datetime: lambda value, depth: wrap_moment(value, Code.DATETIME),
    time: lambda value, depth: wrap_moment(value, Code.TIME),
    date: lambda value, depth: Ext(Code.DATE, value.isoformat().encode()),
    timedelta: lambda value, depth: Ext(
        Code.TIMEDELTA, pack_native((value.days, value.seconds, value.microseconds))
    ),
    Decimal: lambda value, depth: Ext(Code.DECIMAL, str(value).encode()),
    UUID: lambda value, depth: Ext(Code.UUID, value.bytes),
}


def pack(value: object) -> bytes:
    """A plain value's MessagePack form, without a version byte.

    Raises:
        Refused, RecursionError: something in it is no plain value.
    """
    if type(value) in NATIVE or is_plain(value):
        try:
            return pack_native(value)
        except (OverflowError, UnicodeEncodeError):
            pass  # a big int or a lone surrogate
    return pack_native(wrap(value))


def encode(value: object) -> bytes:
    """Pack a plain value, type for type.

    Raises:
        StateInvalid: something in it is no plain value; the message says where and what to do.
    """
    try:
        return VERSION + pack(value)
    except (Refused, RecursionError):
        raise StateInvalid(str(fault(value))) from None


# --- saying what is wrong --------------------------------------------------------------------


def fault(value: object, depth: int = 0) -> Fault | None:
    """Where and why a value cannot be packed, or None if it can."""
    kind = type(value)
    if kind in NATIVE:
        return None
    if kind not in _WRAP:
        return Fault("", f"{type_name(kind)} cannot be stored or sent; {_advice(value)}")
    if depth > DEPTH_MAX:
        return Fault("", f"nested more than {DEPTH_MAX} deep (does it contain itself?)")
    if isinstance(value, dict):
        return _fault_in_dict(value, depth)
    if isinstance(value, datetime | time):
        return _fault_of_moment(value)
    if isinstance(value, list | tuple | set | frozenset):
        return _fault_in_items(value, depth)
    return None


def _fault_in_items(value: Collection[object], depth: int) -> Fault | None:
    ordered = type(value) in (list, tuple)
    for number, item in enumerate(value):
        if found := fault(item, depth + 1):
            return found.inside(f"[{number}]" if ordered else "{...}")
    return None


def _fault_in_dict(value: dict[object, object], depth: int) -> Fault | None:
    for key, item in value.items():
        if found := fault(key, depth + 1):
            return Fault("", f"in a key: {found}")
        if found := fault(item, depth + 1):
            return found.inside(step_to(key))
    return None


def _fault_of_moment(value: datetime | time) -> Fault | None:
    try:
        wrap_moment(value, Code.DATETIME)
    except Refused:
        return Fault("", f"its time zone {value.tzinfo!r} has no offset; use zoneinfo.ZoneInfo")
    return None


def step_to(key: object) -> str:
    """The path step that leads to a dict's item, as messages show it."""
    text = repr(key) if type(key) in _WRAP or key is None else f"<{type_name(type(key))}>"
    return f"[{text if len(text) <= 40 else text[:37] + '...'}]"


def type_name(kind: type) -> str:
    """A type as a message names it: builtins bare, others with their module's."""
    if kind is NoneType:
        return "None"
    module = kind.__module__
    return kind.__qualname__ if module in ("builtins", "__main__") else f"{module}.{kind.__name__}"


_LIVE: Final = (FunctionType, BuiltinFunctionType, MethodType, ModuleType, type)


def _advice(value: object) -> str:
    if isinstance(value, Enum):
        return "use its .value, or annotate the place with its class"
    if isinstance(value, _LIVE):
        return "use its name (str) and look it up again"
    for base in (dict, list, tuple, set, frozenset, str, bytes, int, float, datetime, date):
        if isinstance(value, base):
            return f"it is a {base.__name__} of another class: convert it with {base.__name__}(...)"
    if isinstance(value, bytearray | memoryview):
        return "convert it with bytes(...)"
    if hasattr(value, "__dataclass_fields__") or isinstance(value, msgspec.Struct):
        return "annotate the place with its class"
    return "use the plain data in it (numbers, text, lists, dicts, ...)"


# --- unpacking -------------------------------------------------------------------------------


def _moment(data: memoryview, kind: type[Any]) -> object:
    text, *rest = str(data, "ascii").split("|")
    value = kind.fromisoformat(text)
    if not rest:
        return value
    fold, zone = rest
    if zone.startswith("@"):
        value = value.replace(tzinfo=timezone(int(zone[1:]) * MICROSECOND))
    elif zone:
        value = value.replace(tzinfo=ZoneInfo(zone))
    return value.replace(fold=int(fold))


def _pairs(data: memoryview) -> object:
    parts = iter(_unpack(data))
    return dict(zip(parts, parts, strict=True))


_UNWRAP: Final[dict[int, Callable[[memoryview], object]]] = {
    Code.INT: lambda data: int.from_bytes(data, "big", signed=True),
    Code.STR: lambda data: str(data, "utf-8", "surrogatepass"),
    Code.TUPLE: lambda data: tuple(_unpack(data)),
    Code.SET: lambda data: set(_unpack(data)),
    Code.FROZENSET: lambda data: frozenset(_unpack(data)),
    Code.PAIRS: _pairs,
    Code.DATETIME: lambda data: _moment(data, datetime),
    Code.DATE: lambda data: date.fromisoformat(str(data, "ascii")),
    Code.TIME: lambda data: _moment(data, time),
    Code.TIMEDELTA: lambda data: timedelta(*_unpack(data)),
    Code.DECIMAL: lambda data: Decimal(str(data, "ascii")),
    Code.UUID: lambda data: UUID(bytes=bytes(data)),
}


def unwrap(code: int, data: memoryview) -> object:
    """What an extension holds: the decoder's hook."""
    return _UNWRAP[code](data)


_unpack: Final[Callable[[memoryview | bytes | msgspec.Raw], Any]] = msgspec.msgpack.Decoder(
    ext_hook=unwrap
).decode


def unpack(data: bytes | memoryview | msgspec.Raw) -> object:
    """A value from its MessagePack form, without the version byte.

    Raises:
        StorageCorrupt: the bytes hold no such value.
    """
    try:
        return _unpack(data)
    except MemoryError:
        raise
    except Exception as error:  # the decoder's, and those of int, date, Decimal, ZoneInfo, ...
        raise StorageCorrupt(f"a stored value cannot be read: {error}") from error


def body(data: bytes) -> memoryview:
    """What follows the version byte.

    Raises:
        StorageCorrupt: the version is unknown, or there is none.
    """
    if data[:1] != VERSION:
        raise StorageCorrupt(f"a stored value has an unknown format: it starts with {data[:8]!r}")
    return memoryview(data)[1:]


def decode(data: bytes) -> object:
    """The value that `encode` packed.

    Raises:
        StorageCorrupt: the bytes are malformed.
    """
    return unpack(body(data))
