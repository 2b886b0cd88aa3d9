"""The host as the contexts and gates of its actors use it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Protocol, TypeVar

from wakeful.config import Config
from wakeful.errors import WakefulError
from wakeful.ports import Clock, Database
from wakeful.runtime.activation import Activation
from wakeful.runtime.committer import Committer
from wakeful.runtime.delivery import Delivery
from wakeful.runtime.host_loop import HostLoop
from wakeful.runtime.reminders import Reminders
from wakeful.runtime.sockets import Sockets

A = TypeVar("A")
V = TypeVar("V")


class Services(Protocol):
    """The host's interface for objects that it makes itself, so that there is no import cycle."""

    clock: Clock
    committer: Committer
    config: Config
    delivery: Delivery
    loop: HostLoop
    reminders: Reminders
    sockets: Sockets

    def get(self, actor: type[A], name: str, timeout: float | None = None) -> A:
        """A ref to an actor, typed as its class."""

    def discard(self, activation: Activation, cause: WakefulError) -> None:
        """Throw an activation away."""

    def database(self, activation: Activation) -> Database:
        """The SQL database of an activation that is durable, made when first needed."""

    def start_background(
        self, activation: Activation, work: Coroutine[object, object, object]
    ) -> None:
        """Run work beside the turns of an actor; it stays awake until that ends."""

    async def sync(self, activation: Activation) -> None:
        """Commit what the turn has done so far; return when it is durable."""

    async def in_section(self, activation: Activation, work: Callable[[], Awaitable[V]]) -> V:
        """Run work in a critical section of an actor."""

    async def transaction(self, activation: Activation, work: Callable[[], Awaitable[V]]) -> V:
        """Run work in a critical section; undo what it did if it raises."""
