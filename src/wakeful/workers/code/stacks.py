"""Separate stacks for code that waits without being async: `run_sync`, and code that needs it.

A coroutine is driven in a greenlet. `run_sync` leaves the greenlet, however many functions deep it
was called. The awaitable goes to the event loop as if the coroutine had awaited it, and later the
greenlet goes on where it was. Other events run meanwhile, as at an await.

A switch costs some microseconds, so a Worker gets stacks only if it has asked for `run_sync`, or
its files mention it.

Invariants: the driver of a coroutine is the parent of its greenlet while it runs; both see one
            context, that of the driver.
Source:     Pyodide's run_sync (JavaScript Promise Integration on Cloudflare).
"""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator
from types import coroutine
from typing import Any, Final, TypeVar

from greenlet import getcurrent, greenlet

V = TypeVar("V")
Given = tuple[Any, BaseException | None]  # what is sent in, or what is raised there

NO_STACK: Final = (
    "run_sync: this code cannot wait. It can below handlers and methods of a Worker and its "
    "objects; not in another thread, nor while the Worker is imported or an object is made, nor in "
    "an event that had begun before an installed package imported run_sync: import it at the top "
    "of a module"
)


class Stacks:
    """Gives stacks to the coroutines of one Worker, once it wants them.

    Attributes:
        wanted: whether the Worker wants stacks.
    """

    __slots__ = ("wanted",)

    def __init__(self) -> None:
        self.wanted = False

    def around(self, work: Coroutine[Any, Any, V]) -> Coroutine[Any, Any, V]:
        """Wrap a coroutine so that functions in it which are not async may wait."""
        return _on_stack(work) if self.wanted else work

    def run_sync(self, work: Awaitable[V]) -> V:
        """Wait for an awaitable in code that is not async; return its result.

        Raises:
            RuntimeError: there is no stack to wait on here.
            Exception: what the awaitable raised.
        """
        if not self.can_run_sync():
            raise RuntimeError(NO_STACK)
        awaited = work.__await__()
        given: Given = (None, None)
        while True:
            try:
                waits_for = _go_on(awaited, given)
            except StopIteration as stop:
                result: V = stop.value
                return result
            given = _parent().switch(waits_for)

    def can_run_sync(self) -> bool:
        """Whether the running code may wait with `run_sync`."""
        return isinstance(getcurrent(), _Stack)


class _Stack(greenlet):
    """The stack of one coroutine."""


async def _on_stack(work: Coroutine[Any, Any, V]) -> V:
    return await _driven(work)


@coroutine
def _driven(work: Coroutine[Any, Any, V]) -> Generator[Any, Any, V]:
    stack = _Stack(_drive)
    given: Any = (work,)
    while True:
        here = getcurrent()
        stack.parent, stack.gr_context = here, here.gr_context
        waits_for = stack.switch(*given)
        if stack.dead:
            result: V = waits_for
            return result
        try:
            given = (((yield waits_for), None),)
        except BaseException as error:
            given = ((None, error),)


def _drive(work: Coroutine[Any, Any, V]) -> V:
    given: Given = (None, None)
    while True:
        try:
            waits_for = _go_on(work, given)
        except StopIteration as stop:
            result: V = stop.value
            return result
        given = _parent().switch(waits_for)


def _go_on(work: Any, given: Given) -> Any:
    value, thrown = given
    if thrown is not None:
        return work.throw(thrown)
    # An iterator need not be a generator: a future's is not.
    return work.send(value) if hasattr(work, "send") else next(work)


def _parent() -> greenlet:
    parent = getcurrent().parent
    assert parent is not None, "the parent of a stack is the code that drives it"
    return parent
