"""Runtimes under test: in memory, on virtual time, with a hand inside their actors.

Nothing passes but what the test waits for: an actor's hour of sleep, and the wait for an alarm,
take no time. A wait that can never end is an error.

Units:   seconds, or a timedelta.
Source:  Cloudflare's test APIs of Vitest (runInDurableObject and the like).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from random import Random
from time import time_ns
from typing import Any, Final, TypeVar, overload

from wakeful.actor import Actor, ActorContext
from wakeful.actor_type import ActorType
from wakeful.config import Config
from wakeful.errors import ActorNotFound, ConfigError
from wakeful.facets.builder import ActorSpec
from wakeful.ids import ActorId
from wakeful.node import Runtime
from wakeful.runtime.internal_plan import InternalPlan
from wakeful.runtime.refs import Ref
from wakeful.store.memory import MemoryStore
from wakeful.testing.clock import WALL_START_NS, VirtualClock
from wakeful.testing.loop import VirtualLoop

__all__ = ["RuntimeHarness", "StartRuntime"]

A = TypeVar("A")
V = TypeVar("V")

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Longer than timers are coarse: what falls due in the last moment of an advance runs in it.
GRACE_SECONDS: Final = 0.02
NO_LOOP: Final = (
    "runtimes under test run on virtual time: call this in an async test or an async fixture that "
    "uses the fixture `runtime` or `worker`"
)


class Inside(Runtime):
    """Runtimes as only a test may handle them: time, eviction and alarms under control."""

    def now(self) -> datetime:
        """Return the present time as the actors see it, in UTC."""
        return EPOCH + timedelta(microseconds=self._clock.now_ns() // 1000)

    async def advance(self, by: float | timedelta) -> None:
        """Let time pass: alarms fire, idle actors go to sleep.

        Returns when the handlers of alarms that fell due have ended; 20 ms more have passed then.

        Args:
            by: seconds, or a timedelta.

        Raises:
            ValueError: it is negative.
        """
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        if not seconds >= 0:
            raise ValueError(f"time goes forward only: advance() cannot take {by!r}")
        await asyncio.sleep(seconds)
        await asyncio.sleep(GRACE_SECONDS)
        await self.host.courier.finished()

    async def evict(self, target: object) -> bool:
        """Take an actor out of memory, as idleness would, once what runs in it has ended.

        What is stored stays, and sockets that may outlive it; an actor that was spawned ends.

        Args:
            target: a ref, or a stub.

        Returns:
            Whether it was in memory.
        """
        _, actor = self._place(target)
        try:
            await self.host.activator.stop(actor)
        except ActorNotFound:
            return False
        return True

    async def evict_all(self) -> None:
        """Take everything out of memory."""
        for activation in self.host.activator.catalog:
            with suppress(ActorNotFound):  # it may have gone by itself meanwhile
                await self.host.activator.stop(activation.id)

    async def run_alarm(self, target: object) -> bool:
        """Run the alarm of an actor now, due or not.

        Args:
            target: a ref, or a stub.

        Returns:
            Whether there was one.

        Raises:
            Exception: what the handler raised; the alarm stays set for its time.
        """
        return await self.host.alarms.run_early(*self._place(target))

    def _place(self, target: object) -> tuple[ActorType, ActorId]:
        raise NotImplementedError

    async def _names(self, actor_type: str) -> list[str]:
        """Return the names of the actors that are stored or in memory."""
        found = {
            actor.name for actor in self.host.activator.catalog.actors if actor.type == actor_type
        }
        cursor: str | None = ""
        while cursor is not None:
            page = await self.host.store.actors(actor_type, "", cursor or None)
            found.update(actor.name for actor in page.actors)
            cursor = page.cursor
        return sorted(found)


class RuntimeHarness(Inside):
    """Actors under test."""

    @overload
    async def run_in(
        self, ref: A, callback: Callable[[A, ActorContext], Coroutine[Any, Any, V]]
    ) -> V: ...

    @overload
    async def run_in(self, ref: A, callback: Callable[[A, ActorContext], V]) -> V: ...

    async def run_in(self, ref: Any, callback: Callable[[Any, ActorContext], object]) -> object:
        """Run code inside an actor: a turn like that of any method, which an exception undoes.

        Args:
            ref: which actor.
            callback: called with the instance and its `ctx`; may be async.

        Returns:
            What the callback returned, not copied.
        """
        self._place(ref)
        returned: list[object] = []

        async def run(instance: Any) -> None:
            result = callback(instance, instance.ctx)
            returned.append(await result if inspect.isawaitable(result) else result)

        plan = InternalPlan("run_in", run)
        plan.urgent = False
        await self.host.delivery.asking(plan)(ref)
        return returned[0]

    async def ids(self, actor: type[Actor]) -> list[ActorId]:
        """The actors of a class that have stored something or are in memory, by name."""
        kind = self.host.type_of(actor).name
        return [ActorId(kind, name) for name in await self._names(kind)]

    def _place(self, target: object) -> tuple[ActorType, ActorId]:
        if not isinstance(target, Ref):
            raise TypeError(f"a ref is wanted, what runtime.get(...) gives, not {target!r}")
        return target._type, target._id


class StartRuntime:
    """The fixture `runtime`: starts runtimes, each with a store of its own, until the test ends."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def __call__(
        self,
        *actors: type[Actor] | ActorSpec,
        config: Config | None = None,
        now: datetime | None = None,
    ) -> RuntimeHarness:
        """Start a runtime.

        Args:
            *actors: the classes to serve.
            config: settings; see Config.
            now: when time begins; by default now, and it goes on only as the test waits.

        Raises:
            ConfigError: a class or a setting is wrong.
        """
        harness = RuntimeHarness(
            MemoryStore(), actors, config=config, clock=clock_from(now), random=Random(0)
        )
        return await self._stack.enter_async_context(harness)


def clock_from(now: datetime | None) -> VirtualClock:
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        raise ConfigError(NO_LOOP)
    if now is None:
        start_ns = time_ns()
    elif now.tzinfo is None:
        raise ConfigError("`now` needs a time zone: datetime(2026, 3, 1, tzinfo=UTC)")
    else:
        start_ns = (now - EPOCH) // timedelta(microseconds=1) * 1000
    return VirtualClock(loop, wall_skew_ns=start_ns - WALL_START_NS - round(loop.time() * 1e9))
