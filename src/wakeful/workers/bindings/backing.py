"""The actors behind bindings (KV, D1, R2), and how a Worker's code calls them.

A call begins when it is made, awaited or not. A call from inside an object is sent once the writes
that it may reveal are durable, after the object's earlier messages. Its answer comes once the
call's own writes are durable.
"""

from __future__ import annotations

from asyncio import Task
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, Generic, TypeVar

from wakeful.actor import Actor
from wakeful.errors import WakefulError
from wakeful.runtime.activation import current
from wakeful.runtime.gated import inside, outside
from wakeful.runtime.host import Host
from wakeful.workers import own_tasks
from wakeful.workers.proxies import JsException
from wakeful.workers.strict import check_subrequest

A = TypeVar("A", bound=Actor)
R = TypeVar("R")
T = TypeVar("T")

ErrorOf = Callable[[WakefulError], JsException]


class Answer(Generic[R, T]):
    """The future answer of a binding; it may be awaited once, often or never."""

    __slots__ = ("_error_of", "_made", "_task")

    def __init__(self, task: Task[R], made: Callable[[R], T], error_of: ErrorOf) -> None:
        self._task = task
        self._made = made
        self._error_of = error_of

    def __await__(self) -> Generator[Any, None, T]:
        try:
            result = yield from self._task.__await__()
        except WakefulError as error:
            raise self._error_of(error) from error
        return self._made(result)


class Backing(Generic[A]):
    """The actor that keeps one namespace or database.

    Args:
        cls: its class.
        name: which of them.
    """

    __slots__ = ("_cls", "_name", "_ref")

    def __init__(self, cls: type[A], name: str) -> None:
        self._cls = cls
        self._name = name
        self._ref: A | None = None

    def start(self, host: Host) -> None:
        """Let a host keep the actor from now on."""
        self._ref = host.get(self._cls, self._name)

    def ask(
        self,
        call: Callable[[A], Coroutine[Any, Any, R]],
        made: Callable[[R], T],
        error_of: ErrorOf,
        *,
        counted: bool = True,
    ) -> Answer[R, T]:
        """Call the actor.

        Args:
            call: calls a method.
            made: makes of the result what the Worker gets.
            error_of: makes of an error the one that the Worker gets.
            counted: it is a subrequest, and no part of one.

        Raises:
            JsException: a strict Worker has asked too often.
        """
        if counted:
            check_subrequest()
        ref = self._ref
        assert ref is not None, "a Worker is started before it is called"
        gated = inside.get()

        def begin() -> Task[R]:
            return own_tasks.begin_in(_outside_any_turn(), call(ref))

        return Answer(begin() if gated is None else gated.send(begin), made, error_of)


def _outside_any_turn() -> Context:
    """A copy of the running code's context, in which no turn is under way."""
    context = outside()
    context.run(current.set, None)
    return context
