"""Numbers, texts and symbols of the module `js`: the facts are what Node.js says."""

import math
from typing import Any

import pytest
from tests.workers.environments import Recorded

from wakeful.workers.proxies import JsRangeError, JsTypeError, JsURIError
from wakeful.workers.shims.workers_module import shim_modules

NAN = math.nan
INF = math.inf


@pytest.fixture(scope="module")
def js() -> Any:
    return shim_modules(Recorded().environment)["js"]


def same(one: object, other: object) -> bool:
    """Equal, of one type, and NaN is NaN."""
    return type(one) is type(other) and (one == other or (one != one and other != other))


@pytest.mark.parametrize(
    ("given", "whole", "real", "number"),
    [
        ("", NAN, NAN, 0),
        ("  12 ", 12, 12, 12),
        ("12px", 12, 12, NAN),
        ("-12.9px", -12, -12.9, NAN),
        ("0x1F", 31, 0, 31),
        ("-0x1", -1, -0.0, NAN),
        ("0b101", 0, 0, 5),
        ("0o17", 0, 0, 15),
        ("1e3", 1, 1000, 1000),
        ("1e400", 1, INF, INF),
        ("1e", 1, 1, NAN),
        (".5", NAN, 0.5, 0.5),
        ("5.", 5, 5, 5),
        ("-Infinity", NAN, -INF, -INF),
        ("infinity", NAN, NAN, NAN),  # Python reads this, and the next three
        ("nan", NAN, NAN, NAN),
        ("1_0", 1, 1, NAN),
        ("\u0663", NAN, NAN, NAN),
        ("\ufeff 7\u2003", 7, 7, 7),
        ("\x1c7", NAN, NAN, NAN),  # which Python takes for space
        ("9007199254740993", 9007199254740992.0, 9007199254740992.0, 9007199254740992.0),
        ("1" + "0" * 400, INF, INF, INF),
        ("- 1", NAN, NAN, NAN),
        (None, NAN, NAN, NAN),
        (True, NAN, NAN, 1),
        (2.5, 2, 2.5, 2.5),
        ([5], 5, 5, 5),
        ({}, NAN, NAN, NAN),
    ],
)
def test_numbers_are_read(js: Any, given: object, whole: Any, real: Any, number: Any) -> None:
    assert same(js.parseInt(given), whole)
    assert same(js.parseFloat(given), real)
    assert same(js.Number(given), number)
    assert same(js.Number.new(given), number)


@pytest.mark.parametrize(
    ("text", "radix", "number"),
    [
        *(("ff", 16, 255), ("0xff", 16, 255), ("0xff", 10, 0), ("zz", 36, 1295), ("12", 2, 1)),
        *(("11", 0, 11), ("11", 1, NAN), ("11", 37, NAN), ("11", 16.9, 17), ("11", 2**32 + 2, 3)),
    ],
)
def test_parse_int_with_a_base(js: Any, text: str, radix: Any, number: Any) -> None:
    assert same(js.parseInt(text, radix), number)


def test_what_is_no_number(js: Any) -> None:
    assert [js.isNaN(v) for v in ("x", NAN, None, "1", "")] == [True, True, True, False, False]
    assert [js.isFinite(v) for v in (1, "1", INF, "x")] == [True, True, False, False]
    assert [js.Number.isNaN(v) for v in (NAN, "x", 1)] == [True, False, False]
    assert [js.Number.isInteger(v) for v in (1, 1.0, 1.5, "1", True, INF)] == [
        *(True, True, False, False, False, False)
    ]
    assert [js.Number.isSafeInteger(v) for v in (2**53 - 1, 2**53)] == [True, False]
    assert [js.Number.isFinite(v) for v in (1, INF, "1")] == [True, False, False]
    assert (js.Infinity, -js.Infinity, js.NaN != js.NaN) == (INF, -INF, True)


@pytest.mark.parametrize(
    ("name", "args", "result"),
    [
        *(("sqrt", [-1], NAN), ("log", [0], -INF), ("log", [-1], NAN), ("log1p", [-1], -INF)),
        *(("round", [-2.5], -2), ("round", [2.5], 3), ("round", [0.49999999999999994], 0)),
        *(("ceil", [INF], INF), ("floor", ["2.7"], 2), ("trunc", [-2.7], -2), ("abs", [None], NAN)),
        *(("exp", [1000], INF), ("cosh", [-1e300], INF), ("sinh", [-1e300], -INF)),
        *(("pow", [-8, 1 / 3], NAN), ("pow", [0, -1], INF), ("pow", [-10, 401], -INF)),
        *(("pow", [1, INF], NAN), ("pow", [2, 10], 1024), ("atanh", [-1], -INF)),
        *(("max", [], -INF), ("min", [1, NAN], NAN), ("max", [1, "3", 2], 3), ("hypot", [3, 4], 5)),
        *(("sign", [-3], -1), ("clz32", [1], 31), ("imul", [0xFFFFFFFF, 5], -5)),
        *(("fround", [5.05], 5.050000190734863), ("fround", [1e300], INF), ("cbrt", [27], 3)),
    ],
)
def test_math(js: Any, name: str, args: list[object], result: Any) -> None:
    assert same(getattr(js.Math, name)(*args), result)


