"""pydantic models as arguments, results and state: what pydantic makes of them is what is kept."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, Field

from wakeful import DurableObject, InvalidArguments, Runtime, StateInvalid
from wakeful.actor_type import ActorType
from wakeful.codec import to_json, typed
from wakeful.errors import SchemaMismatch
from wakeful.http.openapi import document


class Colour(enum.Enum):
    RED = "red"


class Line(BaseModel):
    sku: str
    count: int = Field(ge=1)


class Order(BaseModel):
    number: int = 0
    lines: list[Line] = []
    placed: datetime = datetime(2020, 1, 1, tzinfo=UTC)
    price: Decimal = Decimal("1.20")
    raw: bytes = b"ab"
    colour: Colour = Colour.RED


class Strict(BaseModel, strict=True, frozen=True):
    placed: datetime
    tags: frozenset[str] = frozenset()


class Shop(DurableObject):
    orders: list[Order] = []
    last: Order | None = None

    async def place(self, order: Order) -> int:
        self.orders.append(order)
        self.last = order
        return len(self.orders)

    async def find(self, number: int) -> Order:
        return next(order for order in self.orders if order.number == number)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Order, Order(number=2**70, lines=[Line(sku="a", count=1)])),
        (list[Order], [Order(), Order(number=1)]),
        (dict[str, Order], {"a": Order()}),
        (Order | None, None),
        (Order | None, Order()),
        (Strict, Strict(placed=datetime(2020, 1, 1, tzinfo=UTC), tags=frozenset("a"))),
    ],
)
def test_a_model_comes_back_equal_and_as_a_copy(annotation: Any, value: Any) -> None:
    compiled = typed(annotation)
    back = compiled.decode(compiled.encode(value))
    assert value == back
    assert type(value) is type(back)
    copied = compiled.copy(value)
    assert value == copied
    assert value is None or copied is not value


@pytest.mark.parametrize("as_text", [True, False])
def test_a_model_that_does_not_fit_names_every_field(as_text: bool) -> None:
    sent = {"number": "x", "lines": [{"sku": "a", "count": 0}]}
    with pytest.raises(InvalidArguments) as caught:
        typed(Order).from_json(msgspec.json.encode(sent) if as_text else sent)
    assert "Order.number: Input should be a valid integer" in str(caught.value)
    assert "Order.lines.0.count: Input should be greater than or equal to 1" in str(caught.value)


def test_a_model_whose_fields_were_set_to_what_they_must_not_hold_is_refused() -> None:
    order = Order()
    order.number = "many"  # type: ignore[assignment]
    with pytest.raises(StateInvalid, match=r"number"):
        typed(Order).encode(order)


def test_a_model_that_loses_something_on_the_way_is_refused() -> None:
    class Ratio(BaseModel):
        value: float

    with pytest.raises(StateInvalid, match=r"value"):
        typed(Ratio).encode(Ratio(value=float("nan")))


def test_a_reply_is_the_models_json() -> None:
    assert to_json(Line(sku="a", count=2)) == b'{"sku":"a","count":2}'


async def test_models_are_arguments_results_and_state(tmp_path: Path) -> None:
    order = Order(number=7, lines=[Line(sku="tea", count=2)])
    async with Runtime(tmp_path, actors=[Shop]) as rt:
        shop = rt.get(Shop, "s")
        assert await shop.place(order) == 1
        order.lines[0].count = 99  # passed by value: this changes nothing
    async with Runtime(tmp_path, actors=[Shop]) as rt:
        found = await rt.get(Shop, "s").find(7)
        assert [Line(sku="tea", count=2)] == found.lines
        with pytest.raises(InvalidArguments, match=r"order: expected \S*Order, got dict"):
            await rt.get(Shop, "s").place({"number": 1})  # type: ignore[arg-type]


async def test_a_change_inside_a_model_is_stored(tmp_path: Path) -> None:
    class Deep(DurableObject):
        order: Order = Order(lines=[Line(sku="a", count=1)])

        async def more(self) -> int:
            self.order.lines[0].count += 1
            return self.order.lines[0].count

    async with Runtime(tmp_path, actors=[Deep]) as rt:
        assert await rt.get(Deep, "d").more() == 2
    async with Runtime(tmp_path, actors=[Deep]) as rt:
        assert await rt.get(Deep, "d").more() == 3


async def test_a_stored_model_that_no_longer_validates_asks_for_a_migration(tmp_path: Path) -> None:
    class Small(DurableObject):
        line: Line = Line(sku="a", count=1)

        async def put(self, line: Line) -> None:
            self.line = line

    async with Runtime(tmp_path, actors=[Small]) as rt:
        await rt.get(Small, "s").put(Line(sku="a", count=5))

    class Narrow(BaseModel):
        sku: str
        count: int = Field(le=3)

    narrow = type("Small", (Small,), {"__annotations__": {"line": Narrow}})
    narrow.line = Narrow(sku="a", count=1)  # type: ignore[attr-defined]
    async with Runtime(tmp_path, actors=[narrow]) as rt:
        with pytest.raises(SchemaMismatch, match=r"less than or equal to 3"):
            await rt.get(narrow, "s").put(Line(sku="a", count=1))


def test_the_openapi_document_has_the_models_schemas() -> None:
    described = msgspec.json.decode(document([ActorType(Shop, [])]))
    body = described["paths"]["/actors/Shop/{name}/place"]["post"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    order = schema["anyOf"][0]["properties"]["order"]
    line = {"$ref": "#/components/schemas/Line"}
    assert line == order["properties"]["lines"]["items"]
    assert described["components"]["schemas"]["Line"]["properties"]["count"]["minimum"] == 1


async def test_storage_keeps_what_a_type_says(tmp_path: Path) -> None:
    class Keys(DurableObject):
        async def put(self) -> None:
            await self.ctx.storage.put("a", Line(sku="tea", count=2), type=Line)
            await self.ctx.storage.put("n", 500)

        async def got(self) -> tuple[Line | None, Line, list[str]]:
            storage = self.ctx.storage
            missing = Line(sku="none", count=1)
            listed = await storage.list(prefix="a", type=Line)
            found = await storage.get("a", type=Line)
            return found, await storage.get("b", missing, type=Line), list(listed)

        async def wrong(self, key: str) -> object:
            return await self.ctx.storage.get(key, type=Decimal)

    async with Runtime(tmp_path, actors=[Keys]) as rt:
        keys = rt.get(Keys, "k")
        await keys.put()
        missing = Line(sku="none", count=1)
        assert (Line(sku="tea", count=2), missing, ["a"]) == await keys.got()
        for key in "an":
            with pytest.raises(StateInvalid, match=f"stored value of '{key}' does not fit"):
                await keys.wrong(key)
