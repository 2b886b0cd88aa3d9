"""Wakes actors, puts them to sleep, throws broken ones away, and loses no message on the way.

Invariants: concurrent first messages share one activation; a message that waits when its
            activation goes is delivered to the next one; the next one loads only after the
            writes of the one before are settled.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Future, Task
from collections.abc import Awaitable, Callable, Coroutine
from typing import cast

import structlog

from wakeful.actor import Actor
from wakeful.actor_type import ActorType
from wakeful.config import Config
from wakeful.core.lifecycle import State
from wakeful.errors import (
    ActivationFailed,
    ActorAborted,
    ActorNotFound,
    Fenced,
    RuntimeOverloaded,
    ShuttingDown,
    WakefulError,
    again,
)
from wakeful.ids import ActorId, shard_of
from wakeful.ports import Cells, Clock, Store
from wakeful.runtime.activation import Activation, Envelope
from wakeful.runtime.catalog import Catalog
from wakeful.runtime.flush import Flusher
from wakeful.runtime.turn import Turn, current

MakeContext = Callable[[Activation], object]
Deliver = Callable[[Activation], None]


class Life:
    """The only one that changes an activation's lifecycle."""

    def __init__(
        self,
        *,
        loop: AbstractEventLoop,
        store: Store,
        shards: int,
        clock: Clock,
        config: Config,
        flusher: Flusher,
        make_context: MakeContext,
        deliver: Deliver,
    ) -> None:
        self.catalog = Catalog(loop, clock.monotonic_ns, config.limits.active_actors, self.retire)
        self.flusher = flusher
        self.closing = False
        self.activations = 0
        self.deactivations = 0
        self.discards = 0
        self._loop = loop
        self._store = store
        self._shards = shards
        self._clock = clock
        self._config = config
        self._make_context = make_context
        self._deliver = deliver
        self._tasks: set[Task[None]] = set()

    def find(self, actor_type: ActorType, actor: ActorId) -> Activation:
        """The activation of an actor, woken if need be (it may still be waking)."""
        activation = self.catalog.actors.get(actor)
        if activation is not None:
            return activation
        if actor_type.lifetime is None:
            raise ActorNotFound(
                f"{actor} is not running, and {actor_type.name} does not wake by itself: "
                "spawn it, or attach a VirtualActorFacet"
            )
        return self.wake(actor_type, actor)

    def wake(
        self, actor_type: ActorType, actor: ActorId, args: tuple[object, ...] = ()
    ) -> Activation:
        """Make an activation; if nothing has to be awaited it is ready on return.

        Raises:
            ActivationFailed: the constructor raised.
            StorageError, StateError: what is stored cannot be read.
            RuntimeOverloaded, ShuttingDown, Fenced: it may not wake here now.
        """
        self._check_may_wake(actor)
        activation = Activation(actor_type, actor, shard_of(actor, self._shards))
        activation.used_ns = self._clock.monotonic_ns()
        self.catalog.add(activation)
        self.activations += 1
        try:
            cells = self._store.load(actor) if activation.durable else {}
            if isinstance(cells, dict) and not actor_type.on_activate:
                self._fill(activation, cells, args)
                self._ready(activation)
                return activation
        except Exception as error:
            failure = _why(activation, error)
            self._lose(activation, failure)
            raise failure from error
        self._spawn(self._wake_slowly(activation, cells, args))
        return activation

    def retire(self, activation: Activation) -> None:
        """Put a quiet activation to sleep; while something is owed it stays awake."""
        self.catalog.unwatch(activation)
        if self.flusher.pending(activation) or not activation.quiet():
            activation.used_ns = self._clock.monotonic_ns()
            self.catalog.watch(activation)
            return
        activation.life.retire()
        activation.refresh()
        if activation.type.on_deactivate:
            self._spawn(self._retire_slowly(activation))
        else:
            self._gone(activation)

    def discard(self, activation: Activation, cause: WakefulError) -> None:
        """Throw an activation away: turns under way get the cause, waiting messages do not."""
        if not activation.life.fail(cause):
            return
        self.discards += 1
        activation.input.fail(cause)
        activation.refresh()
        self.catalog.unwatch(activation)
        for turn in activation.turns:
            turn.interrupt(cause)
        for task in list(activation.background or ()):
            task.cancel()
        self._forget_when_settled(activation)

    async def delete(self, actor_type: ActorType, actor: ActorId) -> None:
        """Remove everything stored of an actor, and its activation if there is one."""
        activation = self.catalog.actors.get(actor)
        if activation is None or activation.life.state is State.GONE:
            activation = await self._shell(actor_type, actor)
        activation.wiped = True
        if activation.durable:
            self.flusher.wrote(activation)
        self.discard(activation, ActorAborted(f"{actor} was deleted"))
        await self.flusher.durable(activation)

    async def stop(self, activation: Activation) -> None:
        """Put one activation to sleep now, whatever its lifetime; its turns end first."""
        while not activation.quiet() or self.flusher.pending(activation):
            if activation.life.state is State.GONE:
                return
            await self.flusher.settled()
            await asyncio.gather(*_ends(activation), return_exceptions=True)
        self.retire(activation)
        await self.finished()

    async def finished(self) -> None:
        """Return when nobody is waking up or going to sleep."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _check_may_wake(self, actor: ActorId) -> None:
        if self.closing and current.get() is None:
            raise ShuttingDown(f"{actor}: the runtime is shutting down")
        if not self.flusher.lease.held(self._clock.monotonic_ns()):
            raise Fenced(f"{actor}: a newer owner has taken over the data directory")
        if self.catalog.full():
            raise RuntimeOverloaded(
                f"{actor}: {len(self.catalog)} actors are active and none can sleep "
                "(limits.active_actors)"
            )

    def _fill(self, activation: Activation, cells: Cells, args: tuple[object, ...]) -> None:
        cls = activation.type.cls
        instance: Actor = cls.__new__(cls)
        vars(instance)["ctx"] = self._make_context(activation)
        activation.wake(instance, cells, args)

    def _ready(self, activation: Activation) -> None:
        activation.life.ready()
        for hook in activation.type.chain.on_activated:
            hook(activation.id)
        activation.refresh()
        self.catalog.watch(activation)

    async def _wake_slowly(
        self, activation: Activation, cells: Cells | Awaitable[Cells], args: tuple[object, ...]
    ) -> None:
        try:
            async with asyncio.timeout(self._config.limits.activate_seconds):
                loaded = cells if isinstance(cells, dict) else await cells
                self._fill(activation, loaded, args)
                await self._hook(activation, "on_activate", activation.instance.on_activate())
            if activation.life.state is State.GONE:
                return
            self._save(activation)
            self._ready(activation)
        except Exception as error:
            self._lose(activation, _why(activation, error))
        else:
            self._deliver(activation)

    async def _retire_slowly(self, activation: Activation) -> None:
        try:
            async with asyncio.timeout(self._config.limits.activate_seconds):
                await self._hook(activation, "on_deactivate", activation.instance.on_deactivate())
            self._save(activation)
            await self.flusher.durable(activation)
        except Exception as error:
            log = structlog.get_logger("wakeful")
            log.exception("on_deactivate failed", actor=str(activation.id), error=str(error))
        if activation.life.state is State.DEACTIVATING:
            self._gone(activation)

    async def _hook(
        self, activation: Activation, name: str, work: Coroutine[object, object, None]
    ) -> None:
        turn = Turn(activation, name)
        token = current.set(turn)
        try:
            await work
        finally:
            turn.ended = True
            current.reset(token)

    def _save(self, activation: Activation) -> None:
        if activation.durable and activation.save():
            self.flusher.wrote(activation)

    def _gone(self, activation: Activation) -> None:
        activation.life.gone()
        self.deactivations += 1
        for hook in activation.type.chain.on_deactivated:
            hook(activation.id)
        self._forget(activation)

    def _lose(self, activation: Activation, failure: WakefulError) -> None:
        """It never woke: everyone who waits for it gets the reason."""
        activation.life.fail(failure)
        self.catalog.remove(activation)
        for waiting in _drain(activation):
            if not waiting.reply.done():
                waiting.reply.set_exception(again(failure))

    def _forget_when_settled(self, activation: Activation) -> None:
        if activation.gate.broken is not None or not self.flusher.pending(activation):
            self._forget(activation)
            return
        settled: Future[object] = self._loop.create_future()

        def gone(done: Future[object]) -> None:
            done.exception()  # seen: those who waited have been told
            self._forget(activation)

        settled.add_done_callback(gone)
        self.flusher.commit.wait(activation.gate, (settled, None, None))

    def _forget(self, activation: Activation) -> None:
        self.catalog.remove(activation)
        waiting = _drain(activation)
        if not waiting:
            return
        try:
            successor = self.find(activation.type, activation.id)
        except WakefulError as error:
            for envelope in waiting:
                if not envelope.reply.done():
                    envelope.reply.set_exception(again(error))
            return
        for envelope in waiting:
            successor.queue(self._config.limits.mailbox).offer_urgent(envelope)
        successor.refresh()
        self._deliver(successor)

    async def _shell(self, actor_type: ActorType, actor: ActorId) -> Activation:
        """An activation that is never filled, to write a deletion with."""
        while actor in self.catalog.actors:
            await self.flusher.settled()
        shell = Activation(actor_type, actor, shard_of(actor, self._shards))
        self.catalog.add(shell)
        return shell

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _drain(activation: Activation) -> list[Envelope]:
    return activation.mailbox.drain() if activation.mailbox is not None else []


def _ends(activation: Activation) -> list[Future[object]]:
    running = [turn.reply for turn in activation.turns if turn.reply is not None]
    return running + [cast("Future[object]", task) for task in activation.background or ()]


def _why(activation: Activation, error: Exception) -> WakefulError:
    if isinstance(error, WakefulError):
        return error
    if isinstance(error, TimeoutError):
        return ActivationFailed(f"{activation.id} took too long to wake (limits.activate_seconds)")
    failure = ActivationFailed(f"{activation.id} could not wake: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure
