"""A counter for every name you can think of, each with its own state, always on disk."""

from wakeful import DurableObject, readonly


class Counter(DurableObject):
    count: int = 0

    async def increment(self, by: int = 1) -> int:
        self.count += by
        return self.count

    async def decrement(self, by: int = 1) -> int:
        """Never goes below zero."""
        self.count = max(0, self.count - by)
        return self.count

    @readonly
    async def get(self) -> int:
        return self.count
