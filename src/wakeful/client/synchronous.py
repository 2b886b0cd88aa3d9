"""`wakeful.connect_sync`: a running server's actors, for programs without an event loop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx2

from wakeful.actor_type import ActorType, MethodPlan
from wakeful.client.connection import (
    ANSWER_BYTES_MAX,
    TIMEOUT_SECONDS,
    Refs,
    failure,
    settings,
    too_large,
)
from wakeful.client.wire import Request, outcome, request_for
from wakeful.ids import ActorId
from wakeful.runtime.refs import Asking, Ref

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R")


class SyncClient:
    """Refs to the actors of one server, whose methods return values. Use it in a `with` statement.

    Several threads may use one client.

    Args:
        url: where the server is, "http://127.0.0.1:8787"; a path is what it is mounted at.
        token: sent as a bearer token, to this server only.
        timeout: seconds for which a call may wait for its answer.
        transport: of httpx2, for tests.

    Raises:
        ConfigError: the address or the timeout is not valid.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.url = url
        self._http = httpx2.Client(transport=transport, **settings(url, token, timeout))
        self._refs = Refs(self, self._asking)

    def __enter__(self) -> SyncClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def get(self, actor: type[Any] | str, name: str) -> Any:
        """A ref; its methods return what the actor's methods return when awaited.

        Type checkers cannot check these calls, since the class's methods are coroutines; use `call`
        for checked ones.

        Args:
            actor: the class, or the name of a type whose class is not at hand.
            name: the actor's name.

        Raises:
            ConfigError: `actor` is not an actor class.
            InvalidArguments: the name is not valid.
        """
        return self._refs.get(actor, name)

    def call(
        self,
        actor: type[A],
        name: str,
        method: Callable[Concatenate[A, P], Coroutine[Any, Any, R]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Call a method; type checkers know its arguments and its result.

            client.call(Counter, "c1", Counter.increment, by=2)

        Raises:
            WakefulError: as `Client.get` says.
        """
        ask: Callable[..., R] = getattr(self.get(actor, name), method.__name__)
        return ask(*args, **kwargs)

    def _asking(self, plan: MethodPlan) -> Asking:
        def ask(ref: Ref, /, *args: object, **kwargs: object) -> Any:
            return self._send(ref._id, request_for(ref._id, plan, args, kwargs), plan, ref._type)

        return ask

    def _send(
        self,
        actor: ActorId,
        request: Request,
        plan: MethodPlan | None = None,
        known: ActorType | None = None,
    ) -> object:
        try:
            with self._http.stream("POST", request.path, content=request.body) as answer:
                body = self._read(actor, answer)
        except httpx2.HTTPError as error:
            raise failure(error, actor, self.url) from error
        return outcome(known, plan, answer.status_code, answer.headers, body)

    def _read(self, actor: ActorId, answer: httpx2.Response) -> bytes:
        body = bytearray()
        for chunk in answer.iter_bytes():
            body += chunk
            if len(body) > ANSWER_BYTES_MAX:
                raise too_large(actor)
        return bytes(body)


def connect_sync(
    url: str, *, token: str | None = None, timeout: float = TIMEOUT_SECONDS
) -> SyncClient:
    """A client for the actors of a running server, for code without an event loop.

        with wakeful.connect_sync("http://127.0.0.1:8787") as client:
            client.get(Counter, "c1").increment(by=2)

    Args:
        url: where the server is; a path is what it is mounted at.
        token: sent as a bearer token, to this server only.
        timeout: seconds for which a call may wait for its answer.

    Raises:
        ConfigError: the address or the timeout is not valid.
    """
    return SyncClient(url, token=token, timeout=timeout)
