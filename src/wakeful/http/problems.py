"""Errors as `application/problem+json`, by what their classes say: code, status, retry class.

Shapes: {type, title, status, code, detail, retry} and, where they apply, field (which argument),
        exception and message (what the actor's code raised), outcome ("unknown": it may have run).
        `type` is a path on this server where the error is explained.
Source: RFC 9457.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Final

from wakeful.codec import to_json
from wakeful.errors import (
    ActorRaised,
    InvalidArguments,
    Overloaded,
    Retry,
    WakefulError,
)
from wakeful.http.message import Answer, Headers
from wakeful.refusals import NotAllowedHere

TYPES: Final = "/_wakeful/errors/"
PROBLEM: Final = "application/problem+json"
DETAIL_CHARS_MAX: Final = 4096  # messages quote what was sent; an answer need not repeat it all


def problem(error: WakefulError, root: str = "") -> Answer:
    """The answer that tells of an error; `root` is what the application is mounted at."""
    cls = type(error)
    content: dict[str, object] = {
        "type": root + TYPES + cls.code,
        "title": title(cls),
        "status": cls.http,
        "code": cls.code,
        "detail": _text(str(error)),
        "retry": cls.retry.value,
    }
    if isinstance(error, InvalidArguments) and error.field is not None:
        content["field"] = _text(error.field)
    if isinstance(error, ActorRaised):
        content["exception"] = _text(error.type_name)
        content["message"] = _text(error.message)
    if cls.retry is Retry.ONLY_IF_IDEMPOTENT:
        content["outcome"] = "unknown"
    return cls.http, _headers(error), to_json(content)


def title(cls: type[WakefulError]) -> str:
    """What an error's code means, in one line: the first of its class's docstring."""
    owner = next(base for base in cls.__mro__ if "code" in vars(base))
    text = vars(owner).get("__doc__") or cls.code.replace("_", " ")  # never a base class's
    return inspect.cleandoc(text).partition("\n")[0]


def explanations(*roots: type[WakefulError]) -> dict[str, type[WakefulError]]:
    """All error classes below these, by code; a code belongs to the class that defines it."""
    return {cls.code: cls for root in roots for cls in _below(root) if "code" in vars(cls)}


def explain(cls: type[WakefulError]) -> bytes:
    """A page about an error class."""
    lines = [
        f"{cls.code}: HTTP {cls.http}, retry {cls.retry.value}",
        "",
        inspect.getdoc(cls) or "",
        "",
    ]
    return "\n".join(lines).encode()


def _below(cls: type[WakefulError]) -> Iterator[type[WakefulError]]:
    yield cls
    for sub in cls.__subclasses__():
        yield from _below(sub)


def _headers(error: WakefulError) -> Headers:
    headers = [("content-type", PROBLEM), ("cache-control", "no-store")]
    if isinstance(error, Overloaded):
        headers.append(("retry-after", str(max(1, -(-error.retry_after_ns // 1_000_000_000)))))
    elif error.http == 503 and error.retry is Retry.SAFE:
        headers.append(("retry-after", "1"))
    if isinstance(error, NotAllowedHere):
        headers.append(("allow", error.allow))
    return headers


def _text(value: str) -> str:
    """Text that JSON can hold: without lone surrogates, and cut at DETAIL_CHARS_MAX."""
    if len(value) > DETAIL_CHARS_MAX:
        value = value[:DETAIL_CHARS_MAX] + " ..."
    return value if value.isascii() else value.encode("utf-8", "replace").decode()
