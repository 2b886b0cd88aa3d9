"""Every error a caller can meet, classed by what the caller should do.

    WakefulError                code, http status, retry class
    ├─ CallError                the call did not complete
    │  ├─ InvalidArguments      422  the arguments do not fit the signature
    │  ├─ MalformedRequest      400  the request could not be read at all
    │  ├─ PayloadTooLarge       413  a request, a name or an argument is over its limit
    │  ├─ UnknownActorType      404  ├─ UnknownMethod 404  ├─ ActorNotFound 404
    │  ├─ MethodNotAllowed      405  a method that writes was called by a read
    │  ├─ Overloaded            429  this actor's mailbox is full (retry_after_ns)
    │  │  ├─ RateLimited        429  a RateLimit facet refused (retry_after_ns)
    │  │  ├─ RuntimeOverloaded  503  ├─ ShuttingDown 503
    │  │  └─ ActorMoved         503  its shard goes to another owner
    │  ├─ DeadlineExceeded      504  the outcome is unknown: it may have run
    │  │  └─ DeadlineInQueue    503  it has not run, and will not
    │  ├─ Unreachable           503  no server answers: nothing was sent
    │  ├─ CallCycle             508  waiting would never end
    │  └─ WrongThread           500  made in another thread, or on another event loop
    ├─ ActorError               the actor answered with a failure
    │  ├─ ActorRaised           500  user code raised (remote type, message)
    │  ├─ InvalidResult         500  what a method returned does not fit, or cannot be sent
    │  ├─ PartialOutcome        500  the turn failed, and something that it did stands
    │  ├─ ActorAborted          500  ctx.abort() threw the activation away
    │  ├─ SocketClosed          500  a WebSocket that has ended
    │  ├─ ActivationFailed      500  it could not wake
    │  └─ SqlError              500  SQL that the actor ran failed
    ├─ StateError               declared state is wrong
    │  ├─ StateInvalid          500  a value does not fit its annotation
    │  └─ SchemaMismatch        500  stored state does not fit the class
    ├─ StorageError             the store refused or failed
    │  ├─ LimitExceeded         413  ├─ StorageFull 507  ├─ StorageReadOnly 503
    │  ├─ UnknownOutcome        500  ├─ StorageCorrupt 500  ├─ StorageUnavailable 503
    │  ├─ DirectoryInUse        -    ├─ FormatTooNew -    ├─ StorageClosed 503
    │  └─ OwnershipLost         503  this process does not own what it has opened any more
    │     ├─ Fenced             503  a newer epoch owns the actor
    │     └─ DirectoryLost      503  the data directory has been deleted or replaced
    └─ ConfigError              -    a setting or a class is wrong: key, why, what to do
    ActivationAborted(BaseException)  unwinds user code; `except Exception` cannot eat it

Source: classes sorted by blame as in h11 and httpx; callers decide by retry class,
        not by name (Restate).
"""

from __future__ import annotations

import re
from enum import Enum
from typing import ClassVar, Final, TypeVar

OWN: Final = __name__.partition(".")[0]
WORD_START: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
CODE: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")

E = TypeVar("E", bound="WakefulError")


class Retry(Enum):
    """Whether sending the same call again is safe."""

    NEVER = "never"
    SAFE = "safe"
    ONLY_IF_IDEMPOTENT = "only-if-idempotent"


class WakefulError(Exception):
    """Base of all errors wakeful raises on purpose, and of those that you make for callers.

    A class of your own says with class attributes what callers over HTTP get. Without a `code` it
    has that of its name: `SeatTaken` is "seat_taken".

    Attributes:
        code: what programs decide by; it is part of your interface.
        http: the status, 400 to 599.
        retry: whether sending the same call again is safe.

    Raises:
        ConfigError: when a class is defined whose attributes cannot be that.
    """

    code: ClassVar[str] = "error"
    http: ClassVar[int] = 500
    retry: ClassVar[Retry] = Retry.NEVER

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__module__.partition(".")[0] != OWN:
            if "code" not in vars(cls):
                cls.code = WORD_START.sub("_", cls.__name__).lower()
            _check_class(cls)


def again(error: E) -> E:
    """A copy of an error, to raise in another task.

    One instance raised in many tasks would collect the traceback of each.
    """
    twin = type(error).__new__(type(error), *error.args)  # its constructor may take other arguments
    vars(twin).update(vars(error))
    twin.__cause__ = error.__cause__
    return twin


class CallError(WakefulError):
    """The call did not complete; the actor's code is not to blame.

    The base of errors that a method raises for its callers: class Sold(CallError), http = 409.
    """

    code = "call_error"


