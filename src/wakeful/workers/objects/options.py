"""Options of storage calls: the object that comes last, or arguments by name.

Source: workerd's conversions of JavaScript values, and its texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from wakeful.workers.proxies import JsTypeError, options_of
from wakeful.workers.values import SAFE_INT_MAX, milliseconds

PLACES: Final[Mapping[str, tuple[int, str]]] = {
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
NO_DATE: Final = "Failed to execute 'setAlarm' on '{on}': parameter 1 is not of type 'date'."


def options(on: str, call: str, given: object, named: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a call's options.

    Args:
        on: the class of what is called.
        call: the method.
        given: the options object, if there is one.
        named: members given by name.

    Raises:
        JsTypeError: they are no object.
    """
    if given is not None and isinstance(given, bool | int | float | str | bytes):
        position, kind = PLACES[call]
        raise JsTypeError(
            f"Failed to execute '{call}' on '{on}': parameter {position} is not of type '{kind}'."
        )
    return options_of(given, named.items())


def alarm_time(on: str, when: object) -> int:
    """The time of an alarm, in milliseconds since 1970.

    Raises:
        JsTypeError: it is no time, or too late a one.
    """
    if isinstance(when, bool) or not isinstance(when, int | float | datetime):
        raise JsTypeError(NO_DATE.format(on=on))
    if isinstance(when, int) and abs(when) > SAFE_INT_MAX:
        raise JsTypeError(NO_DATE.format(on=on))
    ms = milliseconds(when)
    if ms > ALARM_MS_MAX:
        raise JsTypeError("This API doesn't support dates after 2189.")
    return math.floor(ms)


def int32(value: object) -> int:
    """A whole number of 32 bits, as JavaScript's values are made one.

    Raises:
        JsTypeError: it is out of range.
    """
    try:
        number = float(value or 0) if isinstance(value, int | float | str | None) else math.nan
    except ValueError:
        number = math.nan
    if math.isnan(number):
        return 0
    if not -INT32 <= number < INT32:
        raise JsTypeError(
            f"Value out of range. Must be between {-INT32} and {INT32 - 1} (inclusive)."
        )
    return int(number)
