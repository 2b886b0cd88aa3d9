"""The base classes of a Worker, and what of a class can be called from outside.

Rules:  handlers (`fetch`, `alarm`, ...) are called by the platform, with as many arguments as they
        take: surplus ones are dropped. Every other function of the class is a method that others
        may call, inherited and mixed-in ones included, unless its name starts with an underscore.
        Attributes of an instance are never reachable.
Errors: the texts of workerd, so that callers see what they see on Cloudflare.
Source: Cloudflare docs on Workers RPC; the Workers SDK; workerd, worker-rpc.c++.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partialmethod, singledispatchmethod, wraps
from types import FunctionType, MethodType
from typing import Any, Final

from wakeful.errors import ActivationAborted
from wakeful.workers.proxies import JsTypeError
from wakeful.workers.web.requests import JsRequest, Request

OBJECT_HANDLERS: Final = frozenset(
    {"fetch", "on_fetch", "alarm", "webSocketMessage", "webSocketClose", "webSocketError"}
)
WORKER_HANDLERS: Final = frozenset(
    {
        *("fetch", "scheduled", "queue", "email", "tail", "trace", "test"),
        *("on_fetch", "on_scheduled"),  # as classes had them at first
    }
)
MOST: Final = {"fetch": 1}  # where others (env and ctx) are there for old code only
RESERVED: Final = frozenset(
    {
        *("fetch", "connect", "alarm", "dup", "constructor"),
        *("webSocketMessage", "webSocketClose", "webSocketError"),
    }
)
NO_RPC: Final = (
    "The receiving Durable Object does not support RPC, because its class was not declared with "
    "`extends DurableObject`. In order to enable RPC, make sure your class extends the special "
    'class `DurableObject`, which can be imported from the module "cloudflare:workers".'
)


class DurableObjectAbort(ActivationAborted):
    """Raised by `ctx.abort()`; `except Exception` does not catch it."""


class _Given:
    """An attribute that a base class's constructor sets; reading it before that raises."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> Any:
        if instance is None:
            return self
        raise AttributeError(
            f"{owner.__name__!r} object has no attribute {self._name!r}: its __init__ must call "
            "super().__init__(ctx, env)",
            name=self._name,
            obj=instance,
        )


class DurableObject:
    """The base of the classes whose objects live once, by id."""

    ctx: Any = _Given("ctx")
    env: Any = _Given("env")

    def __init__(self, ctx: Any, env: Any) -> None:
        self.ctx = ctx
        self.env = env


class WorkerEntrypoint:
    """Base of the classes that handle a Worker's own events; `Default` is the one by default."""

    ctx: Any = _Given("ctx")
    env: Any = _Given("env")

    def __init__(self, ctx: Any, env: Any) -> None:
        self.ctx = ctx
        self.env = env


class WorkflowEntrypoint:
    """The base of Workflows, which wakeful does not run: no instance of such a class is made."""

    ctx: Any = _Given("ctx")
    env: Any = _Given("env")

    def __init__(self, ctx: Any, env: Any) -> None:
        self.ctx = ctx
        self.env = env


BASES: Final = (DurableObject, WorkerEntrypoint, object)