class InvalidArguments(CallError):
    """The arguments do not fit the method's signature.

    Attributes:
        field: the parameter at fault, or None when the shape of the whole call is wrong.
    """

    code = "invalid_arguments"
    http = 422

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class MalformedRequest(CallError):
    """The request could not be read: bad JSON, bad UTF-8, bad path."""

    code = "malformed_request"
    http = 400


class PayloadTooLarge(CallError):
    """A request, a name or an argument is over its limit; nothing was run."""

    code = "payload_too_large"
    http = 413


class UnknownActorType(CallError):
    """No actor type of this name is registered."""

    code = "unknown_actor_type"
    http = 404


class UnknownMethod(CallError):
    """The actor type has no such method."""

    code = "unknown_method"
    http = 404


class ActorNotFound(CallError):
    """The actor is not virtual and has not been spawned, or it has stopped."""

    code = "actor_not_found"
    http = 404


class MethodNotAllowed(CallError):
    """The method is called with POST, or with GET if it is marked @readonly."""

    code = "method_not_allowed"
    http = 405


class Overloaded(CallError):
    """The actor's mailbox is full: the call was refused before it ran.

    Attributes:
        retry_after_ns: how long to wait before trying again, in nanoseconds.
    """

    code = "overloaded"
    http = 429
    retry = Retry.SAFE

    def __init__(self, message: str, retry_after_ns: int = 1_000_000_000) -> None:
        super().__init__(message)
        self.retry_after_ns = retry_after_ns


class RateLimited(Overloaded):
    """A RateLimit facet refused the call before it ran: the actor is over its rate."""

    code = "rate_limited"
    http = 429


class RuntimeOverloaded(Overloaded):
    """The whole runtime is at a limit (active actors, concurrent calls)."""

    code = "runtime_overloaded"
    http = 503


class ShuttingDown(Overloaded):
    """The runtime no longer admits calls."""

    code = "shutting_down"
    http = 503


class ActorMoved(Overloaded):
    """The actor's shard is being handed to another owner, or has been: the call did not run."""

    code = "actor_moved"
    http = 503


class DeadlineExceeded(CallError):
    """The deadline passed while the call was under way: its outcome is unknown, it may have run.

    Attributes:
        allowed: how long it had, and what says so: "60 s (limits.request_seconds)".
    """

    code = "deadline_exceeded"
    http = 504
    retry = Retry.ONLY_IF_IDEMPOTENT

    def __init__(self, message: str, allowed: str = "its time") -> None:
        super().__init__(message)
        self.allowed = allowed


class DeadlineInQueue(DeadlineExceeded):
    """The deadline passed before the actor came to the call: it has not run, and will not."""

    code = "deadline_in_queue"
    http = 503
    retry = Retry.SAFE


class Unreachable(CallError):
    """No server answers at the address: nothing was sent."""

    code = "unreachable"
    http = 503
    retry = Retry.SAFE


class WrongThread(CallError):
    """The call was made in another thread than its runtime's, or on another event loop.

    Nothing was run; `Runtime.call_from_thread` makes it where it belongs.
    """

    code = "wrong_thread"


class CallCycle(CallError):
    """Waiting for this call would never end: it closes a cycle of actors waiting for each other."""

    code = "call_cycle"
    http = 508


class ActorError(WakefulError):
    """The actor answered with a failure."""

    code = "actor_error"


class ActorRaised(ActorError):
    """The actor's own code raised an error of a class that its caller does not have.

    Attributes:
        type_name: the class name of the remote exception.
    """

    code = "actor_raised"

    def __init__(self, type_name: str, message: str) -> None:
        super().__init__(f"{type_name}: {message}" if message else type_name)
        self.type_name = type_name
        self.message = message


class InvalidResult(ActorError):
    """A method returned a value that its annotation does not allow, or that cannot be sent.

    The turn is undone, because the answer is made before the commit.
    """

    code = "invalid_result"


class PartialOutcome(ActorError):
    """A turn failed, and something that it did before stands: it is committed, or others did it.

    `__cause__` is the error of the step that failed (a call of the turn, its last commit). It may
    say that nothing happened or that a retry is safe: true of the step, not of the turn.
    """

    code = "partial_outcome"
    retry = Retry.ONLY_IF_IDEMPOTENT


class ActorAborted(ActorError):
    """`ctx.abort()` threw the activation away; the next call starts from the last durable state."""

    code = "actor_aborted"
    retry = Retry.ONLY_IF_IDEMPOTENT


class SocketClosed(ActorError):
    """The WebSocket is closed, or its connection broke a rule; `on_error` gets the reason.

    Attributes:
        close_code: the code of its close frame.
    """

    code = "socket_closed"

    def __init__(self, message: str, close_code: int = 1006) -> None:
        super().__init__(message)
        self.close_code = close_code


