"""Who may call: keeps foreign web pages and foreign names out, and the admin paths closed.

A browser sends requests for any page that asks it to; it says for which one, in Origin and
Sec-Fetch-Site. Programs that are no browsers send neither and are let through: this protects users
of browsers, it does not authenticate anybody.

DNS rebinding: a page's name is pointed at 127.0.0.1, so that for the browser its requests to us are
its own. The Host header still has that name; hence names that are not ours are refused. An address
cannot be pointed elsewhere, and needs no list.

Source: Fetch Metadata (W3C); Origin (Fetch standard); DNS rebinding, Jackson et al. 2007.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from typing import Final

from wakeful.errors import MalformedRequest
from wakeful.header import Caller
from wakeful.http.hosts import is_address, is_here, name_of
from wakeful.http.message import Headers, Request
from wakeful.http.request_header import RequestHeader
from wakeful.http.settings import HttpSettings
from wakeful.refusals import AdminRefused, CrossOrigin, HostNotAllowed

FOREIGN_SITES: Final = ("cross-site", "same-site")
PROXIED: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
SAFE: Final = ("GET", "HEAD", "OPTIONS")  # methods that must change nothing
CORS_MAX_AGE: Final = "600"
KNOWN_MAX: Final = 64


ADMIN: Final = Caller("admin_token", "admin", frozenset({"admin"}))
LOOPBACK: Final = Caller("loopback")
SOMEBODY: Final = Caller("nothing")


def _never() -> None:
    """Return None: calls have no deadline."""


class Guard:
    """Checks requests before anything else looks at them.

    Args:
        settings: whom to let in.
        loopback: whether only this machine can reach us. If so, other names than the loopback's
            are refused, and the admin paths are open without a token.
        due: when a call that begins now is given up, as the event loop's time; None: never.
    """

    def __init__(
        self,
        settings: HttpSettings,
        *,
        loopback: bool,
        due: Callable[[], float | None] = _never,
    ) -> None:
        self.due = due
        self._origins = frozenset(settings.allowed_origins)
        self._token = settings.admin_token
        self._loopback = loopback
        self._near = loopback or settings.own_hosts_only
        self._hosts = frozenset(name.lower() for name in settings.allowed_hosts)
        self._known: dict[str, str] = {}  # Host headers found good, and the names in them

    def admit(self, request: Request) -> RequestHeader:
        """Let a request in; returns the header of the call that it makes.

        Raises:
            HostNotAllowed, CrossOrigin, MalformedRequest: the request may not come in.
        """
        hosts = request.values("host")
        host = hosts[0] if len(hosts) == 1 else None
        if host not in self._known:
            self._checked_name(hosts)
        origin = request.header("origin")
        site = request.header("sec-fetch-site")
        if origin is None and site is None:
            return RequestHeader(self, request)
        return RequestHeader(self, request, self._admit_browser(request, host, origin, site))

    def admit_to_worker(self, request: Request) -> RequestHeader:
        """Let a request in to a Worker, which says itself which origins may call it.

        On a developer's machine the guard is stricter: a request to one of that machine's own names
        must not come from a page of another site, unless its method is safe.

        Raises:
            HostNotAllowed, CrossOrigin, MalformedRequest: the request may not come in.
        """
        hosts = request.values("host")
        name = self._checked_name(hosts)
        origin = _origin(request)
        header = RequestHeader(self, request, timed=False)  # a Worker may take its time
        if not self._near or name in self._hosts:
            return header
        if request.method in SAFE and request.header("upgrade") is None:
            return header
        if origin is None:
            if request.header("sec-fetch-site") == "cross-site":
                raise _cross_origin("another site")
        elif not (self._is_allowed(origin) or _is_of(origin, *hosts) or _is_near(origin)):
            raise _cross_origin(origin)
        return header

    def caller_of(self, request: Request) -> Caller:
        """Who sent a request, as far as that can be known."""
        if self._token is not None and self._has_token(request):
            return ADMIN
        if self._loopback and not _is_proxied(request):
            return LOOPBACK
        return SOMEBODY

    def admit_admin(self, request: Request) -> None:
        """Let a request use the admin paths.

        Raises:
            AdminRefused: the request may not; the message says how to open them.
        """
        if self._token is not None:
            if not self._has_token(request):
                raise AdminRefused("a valid `Authorization: Bearer <admin token>` is needed")
        elif not self._loopback and not self._is_local(request):
            raise AdminRefused("set an admin_token to use this on an address others can reach")
        elif _is_proxied(request):
            raise AdminRefused("set an admin_token to use this behind a proxy")

    def admit_page(self, request: Request) -> None:
        """Let a request use a page with effects: like an admin path, but never by a foreign link.

        Raises:
            AdminRefused, CrossOrigin: the request may not.
        """
        self.admit_admin(request)
        if request.header("sec-fetch-site") in FOREIGN_SITES:
            raise CrossOrigin("a page of another site may not lead here")

    def preflight(self, request: Request) -> Headers:
        """The answer to a browser's preflight request for a call of a foreign page."""
        origin = self.admit(request).origin
        if origin is None:
            return []
        return [
            *cors(origin),
            ("access-control-allow-methods", "GET, POST, DELETE"),
            ("access-control-allow-headers", "content-type, authorization"),
            ("access-control-max-age", CORS_MAX_AGE),
        ]

    def _has_token(self, request: Request) -> bool:
        given = request.header("authorization") or ""
        scheme, _, token = given.partition(" ")
        return scheme.lower() == "bearer" and _same(token.strip(), self._token or "")

    def _checked_name(self, hosts: list[str]) -> str | None:
        """The allowed name in the Host header; None without one (browsers send it)."""
        if not hosts:
            return None
        if len(hosts) > 1:
            raise MalformedRequest("there is one Host header")
        if (known := self._known.get(hosts[0])) is not None:
            return known
        name = name_of(hosts[0])
        if name is None:
            raise MalformedRequest("the Host header is no host with a port")
        if not self._is_ours(name):
            raise HostNotAllowed(
                f"the Host header says {hosts[0]!r}, which is not this server: "
                "add it to allowed_hosts (--allow-host) if it should be"
            )
        if len(self._known) < KNOWN_MAX:
            self._known[hosts[0]] = name
        return name

    def _is_local(self, request: Request) -> bool:
        """Whether a request to a mounted application is this machine's own, by its own name."""
        name = self._checked_name(request.values("host"))
        return request.is_near and name is not None and is_here(name)

    def _is_ours(self, name: str) -> bool:
        if not (self._near or self._hosts) or name in self._hosts or is_here(name):
            return True
        return not self._loopback and is_address(name)

    def _is_allowed(self, origin: str) -> bool:
        return origin in self._origins or "*" in self._origins

    def _admit_browser(
        self, request: Request, host: str | None, origin: str | None, site: str | None
    ) -> str | None:
        if origin is not None:
            _origin(request)
            if self._is_allowed(origin):
                return origin
            if not _is_of(origin, host):
                raise _cross_origin(origin)
        elif site in FOREIGN_SITES and not _is_navigation(request):
            raise _cross_origin("another site")
        return None


