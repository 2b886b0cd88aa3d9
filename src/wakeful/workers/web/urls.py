"""URLs: parsed, made absolute and written as the URL standard does for http, https, ws and wss.

Errors:  JsTypeError "Invalid URL: ..." for text that is no absolute URL.
Source:  URL standard, sections 3 (hosts), 4.4 (parsing), 5 (application/x-www-form-urlencoded).
"""

from __future__ import annotations

import re
from binascii import a2b_qp
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import quote, unquote, urlencode

from wakeful.workers.proxies import JsArray, JsProxy, JsTypeError
from wakeful.workers.values import js_string, utf8

PORTS: Final = {"http": "80", "https": "443", "ws": "80", "wss": "443"}
ABSOLUTE: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL | re.ASCII)
PARTS: Final = re.compile(r"([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
AUTHORITY: Final = re.compile(r"[/\\]*([^/\\?#]*)(.*)", re.DOTALL)
HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([0-9]*))?", re.ASCII)
HOST_CHARS_MAX: Final = 253  # of a name that is not ASCII: what DNS has room for
NO_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
FORBIDDEN_IN_HOST: Final = re.compile(r"[\0-\x20#%/:<>?@\[\\\]^|\x7f]")

# What stays as it is in each part; everything outside ASCII is percent-encoded as UTF-8.
IN_PATH: Final = "!$%&'()*+,-./:;=@[\\]_|~"
IN_QUERY: Final = "!$%&()*+,-./:;=?@[\\]^_`{|}~"
IN_FRAGMENT: Final = "!#$%&'()*+,-./:;=?@[\\]^_{|}~"
IN_USER: Final = "!$%&'()*+,-._~"


class Parsed(NamedTuple):
    """The parts of a URL, encoded; `query` and `fragment` have their sign, or are empty."""

    scheme: str
    user: str
    password: str
    host: str
    port: str
    path: str
    query: str
    fragment: str

    def text(self) -> str:
        """The whole URL."""
        return f"{self.origin()}{self.path}{self.query}{self.fragment}"

    def origin(self) -> str:
        """Scheme, user and host: what comes before the path."""
        user = f"{self.user}:{self.password}".rstrip(":") + "@" if self.user else ""
        return f"{self.scheme}://{user}{self.netloc()}"

    def netloc(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}" if self.port else self.host


def parse(url: object, base: str | None = None) -> Parsed:
    """Parse a URL.

    Args:
        url: text, or anything whose text is one.
        base: an absolute URL that a relative one starts from.

    Raises:
        JsTypeError: it is not absolute, and there is no base; or it is malformed.
    """
    given = js_string(url)
    text = re.sub(r"[\t\n\r]", "", given.strip("".join(map(chr, range(33)))))
    match = ABSOLUTE.fullmatch(text)
    if match is None:
        if base is None:
            raise JsTypeError(f"Invalid URL: {given}")
        return _relative(text, parse(base))
    scheme = match[1].lower()
    if scheme not in PORTS:
        raise JsTypeError(f"Invalid URL: {given}")
    authority = AUTHORITY.fullmatch(match[2])
    assert authority is not None
    user, password, host, port = _authority(authority[1], scheme, given)
    path, query, fragment = _split(authority[2])
    return Parsed(scheme, user, password, host, port, _path(path), query, fragment)


def sent(url: str) -> str:
    """What of a URL reaches who is asked: neither user and password, nor the fragment."""
    if "#" not in url and "@" not in url:
        return url
    return parse(url)._replace(user="", password="", fragment="").text()


def _split(rest: str) -> tuple[str, str, str]:
    parts = PARTS.fullmatch(rest)
    assert parts is not None
    query, fragment = parts[2] or "", parts[3] or ""
    return (
        parts[1].replace("\\", "/"),
        "?" + _encoded(query[1:], IN_QUERY) if len(query) > 1 else "",
        "#" + _encoded(fragment[1:], IN_FRAGMENT) if len(fragment) > 1 else "",
    )


def _relative(text: str, base: Parsed) -> Parsed:
    if text.startswith(("//", "\\\\", "/\\", "\\/")):
        return parse(f"{base.scheme}:{text}")
    path, query, fragment = _split(text)
    if not path:
        return base._replace(query=query or base.query, fragment=fragment)
    if not path.startswith("/"):
        path = base.path[: base.path.rfind("/") + 1] + path
    return base._replace(path=_path(path), query=query, fragment=fragment)


def _authority(text: str, scheme: str, given: str) -> tuple[str, str, str, str]:
    credentials, _, rest = text.rpartition("@")
    user, _, password = credentials.partition(":")
    match = HOST.fullmatch(rest)
    if match is None:
        raise JsTypeError(f"Invalid URL: {given}")
    port = (match[2] or "").lstrip("0") or ("0" if match[2] else "")
    if len(port) > 5 or int(port or 0) > 65535:
        raise JsTypeError(f"Invalid URL: {given}")
    host = _host(match[1], given)
    shown_port = "" if port == PORTS[scheme] else port
    return _encoded(user, IN_USER), _encoded(password, IN_USER), host, shown_port


