"""What an annotation demands of a value, compiled to plain functions.

A Shape answers three questions about a value in memory: does it fit, exactly (`fault`); can it
change in place (`immutable`); and which of its parts MessagePack would not bring back type for
type, so that they must be wrapped (`lower`). Bytes to values is left to msgspec's typed decoders.

Shapes:     one Shape per node of `msgspec.inspect`'s type tree; a recursive class is one Shape.
Invariants: a value without fault can be packed, and unpacks to an equal value of the same types;
            one liberty is Python's own: an int passes for a float, and comes back as one.
Errors:     ConfigError for an annotation that cannot be kept, when it is compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Flag
from types import NoneType
from typing import Any, Final, get_origin
from uuid import UUID

from msgspec import inspect

from wakeful import models, packing
from wakeful.errors import ConfigError
from wakeful.packing import Code, Fault, step_to, type_name, wrap

FLOAT_INT_MAX: Final = 2**53  # every int up to here is some float exactly

_MISSING: Final = object()


def _as_is(value: object) -> object:
    return value


class Shape:
    """What one node of an annotation demands.

    Attributes:
        name: how a message names it.
        kinds: the exact types its values have; None if they can have any.
        types: the exact types that make a value certainly valid and immutable, without looking
            inside.
        immutable: its values cannot change in place.
        keyable: its values can be keys of a stored dict.
        loose: some part comes back type for type only when wrapped.
        constrained: it has rules that only decoding checks (limits, __post_init__).
        decimal: some part is a Decimal, which msgspec also reads from a number.
        model: some part is a pydantic model.
        fault: what is wrong with a value, or None.
        lower: the value with what MessagePack has no type for wrapped.
    """

    __slots__ = (
        *("name", "kinds", "types", "immutable", "keyable", "loose"),
        *("constrained", "decimal", "fault", "lower", "model"),
    )

    def __init__(self, name: str, kinds: Iterable[type] | None = None) -> None:
        self.name = name
        self.kinds = None if kinds is None else frozenset(kinds)
        self.types: frozenset[type] = frozenset()
        self.immutable = True
        self.keyable = True
        self.loose = False
        self.constrained = False
        self.decimal = False
        self.model = False
        self.fault: Callable[[Any], Fault | None] = self.mismatch
        self.lower: Callable[[Any], Any] = _as_is

    def mismatch(self, value: object) -> Fault | None:
        """None if the value is of one of the exact types."""
        if self.kinds is None or type(value) in self.kinds:
            return None
        return Fault("", f"expected {self.name}, got {type_name(type(value))}")

    def takes_on(self, parts: Iterable[Shape]) -> None:
        """Take over the properties of a part that hold for the whole as well."""
        for part in parts:
            self.immutable &= part.immutable
            self.keyable &= part.keyable
            self.loose |= part.loose
            self.constrained |= part.constrained
            self.decimal |= part.decimal
            self.model |= part.model


def compile_shape(annotation: object) -> Shape:
    """The shape of an annotation.

    Raises:
        ConfigError: values of it could not be kept; the message says what to use instead.
    """
    try:
        tree = inspect.type_info(annotation)
    except Exception as error:  # msgspec's TypeError, a NameError in a class's own annotations, ...
        raise ConfigError(
            f"{_written(annotation)} cannot be used: {_union_advice(error)}"
        ) from error
    return _Compiler().shape(tree)


def _written(annotation: object) -> str:
    return type_name(annotation) if isinstance(annotation, type) else str(annotation)


def _union_advice(error: Exception) -> str:
    text = str(error).partition(" - type ")[0].replace("`", "")
    if text.startswith("Type unions"):
        text += (
            "; stored values could not be told apart: choose one, or make them tagged structs: "
            "class A(msgspec.Struct, tag=True)"
        )
    return text


_LEAVES: Final[dict[type[inspect.Type], type]] = {
    inspect.NoneType: NoneType,
    inspect.BoolType: bool,
    inspect.IntType: int,
    inspect.FloatType: float,
    inspect.StrType: str,
    inspect.BytesType: bytes,
    inspect.DateTimeType: datetime,
    inspect.TimeType: time,
    inspect.DateType: date,
    inspect.TimeDeltaType: timedelta,
    inspect.DecimalType: Decimal,
    inspect.UUIDType: UUID,
}
_SCALARS: Final = frozenset({NoneType, bool, int, float, str, bytes})
_LIMITS: Final = (
    *("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "pattern", "tz"),
)


class _Compiler:
    """Compiles one annotation; remembers its records, which may contain themselves."""

    def __init__(self) -> None:
        # By node: Box[int] and Box[str] are one class. The tree keeps its nodes, and their ids.
        self._records: dict[int, Shape] = {}

    def shape(self, node: inspect.Type) -> Shape:
        kind = type(node)
        if isinstance(node, inspect.Metadata):
            return self.shape(node.type)
        if kind in _LEAVES:
            shape = self._leaf(_LEAVES[kind])
        elif kind in _COMPOUND:
            shape = _COMPOUND[kind](self, node)
        else:
            raise ConfigError(_unsupported(node))
        if any(getattr(node, limit, None) is not None for limit in _LIMITS):
            shape.constrained, shape.types = True, frozenset()
        return shape

    def _leaf(self, kind: type) -> Shape:
        shape = Shape("None" if kind is NoneType else kind.__name__, {kind})
        shape.types = frozenset({kind})
        if kind in (datetime, time):
            shape.loose, shape.types = True, frozenset()
            shape.fault = lambda value: shape.mismatch(value) or packing.fault(value)
        if kind is float:
            shape.kinds = frozenset({float, int})
            shape.fault = _float_fault(shape)
        if kind in (int, str, datetime, time):
            shape.lower = wrap
        shape.decimal = kind is Decimal
        return shape

    def _any(self, node: object) -> Shape:
        shape = Shape("object")
        shape.immutable, shape.loose = False, True
        shape.types = _SCALARS
        shape.fault, shape.lower = packing.fault, wrap
        return shape

    def _custom(self, node: inspect.CustomType) -> Shape:
        if node.cls is object:
            return self._any(node)
        if models.is_model(node.cls):
            return self._model(node.cls)
        raise ConfigError(_unsupported(node))

    def _model(self, cls: type) -> Shape:
        """A pydantic model: it is packed as the JSON that pydantic makes of it."""
        shape = Shape(type_name(cls), {cls})
        shape.immutable = shape.keyable = False
        shape.loose = shape.model = True

        def fault(value: object) -> Fault | None:
            if type(value) is not cls:
                return shape.mismatch(value)
            found = models.fault_of(value)
            return None if found is None else Fault("", found)

        shape.fault = fault
        shape.lower = lambda value: wrap(models.dump(value))
        return shape

    def _bytearray(self, node: object) -> Shape:
        shape = Shape("bytearray", {bytearray})
        shape.immutable = shape.keyable = False
        return shape

    def _enum(self, node: inspect.EnumType) -> Shape:
        if issubclass(node.cls, Flag):
            raise ConfigError(
                f"{type_name(node.cls)} is a Flag: combined members have no name to store; "
                "annotate int and convert"
            )
        shape = Shape(type_name(node.cls), {node.cls})
        shape.types = frozenset({node.cls})
        shape.lower = lambda member: wrap(member.value)
        return shape

    def _literal(self, node: inspect.LiteralType) -> Shape:
        values = frozenset((type(value), value) for value in node.values)
        shape = Shape(" or ".join(map(repr, node.values)), {kind for kind, _ in values})

        def fault(value: object) -> Fault | None:
            if shape.kinds and type(value) not in shape.kinds:
                return shape.mismatch(value)
            if (type(value), value) in values:
                return None
            return Fault("", f"expected {shape.name}, got {repr(value)[:40]}")

        shape.fault = fault
        return shape

    def _union(self, node: inspect.UnionType) -> Shape:
        members = [self.shape(member) for member in node.types]
        if any(member.kinds is None for member in members):
            return self._any(node)
        members.sort(key=lambda member: member.kinds == frozenset({NoneType}))
        by_kind = {kind: member for member in reversed(members) for kind in member.kinds or ()}
        for member in members:  # an exact match wins: in int | float, ints stay ints
            by_kind |= dict.fromkeys(member.types, member)
        shape = Shape(" | ".join(member.name for member in members), by_kind)
        shape.takes_on(members)
        shape.types = frozenset().union(*(member.types for member in members))

        def fault(value: object) -> Fault | None:
            member = by_kind.get(type(value))
            return shape.mismatch(value) if member is None else member.fault(value)

        shape.fault = fault
        shape.lower = lambda value: by_kind[type(value)].lower(value)
        return shape

    def _items(self, node: Any) -> Shape:
        kind: Any
        kind, mutable, code = _ITEMS[type(node)]
        item = self.shape(node.item_type)
        dots = ", ..." if kind is tuple else ""
        shape = Shape(f"{kind.__name__}[{item.name}{dots}]", {kind})
        shape.takes_on([item])
        if mutable:
            shape.immutable = shape.keyable = False

        def fault(value: Any) -> Fault | None:
            if type(value) is not kind:
                return shape.mismatch(value)
            part: object
            if item.types.issuperset(map(type, value)):
                return None
            for number, part in enumerate(value):
                if found := item.fault(part):
                    return found.inside("{...}" if code else f"[{number}]")
            return None

        def lower(value: Any) -> object:
            parts = [item.lower(part) for part in value]
            if kind is tuple:
                return packing.wrap_tuple(parts)
            return packing.wrap_set(parts, code) if code else parts

        shape.fault = fault
        shape.lower = wrap if kind is list and item.lower is wrap else lower
        return shape

    def _tuple(self, node: inspect.TupleType) -> Shape:
        items = [self.shape(item) for item in node.item_types]
        shape = Shape(f"tuple[{', '.join(item.name for item in items) or '()'}]", {tuple})
        shape.takes_on(items)

        def fault(value: Any) -> Fault | None:
            if type(value) is not tuple:
                return shape.mismatch(value)
            if len(value) != len(items):
                return Fault("", f"expected {shape.name}, got a tuple of length {len(value)}")
            return _first((f"[{n}]", item, value[n]) for n, item in enumerate(items))

        shape.fault = fault
        shape.lower = lambda value: packing.wrap_tuple(
            [item.lower(part) for item, part in zip(items, value, strict=True)]
        )
        return shape

    def _dict(self, node: inspect.DictType) -> Shape:
        key, item = self.shape(node.key_type), self.shape(node.value_type)
        if not key.keyable:
            raise ConfigError(f"{key.name} cannot be the key of a stored dict; use a tuple")
        shape = Shape(f"dict[{key.name}, {item.name}]", {dict})
        shape.takes_on([key, item])
        shape.immutable = shape.keyable = False

        def fault(value: Any) -> Fault | None:
            if type(value) is not dict:
                return shape.mismatch(value)
            if not key.types.issuperset(map(type, value)):
                for name in value:
                    if found := key.fault(name):
                        return Fault("", f"in a key: {found}")
            if item.types.issuperset(map(type, value.values())):
                return None
            return _first((step_to(name), item, part) for name, part in value.items())

        def lower(value: Any) -> object:
            return packing.wrap_pairs(
                [(key.lower(name), item.lower(part)) for name, part in value.items()]
            )

        shape.fault = fault
        shape.lower = wrap if key.lower is wrap and item.lower is wrap else lower
        return shape

    def _record(self, node: Any) -> Shape:
        """A class with fields: dataclass, attrs, Struct or NamedTuple."""
        cls = get_origin(node.cls) or node.cls
        if id(node) in self._records:
            return self._records[id(node)]
        shape = self._records[id(node)] = Shape(type_name(cls), {cls})
        _check_init(cls)
        fields = [(field, self._field(cls, field)) for field in node.fields]
        shape.takes_on(part for _, part in fields)
        shape.immutable &= _is_frozen(cls)
        shape.keyable &= issubclass(cls, tuple)
        shape.constrained |= hasattr(cls, "__post_init__") or hasattr(cls, "__attrs_post_init__")

        def fault(value: object) -> Fault | None:
            if type(value) is not cls:
                return shape.mismatch(value)
            return _first(
                (f".{field.name}", part, getattr(value, field.name, _MISSING))
                for field, part in fields
            )

        def lower(value: object) -> object:
            parts = {
                field.encode_name: part.lower(getattr(value, field.name)) for field, part in fields
            }
            if isinstance(node, inspect.StructType) and node.tag is not None:
                parts = {node.tag_field or "type": node.tag, **parts}
            as_array = isinstance(node, inspect.NamedTupleType) or getattr(
                node, "array_like", False
            )
            return packing.wrap_tuple(list(parts.values())) if as_array else parts

        shape.fault, shape.lower = fault, lower
        return shape

    def _field(self, owner: type, field: inspect.Field) -> Shape:
        try:
            return self.shape(field.type)
        except ConfigError as error:
            raise ConfigError(f"{owner.__name__}.{field.name}: {error}") from None

    def _typed_dict(self, node: inspect.TypedDictType) -> Shape:
        cls = get_origin(node.cls) or node.cls
        if id(node) in self._records:
            return self._records[id(node)]
        shape = self._records[id(node)] = Shape(type_name(cls), {dict})
        fields = {field.name: (field, self._field(cls, field)) for field in node.fields}
        shape.takes_on(part for _, part in fields.values())
        shape.immutable = shape.keyable = False

        def fault(value: Any) -> Fault | None:
            if type(value) is not dict:
                return shape.mismatch(value)
            for name, (field, _) in fields.items():
                if field.required and name not in value:
                    return Fault("", f"expected {shape.name}, key {name!r} is missing")
            for name in value:
                if name not in fields:
                    return Fault("", f"expected {shape.name}, got an unknown key {name!r}")
            return _first((step_to(name), fields[name][1], part) for name, part in value.items())

        shape.fault = fault
        shape.lower = lambda value: {
            name: fields[name][1].lower(part) for name, part in value.items()
        }
        return shape


_ITEMS: Final[dict[type[inspect.Type], tuple[type, bool, int]]] = {  # type, mutable, set code
    inspect.ListType: (list, True, 0),
    inspect.VarTupleType: (tuple, False, 0),
    inspect.SetType: (set, True, Code.SET),
    inspect.FrozenSetType: (frozenset, False, Code.FROZENSET),
}
_COMPOUND: Final[dict[type[inspect.Type], Callable[[_Compiler, Any], Shape]]] = {
    inspect.AnyType: _Compiler._any,
    inspect.CustomType: _Compiler._custom,
    inspect.ByteArrayType: _Compiler._bytearray,
    inspect.EnumType: _Compiler._enum,
    inspect.LiteralType: _Compiler._literal,
    inspect.UnionType: _Compiler._union,
    **dict.fromkeys(_ITEMS, _Compiler._items),
    inspect.TupleType: _Compiler._tuple,
    inspect.DictType: _Compiler._dict,
    inspect.StructType: _Compiler._record,
    inspect.DataclassType: _Compiler._record,
    inspect.NamedTupleType: _Compiler._record,
    inspect.TypedDictType: _Compiler._typed_dict,
}


def _first(parts: Iterable[tuple[str, Shape, object]]) -> Fault | None:
    """The first fault among some parts, each given with the step that leads to it."""
    for step, shape, value in parts:
        if type(value) not in shape.types:
            if value is _MISSING:
                return Fault(step, f"expected {shape.name}, but it was deleted")
            if found := shape.fault(value):
                return found.inside(step)
    return None


def _float_fault(shape: Shape) -> Callable[[object], Fault | None]:
    def fault(value: object) -> Fault | None:
        if type(value) is int and abs(value) > FLOAT_INT_MAX:
            return Fault("", "expected float, got an int beyond 2**53: convert it with float(...)")
        return shape.mismatch(value)

    return fault


def _is_frozen(cls: type) -> bool:
    if issubclass(cls, tuple):
        return True
    config = getattr(cls, "__struct_config__", None) or getattr(cls, "__dataclass_params__", None)
    return bool(getattr(config, "frozen", False))


def _check_init(cls: type) -> None:
    """Refuse a field that the constructor does not take: it is not stored, so it would be lost."""
    if is_dataclass(cls):
        for field in dataclass_fields(cls):
            if not field.init:
                raise ConfigError(
                    f"{cls.__name__}.{field.name} is declared init=False and would not be stored; "
                    "make it a property, or drop init=False"
                )


def _unsupported(node: inspect.Type) -> str:
    cls = getattr(node, "cls", None)
    name = type_name(cls) if isinstance(cls, type) else type(node).__name__.removesuffix("Type")
    return (
        f"{name} is no type that can be stored or sent; use builtins, a dataclass, a "
        "msgspec.Struct, a pydantic model, a TypedDict, a NamedTuple or an Enum, and keep live "
        "things (sockets, locks, clients) in attributes that start with an underscore"
    )
