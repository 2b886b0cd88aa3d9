"""What an actor class declares: its durable fields, its memory-only ones, its schema version.

    class Cart(DurableObject):
        items: list[Item] = []          durable: a fresh copy of the default for each instance
        note: str | None                durable: an Optional needs no default
        _cache: dict[str, Item] = {}    memory only, fresh for each instance
        LIMIT: ClassVar[int] = 100      no state at all

Errors:  ConfigError, naming class and field and saying what to write instead.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import re
import sys
import typing
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from functools import partial
from types import NoneType
from typing import Any, ClassVar, Final, NamedTuple, get_origin

import msgspec

from wakeful.codec import Typed, typed
from wakeful.errors import ConfigError, StateInvalid
from wakeful.undeclared import refuse_undeclared

Migrate = Callable[[int, dict[str, object]], dict[str, object]]

_RESERVED: Final = frozenset({"schema_version", "removed_fields"})
_MSGSPEC_FIELD: Final = type(msgspec.field(default=None))
_COPIED: Final = (
    *(list, dict, set, bytearray, deque),
    *(defaultdict, OrderedDict, Counter),
)
_ABSENT: Final[Any] = object()
_SMALL: Final = frozenset({NoneType, bool, int, float})
SMALL_BYTES: Final = 16  # more than MessagePack needs for any of these, or for a header


class Field:
    """One durable field.

    Attributes:
        name: the attribute.
        typed: its annotation, compiled.
        mutable: its values can change in place, so a snapshot holds them packed.
        packs_alone: the stored form takes it packed; others are packed along with the whole.
        grows: its values can be of more than a few bytes.
    """

    __slots__ = ("_constant", "_factory", "grows", "mutable", "name", "packs_alone", "typed")

    def __init__(self, name: str, annotation: Typed[Any], factory: Callable[[], object]) -> None:
        self.name = name
        self.typed = annotation
        self.mutable = not annotation.immutable
        self.packs_alone = self.mutable or annotation.loose
        self.grows = self.mutable or not annotation.types or not annotation.types <= _SMALL
        self._factory = factory
        # Shared by all instances' snapshots while they hold the default.
        self._constant = annotation.pack(factory()) if self.mutable else None

    def reset(self, instance: dict[str, object]) -> object:
        """Set the default in an instance; returns what a snapshot holds of it."""
        return self.place(instance, self._factory())

    def place(self, instance: dict[str, object], value: object) -> object:
        """Set a value in an instance; returns what a snapshot holds of it."""
        instance[self.name] = value
        if not self.mutable:
            return value
        packed = self.typed.pack(value)
        return self._constant if packed == self._constant else packed

    def bytes_max(self, held: Any) -> int:
        """As many bytes as what a snapshot of a field that grows can take when stored, or more."""
        if held is None:
            return SMALL_BYTES
        if self.mutable or type(held) is bytes:
            return len(held) + SMALL_BYTES
        if type(held) is str:
            return 4 * len(held) + SMALL_BYTES
        return len(self.typed.pack(held)) + SMALL_BYTES


class Declaration(NamedTuple):
    """All that a class says about its state."""

    name: str
    version: int
    keep_removed: bool
    migrate: Migrate | None
    fields: tuple[Field, ...]
    memory: tuple[tuple[str, Callable[[], object]], ...]

    def set_memory(self, instance: dict[str, object]) -> None:
        """Give an instance its own copies of the memory-only attributes' mutable defaults.

        Attributes that the constructor has set stay as they are.
        """
        for name, make in self.memory:
            if name not in instance:
                instance[name] = make()


def declaration_of(actor: type, base: type | None) -> Declaration:
    """Read a class's declaration.

    Raises:
        ConfigError: a field's annotation or default cannot be stored.
    """
    version, rule = getattr(actor, "schema_version", 1), getattr(actor, "removed_fields", "keep")
    if type(version) is not int or version < 1:
        raise ConfigError(f"{actor.__name__}.schema_version is {version!r}: use 1, 2, 3, ...")
    if rule not in ("keep", "drop"):
        raise ConfigError(f'{actor.__name__}.removed_fields is {rule!r}: use "keep" or "drop"')
    framework = _framework(actor, base)
    annotations = dict(_annotations(actor, framework))
    _refuse_undeclared(actor, framework)
    return Declaration(
        name=actor.__name__,
        version=version,
        keep_removed=rule == "keep",
        migrate=_migrate(actor, version),
        fields=tuple(
            _field(actor, name, owner, annotation, framework)
            for name, (owner, annotation) in annotations.items()
            if not name.startswith("_") and name not in _RESERVED
        ),
        memory=tuple(_memory(actor, [name for name in annotations if name.startswith("_")])),
    )


def volatile_declaration_of(actor: type, base: type | None) -> Declaration:
    """What a class declares if nothing of it is kept: every attribute is memory only."""
    names = dict(_annotations(actor, _framework(actor, base)))
    return Declaration(actor.__name__, 1, False, None, (), tuple(_memory(actor, list(names))))


def _refuse_undeclared(actor: type, framework: frozenset[type]) -> None:
    """Check the classes written as actors; mixins follow rules of their own."""
    bases = tuple(framework - {object, typing.Generic})
    own = [cls for cls in actor.__mro__ if cls not in framework and issubclass(cls, bases)]
    declared = {name for cls in actor.__mro__ for name in inspect.get_annotations(cls)}
    refuse_undeclared(actor, own, declared)


def _framework(actor: type, base: type | None) -> frozenset[type]:
    """The classes whose attributes are no state."""
    ours = {cls for cls in actor.__mro__ if "__wakeful_base__" in vars(cls)}
    return frozenset({object, typing.Generic, *(base.__mro__ if base else ()), *ours})


def _annotations(
    actor: type, framework: frozenset[type]
) -> Iterator[tuple[str, tuple[type, object]]]:
    """Each annotated name with the class that annotates it; a later one replaces an earlier."""
    for cls in reversed([cls for cls in actor.__mro__ if cls not in framework]):
        for name, annotation in inspect.get_annotations(cls).items():
            if not _is_constant(annotation):
                yield name, (cls, annotation)


_CONSTANT: Final = re.compile(r"(\w+\.)?(ClassVar|Final)\b")


def _is_constant(annotation: object) -> bool:
    """Whether an annotation is ClassVar or Final, so no state; text is judged by the name in it."""
    if isinstance(annotation, str):
        return _CONSTANT.match(annotation) is not None
    return (get_origin(annotation) or annotation) in (ClassVar, Final)


def _field(
    actor: type, name: str, owner: type, annotation: object, framework: frozenset[type]
) -> Field:
    where = f"{actor.__name__}.{name}"
    if any(name in vars(cls) or name in inspect.get_annotations(cls) for cls in framework):
        raise ConfigError(f"{where} belongs to the framework; choose another name")
    try:
        compiled = typed(_resolved(owner, name, annotation))
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    except Exception as error:  # NameError and whatever evaluating the annotation may raise
        raise ConfigError(
            f"{where}: its annotation {annotation!r} cannot be resolved ({error}); the names in it "
            f"must be importable from module {owner.__module__}, not only under TYPE_CHECKING or "
            "inside a function"
        ) from None
    try:
        return Field(name, compiled, _factory(where, compiled, _default(actor, name)))
    except StateInvalid as error:
        raise ConfigError(f"{where}: its default does not fit: {error}") from None


def _resolved(owner: type, name: str, annotation: object) -> object:
    """An annotation with its names looked up: those of the module first, then the class's own."""
    probe = type(
        owner.__name__, (), {"__annotations__": {name: annotation}, "__module__": owner.__module__}
    )
    module = sys.modules.get(owner.__module__)
    names = vars(module) if module is not None else _globals_of(owner)
    return typing.get_type_hints(
        probe, globalns=dict(vars(owner)), localns=names, include_extras=True
    )[name]


