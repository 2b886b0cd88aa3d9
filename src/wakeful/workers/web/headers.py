"""Headers: case does not matter, a name may come several times.

Shapes:  `Headers` is JavaScript's object, names in lower case; `HeadersView` is what Python code
         gets from a request or response, a snapshot with the interface of http.client.
Source:  Fetch standard, section Headers; the Workers SDK.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.client import HTTPMessage
from typing import Any, Final, TypeAlias

from wakeful.workers.proxies import JsArray, JsTypeError
from wakeful.workers.values import js_string, utf8
from wakeful.workers.web.named import Named

NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
BAD_VALUE: Final = re.compile(r"[\0\r\n]")
NO_INIT: Final = (
    "Failed to construct 'Headers': constructor parameter 1 is not of type 'Headers or Sequence or "
    "object'."
)
NO_PAIR: Final = (
    "To initialize a Headers object from a sequence, each inner sequence must have exactly two "
    "elements."
)
FIXED: Final = "Can't modify immutable headers."
COOKIES: Final = "set-cookie"

Pairs: TypeAlias = list[tuple[str, str]]


class Headers(Named):
    """An ordered list of names and values, read name by name."""

    __slots__ = ("_pairs",)
    js_name = "Headers"

    def __init__(self, init: Any = None) -> None:
        self._pairs: Pairs = []
        if init is None:
            return
        if isinstance(init, Headers):
            self._pairs = init._pairs.copy()
            return
        if isinstance(init, str) or not hasattr(init, "__iter__"):
            raise JsTypeError(NO_INIT)
        for pair in init.items() if hasattr(init, "items") else init:
            if len(pair) != 2:
                raise JsTypeError(NO_PAIR)
            self.append(*pair)

    @classmethod
    def received(cls, pairs: Iterable[tuple[str, str]]) -> Headers:
        """Headers that a server or client has read: lower-case names, checked already."""
        headers = cls.__new__(cls)
        headers._pairs = list(pairs)
        return headers

    def copy(self) -> Headers:
        """Copy the headers; changes of the copy do not affect these."""
        return Headers.received(self._pairs)

    def again(self) -> Headers:
        """Return the headers for a clone, with the same right to change them."""
        return type(self).received(self._pairs)

    def fixed(self) -> Headers:
        """Return the same headers, as they can only be read."""
        return FixedHeaders.received(self._pairs)

    def raw(self) -> Pairs:
        """All names and values in the order they were given, to be sent."""
        return list(self._pairs)

    def get(self, name: str, default: str | None = None) -> str | None:
        """The values of a name, joined by a comma; the default if there are none."""
        values = self.get_all(name)
        return ", ".join(values) if values else default

    def get_all(self, name: str) -> list[str]:
        """The values of a name, one by one."""
        key = _name(name)
        return [value for other, value in self._pairs if other == key]

    def getSetCookie(self) -> JsArray:
        """The values of Set-Cookie, which cannot be joined."""
        return JsArray(self.get_all(COOKIES))

    def has(self, name: str) -> bool:
        """Is there a value?"""
        key = _name(name)
        return any(other == key for other, _ in self._pairs)

    def set(self, name: str, value: object) -> None:
        """Put a value in place of all values of a name."""
        key, text = _name(name), _value(value)
        first = next((i for i, pair in enumerate(self._pairs) if pair[0] == key), None)
        rest = [pair for pair in self._pairs if pair[0] != key]
        rest.insert(len(rest) if first is None else first, (key, text))
        self._pairs = rest

    def set_missing(self, key: str, text: str) -> None:
        """Set a checked, lower-case name, unless it exists."""
        for other, _ in self._pairs:
            if other == key:
                return
        self._pairs.append((key, text))

    def append(self, name: str, value: object) -> None:
        """Add a value."""
        self._pairs.append((_name(name), _value(value)))

    def delete(self, name: str) -> None:
        """Remove all values of a name."""
        key = _name(name)
        self._pairs = [pair for pair in self._pairs if pair[0] != key]

    def items(self) -> Pairs:
        """Names in order with their joined values; each Set-Cookie by itself."""
        found: dict[str, list[str]] = {}
        for name, value in self._pairs:
            found.setdefault(name, []).append(value)
        pairs: Pairs = []
        for name in sorted(found):
            values = found[name] if name == COOKIES else [", ".join(found[name])]
            pairs.extend((name, value) for value in values)
        return pairs

    def entries(self) -> Pairs:
        """The same as `items`."""
        return self.items()

    def keys(self) -> list[str]:
        """The names, in order."""
        return [name for name, _ in self.items()]

    def values(self) -> list[str]:
        """The values, in the order of their names."""
        return [value for _, value in self.items()]

    def forEach(self, callback: Callable[[str, str, Headers], object]) -> None:
        """Call back with each value, name, and these headers."""
        for name, value in self.items():
            callback(value, name, self)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.items())

    def __len__(self) -> int:
        return len(self.items())

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def __repr__(self) -> str:
        return f"Headers({self._pairs!r})"

    def __wakeful_transfer__(self) -> Headers:
        return Headers(self)


class FixedHeaders(Headers):
    """Headers that can only be read: of received messages, and of redirects."""

    __slots__ = ()

    def set(self, name: str, value: object) -> None:
        """Refuse."""
        raise JsTypeError(FIXED)

    def append(self, name: str, value: object) -> None:
        """Refuse."""
        raise JsTypeError(FIXED)

    def delete(self, name: str) -> None:
        """Refuse."""
        raise JsTypeError(FIXED)


class HeadersView(HTTPMessage, Mapping[str, str]):  # type: ignore[misc, unused-ignore]  # both have `get`
    """A snapshot: changes of it have no effect, as on Cloudflare."""


def view(headers: Headers) -> HeadersView:
    """Headers as Python code reads them."""
    message = HeadersView()
    for name, value in headers.items():
        message.add_header(name, value)
    return message


def given_headers(init: object) -> Headers:
    """Headers from what Python code may give: a dict, a list of pairs, or Headers.

    Raises:
        TypeError: the value has another type.
    """
    if init is None or isinstance(init, list | Mapping | Headers):
        return Headers(init)
    raise TypeError("Received unexpected type for headers argument")


def _name(name: object) -> str:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise JsTypeError("Invalid header name.")
    return name.lower()


def _value(value: object) -> str:
    text = value if isinstance(value, str) else js_string(value)
    text = text.strip(" \t\r\n")
    if BAD_VALUE.search(text):
        raise JsTypeError("Invalid header value.")
    return text if text.isascii() else utf8(text).decode()
