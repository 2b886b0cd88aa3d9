"""The keys and values of one object by JavaScript's rules: what `storage` and `kv` stand on.

Errors:  workerd's texts.
Source:  Cloudflare docs on the storage API; workerd actor-state.c++.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from wakeful.ports import KV_PREFIX
from wakeful.runtime.gated import Gated
from wakeful.workers import strict
from wakeful.workers.objects import stored
from wakeful.workers.objects.options import int32, truth
from wakeful.workers.proxies import JsException, JsTypeError
from wakeful.workers.values import copied, js_string, stored_text

VALUE_BYTES_MAX: Final = 2 * 1024 * 1024  # key and value, as Cloudflare has it


class Span:
    """The keys that a listing selects, by its options.

    Attributes:
        limit: how many of them, if not all.
        prefix: what they begin with.
        reverse: the last one comes first.

    Raises:
        JsTypeError: the options contradict each other.
    """

    __slots__ = ("_above", "_high", "_low", "_start", "limit", "prefix", "reverse")

    def __init__(self, options: Mapping[str, Any]) -> None:
        start, after, end = (options.get(name) for name in ("start", "startAfter", "end"))
        self.limit = None if (given := options.get("limit")) is None else int32(given)
        if start is not None and after is not None:
            raise JsTypeError("list() cannot be called with both start and startAfter values.")
        if self.limit is not None and self.limit <= 0:
            raise JsTypeError("List limit must be positive.")
        self.prefix = "" if (given := options.get("prefix")) is None else text(given)
        self.reverse = truth(options.get("reverse"))
        self._start = self.prefix.encode()
        self._low = b"" if start is None else text(start).encode()
        self._above = None if after is None else text(after).encode()
        self._high = None if end is None else text(end).encode()

    def holds(self, key: bytes) -> bool:
        """Whether a key, as UTF-8, is in the span."""
        return (
            key >= self._low
            and (self._above is None or key > self._above)
            and (self._high is None or key < self._high)
            and key.startswith(self._start)
        )


class Cells:
    """The keys and values of one object, by JavaScript's rules.

    Args:
        gated: whose.
        limited: they keep to the limits of Cloudflare's key-value storage.

    Attributes:
        on_new_key: is called with each new key; None: nothing is.
    """

    __slots__ = ("gated", "limited", "on_new_key")

    def __init__(self, gated: Gated, *, limited: bool = False) -> None:
        self.gated = gated
        self.limited = limited
        self.on_new_key: Callable[[str], None] | None = None

    def check(self, keys: Iterable[object]) -> None:
        """Refuse keys that are too many at once or too long, where there are such limits.

        Raises:
            JsRangeError: says what is allowed.
        """
        if self.limited:
            strict.check_keys([text(key) for key in keys])

    def get(self, key: object) -> Any:
        """The value, a copy; None if there is none."""
        activation = self.gated.activation
        activation.check_here()
        cell = activation.buffer.get(KV_PREFIX + text(key)) if activation.buffer else None
        return None if cell is None else stored.unpack(cell)

    def __contains__(self, key: str) -> bool:
        buffer = self.gated.activation.buffer
        return buffer is not None and buffer.get(KV_PREFIX + key) is not None

    def put(self, pairs: Iterable[tuple[object, object]], *, confirmed: bool = True) -> None:
        """Set values, all of them or none.

        Raises:
            DataCloneError, TypeError: a value cannot be stored.
            JsRangeError: they are too many or too large, where there are such limits.
        """
        activation = self.gated.activation
        activation.check_here()
        if self.limited:
            given = {text(key): copied(value) for key, value in pairs}
            strict.check_pairs(given)
            pairs = given.items()
        cells = [(KV_PREFIX + text(key), stored.pack(value)) for key, value in pairs]
        for key, data in cells:
            if len(key) + len(data) > VALUE_BYTES_MAX:
                raise JsException("string or blob too big: SQLITE_TOOBIG")
        buffer = activation.writes()
        for key, data in cells:
            if self.on_new_key is not None and buffer.get(key) is None:
                self.on_new_key(key[len(KV_PREFIX) :])
            buffer.put(key, data)
        self.gated.touch(confirmed=confirmed)

    def delete(self, keys: Iterable[object], *, confirmed: bool = True) -> int:
        """Remove values; return how many there were."""
        activation = self.gated.activation
        activation.check_here()
        buffer = activation.writes()
        count = sum(buffer.delete(KV_PREFIX + text(key)) for key in keys)
        self.gated.touch(confirmed=confirmed)
        return count

    def within(self, span: Span) -> dict[str, bytes]:
        """Return packed values by key, in the order of UTF-8; this resets `on_new_key`."""
        keys = self.keys(span)
        if span.reverse:
            keys.reverse()
        if self.gated.activation.buffer is None:
            return {}
        cells = self.gated.activation.buffer.cells
        names = [key.decode() for key in keys[: span.limit]]
        return {key: cells[KV_PREFIX + key] for key in names}

    def keys(self, span: Span) -> list[bytes]:
        """Return the keys of a span as UTF-8, in their order; this resets `on_new_key`."""
        activation = self.gated.activation
        activation.check_here()
        self.on_new_key = None
        if activation.buffer is None:
            return []
        prefix = KV_PREFIX + span.prefix
        cells = activation.buffer.cells
        keys = [cell[len(KV_PREFIX) :].encode() for cell in cells if cell.startswith(prefix)]
        return sorted(filter(span.holds, keys))

    def clear(self, *, confirmed: bool = True) -> None:
        """Remove all values."""
        activation = self.gated.activation
        activation.check_here()
        buffer = activation.writes()
        for key in [cell for cell in buffer.cells if cell.startswith(KV_PREFIX)]:
            buffer.delete(key)
        self.gated.touch(confirmed=confirmed)


def text(key: object) -> str:
    """A key as it is stored: JavaScript's String(key), as valid Unicode."""
    return stored_text(js_string(key))
