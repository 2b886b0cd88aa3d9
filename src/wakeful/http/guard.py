"""Who may call: keeps foreign web pages and foreign names out, and the admin paths closed.

A browser sends requests for any page that asks it to; it says for which one, in Origin and
Sec-Fetch-Site. Programs that are no browsers send neither and are let through: this protects users
of browsers, it does not authenticate anybody.

Source: Fetch Metadata (W3C); Origin (Fetch standard); DNS rebinding, Jackson et al. 2007.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import Final

from wakeful.http.message import Headers, Request
from wakeful.http.refusals import AdminRefused, CrossOrigin, HostNotAllowed
from wakeful.http.settings import HttpSettings

LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
FOREIGN_SITES: Final = ("cross-site", "same-site")
PROXIED: Final = ("forwarded", "x-forwarded-for", "x-real-ip")
CORS_MAX_AGE: Final = "600"
KNOWN_MAX: Final = 64


class Guard:
    """Checks requests before anything else looks at them.

    Args:
        settings: whom to let in.
        loopback: whether only this machine can reach us. If so, other names than the loopback's
            are refused, and the admin paths are open without a token.
    """

    def __init__(self, settings: HttpSettings, *, loopback: bool) -> None:
        self._origins = frozenset(settings.allowed_origins)
        self._token = settings.admin_token
        self._loopback = loopback
        checked = loopback or settings.allowed_hosts
        names = (*LOOPBACK_NAMES, *settings.allowed_hosts) if checked else ()
        self._hosts = frozenset(name.lower() for name in names)
        self._known: set[str | None] = set()  # Host headers that were looked at and found good

    def admit(self, request: Request) -> str | None:
        """Let a request in; the allowed foreign origin it comes from, if it comes from one.

        Raises:
            HostNotAllowed, CrossOrigin: it may not come in.
        """
        header = request.header
        host = header("host")
        if host not in self._known:
            self._check_host(host)
        origin = header("origin")
        site = header("sec-fetch-site")
        if origin is None and site is None:
            return None
        return self._admit_browser(request, host, origin, site)

    def admit_admin(self, request: Request) -> None:
        """Let a request use the admin paths.

        Raises:
            AdminRefused: it may not; says what would open them.
        """
        if self._token is not None:
            given = request.header("authorization") or ""
            scheme, _, token = given.partition(" ")
            if scheme.lower() != "bearer" or not _same(token.strip(), self._token):
                raise AdminRefused("a valid `Authorization: Bearer <admin token>` is needed")
        elif not self._loopback:
            raise AdminRefused("set an admin_token to use this on an address others can reach")
        elif any(request.header(name) is not None for name in PROXIED):
            raise AdminRefused("set an admin_token to use this behind a proxy")

    def admit_page(self, request: Request) -> None:
        """Let a request use a page that does something: as the admin paths, and no link elsewhere.

        Raises:
            AdminRefused, CrossOrigin: it may not.
        """
        self.admit_admin(request)
        if request.header("sec-fetch-site") in FOREIGN_SITES:
            raise CrossOrigin("a page of another site may not lead here")

    def preflight(self, request: Request) -> Headers:
        """What a browser's question about a foreign page's call is answered with."""
        origin = self.admit(request)
        if origin is None:
            return []
        return [
            *cors(origin),
            ("access-control-allow-methods", "GET, POST, DELETE"),
            ("access-control-allow-headers", "content-type, authorization"),
            ("access-control-max-age", CORS_MAX_AGE),
        ]

    def _check_host(self, host: str | None) -> None:
        if host is not None and self._hosts and _name(host) not in self._hosts:
            raise HostNotAllowed(
                f"the Host header says {host!r}, which is not this server: "
                "add it to allowed_hosts (--allow-host) if it should be"
            )
        if len(self._known) < KNOWN_MAX:
            self._known.add(host)

    def _admit_browser(
        self, request: Request, host: str | None, origin: str | None, site: str | None
    ) -> str | None:
        if origin is not None:
            if origin in self._origins or "*" in self._origins:
                return origin
            if host is None or origin.partition("://")[2].lower() != host.lower():
                raise CrossOrigin(
                    f"a page of {origin} may not call here: "
                    "add the origin to allowed_origins (--allow-origin) if it should"
                )
        elif site in FOREIGN_SITES and not _is_navigation(request):
            raise CrossOrigin("a page of another site may not call here: see allowed_origins")
        return None


def cors(origin: str) -> Headers:
    """Headers that let a page of that origin read the answer."""
    return [("access-control-allow-origin", origin), ("vary", "origin")]


def _name(host: str) -> str:
    """The name in a Host header, without the port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()


def _is_navigation(request: Request) -> bool:
    """A person followed a link: the page that had it cannot see the answer."""
    return request.method == "GET" and request.header("sec-fetch-mode") == "navigate"


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def is_loopback(addresses: Iterable[str]) -> bool:
    """Whether only this machine can reach these addresses."""
    return all(address == "::1" or address.startswith("127.") for address in addresses)
