"""Numbers of the module `js`: Number, parseInt, parseFloat, isNaN, isFinite.

A number that is whole and exact is an int of Python, as in Pyodide; others are floats.

Source:  ECMAScript standard.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any, Final, TypeGuard

from wakeful.workers.proxies import JsProxy, JsTypeError
from wakeful.workers.values import SAFE_INT_MAX, copied, js_string, milliseconds

# What JavaScript takes for white space; Python's strip() takes more, and not U+FEFF.
SPACE: Final = (
    "\t\n\v\f\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028"
    "\u2029\u202f\u205f\u3000\ufeff"
)
DECIMAL: Final = re.compile(r"[+-]?(?:Infinity|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)", re.ASCII)
IN_BASE: Final = re.compile(r"0(?:x[0-9a-f]+|o[0-7]+|b[01]+)", re.IGNORECASE | re.ASCII)
DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


def number(value: float) -> int | float:
    """A number as Python has it: an int where it is whole and exact."""
    result: int | float = copied(value)
    return result


def to_number(value: object) -> float:
    """The number that any value is; NaN where it is none.

    Raises:
        JsTypeError: it is a symbol.
    """
    match value:
        case None:
            return math.nan
        case int() | float():
            return float(value) if isinstance(value, float) else _float(value)
        case str():
            return _of_text(value)
        case datetime():
            return milliseconds(value)
        case list():
            return _of_text(js_string(value))
        case JsProxy() if value.js_name == "Symbol":
            raise JsTypeError("Cannot convert a Symbol value to a number")
        case _:
            return math.nan


def to_int(value: object, bits: int) -> int:
    """A value as a whole number of some bits, without a sign; higher bits are lost."""
    found = to_number(value)
    return int(found) % (1 << bits) if math.isfinite(found) else 0


def _float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _of_text(text: str) -> float:
    text = text.strip(SPACE)
    if not text:
        return 0.0
    if DECIMAL.fullmatch(text):
        return float(text)
    return _float(int(text, 0)) if IN_BASE.fullmatch(text) else math.nan


def parse_int(text: object, radix: object = None) -> int | float:
    """`parseInt`: the whole number that a text begins with; NaN if it begins with none."""
    digits = js_string(text).lstrip(SPACE)
    sign = -1 if digits.startswith("-") else 1
    digits = digits.removeprefix("-" if sign < 0 else "+").lower()
    base = 0 if radix is None else to_int(radix, 32)
    if base in (0, 16) and digits.startswith("0x"):
        base, digits = 16, digits[2:]
    base = base or 10
    if not 2 <= base <= 36:
        return math.nan
    known = DIGITS[:base]
    digits = digits[: len(digits) - len(digits.lstrip(known))]
    return number(sign * _in_base(digits, base)) if digits else math.nan


def _in_base(digits: str, base: int) -> float:
    """Convert digits; a number too large for a double is infinite, whatever digits follow."""
    significant = digits.lstrip("0")
    return math.inf if len(significant) > 1100 else _float(int(significant or "0", base))


def parse_float(text: object) -> int | float:
    """`parseFloat`: the number that a text begins with; NaN if it begins with none."""
    found = DECIMAL.match(js_string(text).lstrip(SPACE))
    return number(float(found[0])) if found else math.nan


def is_nan(value: object) -> bool:
    """`isNaN`: whether a value, converted to a number, is NaN."""
    return math.isnan(to_number(value))


def is_finite(value: object) -> bool:
    """`isFinite`: whether a value, converted to a number, is finite."""
    return math.isfinite(to_number(value))


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Number(JsProxy):
    """`js.Number`: called or made by `new`, it gives the number that a value is."""

    EPSILON: Final = 2.0**-52
    MAX_SAFE_INTEGER: Final = SAFE_INT_MAX
    MIN_SAFE_INTEGER: Final = -SAFE_INT_MAX
    MAX_VALUE: Final = 1.7976931348623157e308
    MIN_VALUE: Final = 5e-324
    POSITIVE_INFINITY: Final = math.inf
    NEGATIVE_INFINITY: Final = -math.inf
    NaN: Final = math.nan
    parseInt = staticmethod(parse_int)
    parseFloat = staticmethod(parse_float)

    def __new__(cls, value: object = 0, *_: Any) -> Any:
        """The number that a value is."""
        return number(to_number(value))

    @classmethod
    def new(cls, value: object = 0, *_: Any, **__: Any) -> Any:
        """The number that a value is."""
        return number(to_number(value))

    @staticmethod
    def isInteger(value: object) -> TypeGuard[int | float]:
        """Whether a value is a whole number."""
        return _is_number(value) and float(value).is_integer()

    @staticmethod
    def isSafeInteger(value: object) -> bool:
        """Whether a value is a whole number that a double represents exactly and alone."""
        return Number.isInteger(value) and abs(value) <= SAFE_INT_MAX

    @staticmethod
    def isFinite(value: object) -> bool:
        """Whether a value is a finite number."""
        return _is_number(value) and math.isfinite(value)

    @staticmethod
    def isNaN(value: object) -> bool:
        """Whether a value is the number NaN."""
        return isinstance(value, float) and math.isnan(value)
