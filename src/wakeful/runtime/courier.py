"""Does what actors owe when it is due: asks the store who owes something, runs it, retries it.

One timer, set to the earliest due time. Nothing is kept for a sleeping actor: the store has an
index of the heads of their agendas. What an entry means is known to its *duty*: alarms, reminders.

Invariants: nothing is done early; an actor's entries are done one at a time, the earliest first; an
            entry goes in the commit of the turn that did it, so a crash before that repeats it.
Source:     DESIGN 9, "one engine, one backoff"; workerd alarm-scheduler.
"""

from __future__ import annotations

import asyncio
from asyncio import Task, TimerHandle
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from wakeful.actor_type import ActorType
from wakeful.core.agenda import ALARM, Entry
from wakeful.errors import (
    ActorAborted,
    LimitExceeded,
    RuntimeOverloaded,
    StorageError,
    WakefulError,
)
from wakeful.ids import ActorId
from wakeful.log import logger
from wakeful.ports import AGENDA_KEY, Alarm, Clock, Store
from wakeful.runtime.alarm_face import EVER_NS
from wakeful.runtime.host_loop import HostLoop
from wakeful.runtime.internal_plan import InterleavedPlan, InternalPlan, activation_of

if TYPE_CHECKING:
    from wakeful.actor import Actor
    from wakeful.runtime.activation import Activation

RUNNING_MAX: Final = 256
WAITING_MAX: Final = 1024  # due ids kept: a query of the store costs more than memory
LOOK_AGAIN_SECONDS: Final = 2.0  # after the store, or an actor, could not be reached
TOGETHER_NS: Final = 100_000_000  # to retry together what failed at about the same time
SLEEP_SECONDS_MIN: Final = 0.001  # timers and clocks may differ by less
SLEEP_SECONDS_MAX: Final = 3600.0  # longer timers are split, as the clock may be set
CROWDED_SECONDS: Final = 0.1  # until what found no room is tried again
AT_ONCE: Final = 16  # entries of one actor that are done before others have their turn


class Fired(NamedTuple):
    """An entry whose turn has begun, and where."""

    activation: Activation
    id: str
    entry: Entry

    def stands(self, activation: Activation, entry: Entry) -> bool:
        """Whether an entry that is stored now is the one that was due."""
        before = self.entry
        return entry is before if self.activation is activation else entry == before


class Failure(NamedTuple):
    """What is known of a turn that has failed.

    Attributes:
        counted: it is one of the failures after which the entry is given up.
        error: what it raised, in words.
        fired: the entry; another one in its place is left alone.
    """

    counted: bool
    error: str
    fired: Fired | None


class Duty(Protocol):
    """What entries of one kind mean."""

    async def fulfil(self, instance: Actor, id: str, entry: Entry) -> None:
        """Do what is due, and take the entry off the agenda, in a turn of the actor."""

    async def failed(self, instance: Actor, id: str, entry: Entry, failure: Failure) -> None:
        """Put the entry off, or give it up, in a turn of the actor."""


Ask = Callable[
    [ActorType, ActorId, InternalPlan, tuple[object, ...]], Coroutine[object, object, object]
]


