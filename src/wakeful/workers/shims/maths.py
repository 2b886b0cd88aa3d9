"""`Math` and `performance` of the module `js`.

Arguments are converted to numbers as JavaScript does it; where Python raises there is NaN, or an
infinity.

Source:  ECMAScript standard; High Resolution Time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from struct import pack, unpack
from typing import Any, Final

from wakeful.workers.proxies import JsProxy
from wakeful.workers.shims.numbers import number, to_int, to_number

Function = Callable[[float], float]


def _function(of: Function, *, at_zero: float = math.nan) -> Any:
    """A function of Math.

    Args:
        of: the function of Python.
        at_zero: what there is at 0, where that has no value.
    """

    def call(value: object = None, *_: object) -> int | float:
        given = to_number(value)
        try:
            return number(of(given))
        except ValueError:
            return math.nan if given else at_zero
        except OverflowError:
            return given if math.isinf(given) else math.copysign(math.inf, given)

    return staticmethod(call)


def _whole(of: Callable[[float], int]) -> Function:
    """A function that rounds; what is not finite stays as it is."""
    return lambda value: of(value) if math.isfinite(value) else value


def _round(value: float) -> int:
    below = math.floor(value)
    return below + (value - below >= 0.5)


def _sign(value: float) -> float:
    return math.copysign(1, value) if value and not math.isnan(value) else value


def _fround(value: float) -> float:
    try:
        rounded: float = unpack("f", pack("f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
    return rounded


def _cbrt(value: float) -> float:
    root = math.cbrt(value)
    whole = round(root) if math.isfinite(root) else 0
    return whole if whole**3 == value else root  # the C library is off by a bit even at 27


def _atanh(value: float) -> float:
    return math.copysign(math.inf, value) if abs(value) == 1 else math.atanh(value)


def _log1p(value: float) -> float:
    return -math.inf if value == -1 else math.log1p(value)


class Math(JsProxy):
    """`js.Math`."""

    js_name = "Math"
    PI: Final = math.pi
    E: Final = math.e
    LN2: Final = math.log(2)
    LN10: Final = math.log(10)
    LOG2E: Final = 1 / math.log(2)
    LOG10E: Final = 1 / math.log(10)
    SQRT2: Final = math.sqrt(2)
    SQRT1_2: Final = math.sqrt(0.5)

    abs = _function(abs)
    acos = _function(math.acos)
    acosh = _function(math.acosh)
    asin = _function(math.asin)
    asinh = _function(math.asinh)
    atan = _function(math.atan)
    atanh = _function(_atanh)
    cbrt = _function(_cbrt)
    ceil = _function(_whole(math.ceil))
    cos = _function(math.cos)
    cosh = _function(lambda value: math.cosh(value) if abs(value) < 710 else abs(value) * math.inf)
    exp = _function(lambda value: math.exp(value) if value < 710 else value * math.inf)
    expm1 = _function(math.expm1)
    floor = _function(_whole(math.floor))
    fround = _function(_fround)
    log = _function(math.log, at_zero=-math.inf)
    log10 = _function(math.log10, at_zero=-math.inf)
    log1p = _function(_log1p)
    log2 = _function(math.log2, at_zero=-math.inf)
    round = _function(_whole(_round))
    sign = _function(_sign)
    sin = _function(math.sin)
    sinh = _function(math.sinh)
    sqrt = _function(math.sqrt)
    tan = _function(math.tan)
    tanh = _function(math.tanh)
    trunc = _function(_whole(math.trunc))

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes

    def random(self) -> float:
        """A number from 0 up to 1."""
        return (int.from_bytes(self._random_bytes(7), "big") >> 3) / 2**53

    def min(self, *values: object) -> int | float:
        """The smallest; NaN if one is none."""
        return _of_all(min, values, math.inf)

    def max(self, *values: object) -> int | float:
        """The largest; NaN if one is none."""
        return _of_all(max, values, -math.inf)

    def hypot(self, *values: object) -> int | float:
        """The root of the sum of squares."""
        return number(math.hypot(*map(to_number, values)))

    def atan2(self, y: object, x: object) -> int | float:
        """The angle to a point."""
        return number(math.atan2(to_number(y), to_number(x)))

    def pow(self, base: object, exponent: object) -> int | float:
        """A power; NaN where it would be complex."""
        b, e = to_number(base), to_number(exponent)
        if math.isnan(e) or (abs(b) == 1 and math.isinf(e)):
            return math.nan
        try:
            return number(math.pow(b, e))
        except OverflowError:
            return -math.inf if b < 0 and e % 2 == 1 else math.inf
        except ValueError:  # of 0 with a negative exponent, or complex
            odd = math.copysign(1, b) < 0 and e % 2 == 1
            return math.nan if b else -math.inf if odd else math.inf

    def imul(self, left: object, right: object) -> int:
        """The product of 32-bit integers."""
        product = to_int(left, 32) * to_int(right, 32) % 2**32
        return product - 2**32 if product >= 2**31 else product

    def clz32(self, value: object) -> int:
        """The zero bits before the first one of a 32-bit integer."""
        return 32 - to_int(value, 32).bit_length()


def _of_all(choose: Any, values: tuple[object, ...], none: float) -> int | float:
    numbers = [to_number(value) for value in values]
    if any(map(math.isnan, numbers)):
        return math.nan
    return number(choose(numbers, default=none))


class Performance(JsProxy):
    """`js.performance`, from when the Worker was loaded."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.timeOrigin = now_ms()

    def now(self) -> int:
        """Milliseconds since then."""
        return self._now_ms() - self.timeOrigin
