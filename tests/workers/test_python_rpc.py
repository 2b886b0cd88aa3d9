"""What calls carry between objects, and what they leave behind: row I14, from Python."""

import asyncio
import collections
import enum
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.workers.running import methods, raised, running, virtual

from wakeful.workers.proxies import DataCloneError, JsException

THING = methods(
    """
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.kept = []

    async def take(self, *values):
        return [[type(value).__name__ for value in values], list(values)]

    async def keep(self, value):
        await asyncio.sleep(1)
        self.kept.append(value)
        return self.kept

    def give(self):
        return self.kept

    async def defaults(self, a, b=2, *, c=3):
        return [a, b, c]

    async def options(self, first, options=None):
        return [first, options.more if options else None]

    async def run(self, code):
        return eval(code, globals(), {"self": self})

    async def call(self, function, *values, **named):
        return await function(*values, **named)

    async def forward(self, name, function):
        return await self.env.OBJECT.getByName(name).call(function, 2)

    async def counter(self):
        count = 0
        def add(by=1, options=None):
            nonlocal count
            count += by
            return count if options is None else [count, options]
        async def slowly(by):
            await asyncio.sleep(1)
            return add(by)
        return {"add": add, "others": [slowly, self.give]}

    async def ask(self, stub, code):
        return await stub.run(code)

    async def stubs(self):
        return {"other": [self.env.OBJECT.getByName("other")], "id": self.ctx.id}

    async def abort(self):
        self.ctx.abort("gone")

    async def block(self, function):
        async def work():
            return await function(5)
        return await self.ctx.blockConcurrencyWhile(work)
    """
)


class Colour(enum.StrEnum):
    RED = "red"


Point = collections.namedtuple("Point", "x")

ARRIVE: list[tuple[object, str, object]] = [
    (None, "NoneType", None),
    (True, "bool", True),
    (42, "int", 42),
    (2**64, "int", 2**64),
    (1.5, "float", 1.5),
    (2.0, "int", 2),
    ("é\ud800", "str", "é\ud800"),
    (b"\0x", "JsArrayBuffer", b"\0x"),
    (memoryview(b"x"), "JsArrayBuffer", b"x"),
    ({1: {"a": (None)}}, "JsDict", {"1": {"a": None}}),
    (collections.Counter("aab"), "JsDict", {"a": 2, "b": 1}),
    ([[], [1, [b"x"]]], "JsArray", [[], [1, [b"x"]]]),
    ({1, "a", None}, "set", {1, "a", None}),
    (datetime(2026, 1, 2, 3, 4, 5, 678_901), "datetime", datetime(2026, 1, 2, 3, 4, 5, 678_000)),
    (datetime(2026, 1, 1, tzinfo=UTC), "datetime", datetime.fromtimestamp(1767225600)),
    (Colour.RED, "str", "red"),
    (enum.IntEnum("Number", "ONE").ONE, "int", 1),
]
REFUSED: list[tuple[object, type[Exception]]] = [
    ((1, 2), TypeError),
    (Point(1), TypeError),
    ([{"a": (1,)}], TypeError),
    (bytearray(b"x"), TypeError),
    (object(), DataCloneError),
    (1j, DataCloneError),
    (range(3), DataCloneError),
    (frozenset({1}), DataCloneError),
    (collections.deque([1]), DataCloneError),
    (datetime(2026, 1, 1).date(), DataCloneError),
    (enum.Enum("Plain", "ONE").ONE, DataCloneError),
    (iter([1]), DataCloneError),
    (int, DataCloneError),
    (BaseException("x"), DataCloneError),
    (asyncio.Lock(), DataCloneError),
    ({(1,): 2}, DataCloneError),
]


@virtual
async def test_values_arrive_and_come_back(tmp_path: Path) -> None:
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        for value, name, arrives in ARRIVE:
            assert await stub.take(value) == [[name], [arrives]], value
            [back] = await stub.take({"in": [value]}) and (await stub.take(value))[1]
            assert type(back).__name__ == name
        names, [error, nested] = await stub.take(KeyError("k"), [ExceptionGroup("g", [OSError(5)])])
        assert names == ["Exception", "JsArray"]
        assert [str(error), str(nested[0])] == ["'k'", "g (1 sub-exception)"]
        [not_a_number, zero] = (await stub.take(math.nan, -0.0))[1]
        assert math.isnan(not_a_number)
        assert math.copysign(1, zero) == -1


