"""Clients that leave before they are answered: what is done for them is cancelled.

A server does not report that a client has gone; it must be asked, which takes a task. So only
requests that have run for a while are watched: at least LOOK_SECONDS, less than twice that.

Invariants: there is a timer only while there are requests under way that are not watched yet.
"""

from __future__ import annotations

import asyncio
from asyncio import Task, TimerHandle
from collections.abc import Awaitable
from types import TracebackType
from typing import Final, Protocol

from wakeful.http.message import ClientGone

LOOK_SECONDS: Final = 2.0


class Leavable(Protocol):
    """What can be asked whether a client has left: granian's protocol, an ASGI request."""

    def client_disconnect(self) -> Awaitable[None]:
        """Return when the client has gone."""


class Disconnects:
    """Looks after the requests of one server."""

    def __init__(self) -> None:
        self._new: dict[Attended, None] = {}
        self._older: dict[Attended, None] = {}
        self._timer: TimerHandle | None = None

    def until_left(self, client: Leavable) -> Attended:
        """What runs inside is cancelled when the client leaves, and raises ClientGone then."""
        return Attended(self, client)

    def begin(self, one: Attended) -> None:
        """Begin to watch a request."""
        self._new[one] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def end(self, one: Attended) -> None:
        """End watching a request, which has been answered."""
        if self._new.pop(one, one) is one:
            self._older.pop(one, None)

    def _look(self) -> None:
        self._timer = None
        for one in self._older:
            one.attend()
        self._older, self._new = self._new, {}
        if self._older:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)


class Attended:
    """One request, while it is under way."""

    __slots__ = ("_asking", "_client", "_leaving", "_left", "_task")

    def __init__(self, leaving: Disconnects, client: Leavable) -> None:
        self._leaving = leaving
        self._client = client
        self._task: Task[object] | None = None
        self._asking: Task[None] | None = None
        self._left = False

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._leaving.begin(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leaving.end(self)
        if self._asking is not None:
            self._asking.cancel()
        if self._left:
            assert self._task is not None
            self._task.uncancel()
            raise ClientGone from None

    def attend(self) -> None:
        """Start a task that waits for the client to leave."""
        self._asking = asyncio.get_running_loop().create_task(self._ask())

    async def _ask(self) -> None:
        await self._client.client_disconnect()
        if self._task is not None:
            self._left = True
            self._task.cancel()
