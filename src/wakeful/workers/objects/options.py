"""Arguments of calls of storage and namespaces, and options: an object at the end, or by name.

Source: workerd's conversions of JavaScript values, and its texts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from wakeful.workers.proxies import JsTypeError, options_of
from wakeful.workers.values import SAFE_INT_MAX, js_string, milliseconds

PLACES: Final[Mapping[str, tuple[int, str]]] = {
    "newUniqueId": (1, "NewUniqueIdOptions"),
    "getByName": (2, "GetDurableObjectOptions"),
    "get": (2, "GetOptions"),
    "put": (3, "PutOptions"),
    "delete": (2, "PutOptions"),
    "list": (1, "ListOptions"),
    "deleteAll": (1, "PutOptions"),
    "setAlarm": (2, "SetAlarmOptions"),
    "getAlarm": (1, "GetAlarmOptions"),
    "deleteAlarm": (1, "SetAlarmOptions"),
}
INT32: Final = 2**31
ALARM_MS_MAX: Final = (2**63 - 1) // 1_000_000  # what 64 bits of nanoseconds hold
NAMESPACE: Final = "DurableObjectNamespace"
_RADIX: Final = re.compile(r"0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+")
_DECIMAL: Final = re.compile(r"[+-]?(?:Infinity|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)", re.ASCII)


class Missing:
    """The default of an argument for which None is a value."""


MISSING: Final = Missing()


def wrong(on: str, call: str, kind: str, position: int = 1) -> JsTypeError:
    """The error for an argument that is missing, or of another type.

    Args:
        on: the class of what is called.
        call: the method.
        kind: what it should be.
        position: which argument.
    """
    return JsTypeError(
        f"Failed to execute '{call}' on '{on}': parameter {position} is not of type '{kind}'."
    )


def options(on: str, call: str, given: object, named: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a call's options.

    Args:
        on: the class of what is called.
        call: the method.
        given: the options object, if there is one.
        named: members given by name.

    Raises:
        JsTypeError: the options are not an object.
    """
    if given is None:
        return dict(named)
    if isinstance(given, bool | int | float | str | bytes):
        of_stub = on == NAMESPACE and call == "get"
        position, kind = PLACES["getByName" if of_stub else call]
        raise wrong(on, call, kind, position)
    return options_of(given, named.items())


def alarm_time(on: str, when: object) -> int:
    """The time of an alarm, in milliseconds since 1970.

    Raises:
        JsTypeError: the value is not a time, or the time is too late.
    """
    if isinstance(when, bool) or not isinstance(when, int | float | datetime):
        raise wrong(on, "setAlarm", "date")
    if isinstance(when, int) and abs(when) > SAFE_INT_MAX:
        raise wrong(on, "setAlarm", "date")
    ms = milliseconds(when)
    if ms > ALARM_MS_MAX:
        raise JsTypeError("This API doesn't support dates after 2189.")
    if ms < -ALARM_MS_MAX:
        raise JsTypeError("This API doesn't support dates before 1687.")
    return math.floor(ms)


def truth(value: object) -> bool:
    """Whether JavaScript takes a value for true: any object is."""
    return isinstance(value, list | dict | bytes) or bool(value)


def int32(value: object) -> int:
    """A whole number of 32 bits, as JavaScript's values are made one.

    Raises:
        JsTypeError: it is out of range.
    """
    number = value if isinstance(value, int | float) else _number(value)
    if not math.isfinite(number):
        return 0
    if not -INT32 <= number < INT32:
        raise JsTypeError(
            f"Value out of range. Must be between {-INT32} and {INT32 - 1} (inclusive)."
        )
    return int(number)


def _number(value: object) -> float:
    """Convert a value that is no number as JavaScript's Number() does."""
    text = js_string(value).strip()
    if _RADIX.fullmatch(text):
        return float(int(text, 0))
    if _DECIMAL.fullmatch(text):
        return float(text)
    return math.nan if text else 0.0
