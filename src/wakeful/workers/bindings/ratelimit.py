"""`env.LIMITER`: bounds the calls a period for each key, counted in this process.

Periods are windows of the clock, one after the other, the same for all keys.

Source: Cloudflare docs on the rate limiting binding; wrangler's local one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from wakeful.workers.config.resources import RateLimitBinding
from wakeful.workers.proxies import JsDict, JsException, JsProxy, options_of
from wakeful.workers.values import js_string, utf8


class Window:
    """The counts of one namespace in the present period."""

    __slots__ = ("_counts", "_period")

    def __init__(self) -> None:
        self._counts: Counter[bytes] = Counter()
        self._period: tuple[int, int] = (0, 0)

    def count(self, key: bytes, period: tuple[int, int]) -> int:
        """Count a call of a key in a numbered period; return the calls of the key so far."""
        if period != self._period:
            self._counts.clear()
            self._period = period
        self._counts[key] += 1
        return self._counts[key]


class RateLimit(JsProxy):
    """One limit.

    Args:
        binding: how many calls, and how long a period is.
        window: the counts of its namespace.
        now_ms: milliseconds since 1970.
    """

    js_name = "Ratelimit"

    def __init__(
        self, binding: RateLimitBinding, window: Window, now_ms: Callable[[], int]
    ) -> None:
        self._binding = binding
        self._window = window
        self._now_ms = now_ms

    async def limit(self, options: object = None, **named: Any) -> JsDict:
        """Count a call of `key`: `success` says whether it is within the limit.

        Raises:
            JsException: there is no key.
        """
        key = options_of(options, named.items()).get("key")
        if key is None:
            raise JsException("Ratelimit: limit() needs a key, as in limit({'key': ...})")
        period = self._binding.period
        now = self._now_ms() // (1000 * period)
        # A digest: keys are often what clients send, and may be long.
        digest = blake2b(utf8(js_string(key)), digest_size=16).digest()
        return JsDict(success=self._window.count(digest, (period, now)) <= self._binding.limit)
