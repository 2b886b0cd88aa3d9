"""What user code holds: `self.ctx` and `self.ctx.storage`, over one activation."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

from wakeful import codec, packing
from wakeful.actor import Log, WebSocket
from wakeful.actor_storage import Sql
from wakeful.core.agenda import ALARM
from wakeful.core.lifecycle import ActivationState
from wakeful.errors import ActivationAborted, ActorAborted, InvalidArguments, StateInvalid
from wakeful.header import NO_HEADER, Caller, CallHeader, call_header
from wakeful.ids import ActorId
from wakeful.log import logger
from wakeful.ports import KV_PREFIX
from wakeful.runtime.activation import Activation, current
from wakeful.runtime.alarm_face import AlarmFace
from wakeful.runtime.services import Services
from wakeful.runtime.tells import Telling

A = TypeVar("A")
T = TypeVar("T")
V = TypeVar("V")
Keys = list[str]


class StorageFace:
    """Storage of one activation, keys and SQL; every call completes without suspending."""

    __slots__ = ("_activation", "_host")

    def __init__(self, host: Services, activation: Activation) -> None:
        self._host = host
        self._activation = activation

    @property
    def sql(self) -> Sql:
        """The actor's SQL database."""
        self._check_durable()
        return self._host.database(self._activation).face

    async def get(self, key: str, default: object = None, *, type: type[T] | None = None) -> Any:
        """The value (a copy), or default.

        Raises:
            StateInvalid: it is not of the type.
        """
        self._activation.check_here()
        buffer = self._activation.buffer
        stored = buffer.get(_cell(key)) if buffer is not None else None
        return default if stored is None else _value(key, stored, type)

    async def put(self, key: str, value: object, *, type: object = None) -> None:
        """Set a value (a copy is kept).

        Raises:
            StateInvalid: the value cannot be stored.
        """
        self._check_durable()
        try:
            packed = codec.encode(value) if type is None else codec.typed(type).encode(value)
        except StateInvalid as error:
            raise StateInvalid(f"storage.put({key!r}): {error}") from None
        self._activation.writes().put(_cell(key), packed)

    async def delete(self, key: str) -> bool:
        """Remove a value; returns whether there was one."""
        self._activation.check_here()
        buffer = self._activation.buffer
        return buffer.delete(_cell(key)) if buffer is not None else False

    async def list(
        self,
        *,
        prefix: str = "",
        start: str | None = None,
        end: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
        type: type[T] | None = None,
    ) -> Any:
        """Values by key in UTF-8 order: start inclusive, end exclusive."""
        if limit is not None and limit <= 0:
            raise InvalidArguments(f"limit must be positive, not {limit}", field="limit")
        keys = self._keys(prefix, start, end)
        keys.sort(key=str.encode, reverse=reverse)
        buffer = self._activation.writes()
        cells = buffer.cells
        return {key: _value(key, cells[KV_PREFIX + key], type) for key in keys[:limit]}

    async def delete_all(self) -> None:
        """Remove all keys, the SQL database and the alarm; declared state stays."""
        self._activation.check_here()
        if self._activation.durable:
            self._host.database(self._activation).drop()
        buffer = self._activation.buffer
        for key in list(buffer.cells) if buffer is not None else ():
            self._activation.writes().delete(key)
        if self._activation.agenda is not None:
            self._activation.agenda.remove(ALARM)

    async def transaction(self, work: Callable[[], Coroutine[object, object, V]]) -> V:
        """Run work in a critical section; if it raises, state and storage are as before it."""
        self._check_durable()
        return await self._host.transaction(self._activation, work)

    async def sync(self) -> None:
        """Return when everything written so far is durable, this turn's writes included."""
        await self._host.sync(self._activation)

    def _keys(self, prefix: str, start: str | None, end: str | None) -> Keys:
        self._activation.check_here()
        buffer = self._activation.buffer
        if buffer is None:
            return []
        low = start.encode() if start is not None else b""
        high = end.encode() if end is not None else None
        skip = len(KV_PREFIX)
        keys = [cell[skip:] for cell in buffer.cells if cell.startswith(KV_PREFIX + prefix)]
        return [
            key for key in keys if key.encode() >= low and (high is None or key.encode() < high)
        ]

    def _check_durable(self) -> None:
        self._activation.check_here()
        # A volatile actor's storage would vanish with it: say so at the first write.
        if not self._activation.durable:
            raise InvalidArguments(
                f"{self._activation.id} keeps nothing: attach a DurabilityFacet, or derive "
                "the class from DurableObject, to use storage"
            )


