"""URL and URLSearchParams, as code sees them, and the names and values of a query.

URLs are parsed, made absolute and written by ada, the parser that workerd and Node.js have too.

Errors:  JsTypeError "Invalid URL string." for text that is no absolute URL.
Source:  URL standard, sections 5 (application/x-www-form-urlencoded) and 6 (the classes).
"""

from __future__ import annotations

import re
from binascii import a2b_qp
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import quote_plus

import ada_url

from wakeful.workers.proxies import JsArray, JsProxy, JsTypeError
from wakeful.workers.values import js_string, utf8
from wakeful.workers.web.named import Named

NO_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
NO_URL: Final = "Invalid URL string."
NO_HREF: Final = (
    "Failed to set the 'href' property on 'URL': the provided value is not of type 'valid URL "
    "string'."
)
NO_PAIRS: Final = "Invalid URL search params sequence."


def parse(url: object, base: object = None) -> ada_url.URL:
    """Parse an absolute URL.

    Args:
        url: converted to text as JavaScript does it.
        base: what it may be relative to.

    Raises:
        JsTypeError: it is not absolute, and there is no base; or it is malformed.
    """
    text = _scalar(url)
    try:
        return ada_url.URL(text, None if base is None else _scalar(base))
    except ValueError:
        raise JsTypeError(f"Invalid URL: {text}") from None


def sent(url: str) -> str:
    """Return the part of a URL that is sent: neither user and password, nor the fragment."""
    if "#" not in url and "@" not in url:
        return url
    there = parse(url)
    there.username = there.password = there.hash = ""
    return there.href


def _scalar(value: object) -> str:
    """Replace halves of surrogate pairs in a text."""
    text = js_string(value)
    return text if text.isascii() else utf8(text).decode()


def form_pairs(data: bytes) -> list[tuple[str, str]]:
    """The names and values of application/x-www-form-urlencoded, as of a query."""
    parts = [part.partition(b"=") for part in data.split(b"&") if part]
    return [(_unescaped(name), _unescaped(value)) for name, _, value in parts]


def _unescaped(data: bytes) -> str:
    """Decode percent-encoding with C code: a body can have millions of escapes."""
    data = data.replace(b"+", b" ")
    if b"%" in data:
        data = NO_ESCAPE.sub(b"%25", data)
        data = a2b_qp(data.replace(b"=", b"%3D").replace(b"%", b"="))  # quoted-printable has =41
    return data.decode("utf-8", "replace")


class URLSearchParams(Named):
    """The names and values of a query."""

    __slots__ = ("_pairs", "_url")
    js_name = "URLSearchParams"

    def __init__(self, init: Any = "") -> None:
        self._url: ada_url.URL | None = None  # whose query these are
        if isinstance(init, str):
            self._pairs = form_pairs(utf8(init.removeprefix("?")))
        else:
            pairs = init.items() if hasattr(init, "items") else init
            self._pairs = [_pair(pair) for pair in pairs]

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self._pairs)

    def get(self, name: str) -> str | None:
        """The first value of a name."""
        return next((value for other, value in self._pairs if other == name), None)

    def getAll(self, name: str) -> JsArray:
        """The values of a name."""
        return JsArray(value for other, value in self._pairs if other == name)

    def has(self, name: str, value: object = None) -> bool:
        """Whether there is a value, or this value."""
        return any(_is(pair, name, value) for pair in self._pairs)

    def append(self, name: str, value: object) -> None:
        """Add a value."""
        self._pairs.append(_pair((name, value)))
        self._changed()

    def set(self, name: str, value: object) -> None:
        """Put a value in place of all values of a name."""
        first = next((i for i, pair in enumerate(self._pairs) if pair[0] == name), self.size)
        self._pairs = [pair for pair in self._pairs if pair[0] != name]
        self._pairs.insert(first, _pair((name, value)))
        self._changed()

    def delete(self, name: str, value: object = None) -> None:
        """Remove all values of a name, or only the given value."""
        self._pairs = [pair for pair in self._pairs if not _is(pair, name, value)]
        self._changed()

    def sort(self) -> None:
        """Order by name."""
        self._pairs.sort(key=lambda pair: pair[0].encode("utf-16-be"))
        self._changed()

    def forEach(self, callback: Callable[[str, str, URLSearchParams], object]) -> None:
        """Call back with each value, name, and these."""
        for name, value in self.items():
            callback(value, name, self)

    def toString(self) -> str:
        """As a query has it, without the question mark."""
        return "&".join(f"{_escaped(name)}={_escaped(value)}" for name, value in self._pairs)

    def items(self) -> list[tuple[str, str]]:
        """Names and values, in their order."""
        return list(self._pairs)

    def entries(self) -> list[tuple[str, str]]:
        """The same as `items`."""
        return self.items()

    def keys(self) -> list[str]:
        """The names, in their order."""
        return [name for name, _ in self._pairs]

    def values(self) -> list[str]:
        """The values, in their order."""
        return [value for _, value in self._pairs]

    def _changed(self) -> None:
        if self._url is not None:
            self._url.search = self.toString()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return self.size

    def __str__(self) -> str:
        return self.toString()


