"""V8's format, against somebody else's reader and writer of it: the package v8serialize."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import v8serialize
from hypothesis import given
from hypothesis import strategies as st
from v8serialize import jstypes

from wakeful.workers.objects import stored
from wakeful.workers.proxies import JsException
from wakeful.workers.workerd_files.v8 import read
from wakeful.workers.workerd_files.v8_writer import write

MILLISECOND = timedelta(milliseconds=1)
TEXT = st.text()  # v8serialize has no halves of surrogate pairs
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.binary(), TEXT
)
# Milliseconds, as JavaScript has them; both sides take naive dates as local time.
DATES = st.integers(-(10**12), 10**13).map(
    lambda ms: (
        (datetime(1970, 1, 1, tzinfo=UTC) + ms * MILLISECOND).astimezone().replace(tzinfo=None)
    )
)
VALUES = st.recursive(
    SCALARS | DATES | st.sets(st.none() | st.integers() | TEXT),
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=20,
)


def plain(value: Any) -> Any:
    """A value of theirs as wakeful has it."""
    match value:
        case jstypes.JSArray():
            return [plain(item) for item in value.array]
        case jstypes.JSObject():
            return {str(key): plain(item) for key, item in value.items()}
        case jstypes.JSSet():
            return {plain(item) for item in value}
        case jstypes.JSArrayBuffer():
            return bytes(value.data)
        case jstypes.JSBigInt():
            return int(value)
        case _:
            return value


def close(ours: Any, theirs: Any) -> bool:
    """Equal, dates to the millisecond: theirs go through seconds as a float."""
    match ours:
        case datetime():
            return abs(ours - theirs) < MILLISECOND
        case list():
            return len(ours) == len(theirs) and all(map(close, ours, theirs))
        case dict():
            return ours.keys() == theirs.keys() and all(close(ours[k], theirs[k]) for k in ours)
        case _:
            return bool(ours == theirs)


@given(VALUES)
def test_they_read_what_is_written(value: object) -> None:
    kept = stored.unpack(stored.pack(value))
    assert close(kept, plain(v8serialize.loads(write(kept))))


@given(VALUES)
def test_what_they_write_is_read(value: object) -> None:
    kept = stored.unpack(stored.pack(value))
    assert close(read(bytes(v8serialize.dumps(value))), kept)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (jstypes.JSUndefined, None),
        (jstypes.JSBigInt(5), 5),
        (jstypes.JSArray([1, jstypes.JSHole, 3]), [1, None, 3]),
        (jstypes.JSMap([("a", 1), (2, "b")]), {"a": 1, "2": "b"}),
        (jstypes.JSUint8Array(jstypes.JSArrayBuffer(b"abc"), 1), b"bc"),
        (jstypes.JSInt16Array(jstypes.JSArrayBuffer(b"\1\0\2\0")), b"\1\0\2\0"),
        (jstypes.JSDataView(jstypes.JSArrayBuffer(b"abc"), 1, 1), b"b"),
        (jstypes.JSPrimitiveObject("x"), "x"),
        (jstypes.JSPrimitiveObject(1.5), 1.5),
    ],
)
def test_what_only_javascript_has(theirs: object, ours: object) -> None:
    assert read(bytes(v8serialize.dumps(theirs))) == ours


@pytest.mark.parametrize("name", ["Error", "RangeError", "TypeError"])  # URIError they misspell
def test_errors(name: str) -> None:
    error = read(bytes(v8serialize.dumps(jstypes.JSError("text", name=name))))
    assert isinstance(error, JsException)
    assert (error.name, error.message) == (name, "text")
    theirs = v8serialize.loads(write(error))
    assert isinstance(theirs, jstypes.JSError)
    assert (theirs.name, theirs.message) == (name, "text")


def test_what_occurs_twice_and_a_value_that_contains_itself() -> None:
    theirs = jstypes.JSObject(a=jstypes.JSArray([1]))
    theirs["b"], theirs["self"] = theirs["a"], theirs
    ours = read(bytes(v8serialize.dumps(theirs)))
    assert ours["a"] == [1]
    assert ours["a"] is ours["b"]
    assert ours["self"] is ours
    again = v8serialize.loads(write(ours))
    assert isinstance(again, jstypes.JSObject)
    assert again["a"] is again["b"]
    assert again["self"] is again