class ActivationFailed(ActorError):
    """The actor could not wake: its constructor or `on_activate` raised."""

    code = "activation_failed"
    retry = Retry.SAFE


class SqlError(ActorError):
    """SQL that the actor ran failed, or was refused.

    Attributes:
        message: what SQLite says, or what was wrong before it was asked.
        name: SQLite's code by name, "SQLITE_CONSTRAINT".
        extended: its extended code by name, "SQLITE_CONSTRAINT_UNIQUE"; the same as `name` if
            there is none.
    """

    code = "sql_error"

    def __init__(
        self, message: str, name: str = "SQLITE_ERROR", extended: str | None = None
    ) -> None:
        super().__init__(message, name, extended)
        self.message = message
        self.name = name
        self.extended = extended or name

    def __str__(self) -> str:
        more = "" if self.extended == self.name else f" (extended: {self.extended})"
        return f"{self.message}: {self.name}{more}"


class StateError(WakefulError):
    """Declared durable state is wrong."""

    code = "state_error"


class StateInvalid(StateError):
    """A durable attribute or a stored value does not fit; the turn is undone."""

    code = "state_invalid"


class SchemaMismatch(StateError):
    """Stored state does not fit the class: names class, field and the stored value's type."""

    code = "schema_mismatch"


class StorageError(WakefulError):
    """The store refused or failed."""

    code = "storage_error"


class LimitExceeded(StorageError):
    """A value or an object's whole state is over its limit; the turn was rolled back."""

    code = "limit_exceeded"
    http = 413


class StorageFull(StorageError):
    """The disk is full: nothing of the batch was written."""

    code = "storage_full"
    http = 507
    retry = Retry.SAFE


class StorageReadOnly(StorageError):
    """The store cannot be written: nothing of the batch was written."""

    code = "storage_read_only"
    http = 503
    retry = Retry.SAFE


class StorageUnavailable(StorageError):
    """The disk fails, or the store is being opened again; nothing of this call was written."""

    code = "storage_unavailable"
    http = 503
    retry = Retry.SAFE


class StorageClosed(StorageError):
    """The store is closed: nothing more can be committed."""

    code = "storage_closed"
    http = 503
    retry = Retry.SAFE


class StorageCorrupt(StorageError):
    """The file is damaged: names the file, what is wrong with it, and whose data cannot be read."""

    code = "storage_corrupt"


class UnknownOutcome(StorageError):
    """The store did not say whether the write is durable (FoundationDB: commit_unknown_result)."""

    code = "unknown_outcome"
    retry = Retry.ONLY_IF_IDEMPOTENT


class OwnershipLost(StorageError):
    """This process does not own what it has opened any more; only a restart brings that back.

    The base of the reasons.
    """

    code = "ownership_lost"
    http = 503
    retry = Retry.ONLY_IF_IDEMPOTENT


class Fenced(OwnershipLost):
    """A newer epoch owns the actor: this owner must stop writing at once."""

    code = "fenced"
    http = 503
    retry = Retry.SAFE


class DirectoryLost(OwnershipLost):
    """The data directory was deleted, renamed or replaced while the process had it open.

    The outcome of a write is unknown: it is in a file that is not at the path any more. A process
    that opens the path does not find it; it is there again if the same directory is put back.
    """

    code = "directory_lost"


class DirectoryInUse(StorageError):
    """Another process owns the data directory."""

    code = "directory_in_use"
    http = 503


class FormatTooNew(StorageError):
    """The data directory was written by a newer version of wakeful."""

    code = "format_too_new"


class ConfigError(WakefulError):
    """A setting, a class or a target is wrong: the message names what, why and what to do."""

    code = "config_error"


class ActivationAborted(BaseException):
    """Unwinds user code when its activation is aborted or fenced.

    A BaseException, so that `except Exception` in user code cannot catch it
    (durable-objects.md 1.4: abort cannot be caught; trio's Cancelled is the precedent).
    """

    def __init__(self, cause: WakefulError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _check_class(cls: type[WakefulError]) -> None:
    code: object = cls.code
    http: object = cls.http
    retry: object = cls.retry
    if not isinstance(code, str) or not CODE.fullmatch(code):
        raise ConfigError(f"{cls.__name__}: code is lower-case words joined by _, not {code!r}")
    if type(http) is not int or not 400 <= http <= 599:
        raise ConfigError(f"{cls.__name__}: http is a status from 400 to 599, not {http!r}")
    if not isinstance(retry, Retry):
        raise ConfigError(f"{cls.__name__}: retry is a wakeful.Retry, not {retry!r}")