class Context:
    """`self.ctx` of one activation."""

    __slots__ = ("_activation", "_host")

    def __init__(self, host: Services, activation: Activation) -> None:
        self._host = host
        self._activation = activation

    @property
    def id(self) -> ActorId:
        """Which actor this is."""
        return self._activation.id

    @property
    def header(self) -> CallHeader | None:
        """The header of the call being served; None in what the runtime does itself."""
        if self._activation.life.state is ActivationState.ACTIVATING:
            return None
        turn = current.get()
        if turn is None:  # a straight turn, which runs in its caller's task
            return call_header.get() or NO_HEADER
        if not turn.for_caller:
            return None
        header = call_header.get() or NO_HEADER
        return header if turn.asker is None else header.asked_by(turn.asker)

    @property
    def caller(self) -> Caller | None:
        """Who calls; None in what the runtime does itself."""
        header = self.header
        return None if header is None else header.caller

    @property
    def storage(self) -> StorageFace:
        """Key-value storage of this actor."""
        return StorageFace(self._host, self._activation)

    @property
    def activation(self) -> Activation:
        """The activation itself, for the runtime."""
        return self._activation

    @property
    def host(self) -> Services:
        """Where the actor lives, for the runtime."""
        return self._host

    @property
    def alarm(self) -> AlarmFace:
        """The alarm of this actor."""
        return AlarmFace(self._activation, self._host.clock)

    @property
    def auto_response(self) -> tuple[str, str] | None:
        """What `set_auto_response` has set."""
        return self._host.sockets.auto(self._activation)

    def accept(self, socket: WebSocket, tags: Iterable[str] = ()) -> None:
        """Accept the socket a @websocket method was given."""
        self._host.sockets.accept(self._activation, socket, tags)

    def sockets(self, tag: str | None = None) -> Sequence[WebSocket]:
        """The actor's open sockets, or those with a tag; the newest first."""
        return self._host.sockets.find(self._activation, tag)

    def set_auto_response(self, request: str | None = None, response: str = "") -> None:
        """Answer a message that is exactly `request` without waking the actor; None ends that."""
        self._host.sockets.set_auto(self._activation, request, response)

    @property
    def log(self) -> Log:
        """A logger bound to type and name."""
        actor = self._activation.id
        log: Log = logger("wakeful.actor").bind(type=actor.type, name=actor.name)
        return log

    def now_ns(self) -> int:
        """Wall-clock nanoseconds since 1970, of the runtime's clock."""
        return self._host.clock.now_ns()

    def get(self, actor: type[A], name: str, *, timeout: float | None = None) -> A:
        """A ref to another actor."""
        return self._host.get(actor, name, timeout)

    def tell(self, actor: A, /, **options: Any) -> A:
        """Have a method of this actor called later, as part of the turn."""
        return self._telling().tell(actor, options)

    @property
    def reminders(self) -> Telling:
        """The reminders that `tell` has set."""
        return self._telling()

    def _telling(self) -> Telling:
        return Telling(self._activation, self._host.clock, self._host.reminders)

    def abort(self, reason: str = "") -> None:
        """Throw this activation away; the next call starts from the last durable state."""
        cause = ActorAborted(reason or f"{self._activation.id} called abort()")
        self._host.discard(self._activation, cause)
        raise ActivationAborted(cause)

    def wait_until(self, work: Coroutine[object, object, object]) -> None:
        """Let work go on after the reply; the actor stays awake until it ends."""
        self._host.start_background(self._activation, work)

    async def block_concurrency_while(self, work: Callable[[], Coroutine[object, object, V]]) -> V:
        """Run work in a critical section: nothing else is delivered meanwhile."""
        return await self._host.in_section(self._activation, work)

    async def reply(self, payload: bytes) -> None:
        """Only the context given to `handle_message` can reply."""
        raise RuntimeError("reply() belongs to the ctx that handle_message was given")


def _cell(key: str) -> str:
    if not isinstance(key, str):
        raise InvalidArguments(f"a storage key is text, not {type(key).__name__}: {key!r}")
    if not key.isascii():
        try:
            key.encode()
        except UnicodeEncodeError:
            raise InvalidArguments(f"a storage key is valid Unicode: {key!r}") from None
    return KV_PREFIX + key


def _value(key: str, stored: bytes, type: object) -> object:
    """A stored value, as the requested type or made of plain parts."""
    if type is None:
        return codec.decode(stored)
    try:
        return codec.typed(type).load(packing.body(stored))
    except StateInvalid as error:
        raise StateInvalid(f"the stored value of {key!r} does not fit: {error}") from None