def test_texts_and_truth(js: Any) -> None:
    assert (js.String(1e21), js.String(None), js.String([1, [2]]), js.String.new(True)) == (
        *("1e+21", "undefined", "1,2"),
        "true",
    )
    assert js.String.fromCharCode(0x68, 0xD83D, 0xDE00, 65601) == "h\U0001f600A"
    assert js.String.fromCodePoint(0x1F600, 0xD800) == "\U0001f600\ud800"
    with pytest.raises(JsRangeError, match="Invalid code point -1"):
        js.String.fromCodePoint(-1)
    false = [None, False, 0, -0.0, NAN, ""]
    true = [True, 1, "0", [], {}, js.Object.new(), INF]
    assert [js.Boolean(v) for v in false] == [False] * len(false)
    assert [js.Boolean.new(v) for v in true] == [True] * len(true)


def test_symbols(js: Any) -> None:
    one, other = js.Symbol("x"), js.Symbol("x")
    assert one != other
    assert (one.description, one.toString(), js.String(one)) == ("x", "Symbol(x)", "Symbol(x)")
    assert js.Symbol().description is None
    assert js.Symbol.iterator.toString() == "Symbol(Symbol.iterator)"
    registered = getattr(js.Symbol, "for")("k")
    assert registered is js.Symbol.for_("k")
    assert (js.Symbol.keyFor(registered), js.Symbol.keyFor(one)) == ("k", None)
    assert {one: 1}[one] == 1
    for wrong in (lambda: js.Symbol.new("x"), lambda: js.Number(one)):
        with pytest.raises(JsTypeError, match="Symbol"):
            wrong()


def test_symbols_that_a_worker_registers_are_its_own(js: Any) -> None:
    other = shim_modules(Recorded().environment)["js"]
    assert js.Symbol.for_("k") is not other.Symbol.for_("k")
    assert js.Symbol.iterator is other.Symbol.iterator


def test_reflect(js: Any) -> None:
    made, array, url = js.Object.new(a=1), js.Array.of(1, 2), js.URL.new("http://h/x")
    assert [js.Reflect.get(made, "a"), js.Reflect.get(array, "1"), js.Reflect.get(url, "host")] == [
        *(1, 2, "h")
    ]
    assert js.Reflect.get(made, "none") is None
    assert (js.Reflect.set(made, "b", 2), made.b) == (True, 2)
    assert (js.Reflect.set(url, "pathname", "/y"), url.href) == (True, "http://h/y")
    assert js.Reflect.set(url, "origin", "x") is False
    assert (js.Reflect.set(array, 2, 3), array) == (True, [1, 2, 3])
    assert [
        js.Reflect.has(made, "a"),
        js.Reflect.has(array, 3),
        js.Reflect.has(array, "length"),
    ] == [*(True, False, True)]
    assert (js.Reflect.deleteProperty(made, "a"), js.Reflect.ownKeys(made)) == (True, ["b"])
    assert js.Reflect.ownKeys(array) == ["0", "1", "2", "length"]
    assert js.Reflect.apply(max, None, [1, 3]) == 3
    assert js.Reflect.construct(js.URL, ["http://k"]).href == "http://k/"


def test_arrays_of_places(js: Any) -> None:
    assert (js.Array.new(3), js.Array.new("3"), js.Array.new(1, 2)) == ([None] * 3, ["3"], [1, 2])
    assert js.Array.new(2).length == 2
    for wrong in (-1, 1.5, INF, 2**32):
        with pytest.raises(JsRangeError, match="Invalid array length"):
            js.Array.new(wrong)


def test_escapes_of_a_url(js: Any) -> None:
    assert js.decodeURI("a%20%2fb%3F%C3%A9%2B") == "a %2fb%3Fé%2B"
    for wrong in ("%C3%2F", "%", "%zz"):
        with pytest.raises(JsURIError, match="URI malformed"):
            js.decodeURI(wrong)
