"""V8's format, against bytes that Node 20 (`v8.Serializer`) and workerd made."""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wakeful.workers.objects import stored
from wakeful.workers.proxies import DataCloneError, JsException, JsRangeError, JsTypeError
from wakeful.workers.workerd_files.v8 import DEPTH_MAX, EXPANDED_BYTES_MAX, RegExp, Unreadable, read
from wakeful.workers.workerd_files.v8_writer import write


def moment(milliseconds: int) -> datetime:
    """A Date as Workers have it: naive, local."""
    aware = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return aware.astimezone().replace(tzinfo=None)


VECTORS: Final[dict[str, tuple[str, Any]]] = {
    "undefined": ("ff0f5f", None),
    "null": ("ff0f30", None),
    "true": ("ff0f54", True),
    "false": ("ff0f46", False),
    "zero": ("ff0f4900", 0),
    "two": ("ff0f4904", 2),
    "neg": ("ff0f4909", -5),
    "max": ("ff0f49feffffff0f", 2147483647),
    "min": ("ff0f49ffffffff0f", -2147483648),
    "uint": ("ff0f4e0000e0ffffffef41", 4294967295),
    "float": ("ff0f4e000000000000f83f", 1.5),
    "negzero": ("ff0f4e0000000000000080", -0.0),
    "inf": ("ff0f4e000000000000f0ff", -math.inf),
    "safe": ("ff0f4effffffffffff3f43", 9007199254740991),
    "bigint": ("ff0f5a20d20a3f4eeee073c3f60fe98e01000000", 123456789012345678901234567890),
    "bigneg": ("ff0f5a110100000000000000", -1),
    "bigzero": ("ff0f5a00", 0),
    "ascii": ("ff0f220568656c6c6f", "hello"),
    "latin1": ("ff0f2204636166e9", "café"),
    "wide": ("ff0f630ce5652c679e8a20003dd800de", "日本語 😀"),
    "lone": ("ff0f630400d87800", "\ud800x"),
    "empty": ("ff0f2200", ""),
    "object": (
        "ff0f6f490e2205736576656e22016149022201626f22016341044902220178305f2400047b017b03",
        {"7": "seven", "a": 1, "b": {"c": [1, "x", None, None]}},
    ),
    "dense": ("ff0f410549024e000000000000044022017841002400006f7b00240005", [1, 2.5, "x", [], {}]),
    "holes": ("ff0f61034900490249044906400203", [1, None, 3]),
    "sparse": ("ff0f610b49042201744914490240020b", [None, None, "t", *[None] * 7, 1]),
    "date": ("ff0f4400b007cc829c7942", moment(1760000000123)),
    "map": ("ff0f3b22016b49024904220374776f3022016e3a06", {"k": 1, "2": "two", "null": "n"}),
    "set": ("ff0f274902220161304e00000000000004402c04", {1, "a", None, 2.5}),
    "boxed": (
        "ff0f41056e00000000000008407322017379787a100500000000000000240005",
        [3, "s", True, False, 5],
    ),
    "boxedtwice": ("ff0f41026e00000000000008405e01240002", [3, 3]),
    "buffer": ("ff0f4203010203", b"\x01\x02\x03"),
    "u8": ("ff0f42030908075642000300", b"\x09\x08\x07"),
    "i16": ("ff0f42040100feff5677000400", b"\x01\x00\xfe\xff"),
    "f64": ("ff0f4208000000000000e03f5646000800", struct.pack("<d", 0.5)),
    "view": ("ff0f420401020304563f010200", b"\x02\x03"),
    "twoviews": (
        "ff0f410342040102030456420002005e0156420202005e01240003",
        [b"\x01\x02", b"\x03\x04", b"\x01\x02\x03\x04"],
    ),
    "resizable": ("ff0f7e02080000", b"\0\0"),
    "tracking": ("ff0f7e020800005642000003", b"\0\0"),
    "shared": ("ff0f41026f22017349027b015e01240002", [{"s": 1}, {"s": 1}]),
    "regexp": ("ff0f52220461622b6303", RegExp("ab+c", "gi")),
    "workerd's undefined member": ("ff0f6f22046e6f6e655f7b01", {"none": None}),
    "version 13, a view without flags": ("ff0d420309080756420003", b"\x09\x08\x07"),
    "utf-8": ("ff0f5303e282ac", "€"),
    "uint32": ("ff0f55ffffffff0f", 4294967295),
    "a dense array with a late element": ("ff0f41022d4902490049082401" + "02", [4, 1]),
    "padding": ("ff0f0000490400"[:-2], 2),
}


@pytest.mark.parametrize("name", VECTORS)
def test_values_read_as_node_wrote_them(name: str) -> None:
    data, expected = VECTORS[name]
    value = read(bytes.fromhex(data))
    assert type(value) is type(expected)
    if isinstance(expected, set):  # its order depends on how this process hashes text
        value, expected = sorted(map(repr, value)), sorted(map(repr, expected))
    assert repr(value) == repr(expected)  # types and the sign of zero too


