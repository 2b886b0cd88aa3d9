"""Errors on their way from an object to its caller: name, text, and marks of what to do.

    remote               code of the other object raised it; the object goes on
    durableObjectReset   the object was thrown away: a new stub reaches a new one
    overloaded           do not send the call again now
    retryable            the call did not arrive: send it again, with a new stub

Invariants: an error arrives as a new one; its cause is the original, for debugging.
Source:     Cloudflare docs on error handling of Durable Objects; workerd's texts.
"""

from __future__ import annotations

from asyncio import CancelledError, current_task
from typing import Final

from wakeful.errors import (
    ActorAborted,
    ActorMoved,
    CallError,
    Overloaded,
    RuntimeOverloaded,
    ShuttingDown,
    SqlError,
    WakefulError,
)
from wakeful.workers.proxies import (
    DataCloneError,
    JsException,
    JsRangeError,
    JsSyntaxError,
    JsTypeError,
)
from wakeful.workers.values import error_text

KINDS: Final = (JsTypeError, JsRangeError, JsSyntaxError, DataCloneError)
# What JavaScript and its platform call errors; others are made by code.
NAMES: Final = frozenset(
    {
        *("Error", "TypeError", "RangeError", "SyntaxError", "ReferenceError"),
        *("EvalError", "URIError", "AggregateError", "DataCloneError", "AbortError"),
        *("TimeoutError", "NotSupportedError", "InvalidStateError", "InvalidAccessError"),
        *("InvalidCharacterError", "OperationError", "DataError", "QuotaExceededError"),
        *("NotFoundError", "NetworkError", "EncodingError", "NotAllowedError", "SecurityError"),
        *("IndexSizeError", "TypeMismatchError", "UnknownError", "VersionError"),
    }
)
ENDS: Final = (GeneratorExit, KeyboardInterrupt)  # of code, whatever it does
TOO_MANY: Final = "Durable Object is overloaded. Too many requests queued."
ABORTED: Final = "Application called abort() to reset Durable Object."
VIOLATED: Final = (
    "Durable Object was reset and rolled back to its last known good state because the application "
    "left the database in a state where constraints were violated: "
)
BLOCKED_TOO_LONG: Final = (
    "A call to blockConcurrencyWhile() in a Durable Object waited for too long. The call was "
    "canceled and the Durable Object was reset."
)


class ObjectReset(ActorAborted):
    """The reset of an object; `error` is what every waiting caller receives."""

    def __init__(self, error: JsException) -> None:
        super().__init__(error.message)
        self.error = error


def reset_by(error: BaseException, *, overloaded: bool = False) -> ObjectReset:
    """Return the reset of an object that an error of its own code causes."""
    made = twin(error)
    made.durableObjectReset = True
    made.overloaded = overloaded
    reset = ObjectReset(made)
    reset.__cause__ = error
    return reset


def is_cancelled(error: BaseException) -> bool:
    """Whether the running task was cancelled from outside, not by an error of its own code."""
    task = current_task() if isinstance(error, CancelledError) else None
    return task is not None and task.cancelling() > 0


def thrown(error: BaseException) -> JsException:
    """What code of an object raised, as the caller gets it.

    Of the marks only one arrives, `overloaded` before `retryable`. A name of an error that only the
    object's code knows becomes a part of the text.
    """
    made = twin(error)
    made.remote = True
    made.retryable = made.retryable and not made.overloaded
    made.durableObjectReset = False
    if isinstance(error, JsException) and not error.remote and made.name not in NAMES:
        made.message = str(made)
        made.name = JsException.js_name
    return made


def undelivered(error: WakefulError) -> JsException:
    """Convert the reason for a call's failure, where no code of the object raised it."""
    if isinstance(error, ObjectReset):
        return twin(error.error)
    if isinstance(error, ShuttingDown | ActorMoved):
        made = JsException("Network connection lost.")
        made.retryable = True
    elif isinstance(error, Overloaded | RuntimeOverloaded):
        made = JsException(TOO_MANY)
        made.overloaded = True
    else:
        made = JsException(VIOLATED + str(error) if isinstance(error, SqlError) else str(error))
        made.durableObjectReset = not isinstance(error, CallError)
    made.__cause__ = error
    return made


def twin(error: BaseException) -> JsException:
    """Make an error of the same kind to raise elsewhere: a traceback belongs to one raise."""
    kind, name = JsException, type(error).__name__
    if isinstance(error, JsException):
        kind, name = next((k for k in KINDS if isinstance(error, k)), JsException), error.name
    elif isinstance(error, TypeError):
        kind, name = JsTypeError, JsTypeError.js_name
    elif isinstance(error, ValueError):
        kind, name = JsRangeError, JsRangeError.js_name
    made = kind(error_text(error), name)
    if isinstance(error, JsException):
        made.remote, made.retryable = error.remote, error.retryable
        made.overloaded, made.durableObjectReset = error.overloaded, error.durableObjectReset
    made.__cause__ = error if error.__traceback__ is not None else error.__cause__
    return made


def cause_of(error: BaseException | None) -> WakefulError | None:
    """Return the runtime's error behind a Worker's error, for callers that handle such errors."""
    while error is not None and not isinstance(error, WakefulError):
        error = error.__cause__
    return None if isinstance(error, ObjectReset) else error