class Courier:
    """Watches the agendas in the store.

    Attributes:
        fired: turns begun for what was due.
        failed: those that failed.

    Args:
        refuses: tells whether an actor takes no calls here any more: what it owes is not done.
        running_max: turns that may run at once; more actors than can be awake would refuse each
            other.
        types: the types whose agendas are looked at.
        ask: delivers a call of the runtime's own to an actor.
        duties: what entries mean, by the first letter of their ids.
    """

    def __init__(
        self,
        *,
        loop: HostLoop,
        store: Store,
        clock: Clock,
        types: Mapping[str, ActorType],
        ask: Ask,
        refuses: Callable[[ActorId], bool],
        duties: Mapping[str, Duty],
        running_max: int = RUNNING_MAX,
    ) -> None:
        self.fired = 0
        self.failed = 0
        self._loop = loop
        self._store = store
        self._clock = clock
        self._types = types
        self._ask = ask
        self._refuses = refuses
        self._duties = duties
        self._running_max = running_max
        self._look_seconds = min(clock.trust_seconds, SLEEP_SECONDS_MAX)
        self._running: dict[ActorId, Task[None]] = {}
        self._fired: dict[ActorId, Fired] = {}  # of those in `running` that have begun
        self._waiting: dict[ActorId, ActorType] = {}  # due, and not yet run
        self._more = False  # the store may have further due entries
        self._passed_over: set[ActorId] = set()
        self._looking: Task[None] | None = None
        self._stale = False  # the running query may return what is outdated
        self._timer: TimerHandle | None = None
        self._due_ns = EVER_NS
        self._closed = False
        self._plans = {
            gated: (plan("alarm", self._due), plan("alarm retry", self._put_off))
            for gated, plan in ((False, InternalPlan), (True, InterleavedPlan))
        }

    def start(self) -> None:
        """Look after agendas, also what fell due meanwhile."""
        self._more = True
        self._looking = self._loop.task(self._first_look())

    def note(self, due_ns: int) -> None:
        """An agenda with this earliest entry has become durable."""
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

    def close(self) -> None:
        """Begin nothing more; what runs are turns, and end as turns do."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()

    async def finished(self) -> None:
        """Return when what had been begun is done with."""
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
        """Something may be due: read the wall clock again, which may have been set meanwhile."""
        self._timer = None
        if self._clock.now_ns() < self._due_ns:
            self._arm(self._due_ns)
        else:
            self.check()

    # --- who is due ------------------------------------------------------------------------------

    async def _first_look(self) -> None:
        await self._tell_of_strangers()
        await self._look()

    async def _look(self) -> None:
        """Ask the store who is due, start those, and set the timer for who is next."""
        limit = len(self._running) + len(self._waiting) + len(self._passed_over) + WAITING_MAX
        try:
            found = await self._store.alarms(EVER_NS, limit, self._served())
        except StorageError as error:
            self._log("looking for what is due failed", error)
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
        """Keep who is due, and set the timer for who is next if that is known.

        The answer may be outdated: what has run meanwhile turns out not to be due.
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
        return {name for name, actor_type in self._types.items() if can_owe(actor_type)}

    async def _tell_of_strangers(self) -> None:
        """Log which types owe something and are not served by this runtime."""
        try:
            for name in set(await self._store.types()) - self._served():
                for alarm in await self._store.alarms(EVER_NS, 1, (name,)):
                    self._log("nobody here handles the alarms of this type", None, alarm.actor)
        except StorageError as error:
            self._log("looking for what is due failed", error)

    # --- doing it --------------------------------------------------------------------------------

    def _start(self) -> None:
        """Start as many as may run at once, the earliest first."""
        while self._waiting and len(self._running) < self._running_max and not self._closed:
            actor = next(iter(self._waiting))
            actor_type = self._waiting.pop(actor)
            if self._refuses(actor):
                self._passed_over.add(actor)
                continue
            self._running[actor] = self._loop.task(self._run(actor_type, actor))

    async def _run(self, actor_type: ActorType, actor: ActorId) -> None:
        next_ns: object = None
        try:
            next_ns = await self._run_due(actor_type, actor)
        finally:
            del self._running[actor]
            self._fired.pop(actor, None)
            self._ended(next_ns)

    async def _run_due(self, actor_type: ActorType, actor: ActorId) -> object:
        """Do what an actor owes, until nothing is due or something has failed.

        Returns:
            When the actor's next entry is due, if it has one.
        """
        plan = self._plans[actor_type.gated][0]
        next_ns: object = None
        try:
            for _ in range(AT_ONCE):
                self.fired += 1
                self._fired.pop(actor, None)
                next_ns = await self._ask(actor_type, actor, plan, ())
                if not isinstance(next_ns, int) or self._clock.now_ns() < next_ns:
                    break
                if self._closed or self._refuses(actor):
                    break
            return next_ns
        except RuntimeOverloaded:  # refused before it ran
            self._pass_over(actor, CROWDED_SECONDS)
            return None
        except (Exception, SystemExit) as error:  # which would end the loop, and all other actors
            self.failed += 1
            return await self._retry(actor_type, actor, error)

    def _ended(self, next_ns: object) -> None:
        """An actor is done: start others in its place; note what it owes next."""
        if self._closed:
            return
        if isinstance(next_ns, int):  # it was skipped while the actor was at it
            self.note(next_ns)
        if self._waiting:
            self._start()
        elif (self._more and len(self._running) <= self._running_max // 2) or (
            not self._running and self._timer is None
        ):
            self.check()

    async def _retry(
        self, actor_type: ActorType, actor: ActorId, error: Exception | SystemExit
    ) -> object:
        """Put the entry off; if that fails too, it stays due and is tried again later.

        Returns:
            When the actor's next entry is due, if it has one.
        """
        if self._closed:
            return None  # it stays due, for the next owner
        counted = not isinstance(error, WakefulError) or not passing(error)
        fired = self._fired.get(actor)
        kind = "an alarm handler" if fired is None or fired.id == ALARM else "what was due"
        self._log(f"{kind} failed", error, actor)
        try:
            if isinstance(error, ActorAborted) and not await self._is_stored(actor):
                return None  # it was deleted: a call would wake it again
            plan = self._plans[actor_type.gated][1]
            told = Failure(counted, f"{type(error).__name__}: {error}", fired)
            return await self._ask(actor_type, actor, plan, (told,))
        except Exception as again:
            self._log("an alarm could not be put off", again, actor)
            self._pass_over(actor, LOOK_AGAIN_SECONDS)
            return None

    async def _is_stored(self, actor: ActorId) -> bool:
        loaded = self._store.load(actor)
        return AGENDA_KEY in (loaded if isinstance(loaded, dict) else await loaded)

    def _pass_over(self, actor: ActorId, seconds: float) -> None:
        """Do not start what an actor owes for a while."""
        self._passed_over.add(actor)
        self._loop.later(seconds, self._look_again, actor)

    def _look_again(self, actor: ActorId) -> None:
        self._passed_over.discard(actor)
        self.note(self._clock.now_ns() + TOGETHER_NS)

    # --- in a turn of the actor ------------------------------------------------------------------

    async def _due(self, instance: Actor) -> int | None:
        """The turn of the earliest entry, if it is due.

        Returns:
            When the actor's next entry is due, if it has one.
        """
        activation = activation_of(instance)
        agenda = activation.agenda
        id = agenda.first() if agenda is not None else None
        if agenda is None or id is None:
            return None
        entry = agenda.entries[id]
        if entry.due_ns <= self._clock.now_ns():  # it may have been moved since it was found due
            self._fired[activation.id] = Fired(activation, id, entry)
            await self._duties[id[:1]].fulfil(instance, id, entry)
        return agenda.earliest_ns()

    async def _put_off(self, instance: Actor, failure: Failure) -> int | None:
        """The turn after one that failed: put the entry off, or give it up.

        Returns:
            When the actor's next entry is due, if it has one.
        """
        activation = activation_of(instance)
        agenda, fired = activation.agenda, failure.fired
        id = fired.id if fired is not None else agenda.first() if agenda is not None else None
        if agenda is None or id is None:
            return None
        entry = agenda.get(id)
        if (
            entry is not None
            and entry.due_ns <= self._clock.now_ns()
            and (fired is None or fired.stands(activation, entry))
        ):
            await self._duties[id[:1]].failed(instance, id, entry, failure)
        return agenda.earliest_ns()

    def _log(self, event: str, error: BaseException | None, actor: ActorId | None = None) -> None:
        log = logger()
        brief = isinstance(error, WakefulError) and passing(error)
        log.warning(
            event,
            actor=str(actor) if actor else None,
            error=repr(error) if error else None,
            exc_info=None if brief else error,
        )


def can_owe(actor_type: ActorType) -> bool:
    """Whether actors of a type wake by themselves and keep what they owe."""
    return actor_type.lifetime is not None and actor_type.persistence is not None


def passing(error: WakefulError) -> bool:
    """Whether a failure has a cause outside the actor."""
    if isinstance(error, LimitExceeded):
        return False
    return isinstance(error, StorageError) or error.http == 503
