"""A class compiled: which methods, how arguments are checked, what is worked out beforehand."""

import asyncio
import socket
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.runtime.world import runtime, virtual

from wakeful import (
    Actor,
    AlarmInfo,
    ConfigError,
    DurabilityFacet,
    DurableObject,
    InvalidArguments,
    UnknownMethod,
)
from wakeful.actor_type import ActorType


class Shop(Actor):
    async def straight(self, a: int, b: list[str]) -> int:
        return a + len(b)

    async def waits(self) -> None:
        await asyncio.sleep(0)

    async def waits_in_a_loop(self) -> None:
        async for _ in _nothing():
            pass

    async def waits_in_a_block(self) -> None:
        async with asyncio.Lock():
            pass

    async def gathers_a_list(self) -> list[int]:
        return [n async for n in _nothing()]

    async def makes_a_coroutine(self) -> None:
        async def inner() -> None:
            await asyncio.sleep(0)

        inner().close()

    async def only(self, *, name: str = "x") -> str:
        return name


async def _nothing() -> Any:
    for number in ():
        yield number


def shop() -> ActorType:
    return ActorType(Shop, [])


def test_only_a_method_without_await_is_straight() -> None:
    straight = {name for name, plan in shop().methods.items() if plan.straight}
    assert straight == {"straight", "makes_a_coroutine", "only"}


def test_arguments_from_json_are_converted_by_the_signature() -> None:
    plan = shop().method("straight")
    assert plan.from_json([1, ["a"]], {}) == ((1, ["a"]), {})
    assert plan.from_json([1], {"b": []}) == ((1,), {"b": []})


@pytest.mark.parametrize(
    ("args", "kwargs", "message", "name"),
    [
        ([1, [], 3], {}, "at most 2 positional arguments, 3", None),
        (["1", []], {}, "a: .*expected int", "a"),
        ([1, [2]], {}, r"b: .*expected str.*\[0\]", "b"),
        ([1], {}, "is missing 'b'", "b"),
        ([1, []], {"a": 1}, "got 'a' twice", "a"),
        ([1, []], {"c": 1}, "no parameter 'c'; its parameters: a, b", "c"),
    ],
)
def test_json_that_does_not_fit_is_refused_with_the_parameter(
    args: list[object], kwargs: dict[str, object], message: str, name: str | None
) -> None:
    with pytest.raises(InvalidArguments, match=message) as caught:
        shop().method("straight").from_json(args, kwargs)
    assert caught.value.field == name


def test_a_method_without_parameters_takes_no_arguments() -> None:
    with pytest.raises(InvalidArguments, match=r"waits\(\) takes no positional arguments, 1 given"):
        shop().method("waits").from_json([1], {})


def test_argument_by_name_only_is_not_taken_by_position() -> None:
    with pytest.raises(InvalidArguments, match="by name only: name"):
        shop().method("only").from_json(["x"], {})


def test_unknown_method_says_why() -> None:
    for name, message in [
        ("nothing", "its methods: straight, waits"),
        ("_private", "private"),
        ("facets", "a ref gives methods only"),
    ]:
        with pytest.raises(UnknownMethod, match=message):
            shop().method(name)


@virtual
async def test_default_that_can_change_is_made_afresh_for_each_call() -> None:
    class Lists(DurableObject):
        async def take(self, first: int = 0, tags: list[str] = []) -> list[str]:  # noqa: B006
            tags.append("new")
            return tags

    async with runtime(Lists) as rt:
        for name in ("a", "b"):
            assert await rt.get(Lists, name).take() == ["new"]
            assert await rt.get(Lists, name).take(1) == ["new"]
            assert await rt.get(Lists, name).take(1, ["x"]) == ["x", "new"]
    plan = ActorType(Lists, []).method("take")
    assert plan.from_json([], {}) == ((), {"tags": []})
    assert plan.from_json([], {"tags": ["x"]}) == ((), {"tags": ["x"]})


