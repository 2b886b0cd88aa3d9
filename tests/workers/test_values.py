"""Values between objects: what arrives, and what is refused."""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import pytest

from wakeful.workers import values
from wakeful.workers.proxies import DataCloneError, JsArray, JsArrayBuffer, JsDict, JsException
from wakeful.workers.values import arguments, copied, js_string, sent


class Colour(StrEnum):
    RED = "red"


@dataclass
class Point:
    x: int


def refuse(value: Callable[..., object]) -> object:
    raise AssertionError("nothing here is a function")


@pytest.mark.parametrize(
    ("value", "arrives", "as_type"),
    [
        (None, None, type(None)),
        (True, True, bool),
        (42, 42, int),
        (2**70, 2**70, int),
        (1.5, 1.5, float),
        (2.0, 2, int),
        (float(2**53), float(2**53), float),
        ("text", "text", str),
        (Colour.RED, "red", str),
        (b"ab", b"ab", JsArrayBuffer),
        (memoryview(b"ab"), b"ab", JsArrayBuffer),
        ([1, [2.0]], [1, [2]], JsArray),
        ({"a": {"b": 1}}, {"a": {"b": 1}}, JsDict),
        (OrderedDict(a=1), {"a": 1}, JsDict),
        ({1, "a"}, {1, "a"}, set),
        ({1: "a", 1.5: "c", None: 2}, {"1": "a", "1.5": "c", "undefined": 2}, JsDict),
        (JsArray([1]), [1], JsArray),
    ],
)
def test_arrives(value: object, arrives: object, as_type: type) -> None:
    for result in (copied(value), sent(value, refuse)):
        assert (result, type(result)) == (arrives, as_type)


def test_special_numbers_keep_what_makes_them_special() -> None:
    nan, zero, infinity = copied([math.nan, -0.0, math.inf])
    assert math.isnan(nan)
    assert math.copysign(1, zero) == -1
    assert infinity == math.inf


def test_containers_are_copied() -> None:
    inner: list[object] = []
    value = {"inner": inner, "set": {1}}
    result = copied(value)
    inner.append(1)
    assert result == {"inner": [], "set": {1}}
    assert result.inner == []
    assert isinstance(result.to_py(), dict)
    assert type(copied({"a": {"b": {}}}).to_py()["a"]["b"]) is dict


def test_datetimes_are_naive_local_milliseconds() -> None:
    moment = datetime(2026, 3, 1, 12, 30, 5, 123_987)
    assert copied(moment) == moment.replace(microsecond=123_000)
    aware = datetime(2026, 3, 1, 12, 30, tzinfo=timezone(timedelta(hours=5)))
    assert copied(aware).tzinfo is None
    assert copied(aware).timestamp() == aware.timestamp()


def test_exceptions_arrive_as_their_text() -> None:
    for error in (ValueError("boom"), JsException("boom", "RangeError")):
        arrived = copied([error])[0]
        assert (type(arrived), str(arrived)) == (Exception, "boom")


def test_bytes_answer_as_a_memoryview_and_as_a_buffer() -> None:
    data = copied(b"\x00ab")
    assert (data.tobytes(), data.to_bytes(), bytes(data.to_py())) == (b"\x00ab",) * 3
    assert (data.byteLength, data.nbytes, len(data)) == (3, 3, 3)
    assert data[1:] == b"ab"
    assert data.to_string() == "\x00ab"


async def coroutine() -> None: ...


@pytest.mark.parametrize("value", [(1, 2), bytearray(b"a"), [(1,)], {"a": {"b": (1,)}}, {(1,)}])
def test_tuples_and_bytearrays_are_a_type_error(value: object) -> None:
    for convert in (copied, lambda value: sent(value, refuse)):
        with pytest.raises(TypeError, match=r"cannot be sent over RPC\.$") as raised:
            convert(value)
        assert not isinstance(raised.value, JsException)


def test_awaitables_are_a_type_error() -> None:
    work = coroutine()
    with pytest.raises(TypeError, match="Awaitable"):
        sent([work], refuse)
    work.close()


@pytest.mark.parametrize("value", [Point(1), 1 + 2j, range(3), object(), int, frozenset({1})])
def test_what_has_no_copy_is_a_data_clone_error(value: object) -> None:
    name = type(value).__name__
    for convert in (copied, lambda value: sent(value, refuse)):
        with pytest.raises(JsException) as raised:
            convert({"a": [value]})
        assert raised.value.name == "DataCloneError"
        assert raised.value.message == (
            f'Could not serialize object of type "{name}". '
            "This type does not support serialization."
        )


def test_functions_travel_in_calls_and_are_not_stored() -> None:
    def hello() -> str:
        return "hi"

    assert sent({"say": hello}, lambda function: ("exported", function)) == {
        "say": ("exported", hello)
    }
    with pytest.raises(DataCloneError):
        copied(hello)


def test_some_objects_know_how_they_travel() -> None:
    class Stub:
        def __wakeful_transfer__(self) -> str:
            return "moved"

    assert sent([Stub()], refuse) == ["moved"]
    with pytest.raises(DataCloneError):
        copied(Stub())


def test_a_value_that_contains_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(DataCloneError, match="contains itself"):
        copied(value)


def test_named_arguments_are_one_object_at_the_end() -> None:
    assert arguments((1,), {}) == (1,)
    assert arguments((1,), {"b": 2, "c": 3}) == (1, {"b": 2, "c": 3})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "undefined"),
        (True, "true"),
        (7, "7"),
        (-1.5, "-1.5"),
        (5.0, "5"),
        (0.1, "0.1"),
        (-0.0, "0"),
        (1e21, "1e+21"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e-7, "1e-7"),
        (1.5e-9, "1.5e-9"),
        (0.000001, "0.000001"),
        (2**53, "9007199254740992"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        ([1, None, [2, "a"]], "1,,2,a"),
        ({"a": 1}, "[object Object]"),
        (b"ab", "97,98"),
        ({1}, "[object Set]"),
        (
            datetime(2024, 2, 29, 13, 34, 56, 789000, timezone(timedelta(hours=1))),
            "Thu Feb 29 2024 12:34:56 GMT+0000 (Coordinated Universal Time)",
        ),
        (ValueError("said"), "Error: said"),
        (JsException("said", name="RangeError"), "RangeError: said"),
        (ValueError(), "Error"),
    ],
)
def test_text_is_what_javascript_makes_of_it(value: object, text: str) -> None:
    assert js_string(value) == text


def test_points_in_time() -> None:
    assert values.milliseconds(datetime(1970, 1, 2, tzinfo=UTC)) == 86_400_000
    assert values.milliseconds(12.5) == 12.5
    moment = values.from_milliseconds(86_400_000)
    assert (moment.tzinfo, values.milliseconds(moment)) == (None, 86_400_000)
    for bad in (math.nan, "tomorrow", None, True):
        with pytest.raises(TypeError, match="not a valid Date"):
            values.milliseconds(bad)
