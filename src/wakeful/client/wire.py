"""What a client sends and what it makes of the answer: requests and outcomes, without any I/O.

Shapes:  a request is a path and a JSON body. An outcome is a value, or an error of the class that
         the server's problem document names, those of the actor's own modules included.
Errors:  InvalidArguments before anything is sent; InvalidResult for an answer that does not fit;
         UnknownOutcome for an answer that is not the server's (a proxy's page, say).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, NoReturn
from urllib.parse import quote

import msgspec

from wakeful import errors, refusals
from wakeful.actor_type import ActorType, MethodPlan
from wakeful.codec import to_json
from wakeful.error_values import made
from wakeful.errors import (
    ActorRaised,
    CallError,
    InvalidArguments,
    InvalidResult,
    Overloaded,
    Retry,
    StateInvalid,
    UnknownOutcome,
    WakefulError,
)
from wakeful.ids import ActorId, check_name

Args = tuple[object, ...]
Kwargs = Mapping[str, object]

OK: Final = 200
PROBLEM: Final = "application/problem+json"
JSON: Final = "application/json"
TYPE_CHARS_MAX: Final = 200


class Request(NamedTuple):
    """One call, ready to be sent as a POST."""

    path: str
    body: bytes


class Problem(msgspec.Struct):
    """A server's account of an error (RFC 9457)."""

    code: str = ""
    detail: str = ""
    retry: str = "never"
    field: str | None = None
    exception: str | None = None
    message: str = ""


def request_for(actor: ActorId, plan: MethodPlan, args: Args, kwargs: Kwargs) -> Request:
    """The request of a call whose method is known.

    Raises:
        InvalidArguments: the arguments do not fit the signature, or have no JSON form.
    """
    args, kwargs = plan.copy_arguments(args, kwargs)
    given = plan.parameters[: len(args)]
    if kwargs and all(parameter.by_keyword for parameter in given):
        names = (parameter.name for parameter in given)
        kwargs, args = {**dict(zip(names, args, strict=True)), **kwargs}, ()
    return untyped_request(actor, plan.name, args, kwargs)


def untyped_request(actor: ActorId, method: str, args: Args, kwargs: Kwargs) -> Request:
    """The request of a call where only the method's name is known.

    Raises:
        InvalidArguments: arguments by position and by name together, or without JSON form.
    """
    if args and kwargs:
        raise InvalidArguments(
            f"{actor}.{method}: over HTTP arguments go by position or by name, not both"
        )
    path = "/".join(quote(part, safe="") for part in (actor.type, check_name(actor.name), method))
    try:
        body = to_json(kwargs or list(args)) if args or kwargs else b""
    except StateInvalid as error:
        raise InvalidArguments(f"{actor}.{method}: {error}") from None
    return Request(f"/actors/{path}", body)


def value_of(plan: MethodPlan | None, body: bytes) -> object:
    """The value in a successful answer.

    Raises:
        InvalidResult: it does not fit what the method is said to return.
    """
    try:
        if plan is None:
            return msgspec.json.decode(body)
        return plan.returns.from_json(body)
    except (CallError, msgspec.MsgspecError) as error:
        what = plan.name if plan is not None else "the call"
        raise InvalidResult(f"the answer of {what} does not fit: {error}") from None


def outcome(
    known: ActorType | None,
    plan: MethodPlan | None,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
) -> object:
    """The value that an answer holds.

    Args:
        known: the type of the actor, if its class is at hand.
        plan: of the method, if it is known.
        status: the answer's.
        headers: the answer's, by names in small letters.
        body: the answer's.

    Raises:
        InvalidResult: the value does not fit what the method is said to return.
        WakefulError: of the class that the server names.
        UnknownOutcome: the answer is not the server's.
    """
    if status == OK:
        return value_of(plan, body)
    refuse(known, status, headers, body)


def refuse(
    known: ActorType | None, status: int, headers: Mapping[str, str], body: bytes
) -> NoReturn:
    """Raise the error that an unsuccessful answer names.

    Raises:
        WakefulError: of the class that the server names.
        UnknownOutcome: the answer is not the server's.
    """
    problem = _problem(headers.get("content-type", ""), body)
    if problem is None:
        raise UnknownOutcome(
            f"status {status} and no problem document: something between here and the server "
            "has answered; the call may have run"
        )
    raise _error(problem, headers.get("retry-after"), known)


def _problem(content_type: str, body: bytes) -> Problem | None:
    if content_type.partition(";")[0].strip().lower() != PROBLEM:
        return None
    try:
        return msgspec.json.decode(body, type=Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _error(problem: Problem, retry_after: str | None, known: ActorType | None) -> WakefulError:
    cls = CLASSES.get(problem.code)
    if cls is ActorRaised or problem.exception is not None:
        return ActorRaised((problem.exception or "Exception")[:TYPE_CHARS_MAX], problem.message)
    if cls is None:
        return _own_error(problem, retry_after, known) or Refused(problem)
    if issubclass(cls, InvalidArguments):
        return cls(problem.detail, problem.field)
    if issubclass(cls, Overloaded):
        return cls(problem.detail, _nanoseconds(retry_after))
    return cls(problem.detail)


def _own_error(
    problem: Problem, retry_after: str | None, known: ActorType | None
) -> WakefulError | None:
    """An error of a class that the actor's modules name, with its text and no attributes."""
    named = known.errors_for_callers() if known is not None else []
    cls = next((cls for cls in named if cls.code == problem.code), None)
    if cls is None:
        return None
    attributes: dict[str, object] = {}
    if issubclass(cls, InvalidArguments):
        attributes["field"] = problem.field
    if issubclass(cls, Overloaded):
        attributes["retry_after_ns"] = _nanoseconds(retry_after)
    return made(cls, (problem.detail,), attributes)


def _nanoseconds(retry_after: str | None) -> int:
    if retry_after is not None and retry_after.isascii() and retry_after.isdigit():
        return int(retry_after[:9]) * 1_000_000_000
    return 1_000_000_000


class Refused(CallError):
    """The server refused for a reason that there is no class for here.

    Its version of wakeful may be newer, or the error is one of the actor's own, and the client was
    given the name of the type and not the class.

    Attributes:
        code: the server's code.
        retry: its retry class.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.code}: {problem.detail}")
        known = {retry.value: retry for retry in Retry}
        # Other errors have these by their class; here the server chooses them.
        self.code = problem.code or CallError.code  # type: ignore[misc]
        self.retry = known.get(problem.retry, Retry.NEVER)  # type: ignore[misc]


def _classes() -> dict[str, type[WakefulError]]:
    values = [*vars(errors).values(), *vars(refusals).values()]
    known = [cls for cls in values if isinstance(cls, type) and issubclass(cls, WakefulError)]
    return {cls.code: cls for cls in known if "code" in vars(cls)}


CLASSES: Final = _classes()
