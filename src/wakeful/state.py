"""Declared durable state: which attributes of an actor it is, and when they have changed.

A public annotated class attribute is a durable field. Between turns the runtime keeps a
*snapshot* of the fields as last committed; after a turn `capture` tells whether they changed.

Shapes:     a snapshot is a list: for each field, in order of declaration, the value itself if its
            annotation is immutable, else the value's packed bytes; then, only if there are any,
            a dict of packed values of fields that the class no longer declares.
            Stored form: a version byte, then MessagePack [schema version, {field: value}].
Invariants: snapshot[i] is what packing the instance's value would give, until user code changes
            it: so an untouched field never counts as changed (a set's order is its own).
            `capture` is all or nothing: when it raises, the snapshot is as before.
Errors:     ConfigError when the class is defined, StateInvalid for a value that does not fit,
            SchemaMismatch for stored state that does not, StorageCorrupt for damaged bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from wakeful.errors import SchemaMismatch, StateInvalid, StorageCorrupt
from wakeful.fields import (
    SMALL_BYTES,
    Declaration,
    Field,
    declaration_of,
    volatile_declaration_of,
)
from wakeful.packing import VERSION, body, encode, pack_native, type_name, unpack

Instance = dict[str, object]  # an actor's __dict__
Snapshot = list[Any]
Watch = Callable[[Instance, Snapshot], bool]

_unpack_stored: Final = msgspec.msgpack.Decoder(tuple[int, dict[str, msgspec.Raw]]).decode


class StateSchema:
    """The durable fields of an actor class, compiled when it is defined.

    `capture`, `changed` and `encode` run once a turn: each schema has them made to measure.

    Attributes:
        name: the class's name, for messages.
        version: its `schema_version`.
        fields: its durable fields, in order of declaration, base classes first.
        capture: (instance, snapshot) -> whether a field changed since the snapshot, which is
            brought up to date. Raises StateInvalid, before the snapshot is touched, for a value
            that does not fit its annotation and for a deleted attribute.
        changed: the same question; it checks nothing and leaves the snapshot as it is.
        encode: (snapshot) -> the stored form.
        grows: some field can hold more than a few bytes.
    """

    __slots__ = (
        "_declaration",
        "_growing",
        "_small_bytes",
        "capture",
        "changed",
        "encode",
        "fields",
        "grows",
        "name",
        "version",
    )

    def __init__(self, declaration: Declaration) -> None:
        self._declaration = declaration
        self.name = declaration.name
        self.version = declaration.version
        self.fields = declaration.fields
        self.capture, self.changed = _watch(self.name, self.fields)
        self.encode = _encoder(self.version, self.fields)
        fields = list(enumerate(self.fields))
        self._growing = [(index, field.bytes_max) for index, field in fields if field.grows]
        self.grows = bool(self._growing)
        names_bytes = sum(4 * len(field.name) for field in self.fields)
        small = len(fields) - len(self._growing)
        self._small_bytes = SMALL_BYTES * (1 + small) + names_bytes

    @classmethod
    def of(cls, actor: type, base: type | None = None, *, durable: bool = True) -> StateSchema:
        """The schema of an actor class.

        Args:
            actor: the class.
            base: the framework's class: what it and its bases declare is no state. Classes whose
                own body sets `__wakeful_base__` are left out as well.
            durable: False for a class that keeps nothing: it has no durable fields, and may
                annotate what cannot be stored.

        Raises:
            ConfigError: a field has no usable annotation or no fitting default.
        """
        declaration = declaration_of if durable else volatile_declaration_of
        return cls(declaration(actor, base))

    def fresh(self, instance: Instance) -> Snapshot:
        """Give a new instance its defaults; returns its first snapshot."""
        self._declaration.set_memory(instance)
        return [field.reset(instance) for field in self.fields][:]  # a copy has no room to grow

    def load(self, data: bytes, instance: Instance) -> Snapshot:
        """Give an instance its stored state; returns the snapshot of it.

        Raises:
            SchemaMismatch: the state was stored by a newer class, or one that differs.
            StorageCorrupt: the bytes are damaged.
        """
        version, stored = _stored(data)
        if version > self.version:
            raise SchemaMismatch(
                f"{self.name}: stored with schema_version {version}, this class has "
                f"{self.version}: it is older than its data; run the newer code"
            )
        if version < self.version and self._declaration.migrate is not None:
            stored = self._migrated(version, stored)
        self._declaration.set_memory(instance)
        snapshot = []
        for field in self.fields:
            raw = stored.pop(field.name, None)
            snapshot.append(
                field.reset(instance) if raw is None else self._place(field, raw, instance)
            )
        if stored and self._declaration.keep_removed:
            # Copies: a Raw keeps the whole buffer it was cut from alive.
            snapshot.append({name: raw.copy() for name, raw in stored.items()})
        return snapshot[:]

    def bytes_max(self, snapshot: Snapshot) -> int:
        """As many bytes as the stored form of a snapshot can take, or more; cheaply."""
        total = self._small_bytes
        for index, bytes_max in self._growing:
            total += bytes_max(snapshot[index])
        if len(snapshot) > len(self.fields):
            removed: dict[str, msgspec.Raw] = snapshot[-1]
            total += sum(4 * len(name) + len(bytes(raw)) for name, raw in removed.items())
        return total

    def _place(self, field: Field, raw: msgspec.Raw, instance: Instance) -> object:
        try:
            return field.place(instance, field.typed.load(raw))
        except StateInvalid as error:
            raise self._mismatch(field, unpack(raw), error) from error

    def _mismatch(self, field: Field, stored: object, why: Exception) -> SchemaMismatch:
        return SchemaMismatch(
            f"{self.name}.{field.name}: the stored value is {type_name(type(stored))}, declared is "
            f"{field.typed.name} ({why}); declare a migration: set schema_version = "
            f"{self.version + 1} and add a classmethod migrate(cls, version, state) that "
            "returns the new state"
        )

    def _migrated(self, version: int, stored: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw]:
        migrate = self._declaration.migrate
        assert migrate is not None
        state = migrate(version, {name: unpack(raw) for name, raw in stored.items()})
        if type(state) is not dict:
            raise SchemaMismatch(
                f"{self.name}.migrate returned {type_name(type(state))}, not the new state's dict"
            )
        return {name: msgspec.Raw(self._repack(name, value)) for name, value in state.items()}

    def _repack(self, name: str, value: object) -> bytes:
        """Pack a migrated value: one of its field's type, or plain parts as they were stored."""
        for field in self.fields:
            if field.name == name:
                if field.typed.fault(value) is None:
                    return field.typed.pack(value)
                try:
                    return field.typed.pack(field.typed.load(encode(value)[len(VERSION) :]))
                except StateInvalid as error:
                    raise SchemaMismatch(f"{self.name}.migrate: {name}: {error}") from error
        try:
            return encode(value)[len(VERSION) :]
        except StateInvalid as error:
            raise SchemaMismatch(f"{self.name}.migrate: {name}: {error}") from error

    def restore(self, instance: Instance, snapshot: Snapshot) -> None:
        """Roll the durable fields back to the snapshot; other attributes are left."""
        for index, field in enumerate(self.fields):
            value = snapshot[index]
            if field.mutable:
                value = field.typed.unpack(value)
            snapshot[index] = field.place(instance, value)


# --- watching for changes, made to measure ---------------------------------------------------


def _watch(owner: str, fields: tuple[Field, ...]) -> tuple[Watch, Watch]:
    """`capture` and `changed` of a schema."""
    if not fields:
        return _never, _never
    if len(fields) == 1 and not fields[0].mutable:
        return _capture_one(owner, fields[0]), _changed_one(fields[0].name)
    if any(field.mutable for field in fields):
        return _capture_mixed(owner, fields), _changed(fields)
    return _capture_immutables(owner, fields), _changed(fields)


def _never(instance: Instance, snapshot: Snapshot) -> bool:
    return False


def _capture_one(owner: str, field: Field) -> Watch:
    name, types = field.name, field.typed.types

    def capture(instance: Instance, snapshot: Snapshot) -> bool:
        try:
            value = instance[name]
        except KeyError:
            raise _deleted(owner, field) from None
        if value is snapshot[0]:
            return False
        if type(value) not in types:
            _check(owner, field, value)
        snapshot[0] = value
        return True

    return capture


def _capture_immutables(owner: str, fields: tuple[Field, ...]) -> Watch:
    rows = [(index, field.name, field.typed.types) for index, field in enumerate(fields)]

    def capture(instance: Instance, snapshot: Snapshot) -> bool:
        changes: dict[int, object] | None = None
        for index, name, types in rows:
            try:
                value = instance[name]
            except KeyError:
                raise _deleted(owner, fields[index]) from None
            if value is snapshot[index]:
                continue
            if type(value) not in types:
                _check(owner, fields[index], value)
            if changes is None:
                changes = {}
            changes[index] = value
        if changes is None:
            return False
        return _apply(changes, snapshot)

    return capture


