"""Options of storage calls: the object that comes last, or arguments by name.

Source: workerd's conversions of JavaScript values, and its texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from wakeful.workers.proxies import JsTypeError, options_of

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
