"""Which node owns which shard: rendezvous hashing over a fixed number of shards.

Adding or removing a node moves only the shards it gains or loses, and every node computes the
same answer from the same member list, in any order.

It is for several nodes (DESIGN.md 10): no product code uses it yet.

Shapes:     nodes are non-empty text; a shard is an int in [0, shards).
Invariants: with at least one node every shard has exactly one owner.
Source:     Thaler & Ravishankar 1998, highest random weight.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


class Placement:
    """Shards to owners for one set of nodes; a value, computed once per membership change."""

    __slots__ = ("_owners", "nodes")

    def __init__(self, nodes: Iterable[str], shards: int) -> None:
        self.nodes = tuple(sorted(set(nodes)))
        assert self.nodes, "a placement needs at least one node"
        assert shards > 0
        if len(self.nodes) == 1:
            self._owners = [self.nodes[0]] * shards
        else:
            self._owners = [_heaviest(self.nodes, shard) for shard in range(shards)]

    def owner(self, shard: int) -> str:
        """The node that owns a shard."""
        return self._owners[shard]

    def owned_by(self, node: str) -> list[int]:
        """The shards of a node, in order."""
        return [shard for shard, owner in enumerate(self._owners) if owner == node]

    def moves(self, newer: Placement) -> list[tuple[int, str, str]]:
        """The shards that change hands: (shard, from, to)."""
        assert len(self._owners) == len(newer._owners), "the number of shards is fixed"
        pairs = zip(self._owners, newer._owners, strict=True)
        return [(shard, old, new) for shard, (old, new) in enumerate(pairs) if old != new]


def _heaviest(nodes: tuple[str, ...], shard: int) -> str:
    def weight(node: str) -> bytes:
        return hashlib.blake2b(f"{shard}:{node}".encode(), digest_size=8).digest()

    return max(nodes, key=weight)