@virtual
async def test_what_cannot_be_sent_is_refused_before_anything_is(tmp_path: Path) -> None:
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        for value, kind in REFUSED:
            with pytest.raises(kind):
                stub.keep(value)
            with pytest.raises(kind):
                stub.keep(1, more=value)
        assert await stub.give() == []


@virtual
async def test_nothing_is_shared(tmp_path: Path) -> None:
    """Arguments are copied when the call is made, results when the method ends."""
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        value: dict[str, Any] = {"a": [1]}
        call = stub.keep(value)
        value["a"].append(2)
        first = await call
        assert first == [{"a": [1]}]
        first[0]["a"].append(3)
        first.append(4)
        assert await stub.give() == [{"a": [1]}]
        assert (await call)[0].a == [1, 3]  # the same answer, awaited again


@virtual
async def test_arguments_by_name_are_one_object_at_the_end(tmp_path: Path) -> None:
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        assert await stub.defaults(1) == [1, 2, 3]
        assert await stub.defaults(1, b=5) == [1, {"b": 5}, 3]
        assert await stub.defaults(a=1) == [{"a": 1}, 2, 3]
        assert await stub.options(1, more=[2]) == [1, [2]]
        assert isinstance(await raised(stub.defaults(1, 2, 3)), TypeError)


@virtual
async def test_functions_are_called_where_they_live(tmp_path: Path) -> None:
    async with running(tmp_path, THING) as worker:
        stub, other = worker.stub(), worker.stub("other")
        given = await stub.counter()
        add, [slowly, give] = given.add, given["others"]
        assert [await add(), await add(2), await slowly(3), await give()] == [1, 3, 6, []]
        assert await add(0, unit="x") == [6, {"unit": "x"}]
        assert await other.call(add, 4) == await stub.call(add, 0) == 10
        assert await other.forward("third", add) == 12
        assert await stub.block(lambda value: value + 1) == 6
        assert await asyncio.gather(add(), add()) == [13, 14]
        assert await stub.call(functools_partial(max, 3), 5) == 5
        error = await raised(add("x"))
        assert (error.name, error.remote) == ("TypeError", True)
        assert isinstance(await raised(stub.call(lambda: (1, 2))), TypeError)
        await raised(stub.abort())
        assert isinstance(await raised(add()), JsException)


def functools_partial(function: Any, *values: Any) -> Any:
    class Callable:
        def __call__(self, *more: Any) -> Any:
            return function(*values, *more)

    return Callable()


@virtual
async def test_errors_keep_their_name_through_functions_and_objects(tmp_path: Path) -> None:
    async with running(tmp_path, THING) as worker:

        def fail() -> None:
            raise LookupError("here")

        for call in (worker.stub().call(fail), worker.stub().forward("b", lambda _: fail())):
            error = await raised(call)
            assert (error.name, error.message, error.remote) == ("LookupError", "here", True)
        error = await raised(worker.stub().ask(worker.stub("c"), "1 / 0"))
        assert (error.name, error.message) == ("ZeroDivisionError", "division by zero")


@virtual
async def test_stubs_and_ids_travel(tmp_path: Path) -> None:
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        assert await stub.ask(worker.stub("b"), "self.ctx.id.name") == "b"
        sent = await stub.stubs()
        assert sent.id.equals(worker.env.OBJECT.idFromName("a"))
        [other] = sent.other
        assert (other.name, await other.run("self.ctx.id.name")) == ("other", "other")
        for code in ("self.ctx", "self.env", "self.ctx.storage", "self.env.OBJECT", "workers"):
            error = await raised(stub.run(code))
            assert isinstance(error, DataCloneError), code


@virtual
async def test_what_the_web_knows_travels(tmp_path: Path) -> None:
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        kinds = {
            "Response('x', 201)": "Response",
            "workers.Request('http://h', method='PUT', body='x')": "Request",
            "workers.Blob('x', 't/p')": "Blob",
            "workers.File('x', 'n.txt')": "File",
        }
        for code, kind in kinds.items():
            got = await stub.run(code)
            assert (type(got).__name__, await got.text()) == (kind, "x")
        form = await stub.run("workers.FormData({'a': '1', 'f': workers.File('x', 'n.txt')})")
        assert (form["a"], form["f"].name) == ("1", "n.txt")
        assert (await stub.run("workers.Headers({'A': '1'})"))["a"] == "1"
        nested = await stub.run("[Response('x'), {'y': Response('y')}]")
        assert await nested[1].y.text() == "y"
