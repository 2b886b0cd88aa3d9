"""Fires alarms: asks the store who is due, runs their handlers, retries those that fail.

One timer, set to the next alarm. Nothing is kept for a sleeping actor that has one: the store has
an index of them.

Invariants: an alarm never fires early; an actor's handler runs once at a time; an alarm is deleted
            in the commit of the turn that handled it, so a crash before that fires it again.
Source:     Cloudflare alarms; workerd alarm-scheduler.
"""

from __future__ import annotations

import asyncio
from asyncio import Task, TimerHandle
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, cast

from wakeful.actor import AlarmFailure, AlarmInfo
from wakeful.actor_type import ActorType, MethodPlan
from wakeful.core.alarms import AlarmCell, AlarmRun
from wakeful.errors import (
    ActorAborted,
    LimitExceeded,
    RuntimeOverloaded,
    StorageError,
    WakefulError,
)
from wakeful.facet import Method, Persistence
from wakeful.ids import ActorId
from wakeful.log import logger
from wakeful.ports import ALARM_KEY, Alarm, Clock, Store
from wakeful.runtime.alarm_face import EVER_NS, alarm_cell, can_have_alarm, give_up
from wakeful.runtime.host_loop import HostLoop

if TYPE_CHECKING:
    from wakeful.actor import Actor
    from wakeful.runtime.activation import Activation

RUNNING_MAX: Final = 256
WAITING_MAX: Final = 1024  # due ids kept: a query of the store costs more than memory
LOOK_AGAIN_SECONDS: Final = 2.0  # after the store, or an actor, could not be reached
TOGETHER_NS: Final = 100_000_000  # to retry alarms together that failed at about the same time
SLEEP_SECONDS_MIN: Final = 0.001  # timers and clocks may differ by less
SLEEP_SECONDS_MAX: Final = 3600.0  # longer timers are split, as the clock may be set
CROWDED_SECONDS: Final = 0.1  # until an alarm whose actor found no room is tried again
HOOK: Final = "on_alarm_failed"

Fired = tuple["Activation", bytes]


class Failure(NamedTuple):
    """What is known of a handler that has failed.

    Attributes:
        counted: it is one of the failures after which the alarm is given up.
        error: what it raised, in words.
        fired: the alarm, and where; another one in its place is left alone.
    """

    counted: bool
    error: str
    fired: Fired | None


Ask = Callable[
    [ActorType, ActorId, "InternalPlan", tuple[object, ...]], Coroutine[object, object, object]
]


class InternalPlan(MethodPlan):
    """A method of the runtime's own: it goes first, and its arguments travel as they are."""

    __slots__ = ()
    for_callers = False

    def __init__(self, name: str, function: Method) -> None:
        self.name = name
        self.calls = 0
        self.function = function
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
    """An InternalPlan for gated actors: it queues and interleaves like their events."""

    __slots__ = ()
    gated = True

    def __init__(self, name: str, function: Method) -> None:
        super().__init__(name, function)
        self.interleave = True
        self.urgent = False


