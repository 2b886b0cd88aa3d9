"""Calls that are on their way to an object, and what comes back."""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from contextvars import ContextVar
from types import CoroutineType
from typing import Any, Final

from wakeful.core.lifecycle import Lifecycle
from wakeful.errors import WakefulError
from wakeful.runtime.gated import inside, outside
from wakeful.workers import own_tasks, strict, values
from wakeful.workers.js_errors import ENDS, ObjectReset, is_cancelled, thrown, undelivered
from wakeful.workers.objects.ids import DurableObjectId
from wakeful.workers.proxies import JsException, JsProxy

Run = Callable[[Any], Coroutine[Any, Any, Any]]  # of an object's Instance, or of what is Entered
Post = Callable[["Event"], Future[object]]

DISPOSED: Final = "RPC stub used after being disposed."
NOT_RUNNING: Final = "The execution context which hosts this callback is no longer running."
DEPTH_MAX: Final = 256  # Cloudflare has a limit too, and does not say which
TOO_DEEP: Final = (
    "Subrequest depth limit exceeded. This request recursed through Workers too many times. This "
    "can happen e.g. if you have a Worker or Durable Object that calls other Workers or objects "
    "recursively."
)

depth: Final[ContextVar[int]] = ContextVar("wakeful_depth", default=0)


class Line:
    """The link between a stub and the object in memory that it has reached; a reset breaks it.

    Attributes:
        life: of that object; None before the first call has arrived.
    """

    __slots__ = ("life",)

    def __init__(self) -> None:
        self.life: Lifecycle | None = None

    def broken(self) -> WakefulError | None:
        """Return why the object was thrown away, if it was."""
        return None if self.life is None else self.life.cause


class Event:
    """An event for an object, and its outcome.

    Attributes:
        id: the object, by the name it was asked for with.
        run: makes the coroutine that does it.
        answer: what it returned; on its way to somebody else already.
        error: what it raised, as the caller gets it.
        depth: how many calls have led to it, each made while handling the one before.
        line: of the stub that it was sent by.
    """

    __slots__ = ("answer", "depth", "error", "id", "line", "run")

    def __init__(
        self, id: DurableObjectId | None, run: Run | None = None, line: Line | None = None
    ) -> None:
        self.id = id
        self.line = line
        self.run = run
        self.answer: Any = None
        self.error: JsException | None = None
        self.depth = 0


class Pending:
    """The answer to a call, to be awaited; the call is sent even if nothing awaits the answer.

    Attributes:
        reply: done when the answer is in the event.
        remote: if the object is reset during the call, the error says that its code raised it.
    """

    __slots__ = ("_event", "remote", "reply")

    def __init__(self, event: Event, reply: Future[object]) -> None:
        self._event = event
        self.reply = reply
        self.remote = False

    def __repr__(self) -> str:
        return "<the answer to a call: await it>"

    def __await__(self) -> Generator[Any, None, Any]:
        try:
            yield from self.reply
        except WakefulError as error:
            made = undelivered(error)
            made.remote = made.remote or (self.remote and isinstance(error, ObjectReset))
            raise self._marked(made) from error
        if self._event.error is not None:
            raise self._marked(self._event.error)
        return self._event.answer

    def _marked(self, error: JsException) -> JsException:
        if self._event.id is not None:
            error.durableObjectId = self._event.id.toString()
        return error


def call(event: Event, post: Post) -> Pending:
    """Send an event: at once, or, from inside an object, once what it may reveal is durable."""
    event.depth = depth.get() + 1
    try:
        strict.check_subrequest()
        if event.depth > DEPTH_MAX:
            raise JsException(TOO_DEEP)
    except JsException as error:
        return failed(error)
    gated = inside.get()
    reply: Future[object]
    if gated is not None:
        return Pending(event, gated.send(lambda: post(event)))
    try:
        reply = post(event)
    except WakefulError as error:
        reply = asyncio.get_running_loop().create_future()
        reply.set_exception(error)
    return Pending(event, reply)


def failed(error: JsException) -> Pending:
    """Return the failed answer of a call that was not made."""
    event = Event(None)
    return Pending(event, refused(event, error))