def test_nan_is_read() -> None:
    assert math.isnan(read(bytes.fromhex("ff0f4e000000000000f87f")))


def test_what_occurs_twice_is_one_object() -> None:
    first, second = read(bytes.fromhex(VECTORS["shared"][0]))
    assert first is second


@pytest.mark.parametrize(
    ("data", "name"),
    [("ff0f6f22046e616d6522046c6f6f70220473656c665e007b02", "self"), ("ff0f410249025e00240002", 1)],
)
def test_an_object_that_contains_itself_does_so_here_in_storage_and_in_what_is_written(
    data: str, name: Any
) -> None:
    value = read(bytes.fromhex(data))
    assert value[name] is value
    kept = stored.unpack(stored.pack(value))
    assert kept[name] is kept
    assert write(kept).hex() == data


ERRORS: Final = {
    "type": (
        "ff0f72546d2204626f6f6d732218547970654572726f723a20626f6f6d0a20202020617420782e",
        JsTypeError,
        "TypeError",
        "boom",
    ),
    "cause": ("ff0f72526d220172636f220377687949027b01732201732e", JsRangeError, "RangeError", "r"),
    "no message": ("ff0f72732201732e", JsException, "Error", ""),
    "uri": ("ff0f72556d2201782e", JsException, "URIError", "x"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_keep_name_and_message(name: str) -> None:
    data, kind, error_name, message = ERRORS[name]
    error = read(bytes.fromhex(data))
    assert type(error) is kind
    assert (error.name, error.message) == (error_name, message)


REFUSED: Final = {
    "named": ("ff0f41014902220565787472614904240101", "a member 'extra' beside its elements", 17),
    "baddate": ("ff0f44000000000000f87f", "a Date that Python has not", 3),
    "objmap": ("ff0f3b6f22017849027b0149023a02", "a Map has a key that is an object", 3),
    "objset": ("ff0f276f7b002c01", "a Set holds an object", 3),
    "oneset": ("ff0f274902542c02", "a Set holds two members that Python finds equal", 5),
    "same keys": ("ff0f3b4902302201313" + "03a04", "two keys of a Map are both '1'", 6),
    "empty": ("", "ends too early", 0),
    "not v8": ("01820102", "does not start with FF", 0),
    "version": ("ff1030", "version 16 of V8's format is not known", 1),
    "nothing": ("ff0f", "ends too early", 2),
    "truncated text": ("ff0f22056865", "ends too early: 5 more bytes", 4),
    "truncated object": ("ff0f6f22016149", "ends too early", 7),
    "trailing": ("ff0f300102", "2 more bytes after the value", 3),
    "unknown tag": ("ff0f47", "0x47 ('G') cannot be read", 2),
    "host object": ("ff0f5c00", "an object of the runtime itself cannot be read", 2),
    "shared buffer": ("ff0f7500", "a SharedArrayBuffer cannot be read", 2),
    "long number": ("ff0f49ffffffffff01", "longer than 32 bits", 3),
    "bigger number": ("ff0f49ffffffff1f", "longer than 32 bits", 3),
    "odd text": ("ff0f6303610062", "odd length", 3),
    "count": ("ff0f6f2201614902" + "7b02", "1 members, though it says 2", 9),
    "key": ("ff0f6f5449027b01", "neither text nor a number", 3),
    "dense length": ("ff0f41ffffffff0f", "an array of 4294967295 elements is longer", 3),
    "sparse length": ("ff0f61ffffffff0f", f"larger than {EXPANDED_BYTES_MAX} bytes", 8),
    "reference": ("ff0f5e00", "there is no object number 0", 3),
    "view": ("ff0f42010156420002" + "00", "a view does not fit", 6),
    "view type": ("ff0f42010156470001" + "00", "a view has an unknown type 0x47", 6),
    "resizable": ("ff0f7e0201", "longer than it may become", 4),
    "error part": ("ff0f7258", "an error has an unknown part", 3),
    "error itself": ("ff0f72635e00", "an error or a RegExp refers to itself", 5),
    "regexp": ("ff0f5249020" + "0", "this should be text", 3),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_with_its_place(name: str) -> None:
    data, problem, offset = REFUSED[name]
    with pytest.raises(Unreadable) as caught:
        read(bytes.fromhex(data))
    assert problem in str(caught.value)
    assert caught.value.offset == offset


@pytest.mark.parametrize("name", VECTORS)
def test_every_truncation_is_refused(name: str) -> None:
    data = bytes.fromhex(VECTORS[name][0])
    for end in range(len(data)):
        if data[end : end + 1] == b"V":
            continue  # an ArrayBuffer without the view that followed it
        with pytest.raises(Unreadable):
            read(data[:end])


def test_depth_is_bounded() -> None:
    def nested(levels: int) -> bytes:
        return b"\xff\x0f" + b"A\x01" * levels + b"0" + b"$\0\x01" * levels

    value = read(nested(DEPTH_MAX))
    stored.pack(value)
    for levels in (DEPTH_MAX + 1, 100_000):
        with pytest.raises(Unreadable, match="nested more than 100 deep"):
            read(nested(levels))


def test_references_cannot_blow_a_value_up() -> None:
    """Thirty levels that each hold the one below twice would be 2**30 values."""
    data = b"A\x01" + b"0$\0\x01"
    doubling = b"\xff\x0fA\x1e" + data
    for number in range(1, 30):
        doubling += b"A\x02^" + bytes([number]) + b"^" + bytes([number]) + b"$\0\x02"
    with pytest.raises(Unreadable, match="larger than"):
        read(doubling + b"$\0\x1e")
    buffer = b"B\x80\x80\x40" + bytes(1 << 20)
    with pytest.raises(Unreadable, match="larger than"):
        read(b"\xff\x0fA\x20" + buffer + b"^\x01" * 31 + b"$\0\x20")


def test_many_views_of_one_large_buffer_are_no_blow_up() -> None:
    buffer = b"B\x80\x80\x40" + bytes(1 << 20)
    data = b"\xff\x0fA\x20" + buffer + b"^\x01VB\0\x10\0" * 31 + b"$\0\x20"
    assert read(data)[31] == bytes(16)


def offset_of(data: bytes) -> int:
    """Where it cannot be read, or 0; another error than Unreadable fails the test."""
    try:
        read(data)
    except Unreadable as error:
        return error.offset
    return 0


@given(st.binary(max_size=200))
def test_random_bytes_are_read_or_refused(data: bytes) -> None:
    for start in (b"", b"\xff\x0f", b"\xff\x0e"):
        assert 0 <= offset_of(start + data) <= len(start + data)


TAGS: Final = [bytes([tag]) for tag in b"_0TFIUNZ\"ScyxnzsDRroAa;'B~^V?$@{:,-.mcs"]
FRAGMENTS: Final = st.one_of(
    st.sampled_from(TAGS), st.binary(max_size=2), st.integers(0, 4).map(lambda n: bytes([n]))
)


@settings(max_examples=300)
@given(st.lists(FRAGMENTS, max_size=60).map(b"".join))
def test_plausible_bytes_are_read_or_refused(data: bytes) -> None:
    assert 0 <= offset_of(b"\xff\x0f" + data) <= len(data) + 2


SCALARS: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=[])),
)
PLAIN: Final = st.recursive(
    st.one_of(
        SCALARS,
        st.binary(),
        st.datetimes(datetime(1900, 1, 2), datetime(3000, 1, 1)),
        st.sets(st.one_of(st.none(), st.integers(), st.text())),
    ),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=20,
)


