"""What users subclass: Actor, DurableObject, ActorBehavior, and the marks on their methods.

Methods are `async def`; names that start with an underscore stay inside. Public annotated
attributes are the actor's state, `_x` is memory only. All of it is checked when the class is
defined, with an error that says what to write instead.

Source: Cloudflare Durable Objects (durable-objects.md 1); Orleans [ReadOnly], [AlwaysInterleave].
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Final, Literal, ParamSpec, Protocol, TypeVar, cast, overload

import msgspec

from wakeful.actor_storage import Storage
from wakeful.errors import ConfigError
from wakeful.facet import Facet
from wakeful.header import Caller
from wakeful.ids import ActorId
from wakeful.messages import Message

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V")
A = TypeVar("A")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

SOCKET_HOOKS: Final = frozenset({"on_message", "on_close", "on_error"})
ALARM_HOOKS: Final = frozenset({"alarm", "on_alarm_failed"})
HOOKS: Final = (
    SOCKET_HOOKS | ALARM_HOOKS | {"on_activate", "on_deactivate", "handle_message", "migrate"}
)
RESERVED: Final = frozenset({"ctx", "facets", "schema_version", "removed_fields"})


class AlarmInfo(msgspec.Struct, frozen=True):
    """Why an alarm handler is called.

    Attributes:
        scheduled_ns: when the alarm was set to fire, in nanoseconds since 1970.
        retries: how often its handler has failed since.
    """

    scheduled_ns: int
    retries: int = 0

    @property
    def is_retry(self) -> bool:
        """Whether the handler has failed before."""
        return self.retries > 0


class AlarmFailure(msgspec.Struct, frozen=True):
    """An alarm that was given up: its handler has failed too often.

    Attributes:
        scheduled_ns: when the alarm was set to fire, in nanoseconds since 1970.
        given_up_ns: when it was given up.
        retries: how often it was tried again.
        error: the class and the text of what its handler raised last.
    """

    scheduled_ns: int
    given_up_ns: int
    retries: int
    error: str


class ActorAlarm(Protocol):
    """The one durable alarm of an actor: it wakes it, also after a restart, and calls `alarm`.

    Never early, at least once, retried with backoff when the handler fails; set and deleted in the
    commit of the turn. Source: durable-objects.md 1.8.
    """

    @overload
    def set(self, when: datetime | timedelta) -> None: ...

    @overload
    def set(self, *, at_ns: int) -> None: ...

    def set(self, when: datetime | timedelta | None = None, *, at_ns: int | None = None) -> None:
        """Set the alarm, in place of the one there may be; a past time fires at once.

        Args:
            when: a time with a time zone, or a span from now.
            at_ns: instead of `when`: nanoseconds since 1970, as `ctx.now_ns()` counts.

        Raises:
            ConfigError: the class has no `alarm` method, or is not durable.
            InvalidArguments: `when` is not a time.
        """

    def get(self) -> int | None:
        """When it is due, in nanoseconds since 1970; None if it is not set or its handler runs."""

    def delete(self) -> None:
        """Take the alarm back."""

    def failed(self) -> AlarmFailure | None:
        """The alarm that was given up, until another one is set or `delete` is called."""


class Reminder(msgspec.Struct, frozen=True):
    """A message of an actor to itself that is due at a time.

    Attributes:
        name: its name, if it was given one.
        method: what is called.
        due_ns: when it is tried next, in nanoseconds since 1970.
        scheduled_ns: the occurrence that this is for.
        retries: how often that has failed.
    """

    name: str | None
    method: str
    due_ns: int
    scheduled_ns: int
    retries: int = 0


class DeadLetter(msgspec.Struct, frozen=True):
    """An occurrence of a reminder that was given up, because its method kept failing.

    Attributes:
        id: of this dead letter, in its actor.
        method: what was called.
        scheduled_ns: when it was due, in nanoseconds since 1970.
        given_up_ns: when it was given up.
        retries: how often it was tried again.
        error: the class and the text of what the method raised last.
    """

    id: str
    method: str
    scheduled_ns: int
    given_up_ns: int
    retries: int
    error: str


class ActorReminders(Protocol):
    """The reminders of an actor. Source: DESIGN 9."""

    def list(self) -> Sequence[Reminder]:
        """Those that are set, the earliest first."""

    def cancel(self, name: str) -> bool:
        """Take the reminder of a name back; returns whether there was one."""

    def dead(self) -> Sequence[DeadLetter]:
        """The occurrences that were given up."""

    def retry(self, id: str) -> bool:
        """Try a dead letter again, as a message that is due now; returns whether there was one."""

    def drop(self, id: str) -> bool:
        """Forget a dead letter; returns whether there was one."""


class WebSocket(Protocol):
    """A client's connection, kept open while the actor sleeps. Source: durable-objects.md 1.9.

    Messages leave in order, once the turn's writes are durable; if the turn is undone, they are
    never sent. So a client sees nothing that a crash could take back.
    """

    @property
    def tags(self) -> tuple[str, ...]:
        """What it was accepted with."""

    @property
    def attachment(self) -> object:
        """A value of yours that stays with the socket while the actor sleeps; a copy.

        Assign a value to replace it, at most 16 KiB when serialized. None if never set.
        """

    @attachment.setter
    def attachment(self, value: object) -> None: ...

    @property
    def auto_response_ns(self) -> int | None:
        """When it was last answered automatically, in nanoseconds since 1970."""

    def send(self, message: str | bytes) -> None:
        """Send a message. To a client that has gone it is lost, as on any network.

        Raises:
            SocketClosed: you have closed the socket.
            PayloadTooLarge: the message is over `limits.socket_message_bytes`.
        """

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it: 1000, or a code of your own from 4000 to 4999.

        Raises:
            SocketClosed: you have closed it before.
            InvalidArguments: the code may not be sent, or the reason has more than 123 bytes.
        """


