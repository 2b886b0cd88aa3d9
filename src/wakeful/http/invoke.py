"""Calls of actors: from path and body to arguments, and from the return value to JSON.

Arguments: of POST, a JSON object (by keyword), an array (by position) or no body at all. Of GET,
           the query string, by keyword: a value is taken as text if the parameter accepts text,
           else as a JSON literal, so ?by=5 is an int where an int is expected.
Errors:    WakefulError only; whatever user code raises is an ActorRaised.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import Coroutine, Mapping
from typing import Final, cast
from urllib.parse import parse_qsl

import msgspec

from wakeful.actor_type import EMPTY, ActorType, MethodPlan, Parameter
from wakeful.error_values import raised
from wakeful.errors import (
    DeadlineExceeded,
    InvalidArguments,
    MalformedRequest,
    UnknownActorType,
    UnknownMethod,
    WakefulError,
)
from wakeful.http.bodies import Bodies
from wakeful.http.deadline import Deadlines
from wakeful.http.message import JSON_HEADERS, Answer, Request
from wakeful.http.request_header import RequestHeader
from wakeful.http.routes import actor_call, actor_name
from wakeful.ids import ActorId
from wakeful.refusals import (
    NoSuchPath,
    NotAllowedHere,
    UnsupportedMediaType,
    UpgradeRequired,
)
from wakeful.runtime.activation import Activation
from wakeful.runtime.host import Host

Positionals = tuple[object, ...]
Keywords = Mapping[str, object]
Arguments = tuple[Positionals, Keywords]

NO_ARGUMENTS: Final[Arguments] = ((), {})
READ: Final = ("GET", "HEAD")
PATHS_MAX: Final = 4096  # of the length below, each with a gone activation: a few megabytes
PATH_CHARS_MAX: Final = 255
QUERY_FIELDS_MAX: Final = 100
# The accepted Content-Types. `curl -d` sends the second, also for JSON.
MEDIA_TYPES: Final = ("application/json", "application/x-www-form-urlencoded", "")

_decode: Final = msgspec.json.Decoder().decode


class Endpoint:
    """One method that can be called: found by type and name, once for all calls."""

    __slots__ = ("actor_type", "ask", "needs_arguments", "plan", "readonly")

    def __init__(self, host: Host, actor_type: ActorType, plan: MethodPlan) -> None:
        self.actor_type = actor_type
        self.plan = plan
        self.readonly = plan.readonly
        self.needs_arguments = any(parameter.default is EMPTY for parameter in plan.parameters)
        self.ask = host.delivery.asking(plan.as_json())


class Address:
    """What `ask` needs of a ref: a ref itself is made for users to hold."""

    __slots__ = ("_activation", "_id", "_type")

    def __init__(self, actor_type: ActorType, actor: ActorId) -> None:
        self._type = actor_type
        self._id = actor
        self._activation: Activation | None = None


class Calls:
    """Answers requests below /actors/.

    Args:
        host: whose actors.
        deadlines: looks after those that wait.
        bodies: receives their bodies.
    """

    def __init__(self, host: Host, deadlines: Deadlines, bodies: Bodies) -> None:
        self._types = host.types
        self._deadlines = deadlines
        self._bodies = bodies
        self._endpoints = {
            (name, plan.name): Endpoint(host, actor_type, plan)
            for name, actor_type in host.types.items()
            for plan in actor_type.methods.values()
        }
        self._paths: dict[str, tuple[Endpoint, Address]] = {}  # what _find has found lately

    def answer(
        self, request: Request, path: str, header: RequestHeader
    ) -> Coroutine[object, object, Answer]:
        """Call the method that a path below /actors/ names; the header is that of the call.

        Raises:
            WakefulError: it was refused, or it failed.
        """
        found = self._paths.get(path)
        endpoint, address = found if found is not None else self._find(path)
        verb = request.method
        args, kwargs = NO_ARGUMENTS
        if verb == "POST":
            if self._bodies.expected(request):
                return self._with_body(request, endpoint, address, header)
        elif not endpoint.readonly or verb not in READ:
            raise _not_allowed(endpoint, verb)
        elif query := request.query:
            args, kwargs = from_query(endpoint.plan, query)
        return self._call(endpoint, address, args, kwargs, header)

    async def _with_body(
        self, request: Request, endpoint: Endpoint, address: Address, header: RequestHeader
    ) -> Answer:
        media = (request.header("content-type") or "").partition(";")[0].strip().lower()
        if media not in MEDIA_TYPES and not media.endswith("+json"):
            raise UnsupportedMediaType(f"a body is application/json, not {media}")
        body, size = await self._bodies.whole(request)
        try:
            args, kwargs = from_json(endpoint.plan, body) if body else NO_ARGUMENTS
            return await self._call(endpoint, address, args, kwargs, header)
        finally:
            self._bodies.room.give_back(size)

    async def _call(
        self,
        endpoint: Endpoint,
        address: Address,
        args: Positionals,
        kwargs: Keywords,
        header: RequestHeader,
    ) -> Answer:
        if endpoint.needs_arguments and not args and not kwargs:
            endpoint.plan.from_json([], {})  # raises: an argument is missing
        work = endpoint.ask(address, *args, **kwargs)
        try:
            try:
                waits_for = work.send(None)
            except StopIteration as stop:
                result = stop.value
            else:
                result = await self._deadlines.resume(work, waits_for, late, header)
        except WakefulError:
            raise
        except BaseException as error:
            raise of_the_actor(error) from error
        return 200, JSON_HEADERS, cast("bytes", result)

    def _find(self, path: str) -> tuple[Endpoint, Address]:
        type_name, name, method = actor_call(path)
        endpoint = self._endpoints.get((type_name, method))
        if endpoint is None:
            raise self._nowhere(type_name, name, method)
        actor = ActorId(type_name, actor_name(name))
        found = endpoint, Address(endpoint.actor_type, actor)
        if len(path) <= PATH_CHARS_MAX:
            if len(self._paths) >= PATHS_MAX:
                self._paths.clear()
            self._paths[path] = found
        return found

    def _nowhere(self, type_name: str, name: str, method: str) -> WakefulError:
        if not type_name:
            return NoSuchPath("an actor's path is /actors/<Type>/<name>/<method>")
        actor_type = self._types.get(type_name)
        if actor_type is None:
            known = ", ".join(self._types) or "none"
            return UnknownActorType(
                f"no actor type {type_name!r} is registered; registered: {known}"
            )
        if not name or not method:
            return NoSuchPath(f"an actor's path is /actors/{type_name}/<name>/<method>")
        if method in actor_type.socket_methods:
            return UpgradeRequired(actor_type.why_no_method(method))
        return UnknownMethod(actor_type.why_no_method(method))


def from_json(plan: MethodPlan, body: bytes) -> Arguments:
    """The arguments in a JSON body.

    Raises:
        MalformedRequest: the body is not JSON.
        InvalidArguments: it does not fit the signature; names the parameter.
    """
    try:
        value = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        why = str(error).removeprefix("JSON is malformed: ")
        raise MalformedRequest(
            f'the body is not JSON: {why}. Send arguments as {{"name": value}} or [value]'
        ) from error
    except RecursionError:
        raise MalformedRequest("the body is nested too deeply") from None
    if isinstance(value, dict):
        return plan.from_json([], value)
    if isinstance(value, list):
        return plan.from_json(value, {})
    raise InvalidArguments(
        "the body is a JSON object (arguments by keyword), an array (by position) or empty"
    )


def from_query(plan: MethodPlan, query: str) -> Arguments:
    """The arguments in a query string.

    Raises:
        MalformedRequest: it cannot be read.
        InvalidArguments: it does not fit the signature; names the parameter.
    """
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, errors="strict", max_num_fields=QUERY_FIELDS_MAX
        )
    except ValueError as error:  # a UnicodeDecodeError is one
        raise MalformedRequest(f"the query string cannot be read: {error}") from error
    parameters = {parameter.name: parameter for parameter in plan.parameters}
    kwargs: dict[str, object] = {}
    for name, text in pairs:
        if name in kwargs:
            raise InvalidArguments(f"{plan.name}() got {name!r} twice", field=name)
        kwargs[name] = _literal(parameters.get(name), text)
    return plan.from_json([], kwargs)


def _literal(parameter: Parameter | None, text: str) -> object:
    """A query value as JSON would have had it: text where text is accepted, else a literal."""
    if parameter is None:
        return text
    try:
        parameter.typed.from_json(text)
    except WakefulError:
        try:
            return _decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            pass  # not JSON: conversion checks the text
    return text


def _not_allowed(endpoint: Endpoint, verb: str) -> NotAllowedHere:
    where = f"{endpoint.actor_type.name}.{endpoint.plan.name}"
    if endpoint.plan.readonly:
        return NotAllowedHere(f"{where} is called with GET or POST, not {verb[:20]}", "GET, POST")
    hint = " (mark it @readonly to allow GET)" if verb == "GET" else ""
    return NotAllowedHere(f"{where} is called with POST, not {verb[:20]}{hint}", "POST")


def late(seconds: float) -> DeadlineExceeded:
    """The error for an answer that is late."""
    allowed = f"{seconds} s (limits.request_seconds)"
    return DeadlineExceeded(
        f"no answer within {allowed}; the outcome is unknown: the call may have run, or may still",
        allowed,
    )


def of_the_actor(error: BaseException) -> WakefulError:
    """The actor's error for its caller; raises again what is not the actor's (our cancellation)."""
    if isinstance(error, CancelledError):
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise error
    elif not isinstance(error, Exception | SystemExit):
        raise error
    return raised(error)
