"""ArrayBuffer, typed arrays and DataView of the module `js`: the facts are what Node.js says."""

import io
import math
from array import array
from collections.abc import Callable
from typing import Any

import pytest
from tests.workers.environments import Recorded

from wakeful.workers.proxies import JsArray, JsArrayBuffer, JsBytes, JsDict, JsException
from wakeful.workers.shims.workers_module import shim_modules
from wakeful.workers.values import cloned, copied, sent
from wakeful.workers.web.blobs import JsBlob
from wakeful.workers.web.requests import Request
from wakeful.workers.web.responses import Response

NAN = math.nan
INF = math.inf


@pytest.fixture(scope="module")
def modules() -> dict[str, Any]:
    return shim_modules(Recorded().environment)


@pytest.fixture(scope="module")
def js(modules: dict[str, Any]) -> Any:
    return modules["js"]


@pytest.mark.parametrize(
    ("name", "given", "items"),
    [
        ("Int8Array", [128, -129, 1e10, NAN, INF, -1.9, "0x10", True], "-128,127,0,0,0,-1,16,1"),
        ("Uint8Array", [300, -1, "7", None, 2.9], "44,255,7,0,2"),
        ("Uint8ClampedArray", [-1, 0.5, 1.5, 2.5, 300, NAN, "7"], "0,0,2,2,255,0,7"),
        ("Int16Array", [40000], "-25536"),
        ("Uint16Array", [-1, 65536.5], "65535,0"),
        ("Int32Array", [2**31, -(2**31) - 1], "-2147483648,2147483647"),
        ("Uint32Array", [-1, 2**32, 2**53], "4294967295,0,0"),
        ("Float32Array", [0.1, 1e300, NAN], "0.10000000149011612,Infinity,NaN"),
        ("Float64Array", [0.1, "1e3", None], "0.1,1000,NaN"),
        ("BigInt64Array", [2**63, -1, "12", True], "-9223372036854775808,-1,12,1"),
        ("BigUint64Array", [-1, 2**64], "18446744073709551615,0"),
    ],
)
def test_items_are_converted(js: Any, name: str, given: list[Any], items: str) -> None:
    made = getattr(js, name).new(given)
    assert (made.toString(), js.String(made)) == (items, items)
    assert made.constructor.name == name
    assert made.byteLength == len(given) * getattr(js, name).BYTES_PER_ELEMENT
    for place, value in enumerate(given):
        made[place] = value
    assert made.join() == items


def test_whole_items_are_ints_of_python(js: Any) -> None:
    made = js.Float64Array.new([1.0, 1.5])
    assert list(map(type, made)) == [int, float]
    assert (type(made[0]), made.at(-1), made.at(2)) == (int, 1.5, None)


def test_views_share_their_buffer(js: Any) -> None:
    buffer = js.ArrayBuffer.new(8)
    view = js.DataView.new(buffer)
    words, part = js.Uint16Array.new(buffer), js.Uint8Array.new(buffer, 2, 3)
    view.setUint16(2, 0x0102)
    view.setInt16(0, -2, True)
    assert (words[0], part.join(), part.byteOffset) == (0xFFFE, "1,2,0", 2)
    part.subarray(1)[0] = 9
    assert view.getUint8(3) == 9
    assert part.slice(1).set([5]) is None
    assert view.getUint8(3) == 9  # a slice is a copy
    assert part.buffer is buffer
    assert view.buffer is buffer
    assert bytes(buffer) == b"\xfe\xff\x01\x09\0\0\0\0"
    assert buffer.slice(2, 4) == b"\x01\x09"
    assert (js.ArrayBuffer.isView(view), js.ArrayBuffer.isView(buffer)) == (True, False)