def _capture_mixed(owner: str, fields: tuple[Field, ...]) -> Watch:
    rows = list(enumerate(fields))

    def capture(instance: Instance, snapshot: Snapshot) -> bool:
        changes: dict[int, object] = {}
        for index, field in rows:
            try:
                value = instance[field.name]
            except KeyError:
                raise _deleted(owner, field) from None
            if not field.mutable:
                held = value
                if value is snapshot[index]:
                    continue
            else:
                held = _packed(owner, field, value)
                if held == snapshot[index] and field.typed.fits_outside(value):
                    continue
            if type(value) not in field.typed.types:
                _check(owner, field, value)
            changes[index] = held
        return bool(changes) and _apply(changes, snapshot)

    return capture


def _apply(changes: dict[int, object], snapshot: Snapshot) -> bool:
    for index, held in changes.items():
        snapshot[index] = held
    return True


def _changed(fields: tuple[Field, ...]) -> Watch:
    def changed(instance: Instance, snapshot: Snapshot) -> bool:
        for index, field in enumerate(fields):
            value = instance.get(field.name, snapshot)  # a default no value is identical to
            if value is snapshot:
                return True
            if not field.mutable:
                if value is not snapshot[index]:
                    return True
            elif not field.typed.fits_outside(value) or _try_pack(field, value) != snapshot[index]:
                return True
        return False

    return changed


def _changed_one(name: str) -> Watch:
    def changed(instance: Instance, snapshot: Snapshot) -> bool:
        return instance.get(name, snapshot) is not snapshot[0]  # no value is the snapshot itself

    return changed


def _try_pack(field: Field, value: object) -> bytes | None:
    try:
        return field.typed.pack(value)
    except StateInvalid:
        return None


def _packed(owner: str, field: Field, value: object) -> bytes:
    try:
        return field.typed.pack(value)
    except StateInvalid as error:
        _check(owner, field, value)
        raise StateInvalid(f"{owner}.{field.name}: {error}") from None


def _check(owner: str, field: Field, value: object) -> None:
    if found := field.typed.fault(value):
        raise StateInvalid(found.within(f"{owner}.{field.name}"))


def _deleted(owner: str, field: Field) -> StateInvalid:
    return StateInvalid(
        f"{owner}.{field.name} was deleted: a durable attribute always has a value; "
        f"assign one ({field.typed.name}) instead of using del"
    )


# --- the stored form -------------------------------------------------------------------------


def _encoder(version: int, fields: tuple[Field, ...]) -> Callable[[Snapshot], bytes]:
    """`encode` of a schema: what is packed already is embedded as it is."""
    count = len(fields)
    direct = [field.name for field in fields if not field.packs_alone]
    packs_alone = [(index, field) for index, field in enumerate(fields) if field.packs_alone]
    names = [field.name for field in fields]

    def encode(snapshot: Snapshot) -> bytes:
        state = dict(zip(names, snapshot, strict=False))  # the extra item is for `update`
        for index, field in packs_alone:
            held = snapshot[index]
            state[field.name] = msgspec.Raw(held if field.mutable else field.typed.pack(held))
        if len(snapshot) > count:
            state.update(snapshot[count])
        try:
            return VERSION + pack_native([version, state])
        except (OverflowError, UnicodeEncodeError):  # rare: MessagePack cannot hold it
            for index, name in enumerate(names):
                if name in direct:
                    state[name] = msgspec.Raw(fields[index].typed.pack(snapshot[index]))
            return VERSION + pack_native([version, state])

    if names == direct and count == 1:
        return _encoder_of_one(version, fields[0], encode)
    return encode


def _encoder_of_one(
    version: int, field: Field, general: Callable[[Snapshot], bytes]
) -> Callable[[Snapshot], bytes]:
    """A single value comes last in the stored form: all that precedes it is constant."""
    prefix = (VERSION + pack_native([version, {field.name: None}]))[:-1]

    def encode(snapshot: Snapshot) -> bytes:
        if len(snapshot) > 1:
            return general(snapshot)
        try:
            return prefix + pack_native(snapshot[0])
        except (OverflowError, UnicodeEncodeError):
            return general(snapshot)

    return encode


def _stored(data: bytes) -> tuple[int, dict[str, msgspec.Raw]]:
    try:
        return _unpack_stored(body(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StorageCorrupt(f"stored state cannot be read: {error}") from error


def describe(data: bytes) -> dict[str, object]:
    """Stored state by field name, read without the class: dates, enums and such are plain values.

    Raises:
        StorageCorrupt: the bytes are damaged.
    """
    return {name: unpack(raw) for name, raw in _stored(data)[1].items()}


def stored_version(data: bytes) -> int:
    """The schema version of the class that stored this state.

    Raises:
        StorageCorrupt: the bytes are damaged.
    """
    return _stored(data)[0]
