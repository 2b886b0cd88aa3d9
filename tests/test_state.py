"""Declared state: what a class declares, when it has changed, how it is stored and read again."""

from __future__ import annotations

import dataclasses
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from wakeful.codec import encode
from wakeful.errors import ConfigError, SchemaMismatch, StateInvalid, StorageCorrupt
from wakeful.packing import VERSION
from wakeful.state import Instance, Snapshot, StateSchema, describe, stored_version

if TYPE_CHECKING:
    pass


relaxed: Final = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass
class Item:
    sku: str
    amount: int = 1
    notes: list[str] = dataclasses.field(default_factory=list)


class Framework:
    __wakeful_base__ = True
    ctx: object
    schema_version: ClassVar[int] = 1


class Counter(Framework):
    count: int = 0


class Cart(Framework):
    LIMIT: ClassVar[int] = 3
    RATE: Final = 2
    owner: str | None
    items: list[Item] = [Item("first")]
    tags: set[str] = {"new", "open", "vip"}
    meta: dict[str, Any] = {}
    total: Decimal = Decimal(0)
    seen: datetime = datetime(2020, 1, 1, tzinfo=UTC)
    limits: tuple[int, ...] = ()
    made: list[int] = msgspec.field(default_factory=lambda: [1])
    weight: float = 0
    _cache: dict[str, object] = {"warm": []}
    _stats: list[int] = dataclasses.field(default_factory=list)
    _plain: int = 3


def awake(cls: type) -> tuple[StateSchema, Instance, Snapshot]:
    schema, instance = StateSchema.of(cls), {}
    return schema, instance, schema.fresh(instance)


def durable(schema: StateSchema, instance: Instance) -> Instance:
    return {field.name: instance[field.name] for field in schema.fields}


# --- declaration -----------------------------------------------------------------------------


def test_public_annotated_attributes_are_durable() -> None:
    assert [field.name for field in StateSchema.of(Cart).fields] == [
        *("owner", "items", "tags", "meta", "total", "seen", "limits", "made", "weight"),
    ]


def test_fields_come_from_bases_and_mixins_and_the_last_default_counts() -> None:
    class Named:
        name: str = "none"
        count: int = 7

    class Special(Named, Counter):
        extra: bool = False
        name = "special"

    schema, instance, _ = awake(Special)
    assert instance == {"count": 7, "name": "special", "extra": False}
    assert [field.name for field in schema.fields] == ["count", "name", "extra"]


def test_framework_classes_declare_no_state_by_marker_or_by_base() -> None:
    class Base:
        ctx: object

    class Mine(Base):
        count: int = 0

    assert [field.name for field in StateSchema.of(Mine, base=Base).fields] == ["count"]
    assert StateSchema.of(Framework).fields == ()


def test_an_instance_starts_with_its_own_defaults() -> None:
    _, one, _ = awake(Cart)
    _, two, _ = awake(Cart)
    assert one["owner"] is None
    assert one["made"] == [1]
    assert repr(one["weight"]) == "0.0"
    for name in ("items", "tags", "meta", "made", "_cache", "_stats"):
        assert one[name] == two[name]
        assert one[name] is not two[name], name
    one["items"][0].notes.append("mine")  # type: ignore[index]
    one["_cache"]["warm"].append(1)  # type: ignore[index]
    assert two["items"] == Cart.items == [Item("first")]
    assert two["_cache"] == Cart._cache == {"warm": []}
    assert "_plain" not in one


def declares(**namespace: object) -> type:
    """A class of this module with these annotations and defaults: name=(annotation, default)."""
    annotations = {name: value[0] for name, value in namespace.items() if type(value) is tuple}
    values = {
        name: value[1] if type(value) is tuple else value
        for name, value in namespace.items()
        if type(value) is not tuple or len(value) > 1
    }
    return type(
        "Thing", (Framework,), {"__annotations__": annotations, "__module__": __name__, **values}
    )