class Log(Protocol):
    """A structured logger bound to the actor."""

    def debug(self, event: str, **fields: object) -> object:
        """Log for the developer."""

    def info(self, event: str, **fields: object) -> object:
        """Log what happened."""

    def warning(self, event: str, **fields: object) -> object:
        """Log what should be looked at."""

    def error(self, event: str, **fields: object) -> object:
        """Log what went wrong."""


class ActorContext(Protocol):
    """What an actor has besides its state; `self.ctx`."""

    @property
    def id(self) -> ActorId:
        """Which actor this is."""

    @property
    def caller(self) -> Caller | None:
        """Who calls the method that is running, and how that was established.

        The caller stays the same when an actor asks another one; `caller.actor` is the one that
        asks. None where the runtime calls: `alarm`, `on_activate`, `on_message` and the like.
        """

    @property
    def storage(self) -> Storage:
        """Key-value storage of this actor."""

    @property
    def alarm(self) -> ActorAlarm:
        """The alarm of this actor."""

    @property
    def log(self) -> Log:
        """A logger bound to type and name."""

    @property
    def auto_response(self) -> tuple[str, str] | None:
        """What `set_auto_response` has set."""

    def accept(self, socket: WebSocket, tags: Iterable[str] = ()) -> None:
        """Accept the socket a @websocket method was given: it stays open while the actor sleeps.

        Raises:
            InvalidArguments: the socket was accepted before; there are more than 10 tags; a tag
                has more than 256 characters.
            Overloaded: the actor has `limits.sockets_per_actor` open sockets.
        """

    def sockets(self, tag: str | None = None) -> Sequence[WebSocket]:
        """The actor's open sockets, or those with a tag; the newest first."""

    def set_auto_response(self, request: str | None = None, response: str = "") -> None:
        """Answer a message that is exactly `request` without waking the actor; None ends that.

        Raises:
            InvalidArguments: one of them has more than 2,048 bytes.
        """

    def now_ns(self) -> int:
        """Wall-clock nanoseconds since 1970, of the runtime's clock."""

    def get(self, actor: type[A], name: str, *, timeout: float | None = None) -> A:
        """A ref to another actor, as `Runtime.get`."""

    def tell(
        self,
        actor: A,
        /,
        *,
        delay: timedelta | None = None,
        at: datetime | None = None,
        every: timedelta | None = None,
        cron: str | None = None,
        zone: str | None = None,
        name: str | None = None,
        times: int | None = None,
        missed: Literal["once", "all", "skip"] = "once",
    ) -> A:
        """Have a method of this actor called later, durably: `self.ctx.tell(self, ...).method()`.

        The message is part of the turn: it is committed, or undone, with it. It wakes the actor,
        also after a restart; its turn has its effect once, as far as that is one commit (a call to
        another actor and `sync` are commit points). A turn that raises is undone and tried again as
        an alarm is; an occurrence that keeps failing becomes a dead letter.

        Args:
            actor: the actor itself, `self`.
            delay: how long from now; without any time the message is due when the turn has ended.
            at: when, with a time zone.
            every: again and again, so far apart; first after that time, or at `delay` or `at`.
            cron: again and again, by an expression of five fields.
            zone: the time zone in which `cron` counts; UTC by default.
            name: one reminder of that name per actor; set again, it replaces the one before.
            times: how often `every` or `cron` happen; without a limit by default.
            missed: of occurrences that fell due while nothing ran: "once" one for all of them,
                "all" each of them, "skip" none that is over a minute late.

        Raises:
            ConfigError: the class does not wake by itself, or is not durable.
            InvalidArguments: a time, a name or an argument of the method is not usable.
            LimitExceeded: the actor's agenda has `limits.agenda` entries.
        """

    @property
    def reminders(self) -> ActorReminders:
        """The reminders that `tell` has set."""

    def abort(self, reason: str = "") -> None:
        """Throw this activation away: undo the turn, fail calls under way, start anew next time.

        Raises:
            ActivationAborted: always; user code cannot catch it with `except Exception`.
        """

    def wait_until(self, work: Coroutine[object, object, object]) -> None:
        """Let work go on after the reply; the actor stays awake until it ends."""

    async def block_concurrency_while(self, work: Callable[[], Coroutine[object, object, V]]) -> V:
        """Run work in a critical section: nothing else is delivered meanwhile."""

    async def reply(self, payload: bytes) -> None:
        """Answer the message being handled (ActorBehavior only)."""


