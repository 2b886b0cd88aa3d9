"""Calls of actors: from path and body to arguments, and from the return value to JSON.

Arguments: of POST, a JSON object (by keyword), an array (by position) or no body at all. Of GET,
           the query string, by keyword: a value is taken as text if the parameter accepts text,
           else as a JSON literal, so ?by=5 is an int where an int is expected.
Errors:    WakefulError only; whatever user code raises is an ActorRaised.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from wakeful.actor_type import ActorType, MethodPlan, Parameter
from wakeful.codec import to_json
from wakeful.errors import (
    DeadlineExceeded,
    InvalidArguments,
    MalformedRequest,
    PayloadTooLarge,
    UnknownActorType,
    UnknownMethod,
    WakefulError,
)
from wakeful.http.deadline import Deadlines
from wakeful.http.message import JSON_HEADERS, Answer, Request
from wakeful.http.problems import raised
from wakeful.http.refusals import NoSuchPath, NotAllowedHere, RequestTimeout, UnsupportedMediaType
from wakeful.http.routes import actor_call
from wakeful.ids import check_name
from wakeful.runtime.host import Host

Arguments = tuple[tuple[object, ...], Mapping[str, object]]

NO_ARGUMENTS: Final[Arguments] = ((), {})
QUERY_FIELDS_MAX: Final = 100
# What a body may call itself. curl -d says the second, and what it sends is JSON all the same.
MEDIA_TYPES: Final = ("application/json", "application/x-www-form-urlencoded", "")

_decode: Final = msgspec.json.Decoder().decode


class Endpoint:
    """One method that can be called: found by type and name, once for all calls."""

    __slots__ = ("actor_type", "ask", "plan")

    def __init__(self, host: Host, actor_type: ActorType, plan: MethodPlan) -> None:
        self.actor_type = actor_type
        self.plan = plan
        self.ask = host.delivery.asking(plan)


class Calls:
    """Answers requests below /actors/.

    Args:
        host: whose actors.
        deadlines: looks after those that wait.
    """

    def __init__(self, host: Host, deadlines: Deadlines) -> None:
        self._host = host
        self._deadlines = deadlines
        self._body_bytes_max = host.config.limits.request_bytes
        self._endpoints: dict[str, dict[str, Endpoint]] = {
            name: {plan.name: Endpoint(host, kind, plan) for plan in kind.methods.values()}
            for name, kind in host.types.items()
        }

    async def answer(self, request: Request) -> Answer:
        """Call the method that a request names.

        Raises:
            WakefulError: it was refused, or it failed.
        """
        endpoint, name = self._find(request.path)
        plan = endpoint.plan
        verb = request.method
        if verb == "POST":
            args, kwargs = await self._from_body(request, plan)
        elif (verb == "GET" or verb == "HEAD") and plan.readonly:
            args, kwargs = from_query(plan, request.query) if request.query else NO_ARGUMENTS
        else:
            raise _not_allowed(endpoint, verb)
        ref = self._host.ref(endpoint.actor_type, name)
        try:
            result = await self._deadlines.watch(endpoint.ask(ref, *args, **kwargs), _late)
        except WakefulError:
            raise
        except CancelledError as error:
            if _is_cancelled():
                raise
            raise raised(error) from error
        except (Exception, SystemExit) as error:
            raise raised(error) from error
        return 200, JSON_HEADERS, to_json(result)

    def _find(self, path: str) -> tuple[Endpoint, str]:
        type_name, name, method = actor_call(path)
        methods = self._endpoints.get(type_name)
        if methods is None:
            raise UnknownActorType(self._unknown(type_name))
        endpoint = methods.get(method)
        if endpoint is None:
            if not name:
                raise NoSuchPath(f"an actor's path is /actors/{type_name}/<name>/<method>")
            raise UnknownMethod(self._host.types[type_name].why_no_method(method))
        return endpoint, check_name(name)

    def _unknown(self, type_name: str) -> str:
        types = ", ".join(self._endpoints) or "none"
        return f"no actor type {type_name!r} is registered; registered: {types}"

    async def _from_body(self, request: Request, plan: MethodPlan) -> Arguments:
        length = request.header("content-length")
        if length is None:
            if request.header("transfer-encoding") is None:
                return NO_ARGUMENTS
        elif length == "0":
            return NO_ARGUMENTS
        elif not length.isdecimal() or int(length[:20]) > self._body_bytes_max:
            raise too_large(self._body_bytes_max)
        media = (request.header("content-type") or "").partition(";")[0].strip().lower()
        if media not in MEDIA_TYPES and not media.endswith("+json"):
            raise UnsupportedMediaType(f"a body is application/json, not {media}")
        body = await self._deadlines.watch(request.body(self._body_bytes_max), _slow)
        return from_json(plan, body) if body else NO_ARGUMENTS


def from_json(plan: MethodPlan, body: bytes) -> Arguments:
    """Arguments out of a JSON body.

    Raises:
        MalformedRequest: it is no JSON.
        InvalidArguments: it does not fit the signature; names the parameter.
    """
    try:
        value = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedRequest(f"the body is not JSON: {error}") from error
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
    """Arguments out of a query string.

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


def too_large(limit: int) -> PayloadTooLarge:
    """The error for a body over its limit."""
    return PayloadTooLarge(f"a body has at most {limit} bytes (limits.request_bytes)")


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
            pass  # then it is text, and conversion says what is wrong with that
    return text


def _not_allowed(endpoint: Endpoint, verb: str) -> NotAllowedHere:
    where = f"{endpoint.actor_type.name}.{endpoint.plan.name}"
    if endpoint.plan.readonly:
        return NotAllowedHere(f"{where} is called with GET or POST, not {verb[:20]}", "GET, POST")
    hint = " (mark it @readonly to allow GET)" if verb == "GET" else ""
    return NotAllowedHere(f"{where} is called with POST, not {verb[:20]}{hint}", "POST")


def _late(seconds: float) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"no answer within {seconds} s (limits.request_seconds); "
        "the outcome is unknown: the call may have run, or may still"
    )


def _slow(seconds: float) -> RequestTimeout:
    return RequestTimeout(f"the body did not arrive within {seconds} s (limits.request_seconds)")


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
