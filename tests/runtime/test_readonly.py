"""A method that is marked @readonly changes nothing, whichever way it tries."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from tests.runtime.world import runtime, virtual

from wakeful import DurableObject, StateInvalid, interleave, readonly


class Shelf(DurableObject):
    items: list[int] = []
    count: int = 0
    _seen: int = 0

    async def on_activate(self) -> None:
        self.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS rows(a)")

    async def alarm(self) -> None:
        self.count += 1

    async def add(self, item: int) -> None:
        self.items.append(item)
        self.ctx.storage.sql.exec("INSERT INTO rows VALUES (?)", item)

    @readonly
    async def look(self) -> tuple[list[int], int]:
        self._seen += 1
        rows = self.ctx.storage.sql.exec("SELECT count(*) FROM rows").one(into=int)
        return self.items, rows

    @readonly
    async def appends(self) -> list[int]:
        self.items.append(9)
        return self.items

    @readonly
    async def appends_later(self) -> list[int]:
        await asyncio.sleep(0.1)
        self.items.append(9)
        return self.items

    @readonly
    async def puts(self) -> None:
        await self.ctx.storage.put("k", 1)

    @readonly
    async def inserts(self) -> None:
        self.ctx.storage.sql.exec("INSERT INTO rows VALUES (9)")

    @readonly
    async def sets_an_alarm(self) -> None:
        self.ctx.alarm.set(timedelta(seconds=1))

    @interleave
    async def slips(self, item: int) -> None:
        self.items.append(item)

    @readonly
    @interleave
    async def peeks(self) -> int:
        await asyncio.sleep(0.1)
        return len(self.items)


@pytest.mark.parametrize("method", ["appends", "appends_later", "puts", "inserts", "sets_an_alarm"])
def test_what_it_changes_is_refused_and_undone(method: str) -> None:
    @virtual
    async def test() -> None:
        async with runtime(Shelf) as rt:
            shelf = rt.get(Shelf, "s")
            await shelf.add(1)
            with pytest.raises(StateInvalid, match=f"Shelf.{method} is marked @readonly and"):
                await getattr(shelf, method)()
            assert await shelf.look() == ([1], 1)
            await asyncio.sleep(2)
            assert await shelf.look() == ([1], 1)
            await shelf.add(2)
            assert await shelf.look() == ([1, 2], 2)

    test()


@virtual
async def test_what_it_reads_and_what_is_memory_only_is_its_own_affair() -> None:
    async with runtime(Shelf) as rt:
        shelf = rt.get(Shelf, "s")
        for number in range(3):
            assert await shelf.look() == ([*range(number)], number)
            await shelf.add(number)


@virtual
async def test_beside_a_turn_that_writes_it_may_look() -> None:
    async with runtime(Shelf) as rt:
        shelf = rt.get(Shelf, "s")
        looks = [asyncio.ensure_future(shelf.peeks()) for _ in range(3)]
        await asyncio.sleep(0.05)
        await shelf.slips(1)
        assert await asyncio.gather(*looks) == [1, 1, 1]
