"""An error reaches its caller by value: of the same class if that can be named, made anew."""

from __future__ import annotations

import decimal
from dataclasses import dataclass
from decimal import InvalidOperation
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.world import outcome, runtime, virtual

from wakeful import (
    ActorBuilder,
    ActorRaised,
    Call,
    CallError,
    ConfigError,
    DurableObject,
    Facet,
    Overloaded,
    Retry,
)
from wakeful.error_values import by_value, named_errors
from wakeful.facets.virtual import VirtualActorConfig


class Sold(CallError):
    """The seat is sold."""

    http = 409
    retry = Retry.NEVER

    def __init__(self, seat: int, *, to: list[str]) -> None:
        super().__init__(f"seat {seat} is sold")
        self.seat = seat
        self.to = to


class Broken(Exception):
    """A class with a constructor like nobody else's."""

    def __init__(self, part: str) -> None:
        super().__init__(f"the {part} is broken", part)
        self.part = part

    def __reduce__(self) -> Any:
        return Broken, (self.part,)

    def __str__(self) -> str:
        return f"<{self.part}>"


class Lost(FileNotFoundError):
    def __init__(self, path: str) -> None:
        super().__init__(2, "lost", path)
        self.looked_for = path


@dataclass
class Seat:
    row: int


class Shop(DurableObject):
    """Raises what it is asked for."""

    items: list[int] = []

    class Closed(Exception):
        """Named by the class."""

    async def fail(self, what: str) -> None:
        self.items.append(1)
        raise self._made(what)

    async def fail_with_items(self) -> None:
        self.items.append(1)
        raise ValueError(self.items)

    async def items_now(self) -> list[int]:
        return self.items

    async def pass_on(self, what: str) -> None:
        await self.ctx.get(Shop, "other").fail(what)

    def _made(self, what: str) -> Exception:
        class Local(Exception):
            """Nobody can name it."""

        return {
            "value": ValueError("no", 1, {"deep": [(1, 2)]}),
            "key": KeyError("x"),
            "os": OSError(2, "No such file", "a.txt"),
            "unicode": UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
            "group": ExceptionGroup("both", [ValueError("a"), Local("b")]),
            "sold": Sold(7, to=["ada"]),
            "broken": Broken("wheel"),
            "lost": Lost("b.txt"),
            "closed": Shop.Closed("on Sundays"),
            "imported": InvalidOperation("1/0"),
            "overloaded": Overloaded("enough", retry_after_ns=7),
            "local": Local("secret"),
            "live": ValueError(self),
            "by_module": decimal.Overflow("big"),
            "holding": _holding(),
        }[what]


def _holding() -> CallError:
    error = Sold(8, to=[])
    error.to = Path("x")  # type: ignore[assignment]
    return error


SAME = ("value", "key", "os", "unicode", "sold", "broken", "lost", "closed", "imported")


@virtual
@pytest.mark.parametrize("what", [*SAME, "overloaded"])
@pytest.mark.parametrize("method", ["fail", "pass_on"])
async def test_what_can_be_named_comes_as_itself_made_anew(method: str, what: str) -> None:
    original = Shop._made(None, what)  # type: ignore[arg-type]
    async with runtime(Shop) as rt:
        error = await outcome(getattr(rt.get(Shop, "s"), method)(what))
    assert type(error) is type(original)
    assert (str(error), repr(error)) == (str(original), repr(original))
    assert isinstance(error, Exception)
    assert (error.args, vars(error)) == (original.args, vars(original))


async def _caught(what: str) -> Any:
    async with runtime(Shop) as rt:
        return await outcome(rt.get(Shop, "s").fail(what))


@virtual
async def test_what_a_built_in_error_holds_beside_its_arguments_comes_with_it() -> None:
    error = await _caught("os")
    assert (error.errno, error.filename) == (2, "a.txt")
    lost = await _caught("lost")
    assert (lost.errno, lost.filename, lost.looked_for) == (2, "b.txt", "b.txt")
    assert (await _caught("unicode")).object == b"\xff"
    error = ValueError("x")
    error.add_note("a note")
    assert by_value(error, ()).__notes__ == ["a note"]


