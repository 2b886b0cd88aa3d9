"""What the crash test serves: a counter that keeps its count in two places."""

from __future__ import annotations

from wakeful import DurableObject, readonly


class Counter(DurableObject):
    count: int = 0

    async def increment(self) -> int:
        self.count += 1
        await self.ctx.storage.put("count", self.count)
        return self.count

    @readonly
    async def get(self) -> list[object]:
        """The count as state has it, and as storage has it."""
        return [self.count, await self.ctx.storage.get("count", 0)]