def refused(event: Event, error: JsException) -> Future[object]:
    """Answer an event with an error."""
    event.error = error
    reply: Future[object] = asyncio.get_running_loop().create_future()
    reply.set_result(None)
    return reply


class RemoteFunction(JsProxy):
    """A function of one object, as another may call it, until this holder of it is disposed."""

    __slots__ = ("_disposed", "_post")
    js_name = "RpcStub"

    def __init__(self, post: Callable[[tuple[object, ...], Event], Future[object]]) -> None:
        self._post = post
        self._disposed = False

    def __call__(self, *args: object, **named: object) -> Pending:
        """Call the function in the object that it belongs to."""
        if self._disposed:
            return failed(JsException(DISPOSED))
        given = sent_arguments(args, named)
        pending = call(Event(None), lambda event: self._post(given, event))
        pending.remote = True
        return pending

    def dup(self) -> RemoteFunction:
        """Make another holder of the same function.

        Raises:
            JsException: this one is disposed.
        """
        if self._disposed:
            raise JsException(DISPOSED)
        return RemoteFunction(self._post)

    def dispose(self) -> None:
        """Dispose this holder: it cannot call the function from now on."""
        self._disposed = True

    def __wakeful_transfer__(self) -> RemoteFunction:
        return self.dup()


def dispose(values: Iterable[object]) -> None:
    """Dispose the functions among a call's arguments, which were lent until the call ended."""
    for value in values:
        if isinstance(value, RemoteFunction):
            value.dispose()
        elif isinstance(value, dict):
            dispose(value.values())
        elif isinstance(value, list):
            dispose(value)


def sent_arguments(args: tuple[object, ...], named: dict[str, object]) -> tuple[Any, ...]:
    """Arguments as a call carries them: those given by name become one object at the end.

    Raises:
        TypeError, DataCloneError: one of them cannot be sent.
        JsException: together they are too large, for a strict Worker.
    """
    export = exporter()
    given = tuple([values.sent(value, export) for value in values.arguments(args, named)])
    strict.check_message(given)
    return given


class RemoteMethod:
    """A method of an object or an entrypoint elsewhere: calling it makes a call there.

    Args:
        make_call: makes the call, of what runs there.
        target: the stub or the service, as messages show it.
        name: the method's name.
    """

    __slots__ = ("_make_call", "_name", "_target")

    def __init__(self, make_call: Callable[[Run], Pending], target: object, name: str) -> None:
        self._make_call = make_call
        self._target = target
        self._name = name

    def __call__(self, *args: object, **named: object) -> Pending:
        """Call it; arguments given by name become one object at the end.

        Raises:
            TypeError, DataCloneError: an argument cannot be sent.
        """
        given, name = sent_arguments(args, named), self._name
        return self._make_call(lambda target: target.rpc(name, given))

    def __repr__(self) -> str:
        return f"<method {self._name} of {self._target!r}>"


def exporter() -> values.Export:
    """Return the function that makes functions of the running code callable from other objects."""
    gated = inside.get()
    if gated is None:
        return _export_stateless
    owner: Any = gated.owner
    export: values.Export = owner.export
    return export


def _export_stateless(function: Callable[..., object]) -> RemoteFunction:
    def post(args: tuple[object, ...], event: Event) -> Future[object]:
        work = answered(event, lambda: function(*args))
        return own_tasks.begin_in(outside(), work)

    return RemoteFunction(post)


async def answered(event: Event, function: Callable[[], object]) -> None:
    """Call a function and put its result or error into an event."""
    depth.set(event.depth)
    try:
        event.answer = values.sent(await settled(function()), exporter())
    except ENDS:
        raise
    except BaseException as error:
        event.error = thrown(error)
        if is_cancelled(error):
            raise


async def settled(value: Any) -> Any:
    """Return a value, awaited if it is awaitable."""
    return await value if awaits(value) else value


def awaits(value: object) -> bool:
    """Whether a value is awaitable; the check of the abstract class costs more."""
    return type(value) is CoroutineType or isinstance(value, Awaitable)
