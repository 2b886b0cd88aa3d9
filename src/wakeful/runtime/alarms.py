"""Fires alarms: asks the store who is due, runs their handlers, retries those that fail.

One timer, set to the next alarm. Nothing is kept for a sleeping actor that has one: the store has
an index of them.

Invariants: an alarm never fires early; an actor's handler runs once at a time; an alarm is deleted
            in the commit of the turn that handled it, so a crash before that fires it again.
Source:     Cloudflare alarms; workerd alarm-scheduler.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Task, TimerHandle
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Final, cast

from wakeful.actor import AlarmInfo
from wakeful.actor_type import ActorType, MethodPlan
from wakeful.core.alarms import AlarmCell, AlarmRun
from wakeful.errors import (
    ActorAborted,
    ConfigError,
    InvalidArguments,
    LimitExceeded,
    StorageError,
    WakefulError,
)
from wakeful.ids import ActorId
from wakeful.log import logger
from wakeful.ports import ALARM_KEY, Alarm, Clock, Store

if TYPE_CHECKING:
    from wakeful.actor import Actor
    from wakeful.runtime.activation import Activation
    from wakeful.runtime.context import Context

RUNNING_MAX: Final = 256
WAITING_MAX: Final = 1024  # found due and kept: looking costs the store more than a few ids
EVER_NS: Final = 2**63 - 2
LOOK_AGAIN_SECONDS: Final = 2.0  # after the store, or an actor, could not be reached
TOGETHER_NS: Final = 100_000_000  # for others that could not be put off at about the same time
SLEEP_SECONDS_MIN: Final = 0.001  # timers and clocks need not agree on less
SLEEP_SECONDS_MAX: Final = 3600.0  # the wall clock may be set: look again at least this often

Fired = tuple["Activation", bytes]
Ask = Callable[[ActorType, ActorId, "InternalPlan", tuple[object, ...]], Awaitable[object]]


class InternalPlan(MethodPlan):
    """A method of the runtime's own: it goes first, and its arguments travel as they are."""

    __slots__ = ()

    def __init__(self, name: str, function: Callable[..., object]) -> None:
        self.name = name
        self.calls = 0
        self.function = function  # type: ignore[assignment]
        self.straight = self.readonly = self.interleave = self.required = False
        self.urgent = True
        self.parameters = ()
        self.result_types = frozenset((type(None), bool, int))

    def copy_arguments(
        self, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        """The arguments themselves."""
        return args, dict(kwargs)


class InterleavedPlan(InternalPlan):
    """One for gated actors: it takes its turn among their events, and interleaves like them."""

    __slots__ = ()
    gated = True

    def __init__(self, name: str, function: Callable[..., object]) -> None:
        super().__init__(name, function)
        self.interleave = True
        self.urgent = False


class AlarmFace:
    """`self.ctx.alarm`: the one durable alarm of an actor."""

    __slots__ = ("_activation", "_clock")

    def __init__(self, activation: Activation, clock: Clock) -> None:
        self._activation = activation
        self._clock = clock

    def set(self, when: datetime | timedelta | int) -> None:
        """Set the alarm, in place of the one there may be; a past time fires at once."""
        activation, now_ns = self._activation, self._clock.now_ns()
        activation.check_here()
        if not can_have_alarm(activation.type):
            raise ConfigError(
                f"{activation.type.name} cannot have an alarm: it must be a DurableObject (or have "
                "a VirtualActorFacet and a DurabilityFacet) with `async def alarm(self, info)`"
            )
        due_ns = max(now_ns, _when_ns(when, now_ns))
        activation.writes().put(ALARM_KEY, AlarmCell.at(due_ns).pack())

    def get(self) -> int | None:
        """When the alarm is due, in nanoseconds since 1970; None while its handler runs."""
        cell = _cell(self._activation)
        run = self._activation.alarm
        shown = run.shown(cell) if run is not None else cell
        return None if shown is None else AlarmCell.unpack(shown).due_ns

    def runs(self) -> bool:
        """Whether the alarm that a handler was to be called for is still the one that is set."""
        run = self._activation.alarm
        return run is not None and run.leaves(_cell(self._activation))

    def delete(self) -> None:
        """Take the alarm back; a handler that runs goes on, and is not retried."""
        self._activation.check_here()
        if self._activation.buffer is not None:
            self._activation.buffer.delete(ALARM_KEY)


class Alarms:
    """Watches the store's alarms.

    Args:
        types: the types alarms may be for.
        ask: delivers a call of the runtime's own to an actor.
        random: draws the jitter of retries.
    """

    def __init__(
        self,
        *,
        loop: AbstractEventLoop,
        store: Store,
        clock: Clock,
        types: Mapping[str, ActorType],
        ask: Ask,
        random: Random,
    ) -> None:
        self.fired = 0
        self.failed = 0
        self._loop = loop
        self._store = store
        self._clock = clock
        self._types = types
        self._ask = ask
        self._random = random
        self._running: dict[ActorId, Task[None]] = {}
        self._fired: dict[ActorId, Fired] = {}  # of those in `running` that have begun
        self._waiting: dict[ActorId, ActorType] = {}  # due, and not yet run
        self._more = False  # there may be others due
        self._passed_over: set[ActorId] = set()
        self._looking: Task[None] | None = None
        self._stale = False  # what a look will find may be old
        self._timer: TimerHandle | None = None
        self._due_ns = EVER_NS
        self._closed = False
        self._plans = {
            gated: (plan("alarm", self._handled), plan("alarm retry", self._rescheduled))
            for gated, plan in ((False, InternalPlan), (True, InterleavedPlan))
        }
        self._early = {
            gated: plan("alarm", self._handled_early)
            for gated, plan in ((False, InternalPlan), (True, InterleavedPlan))
        }

    def start(self) -> None:
        """Look after alarms, also those that fell due meanwhile."""
        self._more = True
        self._looking = self._loop.create_task(self._first_look())

    def note(self, due_ns: int) -> None:
        """An alarm has become durable."""
        if due_ns < self._due_ns:
            self._arm(due_ns)

    def check(self) -> None:
        """Start what is due, and set the timer for what is next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due_ns = EVER_NS
        if self._closed:
            return
        self._more = True
        if len(self._waiting) >= WAITING_MAX:
            self._start()
        elif self._looking is None:
            self._looking = self._loop.create_task(self._look())
        else:
            self._stale = True

    async def run_early(self, actor_type: ActorType, actor: ActorId) -> bool:
        """Run an actor's alarm now, due or not: was there one that did not run already?

        One that fails stays set for its time; it is not retried before.

        Raises:
            Exception: whatever the handler raised.
        """
        return bool(await self._ask(actor_type, actor, self._early[actor_type.gated], ()))

    def close(self) -> None:
        """Fire no more; handlers under way are turns and end as turns do."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()

    async def finished(self) -> None:
        """Return when what had been fired is done with."""
        left = [*self._running.values(), *([self._looking] if self._looking is not None else [])]
        if left:
            await asyncio.wait(left)

    def _arm(self, due_ns: int) -> None:
        if self._closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due_ns = due_ns
        delay_s = (due_ns - self._clock.now_ns()) / 1e9
        delay_s = min(max(SLEEP_SECONDS_MIN, delay_s), SLEEP_SECONDS_MAX)
        self._timer = self._loop.call_later(delay_s, self.check)

    async def _first_look(self) -> None:
        await self._tell_of_strangers()
        await self._look()

    async def _look(self) -> None:
        """Ask the store who is due, start those, and set the timer for who is next."""
        limit = len(self._running) + len(self._waiting) + len(self._passed_over) + WAITING_MAX
        try:
            found = await self._store.alarms(EVER_NS, limit, self._served())
        except StorageError as error:
            self._log("looking for alarms failed", error)
            self.note(self._clock.now_ns() + round(LOOK_AGAIN_SECONDS * 1e9))
        else:
            self._take(found, limit)
        finally:
            self._looking = None
        if self._stale:
            self._stale = False
            self.check()
        self._start()

    def _take(self, found: Sequence[Alarm], limit: int) -> None:
        """Keep what is due, and set the timer for what is next, if that is in sight.

        It may be old: one that runs or has run meanwhile finds that it is not due.
        """
        now_ns = self._clock.now_ns()
        self._more = len(found) == limit
        for due_ns, actor in found:
            if due_ns > now_ns:
                self._more = False
                self.note(due_ns)
                return
            if actor not in self._running and actor not in self._passed_over:
                self._waiting[actor] = self._types[actor.type]

    def _served(self) -> set[str]:
        return {name for name, actor_type in self._types.items() if can_have_alarm(actor_type)}

    async def _tell_of_strangers(self) -> None:
        """Log which types have alarms that nobody here handles."""
        try:
            for name in set(await self._store.types()) - self._served():
                for alarm in await self._store.alarms(EVER_NS, 1, (name,)):
                    self._log("nobody here handles the alarms of this type", None, alarm.actor)
        except StorageError as error:
            self._log("looking for alarms failed", error)

    def _start(self) -> None:
        """Run as many as may run at once, the earliest first."""
        while self._waiting and len(self._running) < RUNNING_MAX and not self._closed:
            actor = next(iter(self._waiting))
            actor_type = self._waiting.pop(actor)
            self._running[actor] = self._loop.create_task(self._run(actor_type, actor))

    async def _run(self, actor_type: ActorType, actor: ActorId) -> None:
        self.fired += 1
        due_ns: object = None
        try:
            due_ns = await self._ask(actor_type, actor, self._plans[actor_type.gated][0], ())
        except (Exception, SystemExit) as error:  # which would end the loop, and all other actors
            self.failed += 1
            due_ns = await self._retry(actor_type, actor, error)
        finally:
            del self._running[actor]
            self._fired.pop(actor, None)
            self._ended(due_ns)

    def _ended(self, due_ns: object) -> None:
        """A handler has ended: run others in its place, and mind the alarm it has set."""
        if self._closed:
            return
        if isinstance(due_ns, int):  # as long as it ran, that was passed over
            self.note(due_ns)
        if self._waiting:
            self._start()
        elif (self._more and len(self._running) <= RUNNING_MAX // 2) or (
            not self._running and self._timer is None
        ):
            self.check()

    async def _retry(
        self, actor_type: ActorType, actor: ActorId, error: Exception | SystemExit
    ) -> object:
        """Put the alarm off; if even that fails it stays due, and is looked at again.

        Returns:
            When the actor's next alarm is due, if it has one.
        """
        if self._closed:
            return None  # it stays due, for the next owner
        counted = not isinstance(error, WakefulError) or not _passing(error)
        self._log("an alarm handler failed", error, actor)
        try:
            if isinstance(error, ActorAborted) and not await self._is_stored(actor):
                return None  # it was deleted: to ask it would wake it anew
            plan = self._plans[actor_type.gated][1]
            return await self._ask(actor_type, actor, plan, (counted, self._fired.get(actor)))
        except Exception as again:
            self._log("an alarm could not be put off", again, actor)
            self._passed_over.add(actor)
            self._loop.call_later(LOOK_AGAIN_SECONDS, self._look_again, actor)
            return None

    async def _is_stored(self, actor: ActorId) -> bool:
        loaded = self._store.load(actor)
        return ALARM_KEY in (loaded if isinstance(loaded, dict) else await loaded)

    def _look_again(self, actor: ActorId) -> None:
        self._passed_over.discard(actor)
        self.note(self._clock.now_ns() + TOGETHER_NS)

    async def _handled(self, instance: Actor) -> int | None:
        """The turn of an alarm: run the handler, and let the alarm go with its success.

        Returns:
            When the actor's next alarm is due, if it has one.
        """
        activation = _activation(instance)
        cell = _cell(activation)
        # It may have been moved since it was found due.
        if cell is not None and AlarmCell.unpack(cell).due_ns <= self._clock.now_ns():
            self._fired[activation.id] = activation, cell
            await self._run_handler(instance, activation, cell)
            cell = _cell(activation)
        return None if cell is None else AlarmCell.unpack(cell).due_ns

    async def _handled_early(self, instance: Actor) -> bool:
        """The turn of an alarm that need not be due."""
        activation = _activation(instance)
        cell = _cell(activation)
        if cell is None or activation.alarm is not None:
            return False
        await self._run_handler(instance, activation, cell)
        return True

    async def _run_handler(self, instance: Actor, activation: Activation, cell: bytes) -> None:
        alarm = AlarmCell.unpack(cell)
        run = activation.alarm = AlarmRun(cell)
        try:
            info = AlarmInfo(scheduled_ns=alarm.scheduled_ns, retries=alarm.retries)
            await activation.type.run_alarm(instance, info)
            if run.leaves(_cell(activation)):
                activation.writes().delete(ALARM_KEY)
        finally:
            activation.alarm = None

    async def _rescheduled(self, instance: Actor, counted: bool, fired: Fired | None) -> int | None:
        """The turn after a handler that failed: put the alarm off, or give it up.

        Args:
            instance: whose alarm.
            counted: it is one of the failures after which it is given up.
            fired: the alarm that failed, and where; another one in its place is left alone.

        Returns:
            When the actor's next alarm is due, if it has one.
        """
        activation = _activation(instance)
        cell, now_ns = _cell(activation), self._clock.now_ns()
        if cell is None:
            return None
        alarm = AlarmCell.unpack(cell)
        if alarm.due_ns > now_ns or not _is(activation, cell, fired):
            return alarm.due_ns
        later = alarm.after_failure(now_ns, self._random.random(), counted=counted)
        if later is None:
            self._log("an alarm is given up", None, activation.id)
            activation.writes().delete(ALARM_KEY)
            return None
        activation.writes().put(ALARM_KEY, later.pack())
        return later.due_ns

    def _log(self, event: str, error: BaseException | None, actor: ActorId | None = None) -> None:
        log = logger()
        passing = isinstance(error, WakefulError) and _passing(error)
        log.warning(
            event,
            actor=str(actor) if actor else None,
            error=repr(error) if error else None,
            exc_info=None if passing else error,
        )


def _is(activation: Activation, cell: bytes, fired: Fired | None) -> bool:
    """Whether the stored alarm is the one that has fired."""
    if fired is None:
        return True
    where, before = fired
    return cell is before if where is activation else cell == before


def can_have_alarm(actor_type: ActorType) -> bool:
    """Whether actors of a type can be woken by an alarm, and handle it."""
    wakes = actor_type.lifetime is not None and actor_type.persistence is not None
    return wakes and actor_type.has_alarm


def _activation(instance: Actor) -> Activation:
    return cast("Context", instance.ctx).activation


def _cell(activation: Activation) -> bytes | None:
    return activation.buffer.get(ALARM_KEY) if activation.buffer is not None else None


def _passing(error: WakefulError) -> bool:
    """Whether a failure is not the handler's own doing."""
    if isinstance(error, LimitExceeded):
        return False
    return isinstance(error, StorageError) or error.http == 503


def _when_ns(when: object, now_ns: int) -> int:
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise InvalidArguments("an alarm's time needs a time zone: datetime.now(UTC)", "when")
        return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    if isinstance(when, timedelta):
        return now_ns + when // timedelta(microseconds=1) * 1000
    if isinstance(when, int) and not isinstance(when, bool) and 0 <= when <= EVER_NS:
        return when
    raise InvalidArguments(
        "an alarm's time is a datetime, a timedelta from now, or nanoseconds since 1970, "
        f"not {when!r}",
        "when",
    )
