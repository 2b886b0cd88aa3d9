"""The plain objects of the module `js`: Object, JSON, Date, Map, Set, console.

Source:  ECMAScript standard, as far as Workers written in Python use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final, Self

from wakeful.workers import js_json
from wakeful.workers.proxies import (
    Constructor,
    JsArray,
    JsDict,
    JsProxy,
    JsRangeError,
)
from wakeful.workers.values import from_milliseconds, js_string, milliseconds

PLACES_MAX: Final = 2**25  # of an array that is made without items; each takes memory here


class Object(JsProxy):
    """`js.Object`."""

    @classmethod
    def new(cls, *args: Any, **members: Any) -> Any:
        """An object with some members."""
        return JsDict(*args, **members)

    @staticmethod
    def fromEntries(entries: Any) -> JsDict:
        """An object from names and values."""
        pairs = entries.items() if isinstance(entries, dict) else entries
        return JsDict((js_string(name), value) for name, value in pairs)

    @staticmethod
    def keys(value: Any) -> JsArray:
        """The names of an object's members."""
        return JsArray(_members(value))

    @staticmethod
    def values(value: Any) -> JsArray:
        """The values of an object's members."""
        return JsArray(value if isinstance(value, Pair | list) else _members(value).values())

    @staticmethod
    def entries(value: Any) -> JsArray:
        """Names and values of an object's members."""
        return JsArray(JsArray(pair) for pair in _members(value).items())

    @staticmethod
    def assign(target: dict[str, Any], *sources: dict[str, Any]) -> dict[str, Any]:
        """Copy the members of objects into one."""
        for source in sources:
            target.update(source)
        return target


def _members(value: Any) -> Any:
    """Return the members of an object; `env` and a pair are no dicts, but have members too."""
    if isinstance(value, Pair):
        return {str(place): socket for place, socket in enumerate(value)}
    return value if hasattr(value, "items") else vars(value)


class Pair(JsProxy):
    """`WebSocketPair.new()`: two sockets, by place, by number, or one after the other."""

    __slots__ = ("_sockets",)
    js_name = "WebSocketPair"

    def __init__(self, client: Any, server: Any) -> None:
        self._sockets = (client, server)

    def object_values(self) -> JsArray:
        """Client and server."""
        return JsArray(self._sockets)

    def values(self) -> JsArray:
        """Client and server."""
        return JsArray(self._sockets)

    def __iter__(self) -> Any:
        return iter(self._sockets)

    def __len__(self) -> int:
        return 2

    def __getitem__(self, place: int | str) -> Any:
        return self._sockets[int(place)]

    def __getattr__(self, name: str) -> Any:
        if name in ("0", "1"):
            return self._sockets[int(name)]
        raise AttributeError(name)


class JsMap(dict[Any, Any]):
    """A map, with JavaScript's names beside those of dict."""

    @classmethod
    def new(cls, entries: Iterable[Any] = ()) -> Self:
        """A map of pairs."""
        return cls(entries)

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self)

    def has(self, key: object) -> bool:
        """Whether the map has a key."""
        return key in self

    def set(self, key: object, value: object) -> Self:
        """Put a value."""
        self[key] = value
        return self

    def delete(self, key: object) -> bool:
        """Remove a value; return whether there was one."""
        found = key in self
        self.pop(key, None)
        return found

    def entries(self) -> Any:
        """Keys and values."""
        return self.items()

    def to_py(self, **_: object) -> dict[Any, Any]:
        """A plain dict."""
        return dict(self)


class JsSet(set[Any]):
    """A set, with JavaScript's names beside those of set."""

    @classmethod
    def new(cls, values: Iterable[Any] = ()) -> Self:
        """A set of values."""
        return cls(values)

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self)

    def has(self, value: object) -> bool:
        """Whether a value is in the set."""
        return value in self

    def delete(self, value: object) -> bool:
        """Remove a value; return whether it was there."""
        found = value in self
        self.discard(value)
        return found

    def to_py(self, **_: object) -> set[Any]:
        """A plain set."""
        return set(self)


