"""A turn whose changes are held over its calls: the parts that there really are do it.

No turn does so yet: it takes an intent that makes it safe against a crash. What the next commit
points of such a turn need is tested here, with the working set of a real activation.
"""

from __future__ import annotations

import asyncio
from copy import deepcopy
from datetime import timedelta

import pytest
from tests.runtime.world import FlakyStore, outcome, runtime, virtual

from wakeful import DurableObject, readonly
from wakeful.core.write_buffer import WriteBuffer
from wakeful.ids import ActorId
from wakeful.runtime.activation import Activation
from wakeful.store.memory import MemoryDisk


class Target(DurableObject):
    """An actor that is called."""

    hits: int = 0

    async def hit(self) -> int:
        self.hits += 1
        return self.hits


class Payer(DurableObject):
    """An actor whose turn changes all parts before and after a call."""

    notes: list[str] = []

    async def on_activate(self) -> None:
        self.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS rows(note)")

    async def pay(self, *, fail: bool = False, intent: str = "") -> list[object]:
        activation: Activation = self.ctx.activation  # type: ignore[attr-defined]
        working = activation.working_set()
        intents = WriteBuffer({})
        if intent:
            working.add(intents, apart=True)
        working.hold()
        try:
            await self._change("before")
            if intent:
                intents.put(intent, b"open")
            await self.ctx.get(Target, "t").hit()
            await self._change("after")
            await asyncio.sleep(1)
            if fail:
                raise ValueError
        except ValueError:
            activation.undo()
            raise
        finally:
            working.let_go()
        return await self.places()

    @readonly
    async def places(self) -> list[object]:
        rows = self.ctx.storage.sql.exec("SELECT note FROM rows").all()
        keys = sorted(await self.ctx.storage.list())
        due_ns = self.ctx.alarm.get()
        return [self.notes, keys, [row["note"] for row in rows], due_ns is not None]

    async def alarm(self) -> None:
        pass

    async def _change(self, text: str) -> None:
        self.notes.append(text)
        await self.ctx.storage.put(text, 1)
        self.ctx.storage.sql.exec("INSERT INTO rows VALUES (?)", text)
        self.ctx.alarm.set(timedelta(days=1))


NOTHING = [[], [], [], False]
ALL = [["before", "after"], ["after", "before"], ["before", "after"], True]


@pytest.mark.parametrize("fail", [False, True])
def test_a_turn_is_kept_or_undone_whole_over_its_calls(fail: bool) -> None:
    @virtual
    async def test() -> None:
        store = FlakyStore(disk := MemoryDisk())
        async with runtime(Payer, Target, store=store) as rt:
            payer = rt.get(Payer, "p")
            assert await payer.places() == NOTHING
            store.batches.clear()
            result = await outcome(payer.pay(fail=fail))
            assert isinstance(result, ValueError) if fail else result == ALL
            records = [record for batch in store.batches for record in batch]
            assert [record.type for record in records] == ["Target"] + ([] if fail else ["Payer"])
            assert await rt.get(Target, "t").hit() == 2  # what others did stands
            assert await payer.places() == (NOTHING if fail else ALL)
        async with runtime(Payer, Target, store=FlakyStore(deepcopy(disk))) as rt:
            assert await rt.get(Payer, "p").places() == (NOTHING if fail else ALL)

    test()


@virtual
async def test_what_stands_apart_is_durable_before_the_call_leaves() -> None:
    store = FlakyStore(disk := MemoryDisk())
    async with runtime(Payer, Target, store=store) as rt:
        payer = rt.get(Payer, "p")
        await payer.places()
        store.batches.clear()
        assert isinstance(await outcome(payer.pay(fail=True, intent="i:1")), ValueError)
        first, second = (record for batch in store.batches for record in batch)
        assert (first.type, first.puts, first.pages) == ("Payer", {"i:1": b"open"}, {})
        assert second.type == "Target"
        assert disk.cells["Payer", "p"] == {"i:1": b"open"}
        assert rt.host.activator.catalog.actors[ActorId("Payer", "p")].working.touched is False
