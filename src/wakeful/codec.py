"""Values to bytes and back: plain ones type for type, annotated ones as their annotation says.

Shapes:     `encode`/`decode` take any plain value (see packing); `typed(annotation)` is compiled
            once and then checks, copies, packs and unpacks values of that annotation.
Invariants: what `check` lets pass, `encode` packs and `decode` gives back equal, type for type
            (an int in a float's place is the one exception: it comes back a float); nothing here
            runs code that came from bytes.
Errors:     ConfigError for an annotation, StateInvalid for a value, InvalidArguments for JSON that
            does not fit, MalformedRequest for what is no JSON, StorageCorrupt for damaged bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar, overload
from uuid import UUID

import msgspec

from wakeful import models
from wakeful.errors import InvalidArguments, MalformedRequest, StateInvalid, StorageCorrupt
from wakeful.packing import (
    VERSION,
    Fault,
    body,
    decode,
    encode,
    pack,
    pack_native,
    step_to,
    type_name,
    unpack,
    unwrap,
    wrap,
)
from wakeful.shapes import Shape, compile_shape

__all__ = [
    "JSON_ERRORS",
    "Fault",
    "Typed",
    "decode",
    "encode",
    "json_bytes",
    "not_json",
    "to_json",
    "typed",
]

T = TypeVar("T")
Packed = bytes | memoryview | msgspec.Raw

# Types that unpacking yields as they are; values of other types arrive as text or a number.
_UNPACKED: Final = (bytes, datetime, time)
_PLAIN: Final = (*_UNPACKED, date, timedelta, Decimal, UUID)
_SEQUENCES: Final = (list, tuple, set, frozenset)
ANNOTATIONS_MAX: Final = 4096  # compiled annotations kept; more are compiled again


class Typed(Generic[T]):
    """An annotation, compiled.

    Attributes:
        annotation: what it was compiled from.
        name: how messages name it.
        immutable: its values cannot change in place, so they may be shared and compared by `is`.
        loose: its packed form is not what msgspec makes of its values unaided.
        types: exact types of certainly valid values that cannot change; empty if a look inside is
            always needed.
    """

    __slots__ = (
        *("annotation", "immutable", "loose", "name", "types"),
        *("_decode", "_hook", "_kinds", "_loads", "_lower", "_plain", "_shape"),
    )

    def __init__(self, annotation: object) -> None:
        self.annotation: Any = annotation
        self._shape: Shape = compile_shape(annotation)
        self.name = self._shape.name
        self.immutable = self._shape.immutable
        self.types: frozenset[type] = self._shape.types
        self.loose = self._shape.loose
        self._kinds = self._shape.kinds
        self._lower = self._shape.lower
        self._plain = self._lower is wrap
        self._hook = models.load if self._shape.model else None
        self._decode: Callable[[Packed], T] = msgspec.msgpack.Decoder(
            self.annotation, dec_hook=self._hook, ext_hook=unwrap
        ).decode
        self._loads: Callable[[Packed | bytearray], T] = msgspec.json.Decoder(
            self.annotation, dec_hook=self._hook
        ).decode

    def __repr__(self) -> str:
        return f"typed({self.name})"

    def fault(self, value: object) -> Fault | None:
        """What is wrong with a value, or None: strict, exact types all the way down."""
        if type(value) in self.types:
            return None
        try:
            found = self._shape.fault(value)
        except RecursionError:
            return Fault("", "nested too deeply (does it contain itself?)")
        if found is None and self._shape.constrained:
            return self._broken_rule(value)
        return found

    def _broken_rule(self, value: object) -> Fault | None:
        try:
            self.unpack(self.pack(value))
        except StateInvalid as error:
            return Fault("", str(error))
        return None

    def fits_outside(self, value: object) -> bool:
        """Whether the value's own type fits this annotation; its content is not checked."""
        return self._kinds is None or type(value) in self._kinds

    def check(self, value: object) -> None:
        """Refuse a value that does not fit.

        Raises:
            StateInvalid: "expected int, got str at [3].x".
        """
        if found := self.fault(value):
            raise StateInvalid(str(found))

    def copy(self, value: T) -> T:
        """Pass by value: what cannot change is shared, everything else is copied.

        Raises:
            StateInvalid: the value does not fit.
        """
        if type(value) in self.types:
            return value
        self.check(value)
        return value if self.immutable else self.unpack(self.pack(value))

    def pack(self, value: object) -> bytes:
        """The value's MessagePack form, without a version byte, to be embedded.

        A value that does not fit is packed as far as possible; if it may not fit, `check` it first.

        Raises:
            StateInvalid: it has no packed form.
        """
        if not self.loose:
            try:
                return pack_native(value)
            except (OverflowError, UnicodeEncodeError, TypeError, RecursionError):
                pass  # an int or text that MessagePack cannot hold, or a fault
        try:
            return pack(value) if self._plain else pack_native(self._lower(value))
        except Exception as error:  # lowering trusts the shape; a value that lacks it fails anyhow
            raise StateInvalid(str(self.fault(value) or error)) from None

    def unpack(self, data: Packed) -> T:
        """The value of a packed form.

        Raises:
            StateInvalid: it is a value, but not of this annotation.
            StorageCorrupt: the bytes hold no value.
        """
        if not self.loose:
            try:
                return self._decode(data)
            except msgspec.ValidationError:
                pass  # perhaps a wrapped part: a big int
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise StorageCorrupt(f"a stored value cannot be read: {error}") from error
            except Exception as error:  # raised by a __post_init__
                raise StateInvalid(_in_our_words(error)) from error
        return self.convert(unpack(data))

    def load(self, data: Packed) -> T:
        """`unpack`, for bytes that an older annotation may have written.

        Raises:
            StateInvalid: it is a value of another annotation; also a number where a Decimal
                belongs, which may have been an amount in another unit.
            StorageCorrupt: the bytes hold no value.
        """
        value = self.unpack(data)
        if self._shape.decimal:
            found = _number_as_text(unpack(data), unpack(self.pack(value)))
            if found is not None:
                raise StateInvalid(str(found))
        return value

    def convert(self, value: object) -> T:
        """The value of its plain parts, as unpacking without the annotation yields them.

        Raises:
            StateInvalid: the plain parts do not make such a value.
        """
        try:
            return self._converted(value, _UNPACKED)
        except Exception as error:  # msgspec's, and whatever __post_init__ raises
            with suppress(Exception):  # its parts may have been packed as plain values of their own
                return self._converted(value, _PLAIN)
            raise StateInvalid(_in_our_words(error)) from error

    def _converted(self, value: object, as_they_are: tuple[type, ...]) -> T:
        result: T = msgspec.convert(
            value, self.annotation, builtin_types=as_they_are, dec_hook=self._hook
        )
        return result

    def encode(self, value: T) -> bytes:
        """The value's packed form with the version byte; `decode` reads it without the annotation.

        Raises:
            StateInvalid: the value does not fit.
        """
        self.check(value)
        return VERSION + self.pack(value)

    def decode(self, data: bytes) -> T:
        """The value that `encode` packed.

        Raises:
            StateInvalid: it is a value, but not of this annotation.
            StorageCorrupt: the bytes hold no value.
        """
        return self.unpack(body(data))

    def from_json(self, data: object) -> T:
        """The value of JSON: its bytes, or what a JSON decoder made of them.

        Lenient where JSON has no type (dates, UUIDs, Decimals, enums and base64 bytes are strings,
        tuples and sets arrays, keys strings), strict elsewhere: "5" is no int.

        Raises:
            InvalidArguments: the value does not fit; the message says where.
            MalformedRequest: the bytes are not JSON.
        """
        try:
            if isinstance(data, bytes | bytearray | memoryview):
                return self._loads(data)
            result: T = msgspec.convert(data, self.annotation, str_keys=True, dec_hook=self._hook)
            return result
        except msgspec.ValidationError as error:
            raise InvalidArguments(_in_our_words(error)) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedRequest(f"the body is not JSON: {error}") from error
        except RecursionError:
            raise InvalidArguments("nested too deeply") from None
        except Exception as error:  # raised by a __post_init__
            raise InvalidArguments(_in_our_words(error)) from error


