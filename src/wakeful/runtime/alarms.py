"""The alarm of an actor as its turn: run the handler, put the alarm off, or give it up.

Invariants: an actor's handler runs once at a time; an alarm is deleted in the commit of the turn
            that handled it, so a crash before that fires it again.
Source:     Cloudflare alarms.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import TYPE_CHECKING, Final, cast

from wakeful.actor import AlarmFailure, AlarmInfo
from wakeful.actor_type import ActorType
from wakeful.core.agenda import ALARM, Entry
from wakeful.core.alarms import AlarmCell, AlarmRun
from wakeful.facet import Persistence
from wakeful.ids import ActorId
from wakeful.log import logger
from wakeful.ports import Clock
from wakeful.runtime.alarm_face import alarm_entry, give_up
from wakeful.runtime.courier import Ask, Failure
from wakeful.runtime.host_loop import HostLoop
from wakeful.runtime.internal_plan import InterleavedPlan, InternalPlan, activation_of

if TYPE_CHECKING:
    from wakeful.actor import Actor

HOOK: Final = "on_alarm_failed"


class Alarms:
    """What alarms among the entries of agendas mean.

    Attributes:
        given_up: how many were.

    Args:
        ask: delivers a call of the runtime's own to an actor.
        random: draws the jitter of retries.
    """

    def __init__(self, *, loop: HostLoop, clock: Clock, ask: Ask, random: Random) -> None:
        self.given_up = 0
        self._loop = loop
        self._clock = clock
        self._ask = ask
        self._random = random
        self._early = {
            gated: plan("alarm", self._handled_early)
            for gated, plan in ((False, InternalPlan), (True, InterleavedPlan))
        }

    async def fulfil(self, instance: Actor, id: str, entry: Entry) -> None:
        """Run the handler; the alarm goes with its success."""
        activation = activation_of(instance)
        alarm = AlarmCell.of(entry)
        run = activation.alarm = AlarmRun(entry)
        try:
            info = AlarmInfo(scheduled_ns=alarm.scheduled_ns, retries=alarm.retries)
            await activation.type.run_alarm(instance, info)
            if run.leaves(alarm_entry(activation)):
                activation.owed().remove(ALARM)
        finally:
            activation.alarm = None

    async def failed(self, instance: Actor, id: str, entry: Entry, failure: Failure) -> None:
        """Put the alarm off, or give it up."""
        activation, alarm = activation_of(instance), AlarmCell.of(entry)
        persistence = activation.type.persistence or Persistence()
        later = alarm.after_failure(
            self._clock.now_ns(),
            self._random.random(),
            counted=failure.counted,
            retries_max=persistence.alarm_retries,
        )
        if later is None:
            await self._give_up(instance, alarm, failure.error)
        else:
            activation.owed().set(ALARM, later.entry())

    async def run_early(self, actor_type: ActorType, actor: ActorId) -> bool:
        """Run an actor's alarm now, due or not; returns whether there was one that was not running.

        An alarm that fails stays set for its time, and is not retried before.

        Raises:
            Exception: whatever the handler raised.
        """
        plan = self._early[actor_type.gated]
        return bool(await self._loop.task(self._ask(actor_type, actor, plan, ())))

    async def _handled_early(self, instance: Actor) -> bool:
        """The turn of an alarm that need not be due."""
        activation = activation_of(instance)
        entry = alarm_entry(activation)
        if entry is None or activation.alarm is not None:
            return False
        await self.fulfil(instance, ALARM, entry)
        return True

    async def _give_up(self, instance: Actor, alarm: AlarmCell, error: str) -> None:
        """Keep the alarm as a failure, and tell the actor; what that raises changes nothing."""
        activation = activation_of(instance)
        self.given_up += 1
        logger().warning(
            "an alarm is given up", actor=str(activation.id), error=None, exc_info=None
        )
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
            logger().warning(
                "on_alarm_failed failed",
                actor=str(activation.id),
                error=repr(raised),
                exc_info=raised,
            )
