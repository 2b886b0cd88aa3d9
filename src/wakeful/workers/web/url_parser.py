"""URLs, parsed, made absolute and written as the URL standard does it.

Not here: the letters of Windows drives in file URLs.

Errors:  JsTypeError "Invalid URL: ..." for text that is no absolute URL.
Source:  URL standard, sections 3 (hosts), 4.4 (parsing) and 4.5 (writing).
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from wakeful.workers.proxies import JsTypeError
from wakeful.workers.values import js_string, utf8

# The special schemes, each with its own port.
PORTS: Final = {"http": "80", "https": "443", "ws": "80", "wss": "443", "ftp": "21", "file": ""}
SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):", re.ASCII)
AROUND: Final = "".join(map(chr, range(33)))
INSIDE: Final = re.compile(r"[\t\n\r]")
HOST_AND_PORT: Final = re.compile(r"(\[[^\]]*\]|[^:]*)(?::([0-9]*))?", re.ASCII)
HOST_CHARS_MAX: Final = 253  # of a name that is not ASCII: what DNS has room for
FORBIDDEN: Final = re.compile(r"[\0\t\n\r #/:<>?@\[\\\]^|]")
FORBIDDEN_IN_DOMAIN: Final = re.compile(r"[\0-\x20#%/:<>?@\[\\\]^|\x7f]")
NUMBER: Final = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)

# What stays as it is in each part; everything outside ASCII is percent-encoded as UTF-8.
IN_PATH: Final = "!$%&'()*+,-./:;=@[\\]_|~"
IN_OPAQUE: Final = " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
IN_QUERY: Final = "!$%&()*+,-./:;=?@[\\]^_`{|}~"
IN_FRAGMENT: Final = "!#$%&'()*+,-./:;=?@[\\]^_{|}~"
IN_USER: Final = "!$%&'()*+,-._~"


class Parsed(NamedTuple):
    """The parts of a URL, encoded.

    Attributes:
        host: None where there is none: `mailto:a@b`.
        port: empty if it is the scheme's own.
        query: with its sign, which may be all that there is of it; or empty.
        fragment: the same.
    """

    scheme: str
    user: str
    password: str
    host: str | None
    port: str
    path: str
    query: str
    fragment: str

    @property
    def special(self) -> bool:
        """Is it of a scheme that the standard knows?"""
        return self.scheme in PORTS

    @property
    def opaque(self) -> bool:
        """Has it a path that is just a text?"""
        return self.host is None and not self.path.startswith("/")

    def text(self) -> str:
        """The whole URL."""
        return f"{self.scheme}:{self._authority()}{self.path}{self.query}{self.fragment}"

    def origin(self) -> str:
        """Scheme and host; "null" where that says nothing."""
        if not self.special or self.scheme == "file":
            return "null"
        return f"{self.scheme}://{self.netloc()}"

    def netloc(self) -> str:
        """Host and port."""
        return f"{self.host or ''}:{self.port}" if self.port else self.host or ""

    def _authority(self) -> str:
        if self.host is None:
            return "/." if self.path.startswith("//") else ""
        password = f":{self.password}" if self.password else ""
        user = f"{self.user}{password}@" if self.user or password else ""
        return f"//{user}{self.netloc()}"


def parse(url: object, base: str | None = None) -> Parsed:
    """Parse a URL.

    Args:
        url: text, or anything whose text is one.
        base: an absolute URL that a relative one starts from.

    Raises:
        JsTypeError: it is not absolute, and there is no base; or it is malformed.
    """
    given = js_string(url)
    try:
        return _parse(INSIDE.sub("", given.strip(AROUND)), None if base is None else parse(base))
    except ValueError:
        raise JsTypeError(f"Invalid URL: {given}") from None


def sent(url: str) -> str:
    """What of a URL reaches who is asked: neither user and password, nor the fragment."""
    if "#" not in url and "@" not in url:
        return url
    return parse(url)._replace(user="", password="", fragment="").text()


def _parse(text: str, base: Parsed | None) -> Parsed:
    text, sign, fragment = text.partition("#")
    fragment = sign + encoded(fragment, IN_FRAGMENT)
    match = SCHEME.match(text)
    if match is None:
        if base is None or (base.opaque and (text or not sign)):
            raise ValueError("neither absolute nor relative to something")
        if base.opaque:
            return base._replace(fragment=fragment)
        return _relative(text, base)._replace(fragment=fragment)
    scheme, rest = match[1].lower(), text[match.end() :]
    if scheme not in PORTS:
        found = _of_other_scheme(scheme, rest)
    elif base is not None and base.scheme == scheme and not rest.startswith("//"):
        found = _relative(rest, base)
    elif scheme == "file":
        found = _relative(rest, Parsed("file", "", "", "", "", "/", "", ""))
    else:
        found = _with_authority(scheme, rest.lstrip("/\\"))
    return found._replace(fragment=fragment)


def _of_other_scheme(scheme: str, rest: str) -> Parsed:
    if rest.startswith("//"):
        return _with_authority(scheme, rest[2:])
    path, query = _before_query(rest, special=False)
    path = normal_path(path, special=False) if path.startswith("/") else encoded(path, IN_OPAQUE)
    return Parsed(scheme, "", "", None, "", path, query, "")


def _relative(text: str, base: Parsed) -> Parsed:
    special = base.special
    slashes = "/\\" if special else "/"
    if text[:1] and text[0] in slashes and text[1:2] and text[1] in slashes:
        if base.scheme == "file":
            return _of_file(text[2:])
        return _with_authority(base.scheme, text.lstrip(slashes) if special else text[2:])
    path, query = _before_query(text, special=special)
    if not path:
        return base._replace(query=query if "?" in text else base.query, fragment="")
    if path[0] not in slashes:
        path = base.path[: base.path.rfind("/") + 1] + path
    return base._replace(path=normal_path(path, special=special), query=query, fragment="")


def _with_authority(scheme: str, text: str) -> Parsed:
    special = scheme in PORTS
    end = re.search(r"[/\\?]" if special else r"[/?]", text)
    authority, rest = (text, "") if end is None else (text[: end.start()], text[end.start() :])
    credentials, at, netloc = authority.rpartition("@")
    user, _, password = credentials.partition(":")
    host, port = host_and_port(netloc, scheme)
    if not host and (special or at or port):
        raise ValueError("no host")
    path, query = _before_query(rest, special=special)
    path = normal_path(path, special=special) if special or path else ""
    user, password = encoded(user, IN_USER), encoded(password, IN_USER)
    return Parsed(scheme, user, password, host, port, path, query, "")


def _of_file(text: str) -> Parsed:
    host = re.split(r"[/\\?]", text, maxsplit=1)[0]
    path, query = _before_query(text[len(host) :], special=True)
    host = _host(host, special=True) if host else ""
    shown = "" if host == "localhost" else host
    return Parsed("file", "", "", shown, "", normal_path(path, special=True), query, "")


def _before_query(text: str, *, special: bool) -> tuple[str, str]:
    path, sign, query = text.partition("?")
    return path, sign + encoded(query, IN_QUERY if special else f"{IN_QUERY}'")


def host_and_port(text: str, scheme: str) -> tuple[str, str]:
    """Host and port as they are written; the scheme's own port is empty.

    Raises:
        ValueError: it is neither.
    """
    match = HOST_AND_PORT.fullmatch(text)
    if match is None:
        raise ValueError("no port")
    port = (match[2] or "").lstrip("0") or ("0" if match[2] else "")
    if len(port) > 5 or int(port or 0) > 65535:
        raise ValueError("no port")
    host = _host(match[1], special=scheme in PORTS) if match[1] else ""
    return host, "" if port == PORTS.get(scheme) else port


def _host(text: str, *, special: bool) -> str:
    if text.startswith("["):
        return f"[{_ipv6(text[1:-1])}]"
    if not special:
        if FORBIDDEN.search(text):
            raise ValueError("no host")
        return encoded(text, IN_OPAQUE)
    host = unquote(text)
    if len(host) > HOST_CHARS_MAX and not host.isascii():  # which takes long to encode
        raise ValueError("too long")
    host = host.lower() if host.isascii() else host.encode("idna").decode().lower()
    if not host or FORBIDDEN_IN_DOMAIN.search(host):
        raise ValueError("no host")
    parts = host.removesuffix(".").split(".")
    return _ipv4(parts) if NUMBER.fullmatch(parts[-1]) else host


def _ipv4(parts: list[str]) -> str:
    if len(parts) > 4:
        raise ValueError("too many numbers")
    numbers = [_number(part) for part in parts]
    last = numbers.pop()
    if any(number > 255 for number in numbers) or last >= 256 ** (4 - len(numbers)):
        raise ValueError("too large a number")
    value = last + sum(number << (24 - 8 * place) for place, number in enumerate(numbers))
    return ".".join(str(byte) for byte in value.to_bytes(4, "big"))


def _number(text: str) -> int:
    if not NUMBER.fullmatch(text):
        raise ValueError("no number")
    if text[:2].lower() == "0x":
        return int(text[2:] or "0", 16)
    return int(text, 8 if text.startswith("0") else 10)


def _ipv6(text: str) -> str:
    if "%" in text:
        raise ValueError("a zone")
    try:
        data = IPv6Address(text).packed
    except AddressValueError as error:
        raise ValueError("no address") from error
    words = [f"{data[at] << 8 | data[at + 1]:x}" for at in range(0, 16, 2)]
    zeros = max(re.findall(r"(?:(?<![0-9a-f])0:?)+", ":".join(words)), key=len, default="")
    count = zeros.count("0")
    if count < 2:
        return ":".join(words)
    start = next(at for at in range(9 - count) if words[at : at + count] == ["0"] * count)
    return f"{':'.join(words[:start])}::{':'.join(words[start + count :])}"


def normal_path(text: str, *, special: bool) -> str:
    """A path without steps back, encoded; it begins with a slash."""
    if special:
        text = text.replace("\\", "/")
    segments = text.removeprefix("/").split("/")
    kept: list[str] = []
    for segment in segments:
        plain = segment.lower().replace("%2e", ".")
        if plain == "..":
            del kept[-1:]
        elif plain != ".":
            kept.append(segment)
    if segments[-1].lower().replace("%2e", ".") in (".", ".."):
        kept.append("")
    return "/" + encoded("/".join(kept), IN_PATH)


def encoded(text: str, safe: str) -> str:
    """Text with all percent-encoded but letters, digits and what is safe."""
    return quote(utf8(text), safe=safe)