class Bag:
    """A class that no codec knows."""


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (declares(count=("int",)), "Thing.count has no default: give it one, e.g. count: int = 0"),
        (
            declares(all=("list[int]",)),
            "Thing.all has no default: give it one, e.g. all: list[int] = []",
        ),
        (
            declares(at=("Missing", 1)),
            "Thing.at: its annotation 'Missing' cannot be resolved (name 'Missing' is",
        ),
        (declares(at=("int |", 1)), "Thing.at: its annotation 'int |' cannot be resolved"),
        (declares(bag=("Bag", None)), "Bag is no type that can be stored or sent; use builtins"),
        (declares(bags=(dict[str, Bag], {})), "Bag is no type that can be stored or sent; use"),
        (
            declares(count=("int", "0")),
            "Thing.count: its default does not fit: expected int, got str",
        ),
        (declares(at=("list[int]", [1, "2"])), "does not fit: expected int, got str at [1]"),
        (
            declares(at=("list[int]", dataclasses.field(default_factory=dict))),
            "Thing.at: its default does not fit: expected list[int], got dict",
        ),
        (declares(ctx=("int", 1)), "Thing.ctx belongs to the framework; choose another name"),
        (declares(schema_version=0), "Thing.schema_version is 0: use 1, 2, 3, ..."),
        (declares(schema_version=True), "Thing.schema_version is True: use 1, 2, 3, ..."),
        (declares(removed_fields="forget"), "Thing.removed_fields is 'forget': use \"keep\" or"),
        (
            declares(schema_version=2, migrate=lambda self: None),
            "Thing.migrate must be a classmethod",
        ),
    ],
    ids=str,
)
def test_a_declaration_that_cannot_be_kept_is_refused_by_name(cls: type, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        StateSchema.of(cls)
    assert message in str(caught.value)


def test_classvars_as_text_are_not_looked_up() -> None:
    cls = declares(at=("typing.ClassVar[Missing]",), end=("Final[Missing]", 1), _x=("Missing", []))
    assert StateSchema.of(cls).fields == ()


def test_the_annotation_of_schema_version_need_not_be_a_classvar() -> None:
    assert (
        StateSchema.of(declares(schema_version=("int", 3), removed_fields=("str", "drop"))).version
        == 3
    )


def test_a_class_of_a_module_that_is_not_imported_finds_its_names() -> None:
    source = """
from __future__ import annotations
from decimal import Decimal as Money
class Till:
    cash: Money = Money(0)
    async def count(self) -> Money: ...
"""
    names: dict[str, Any] = {"__name__": "not_in_sys_modules"}
    exec(source, names)  # as a Worker's loader does
    assert [field.name for field in StateSchema.of(names["Till"]).fields] == ["cash"]


# --- noticing changes ------------------------------------------------------------------------


def edit(name: str, value: object) -> Any:
    return lambda instance: instance.update({name: value})


CHANGES: dict[str, Any] = {
    "set an immutable": edit("owner", "me"),
    "equal but of another kind": edit("weight", -0.0),
    "append": lambda cart: cart["items"].append(Item("x")),
    "deep": lambda cart: cart["items"][0].notes.append("fragile"),
    "attribute of an element": lambda cart: setattr(cart["items"][0], "amount", 2),
    "add to a set": lambda cart: cart["tags"].add("x"),
    "remove from a set": lambda cart: cart["tags"].discard("vip"),
    "a key": lambda cart: cart["meta"].update(a=1),
    "replace": edit("made", [2]),
    "another zone": edit("seen", datetime(2020, 1, 1)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_capture_notices_a_change_once(change: Any) -> None:
    schema, cart, snapshot = awake(Cart)
    assert not schema.changed(cart, snapshot)
    assert not schema.capture(cart, snapshot)
    change(cart)
    before = list(snapshot)
    assert schema.changed(cart, snapshot)
    assert before == snapshot
    assert schema.capture(cart, snapshot)
    assert not schema.changed(cart, snapshot)
    assert not schema.capture(cart, snapshot)


class Flags(Framework):
    on: bool = False
    count: int = 0
    name: str = ""


class Empty(Framework):
    _memory: int = 0


def test_a_class_of_one_immutable_field() -> None:
    schema, counter, snapshot = awake(Counter)
    assert snapshot == [0]
    assert not schema.capture(counter, snapshot)
    counter["count"] = 5
    assert schema.changed(counter, snapshot)
    assert schema.capture(counter, snapshot)
    assert snapshot == [5]
    assert not schema.capture(counter, snapshot)


def test_a_class_of_immutable_fields_only() -> None:
    schema, flags, snapshot = awake(Flags)
    assert not schema.capture(flags, snapshot)
    flags |= {"on": True, "name": "x"}
    assert schema.changed(flags, snapshot)
    assert schema.capture(flags, snapshot)
    assert snapshot == [True, 0, "x"]
    assert not schema.changed(flags, snapshot)


def test_a_class_without_fields_never_changes() -> None:
    schema, instance, snapshot = awake(Empty)
    instance["anything"] = 1
    assert not schema.capture(instance, snapshot)
    assert not schema.changed(instance, snapshot)
    assert (describe(schema.encode(snapshot)), snapshot) == ({}, [])
    assert schema.load(schema.encode(snapshot), {}) == []


@pytest.mark.parametrize(
    ("cls", "change", "message"),
    [
        (Counter, edit("count", "5"), "Counter.count: expected int, got str"),
        (Counter, edit("count", True), "Counter.count: expected int, got bool"),
        (Flags, edit("name", None), "Flags.name: expected str, got None"),
        (Cart, edit("owner", 5), "Cart.owner: expected str | None, got int"),
        (Cart, edit("limits", (1, "2")), "Cart.limits[1]: expected int, got str"),
        (Cart, edit("made", (1,)), "Cart.made: expected list[int], got tuple"),
        (
            Cart,
            lambda cart: cart["items"].append("x"),
            "Cart.items[1]: expected test_state.Item, got str",
        ),
        (
            Cart,
            lambda cart: setattr(cart["items"][0], "amount", "2"),
            "Cart.items[0].amount: expected int, got str",
        ),
        (
            Cart,
            lambda cart: cart["meta"].update(sock={"a": print}),
            "Cart.meta['sock']['a']: builtin_function_or_method cannot be stored or sent; use its",
        ),
        (Cart, edit("meta", None), "Cart.meta: expected dict[str, object], got None"),
        (
            Counter,
            lambda counter: counter.pop("count"),
            "Counter.count was deleted: a durable attribute always",
        ),
        (
            Flags,
            lambda flags: flags.pop("on"),
            "Flags.on was deleted: a durable attribute always has",
        ),
        (
            Cart,
            lambda cart: cart.pop("meta"),
            "assign one (dict[str, object]) instead of using del",
        ),
    ],
)
def test_a_wrong_value_is_refused_and_nothing_is_captured(
    cls: type, change: Any, message: str
) -> None:
    schema, instance, snapshot = awake(cls)
    before = list(snapshot)
    if "owner" in instance:
        instance["owner"] = "a valid change before"
    change(instance)
    assert schema.changed(instance, snapshot)
    with pytest.raises(StateInvalid) as caught:
        schema.capture(instance, snapshot)
    assert message in str(caught.value).replace(__name__, "test_state")
    assert before == snapshot
    schema.restore(instance, snapshot)
    assert not schema.capture(instance, snapshot)


def test_state_that_contains_itself_is_refused() -> None:
    schema, cart, snapshot = awake(Cart)
    cart["meta"]["self"] = cart["meta"]  # type: ignore[index]
    with pytest.raises(StateInvalid, match=r"Cart\.meta\['self'\].*does it contain itself\?"):
        schema.capture(cart, snapshot)


def test_restore_rolls_back_durable_fields_and_leaves_memory() -> None:
    schema, cart, snapshot = awake(Cart)
    before = {name: encode_any(value) for name, value in durable(schema, cart).items()}
    for change in CHANGES.values():
        change(cart)
    cart["_plain"] = 4
    cart["_cache"] = None
    del cart["total"]
    schema.restore(cart, snapshot)
    assert before == {name: encode_any(value) for name, value in durable(schema, cart).items()}
    assert (cart["_plain"], cart["_cache"]) == (4, None)
    assert not schema.capture(cart, snapshot)
    cart["items"][0].amount = 9  # type: ignore[index]
    schema.restore(cart, snapshot)
    assert cart["items"] == [Item("first")]


def encode_any(value: object) -> str:
    return repr(sorted(value) if isinstance(value, set) else value)


# --- the stored form -------------------------------------------------------------------------


def test_stored_state_loads_into_an_equal_instance() -> None:
    schema, cart, snapshot = awake(Cart)
    for change in CHANGES.values():
        change(cart)
    cart["limits"] = (2**70, -1)
    cart["owner"] = "lone \ud800"
    assert schema.capture(cart, snapshot)
    again: Instance = {}
    loaded = schema.load(schema.encode(snapshot), again)
    assert durable(schema, cart) == durable(schema, again)
    assert again["seen"].tzinfo is None  # type: ignore[attr-defined]
    assert not schema.capture(again, loaded)
    assert again["_cache"] == {"warm": []}


@pytest.mark.parametrize("value", [0, 127, -1, 2**63, 2**64, -(2**80)])
def test_a_counter_of_any_size_is_stored(value: int) -> None:
    schema, counter, snapshot = awake(Counter)
    counter["count"] = value
    schema.capture(counter, snapshot)
    data = schema.encode(snapshot)
    again: Instance = {}
    assert [value] == schema.load(data, again)
    assert {"count": value} == again == describe(data)


def test_describe_shows_state_without_the_class() -> None:
    schema, _, snapshot = awake(Cart)
    shown = describe(schema.encode(snapshot))
    assert shown["items"] == [{"sku": "first", "amount": 1, "notes": []}]
    assert shown["seen"] == datetime(2020, 1, 1, tzinfo=UTC)
    assert shown["owner"] is None
    assert stored_version(schema.encode(snapshot)) == 1


@relaxed
@given(st.binary(max_size=60))
def test_random_bytes_are_corrupt_or_do_not_fit(data: bytes) -> None:
    schema = StateSchema.of(Cart)
    for candidate in (data, VERSION + data, VERSION + b"\x92\x01" + data):
        for read in (lambda data: schema.load(data, {}), describe):
            with suppress(StorageCorrupt, SchemaMismatch):
                read(candidate)


@relaxed
@given(st.data())
def test_damaged_bytes_are_corrupt_or_do_not_fit(data: st.DataObject) -> None:
    schema, _, snapshot = awake(Cart)
    good = bytearray(schema.encode(snapshot))
    good[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(StorageCorrupt, SchemaMismatch):
        schema.load(bytes(good), {})


# --- other versions of the class -------------------------------------------------------------


def stored(state: dict[str, object], version: int = 1) -> bytes:
    packed = {name: msgspec.Raw(encode(value)[1:]) for name, value in state.items()}
    return VERSION + msgspec.msgpack.encode([version, packed])


def test_an_added_field_takes_its_default() -> None:
    cls = declares(count=("int", 0), tags=("list[str]", ["new"]))
    schema, instance = StateSchema.of(cls), {}
    snapshot = schema.load(stored({"count": 5}), instance)
    assert instance == {"count": 5, "tags": ["new"]}
    assert not schema.capture(instance, snapshot)


@pytest.mark.parametrize(
    "fields", [{"count": ("int", 0)}, {"count": ("int", 0), "x": ("list[int]", [])}]
)
def test_a_removed_field_is_kept_through_changes(fields: dict[str, object]) -> None:
    schema, instance = StateSchema.of(declares(**fields)), {}
    old = {"count": 5, "old": [(1, 2)], "older": 2**70}
    snapshot = schema.load(stored(old), instance)
    assert "old" not in instance
    instance["count"] = 6
    assert schema.capture(instance, snapshot)
    shown = describe(schema.encode(snapshot))
    assert shown | {"x": 0} == old | {"count": 6, "x": 0}
    schema.restore(instance, snapshot)
    assert describe(schema.encode(snapshot)) == shown


def test_a_removed_field_is_dropped_by_rule() -> None:
    schema = StateSchema.of(declares(count=("int", 0), removed_fields="drop"))
    snapshot = schema.load(stored({"count": 5, "old": 1}), {})
    assert describe(schema.encode(snapshot)) == {"count": 5}


def test_an_incompatible_change_names_both_types_and_asks_for_a_migration() -> None:
    schema = StateSchema.of(declares(count=("list[int]", [])))
    with pytest.raises(SchemaMismatch) as caught:
        schema.load(stored({"count": "5"}), {})
    assert str(caught.value) == (
        "Thing.count: the stored value is str, declared is list[int] (expected array, got str); "
        "declare a migration: set schema_version = 2 and add a classmethod "
        "migrate(cls, version, state) that returns the new state"
    )


def test_state_of_a_newer_class_is_refused() -> None:
    with pytest.raises(SchemaMismatch, match=r"Counter: stored with schema_version 3, this class"):
        StateSchema.of(Counter).load(stored({"count": 1}, version=3), {})


def migrating(migrate: Any, **fields: object) -> StateSchema:
    return StateSchema.of(declares(schema_version=3, migrate=classmethod(migrate), **fields))


def test_a_migration_gets_old_state_as_plain_values_and_returns_the_new() -> None:
    calls = []

    def migrate(cls: type, version: int, state: dict[str, object]) -> dict[str, object]:
        calls.append((cls.__name__, version, dict(state)))
        names = str(state.pop("names")).split(",")
        return {"items": [{"sku": name} for name in names], "best": Item("best"), **state}

    schema = migrating(migrate, items=("list[Item]", []), best=("Item | None", None), n=("int", 0))
    instance: Instance = {}
    snapshot = schema.load(stored({"names": "a,b", "old": (1,)}, version=2), instance)
    assert calls == [("Thing", 2, {"names": "a,b", "old": (1,)})]
    assert instance == {"items": [Item("a"), Item("b")], "best": Item("best"), "n": 0}
    data = schema.encode(snapshot)
    assert (stored_version(data), describe(data)["old"]) == (3, (1,))
    schema.load(data, {})
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "Thing.migrate returned None, not the new state's dict"),
        ({"n": "5"}, "Thing.migrate: n: expected int, got str"),
        ({"other": print}, "Thing.migrate: other: builtin_function_or_method cannot be stored"),
    ],
)
def test_a_migration_that_does_not_fit_is_a_mismatch(returned: object, message: str) -> None:
    schema = migrating(lambda cls, version, state: returned, n=("int", 0))
    with pytest.raises(SchemaMismatch) as caught:
        schema.load(stored({}), {})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "held", "where"),
    [
        ("Decimal", 500, "Thing.n"),
        ("Decimal | None", 2.5, "Thing.n"),
        ("list[Decimal]", [500], "[0]"),
        ("set[Decimal]", [500], "[0]"),
        ("tuple[str, Decimal]", ["eur", 500], "[1]"),
        ("dict[str, Decimal]", {"eur": 500}, "['eur']"),
        ("dict[Decimal, str]", {500: "eur"}, "in a key"),
    ],
)
def test_a_number_is_not_read_as_a_decimal(annotation: str, held: object, where: str) -> None:
    """500 cents are not 500 euros: what was an int says what it was only in a migration."""
    defaults = {"Dec": Decimal(), "lis": [], "set": set(), "tup": ("", Decimal()), "dic": {}}
    schema = StateSchema.of(declares(n=(annotation, defaults[annotation[:3]])))
    with pytest.raises(SchemaMismatch) as caught:
        schema.load(stored({"n": held}), {})
    assert where in str(caught.value)
    assert "declare a migration" in str(caught.value)


