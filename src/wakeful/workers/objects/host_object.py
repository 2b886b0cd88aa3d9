"""An object of a Worker as an actor: the runtime wakes it, it makes the user's object.

The user's object is made when the first event begins, since that event knows the name it was asked
for with. All events of an object come through `handle`, under one plan.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from wakeful.actor import Actor, AlarmInfo
from wakeful.errors import ActivationAborted
from wakeful.ports import NAME_KEY
from wakeful.runtime.gated import Gated, GatedPlan, gates_of
from wakeful.workers import strict, values
from wakeful.workers.calls import (
    NOT_RUNNING,
    Event,
    RemoteFunction,
    answered,
    depth,
    dispose,
    refused,
    settled,
)
from wakeful.workers.code.entrypoints import Exported
from wakeful.workers.js_errors import ENDS, reset_by, thrown
from wakeful.workers.objects.ids import DurableObjectId
from wakeful.workers.objects.object_state import DurableObjectState
from wakeful.workers.objects.relay import relayed
from wakeful.workers.objects.storage import MS_NS
from wakeful.workers.proxies import JsDict, JsException, JsTypeError
from wakeful.workers.values import utf8
from wakeful.workers.web.requests import JsRequest, Request
from wakeful.workers.web.responses import FetchResponse, JsResponse, Response
from wakeful.workers.web.streams import ReadableStream
from wakeful.workers.worker_sockets import HibernatableSocket, handler_arguments

if TYPE_CHECKING:
    from wakeful.workers.objects.classes import ObjectClass

NO_FETCH: Final = "Handler does not export a fetch() function."
NOT_ASKED_FOR: Final = (
    "Worker tried to return WebSocket in a response to a request which did not contain the header "
    '"Upgrade: websocket".'
)
NOT_MADE: Final = (
    "A class of objects derives from workers.DurableObject; if it has a constructor, that is "
    "`def __init__(self, ctx, env)` and begins with `super().__init__(ctx, env)`"
)
NO_RESPONSE: Final = "Incorrect type for Promise: the Promise did not resolve to 'Response'."


class WorkerObject(Actor):
    """The actor of one object; subclassed for each class of a Worker."""

    __wakeful_base__: ClassVar[bool] = True
    __wakeful_gated__: ClassVar[bool] = True
    _class: ClassVar[ObjectClass]

    def __init__(self) -> None:
        self._instance: Instance | None = None

    async def _handle(self, event: Event) -> None:
        instance = self._instance
        if instance is None:
            instance = self._instance = Instance(self._class)
            instance.gated = gates_of(self.ctx, instance)
        gated = instance.gated
        if event.line is not None:
            event.line.life = gated.activation.life
        gated.enter()
        depth.set(event.depth)
        if self._class.storage.strict is not None:
            strict.begin(self._class.storage.strict)
        if instance.target is None:
            instance.construct(event)
        assert event.run is not None
        try:
            event.answer = await gated.steps(self._class.stacks.around(event.run(instance)))
        except ENDS:
            raise
        except BaseException as error:
            if gated.activation.life.cause is not None:
                raise
            event.error = thrown(error)
        gated.used()


async def alarm(self: WorkerObject, info: AlarmInfo) -> None:
    """The alarm handler of objects; it calls that of the user's class.

    Raises:
        JsException: what the user's handler raised.
    """
    event = Event(None, lambda target: target.alarm(info))
    await self._handle(event)
    if event.error is not None:
        raise event.error


class Instance:
    """One object of a Worker in memory.

    Attributes:
        gated: its gates.
        target: the user's object, once it is made.
        state: its `ctx`, made with it.
    """

    __slots__ = ("_class", "gated", "state", "target")
    gated: Gated
    state: DurableObjectState

    def __init__(self, own: ObjectClass) -> None:
        self._class = own
        self.target: Any = None

    def construct(self, event: Event) -> None:
        """Make the user's object; if that fails, this one is thrown away.

        Raises:
            ActivationAborted: its constructor raised.
        """
        id = self._known(event)
        try:
            self.target = self.gated.construct(partial(self._make, id, event.depth))
        except ENDS:
            raise
        except BaseException as error:
            if self.gated.activation.life.cause is not None:
                raise
            reset = reset_by(error)
            self.gated.reset(reset)
            raise ActivationAborted(reset) from error

    def _known(self, event: Event) -> DurableObjectId:
        """Return the id as the object sees it; a missing name is read from storage.

        The name is stored with the first thing that the object stores.
        """
        activation = self.gated.activation
        cell = activation.buffer.get(NAME_KEY) if activation.buffer is not None else None
        stored = None if cell is None else cell.decode()
        id = event.id or DurableObjectId(activation.id.name, stored)
        name = id.seen_inside().name or stored
        if name is not None:
            self.gated.accompany(NAME_KEY, utf8(name))
        return id

    def _make(self, id: DurableObjectId, led_to_it: int) -> Any:
        own = self._class
        depth.set(led_to_it)
        strict.begin(own.storage.strict)
        self.state = DurableObjectState(self.gated, id, own.exports, own.storage, stacks=own.stacks)
        self.state.container = own.container
        try:
            return own.exported.cls(self.state, own.env)
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                error.add_note(NOT_MADE)  # it did not come to the constructor
            raise

    async def fetch(self, request: JsRequest) -> Response:
        """Let the object handle a request."""
        handler = self._class.exported.handler(self.target, "fetch")
        given: tuple[Any, ...] = (Request(request), self._class.env, self.state)
        if handler is None:  # as objects had it before the SDK
            handler = self._class.exported.handler(self.target, "on_fetch")
            given = (request, self._class.env, self.state)
        if handler is None:
            raise JsTypeError(NO_FETCH)
        response = response_of(await settled(handler(*given)), request)
        content = await response.body_for(request.method)
        if isinstance(content, ReadableStream):
            content = relayed(self.gated, content)
        return Response(response.with_content(content))

    async def rpc(self, name: str, args: tuple[Any, ...]) -> Any:
        """Call a method that other objects may call."""
        method = self._class.exported.method(self.target, name)
        try:
            answer = values.sent(await settled(method(*args)), self.export)
        finally:
            dispose(args)
        strict.check_message(answer)
        return answer

    async def alarm(self, info: AlarmInfo) -> None:
        """Let it handle its alarm, unless a critical section that was first has taken it back.

        Raises:
            JsTypeError: its class has no handler.
        """
        if not self.gated.alarm.runs():
            return
        exported = self._class.exported
        handler = exported.handler(self.target, "alarm")
        if handler is None:
            raise JsTypeError(f"{exported.cls.__name__} has set an alarm and has no alarm() method")
        about = JsDict(
            retryCount=info.retries,
            isRetry=info.is_retry,
            scheduledTime=info.scheduled_ns // MS_NS,
        )
        async with strict.alarm_time(self._class.storage.strict):
            await settled(handler(about))

    async def handle_socket_event(
        self, name: str, socket: HibernatableSocket, args: tuple[Any, ...]
    ) -> None:
        """Let the object handle an event of a socket, within the time limit of such handlers."""
        handler = self._class.exported.handler(self.target, name)
        if handler is not None:
            async with asyncio.timeout(self.state._event_seconds()):
                await settled(handler(self.state._face(socket), *handler_arguments(args)))

    async def called(self, owner: Instance, function: Callable[[], Any], event: Event) -> None:
        """Call a function that the object has sent to others."""
        if owner is self:
            await answered(event, function)
        else:
            event.error = JsException(NOT_RUNNING)

    def export(self, function: Callable[..., object]) -> RemoteFunction:
        """Make a function of the object callable for others: each call is an event."""

        def post(args: tuple[object, ...], event: Event) -> Future[object]:
            if self.gated.activation.life.cause is not None:
                return refused(event, JsException(NOT_RUNNING))
            call = partial(function, *args)
            run = Event(None, lambda target: target.called(self, call, event))
            run.depth = event.depth
            return self._class.deliver(self.gated.activation.id.name, run)

        return RemoteFunction(post)


def response_of(result: object, request: JsRequest) -> JsResponse:
    """Check what a fetch handler has returned; return it as JavaScript's object.

    Raises:
        JsTypeError: it is not a response, or has a socket although the request was no upgrade.
    """
    if isinstance(result, FetchResponse):
        result = result.js_object
    if not isinstance(result, JsResponse):
        error = JsTypeError(NO_RESPONSE)
        error.add_note(f"fetch has returned {type(result).__name__}: return a Response")
        raise error
    if result.webSocket is not None:
        asked = request.headers.get("upgrade")
        if asked is None or asked.lower() != "websocket":
            raise JsTypeError(NOT_ASKED_FOR)
    return result


def event_plan(exported: Exported) -> GatedPlan:
    """Return the plan by which events are delivered to the objects of a class."""
    return GatedPlan(f"{exported.cls.__name__} event", WorkerObject._handle)
