"""The order of a listing: keys one after the other, those with a common beginning as one.

Shapes:  keys are UTF-8; a *place* is where a listing goes on, before the first key not less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar


class HasKey(Protocol):
    """Something with a key."""

    @property
    def key(self) -> bytes:
        """UTF-8."""


T = TypeVar("T", bound=HasKey)


def listed(
    batch: Callable[[bytes], Sequence[T]], prefix: bytes, place: bytes, delimiter: bytes
) -> Iterator[tuple[T | bytes, bytes]]:
    """List things in the order of their keys, each with the place after it; prefixes once.

    Args:
        batch: some of the things from a place on, in order; none if there are no more.
        prefix: how all keys begin.
        place: where to begin.
        delimiter: ends a beginning that is given once for all keys that have it; may be empty.
    """
    while found := batch(place):
        for thing in found:
            if thing.key < place:
                continue  # its beginning was given already
            group = _group(thing.key, len(prefix), delimiter)
            place = after(thing.key) if group is None else beyond(group)
            yield (thing if group is None else group), place


def after(key: bytes) -> bytes:
    """Return the place after a key."""
    return key + b"\0"


def beyond(prefix: bytes) -> bytes:
    """Return the place after all keys that begin with a prefix."""
    return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else b"\xff"


def _group(key: bytes, start: int, delimiter: bytes) -> bytes | None:
    found = key.find(delimiter, start) if delimiter else -1
    return None if found < 0 else key[: found + len(delimiter)]
