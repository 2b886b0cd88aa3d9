"""The clock port on virtual time.

Wall clock and monotonic clock start at unrelated values, neither of them the loop's, so that
code which mixes them up, or reads the machine's clocks, is noticed.
"""

from __future__ import annotations

import math
from typing import Final

from wakeful.testing.loop import VirtualLoop

WALL_START_NS: Final = 1_700_000_000_000_000_000


class VirtualClock:
    """The clocks of one node: the loop's time, with a different offset for each of the two clocks.

    Attributes:
        trust_seconds: how often the runtime reads the wall clock again; never, unless a test sets
            the clock.
    """

    trust_seconds: float = math.inf

    def __init__(self, loop: VirtualLoop, *, wall_skew_ns: int = 0, uptime_ns: int = 0) -> None:
        self._loop = loop
        self._wall_ns = WALL_START_NS + wall_skew_ns
        self._uptime_ns = uptime_ns

    def now_ns(self) -> int:
        """Wall-clock nanoseconds since 1970."""
        return self._wall_ns + round(self._loop.time() * 1e9)

    def monotonic_ns(self) -> int:
        """Nanoseconds that only ever grow."""
        return self._uptime_ns + round(self._loop.time() * 1e9)

    def set_wall(self, by_ns: int) -> None:
        """Set the wall clock forward, or back; the loop and the monotonic clock go on."""
        self._wall_ns += by_ns