def _origin(request: Request) -> str | None:
    """The Origin header; a browser sends one at most."""
    origins = request.values("origin")
    if len(origins) > 1:
        raise MalformedRequest("there is one Origin header at most")
    return origins[0] if origins else None


def _is_of(origin: str, host: str | None = None) -> bool:
    """Whether the origin is that of the pages which this host serves."""
    return host is not None and origin.partition("://")[2].lower() == host.lower()


def _is_near(origin: str) -> bool:
    """Whether the origin is that of a page served from the browser's own machine."""
    name = name_of(origin.partition("://")[2])
    return name is not None and is_here(name)


def _cross_origin(who: str) -> CrossOrigin:
    return CrossOrigin(
        f"a page of {who} may not call here: "
        "add its origin to allowed_origins (--allow-origin) if it should"
    )


def _is_proxied(request: Request) -> bool:
    """Whether a proxy has passed the request on, so that its client may be on another machine."""
    return any(request.header(name) is not None for name in PROXIED)


def cors(origin: str) -> Headers:
    """Headers that let a page of that origin read the answer."""
    return [("access-control-allow-origin", origin), ("vary", "origin")]


def _is_navigation(request: Request) -> bool:
    """Whether a person followed a link: the page with the link cannot see the answer."""
    return request.method == "GET" and request.header("sec-fetch-mode") == "navigate"


def _same(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode())


def is_loopback(addresses: Iterable[str]) -> bool:
    """Whether only this machine can reach these addresses."""
    return all(address == "::1" or address.startswith("127.") for address in addresses)
