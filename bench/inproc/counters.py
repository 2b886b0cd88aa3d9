"""The actors that are measured."""

from __future__ import annotations

from wakeful import Actor, DurableObject, readonly


class Counter(DurableObject):
    """The durable counter; its HTTP paths are those of `examples/comparison`."""

    count: int = 0

    async def increment(self, by: int = 1) -> int:
        self.count += by
        return self.count

    async def decrement(self) -> int:
        self.count = max(0, self.count - 1)
        return self.count

    @readonly
    async def get(self) -> int:
        return self.count


class PlainCounter(Actor):
    """The same counter with nothing attached: volatile, spawned explicitly."""

    def __init__(self) -> None:
        self.count = 0

    async def increment(self, by: int = 1) -> int:
        self.count += by
        return self.count