def _host(text: str, given: str) -> str:
    if text.startswith("["):
        return text.lower()
    host = unquote(text)
    if len(host) > HOST_CHARS_MAX and not host.isascii():  # which takes long to encode
        raise JsTypeError(f"Invalid URL: {given}")
    try:
        host = host.lower() if host.isascii() else host.encode("idna").decode().lower()
    except UnicodeError:
        raise JsTypeError(f"Invalid URL: {given}") from None
    if FORBIDDEN_IN_HOST.search(host):
        raise JsTypeError(f"Invalid URL: {given}")
    return host


def _path(text: str) -> str:
    if not text.startswith("/"):
        text = f"/{text}"
    kept: list[str] = []
    segments = text.split("/")[1:]
    for segment in segments:
        plain = segment.lower().replace("%2e", ".")
        if plain == "..":
            del kept[-1:]
        elif plain != ".":
            kept.append(segment)
    if segments[-1].lower().replace("%2e", ".") in (".", ".."):
        kept.append("")
    return "/" + _encoded("/".join(kept), IN_PATH)


def _encoded(text: str, safe: str) -> str:
    return quote(utf8(text), safe=safe)


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
            self._pairs = [(js_string(name), js_string(value)) for name, value in pairs]

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

    def has(self, name: str) -> bool:
        """Is there a value?"""
        return any(other == name for other, _ in self._pairs)

    def append(self, name: str, value: object) -> None:
        """Add a value."""
        self._pairs.append((name, js_string(value)))
        self._changed()

    def set(self, name: str, value: object) -> None:
        """Put a value in place of all values of a name."""
        first = next((i for i, pair in enumerate(self._pairs) if pair[0] == name), self.size)
        self._pairs = [pair for pair in self._pairs if pair[0] != name]
        self._pairs.insert(first, (name, js_string(value)))
        self._changed()

    def delete(self, name: str) -> None:
        """Remove all values of a name."""
        self._pairs = [pair for pair in self._pairs if pair[0] != name]
        self._changed()

    def sort(self) -> None:
        """Order by name."""
        self._pairs.sort(key=lambda pair: pair[0])
        self._changed()

    def toString(self) -> str:
        """As a query has it, without the question mark."""
        return urlencode(self._pairs, safe="*")

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
        self._take(parse(url, None if base is None else js_string(base)))
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
        self._take(parse(value))

    @property
    def origin(self) -> str:
        """Scheme and host."""
        return f"{self._parsed.scheme}://{self._parsed.netloc()}"

    @property
    def protocol(self) -> str:
        """The scheme, with its colon."""
        return f"{self._parsed.scheme}:"

    @protocol.setter
    def protocol(self, value: object) -> None:
        scheme = js_string(value).partition(":")[0].lower()
        if scheme in PORTS:
            port = "" if self._parsed.port == PORTS[scheme] else self._parsed.port
            self._parsed = self._parsed._replace(scheme=scheme, port=port)

    @property
    def username(self) -> str:
        """The user."""
        return self._parsed.user

    @username.setter
    def username(self, value: object) -> None:
        self._parsed = self._parsed._replace(user=_encoded(js_string(value), IN_USER))

    @property
    def password(self) -> str:
        """The password."""
        return self._parsed.password

    @password.setter
    def password(self, value: object) -> None:
        self._parsed = self._parsed._replace(password=_encoded(js_string(value), IN_USER))

    @property
    def host(self) -> str:
        """Host and port."""
        return self._parsed.netloc()

    @host.setter
    def host(self, value: object) -> None:
        text = js_string(value)
        self._put_host(text if HOST.fullmatch(text) and ":" in text else f"{text}:{self.port}")

    @property
    def hostname(self) -> str:
        """The host without the port."""
        return self._parsed.host

    @hostname.setter
    def hostname(self, value: object) -> None:
        self._put_host(f"{js_string(value)}:{self.port}")

    @property
    def port(self) -> str:
        """The port; empty if it is the scheme's own."""
        return self._parsed.port

    @port.setter
    def port(self, value: object) -> None:
        self._put_host(f"{self._parsed.host}:{js_string(value)}")

    @property
    def pathname(self) -> str:
        """The path, percent-encoded."""
        return self._parsed.path

    @pathname.setter
    def pathname(self, value: object) -> None:
        self._parsed = self._parsed._replace(path=_path(js_string(value).replace("\\", "/")))

    @property
    def search(self) -> str:
        """The query, with its question mark."""
        return self._parsed.query

    @search.setter
    def search(self, value: object) -> None:
        text = js_string(value).removeprefix("?")
        query = f"?{_encoded(text, IN_QUERY)}" if text else ""
        self._take(self._parsed._replace(query=query))

    @property
    def hash(self) -> str:
        """The fragment, with its sign."""
        return self._parsed.fragment

    @hash.setter
    def hash(self, value: object) -> None:
        text = js_string(value).removeprefix("#")
        fragment = f"#{_encoded(text, IN_FRAGMENT)}" if text else ""
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

    def _take(self, parsed: Parsed) -> None:
        self._parsed = parsed
        self.searchParams._pairs = URLSearchParams(parsed.query)._pairs

    def _put_host(self, text: str) -> None:
        try:
            _, _, host, port = _authority(text.replace("@", " "), self._parsed.scheme, text)
        except JsTypeError:
            return
        self._parsed = self._parsed._replace(host=host, port=port)

    def _query_changed(self) -> None:
        text = self.searchParams.toString()
        self._parsed = self._parsed._replace(query=f"?{text}" if text else "")
