"""Boolean, String, Symbol and Reflect of the module `js`.

What JavaScript would box (`new String("x")`) is the plain value here.

Source:  ECMAScript standard.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

from wakeful.workers.proxies import JsArray, JsProxy, JsRangeError, JsTypeError, unwrapped
from wakeful.workers.shims.numbers import to_int, to_number
from wakeful.workers.values import js_string

WELL_KNOWN: Final = (
    *("asyncIterator", "hasInstance", "isConcatSpreadable", "iterator", "match", "matchAll"),
    *("replace", "search", "species", "split", "toPrimitive", "toStringTag", "unscopables"),
)


def truth(value: object) -> bool:
    """Whether a value is true to JavaScript; empty containers are."""
    if isinstance(value, float) and math.isnan(value):
        return False
    return bool(value) if isinstance(value, str | int | float) else value is not None


class Boolean(JsProxy):
    """`js.Boolean`: called or made by `new`, it gives whether a value is true to JavaScript."""

    js_name = "Boolean"

    def __new__(cls, value: object = None, *_: Any) -> Any:
        """Whether a value is true to JavaScript."""
        return truth(value)

    @classmethod
    def new(cls, value: object = None, *_: Any, **__: Any) -> Any:
        """Whether a value is true to JavaScript."""
        return truth(value)


class String(JsProxy):
    """`js.String`: called or made by `new`, it gives a value as text."""

    js_name = "String"

    def __new__(cls, value: object = "", *_: Any) -> Any:
        """The text that a value is."""
        return js_string(value)

    @classmethod
    def new(cls, value: object = "", *_: Any, **__: Any) -> Any:
        """The text that a value is."""
        return js_string(value)

    @staticmethod
    def fromCharCode(*codes: object) -> str:
        """The text of UTF-16 code units."""
        data = b"".join(to_int(code, 16).to_bytes(2, "little") for code in codes)
        return data.decode("utf-16-le", "surrogatepass")

    @staticmethod
    def fromCodePoint(*codes: object) -> str:
        """The text of code points.

        Raises:
            JsRangeError: a number is not a code point.
        """
        text = ""
        for code in codes:
            found = to_number(code)
            if not (found.is_integer() and 0 <= found <= 0x10FFFF):
                raise JsRangeError(f"Invalid code point {js_string(code)}")
            text += chr(int(found))
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


class Symbol(JsProxy):
    """`js.Symbol`: called, it gives a symbol, which is like no other one."""

    __slots__ = ("description",)
    js_name = "Symbol"

    def __init__(self, description: object = None) -> None:
        self.description = None if description is None else js_string(description)

    @classmethod
    def new(cls, *_: Any, **__: Any) -> Any:
        """Refuse: a symbol is made by a call.

        Raises:
            JsTypeError: always.
        """
        raise JsTypeError("Symbol is not a constructor")

    def toString(self) -> str:
        """`Symbol(description)`."""
        return str(self)

    def __str__(self) -> str:
        return f"Symbol({self.description or ''})"

    __repr__ = __str__


for _name in WELL_KNOWN:
    setattr(Symbol, _name, Symbol(f"Symbol.{_name}"))


def make_symbol() -> type[Symbol]:
    """`js.Symbol` of one Worker, with the symbols that it has registered."""
    registered: dict[str, Symbol] = {}

    class Registry(Symbol):
        __slots__ = ()

        @staticmethod
        def for_(key: object) -> Symbol:
            """The symbol of a key, always the same one."""
            text = js_string(key)
            return registered.setdefault(text, Registry(text))

        @staticmethod
        def keyFor(symbol: Symbol) -> str | None:
            """The key of a symbol that was registered."""
            key = symbol.description
            return key if key is not None and registered.get(key) is symbol else None

    setattr(Registry, "for", Registry.for_)  # a keyword of Python
    Registry.__name__ = Registry.__qualname__ = "Symbol"
    return Registry


class Reflect(JsProxy):
    """`js.Reflect`: members of objects, by name."""

    js_name = "Reflect"

    @staticmethod
    def get(target: Any, key: object, *_: object) -> Any:
        """A member; None if there is none."""
        target = unwrapped(target)
        if isinstance(target, dict):
            return target.get(key if key in target else js_string(key))
        if isinstance(target, list) and (place := _place(target, key)) is not None:
            return target[place]
        return getattr(target, js_string(key), None)

    @staticmethod
    def set(target: Any, key: object, value: object, *_: object) -> bool:
        """Set a member; return whether that succeeded."""
        target = unwrapped(target)
        try:
            if isinstance(target, dict):
                target[js_string(key)] = value
            elif isinstance(target, list):
                _put(target, key, value)
            else:
                setattr(target, js_string(key), value)
        except (AttributeError, TypeError):
            return False
        return True

    @staticmethod
    def has(target: Any, key: object) -> bool:
        """Whether the object has a member."""
        target = unwrapped(target)
        if isinstance(target, dict):
            return key in target or js_string(key) in target
        if isinstance(target, list) and _place(target, key) is not None:
            return True
        return hasattr(target, js_string(key))

    @staticmethod
    def deleteProperty(target: Any, key: object) -> bool:
        """Remove a member; return whether it is gone."""
        target = unwrapped(target)
        try:
            if isinstance(target, dict):
                target.pop(js_string(key), None)
            elif hasattr(target, js_string(key)):
                delattr(target, js_string(key))
        except (AttributeError, TypeError):
            return False
        return True

    @staticmethod
    def ownKeys(target: Any) -> JsArray:
        """The names of its members."""
        target = unwrapped(target)
        if isinstance(target, list):
            return JsArray([*map(str, range(len(target))), "length"])
        members = target if isinstance(target, dict) else getattr(target, "__dict__", {})
        return JsArray(name for name in members if not str(name).startswith("_"))

    @staticmethod
    def apply(function: Any, this: object, arguments: Iterable[Any]) -> Any:
        """Call a function; functions of Python have no `this`."""
        return function(*arguments)

    @staticmethod
    def construct(made: Any, arguments: Iterable[Any], *_: object) -> Any:
        """`new made(...)`."""
        return getattr(made, "new", made)(*arguments)


def _place(target: list[Any], key: object) -> int | None:
    """Convert a key to an index of an array."""
    text = js_string(key)
    place = int(text) if text.isdecimal() and len(text) < 16 else len(target)
    return place if place < len(target) else None


def _put(target: list[Any], key: object, value: object) -> None:
    text = js_string(key)
    if not text.isdecimal() or int(text) > len(target):
        raise TypeError(f"an array of Python has no place {text}")
    if int(text) == len(target):
        target.append(value)
    else:
        target[int(text)] = value
