"""MethodMetrics: counts calls, failures and time per method, in plain ints."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from wakeful.facet import Call, Facet


class MethodStats(msgspec.Struct):
    """The figures of one method; time in nanoseconds."""

    calls: int = 0
    failures: int = 0
    busy_ns: int = 0


class MethodMetrics(Facet):
    """Per-method figures of a type; `stats` maps method names to them."""

    priority = 30

    def __init__(self, now_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        self.stats: dict[str, MethodStats] = {}
        self._now_ns = now_ns

    def before(self, call: Call) -> None:
        """Note when the call began."""
        call.scratch[self] = self._now_ns()

    def after(self, call: Call, result: object) -> object:
        """Count a success."""
        self._count(call)
        return result

    def failed(self, call: Call, error: Exception) -> None:
        """Count a failure."""
        self._count(call).failures += 1

    def _count(self, call: Call) -> MethodStats:
        stats = self.stats.setdefault(call.method, MethodStats())
        began_ns = call.scratch[self]
        assert isinstance(began_ns, int)
        stats.calls += 1
        stats.busy_ns += self._now_ns() - began_ns
        return stats
