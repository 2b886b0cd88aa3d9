"""Values on their way to another object or into storage: copied by JavaScript's rules.

Values:  None, bool, int, float, str, bytes, list, dict, set, datetime and exceptions, nested;
         typed arrays, whose bytes storage keeps.
         A copy has exact types: JsDict for a dict, JsArray for a list, JsArrayBuffer for bytes and
         memoryviews. Keys of a dict become text, whole floats become ints, datetimes naive local
         time of milliseconds: all of it as Cloudflare's round trip through JavaScript leaves them.
Errors:  TypeError for tuple, bytearray and awaitables; DataCloneError for what has no copy:
         instances of classes, complex numbers, ranges, functions in storage.
Source:  Cloudflare docs on Workers RPC; Pyodide's type translations; the Workers SDK.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn

from wakeful.workers.buffers import ArrayBuffer, View
from wakeful.workers.proxies import (
    DataCloneError,
    JsArray,
    JsArrayBuffer,
    JsDict,
    JsException,
    JsProxy,
    JsTypeError,
)

SAFE_INT_MAX: Final = 2**53 - 1
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
TOO_DEEP: Final = "The value is nested too deeply, or contains itself."
_HALVES: Final = re.compile("[\ud800-\udfff]")
EXACT: Final = frozenset({type(None), bool, int, str})

Export = Callable[[Callable[..., object]], object]


def copied(value: object) -> Any:
    """Copy a value as storage keeps it and gives it back.

    Raises:
        TypeError: it is or holds a tuple, a bytearray or something to await.
        DataCloneError: it is or holds something that has no copy.
    """
    return _copy(value, None)


def sent(value: object, export: Export) -> Any:
    """A copy as a call to another object carries it: arguments, and what it returns.

    Args:
        value: also requests, responses, bodies, ids and stubs, which know how they travel.
        export: makes of a function what the receiver can call.

    Raises:
        TypeError: it is or holds a tuple, a bytearray or something to await.
        DataCloneError: it is or holds something that has no copy.
    """
    return _copy(value, export)


def cloned(value: object) -> Any:
    """`structuredClone`: a copy.

    Raises:
        TypeError: it is or holds a tuple, a bytearray or something to await.
        DataCloneError: it is or holds something that has no copy.
    """
    return _copy(value, _no_function)


def _no_function(function: Callable[..., object]) -> NoReturn:
    raise DataCloneError(f"{function!r} could not be cloned.")


def arguments(args: tuple[object, ...], named: Mapping[str, object]) -> tuple[object, ...]:
    """A call's arguments: those given by name become one object at the end."""
    return (*args, JsDict(named)) if named else args


def _copy(value: object, export: Export | None) -> Any:
    if type(value) in EXACT:
        return value
    try:
        return _copy_of(value, export)
    except RecursionError:
        raise DataCloneError(TOO_DEEP) from None


def _copy_of(value: Any, export: Export | None) -> Any:
    kind = type(value)
    if kind in EXACT:
        return value
    copy = _COPY.get(kind)
    if copy is None:
        copy = next((copy for base, copy in _COPY.items() if isinstance(value, base)), _special)
    return copy(value, export)


def _bool(value: bool, export: Export | None) -> bool:
    return value


def _float(value: float, export: Export | None) -> int | float:
    if value.is_integer() and abs(value) <= SAFE_INT_MAX and (value or math.copysign(1, value) > 0):
        return int(value)
    return float(value)


def _bytes(value: bytes | memoryview, export: Export | None) -> JsArrayBuffer:
    return JsArrayBuffer(value)


def _view(value: View, export: Export | None) -> object:
    """Copy a typed array or a DataView; storage keeps only the bytes."""
    return JsArrayBuffer(bytes(value)) if export is None else value.__wakeful_copy__()


def _list(value: list[object], export: Export | None) -> JsArray:
    return JsArray([_copy_of(item, export) for item in value])


def _dict(value: Mapping[object, object], export: Export | None) -> JsDict:
    return JsDict((member_name(key), _copy_of(item, export)) for key, item in value.items())


def _set(value: set[object], export: Export | None) -> set[object]:
    return {_copy_of(item, export) for item in value}


def _datetime(value: datetime, export: Export | None) -> datetime:
    return from_milliseconds(milliseconds(value))


def _exception(value: Exception, export: Export | None) -> Exception:
    # The class is lost on the way, and so are further attributes; the text is what arrives.
    return Exception(error_text(value))


def _int(value: int, export: Export | None) -> int:
    return int(value)


def _str(value: str, export: Export | None) -> str:
    return str.__str__(value)


def _by_position(value: object, export: Export | None) -> NoReturn:
    raise TypeError(f"{type(value)} cannot be sent over RPC.")


_COPY: Final[Mapping[type, Callable[[Any, Export | None], Any]]] = {
    bool: _bool,
    str: _str,
    int: _int,
    float: _float,
    bytes: _bytes,
    memoryview: _bytes,
    ArrayBuffer: _bytes,
    View: _view,
    JsArray: _list,
    list: _list,
    dict: _dict,
    set: _set,
    datetime: _datetime,
    tuple: _by_position,
    bytearray: _by_position,
    Exception: _exception,
}