class Exported:
    """A class of a Worker, prepared for calls.

    Attributes:
        cls: the class.
        supports_rpc: it derives from DurableObject or WorkerEntrypoint.
        handlers: the handlers it has, each with the number of arguments it takes; None: any.
        methods: the names that others may call.
    """

    __slots__ = ("cls", "handlers", "methods", "supports_rpc")

    def __init__(self, cls: type) -> None:
        self.cls = cls
        self.supports_rpc = issubclass(cls, DurableObject | WorkerEntrypoint)
        found = _functions(cls)
        events = WORKER_HANDLERS if issubclass(cls, WorkerEntrypoint) else OBJECT_HANDLERS
        self.handlers = {
            name: arguments_taken(getattr(cls, name), bound=_takes_self(raw), most=MOST.get(name))
            for name, raw in found.items()
            if name in events
        }
        self.methods = frozenset(
            name for name in found if name not in RESERVED and name not in self.handlers
        )

    def handles(self, event: str) -> str | None:
        """Return the name of its handler for an event: the event's own, or the older `on_...`."""
        if event in self.handlers:
            return event
        old = f"on_{event}"
        return old if old in self.handlers else None

    def handler(self, instance: object, name: str) -> Callable[..., Any] | None:
        """Return a handler of an instance, which drops surplus arguments; None: it has none."""
        if name not in self.handlers:
            return None
        function = _bound(instance, self.cls, name)
        taken = self.handlers[name]
        if taken is None:
            return function

        def relaxed(*args: Any) -> Any:
            return function(*args[:taken])

        return relaxed

    def method(self, instance: object, name: str) -> Callable[..., Any]:
        """Return a method of an instance, as other objects and Workers may call it.

        Raises:
            JsTypeError: there is no such method, or it cannot be called from outside.
        """
        self.check_callable(name)
        return _bound(instance, self.cls, name)

    def check_callable(self, name: str) -> None:
        """Refuse a value that cannot be called from outside.

        Raises:
            JsTypeError: says why.
        """
        if not self.supports_rpc:
            raise _remote(NO_RPC)
        if name in RESERVED:
            raise _remote(f"'{name}' is a reserved method and cannot be called over RPC.")
        if name not in self.methods:
            raise _remote(f'The RPC receiver does not implement the method "{name}".')

    def __repr__(self) -> str:
        return f"Exported({self.cls.__name__})"


def arguments_taken(
    function: Callable[..., Any], *, bound: bool = False, most: int | None = None
) -> int | None:
    """How many positional arguments a function takes; None: any number.

    Args:
        function: what is called.
        bound: it has a first parameter, `self`, that callers do not give.
        most: the largest number that is given to it, unless it requires more.
    """
    parameters = inspect.signature(function, follow_wrapped=False).parameters.values()
    any_number = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
    inner = getattr(function, "__wrapped__", None)
    if any_number and inner is not None:  # a decorator, which hands them on
        return arguments_taken(inner, bound=bound, most=most)
    taken = [
        parameter
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ][int(bound) :]
    if most is None:
        return None if any_number else len(taken)
    needed = sum(parameter.default is parameter.empty for parameter in taken)
    return max(needed, most if any_number else min(most, len(taken)))


def handler(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give an old-style `on_fetch` Python's Request in place of JavaScript's."""

    @wraps(function)
    def wrapper(*args: Any, **named: Any) -> Any:
        if args and isinstance(args[0], JsRequest):
            args = (Request(args[0]), *args[1:])
        return function(*args, **named)

    return wrapper


def _functions(cls: type) -> dict[str, object]:
    """Return the functions of a class by name, inherited ones included."""
    found: dict[str, object] = {}
    for base in reversed(cls.__mro__):
        if base in BASES:
            continue
        for name, raw in vars(base).items():
            if name.startswith("_"):
                continue
            # A class may also take away what it inherits: `method = None`.
            found.pop(name, None)
            if _is_function(raw):
                found[name] = raw
    return found


def _is_function(raw: object) -> bool:
    if isinstance(raw, staticmethod | classmethod):
        return callable(raw.__func__)
    if isinstance(raw, partialmethod | singledispatchmethod):
        return True
    return callable(raw) and not isinstance(raw, type)


def _takes_self(raw: object) -> bool:
    """Whether a class's attribute takes the instance as its first argument."""
    return hasattr(type(raw), "__get__") and not isinstance(raw, staticmethod | classmethod)


def _bound(instance: object, cls: type, name: str) -> Callable[..., Any]:
    # From the class: an attribute of the instance must not come in its place.
    owner = cls if name in cls.__dict__ else next(b for b in cls.__mro__ if name in b.__dict__)
    raw = owner.__dict__[name]
    if type(raw) is FunctionType:
        return MethodType(raw, instance)
    bind = getattr(type(raw), "__get__", None)
    bound: Callable[..., Any] = raw if bind is None else bind(raw, instance, cls)
    return bound


def _remote(message: str) -> JsTypeError:
    error = JsTypeError(message)
    error.remote = True
    return error