def test_parameters_that_cannot_be_checked_are_refused() -> None:
    class Loose(Actor):
        async def take(self, *args: int) -> None: ...

    class Looser(Actor):
        async def take(self, **kwargs: int) -> None: ...

    for cls in (Loose, Looser):
        with pytest.raises(ConfigError, match=rf"{cls.__name__}\.take: \*args and \*\*kwargs"):
            ActorType(cls, [])


def test_annotation_that_cannot_be_used_names_method_and_parameter() -> None:
    class Takes(Actor):
        async def take(self, where: socket.socket) -> None: ...

    class Gives(Actor):
        async def give(self) -> socket.socket: ...

    class Unknown(Actor):
        async def take(self, what: "NoSuchName") -> None: ...  # type: ignore[name-defined] # noqa: F821

    class Broken(Actor):
        async def take(self, what: "int[") -> None: ...  # type: ignore[syntax] # noqa: F722

    for cls, message in [
        (Takes, r"Takes\.take\(where\): socket"),
        (Gives, r"Gives\.give: what it returns: socket"),
        (Unknown, r"Unknown\.take: .*NoSuchName"),
        (Broken, r"Broken\.take: an annotation cannot be resolved"),
    ]:
        with pytest.raises(ConfigError, match=message):
            ActorType(cls, [])


class Live(Actor):
    """Holds what cannot be stored, in public attributes."""

    conn: socket.socket | None = None
    unknown: "NoSuchName" = None  # type: ignore[name-defined] # noqa: F821
    items: list[Any] = []
    made: dict[str, int] = field(default_factory=dict)
    limit: int = field(default=5)

    async def open(self) -> list[Any]:
        self.conn = socket.socket()
        self.conn.close()
        self.items.append(1)
        self.made["x"] = 1
        return [self.items, self.made, self.limit]


@virtual
async def test_actor_that_keeps_nothing_may_annotate_what_cannot_be_stored() -> None:
    """Mutable defaults are each instance's own all the same."""
    async with runtime(Live) as rt:
        for _ in range(2):
            assert await rt.spawn(Live).open() == [[1], {"x": 1}, 5]


def test_actor_that_keeps_its_state_may_not() -> None:
    with pytest.raises(ConfigError, match=r"Live\.conn"):
        ActorType(Live, [DurabilityFacet()])


@dataclass
class Line:
    product: str
    amounts: list[int]


@virtual
async def test_structured_arguments_are_copied_and_checked_deeply() -> None:
    class Cart(DurableObject):
        lines: list[Line] = []

        async def put(self, line: Line) -> Line:
            self.lines.append(line)
            line.amounts.append(9)
            return line

    async with runtime(Cart) as rt:
        ref = rt.get(Cart, "c")
        mine = Line("tea", [1])
        assert await ref.put(mine) == Line("tea", [1, 9])
        assert mine == Line("tea", [1])
        with pytest.raises(InvalidArguments, match=r"line: expected int, got str at amounts\[0\]"):
            await ref.put(Line("tea", ["1"]))  # type: ignore[list-item]


@pytest.mark.parametrize("kind", ["told", "untold", "static", "any"])
async def test_an_alarm_handler_gets_the_information_if_it_takes_something(kind: str) -> None:
    told: list[object] = []

    class Told(Actor):
        async def alarm(self, info: AlarmInfo) -> None:
            told.append(info)

    class Untold(Actor):
        async def alarm(self) -> None:
            told.append(None)

    class Static(Actor):
        @staticmethod
        async def alarm() -> None:
            told.append(None)

    class Whatever(Actor):
        async def alarm(*args: object) -> None:
            told.append(args[-1])

    cls = {"told": Told, "untold": Untold, "static": Static, "any": Whatever}[kind]
    info = AlarmInfo(scheduled_ns=1, retries=0)
    await ActorType(cls, ()).run_alarm(cls(), info)
    assert told == [info if kind in ("told", "any") else None]