class Alarms:
    """Watches the store's alarms.

    Args:
        refuses: tells whether an actor takes no calls here any more: its alarm is not fired.
        running_max: handlers that may run at once; more actors than can be awake would refuse
            each other.
        types: the types alarms may be for.
        ask: delivers a call of the runtime's own to an actor.
        random: draws the jitter of retries.
    """

    def __init__(
        self,
        *,
        loop: HostLoop,
        store: Store,
        clock: Clock,
        types: Mapping[str, ActorType],
        ask: Ask,
        random: Random,
        refuses: Callable[[ActorId], bool],
        running_max: int = RUNNING_MAX,
    ) -> None:
        self.fired = 0
        self.failed = 0
        self.given_up = 0
        self._loop = loop
        self._store = store
        self._clock = clock
        self._types = types
        self._ask = ask
        self._refuses = refuses
        self._running_max = running_max
        self._look_seconds = min(clock.trust_seconds, SLEEP_SECONDS_MAX)
        self._random = random
        self._running: dict[ActorId, Task[None]] = {}
        self._fired: dict[ActorId, Fired] = {}  # of those in `running` that have begun
        self._waiting: dict[ActorId, ActorType] = {}  # due, and not yet run
        self._more = False  # the store may have further due alarms
        self._passed_over: set[ActorId] = set()
        self._looking: Task[None] | None = None
        self._stale = False  # the running query may return outdated alarms
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
        self._looking = self._loop.task(self._first_look())

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
            self._looking = self._loop.task(self._look())
        else:
            self._stale = True

    def look_anew(self) -> None:
        """`check`, also for those that were passed over: what was in their way has gone."""
        self._passed_over.clear()
        self.check()

    async def run_early(self, actor_type: ActorType, actor: ActorId) -> bool:
        """Run an actor's alarm now, due or not; returns whether there was one that was not running.

        An alarm that fails stays set for its time, and is not retried before.

        Raises:
            Exception: whatever the handler raised.
        """
        plan = self._early[actor_type.gated]
        return bool(await self._loop.task(self._ask(actor_type, actor, plan, ())))

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
        delay_s = min(max(SLEEP_SECONDS_MIN, delay_s), self._look_seconds)
        self._timer = self._loop.later(delay_s, self._tick)

    def _tick(self) -> None:
        """An alarm may be due: read the wall clock again, which may have been set meanwhile."""
        self._timer = None
        if self._clock.now_ns() < self._due_ns:
            self._arm(self._due_ns)
        else:
            self.check()

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
        """Keep the due alarms, and set the timer for the next one if it is known.

        The answer may be outdated: an alarm that has run meanwhile turns out not to be due.
        """
        now_ns = self._clock.now_ns()
        self._more = len(found) == limit
        for due_ns, actor in found:
            if due_ns > now_ns:
                self._more = False
                self.note(due_ns)
                return
            if actor in self._running or actor in self._passed_over:
                continue
            if self._refuses(actor):
                self._passed_over.add(actor)
            else:
                self._waiting[actor] = self._types[actor.type]

    def _served(self) -> set[str]:
        return {name for name, actor_type in self._types.items() if can_have_alarm(actor_type)}

    async def _tell_of_strangers(self) -> None:
        """Log which types have alarms and are not served by this runtime."""
        try:
            for name in set(await self._store.types()) - self._served():
                for alarm in await self._store.alarms(EVER_NS, 1, (name,)):
                    self._log("nobody here handles the alarms of this type", None, alarm.actor)
        except StorageError as error:
            self._log("looking for alarms failed", error)

    def _start(self) -> None:
        """Start as many alarms as may run at once, the earliest first."""
        while self._waiting and len(self._running) < self._running_max and not self._closed:
            actor = next(iter(self._waiting))
            actor_type = self._waiting.pop(actor)
            if self._refuses(actor):
                self._passed_over.add(actor)
                continue
            self._running[actor] = self._loop.task(self._run(actor_type, actor))

    async def _run(self, actor_type: ActorType, actor: ActorId) -> None:
        self.fired += 1
        due_ns: object = None
        try:
            due_ns = await self._ask(actor_type, actor, self._plans[actor_type.gated][0], ())
        except RuntimeOverloaded:  # refused before it ran
            self._pass_over(actor, CROWDED_SECONDS)
        except (Exception, SystemExit) as error:  # which would end the loop, and all other actors
            self.failed += 1
            due_ns = await self._retry(actor_type, actor, error)
        finally:
            del self._running[actor]
            self._fired.pop(actor, None)
            self._ended(due_ns)

    def _ended(self, due_ns: object) -> None:
        """A handler has ended: start other alarms in its place; note an alarm that it has set."""
        if self._closed:
            return
        if isinstance(due_ns, int):  # it was skipped while the handler ran
            self.note(due_ns)
        if self._waiting:
            self._start()
        elif (self._more and len(self._running) <= self._running_max // 2) or (
            not self._running and self._timer is None
        ):
            self.check()

    async def _retry(
        self, actor_type: ActorType, actor: ActorId, error: Exception | SystemExit
    ) -> object:
        """Postpone the alarm; if that fails too, the alarm stays due and is tried again later.

        Returns:
            When the actor's next alarm is due, if it has one.
        """
        if self._closed:
            return None  # it stays due, for the next owner
        counted = not isinstance(error, WakefulError) or not _passing(error)
        self._log("an alarm handler failed", error, actor)
        try:
            if isinstance(error, ActorAborted) and not await self._is_stored(actor):
                return None  # it was deleted: a call would wake it again
            plan = self._plans[actor_type.gated][1]
            told = Failure(counted, f"{type(error).__name__}: {error}", self._fired.get(actor))
            return await self._ask(actor_type, actor, plan, (told,))
        except Exception as again:
            self._log("an alarm could not be put off", again, actor)
            self._pass_over(actor, LOOK_AGAIN_SECONDS)
            return None

    async def _is_stored(self, actor: ActorId) -> bool:
        loaded = self._store.load(actor)
        return ALARM_KEY in (loaded if isinstance(loaded, dict) else await loaded)

    def _pass_over(self, actor: ActorId, seconds: float) -> None:
        """Do not start a due alarm for a while."""
        self._passed_over.add(actor)
        self._loop.later(seconds, self._look_again, actor)

    def _look_again(self, actor: ActorId) -> None:
        self._passed_over.discard(actor)
        self.note(self._clock.now_ns() + TOGETHER_NS)

    async def _handled(self, instance: Actor) -> int | None:
        """The turn of an alarm: run the handler, and let the alarm go with its success.

        Returns:
            When the actor's next alarm is due, if it has one.
        """
        activation = _activation(instance)
        cell = alarm_cell(activation)
        # It may have been moved since it was found due.
        if cell is not None and AlarmCell.unpack(cell).due_ns <= self._clock.now_ns():
            self._fired[activation.id] = activation, cell
            await self._run_handler(instance, activation, cell)
            cell = alarm_cell(activation)
        return None if cell is None else AlarmCell.unpack(cell).due_ns

    async def _handled_early(self, instance: Actor) -> bool:
        """The turn of an alarm that need not be due."""
        activation = _activation(instance)
        cell = alarm_cell(activation)
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
            if run.leaves(alarm_cell(activation)):
                activation.writes().delete(ALARM_KEY)
        finally:
            activation.alarm = None

    async def _rescheduled(self, instance: Actor, failure: Failure) -> int | None:
        """The turn after a handler that failed: postpone the alarm, or give it up.

        Returns:
            When the actor's next alarm is due, if it has one.
        """
        activation = _activation(instance)
        cell, now_ns = alarm_cell(activation), self._clock.now_ns()
        if cell is None:
            return None
        alarm = AlarmCell.unpack(cell)
        if alarm.due_ns > now_ns or not _is(activation, cell, failure.fired):
            return alarm.due_ns
        persistence = activation.type.persistence or Persistence()
        later = alarm.after_failure(
            now_ns,
            self._random.random(),
            counted=failure.counted,
            retries_max=persistence.alarm_retries,
        )
        if later is None:
            await self._give_up(instance, alarm, failure.error)
            later = self._next(activation)
        else:
            activation.writes().put(ALARM_KEY, later.pack())
        return None if later is None else later.due_ns

    async def _give_up(self, instance: Actor, alarm: AlarmCell, error: str) -> None:
        """Keep the alarm as a failure, and tell the actor; what that raises changes nothing."""
        activation = _activation(instance)
        self.given_up += 1
        self._log("an alarm is given up", None, activation.id)
        failure = give_up(activation, alarm, self._clock.now_ns(), error)
        if activation.type.gated or not activation.type.on_alarm_failed:
            return
        hook = cast("Callable[[AlarmFailure], Awaitable[None]]", getattr(instance, HOOK))
        storage = instance.ctx.storage

        async def tell() -> None:
            await hook(failure)

        try:
            await storage.transaction(tell)
        except Exception as raised:
            self._log("on_alarm_failed failed", raised, activation.id)

    def _next(self, activation: Activation) -> AlarmCell | None:
        cell = alarm_cell(activation)
        return None if cell is None else AlarmCell.unpack(cell)

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


class Inside(Protocol):
    """The context of an actor, as the runtime knows it."""

    @property
    def activation(self) -> Activation:
        """The activation itself."""


def _activation(instance: Actor) -> Activation:
    return cast("Inside", instance.ctx).activation


def _passing(error: WakefulError) -> bool:
    """Whether a failure has a cause outside the handler."""
    if isinstance(error, LimitExceeded):
        return False
    return isinstance(error, StorageError) or error.http == 503
