"""State through changes of its class, end to end: what a new version of a program finds."""

import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec
import pytest
from tests.runtime.world import runtime, virtual

from wakeful import DurableObject, SchemaMismatch
from wakeful.store.memory import MemoryDisk, MemoryStore


class Colour(Enum):
    RED = "red"


@dataclass
class Line:
    product: str
    prices: list[Decimal]


class Point(msgspec.Struct):
    x: int
    tags: set[str] = set()


class Everything(DurableObject):
    """A field of every kind."""

    number: int = 0
    ratio: float = 0.0
    text: str = ""
    raw: bytes = b""
    flag: bool = False
    maybe: str | None
    lines: list[Line] = []
    points: dict[str, Point] = {}
    names: set[str] = set()
    when: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    price: Decimal = Decimal("0.10")
    key: UUID = UUID(int=0)
    colour: Colour = Colour.RED
    pair: tuple[int, str] = (0, "")
    anything: Any = None
    _cache: dict[str, int] = {}

    async def fill(self) -> None:
        self.number, self.ratio, self.text, self.raw, self.flag = 2**70, 1.5, "ä", b"\xff", True
        self.maybe = "yes"
        self.lines = [Line("tea", [Decimal("1.10")])]
        self.points = {"a": Point(1, {"t"})}
        self.names = {"x", "y"}
        self.when = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
        self.price, self.key, self.pair = Decimal("9.90"), UUID(int=5), (7, "seven")
        self.anything = [1, (2, {"deep": {3}})]
        self._cache["x"] = 1

    async def change_in_place(self) -> None:
        self.lines[0].prices.append(Decimal("2.20"))
        self.points["a"].tags.add("u")
        self.anything[1][1]["deep"].add(4)

    async def see(self) -> None:
        fields = {n: getattr(self, n) for n in self.__annotations__ if not n.startswith("_")}
        seen.append(copy.deepcopy(fields))

    async def cached(self) -> dict[str, int]:
        return self._cache


seen: list[dict[str, Any]] = []


@virtual
async def test_every_kind_of_field_comes_back_type_for_type_also_when_changed_in_place() -> None:
    seen.clear()
    disk = MemoryDisk()
    async with runtime(Everything, store=MemoryStore(disk)) as rt:
        ref = rt.get(Everything, "e")
        await ref.fill()
        await ref.change_in_place()
        await ref.see()
    async with runtime(Everything, store=MemoryStore(disk)) as rt:
        ref = rt.get(Everything, "e")
        await ref.see()
        assert await ref.cached() == {}
        await rt.get(Everything, "other").see()
    before, after, other = seen
    assert after == before
    assert [type(value) for value in after.values()] == [type(value) for value in before.values()]
    assert after["lines"] == [Line("tea", [Decimal("1.10"), Decimal("2.20")])]
    assert after["points"] == {"a": Point(1, {"t", "u"})}
    assert after["anything"] == [1, (2, {"deep": {3, 4}})]
    assert (other["lines"], other["points"], other["names"]) == ([], {}, set())


class V1(DurableObject):
    count: int = 1
    old: str = "kept"

    async def see(self) -> dict[str, Any]:
        self.count += 1
        return {name: getattr(self, name) for name in type(self).__annotations__}


class Added(DurableObject):
    count: int = 0
    fresh: list[str] = ["default"]

    async def see(self) -> list[Any]:
        return [self.count, self.fresh]


class Changed(DurableObject):
    count: str = ""

    async def see(self) -> list[Any]:
        return [self.count]


class Migrated(DurableObject):
    schema_version = 2
    count: str = ""

    @classmethod
    def migrate(cls, version: int, state: dict[str, object]) -> dict[str, object]:
        return {"count": f"{state['count']} from version {version}"}

    async def see(self) -> list[Any]:
        return [self.count]

    async def write(self) -> None:
        self.count += "!"


for later in (Added, Changed, Migrated):
    later.__name__ = "V1"


async def stored() -> MemoryDisk:
    disk = MemoryDisk()
    async with runtime(V1, store=MemoryStore(disk)) as rt:
        await rt.get(V1, "v").see()
    return disk


@virtual
async def test_added_field_takes_its_default_and_removed_ones_are_kept() -> None:
    disk = await stored()
    async with runtime(Added, store=MemoryStore(disk)) as rt:
        assert await rt.get(Added, "v").see() == [2, ["default"]]
    async with runtime(V1, store=MemoryStore(disk)) as rt:
        assert await rt.get(V1, "v").see() == {"count": 3, "old": "kept"}


@virtual
async def test_incompatible_change_names_class_field_and_stored_type_and_harms_nothing() -> None:
    disk = await stored()
    async with runtime(Changed, store=MemoryStore(disk)) as rt:
        for _ in range(2):
            with pytest.raises(SchemaMismatch, match=r"V1\.count: the stored value is int"):
                await rt.get(Changed, "v").see()
        assert await rt.get(Changed, "new").see() == [""]
    async with runtime(V1, store=MemoryStore(disk)) as rt:
        assert await rt.get(V1, "v").see() == {"count": 3, "old": "kept"}


@virtual
async def test_migration_runs_when_an_actor_wakes_and_older_code_is_refused_after() -> None:
    disk = await stored()
    async with runtime(Migrated, store=MemoryStore(disk)) as rt:
        ref = rt.get(Migrated, "v")
        assert await ref.see() == ["2 from version 1"]
        await ref.write()
        await rt.stop(ref)
        assert await ref.see() == ["2 from version 1!"]
    async with runtime(V1, store=MemoryStore(disk)) as rt:
        with pytest.raises(SchemaMismatch, match="older than its data"):
            await rt.get(V1, "v").see()
