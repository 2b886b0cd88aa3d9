"""URL and URLSearchParams, as code sees them, and the names and values of a query.

Errors:  JsTypeError "Invalid URL string." for text that is no absolute URL.
Source:  URL standard, sections 5 (application/x-www-form-urlencoded) and 6 (the classes).
"""

from __future__ import annotations

import re
from binascii import a2b_qp
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import quote_plus

from wakeful.workers.proxies import JsArray, JsProxy, JsTypeError
from wakeful.workers.values import js_string, utf8
from wakeful.workers.web.url_parser import (
    IN_FRAGMENT,
    IN_QUERY,
    IN_USER,
    PORTS,
    Parsed,
    encoded,
    host_and_port,
    normal_path,
    parse,
    sent,
)

__all__ = ["URL", "URLSearchParams", "form_pairs", "parse", "sent"]

NO_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
NO_URL: Final = "Invalid URL string."
NO_PAIRS: Final = "Invalid URL search params sequence."
END_OF_HOST: Final = re.compile(r"[/\\?#]")


def form_pairs(data: bytes) -> list[tuple[str, str]]:
    """The names and values of application/x-www-form-urlencoded, as of a query."""
    parts = [part.partition(b"=") for part in data.split(b"&") if part]
    return [(_unescaped(name), _unescaped(value)) for name, _, value in parts]


def _unescaped(data: bytes) -> str:
    """What is percent-encoded, by C code: a body can have millions of escapes."""
    data = data.replace(b"+", b" ")
    if b"%" in data:
        data = NO_ESCAPE.sub(b"%25", data)
        data = a2b_qp(data.replace(b"=", b"%3D").replace(b"%", b"="))  # quoted-printable has =41
    return data.decode("utf-8", "replace")