class Array(JsProxy):
    """`js.Array`."""

    @classmethod
    def new(cls, *items: Any, **_: Any) -> Any:
        """An array of items; of one number, that many places without a value.

        Raises:
            JsRangeError: an array cannot have that many items.
        """
        if len(items) != 1 or isinstance(items[0], bool) or not isinstance(items[0], int | float):
            return JsArray(items)
        if not (float(items[0]).is_integer() and 0 <= items[0] <= PLACES_MAX):
            raise JsRangeError("Invalid array length")
        return JsArray([None] * int(items[0]))

    @staticmethod
    def of(*items: Any) -> JsArray:
        """An array of items."""
        return JsArray(items)

    @staticmethod
    def isArray(value: object) -> bool:
        """Whether a value is an array."""
        return isinstance(value, list)

    @staticmethod
    def from_(values: Any, function: Any = None, *_: Any) -> JsArray:
        """An array of what something gives, each changed by a function if there is one."""
        return JsArray(values if function is None else map(function, values))


setattr(Array, "from", staticmethod(Array.from_))  # a keyword of Python


class JsDate(datetime):
    """A date: Python's, with JavaScript's names beside."""

    @property
    def constructor(self) -> Constructor:
        """What JavaScript says it is."""
        return Constructor("Date")

    @classmethod
    def at(cls, value: object) -> JsDate:
        """The date that a number of milliseconds, a date or an ISO text says.

        Raises:
            JsRangeError: the value is not a date.
        """
        try:
            moment = datetime.fromisoformat(value) if isinstance(value, str) else value
            there = from_milliseconds(milliseconds(moment))
        except (TypeError, ValueError, OverflowError):
            raise JsRangeError("Invalid time value") from None
        return cls.fromtimestamp(there.timestamp())

    def getTime(self) -> int:
        """Milliseconds since 1970."""
        return int(milliseconds(self))

    def valueOf(self) -> int:
        """Milliseconds since 1970."""
        return self.getTime()

    def toISOString(self) -> str:
        """As ISO 8601 has it, in UTC."""
        return js_json.iso(self)

    def toJSON(self) -> str:
        """As ISO 8601 has it, in UTC."""
        return js_json.iso(self)


def make_date(now_ms: Callable[[], int]) -> type[JsDate]:
    """`js.Date`, by a clock."""

    class Date(JsDate):
        @classmethod
        def new(cls, value: object = None, **_: object) -> JsDate:
            """A date; now, if nothing is given."""
            return cls.at(now_ms() if value is None else value)

        @staticmethod
        def now() -> int:  # type: ignore[override]  # as in JavaScript
            """Milliseconds since 1970."""
            return now_ms()

    return Date


class JSON(JsProxy):
    """`js.JSON`."""

    @staticmethod
    def stringify(value: Any, replacer: object = None, indent: int | str | None = None) -> str:
        """A value as JSON text, written as JavaScript writes it."""
        return js_json.write(value, indent)

    @staticmethod
    def parse(text: str) -> Any:
        """The value of a JSON text.

        Raises:
            JsSyntaxError: the text is not JSON.
        """
        return js_json.read(js_string(text))


class Console(JsProxy):
    """`js.console`: lines of text to the runtime's log."""

    LEVELS: Final = {
        "log": "info",
        "info": "info",
        "debug": "debug",
        "warn": "warning",
        "error": "error",
        "trace": "debug",
    }

    def __init__(self, log: Callable[[str, str], None]) -> None:
        self._log = log

    def __getattr__(self, name: str) -> Callable[..., None]:
        level = Console.LEVELS.get(name)
        if level is None:
            raise AttributeError(name)

        def write(*values: object) -> None:
            self._log(level, " ".join(map(_shown, values)))

        return write


def _shown(value: object) -> str:
    return JSON.stringify(value) if isinstance(value, dict | list) else js_string(value)


class WebSocketRequestResponsePair(JsProxy):
    """A message that is answered without waking the object, and the answer."""

    __slots__ = ("request", "response")
    js_name = "WebSocketRequestResponsePair"

    def __init__(self, request: object, response: object) -> None:
        self.request = js_string(request)
        self.response = js_string(response)

    def getRequest(self) -> str:
        """The message."""
        return self.request

    def getResponse(self) -> str:
        """The answer."""
        return self.response
