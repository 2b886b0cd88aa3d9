"""Ids: the same as Cloudflare's, bit for bit, with its errors."""

from collections.abc import Callable

import pytest

from wakeful.workers.objects.ids import DurableObjectId, IdSpace, unique_key
from wakeful.workers.objects.namespace import DurableObjectNamespace
from wakeful.workers.proxies import JsException, JsRangeError, JsTypeError

Namespace = DurableObjectNamespace[DurableObjectId]

# From workerd, and from objects that wrangler made.
VECTORS = [
    ("mykey", "http://foo/", "59002eb8cf872e541722977a258a12d6a93bbe8192b502e1c0cb250aa91af234"),
    ("mykey", "http://foo/bar", "02b496f65dd35cbac90e3e72dc5a398ee93926ea4a3821e26677082d2e6f9b79"),
    ("mykey", "name", "3652ef6221834806dc8df802d1d216e27b7d07e0a6b7adf6cfdaeec90f06459a"),
    ("mykey", "", "5671fa8c78c77d33f1e2e2613dd33ef021665e44066444f8e9f9af35e972d39d"),
    (
        unique_key("counter", "Counter"),
        "counter-1",
        "eb8849890d360ee3a2ba6ff5314e23eaa5107591940a20d2a69eefc743eac26b",
    ),
]


def counting() -> Callable[[int], bytes]:
    drawn = iter(range(1, 1000))
    return lambda size: next(drawn).to_bytes(size, "big")


def namespace(key: str = "mykey") -> Namespace:
    return DurableObjectNamespace(IdSpace(key, counting()), lambda id: id)


@pytest.mark.parametrize(("key", "name", "digits"), VECTORS)
def test_named_id_is_the_one_cloudflare_makes(key: str, name: str, digits: str) -> None:
    id = namespace(key).idFromName(name)
    assert (id.toString(), str(id), id.name) == (digits, digits, name)


def test_same_name_same_id_other_name_other_id() -> None:
    ids = namespace()
    one, again, other = ids.idFromName("a"), ids.idFromName("a"), ids.idFromName("b")
    assert one.equals(again)
    assert one == again
    assert hash(one) == hash(again)
    assert not one.equals(other)
    assert one != other


def test_name_is_made_text() -> None:
    ids = namespace()
    assert ids.idFromName(5) == ids.idFromName("5")
    assert ids.idFromName(5.0).name == "5"
    assert ids.idFromName(None).name == "undefined"


def test_half_of_a_surrogate_pair_hashes_as_the_bytes_v8_makes_of_it() -> None:
    """A22: what workerd answers."""
    id = namespace("conformance-Probe").idFromName("\ud800")
    assert id.toString() == "caafd6306778d3fc7345989fa078129ed2afb321d182e38e402e5bff636bc51d"
    assert id.name == "\ufffd" * 3
    assert namespace().idFromName("\ud83d\ude00") == namespace().idFromName("😀")


def test_unique_ids_differ_and_come_back_from_text() -> None:
    ids = namespace()
    one, two = ids.newUniqueId(), ids.newUniqueId()
    assert one != two
    assert one.name is None
    assert len(one.toString()) == 64
    assert ids.idFromString(one.toString()).equals(one)


def test_text_of_a_named_id_has_no_name_and_may_be_upper_case() -> None:
    ids = namespace()
    named = ids.idFromName("name")
    found = ids.idFromString(str(named).upper())
    assert (found, found.name, str(found)) == (named, None, str(named))


@pytest.mark.parametrize("text", ["abc", "", "g" * 64, "0" * 63, "0" * 65, "0" * 64 + "\n", None])
def test_no_id_is_refused(text: object) -> None:
    with pytest.raises(TypeError, match=r"Invalid Durable Object ID: must be 64 hex digits$"):
        namespace().idFromString(text)


def test_id_of_another_class_is_refused() -> None:
    foreign = str(namespace("other").idFromName("name"))
    for text in (foreign, "0" * 64):
        with pytest.raises(JsTypeError) as raised:
            namespace().idFromString(text)
        assert raised.value.message == "Durable Object ID is not valid for this namespace."


def test_same_name_in_two_namespaces_is_two_objects() -> None:
    one, other = namespace("a").idFromName("x"), namespace("b").idFromName("x")
    assert not one.equals(other)


def test_equals_wants_an_id() -> None:
    with pytest.raises(TypeError, match="DurableObjectId"):
        namespace().idFromName("a").equals("a")


@pytest.mark.parametrize(("size", "kept"), [(1024, True), (1025, False)])
def test_long_names_are_not_seen_inside(size: int, kept: bool) -> None:
    id = namespace().idFromName("é" * (size // 2) + "x" * (size % 2))
    assert (id.seen_inside().name is not None) is kept
    assert id.seen_inside() == id


def test_get_takes_ids_only() -> None:
    with pytest.raises(TypeError, match="is not of type 'DurableObjectId'"):
        namespace().get("counter-1")


def test_options_of_get() -> None:
    ids = namespace()
    id = ids.idFromName("a")
    assert ids.get(id, {"locationHint": "mars"}) == id
    assert ids.get(id, locationHint="mars", routingMode="primary-only") == id
    with pytest.raises(JsRangeError) as raised:
        ids.get(id, {"routingMode": "zzz"})
    assert raised.value.message == "unknown routingMode: zzz"


def test_get_by_name() -> None:
    ids = namespace()
    stub = ids.getByName("n")
    assert (stub, stub.name) == (ids.idFromName("n"), "n")


def test_jurisdictions_are_refused() -> None:
    ids = namespace()
    assert ids.jurisdiction(None) is ids
    for call in (
        lambda: ids.jurisdiction("eu"),
        lambda: ids.newUniqueId({"jurisdiction": "eu"}),
        lambda: ids.newUniqueId(jurisdiction="eu"),
    ):
        with pytest.raises(JsException, match="not implemented in workerd"):
            call()
    assert ids.newUniqueId({"jurisdiction": None}).jurisdiction is None