class URLSearchParams(JsProxy):
    """The names and values of a query."""

    __slots__ = ("_changed", "_pairs")
    js_name = "URLSearchParams"

    def __init__(self, init: Any = "") -> None:
        self._changed: Callable[[], None] = _nobody  # the URL that these are the query of
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
        """Is there a value, or this one?"""
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
        """Remove all values of a name, or those that are this one."""
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

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: object) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        self.delete(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.has(name)

    def __len__(self) -> int:
        return self.size

    def __str__(self) -> str:
        return self.toString()


def _pair(pair: Any) -> tuple[str, str]:
    try:
        name, value = pair
    except (TypeError, ValueError):
        raise JsTypeError(NO_PAIRS) from None
    return utf8(js_string(name)).decode(), utf8(js_string(value)).decode()


def _is(pair: tuple[str, str], name: str, value: object) -> bool:
    return pair[0] == name and (value is None or pair[1] == js_string(value))


def _escaped(text: str) -> str:
    return quote_plus(text, safe="*").replace("~", "%7E")


def _nobody() -> None:
    """Nobody has to hear of a change."""


class URL(JsProxy):
    """An absolute URL, part by part. A part that is set to what it cannot be stays as it was."""

    __slots__ = ("_parsed", "searchParams")
    js_name = "URL"
    _parsed: Parsed
    searchParams: URLSearchParams

    def __init__(self, url: object, base: object = None) -> None:
        self.searchParams = URLSearchParams()
        try:
            self._take(parse(url, None if base is None else js_string(base)))
        except JsTypeError:
            raise JsTypeError(NO_URL) from None
        self.searchParams._changed = self._query_changed

    @property
    def href(self) -> str:
        """The whole URL.

        Raises:
            JsTypeError: it is set to what is no URL.
        """
        return self._parsed.text()

    @href.setter
    def href(self, value: object) -> None:
        try:
            self._take(parse(value))
        except JsTypeError:
            raise JsTypeError(
                "Failed to set the 'href' property on 'URL': the provided value is not of type "
                "'valid URL string'."
            ) from None

    @property
    def origin(self) -> str:
        """Scheme and host."""
        return self._parsed.origin()

    @property
    def protocol(self) -> str:
        """The scheme, with its colon."""
        return f"{self._parsed.scheme}:"

    @protocol.setter
    def protocol(self, value: object) -> None:
        scheme = js_string(value).partition(":")[0].lower()
        if scheme in PORTS and self._has_port():
            port = "" if self._parsed.port == PORTS[scheme] else self._parsed.port
            self._parsed = self._parsed._replace(scheme=scheme, port=port)

    @property
    def username(self) -> str:
        """The user."""
        return self._parsed.user

    @username.setter
    def username(self, value: object) -> None:
        if self._parsed.host and self._parsed.scheme != "file":
            self._parsed = self._parsed._replace(user=encoded(js_string(value), IN_USER))

    @property
    def password(self) -> str:
        """The password."""
        return self._parsed.password

    @password.setter
    def password(self, value: object) -> None:
        if self._parsed.host and self._parsed.scheme != "file":
            self._parsed = self._parsed._replace(password=encoded(js_string(value), IN_USER))

    @property
    def host(self) -> str:
        """Host and port."""
        return self._parsed.netloc()

    @host.setter
    def host(self, value: object) -> None:
        text = END_OF_HOST.split(js_string(value), maxsplit=1)[0]
        name, colon, port = text.rpartition(":")
        if colon and port and not text.endswith("]"):
            self._put_host(f"{name}:{_digits(port)}")
        else:
            self._put_host(f"{text.removesuffix(':')}:{self.port}")

    @property
    def hostname(self) -> str:
        """The host without the port."""
        return self._parsed.host or ""

    @hostname.setter
    def hostname(self, value: object) -> None:
        text = END_OF_HOST.split(js_string(value), maxsplit=1)[0]
        if ":" not in text or text.startswith("["):
            self._put_host(f"{text}:{self.port}")

    @property
    def port(self) -> str:
        """The port; empty if it is the scheme's own."""
        return self._parsed.port

    @port.setter
    def port(self, value: object) -> None:
        text = js_string(value)
        digits = _digits(text)
        if self._has_port() and (digits or not text):
            self._put_host(f"{self._parsed.host}:{digits}")

    @property
    def pathname(self) -> str:
        """The path, percent-encoded."""
        return self._parsed.path

    @pathname.setter
    def pathname(self, value: object) -> None:
        if not self._parsed.opaque:
            path = normal_path(js_string(value), special=self._parsed.special)
            self._parsed = self._parsed._replace(path=path)

    @property
    def search(self) -> str:
        """The query, with its question mark; empty if there is nothing behind it."""
        return _unless_alone(self._parsed.query)

    @search.setter
    def search(self, value: object) -> None:
        text = js_string(value)
        query = f"?{encoded(text.removeprefix('?'), IN_QUERY)}" if text else ""
        self._take(self._parsed._replace(query=query))

    @property
    def hash(self) -> str:
        """The fragment, with its sign; empty if there is nothing behind it."""
        return _unless_alone(self._parsed.fragment)

    @hash.setter
    def hash(self, value: object) -> None:
        text = js_string(value)
        fragment = f"#{encoded(text.removeprefix('#'), IN_FRAGMENT)}" if text else ""
        self._parsed = self._parsed._replace(fragment=fragment)

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
        """Is it a URL?"""
        try:
            cls(url, base)
        except JsTypeError:
            return False
        return True

    @classmethod
    def parse(cls, url: object, base: object = None) -> URL | None:
        """The URL, or None where there is none."""
        return cls(url, base) if cls.canParse(url, base) else None

    def _take(self, parsed: Parsed) -> None:
        self._parsed = parsed
        self.searchParams._pairs = URLSearchParams(parsed.query)._pairs

    def _has_port(self) -> bool:
        return bool(self._parsed.host) and self._parsed.scheme != "file"

    def _put_host(self, text: str) -> None:
        try:
            host, port = host_and_port(text, self._parsed.scheme)
        except ValueError:
            return
        if host and self._parsed.host is not None:
            self._parsed = self._parsed._replace(host=host, port=port)

    def _query_changed(self) -> None:
        text = self.searchParams.toString()
        self._parsed = self._parsed._replace(query=f"?{text}" if text else "")


def _digits(text: str) -> str:
    """Those that it begins with."""
    return text[: len(text) - len(text.lstrip("0123456789"))]


def _unless_alone(part: str) -> str:
    return part if len(part) > 1 else ""