def _number_as_text(stored: object, packed: object) -> Fault | None:
    """Where a number was read as a Decimal, though a Decimal is packed as text."""
    if type(stored) in (int, float) and type(packed) is str:
        return Fault("", f"expected Decimal, got {type_name(type(stored))}")
    if isinstance(stored, dict) and isinstance(packed, dict):
        for key, part in stored.items():
            if key not in packed and type(key) in (int, float):
                return Fault("", f"in a key: expected Decimal, got {type_name(type(key))}")
            if found := _number_as_text(part, packed.get(key)):
                return found.inside(step_to(key))
    elif isinstance(stored, _SEQUENCES) and isinstance(packed, _SEQUENCES):
        for number, (part, other) in enumerate(zip(stored, packed, strict=False)):
            if found := _number_as_text(part, other):
                return found.inside(f"[{number}]")
    return None


def _in_our_words(error: Exception) -> str:
    """Turn msgspec's "Expected `int`, got `str` - at `$[3].x`" into ours."""
    if not isinstance(error, msgspec.ValidationError):
        return f"it was refused: {type_name(type(error))}: {error}"
    problem, _, place = str(error).partition(" - at ")
    problem = problem.replace("`", "")
    if problem.startswith("Expected"):
        problem = "e" + problem[1:].replace("null", "None")
    if place.startswith("`key` in "):
        problem, place = f"in a key: {problem}", place.removeprefix("`key` in ")
    path = re.sub(r"^\$\.?", "", place.strip("`"))
    return f"{problem} at {path}" if path else problem


@lru_cache(maxsize=ANNOTATIONS_MAX)
def _compiled(annotation: object, text: str) -> Typed[Any]:
    # By its text too: annotations such as list[1] and list[True] are equal and differ in meaning.
    return Typed(annotation)


@overload
def typed(annotation: type[T]) -> Typed[T]: ...
@overload
def typed(annotation: object) -> Typed[Any]: ...
def typed(annotation: object) -> Typed[Any]:
    """The compiled form of an annotation.

    Raises:
        ConfigError: values of it cannot be stored or sent.
    """
    try:
        hash(annotation)
    except TypeError:  # Annotated[int, [...]]
        return Typed(annotation)
    return _compiled(annotation, repr(annotation))


# `to_json` without its words for what fails
json_bytes: Final = msgspec.json.Encoder(enc_hook=models.dump).encode
JSON_ERRORS: Final = (TypeError, ValueError, OverflowError, RecursionError)


def to_json(value: object) -> bytes:
    """A reply as JSON.

    datetime, date and time are ISO 8601, bytes base64, sets and tuples arrays, Decimal and UUID
    strings, enums their values, dataclasses, Structs and NamedTuples as msgspec has them. NaN and
    the infinities are null. An int is written in full: beyond 2**53 JavaScript rounds it.

    Raises:
        StateInvalid: something in it has no JSON form.
    """
    try:
        return json_bytes(value)
    except JSON_ERRORS as error:
        raise StateInvalid(not_json(value, error)) from error


def not_json(value: object, error: Exception) -> str:
    """Why a value has no JSON form, from what its encoder raised."""
    return f"a {type_name(type(value))} cannot be sent as JSON: {error}"
