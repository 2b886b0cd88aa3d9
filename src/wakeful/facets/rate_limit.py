"""RateLimit: bounds the calls a second to one actor, with a burst (token bucket)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

from wakeful.errors import ConfigError, RateLimited
from wakeful.facet import Call, Facet
from wakeful.ids import ActorId

PER_SECOND_MIN: Final = 1e-9  # one call in thirty years: less counts as 0
SWEEP_MIN: Final = 64  # up to this many buckets are kept without a search for full ones


class RateLimit(Facet):
    """Refuses calls over the rate with RateLimited (429) before the actor's code runs.

    Args:
        per_second: calls a second in the long run.
        burst: calls that may come at once; by default one second's worth.
    """

    priority = 0

    def __init__(
        self,
        per_second: float,
        burst: int | None = None,
        *,
        now_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        if not PER_SECOND_MIN <= per_second < math.inf:
            raise ConfigError(f"RateLimit.per_second must be more than 0: {per_second!r}")
        self._per_ns = per_second / 1e9
        if burst is not None and burst < 1:
            raise ConfigError(f"RateLimit.burst must be at least 1: {burst!r}")
        self._burst = float(burst if burst is not None else max(1, round(per_second)))
        self._now_ns = now_ns
        self._buckets: dict[ActorId, tuple[float, int]] = {}
        self._sweep_at = SWEEP_MIN

    def before(self, call: Call) -> None:
        """Take a token, or refuse."""
        now_ns = self._now_ns()
        tokens = self._tokens(call.actor, now_ns)
        if tokens < 1:
            self._buckets[call.actor] = (tokens, now_ns)
            wait_ns = math.ceil((1 - tokens) / self._per_ns)
            raise RateLimited(f"{call.actor} is over its rate", retry_after_ns=wait_ns)
        self._buckets[call.actor] = (tokens - 1, now_ns)

    def deactivated(self, actor: ActorId) -> None:
        """Forget all full buckets, so that sleeping actors cost no memory here."""
        if len(self._buckets) < self._sweep_at:
            return
        now_ns = self._now_ns()
        for other in list(self._buckets):
            if self._tokens(other, now_ns) >= self._burst:
                del self._buckets[other]
        self._sweep_at = max(SWEEP_MIN, 2 * len(self._buckets))

    def _tokens(self, actor: ActorId, now_ns: int) -> float:
        tokens, since_ns = self._buckets.get(actor, (self._burst, now_ns))
        return min(self._burst, tokens + (now_ns - since_ns) * self._per_ns)
