"""The facet contract: optional behaviour attached to an actor type, composed at run time.

A facet contributes in two ways. `plan` is called once when the type is registered and may set
what the type *is* (its lifetime, its persistence). The hooks run around every call; they are
found when the chain is compiled, so a type without facets has no chain and pays nothing.

    before(call)          may return a Reply: the actor is not called, the reply goes out
    after(call, result)   may return another result
    failed(call, error)   may return a Reply instead, or raise another error
    activated(actor)      the actor has woken
    deactivated(actor)    the actor goes to sleep

Hooks are plain functions or `async def`. Lower `priority` is further out: its `before` runs
first and its `after` last. A reply from `before` still passes the `after` hooks of the facets
further out. A reply from `failed` replaces the error, not its consequence: the turn is undone.
Facets never know each other, and the runtime never asks what a facet is.

Source: PlexSpaces facets (comparison.md); a processor is a function, as in structlog.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import ClassVar, Final, Protocol

import msgspec

from wakeful.core.alarms import RETRIES_MAX
from wakeful.errors import ConfigError
from wakeful.header import CallHeader
from wakeful.ids import ActorId


class Lifetime(msgspec.Struct, frozen=True):
    """The actor wakes on its first message and sleeps after `idle_ns` without one."""

    idle_ns: int


class Persistence(msgspec.Struct, frozen=True):
    """The actor's declared state and storage are kept.

    `confirm` makes whatever leaves the actor wait until the writes it may reveal are durable.
    `state_bytes_max` bounds all that one actor keeps in cells, keys included, `sql_bytes_max` its
    SQL database; `sql_strict` holds statements to the limits Cloudflare has. `alarm_retries` is how
    often an alarm whose handler fails is tried again before it is given up.
    """

    confirm: bool = True
    state_bytes_max: int = 64 * 1024 * 1024
    sql_bytes_max: int = 10 * 1024**3
    sql_strict: bool = False
    alarm_retries: int = RETRIES_MAX


class TypePlan:
    """What the facets of a type decide about it; filled once, when the type is registered."""

    __slots__ = ("lifetime", "persistence", "type_name")

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name
        self.lifetime: Lifetime | None = None
        self.persistence: Persistence | None = None


class Reply(msgspec.Struct, frozen=True):
    """The answer that a hook gives in place of the actor."""

    value: object = None


class Replaced(Exception):
    """The turn failed and is to be undone, but its caller gets an answer all the same."""

    def __init__(self, answer: object) -> None:
        super().__init__(answer)
        self.answer = answer


class Call:
    """One call as the hooks see it; `args` and `kwargs` may be replaced by `before`.

    Attributes:
        header: who calls, for which trace, until when; None for what the runtime does itself.
    """

    __slots__ = ("actor", "args", "has_failed", "header", "kwargs", "method", "scratch")

    def __init__(
        self,
        actor: ActorId,
        method: str,
        args: tuple[object, ...],
        kwargs: dict[str, object],
        header: CallHeader | None = None,
    ) -> None:
        self.header = header
        self.actor = actor
        self.method = method
        self.args = args
        self.kwargs = kwargs
        self.has_failed = False
        self.scratch: dict[object, object] = {}


class Facet:
    """Base of all facets; override what is needed, nothing else is called.

    `call.scratch` is there for what a hook wants to find again in a later hook of the same call;
    use the facet itself as the key.
    """

    priority: ClassVar[int] = 100

    def plan(self, plan: TypePlan) -> None:
        """Contribute to what the type is; called once, at registration."""

    def before(self, call: Call) -> Reply | Awaitable[Reply | None] | None:
        """Look at a call before the actor does; a Reply short-circuits it."""
        return None

    def after(self, call: Call, result: object) -> object:
        """Look at a result; what is returned replaces it."""
        return result

    def failed(self, call: Call, error: Exception) -> Reply | Awaitable[Reply | None] | None:
        """Look at an error; a Reply replaces it, raising replaces it with another error."""
        return None

    def activated(self, actor: ActorId) -> None:
        """The actor has woken."""

    def deactivated(self, actor: ActorId) -> None:
        """The actor goes to sleep."""


Before = Callable[[Call], "Reply | Awaitable[Reply | None] | None"]
After = Callable[[Call, object], object]
Failed = Callable[[Call, Exception], "Reply | Awaitable[Reply | None] | None"]
Method = Callable[..., Coroutine[object, object, object]]

HOOKS: Final = ("before", "after", "failed", "activated", "deactivated")


def overridden(facet: Facet, hook: str) -> bool:
    """Whether a facet defines a hook (on its class or on itself)."""
    assert hook in HOOKS, hook
    return hook in vars(facet) or getattr(type(facet), hook) is not getattr(Facet, hook)


class Served(Protocol):
    """The part of an actor's context that facets use."""

    @property
    def id(self) -> ActorId:
        """Which actor it is."""

    @property
    def header(self) -> CallHeader | None:
        """The header of the call being served."""