def test_a_decimal_stored_as_text_is_read() -> None:
    instance: Instance = {}
    schema = StateSchema.of(declares(n=("dict[str, Decimal]", {})))
    schema.load(stored({"n": {"eur": "5.10"}}), instance)
    assert instance == {"n": {"eur": Decimal("5.10")}}


def test_a_migration_that_leaves_a_number_in_a_decimals_place_is_a_mismatch() -> None:
    schema = migrating(lambda cls, version, state: state, n=("Decimal", Decimal()))
    with pytest.raises(SchemaMismatch, match="expected Decimal, got int"):
        schema.load(stored({"n": 500}), {})


def test_an_older_version_without_migration_is_read_as_it_is() -> None:
    instance: Instance = {}
    StateSchema.of(declares(schema_version=2, n=("int", 0))).load(stored({"n": 4}), instance)
    assert instance == {"n": 4}


def test_a_method_named_migrate_is_just_a_method_at_version_one() -> None:
    assert StateSchema.of(declares(migrate=lambda self: None, n=("int", 0))).version == 1


# --- everything at once ----------------------------------------------------------------------


class Turns(RuleBasedStateMachine):
    """Turns that change, fail and sleep, against a model that keeps deep copies of plain data."""

    @initialize()
    def start(self) -> None:
        self.schema, self.cart, self.snapshot = awake(Cart)
        self.stored = self.schema.encode(self.snapshot)
        self.committed = self.view()

    def view(self) -> dict[str, str]:
        return {k: encode_any(v) for k, v in durable(self.schema, self.cart).items()}

    @rule(owner=st.none() | st.text(max_size=3))
    def own(self, owner: str | None) -> None:
        self.cart["owner"] = owner

    @rule(sku=st.text(max_size=3), amount=st.integers())
    def add(self, sku: str, amount: int) -> None:
        self.cart["items"].append(Item(sku, amount))  # type: ignore[attr-defined]

    @rule(note=st.text(max_size=3))
    def annotate(self, note: str) -> None:
        for item in self.cart["items"]:  # type: ignore[attr-defined]
            item.notes.append(note)

    @rule(tag=st.text(max_size=2))
    def toggle(self, tag: str) -> None:
        self.cart["tags"] ^= {tag}  # type: ignore[operator]

    @rule(key=st.text(max_size=2), value=st.lists(st.tuples(st.floats(allow_nan=False))))
    def note(self, key: str, value: object) -> None:
        self.cart["meta"][key] = value  # type: ignore[index]

    @rule()
    def commit(self) -> None:
        assert self.schema.changed(self.cart, self.snapshot) == self.schema.capture(
            self.cart, self.snapshot
        )
        self.stored = self.schema.encode(self.snapshot)
        self.committed = self.view()

    @rule()
    def roll_back(self) -> None:
        self.schema.restore(self.cart, self.snapshot)
        assert self.committed == self.view()

    @rule()
    def sleep_and_wake(self) -> None:
        self.cart = {}
        self.snapshot = self.schema.load(self.stored, self.cart)
        assert self.committed == self.view()
        assert not self.schema.changed(self.cart, self.snapshot)

    @invariant()
    def a_different_view_is_a_change(self) -> None:
        if self.view() != self.committed:
            assert self.schema.changed(self.cart, self.snapshot)


TestTurns = Turns.TestCase
TestTurns.settings = settings(relaxed, max_examples=25, stateful_step_count=25)


def test_a_counter_keeps_one_list_besides_its_dict() -> None:
    schema, instance, snapshot = awake(Counter)
    data = schema.encode(snapshot)
    for kept in (snapshot, schema.load(data, {})):
        assert sys.getsizeof([0]) == sys.getsizeof(kept)
    assert (instance, snapshot) == ({"count": 0}, [0])
    assert stored({"count": 0}) == data


def test_snapshots_share_the_packed_defaults() -> None:
    schema, _, one = awake(Cart)
    two = schema.load(schema.encode(one), {})
    items = [field.name for field in schema.fields].index("items")
    assert one[items] is two[items]
