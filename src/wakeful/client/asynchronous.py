"""`wakeful.connect`: a running server's actors, for asyncio programs in other processes."""

from __future__ import annotations

from types import TracebackType
from typing import Any, TypeVar, overload

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


class Client:
    """Refs to the actors of one server. Use it as an async context manager.

    Args:
        url: where the server is, "http://127.0.0.1:8787"; a path is what it is mounted at.
        token: sent as a bearer token, to this server only.
        timeout: seconds for which a call may wait for its answer.
        transport: of httpx2, for tests and for servers in the same process.

    Raises:
        ConfigError: the address or the timeout is not valid.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = url
        self._http = httpx2.AsyncClient(transport=transport, **settings(url, token, timeout))
        self._refs = Refs(self, self._asking)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections. Calls under way end with UnknownOutcome."""
        await self._http.aclose()

    @overload
    def get(self, actor: type[A], name: str) -> A: ...

    @overload
    def get(self, actor: str, name: str) -> Any: ...

    def get(self, actor: type[Any] | str, name: str) -> Any:
        """A ref, typed as the class; nothing is sent.

        A call through it raises the error that the server's answer names: an error of wakeful's,
        or of a class derived from CallError, as itself, and any other as ActorRaised. Besides, it
        may raise Unreachable (nothing was sent), DeadlineExceeded and UnknownOutcome (the call may
        have run).

        Args:
            actor: the class, or the name of a type whose class is not at hand.
            name: the actor's name.

        Raises:
            ConfigError: `actor` is not an actor class.
            InvalidArguments: the name is not valid.
        """
        return self._refs.get(actor, name)

    def _asking(self, plan: MethodPlan) -> Asking:
        async def ask(ref: Ref, /, *args: object, **kwargs: object) -> object:
            return await self._send(
                ref._id, request_for(ref._id, plan, args, kwargs), plan, ref._type
            )

        return ask

    async def _send(
        self,
        actor: ActorId,
        request: Request,
        plan: MethodPlan | None = None,
        known: ActorType | None = None,
    ) -> object:
        sent = self._http.stream("POST", request.path, content=request.body)
        try:
            async with sent as answer:
                body = await self._read(actor, answer)
        except httpx2.HTTPError as error:
            raise failure(error, actor, self.url) from error
        return outcome(known, plan, answer.status_code, answer.headers, body)

    async def _read(self, actor: ActorId, answer: httpx2.Response) -> bytes:
        body = bytearray()
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > ANSWER_BYTES_MAX:
                raise too_large(actor)
        return bytes(body)


def connect(url: str, *, token: str | None = None, timeout: float = TIMEOUT_SECONDS) -> Client:
    """A client for the actors of a running server.

        async with wakeful.connect("http://127.0.0.1:8787") as client:
            await client.get(Counter, "c1").increment(by=2)

    Args:
        url: where the server is; a path is what it is mounted at.
        token: sent as a bearer token, to this server only.
        timeout: seconds for which a call may wait for its answer.

    Raises:
        ConfigError: the address or the timeout is not valid.
    """
    return Client(url, token=token, timeout=timeout)
