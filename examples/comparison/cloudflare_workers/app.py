"""The counter on wakeful: the twin of workerd/counter.js.

wakeful serve app.py
curl -X POST localhost:8787/actors/Counter/counter-1/increment
"""

from wakeful import DurableObject, readonly


class Counter(DurableObject):
    """A count that starts at zero, never falls below it, and survives restarts."""

    count: int = 0

    async def increment(self, by: int = 1) -> int:
        """Add `by` and answer the new count, once it is on disk."""
        self.count += by
        return self.count

    async def decrement(self) -> int:
        """Subtract one, stopping at zero, and answer the new count, once it is on disk."""
        self.count = max(0, self.count - 1)
        return self.count

    @readonly
    async def get(self) -> int:
        """Answer the count; a reader, so plain GET reaches it."""
        return self.count