def _pair(pair: Any) -> tuple[str, str]:
    try:
        name, value = pair
    except (TypeError, ValueError):
        raise JsTypeError(NO_PAIRS) from None
    return _scalar(name), _scalar(value)


def _is(pair: tuple[str, str], name: str, value: object) -> bool:
    return pair[0] == name and (value is None or pair[1] == js_string(value))


def _escaped(text: str) -> str:
    return quote_plus(text, safe="*").replace("~", "%7E")


class URL(JsProxy):
    """An absolute URL, part by part. A part that is set to what it cannot be stays as it was."""

    __slots__ = ("_params", "_url")
    js_name = "URL"

    def __init__(self, url: object, base: object = None) -> None:
        try:
            self._url = parse(url, base)
        except JsTypeError:
            raise JsTypeError(NO_URL) from None
        self._params: URLSearchParams | None = None

    @property
    def searchParams(self) -> URLSearchParams:
        """The names and values of the query; a change of them changes the URL."""
        if self._params is None:
            self._params = URLSearchParams(self.search)
            self._params._url = self._url
        return self._params

    @property
    def href(self) -> str:
        """The whole URL.

        Raises:
            JsTypeError: the new value is not a URL.
        """
        return self._url.href

    @href.setter
    def href(self, value: object) -> None:
        if not self._put("href", value):
            raise JsTypeError(NO_HREF)
        self._read_query()

    @property
    def origin(self) -> str:
        """Scheme and host."""
        return self._url.origin

    @property
    def protocol(self) -> str:
        """The scheme, with its colon."""
        return self._url.protocol

    @protocol.setter
    def protocol(self, value: object) -> None:
        self._put("protocol", value)

    @property
    def username(self) -> str:
        """The user."""
        return self._url.username

    @username.setter
    def username(self, value: object) -> None:
        self._put("username", value)

    @property
    def password(self) -> str:
        """The password."""
        return self._url.password

    @password.setter
    def password(self, value: object) -> None:
        self._put("password", value)

    @property
    def host(self) -> str:
        """Host and port."""
        return self._url.host

    @host.setter
    def host(self, value: object) -> None:
        self._put("host", value)

    @property
    def hostname(self) -> str:
        """The host without the port."""
        return self._url.hostname

    @hostname.setter
    def hostname(self, value: object) -> None:
        self._put("hostname", value)

    @property
    def port(self) -> str:
        """The port; empty if it is the scheme's own."""
        return self._url.port

    @port.setter
    def port(self, value: object) -> None:
        self._put("port", value)

    @property
    def pathname(self) -> str:
        """The path, percent-encoded."""
        return self._url.pathname

    @pathname.setter
    def pathname(self, value: object) -> None:
        self._put("pathname", value)

    @property
    def search(self) -> str:
        """The query, with its question mark; empty if there is nothing behind it."""
        return self._url.search

    @search.setter
    def search(self, value: object) -> None:
        self._put("search", value)
        self._read_query()

    @property
    def hash(self) -> str:
        """The fragment, with its sign; empty if there is nothing behind it."""
        return self._url.hash

    @hash.setter
    def hash(self, value: object) -> None:
        self._put("hash", value)

    def toString(self) -> str:
        """The whole URL."""
        return self.href

    def toJSON(self) -> str:
        """The whole URL."""
        return self.href

    def __str__(self) -> str:
        return self.href

    @classmethod
    def canParse(cls, url: object, base: object = None) -> bool:
        """Whether a text is a URL."""
        return cls.parse(url, base) is not None

    @classmethod
    def parse(cls, url: object, base: object = None) -> URL | None:
        """The URL, or None where there is none."""
        try:
            return cls(url, base)
        except JsTypeError:
            return None

    def _put(self, part: str, value: object) -> bool:
        try:
            setattr(self._url, part, _scalar(value))
        except ValueError:
            return False
        return True

    def _read_query(self) -> None:
        if self._params is not None:
            self._params._pairs = URLSearchParams(self.search)._pairs