@virtual
@pytest.mark.parametrize(
    ("what", "name", "message"),
    [
        ("local", "Local", "secret"),
        ("by_module", "Overflow", "big"),
        ("live", "ValueError", "<Shop/s>"),
    ],
)
async def test_what_cannot_be_named_or_is_no_data_comes_by_name_and_message(
    what: str, name: str, message: str
) -> None:
    error = await _caught(what)
    assert type(error) is ActorRaised
    assert (error.type_name, error.message) == (name, message)


@virtual
async def test_a_group_comes_with_what_its_members_are_by_value() -> None:
    group = await _caught("group")
    assert type(group) is ExceptionGroup
    assert [type(each) for each in group.exceptions] == [ValueError, ActorRaised]


@virtual
async def test_an_error_made_for_callers_comes_without_what_is_no_plain_value() -> None:
    error = await _caught("holding")
    assert type(error) is Sold
    assert vars(error) == {"seat": 8}


@virtual
async def test_an_error_shares_nothing_with_its_actor() -> None:
    async with runtime(Shop) as rt:
        ref = rt.get(Shop, "s")
        error = await outcome(ref.fail_with_items())
        assert isinstance(error, ValueError)
        error.args[0].append(2)
        assert await ref.items_now() == []


@virtual
async def test_the_traceback_still_leads_to_the_line_that_raised() -> None:
    error = await _caught("value")
    names = []
    traceback = error.__traceback__
    while traceback is not None:
        names.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    assert names[-1] == "fail"
    assert (error.__cause__, error.__suppress_context__) == (None, False)


class Forbidden(CallError):
    http = 403


class Door(Facet):
    def before(self, call: Call) -> None:
        if call.args == ("key",):
            raise KeyMissing("none")
        raise Forbidden("you may not")


class KeyMissing(Exception):
    """Named by the module of the facet."""


@virtual
async def test_what_a_facet_raises_is_named_by_its_module() -> None:
    builder = ActorBuilder(Shop).with_facet(Door())
    spec = builder.with_virtual_actor(VirtualActorConfig()).build()
    async with runtime(spec) as rt:
        assert type(await outcome(rt.get(Shop, "s").fail("value"))) is Forbidden
        assert type(await outcome(rt.get(Shop, "s").fail("key"))) is KeyMissing
        assert KeyMissing in rt.host.types["Shop"].named_errors()


def test_an_error_that_cannot_be_made_or_shown_is_told_all_the_same() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    told = by_value(Silent("x"), {Silent})
    assert type(told) is Silent
    told = by_value(Silent(object()), {Silent})
    assert isinstance(told, ActorRaised)
    assert (told.type_name, told.message) == ("Silent", "")


def test_errors_are_named_by_class_bases_and_modules() -> None:
    named = named_errors([Shop])
    assert {Sold, Broken, Lost, Shop.Closed, InvalidOperation, KeyMissing} <= named
    assert decimal.Overflow not in named


def test_an_error_of_ones_own_has_a_code_of_its_own() -> None:
    class SeatTaken(CallError):
        """The seat is taken."""

        http = 409

    class Chosen(CallError):
        code = "mine"

    assert (SeatTaken.code, SeatTaken.http, SeatTaken.retry) == ("seat_taken", 409, Retry.NEVER)
    assert Chosen.code == "mine"


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"http": 200}, "http is a status from 400 to 599, not 200"),
        ({"http": "409"}, "http is a status from 400 to 599, not '409'"),
        ({"retry": "never"}, "retry is a wakeful.Retry, not 'never'"),
        ({"code": "Not Found"}, "code is lower-case words joined by _, not 'Not Found'"),
    ],
)
def test_an_error_class_that_cannot_be_told_is_refused(
    attributes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"Wrong: {message}"):
        type("Wrong", (CallError,), attributes)
