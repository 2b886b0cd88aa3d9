"""Values that contain themselves, and deep ones, in storage."""

from __future__ import annotations

from functools import reduce
from typing import Any

import pytest

from wakeful import codec
from wakeful.errors import StorageCorrupt
from wakeful.workers.objects.stored import pack, unpack
from wakeful.workers.proxies import DataCloneError, JsArray, JsArrayBuffer, JsDict


def test_what_contains_itself_comes_back_so() -> None:
    one: dict[Any, Any] = {"name": "one", "bytes": b"ab", "set": {1}, 5: 1.0}
    one["list"] = [one, {"deep": [one["set"], ValueError("said")]}]
    found = unpack(pack(one))
    assert found["list"][0] is found
    assert (type(found), type(found["list"])) == (JsDict, JsArray)
    assert (found["name"], found["set"], found["5"]) == ("one", {1}, 1)
    assert (found["bytes"], type(found["bytes"])) == (b"ab", JsArrayBuffer)
    assert str(found["list"][1]["deep"][1]) == "said"


@pytest.mark.parametrize("levels", [99, 150, 400, 20_000])
@pytest.mark.parametrize("wrap", [lambda inner, _: [inner], lambda inner, _: {"in": inner}])
def test_there_is_no_depth_that_is_too_much(levels: int, wrap: Any) -> None:
    found = unpack(pack(reduce(wrap, range(levels), 5)))
    for _ in range(levels):
        found = found[0] if isinstance(found, list) else found["in"]
    assert found == 5


@pytest.mark.parametrize(
    ("item", "refused"),
    [(lambda: 1, DataCloneError), ((1,), TypeError), ({(1,): 2}, DataCloneError)],
)
def test_what_cannot_be_stored_cannot_be_in_a_part(item: object, refused: type[Exception]) -> None:
    ring: list[object] = [item]
    ring.append(ring)
    with pytest.raises(refused):
        pack(ring)


@pytest.mark.parametrize("parts", [[], [[1]], ["text"], [[None]], [5], [{"a": 9}], [[()]]])
def test_parts_that_do_not_fit_are_damage(parts: object) -> None:
    with pytest.raises(StorageCorrupt):
        unpack(codec.encode(("graph", parts)))