class Actor:
    """A named object that handles one message at a time; volatile unless facets say otherwise."""

    ctx: ActorContext
    facets: ClassVar[tuple[Facet, ...]] = ()
    schema_version: ClassVar[int] = 1
    __wakeful_base__: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "__wakeful_base__" in vars(cls):
            return
        for base in cls.__mro__:
            if base is not object and "__wakeful_base__" not in vars(base):
                for name, member in vars(base).items():
                    _check_member(cls, name, member)
        given: object = cls.facets
        if not isinstance(given, tuple | list):
            what = type(given).__name__
            raise ConfigError(
                f"{cls.__name__}.facets is a {what}, not a tuple: write `facets = ({what}(...),)`"
            )

    async def on_activate(self) -> None:
        """Called when the actor has woken, before its first message."""

    async def on_deactivate(self) -> None:
        """Called before the actor goes to sleep; what it writes is still committed."""

    def __repr__(self) -> str:
        ctx = vars(self).get("ctx")
        return f"<{ctx.id}>" if ctx is not None else f"<{type(self).__name__}, not activated>"


class DurableObject(Actor):
    """An actor that wakes on its first message, sleeps when idle and keeps its state."""

    __wakeful_base__: ClassVar[bool] = True


class ActorBehavior(Actor):
    """An actor at the lowest level: bytes in, bytes out, facets attached explicitly."""

    __wakeful_base__: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if cls.handle_message is ActorBehavior.handle_message:
            raise ConfigError(
                f"{cls.__name__} handles no messages. "
                "Define `async def handle_message(self, ctx: ActorContext, msg: Message) -> None`."
            )

    async def handle_message(self, ctx: ActorContext, msg: Message) -> None:
        """Handle one message; answer with `await ctx.reply(payload)`."""

    async def ask(self, payload: bytes) -> bytes | None:
        """Send a message; returns what `ctx.reply` was given, or None."""
        ctx = MessageContext(self.ctx)
        await self.handle_message(cast("ActorContext", ctx), Message(payload))
        return ctx.answer


class MessageContext:
    """The actor's context while one message is handled: `reply` belongs to that message."""

    __slots__ = ("_actor_context", "answer")

    def __init__(self, actor_context: ActorContext) -> None:
        self._actor_context = actor_context
        self.answer: bytes | None = None

    async def reply(self, payload: bytes) -> None:
        """Answer the message being handled; the last answer counts."""
        if not isinstance(payload, bytes):
            raise TypeError(f"a reply is bytes, not {type(payload).__name__}")
        self.answer = payload

    def __getattr__(self, name: str) -> object:
        return getattr(self._actor_context, name)


def readonly(method: Callable[P, R]) -> Callable[P, R]:
    """Mark a method that changes nothing: it may be called with GET."""
    return _marked(method, "__wakeful_readonly__")


def interleave(method: Callable[P, R]) -> Callable[P, R]:
    """Let a method run while another turn of the same actor waits for something.

    Its start and its end are commit points of the turn it interleaves with.
    """
    return _marked(method, "__wakeful_interleave__")


def websocket(method: Callable[P, R]) -> Callable[P, R]:
    """Mark a method that WebSocket clients connect to: GET on its path, with an upgrade.

    Its first argument is the socket, the others come from the query string. It accepts with
    `self.ctx.accept(socket)`; a socket it does not accept is refused (403).
    """
    return _marked(method, "__wakeful_websocket__")


def _marked(method: Callable[P, R], mark: str) -> Callable[P, R]:
    setattr(method, mark, True)
    return method


def _check_member(cls: type, name: str, member: object) -> None:
    if name.startswith("_") or not inspect.isfunction(member):
        return
    if inspect.isasyncgenfunction(member):
        raise ConfigError(
            f"{cls.__name__}.{name} yields: an actor's method returns one value. "
            f"Return a list, or rename it _{name} to use it inside the actor only."
        )
    if name in RESERVED:
        raise ConfigError(
            f"{cls.__name__}.{name} belongs to the framework: give the method another name"
        )
    if name == "migrate":
        raise ConfigError(
            f"{cls.__name__}.migrate must be a classmethod: "
            "@classmethod def migrate(cls, version, state) returns the new state"
        )
    if not inspect.iscoroutinefunction(inspect.unwrap(member)):
        raise ConfigError(
            f"{cls.__name__}.{name} must be `async def`, since callers await it. "
            f"Write `async def {name}(...)`, or rename it _{name} to use it inside the actor only."
        )
