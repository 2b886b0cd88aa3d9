"""An actor class compiled for calls: its methods, its state, what its facets decided.

Everything that can be known before the first message is worked out here, once.
"""

from __future__ import annotations

import copy
import dis
import inspect
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import ClassVar, Final

from wakeful import codec, error_values
from wakeful.actor import HOOKS, Actor, AlarmInfo
from wakeful.codec import JSON_ERRORS, json_bytes, not_json
from wakeful.errors import (
    OWN,
    ConfigError,
    InvalidArguments,
    InvalidResult,
    StateInvalid,
    UnknownMethod,
    WakefulError,
)
from wakeful.facet import Chain, Facet, Lifetime, Method, Persistence
from wakeful.state import StateSchema

EMPTY: Final = inspect.Parameter.empty
POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)
KEYWORD: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


MARK: Final = "__wakeful_websocket__"


class Parameter:
    """One parameter of a method: how its argument is checked and copied."""

    __slots__ = ("by_keyword", "by_position", "default", "name", "typed")

    def __init__(self, parameter: inspect.Parameter, annotation: object) -> None:
        self.name = parameter.name
        self.by_position = parameter.kind in POSITIONAL
        self.by_keyword = parameter.kind in KEYWORD
        self.default: object = parameter.default
        self.typed = codec.typed(annotation)


Fit = Callable[[Parameter, object], object]