def _special(value: Any, export: Export | None) -> object:
    copy = getattr(type(value), "__wakeful_copy__", None)
    if copy is not None and export is not None:
        return copy(value)
    transfer = getattr(type(value), "__wakeful_transfer__", None)
    if transfer is not None and export not in (None, _no_function):
        return transfer(value)
    if inspect.isawaitable(value):
        raise TypeError(f"Awaitable {type(value)} cannot be sent over RPC.")
    if export is not None and callable(value) and not isinstance(value, type):
        return export(value)
    raise DataCloneError(
        f'Could not serialize object of type "{type(value).__name__}". '
        "This type does not support serialization."
    )


def member_name(key: object) -> str:
    """Convert a key of a dict to the name of an object's member.

    Raises:
        DataCloneError: it cannot be one.
    """
    if type(key) is str:
        return key
    if key is None or isinstance(key, str | int | float):
        return js_string(key)
    raise DataCloneError(
        f"A key of an object is text; a {type(key).__name__} cannot be one: {key!r}"
    )


def error_text(error: BaseException) -> str:
    """Return the text of an error, without its name."""
    if isinstance(error, JsException):
        return error.message
    try:
        return str(error)
    except Exception:  # by its __str__, which is code of the Worker
        return ""


# --- as text ---------------------------------------------------------------------------------


def js_string(value: object, *, none: str = "undefined") -> str:
    """What JavaScript's String(value) gives.

    Args:
        value: any value of a Worker.
        none: how None reads; some places have it as null, others as undefined.
    """
    if type(value) is str:
        return value
    match value:
        case None:
            return none
        case str():
            return str.__str__(value)
        case bool():
            return "true" if value else "false"
        case int():
            return number_text(float(value)) if abs(value) > SAFE_INT_MAX else str(int(value))
        case float():
            return number_text(value)
        case bytes() | list() | tuple():
            return ",".join("" if item is None else js_string(item) for item in value)
        case _:
            return _object_text(value)


def _object_text(value: object) -> str:
    match value:
        case dict():
            return "[object Object]"
        case JsProxy() if type(value).__str__ is object.__str__:
            return f"[object {value.js_name}]"
        case set() | frozenset():
            return "[object Set]"
        case datetime():
            return date_text(value)
        case ArrayBuffer():
            return "[object ArrayBuffer]"
        case Exception():
            name, message = getattr(value, "name", "Error"), error_text(value)
            return f"{name}: {message}" if message else str(name)
        case _:
            return str(value)


def date_text(moment: datetime) -> str:
    """A date as JavaScript's String() writes it, in UTC, where Workers are."""
    there = moment.astimezone(UTC)
    day, month = DAYS[there.weekday()], MONTHS[there.month - 1]
    return (
        f"{day} {month} {there.day:02} {there.year:04} {there:%H:%M:%S} GMT+0000 "
        "(Coordinated Universal Time)"
    )


def number_text(value: float) -> str:
    """A number as JavaScript writes it: the shortest digits that read back as the same."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    sign, digits, point = _shortest(value)
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{point - 1:+d}"


def _shortest(value: float) -> tuple[str, str, int]:
    """Return the sign, the digits, and the place of the point among them."""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    return "-" if value < 0 else "", digits.rstrip("0"), point


def utf8(text: str) -> bytes:
    """Text as UTF-8; half a surrogate pair becomes U+FFFD, as in JavaScript."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        pairs = text.encode("utf-16-le", "surrogatepass")
        return pairs.decode("utf-16-le", "replace").encode()


def raw_utf8(text: str) -> bytes:
    """Text as V8 hands it to others: half a surrogate pair is three bytes, which are no UTF-8."""
    if text.isascii() or not _HALVES.search(text):
        return text.encode()
    units = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return units.encode("utf-8", "surrogatepass")


def stored_text(text: str) -> str:
    """Text as SQLite gives it back: of half a surrogate pair three U+FFFD are left."""
    if text.isascii() or not _HALVES.search(text):
        return text
    return raw_utf8(text).decode("utf-8", "replace")


def milliseconds(value: object) -> float:
    """Convert a point in time, a number or a date, to milliseconds since 1970.

    Raises:
        JsTypeError: it is neither.
    """
    match value:
        case datetime():
            micros = (value.astimezone(UTC) - EPOCH) // MICROSECOND  # whole numbers: floats round
            return micros // 1000 if micros >= 0 else -(-micros // 1000)
        case int() | float() if not isinstance(value, bool) and math.isfinite(value):
            return value
        case _:
            raise JsTypeError("The value cannot be converted because it is not a valid Date.")


def from_milliseconds(value: float) -> datetime:
    """Convert milliseconds to the naive local datetime that a JavaScript date arrives as."""
    moment = EPOCH + timedelta(milliseconds=value)
    return moment.astimezone().replace(tzinfo=None)
