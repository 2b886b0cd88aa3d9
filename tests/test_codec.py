"""Values survive the way through bytes type for type, and what cannot is refused with its place."""

import enum
import math
import socket
from collections import OrderedDict, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from types import SimpleNamespace
from typing import (
    Annotated,
    Any,
    Final,
    Generic,
    Literal,
    NamedTuple,
    NotRequired,
    TypedDict,
    TypeVar,
)
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wakeful.codec import decode, encode, to_json, typed
from wakeful.errors import (
    ConfigError,
    InvalidArguments,
    MalformedRequest,
    StateInvalid,
    StorageCorrupt,
)
from wakeful.packing import DEPTH_MAX, VERSION

relaxed: Final = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def same(a: object, b: object) -> bool:
    """Equal, of the same types all the way down; NaN is itself, 0.0 is not -0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return repr(a) == repr(b)
    if isinstance(a, Decimal):
        return str(a) == str(b)
    if isinstance(a, datetime | time):
        return a.isoformat() == b.isoformat() and a.fold == b.fold and zone(a) == zone(b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    if isinstance(a, set | frozenset):
        return len(a) == len(b) and all(any(same(x, y) for y in b) for x in a)
    if hasattr(a, "__dataclass_fields__"):
        return all(same(getattr(a, name), getattr(b, name)) for name in a.__dataclass_fields__)
    return a == b


def zone(moment: datetime | time) -> object:
    return getattr(moment.tzinfo, "key", moment.tzinfo)


text = st.text(st.characters(), max_size=8)
offsets = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
zones = st.one_of(st.none(), offsets, st.sampled_from(["Europe/Paris", "UTC"]).map(ZoneInfo))
datetimes = st.builds(
    lambda at, fold: at.replace(fold=fold), st.datetimes(timezones=zones), st.integers(0, 1)
)
integers = st.one_of(st.integers(), st.integers(2**63 - 2, 2**64 + 2), st.integers(-(2**63) - 2, 0))
decimals = st.decimals(allow_nan=True, allow_infinity=True)
hashable_scalars = st.one_of(
    *(st.none(), st.booleans(), integers, st.floats(allow_nan=False), text, st.binary(max_size=8)),
    *(datetimes, st.dates(), st.times(), st.timedeltas(), st.uuids()),
    st.decimals(allow_nan=False),
)
keys = st.recursive(
    hashable_scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple), st.frozensets(inner, max_size=3)
    ),
    max_leaves=4,
)
values = st.recursive(
    st.one_of(hashable_scalars, st.floats(), decimals, st.sampled_from([math.nan, -0.0])),
    lambda inner: st.one_of(
        *(st.lists(inner, max_size=4), st.lists(inner, max_size=4).map(tuple)),
        *(st.dictionaries(keys, inner, max_size=4), st.dictionaries(text, inner, max_size=4)),
        *(st.sets(keys, max_size=4), st.frozensets(keys, max_size=4)),
    ),
    max_leaves=12,
)


# --- plain values ----------------------------------------------------------------------------


@relaxed
@given(values)
def test_a_plain_value_comes_back_type_for_type(value: object) -> None:
    assert same(decode(encode(value)), value)


@relaxed
@given(values)
def test_encoding_what_was_decoded_gives_the_same_bytes(value: object) -> None:
    data = encode(value)
    assert encode(decode(data)) == data


@relaxed
@given(st.sets(st.text(max_size=3)))
def test_equal_sets_are_equal_bytes(value: set[str]) -> None:
    assert encode(set(sorted(value, reverse=True))) == encode(value)


@relaxed
@given(values, values)
def test_different_values_are_different_bytes(a: object, b: object) -> None:
    assert (encode(a) == encode(b)) == same(decode(encode(a)), decode(encode(b)))


@pytest.mark.parametrize(
    ("a", "b"),
    [(1, True), (1, 1.0), (0.0, -0.0), ([1], (1,)), ({1}, frozenset({1})), ("a", b"a"), ({}, [])],
)
def test_values_that_python_may_call_equal_are_told_apart(a: object, b: object) -> None:
    assert encode(a) != encode(b)


@relaxed
@given(st.binary(max_size=40))
def test_random_bytes_are_a_value_or_corrupt(data: bytes) -> None:
    for candidate in (data, VERSION + data):
        with suppress(StorageCorrupt):
            decode(candidate)


@relaxed
@given(values, st.data())
def test_damaged_bytes_are_a_value_or_corrupt(value: object, data: st.DataObject) -> None:
    good = bytearray(encode(value))
    good[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
    cut = bytes(good[: data.draw(st.integers(0, len(good)))])
    for candidate in (bytes(good), cut):
        with suppress(StorageCorrupt):
            decode(candidate)


def test_unknown_version_is_corrupt() -> None:
    with pytest.raises(StorageCorrupt, match="unknown format: it starts with b'\\\\xff"):
        decode(b"\xff\x01")


@pytest.mark.parametrize(
    "nested", [b"\x91" * 100_000, b"\xc8\xff\xff\x03" * 50_000, b"\xdd\xff\xff\xff\xff"]
)
def test_hostile_nesting_and_length_are_corrupt(nested: bytes) -> None:
    with pytest.raises(StorageCorrupt):
        decode(VERSION + nested)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Line:
    sku: str
    amount: int = 1


class Endless(tzinfo):
    def utcoffset(self, _: datetime | None) -> None:
        return None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"a": [1, {"b": print}]},
            "builtin_function_or_method cannot be stored or sent; use its name (str) and look it "
            "up again at ['a'][1]['b']",
        ),
        (enum, "module cannot be stored or sent; use its name (str) and look it up again"),
        ([Line], "type cannot be stored or sent; use its name (str) and look it up again at [0]"),
        (
            OrderedDict(a=1),
            "collections.OrderedDict cannot be stored or sent; it is a dict of another class: "
            "convert it with dict(...)",
        ),
        (
            (defaultdict(int),),
            "collections.defaultdict cannot be stored or sent; it is a dict of another class: "
            "convert it with dict(...) at [0]",
        ),
        (bytearray(b"x"), "bytearray cannot be stored or sent; convert it with bytes(...)"),
        (
            {1: SimpleNamespace()},
            "types.SimpleNamespace cannot be stored or sent; use the plain data in it (numbers, "
            "text, lists, dicts, ...) at [1]",
        ),
        ({(1, print): 1}, "in a key: builtin_function_or_method cannot be stored"),
        ({frozenset({print})}, "at {...}{...}"),
        ([Colour.RED], "Colour cannot be stored or sent; use its .value, or annotate the place"),
        (Line("a"), "Line cannot be stored or sent; annotate the place with its class"),
        (datetime(2020, 1, 1, tzinfo=Endless()), "has no offset; use zoneinfo.ZoneInfo"),
        (time(1, tzinfo=Endless()), "has no offset; use zoneinfo.ZoneInfo"),
    ],
)
def test_what_is_no_plain_value_is_refused_with_its_place(value: object, message: str) -> None:
    with pytest.raises(StateInvalid) as caught:
        encode(value)
    assert message in str(caught.value)


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[object] = []
    loop += [loop, {"a": loop}]
    with pytest.raises(StateInvalid, match=r"does it contain itself\?"):
        encode(loop)


def nest(kind: type, depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = {"a": value} if kind is dict else kind([value])
    return value


@pytest.mark.parametrize("kind", [list, dict, tuple, frozenset])
def test_depth_is_bounded(kind: type) -> None:
    deepest = nest(kind, DEPTH_MAX)
    assert decode(encode(deepest)) == deepest
    with pytest.raises(StateInvalid, match="nested more than 100 deep"):
        encode(nest(kind, DEPTH_MAX + 2))


# --- annotations -----------------------------------------------------------------------------


class Point(NamedTuple):
    x: int
    y: float


class Node(msgspec.Struct):
    value: int
    children: list["Node"] = []
    extra: Any = None


class Chain(msgspec.Struct, frozen=True):
    value: int
    rest: "Chain | None" = None


class Money(msgspec.Struct, frozen=True, array_like=True):
    amount: Decimal
    currency: str = "EUR"


class Cat(msgspec.Struct, tag=True):
    lives: int
    log: list[datetime] = []


class Dog(msgspec.Struct, tag=True, rename="camel"):
    best_friend: str
    since: datetime | None = None


class Row(TypedDict):
    id: int
    note: NotRequired[object]


@dataclass(frozen=True)
class Fixed:
    id: UUID
    tags: frozenset[str] = frozenset()


@dataclass
class Order:
    lines: list[Line] = field(default_factory=list)
    by_colour: dict[Colour, set[int]] = field(default_factory=dict)
    placed: datetime | None = None


nodes = st.recursive(
    st.builds(Node, integers, st.just([]), values),
    lambda inner: st.builds(Node, integers, st.lists(inner, max_size=2), values),
    max_leaves=3,
)
moments = st.one_of(st.none(), datetimes)
TYPED: dict[Any, st.SearchStrategy[Any]] = {
    int: integers,
    str: text,
    float: st.floats(),
    bool: st.booleans(),
    bytes: st.binary(),
    bytearray: st.binary().map(bytearray),
    datetime: datetimes,
    time: st.times(),
    date: st.dates(),
    timedelta: st.timedeltas(),
    Decimal: decimals,
    UUID: st.uuids(),
    Colour: st.sampled_from(Colour),
    int | None: st.one_of(st.none(), integers),
    int | float | str | None: st.one_of(st.none(), integers, st.floats(), text),
    Literal["a", "b", 3]: st.sampled_from(["a", "b", 3]),
    list[int]: st.lists(integers),
    list[float]: st.lists(st.floats()),
    list: st.lists(values, max_size=3),
    dict[str, Any]: st.dictionaries(text, values, max_size=3),
    dict[str, list[object]]: st.dictionaries(text, st.lists(values, max_size=2), max_size=2),
    dict: st.dictionaries(keys, values, max_size=3),
    object: values,
    set[str]: st.sets(text),
    frozenset[date]: st.frozensets(st.dates()),
    set[datetime]: st.sets(datetimes),
    tuple[int, str]: st.tuples(integers, text),
    tuple[datetime, ...]: st.lists(datetimes).map(tuple),
    dict[tuple[int, Colour], list[str]]: st.dictionaries(
        st.tuples(integers, st.sampled_from(Colour)), st.lists(text), max_size=3
    ),
    dict[datetime, UUID]: st.dictionaries(datetimes, st.uuids(), max_size=3),
    dict[frozenset[int], Point]: st.dictionaries(
        st.frozensets(integers, max_size=3), st.builds(Point, integers, st.floats()), max_size=3
    ),
    Point: st.builds(Point, integers, st.floats()),
    Money: st.builds(Money, decimals.filter(lambda value: not value.is_nan()), text),
    Node: nodes,
    Cat | Dog | None: st.one_of(
        st.none(),
        st.builds(Cat, integers, st.lists(datetimes, max_size=2)),
        st.builds(Dog, text, moments),
    ),
    list[Row]: st.lists(
        st.fixed_dictionaries({"id": integers}, optional={"note": values}), max_size=3
    ),
    Fixed: st.builds(Fixed, st.uuids(), st.frozensets(text, max_size=3)),
    Order: st.builds(
        Order,
        st.lists(st.builds(Line, text, integers), max_size=3),
        st.dictionaries(st.sampled_from(Colour), st.sets(integers, max_size=3)),
        moments,
    ),
}


def alike(a: Any, b: Any) -> bool:
    """`same`, into Structs as well."""
    if isinstance(a, msgspec.Struct):
        return type(a) is type(b) and all(
            alike(getattr(a, name), getattr(b, name)) for name in a.__struct_fields__
        )
    if type(a) is list:
        return type(b) is list and len(a) == len(b) and all(map(alike, a, b))
    return same(a, b)


@pytest.mark.parametrize("annotation", TYPED, ids=str)
@settings(relaxed, max_examples=15)
@given(data=st.data())
def test_a_typed_value_comes_back_type_for_type(annotation: Any, data: st.DataObject) -> None:
    value = data.draw(TYPED[annotation])
    compiled = typed(annotation)
    compiled.check(value)
    packed = compiled.encode(value)
    again = compiled.decode(packed)
    assert alike(again, value), again
    compiled.check(again)
    assert alike(compiled.copy(value), value)
    decode(packed)  # without the annotation there is still something to show


@pytest.mark.parametrize("annotation", TYPED, ids=str)
@settings(relaxed, max_examples=15)
@given(value=values)
def test_a_value_of_another_type_is_refused_or_fits(annotation: Any, value: object) -> None:
    compiled = typed(annotation)
    if compiled.fault(value) is None:
        again = compiled.decode(compiled.encode(value))
        assert same(again, value) or again == value  # an int for a float
    else:
        assert type(value) not in compiled.types
        with pytest.raises(StateInvalid):
            compiled.encode(value)


@pytest.mark.parametrize("annotation", TYPED, ids=str)
@settings(relaxed, max_examples=15)
@given(data=st.binary(max_size=30))
def test_random_bytes_are_a_fitting_value_or_an_error(annotation: Any, data: bytes) -> None:
    compiled = typed(annotation)
    try:
        value = compiled.decode(VERSION + data)
    except (StateInvalid, StorageCorrupt):
        return
    compiled.check(value)


@pytest.mark.parametrize("annotation", TYPED, ids=str)
@settings(relaxed, max_examples=15)
@given(value=values)
def test_stored_values_of_another_type_fit_or_are_invalid(annotation: Any, value: object) -> None:
    try:
        again = typed(annotation).decode(encode(value))
    except StateInvalid:
        return
    typed(annotation).check(again)


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (int, True, "expected int, got bool"),
        (int, "1", "expected int, got str"),
        (int | None, 1.0, "expected int | None, got float"),
        (float, 2**53 + 1, "expected float, got an int beyond 2**53: convert it with float(...)"),
        (list[int], (1,), "expected list[int], got tuple"),
        (list[Line], [Line("a"), Line("b", "2")], "expected int, got str at [1].amount"),  # type: ignore[arg-type]
        (list[tuple[int, str]], [[1, "a"]], "expected tuple[int, str], got list at [0]"),
        (tuple[int, str], (1,), "expected tuple[int, str], got a tuple of length 1"),
        (tuple[int, ...], (1, 2, None), "expected int, got None at [2]"),
        (set[int], {1, "a"}, "expected int, got str at {...}"),
        (dict[str, int], {"a": 1, "b": None}, "expected int, got None at ['b']"),
        (dict[str, int], {"a": 1, 2: 3}, "in a key: expected str, got int"),
        (dict[str, Line], {"a": {"sku": "b"}}, "expected test_codec.Line, got dict at ['a']"),
        (Colour, "red", "expected test_codec.Colour, got str"),
        (Literal["a", 3], "b", "expected 3 or 'a', got 'b'"),
        (Literal[1], True, "expected 1, got bool"),
        (Row, {"note": 1}, "expected test_codec.Row, key 'id' is missing"),
        (Row, {"id": 1, "nope": 1}, "expected test_codec.Row, got an unknown key 'nope'"),
        (Row, [], "expected test_codec.Row, got list"),
        (Point, (1, 2.0), "expected test_codec.Point, got tuple"),
        (Cat | Dog, Line("a"), "expected test_codec.Cat | test_codec.Dog, got test_codec.Line"),
        (list[Any], [1, [len]], "use its name (str) and look it up again at [1][0]"),
        (datetime, date(2020, 1, 1), "expected datetime, got datetime.date"),
        (datetime, datetime(2020, 1, 1, tzinfo=Endless()), "has no offset"),
        (Annotated[int, msgspec.Meta(gt=3)], 3, "expected int >= 4"),
        (
            list[Annotated[str, msgspec.Meta(max_length=2)]],
            ["a", "abc"],
            "expected str of length <= 2 at [1]",
        ),
    ],
)
def test_check_says_what_was_expected_and_where(
    annotation: Any, value: object, message: str
) -> None:
    with pytest.raises(StateInvalid) as caught:
        typed(annotation).check(value)
    said = str(caught.value).replace(f"{__name__}.", "test_codec.")
    assert message in said


def test_a_subclass_is_refused_because_it_would_come_back_as_its_base() -> None:
    class Special(Line):
        pass

    with pytest.raises(StateInvalid, match=r"expected .*Line, got .*Special"):
        typed(Line).check(Special("a"))


def test_a_deleted_attribute_inside_a_value_is_named() -> None:
    line = Line("a")
    del line.sku
    with pytest.raises(StateInvalid, match=r"expected str, but it was deleted at \[0\]\.sku"):
        typed(list[Line]).check([line])


def test_a_typed_value_that_contains_itself_is_refused() -> None:
    node = Node(1)
    node.children.append(node)
    with pytest.raises(StateInvalid, match="nested too deeply"):
        typed(Node).check(node)
    with pytest.raises(StateInvalid, match="nested too deeply"):
        typed(Node).pack(node)


def test_post_init_is_a_rule_that_check_enforces() -> None:
    @dataclass
    class Positive:
        amount: int

        def __post_init__(self) -> None:
            if self.amount < 0:
                raise ValueError("amount is negative")

    value = Positive(1)
    typed(Positive).check(value)
    value.amount = -1
    with pytest.raises(StateInvalid, match="amount is negative"):
        typed(Positive).check(value)


def test_an_error_of_post_init_is_no_crash() -> None:
    @dataclass
    class Odd:
        amount: int

        def __post_init__(self) -> None:
            if self.amount:
                raise KeyError("odd")

    data = VERSION + msgspec.msgpack.encode({"amount": 1})
    with pytest.raises(StateInvalid, match="it was refused: KeyError: 'odd'"):
        typed(Odd).decode(data)
    for body in ({"amount": 1}, b'{"amount": 1}'):
        with pytest.raises(InvalidArguments, match="it was refused: KeyError: 'odd'"):
            typed(Odd).from_json(body)


def test_an_int_in_a_floats_place_comes_back_a_float() -> None:
    assert repr(typed(list[float]).copy([1, 2.5])) == "[1.0, 2.5]"
    assert repr(typed(float | int).copy(1)) == "1"


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        *((date(2020, 1, 2), date), (Decimal("1.50"), Decimal), (UUID(int=1), UUID | None)),
        *(((1, "a"), tuple[int, str]), ({1}, set[int]), ({(1, 2): [3]}, dict[Point, list[int]])),
        ([{"sku": "a", "amount": 2}], list[Line]),
    ],
)
def test_what_was_packed_without_annotation_unpacks_with_one(
    value: object, annotation: Any
) -> None:
    again = typed(annotation).decode(encode(value))
    typed(annotation).check(again)


T = TypeVar("T")


class Box(msgspec.Struct, Generic[T]):
    content: T


def test_a_generic_class_is_checked_as_parametrised() -> None:
    compiled = typed(tuple[Box[int], Box[str]])
    compiled.check((Box(1), Box("a")))
    with pytest.raises(StateInvalid, match=r"expected int, got str at \[0\]\.content"):
        compiled.check((Box("a"), Box("a")))


@pytest.mark.parametrize(
    "annotation",
    [
        *(int, str, float, bool, bytes, None, int | None, datetime, date, time, timedelta, UUID),
        *(Decimal, Colour, Literal["a"], tuple[int, ...], tuple[str, tuple[int, int]]),
        *(frozenset[str], Point, Money, Chain, Fixed, Chain | None),
    ],
    ids=str,
)
def test_immutable_annotations_are_known(annotation: Any) -> None:
    assert typed(annotation).immutable


@pytest.mark.parametrize(
    "annotation",
    [
        *(list[int], dict[str, int], set[int], bytearray, Any, object, Line, Node, Row, Order),
        *(tuple[list[int], ...], tuple[Any, ...], tuple[int, Line], list[int] | None),
        make_dataclass("Frozen", [("items", list[int])], frozen=True),
    ],
    ids=str,
)
def test_mutable_annotations_are_known(annotation: Any) -> None:
    assert not typed(annotation).immutable


@pytest.mark.parametrize(
    ("annotation", "types"),
    [
        (int, {int}),
        (int | None, {int, type(None)}),
        (float, {float}),
        (Colour, {Colour}),
        (list[int], set()),
        (Annotated[int, msgspec.Meta(gt=1)], set()),
        (Literal["a"], set()),
        (bytearray, set()),
        (Any, {type(None), bool, int, float, str, bytes}),
    ],
)
def test_types_are_those_that_need_no_second_look(annotation: Any, types: set[type]) -> None:
    assert typed(annotation).types == types


def test_copy_shares_what_cannot_change_and_copies_the_rest() -> None:
    point, order = Point(1, 2.0), Order([Line("a")])
    assert typed(Point).copy(point) is point
    copied = typed(Order).copy(order)
    assert copied == order
    copied.lines[0].amount = 5
    assert order.lines[0].amount == 1
    with pytest.raises(StateInvalid, match="expected int, got str"):
        typed(int).copy("a")  # type: ignore[arg-type]


def test_an_annotation_is_compiled_once() -> None:
    assert typed(list[int]) is typed(list[int])
    assert typed(Annotated[int, ["not hashable"]]).name == "int"
    assert typed(Literal[1]) is not typed(Literal[True])
    assert repr(typed(dict[str, int | None])) == "typed(dict[str, int | None])"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Shape(enum.Enum):
    SQUARE = (1, 1)


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (socket.socket, "socket.socket is no type that can be stored or sent; use builtins"),
        (dict[str, list[socket.socket]], "socket.socket is no type that can be stored"),
        (make_dataclass("Client", [("sock", socket.socket)]), "Client.sock: socket.socket is no"),
        (TypedDict("Open", {"sock": socket.socket}), "Open.sock: socket.socket is no"),
        (Line | Order, "more than one dataclass or attrs type; stored values could not be told "),
        (Line | Order, "make them tagged structs: class A(msgspec.Struct, tag=True)"),
        (datetime | str, "more than one str-like type"),
        (Access, "Access is a Flag: combined members have no name to store; annotate int"),
        (Shape, "Enums must contain either all str or all int values"),
        (dict[Fixed, int], "Fixed cannot be the key of a stored dict; use a tuple"),
        (dict[tuple[list[int], ...], int], "cannot be the key of a stored dict"),
        (make_dataclass("Auto", [("n", int, field(init=False))]), "Auto.n is declared init=False"),
        (msgspec.Raw, "Raw is no type that can be stored or sent"),
        ("Order", "Order cannot be used: Type ''Order'' is not supported"),
    ],
    ids=str,
)
def test_an_annotation_that_cannot_be_kept_is_refused_when_compiled(
    annotation: Any, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        typed(annotation)
    assert message in str(caught.value)


# --- JSON ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "given_", "expected"),
    [
        (datetime, "2020-01-02T03:04:05+00:00", datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (date, "2020-01-02", date(2020, 1, 2)),
        (Decimal, "1.50", Decimal("1.50")),
        (UUID, "00000000-0000-0000-0000-000000000001", UUID(int=1)),
        (bytes, "aGk=", b"hi"),
        (set[int], [1, 2], {1, 2}),
        (tuple[int, str], [1, "a"], (1, "a")),
        (Colour, "red", Colour.RED),
        (dict[int, str], {"1": "a"}, {1: "a"}),
        (float, 1, 1.0),
        (Line, {"sku": "a"}, Line("a")),
        (Point, [1, 2], Point(1, 2.0)),
        (object, {"a": [1, None]}, {"a": [1, None]}),
        (int, 2**70, 2**70),
    ],
)
def test_json_becomes_the_annotated_type(annotation: Any, given_: object, expected: object) -> None:
    assert same(typed(annotation).from_json(given_), expected)
    assert same(typed(annotation).from_json(msgspec.json.encode(given_)), expected)


@pytest.mark.parametrize(
    ("annotation", "given_", "message"),
    [
        (int, "5", "expected int, got str"),
        (int, 1.0, "expected int, got float"),
        (int, True, "expected int, got bool"),
        (str | None, 5, "expected str | None, got int"),
        (list[Line], [{"sku": "a"}, {"sku": 1}], "expected str, got int at [1].sku"),
        (dict[str, int], {"a": "b"}, "expected int, got str at [...]"),
        (Line, {}, "Object missing required field sku"),
        (Colour, "green", "Invalid enum value 'green'"),
    ],
)
def test_json_that_does_not_fit_is_an_invalid_argument(
    annotation: Any, given_: object, message: str
) -> None:
    for data in (given_, msgspec.json.encode(given_)):
        with pytest.raises(InvalidArguments) as caught:
            typed(annotation).from_json(data)
        assert str(caught.value) == message


def test_a_json_key_that_does_not_fit_is_said_to_be_a_key() -> None:
    with pytest.raises(InvalidArguments, match="in a key: expected int, got str"):
        typed(dict[int, int]).from_json({"a": 1})


@pytest.mark.parametrize("data", [b"", b"{", b"[1", b'"\xff"', b"nope"])
def test_what_is_no_json_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedRequest, match="the body is not JSON"):
        typed(object).from_json(data)


def test_json_nested_without_end_is_an_invalid_argument() -> None:
    with pytest.raises(InvalidArguments, match="nested too deeply"):
        typed(object).from_json(b"[" * 100_000)


@relaxed
@given(st.binary(max_size=30))
def test_random_bytes_as_json_never_crash(data: bytes) -> None:
    for annotation in (object, Order, dict[str, int]):
        with suppress(InvalidArguments, MalformedRequest):
            typed(annotation).from_json(data)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2020, 1, 2, tzinfo=UTC), b'"2020-01-02T00:00:00Z"'),
        ({"a": b"hi"}, b'{"a":"aGk="}'),
        ((1, {2}), b"[1,[2]]"),
        (Decimal("1.50"), b'"1.50"'),
        ([math.nan, math.inf], b"[null,null]"),
        (2**70, b"1180591620717411303424"),
        (Order([Line("a")]), b'{"lines":[{"sku":"a","amount":1}],"by_colour":{},"placed":null}'),
        (Point(1, 2.0), b"[1,2.0]"),
        (Cat(9), b'{"type":"Cat","lives":9,"log":[]}'),
        ({Colour.RED: 1}, b'{"red":1}'),
        (None, b"null"),
    ],
)
def test_a_reply_as_json(value: object, expected: bytes) -> None:
    assert to_json(value) == expected


@pytest.mark.parametrize("value", [print, {(1, 2): 3}, "\ud800", [object()], {"a": 1j}])
def test_a_reply_without_json_form_is_refused(value: object) -> None:
    with pytest.raises(StateInvalid, match="cannot be sent as JSON"):
        to_json(value)