def test_numbers_of_a_data_view(js: Any) -> None:
    view = js.DataView.new(js.ArrayBuffer.new(8))
    view.setFloat64(0, 0.1, True)
    assert (view.getUint32(0), view.getInt8(7), view.getBigUint64(0), view.getFloat32(0)) == (
        *(2593757593, 63, 11140104038263667007),
        -6.352746725754018e-23,
    )
    view.setBigInt64(0, -(2**63))
    view.setFloat32(4, 1e300)
    view.setUint8(1, 257)
    assert [view.getInt32(0), view.getFloat32(4), view.getUint16(0)] == [-2147418112, INF, 0x8001]
    assert view.getFloat64(0) == view.getFloat64(0.9)


WRONG: list[tuple[Callable[[Any, Any], object], str, str]] = [
    (lambda js, b: js.Int16Array.new(b), "RangeError", "byte length of Int16Array should be a"),
    (lambda js, b: js.Int16Array.new(b, 1), "RangeError", "start offset of Int16Array should be a"),
    (lambda js, b: js.Int16Array.new(b, 2, 5), "RangeError", "Invalid typed array length: 5"),
    (lambda js, b: js.Uint8Array.new(b, 10), "RangeError", "Start offset 10 is outside the bounds"),
    (lambda js, b: js.Uint8Array.new(b, 2, 8), "RangeError", "Invalid typed array length: 8"),
    (lambda js, _: js.Uint8Array.new(-1), "RangeError", "Invalid typed array length: -1"),
    (lambda js, _: js.Uint8Array.new(2.0**53), "RangeError", "Invalid typed array length"),
    (lambda js, _: js.Uint8Array.new(2**52), "RangeError", "Array buffer allocation failed"),
    (lambda js, _: js.ArrayBuffer.new(-1), "RangeError", "Invalid array buffer length"),
    (lambda js, _: js.ArrayBuffer.new(1, maxByteLength=2), "TypeError", "length changes"),
    (lambda js, b: js.DataView.new(b, 10), "RangeError", "Start offset 10 is outside the bounds"),
    (lambda js, b: js.DataView.new(b, 2, 8), "RangeError", "Invalid DataView length 8"),
    (lambda js, _: js.DataView.new(5), "TypeError", "First argument to DataView constructor must"),
    (lambda js, b: js.DataView.new(b).getInt16(8), "RangeError", "Offset is outside the bounds"),
    (lambda js, b: js.DataView.new(b).setInt16(-1, 0), "RangeError", "Offset is outside the"),
    (lambda js, _: js.BigInt64Array.new([1.5]), "TypeError", "Cannot convert 1.5 to a BigInt"),
    (lambda js, _: js.BigInt64Array.new(["x"]), "SyntaxError", "Cannot convert x to a BigInt"),
    (lambda js, _: js.Uint8Array.new(js.BigInt64Array.new(1)), "TypeError", "Cannot mix BigInt"),
    (lambda js, _: js.BigInt64Array.new(js.Uint8Array.new(1)), "TypeError", "Cannot mix BigInt"),
    (lambda js, _: js.Uint8Array.new(2).set([1, 2], 1), "RangeError", "offset is out of bounds"),
    (lambda js, _: js.Uint8Array.new(2).set([1], -1), "RangeError", "offset is out of bounds"),
    (lambda js, _: js.Uint8Array.new().reduce(max), "TypeError", "Reduce of empty array with no"),
    (lambda js, _: js.TextEncoder.new().encodeInto("", b""), "TypeError", "needs a Uint8Array"),
    (
        lambda js, _: js.crypto.getRandomValues(js.Float64Array.new(1)),
        *("TypeMismatchError", "whole numbers"),
    ),
]


@pytest.mark.parametrize(("wrong", "name", "message"), WRONG)
def test_what_cannot_be(js: Any, wrong: Any, name: str, message: str) -> None:
    with pytest.raises(JsException, match=message) as raised:
        wrong(js, js.ArrayBuffer.new(9))
    assert raised.value.name == name