def _globals_of(owner: type) -> dict[str, Any]:
    """The globals of a class whose module is not in sys.modules."""
    for member in vars(owner).values():
        if inspect.isfunction(member):
            return member.__globals__
    return {}


def _default(actor: type, name: str) -> Any:
    for cls in actor.__mro__:
        if name in vars(cls):
            return vars(cls)[name]
    return _ABSENT


def _factory(where: str, annotation: Typed[Any], default: Any) -> Callable[[], object]:
    """The function that makes a new instance's value."""
    default, factory = _unfolded(default)
    if factory is not None:
        make: Callable[[], Any] = factory

        def made() -> object:
            value = make()
            annotation.check(value)
            return value

        return made
    if default is _ABSENT:
        if NoneType not in annotation.types and annotation.fault(None) is not None:
            example = f"{where.rpartition('.')[2]}: {annotation.name} = {_example(annotation)}"
            raise ConfigError(f"{where} has no default: give it one, e.g. {example}")
        default = None
    annotation.check(default)
    packed = annotation.pack(default)
    if annotation.immutable:
        value: object = annotation.unpack(
            packed
        )  # 0 as the default of a float is 0.0 from the start
        return lambda: value
    return lambda: annotation.unpack(packed)


def _unfolded(default: Any) -> tuple[Any, Callable[[], Any] | None]:
    """A default as such, from a plain value, `dataclasses.field` or `msgspec.field`."""
    if isinstance(default, dataclasses.Field):
        none: object = dataclasses.MISSING
    elif isinstance(default, _MSGSPEC_FIELD):
        none = msgspec.NODEFAULT
    else:
        return default, None
    factory = default.default_factory
    if factory is not none:
        return _ABSENT, factory
    return (_ABSENT if default.default is none else default.default), None


_EXAMPLES: Final[tuple[object, ...]] = (0, "", 0.0, False, b"", [], {}, set(), (), frozenset())


def _example(annotation: Typed[Any]) -> str:
    for value in _EXAMPLES:
        if annotation.fault(value) is None:
            return repr(value)
    return "..."


def _memory(actor: type, names: list[str]) -> Iterator[tuple[str, Callable[[], object]]]:
    for name in names:
        default: Any
        default, factory = _unfolded(_default(actor, name))
        if factory is not None:
            yield name, factory
        elif default is not _default(actor, name) and default is not _ABSENT:
            yield name, partial(copy.deepcopy, default)  # immutable, out of its field(...)
        elif type(default) in _COPIED or _is_mutable_record(default):
            yield name, partial(copy.deepcopy, default)


def _is_mutable_record(value: object) -> bool:
    if isinstance(value, msgspec.Struct):
        return not value.__struct_config__.frozen
    params = getattr(value, "__dataclass_params__", None)
    return params is not None and not isinstance(value, type) and not params.frozen


def _migrate(actor: type, version: int) -> Migrate | None:
    raw = inspect.getattr_static(actor, "migrate", None)
    if isinstance(raw, classmethod):
        migrate: Migrate = raw.__get__(None, actor)
        return migrate
    if raw is not None and version > 1:
        raise ConfigError(
            f"{actor.__name__}.migrate must be a classmethod: "
            "@classmethod def migrate(cls, version, state) returns the new state"
        )
    return None
