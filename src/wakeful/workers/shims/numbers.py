"""Numbers of the module `js`: Number, Math, performance.

Source:  ECMAScript standard; High Resolution Time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from wakeful.workers.proxies import JsProxy
from wakeful.workers.values import copied


class Number(JsProxy):
    """`js.Number`."""

    @classmethod
    def new(cls, value: Any = 0, *_: Any, **__: Any) -> Any:
        """The number that a value is."""
        try:
            return copied(float(value))
        except (TypeError, ValueError):
            return math.nan


class Math(JsProxy):
    """`js.Math`."""

    PI: Final = math.pi
    E: Final = math.e
    abs = staticmethod(abs)
    ceil = staticmethod(math.ceil)
    floor = staticmethod(math.floor)
    trunc = staticmethod(math.trunc)
    sqrt = staticmethod(math.sqrt)
    pow = staticmethod(pow)
    log = staticmethod(math.log)

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self._random_bytes = random_bytes

    def random(self) -> float:
        """A number from 0 up to 1."""
        return (int.from_bytes(self._random_bytes(7), "big") >> 3) / 2**53

    def round(self, value: float) -> int:
        """The nearest whole number; halves go up."""
        return math.floor(value + 0.5)

    def min(self, *values: float) -> float:
        """The smallest."""
        return min(values, default=math.inf)

    def max(self, *values: float) -> float:
        """The largest."""
        return max(values, default=-math.inf)


class Performance(JsProxy):
    """`js.performance`, from when the Worker was loaded."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self.timeOrigin = now_ms()

    def now(self) -> int:
        """Milliseconds since then."""
        return self._now_ms() - self.timeOrigin