@given(PLAIN)
def test_what_is_written_reads_as_it_was_stored(value: object) -> None:
    kept = stored.unpack(stored.pack(value))
    assert read(write(kept)) == kept


@pytest.mark.parametrize("micros", [0, 1, 999, 63_999, 64_000, 64_999, 999_999])
@pytest.mark.parametrize("year", [1901, 1969, 1970, 2026, 2515, 2999])
def test_dates_keep_their_millisecond(year: int, micros: int) -> None:
    """Also where a float of seconds is too coarse to tell it."""
    kept = stored.unpack(stored.pack(datetime(year, 1, 2, 3, 4, 5, micros - micros % 1000)))
    assert kept == datetime(year, 1, 2, 3, 4, 5, micros - micros % 1000)
    assert read(write(kept)) == kept
    assert stored.unpack(stored.pack(kept)) == kept


WRITTEN: Final = [
    "null",
    "true",
    "false",
    "zero",
    "two",
    "neg",
    "float",
    "negzero",
    "inf",
    "safe",
    "bigint",
    "ascii",
    "latin1",
    "wide",
    "lone",
    "empty",
    "dense",
    "date",
    "buffer",
]


@pytest.mark.parametrize("name", WRITTEN)
def test_writes_the_bytes_that_node_writes(name: str) -> None:
    data, value = VECTORS[name]
    assert write(value).hex() == data


def test_errors_are_written_with_their_names() -> None:
    assert write(JsTypeError("boom")).hex() == "ff0f72546d2204626f6f6d2e"
    assert write(Exception("x")).hex() == "ff0f726d2201782e"


def test_a_regexp_is_refused_by_storage_and_writer() -> None:
    value = RegExp("a", "g")
    with pytest.raises(DataCloneError, match='object of type "RegExp"'):
        stored.pack(value)
    with pytest.raises(TypeError, match="no value for a RegExp"):
        write(value)
