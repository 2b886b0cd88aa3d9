"""What the two clients have in common: where the server is, and what a failed exchange means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from wakeful.actor import Actor
from wakeful.actor_type import ActorType, MethodPlan
from wakeful.client.wire import JSON, untyped_request
from wakeful.errors import (
    ConfigError,
    DeadlineExceeded,
    PayloadTooLarge,
    UnknownOutcome,
    Unreachable,
    WakefulError,
)
from wakeful.ids import ActorId, check_name
from wakeful.runtime.refs import Asking, Ref, ref_class

TIMEOUT_SECONDS: Final = 60.0
CONNECT_SECONDS: Final = 10.0
CONNECTIONS_MAX: Final = 100
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


def settings(url: str, token: str | None, timeout: float) -> dict[str, Any]:
    """The arguments of an HTTP client for a server.

    Raises:
        ConfigError: the address or the timeout is not valid.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"connect({url!r}): {error}") from None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise ConfigError(f'connect({url!r}): write it as "http://127.0.0.1:8787"')
    if not timeout > 0:
        raise ConfigError(f"connect(timeout={timeout!r}): it is a number of seconds, more than 0")
    headers = {"content-type": JSON}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    return {
        "base_url": url,
        "headers": headers,
        "timeout": httpx2.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS)),
        "limits": httpx2.Limits(max_connections=CONNECTIONS_MAX),
        "trust_env": host not in LOOPBACK,  # never a proxy between processes of one machine
    }


def failure(error: httpx2.HTTPError, actor: ActorId, url: str) -> WakefulError:
    """The error of a call whose HTTP exchange has failed."""
    what = str(error) or type(error).__name__
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout):
        return Unreachable(f"{actor}: no server answers at {url}: {what}; nothing was sent")
    if isinstance(error, httpx2.TimeoutException):
        return DeadlineExceeded(f"{actor}: no answer in time: {what}; the call may have run")
    return UnknownOutcome(f"{actor}: the connection broke: {what}; the call may have run")


def too_large(actor: ActorId) -> PayloadTooLarge:
    """The error for an answer over its limit; the call has run."""
    return PayloadTooLarge(f"{actor}: the answer has more than {ANSWER_BYTES_MAX} bytes")


class Refs:
    """Makes the refs of a client: a class for each actor type, made when first asked for."""

    def __init__(self, client: Any, asking: Callable[[MethodPlan], Asking]) -> None:
        self._client = client
        self._asking = asking
        self._made: dict[type[Actor], tuple[ActorType, type[Ref]]] = {}

    def get(self, actor: type[Any] | str, name: str) -> Any:
        """A ref to an actor of a class, or of a type by its name.

        Raises:
            ConfigError: `actor` is not an actor class.
            InvalidArguments: the name is not valid.
        """
        if isinstance(actor, str):
            return NamedRef(self._client, ActorId(actor, check_name(name)))
        if not _is_actor(actor):
            raise ConfigError(f"{actor!r} is no actor class; give the class, or the type's name")
        if actor not in self._made:
            actor_type = ActorType(actor, ())
            self._made[actor] = actor_type, ref_class(actor_type, self._asking)
        actor_type, made = self._made[actor]
        return made(self._client, actor_type, ActorId(actor_type.name, check_name(name)))


def _is_actor(cls: object) -> bool:
    return isinstance(cls, type) and issubclass(cls, Actor)


class NamedRef:
    """A ref for a type known by name only: every public attribute is a method."""

    __slots__ = ("_client", "_id")

    def __init__(self, client: Any, actor: ActorId) -> None:
        self._client = client
        self._id = actor

    def __repr__(self) -> str:
        return f"<ref to {self._id}>"

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_"):
            raise AttributeError(f"{method} is private: a ref gives public methods")

        def ask(*args: object, **kwargs: object) -> Any:
            request = untyped_request(self._id, method, args, kwargs)
            return self._client._send(self._id, request)

        return ask