def test_arrays_are_made_of_much(js: Any) -> None:
    kind = js.Uint8Array
    made = [
        *(
            kind.new(),
            kind.new(None),
            kind.new("2"),
            kind.new(1.9),
            kind.new(js.DataView.new(two_bytes(js))),
        ),
        *(kind.new(js.Float64Array.new([1.7, 300])), kind.new({"length": 2, "0": 7}), kind.new({})),
        *(kind.of(1, 2), kind.from_([1, 2], lambda x: x * 2), kind.from_("12"), kind.new(range(3))),
        *(kind.new(b"ab"), kind.new(bytearray(b"c")), kind.from_([5, 5], lambda x, at: x + at)),
    ]
    assert [list(one) for one in made] == [
        *([], [], [0, 0], [0], []),
        *([1, 44], [7, 0], []),
        *([1, 2], [2, 4], [1, 2], [0, 1, 2]),
        *([97, 98], [99], [5, 6]),
    ]
    assert js.Float64Array.new(kind.of(1, 2)).join() == "1,2"


def two_bytes(js: Any) -> Any:
    return js.ArrayBuffer.new(2)


def test_views_of_what_never_changes_have_a_copy(js: Any) -> None:
    """Bytes of a body are taken for an ArrayBuffer; those of Python are so many numbers."""
    given = JsBytes(b"\1\0\2\0")
    words = js.Uint16Array.new(given)
    words[0] = 7
    assert (words.join(), given) == ("7,2", b"\1\0\2\0")
    assert js.Uint16Array.new(b"\1\0").join() == "1,0"
    assert js.DataView.new(given).getUint16(2, True) == 2


def test_methods_of_arrays(js: Any) -> None:
    new = js.Uint8Array.of
    assert new(1, 2, 3, 4, 5).copyWithin(0, 3).join() == "4,5,3,4,5"
    assert new(1, 2, 3, 4).fill(9, 1, -1).join() == "1,9,9,4"
    assert (new(1, 2, 3).reduce(lambda a, b: a + b), new().reduce(max, 5)) == (6, 5)
    assert (new(1, 3, 2).reduce(max), new(65).map(int).join()) == (3, "65")
    assert js.Float64Array.of(3, NAN, -1, 0, -0.0, INF).sort().join() == "-1,0,0,3,Infinity,NaN"
    assert new(3, 1, 2).sort(lambda a, b: b - a).join() == "3,2,1"
    assert new(1, 2, 3).reverse().join("-") == "3-2-1"
    assert (new(1, 2, 1).lastIndexOf(1), new(1, 2).indexOf(3), new(1, 2, 1).indexOf(1, 1)) == (
        2,
        -1,
        2,
    )
    floats = js.Float64Array.of(NAN)
    assert (floats.includes(NAN), floats.indexOf(NAN), new(1).includes(2)) == (True, -1, False)
    numbers = new(1, 2, 3, 4)
    assert numbers.filter(lambda x: x % 2).join() == "1,3"
    assert numbers.map(lambda x, at: x * 100 + at).join() == "100,201,46,147"
    assert (numbers.find(lambda x: x > 2), numbers.findIndex(lambda x: x > 9)) == (3, -1)
    assert (numbers.some(lambda x: x > 3), numbers.every(lambda x: x > 3)) == (True, False)
    seen: list[tuple[Any, ...]] = []
    new(7).forEach(lambda *given: seen.append(given[:2]))
    assert seen == [(7, 0)]
    assert (new(5).entries(), new(5).keys(), new(5).values()) == ([[0, 5]], [0], [5])
    assert type(new(5).keys()) is JsArray
    assert (numbers.subarray(-2, -1).join(), numbers[1:3].join(), 3 in numbers) == (
        "3",
        "2,3",
        True,
    )
    assert js.JSON.stringify(new(1, 2)) == '{"0":1,"1":2}'
    assert js.JSON.stringify([two_bytes(js), js.DataView.new(two_bytes(js))]) == "[{},{}]"
    assert (js.String(two_bytes(js)), js.String(js.DataView.new(two_bytes(js)))) == (
        *("[object ArrayBuffer]", "[object DataView]"),
    )