class MethodPlan:
    """One method, compiled.

    Attributes:
        function: what runs: the plain function, or its facet chain around it.
        calls: how often it was called.
        positional: how many arguments may be given by position.
        required: a call without arguments is looked at too: some are needed, or made afresh.
        urgent: it goes before what waits in the mailbox.
        gated: an event that passes the gates step by step (runtime/gated): in order of arrival
            although it interleaves, without a limit of time, lost with the activation it waits for.
        for_callers: what it raises goes to callers, by value, and not to the runtime itself.
        straight: the code has no await, so it never suspends: it runs in the caller's task and
            context, without any of the machinery that a suspended turn needs.
    """

    __slots__ = (
        "_as_json",
        "_fresh",
        "_raw",
        "_type_name",
        "calls",
        "function",
        "interleave",
        "name",
        "parameters",
        "positional",
        "readonly",
        "required",
        "result_types",
        "returns",
        "straight",
        "urgent",
    )
    gated: ClassVar[bool] = False
    for_callers: ClassVar[bool] = True
    _given: ClassVar[int] = 1  # leading parameters that no caller gives: self

    def __init__(self, cls: type[Actor], name: str) -> None:
        raw: Method = getattr(cls, name)
        self._raw = raw
        self._type_name = cls.__name__
        self.name = name
        self._as_json: JsonPlan | None = None
        self.calls = 0
        self.function = raw
        self.straight = not _may_suspend(raw)
        self.urgent = False
        self.readonly: bool = getattr(raw, "__wakeful_readonly__", False)
        self.interleave: bool = getattr(raw, "__wakeful_interleave__", False)
        hints = _hints(cls, name, raw)
        parameters = list(inspect.signature(raw).parameters.values())[self._given :]
        self.parameters = tuple(_parameter(cls, name, p, hints) for p in parameters)
        self.positional = sum(p.by_position for p in self.parameters)
        self._fresh = tuple(p for p in self.parameters if p.by_keyword and _may_change(p.default))
        self.required = bool(self._fresh) or any(p.default is EMPTY for p in self.parameters)
        self.returns = _returns(cls, name, hints)
        self.result_types: frozenset[type] = self.returns.types or frozenset()

    def compile(self, chain: Chain) -> None:
        """Put the hooks of a chain around the method; the plan itself stays, refs hold it."""
        self.function = chain.wrap(self._raw, self.name, self._type_name)
        self.straight = not _may_suspend(self._raw) and not chain.may_suspend
        if self._as_json is not None:
            self._as_json.follow(self)

    def as_json(self) -> JsonPlan:
        """The same method, for callers who want its result as JSON."""
        if self._as_json is None:
            self._as_json = JsonPlan(self)
        return self._as_json

    def calls_made(self) -> int:
        """How often the method was called, with its result as a value or as JSON."""
        return self.calls + (self._as_json.calls if self._as_json is not None else 0)

    def copy_arguments(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        """The arguments by value: copied, so that another actor may keep them.

        Raises:
            InvalidArguments: they do not fit the signature; names the parameter.
        """
        return self._fitted(_copied, args, kwargs)

    def copy_result(self, result: object) -> object:
        """What a turn returns, by value.

        Raises:
            InvalidResult: it is not what the signature says, or nothing that can be sent.
        """
        try:
            return self.returns.copy(result)
        except StateInvalid as error:
            raise self._wrong_result(str(error)) from None

    def _wrong_result(self, why: str) -> InvalidResult:
        return InvalidResult(f"{self._type_name}.{self.name} returned a value: {why}")

    def from_json(
        self, args: list[object], kwargs: Mapping[str, object]
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        """Arguments as they arrived in JSON, converted to what the signature says.

        Raises:
            InvalidArguments: they do not fit; names the parameter and what is wrong with it.
        """
        return self._fitted(_from_json, args, kwargs)

    def _fitted(
        self, fit: Fit, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        """Fit each argument to its parameter; check that none is missing or given twice."""
        if len(args) > self.positional:
            raise self._too_many(len(args))
        by_position = tuple(
            fit(parameter, value) for parameter, value in zip(self.parameters, args, strict=False)
        )
        by_name = {name: fit(self._named(name), value) for name, value in kwargs.items()}
        self._check_complete(len(args), by_name)
        if self._fresh:
            self._add_fresh(len(args), by_name)
        return by_position, by_name

    def _add_fresh(self, positional: int, named: dict[str, object]) -> None:
        """Add a copy of each mutable default: actors must not share one object."""
        given = {p.name for p in self.parameters[:positional]}
        for parameter in self._fresh:
            if parameter.name not in given and parameter.name not in named:
                named[parameter.name] = copy.deepcopy(parameter.default)

    def _too_many(self, given: int) -> InvalidArguments:
        by_name = [p.name for p in self.parameters if not p.by_position]
        hint = f" (by name only: {', '.join(by_name)})" if by_name else ""
        taken = f"at most {self.positional}" if self.positional else "no"
        arguments = "positional argument" if self.positional == 1 else "positional arguments"
        return InvalidArguments(f"{self.name}() takes {taken} {arguments}{hint}, {given} given")

    def _named(self, name: str) -> Parameter:
        for parameter in self.parameters:
            if parameter.name == name and parameter.by_keyword:
                return parameter
        known = ", ".join(p.name for p in self.parameters) or "none"
        raise InvalidArguments(
            f"{self.name}() has no parameter {name!r}; its parameters: {known}", field=name
        )

    def _check_complete(self, positional: int, named: Mapping[str, object]) -> None:
        for index, parameter in enumerate(self.parameters):
            if index < positional:
                if parameter.name in named:
                    raise InvalidArguments(
                        f"{self.name}() got {parameter.name!r} twice", field=parameter.name
                    )
            elif parameter.default is EMPTY and parameter.name not in named:
                raise InvalidArguments(
                    f"{self.name}() is missing {parameter.name!r}", field=parameter.name
                )


class JsonPlan(MethodPlan):
    """A method whose turns end with their result as JSON.

    The result is encoded where other plans copy it, before the turn is committed. So a result
    without a JSON form still undoes the turn.
    """

    __slots__ = ()

    def __init__(self, plan: MethodPlan) -> None:
        for slot in MethodPlan.__slots__:
            setattr(self, slot, getattr(plan, slot))
        self.calls = 0
        self._as_json = self
        self.result_types = frozenset()  # all of them are encoded

    def follow(self, plan: MethodPlan) -> None:
        """The facets of the method, or how it may run, have changed."""
        self.function, self.straight = plan.function, plan.straight

    def copy_result(self, result: object) -> bytes:
        """What a turn returns, as JSON.

        Raises:
            InvalidResult: it is not what the signature says, or has no JSON form.
        """
        returns = self.returns
        if type(result) not in returns.types and (fault := returns.fault(result)):
            raise self._wrong_result(str(fault))
        try:
            return json_bytes(result)
        except JSON_ERRORS as error:
            raise self._wrong_result(not_json(result, error)) from error


class SocketPlan(MethodPlan):
    """A method that sockets connect to; its arguments but the socket come from the edge."""

    __slots__ = ()
    _given = 2

    def __init__(self, cls: type[Actor], name: str) -> None:
        signature = inspect.signature(getattr(cls, name))
        if len(signature.parameters) < 2:
            raise ConfigError(
                f"{cls.__name__}.{name} is marked @websocket and takes no socket: "
                f"async def {name}(self, socket: WebSocket, ...)"
            )
        super().__init__(cls, name)

    def copy_arguments(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        """The arguments themselves: they have just been made from a query string."""
        return args, dict(kwargs)


class ActorType:
    """A registered type: class, facets, and everything compiled from them."""

    __slots__ = (
        "_alarm_is_told",
        "_named_errors",
        "chain",
        "cls",
        "gated",
        "has_alarm",
        "has_constructor",
        "interleaves",
        "lifetime",
        "methods",
        "name",
        "on_activate",
        "on_alarm_failed",
        "on_deactivate",
        "persistence",
        "schema",
        "socket_methods",
    )

    chain: Chain
    lifetime: Lifetime | None
    persistence: Persistence | None
    schema: StateSchema

    def __init__(self, cls: type[Actor], facets: Iterable[Facet], name: str | None = None) -> None:
        self.cls = cls
        self.name = name or cls.__name__
        names = _method_names(cls)
        for_sockets = {name for name in names if hasattr(getattr(cls, name), MARK)}
        self.methods = {n: MethodPlan(cls, n) for n in names if n not in for_sockets}
        self.socket_methods = {n: SocketPlan(cls, n) for n in names if n in for_sockets}
        plans = (*self.methods.values(), *self.socket_methods.values())
        self.interleaves = any(plan.interleave for plan in plans)
        self.has_alarm = hasattr(cls, "alarm")
        self.has_constructor = cls.__init__ is not object.__init__
        self._alarm_is_told = self.has_alarm and _takes_something(cls, "alarm")
        self.gated: bool = getattr(cls, "__wakeful_gated__", False)
        self.on_alarm_failed = hasattr(cls, "on_alarm_failed")
        self.on_activate = cls.on_activate is not Actor.on_activate
        self.on_deactivate = cls.on_deactivate is not Actor.on_deactivate
        self.compile(facets)

    def compile(self, facets: Iterable[Facet]) -> None:
        """(Re)compile the chain; running turns and activations go on with what they began with.

        Raises:
            ConfigError: a facet, or the declared state, is wrong; nothing was changed.
        """
        chain = Chain(facets)
        plan = chain.plan(self.name)
        self.schema = StateSchema.of(self.cls, durable=plan.persistence is not None)
        self._named_errors: frozenset[type[Exception]] | None = None
        self.chain = chain
        self.lifetime = plan.lifetime
        self.persistence = plan.persistence
        for method in (*self.methods.values(), *self.socket_methods.values()):
            method.compile(chain)

    def named_errors(self) -> frozenset[type[Exception]]:
        """The error classes that the modules of the class and of its facets name.

        Computed at the first use, when the import of those modules is complete.
        """
        if self._named_errors is None:
            facets = [type(facet) for facet in self.chain.facets]
            self._named_errors = error_values.named_errors([self.cls, *facets])
        return self._named_errors

    def errors_for_callers(self) -> list[type[WakefulError]]:
        """The named errors that are made for callers and are not wakeful's own, by code."""
        found = [
            error
            for error in self.named_errors()
            if issubclass(error, WakefulError) and error.__module__.partition(".")[0] != OWN
        ]
        return sorted(found, key=lambda error: (error.code, error.__qualname__))

    async def run_alarm(self, instance: Actor, info: AlarmInfo) -> None:
        """Call an instance's alarm handler, with the information if it takes it."""
        if not self.has_alarm:
            raise ConfigError(f"{self.name} has an alarm set and no alarm() method")
        handler: Callable[..., Awaitable[None]] = instance.alarm  # type: ignore[attr-defined]  # it has one
        if self._alarm_is_told:
            await handler(info)
        else:
            await handler()

    def method(self, name: str) -> MethodPlan:
        """The method of a name.

        Raises:
            UnknownMethod: there is none; the message says which there are, or why not this one.
        """
        plan = self.methods.get(name)
        if plan is None:
            raise UnknownMethod(self.why_no_method(name))
        return plan

    def why_no_method(self, name: str) -> str:
        """Why a name cannot be called, in words for the caller."""
        if name.startswith("_"):
            return f"{self.name}.{name} is private to the actor (its name starts with _)"
        if name in self.socket_methods:
            return f"{self.name}.{name} is for WebSocket clients: GET its path with an upgrade"
        if _has(self.cls, name):
            return (
                f"{self.name}.{name} is not a method: a ref gives methods only. "
                f"Add `async def get_{name}(self)` that returns it."
            )
        known = ", ".join(self.methods) or "none"
        return f"{self.name} has no method {name!r}; its methods: {known}"


def _takes_something(cls: type, name: str) -> bool:
    """Whether a method has a parameter besides `self`."""
    method = inspect.getattr_static(cls, name).__get__(object(), cls)
    return bool(inspect.signature(method).parameters)


def _may_change(default: object) -> bool:
    return isinstance(default, list | dict | set | bytearray)


def _has(cls: type, name: str) -> bool:
    """Whether a class has an attribute of that name, or at least an annotation for it."""
    return hasattr(cls, name) or any(name in inspect.get_annotations(c) for c in cls.__mro__)


def _method_names(cls: type[Actor]) -> list[str]:
    names: dict[str, None] = {}
    for base in reversed(cls.__mro__):
        for name in vars(base):
            public = not name.startswith("_") and name not in HOOKS
            if public and inspect.isfunction(inspect.getattr_static(cls, name)):
                names[name] = None
    return list(names)


def _hints(cls: type[Actor], name: str, raw: Callable[..., object]) -> dict[str, object]:
    try:
        return typing.get_type_hints(inspect.unwrap(raw), include_extras=True)
    except NameError as error:
        why = f"names something that does not exist: {error}"
    except Exception as error:  # whatever evaluating the text of an annotation may raise
        why = f"cannot be resolved: {type(error).__name__}: {error}"
    raise ConfigError(f"{cls.__name__}.{name}: an annotation {why}")


def _returns(cls: type[Actor], name: str, hints: dict[str, object]) -> codec.Typed[typing.Any]:
    try:
        return codec.typed(hints.get("return", object))
    except ConfigError as error:
        raise ConfigError(f"{cls.__name__}.{name}: what it returns: {error}") from None


def _parameter(
    cls: type[Actor], method: str, parameter: inspect.Parameter, hints: dict[str, object]
) -> Parameter:
    if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        raise ConfigError(
            f"{cls.__name__}.{method}: *args and **kwargs cannot be checked at the edge; "
            "name the parameters, or take one list or dict"
        )
    annotation = hints.get(parameter.name, object)
    try:
        return Parameter(parameter, annotation)
    except ConfigError as error:
        raise ConfigError(f"{cls.__name__}.{method}({parameter.name}): {error}") from None


def _copied(parameter: Parameter, value: object) -> object:
    if type(value) in parameter.typed.types:
        return value
    try:
        return parameter.typed.copy(value)
    except Exception as error:
        raise InvalidArguments(f"{parameter.name}: {error}", field=parameter.name) from None


def _from_json(parameter: Parameter, value: object) -> object:
    try:
        return parameter.typed.from_json(value)
    except Exception as error:
        raise InvalidArguments(f"{parameter.name}: {error}", field=parameter.name) from None


def _may_suspend(function: Callable[..., object]) -> bool:
    """Whether a coroutine function may suspend: it has an await, or is not plain Python."""
    if not inspect.iscoroutinefunction(function) or not inspect.isfunction(function):
        return True
    return any(step.opname in ("SEND", "YIELD_VALUE") for step in dis.get_instructions(function))
