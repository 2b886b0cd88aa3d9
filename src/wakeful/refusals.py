"""Errors that only a caller over HTTP can meet; the others are in wakeful.errors.

CallError
├─ NoSuchPath             404  nothing is at this path
├─ UnsupportedMediaType   415  the body is not JSON, by its own account
├─ RequestTimeout         408  the body did not arrive in time
├─ CrossOrigin            403  a page of another site must not call here
├─ HostNotAllowed         403  the Host header names somebody else
├─ AdminRefused           403  the admin paths are closed to this caller
├─ InternalError          500  our fault: it is in the log
├─ UpgradeRequired        426  the path is a WebSocket's
├─ SocketRefused          403  the actor did not accept the WebSocket
└─ NotAllowedHere         405  MethodNotAllowed, with the methods that are allowed
"""

from __future__ import annotations

from wakeful.errors import CallError, MethodNotAllowed, Retry


class NoSuchPath(CallError):
    """Nothing is at this path."""

    code = "no_such_path"
    http = 404


class UnsupportedMediaType(CallError):
    """The body is not JSON, by its own Content-Type."""

    code = "unsupported_media_type"
    http = 415


class RequestTimeout(CallError):
    """The body did not arrive in time; nothing was run."""

    code = "request_timeout"
    http = 408
    retry = Retry.SAFE


class CrossOrigin(CallError):
    """A page of another site must not call here unless its origin is allowed."""

    code = "cross_origin"
    http = 403


class HostNotAllowed(CallError):
    """The Host header is not one of ours: a foreign name may have been pointed here."""

    code = "host_not_allowed"
    http = 403


class AdminRefused(CallError):
    """The admin paths are closed to this caller."""

    code = "admin_refused"
    http = 403


class InternalError(CallError):
    """Our own fault, not the caller's and not the actor's; the details are in the log."""

    code = "internal_error"
    http = 500


class UpgradeRequired(CallError):
    """The path is for WebSocket clients; this request does not ask for one, or not correctly."""

    code = "upgrade_required"
    http = 426


class SocketRefused(CallError):
    """The actor did not accept the WebSocket."""

    code = "socket_refused"
    http = 403


class NotAllowedHere(MethodNotAllowed):
    """The path is right, the method is not.

    Attributes:
        allow: the methods that are, as the Allow header has them.
    """

    def __init__(self, message: str, allow: str) -> None:
        super().__init__(message)
        self.allow = allow