class Serving(Protocol):
    """An actor whose turn runs."""

    @property
    def ctx(self) -> Served:
        """Its context, which carries the call."""


class Chain:
    """The facets of one type, outermost first, compiled for calls.

    Raises:
        ConfigError: one of them is not a facet.
    """

    __slots__ = ("_links", "facets", "may_suspend", "on_activated", "on_deactivated")

    def __init__(self, facets: Iterable[Facet]) -> None:
        facets = tuple(facets)
        for facet in facets:
            if not isinstance(facet, Facet):
                raise ConfigError(f"a facet is an instance of a subclass of Facet, not {facet!r}")
        self.facets = tuple(sorted(facets, key=lambda facet: facet.priority))
        around = [f for f in self.facets if any(overridden(f, hook) for hook in HOOKS[:3])]
        self._links = tuple((f.before, f.after, f.failed) for f in around)
        self.may_suspend = any(_is_async(hook) for link in self._links for hook in link)
        self.on_activated = tuple(f.activated for f in self.facets if overridden(f, "activated"))
        self.on_deactivated = tuple(
            f.deactivated for f in reversed(self.facets) if overridden(f, "deactivated")
        )

    def plan(self, type_name: str) -> TypePlan:
        """Ask every facet what the type is, outermost first."""
        plan = TypePlan(type_name)
        for facet in self.facets:
            facet.plan(plan)
        return plan

    def wrap(self, method: Method, name: str, type_name: str) -> Method:
        """The method with all hooks around it; the method itself when there are none."""
        if not self._links:
            return method
        links = self._links

        async def chained(instance: Serving, /, *args: object, **kwargs: object) -> object:
            ctx = instance.ctx
            call = Call(ctx.id, name, args, kwargs, ctx.header)
            result = await _run(links, method, instance, call)
            if call.has_failed:
                raise Replaced(result)
            return result

        chained.__name__ = name
        chained.__qualname__ = f"{type_name}.{name}"
        return chained


Link = tuple[Before, After, Failed]


async def _run(links: tuple[Link, ...], method: Method, instance: object, call: Call) -> object:
    if not links:
        return await method(instance, *call.args, **call.kwargs)
    (before, after, failed), inner = links[0], links[1:]
    reply = await _settle(before(call), before)
    if reply is not None:
        return _value(reply, before)
    try:
        result = await _run(inner, method, instance, call)
    except Exception as error:
        call.has_failed = True
        reply = await _settle(failed(call, error), failed)
        if reply is None:
            raise
        return _value(reply, failed)
    return await _settle(after(call, result), after)


async def _settle(value: object, hook: Callable[..., object]) -> object:
    """The result of a hook, awaited if the hook is an `async def`."""
    if not isinstance(value, Awaitable):
        return value
    if not _is_async(hook):
        # The type was compiled for hooks that do not wait, so waiting here would let the next
        # message into the middle of this one.
        if inspect.iscoroutine(value):
            value.close()
        raise TypeError(f"{_name(hook)} returned something to be awaited: make it `async def`")
    return await value


def _value(reply: object, hook: Callable[..., object]) -> object:
    if not isinstance(reply, Reply):
        raise TypeError(f"{_name(hook)} must return a Reply or None, not {type(reply).__name__}")
    return reply.value


def _name(hook: Callable[..., object]) -> str:
    return getattr(hook, "__qualname__", repr(hook))


def _is_async(hook: Callable[..., object]) -> bool:
    """Whether a hook may have to be awaited: true for all but plain functions."""
    return not hasattr(hook, "__code__") or inspect.iscoroutinefunction(inspect.unwrap(hook))
