"""Who an actor is: its type, its name, and the shard both hash to.

Shapes:  an ActorId is a plain pair; a shard is an int in [0, shards), shards a power of two.
Limits:  names are any non-empty text of at most NAME_BYTES_MAX UTF-8 bytes.
Source:  name limit as Cloudflare keeps names (durable-objects.md 1.2: <= 1024 bytes).
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from wakeful.errors import InvalidArguments, PayloadTooLarge

NAME_BYTES_MAX: Final = 1024


class ActorId(NamedTuple):
    """A named actor of a type; it always exists."""

    type: str
    name: str

    def __str__(self) -> str:
        return f"{self.type}/{self.name}"


def check_name(name: object) -> str:
    """Return name if it can name an actor.

    Raises:
        InvalidArguments: it is not text, is empty, or is not encodable as UTF-8.
        PayloadTooLarge: it is longer than NAME_BYTES_MAX bytes of UTF-8.
    """
    if not isinstance(name, str):
        raise InvalidArguments(f"an actor's name is text, not {type(name).__name__}: {name!r}")
    if not name:
        raise InvalidArguments("an actor's name must not be empty")
    try:
        size_bytes = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidArguments("an actor's name must be valid Unicode") from None
    if size_bytes > NAME_BYTES_MAX:
        raise PayloadTooLarge(
            f"an actor's name has at most {NAME_BYTES_MAX} bytes of UTF-8, not {size_bytes}"
        )
    return name


def shard_of(actor: ActorId, shards: int) -> int:
    """The shard an actor belongs to: stable across processes, versions and machines."""
    assert shards > 0
    assert shards & (shards - 1) == 0, "the number of shards is a power of two"
    key = f"{len(actor.type)}:{actor.type}{actor.name}".encode()
    digest = hashlib.blake2b(key, digest_size=8).digest()
    return int.from_bytes(digest, "big") & (shards - 1)