def test_as_pyodide_has_them(js: Any, modules: dict[str, Any]) -> None:
    ffi = modules["pyodide.ffi"]
    made = js.Float64Array.of(1, 2.5)
    there = made.to_py()
    assert (there.format, there.tolist(), made.to_memoryview().tolist()) == (
        "d",
        [1, 2.5],
        [1, 2.5],
    )
    there[0] = 9
    assert made[0] == 1  # a copy
    made.assign(array("d", [3, 4]))
    assert (made.join(), made.to_bytes(), bytes(made)) == ("3,4", made.tobytes(), made.to_bytes())
    target = array("d", [0, 0])
    made.assign_to(target)
    assert target == array("d", [3, 4])
    for wrong in (lambda: made.assign(b"x"), lambda: made.assign_to(bytearray(3))):
        with pytest.raises(ValueError, match="cannot assign"):
            wrong()
    text, file = js.Uint8Array.new(b"abc"), io.BytesIO()
    text.to_file(file)
    text.from_file(io.BytesIO(b"xyz"))
    assert (text.to_string(), file.getvalue(), text.nbytes) == ("xyz", b"abc", 3)
    assert ffi.to_js(array("d", [1.5])) == js.Float64Array.of(1.5)
    assert ffi.to_js(memoryview(b"ab")) == b"ab"
    assert ffi.to_js([made])[0] is made
    for kind in (made, text, two_bytes(js), JsBytes(b"")):
        assert isinstance(kind, ffi.JsBuffer)
    assert [isinstance(one, ffi.JsTypedArray) for one in (made, 5, b"")] == [True, False, False]


def test_equal_are_those_of_the_same_bytes(js: Any) -> None:
    one = js.Uint8Array.of(1)
    assert one == b"\1"
    assert one == js.Uint8Array.of(1)
    assert one != js.Int8Array.of(1)
    assert one != [1]


async def test_wherever_bytes_may_be(js: Any) -> None:
    part = js.Uint8Array.new(b"xabcx").subarray(1, 4)
    words = js.Uint16Array.of(0x6261)
    assert await js.Response.new(part).text() == "abc"
    assert await Response(words).text() == "ab"
    assert (
        await Request("http://h", method="POST", body=js.DataView.new(part.buffer)).text()
        == "xabcx"
    )
    assert await JsBlob([part, words]).text() == "abcab"
    assert js.TextDecoder.new().decode(part) == "abc"
    assert js.crypto.getRandomValues(js.Uint16Array.new(2)).byteLength == 4
    digest = await js.crypto.subtle.digest("SHA-1", part)
    assert digest == await js.crypto.subtle.digest("SHA-1", b"abc")


def test_text_is_put_into_an_array(js: Any) -> None:
    target = js.Uint8Array.new(6)
    assert js.TextEncoder.new().encodeInto("a\U0001f600é", target) == {"read": 3, "written": 5}
    assert target == "a\U0001f600".encode() + b"\0"


def test_copies(js: Any) -> None:
    """`structuredClone` and calls keep what it is; storage keeps the bytes."""
    buffer = js.ArrayBuffer.new(4)
    part, view = js.Uint16Array.new(buffer, 2), js.DataView.new(buffer, 1)
    for copy in (cloned, js.structuredClone, lambda value: sent(value, _refused)):
        one, other = copy([part, {"view": view}])
        part[0] = 258
        assert (type(one), one.join()) == (type(part), "0")
        assert (other["view"].byteLength, other["view"].getUint8(1)) == (3, 0)
        part[0] = 0
    assert copied({"a": part}) == JsDict(a=JsBytes(b"\0\0"))
    assert type(copied(part)) is JsArrayBuffer
    with pytest.raises(JsException, match="could not be cloned"):
        js.structuredClone([print])
    with pytest.raises(JsException, match="Could not serialize"):
        js.structuredClone(Request("http://h"))


def _refused(function: Callable[..., object]) -> object:
    raise AssertionError(function)
