"""Ids of Durable Objects, equal bit for bit to Cloudflare's.

Shapes:  an id is 32 bytes, shown as 64 lower-case hex digits: 16 bytes that tell objects apart
         (derived from a name, or random), then 16 bytes of HMAC over them which tell namespaces
         apart. The key of a namespace is SHA-256 of its name, "<worker>-<class>" at first.
Errors:  TypeError with workerd's texts for text that is no id, or one of another namespace.
Source:  workerd, ActorIdFactory; miniflare's unique keys.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from typing import Final

from wakeful.workers.objects.options import wrong
from wakeful.workers.proxies import JsDict, JsException, JsProxy, JsTypeError
from wakeful.workers.values import js_string, raw_utf8, stored_text, utf8

HALF_BYTES: Final = 16
NAMES_KEPT: Final = 4096  # whose ids are known without deriving them again, if they are short
SHORT_NAME: Final = 128
NAME_BYTES_MAX: Final = 1024  # an object is told its own name up to this size
HEX: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


class DurableObjectId(JsProxy):
    """The id of an object: equal ids are the same object.

    Attributes:
        name: what it was derived from, if the holder can know that.
        jurisdiction: None; there are no jurisdictions outside Cloudflare's network.
    """

    __slots__ = ("_hex", "jurisdiction", "name")
    js_name = "DurableObjectId"

    def __init__(self, hex_digits: str, name: str | None = None) -> None:
        self._hex = hex_digits
        self.name = name
        self.jurisdiction: str | None = None

    def toString(self, *_: object) -> str:
        """64 lower-case hex digits; `idFromString` takes them back."""
        return self._hex

    def equals(self, other: object = None, *_: object) -> bool:
        """Whether an id is that of the same object."""
        if not isinstance(other, DurableObjectId):
            raise wrong("DurableObjectId", "equals", "DurableObjectId")
        return self._hex == other._hex

    def toJSON(self, *_: object) -> JsDict:
        """Return what JSON shows of the id: the name, if there is one."""
        return JsDict() if self.name is None else JsDict(name=self.name)

    def seen_inside(self) -> DurableObjectId:
        """Return the id as `ctx.id` has it, without a long name."""
        if self.name is None or len(utf8(self.name)) <= NAME_BYTES_MAX:
            return self
        return DurableObjectId(self._hex)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DurableObjectId) and self._hex == other._hex

    def __hash__(self) -> int:
        return hash(self._hex)

    def __str__(self) -> str:
        return self._hex

    def __repr__(self) -> str:
        return f"DurableObjectId({self._hex!r}, name={self.name!r})"

    def __wakeful_transfer__(self) -> DurableObjectId:
        return self


class IdSpace:
    """The ids of one class of one Worker."""

    __slots__ = ("_keyed", "_known", "_random_bytes", "unique_key")

    def __init__(self, unique_key: str, random_bytes: Callable[[int], bytes]) -> None:
        self.unique_key = unique_key
        self._known = lru_cache(NAMES_KEPT)(self._derive)
        self._keyed = hmac.new(sha256(unique_key.encode()).digest(), digestmod="sha256")
        self._random_bytes = random_bytes

    def from_name(self, name: object) -> DurableObjectId:
        """The id of a name: always the same one."""
        text = js_string(name)
        digits = self._known(text) if len(text) <= SHORT_NAME else self._derive(text)
        return DurableObjectId(digits, stored_text(text))

    def new_unique(self) -> DurableObjectId:
        """Make an id that no object has had."""
        return DurableObjectId(self._digits(self._random_bytes(HALF_BYTES)))

    def from_string(self, text: object) -> DurableObjectId:
        """The id whose `toString()` the text is.

        Raises:
            JsTypeError: it is not 64 hex digits, or an id of another namespace.
        """
        digits = js_string(text)
        if not HEX.fullmatch(digits):
            raise JsTypeError("Invalid Durable Object ID: must be 64 hex digits")
        found = self._digits(bytes.fromhex(digits)[:HALF_BYTES])
        if found != digits.lower():
            raise JsTypeError("Durable Object ID is not valid for this namespace.")
        return DurableObjectId(found)

    def _derive(self, name: str) -> str:
        return self._digits(self._mac(raw_utf8(name)))

    def _digits(self, half: bytes) -> str:
        return (half + self._mac(half)).hex()

    def renamed(self, unique_key: str) -> IdSpace:
        """Return the ids of the class under another namespace's name."""
        return IdSpace(unique_key, self._random_bytes)

    def _mac(self, data: bytes) -> bytes:
        mac = self._keyed.copy()  # half of what it costs to begin with the key
        mac.update(data)
        return mac.digest()[:HALF_BYTES]


class EarlyIds(IdSpace):
    """The ids of a class before its namespace is known: this one is assumed.

    Attributes:
        used: an id has been made.
    """

    __slots__ = ("used",)

    def __init__(self, unique_key: str, random_bytes: Callable[[int], bytes]) -> None:
        super().__init__(unique_key, random_bytes)
        self.used = False

    def _digits(self, half: bytes) -> str:
        self.used = True
        return super()._digits(half)


def unique_key(worker: str, class_name: str) -> str:
    """The name of a class's namespace, unless it has had another one before.

    Ids of objects and the files of workerd depend on it.
    """
    return f"{worker}-{class_name}"


def refuse_jurisdiction(jurisdiction: object) -> None:
    """Refuse what only Cloudflare's network has.

    Raises:
        JsException: a jurisdiction is named.
    """
    if jurisdiction is not None:
        raise JsException("Jurisdiction restrictions are not implemented in workerd.")
