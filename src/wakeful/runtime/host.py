"""The runtime of one node: registered types, refs, sections, background work, orderly end."""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from typing import TypeVar, cast

import structlog

from wakeful.actor_type import ActorType
from wakeful.config import Config
from wakeful.core.lease import Lease
from wakeful.core.lifecycle import State
from wakeful.errors import (
    ActorNotFound,
    ConfigError,
    InvalidArguments,
    ShuttingDown,
    StorageError,
    UnknownActorType,
    WakefulError,
)
from wakeful.facet import Facet
from wakeful.ids import ActorId, check_name
from wakeful.ports import Clock, Store, StoreInfo
from wakeful.runtime.activation import Activation
from wakeful.runtime.context import Context
from wakeful.runtime.delivery import Delivery
from wakeful.runtime.flush import Flusher
from wakeful.runtime.life import Life
from wakeful.runtime.refs import Ref, ref_class
from wakeful.runtime.turn import Turn, current

A = TypeVar("A")
V = TypeVar("V")


class Host:
    """Everything one node runs; made by wakeful.node, used by the adapters above."""

    def __init__(
        self, loop: AbstractEventLoop, store: Store, info: StoreInfo, clock: Clock, config: Config
    ) -> None:
        self.loop = loop
        self.clock = clock
        self.config = config
        self.store = store
        self.types: dict[str, ActorType] = {}
        self.flusher = Flusher(loop, store, Lease(info.epoch), self._broken)
        self.life = Life(
            loop=loop,
            store=store,
            shards=info.shards,
            clock=clock,
            config=config,
            flusher=self.flusher,
            make_context=self._make_context,
            deliver=self._deliver,
        )
        self.delivery = Delivery(loop, clock, config, self.life, self.flusher)
        self._classes: dict[type, ActorType] = {}
        self._refs: dict[str, type[Ref]] = {}

    def register(self, actor_type: ActorType) -> None:
        """Make a type known.

        Raises:
            ConfigError: another class has the same name.
        """
        if actor_type.name in self.types:
            raise ConfigError(f"two actor types are named {actor_type.name!r}: rename one")
        self.types[actor_type.name] = actor_type
        self._classes[actor_type.cls] = actor_type
        self._refs[actor_type.name] = ref_class(actor_type, self.delivery.asking)

    def type_of(self, actor: type | str) -> ActorType:
        """The registered type of a class or a name.

        Raises:
            UnknownActorType: it is not registered; says what is.
        """
        known = self.types.get(actor) if isinstance(actor, str) else self._classes.get(actor)
        if known is None:
            name = actor if isinstance(actor, str) else actor.__name__
            types = ", ".join(self.types) or "none"
            raise UnknownActorType(f"no actor type {name!r} is registered; registered: {types}")
        return known

    def get(self, actor: type[A], name: str) -> A:
        """A ref to an actor, typed as its class."""
        return cast("A", self.ref(self.type_of(actor), check_name(name)))

    def ref(self, actor_type: ActorType, name: str) -> Ref:
        """A ref to an actor whose name has been checked."""
        return self._refs[actor_type.name](self, actor_type, ActorId(actor_type.name, name))

    def spawn(self, actor: type[A], name: str, args: tuple[object, ...]) -> A:
        """Wake an actor explicitly; it lives until it is stopped."""
        actor_type = self.type_of(actor)
        ref = self.ref(actor_type, check_name(name))
        if ref._id in self.life.catalog.actors:
            raise InvalidArguments(f"{ref._id} is running already", field="name")
        ref._activation = self.life.wake(actor_type, ref._id, args)
        return cast("A", ref)

    async def stop(self, ref: object) -> None:
        """Put a running actor to sleep; what is durable stays."""
        if not isinstance(ref, Ref):
            raise InvalidArguments(f"stop() takes a ref, not {type(ref).__name__}", field="ref")
        activation = self.life.catalog.actors.get(ref._id)
        if activation is None:
            raise ActorNotFound(f"{ref._id} is not running")
        await self.life.stop(activation)

    def attach(self, actor: type, facet: Facet) -> None:
        """Add a facet to a type from now on; lifetime and persistence count at the next waking."""
        actor_type = self.type_of(actor)
        if facet in actor_type.chain.facets:
            raise ConfigError(f"{actor_type.name} has this {type(facet).__name__} already")
        actor_type.compile([*actor_type.chain.facets, facet])

    def detach(self, actor: type, facet: Facet) -> None:
        """Take a facet away from a type from now on."""
        actor_type = self.type_of(actor)
        if facet not in actor_type.chain.facets:
            raise ConfigError(f"{actor_type.name} has no such {type(facet).__name__}")
        actor_type.compile([f for f in actor_type.chain.facets if f is not facet])

    def discard(self, activation: Activation, cause: WakefulError) -> None:
        """Throw an activation away."""
        self.life.discard(activation, cause)

    async def commit_point(self, activation: Activation) -> None:
        """Commit what the turn has done so far; return when it is durable."""
        await self.delivery.commit_point(activation)

    async def in_section(self, activation: Activation, work: Callable[[], Awaitable[V]]) -> V:
        """Run work in a critical section of an actor."""
        section = activation.open_section()
        try:
            return await work()
        finally:
            activation.input.close_section(section)
            self.delivery.pump(activation)

    async def transaction(self, activation: Activation, work: Callable[[], Awaitable[V]]) -> V:
        """Run work in a critical section; undo what it did if it raises."""
        schema, attributes = activation.type.schema, vars(activation.instance)
        before = list(activation.snapshot)
        schema.capture(attributes, before)
        buffer = activation.writes()
        savepoint = buffer.savepoint()
        activation.transactions += 1
        try:
            return await self.in_section(activation, work)
        except BaseException:
            buffer.undo(savepoint)
            schema.restore(attributes, before)
            raise
        finally:
            activation.transactions -= 1

    def start_background(
        self, activation: Activation, work: Coroutine[object, object, object]
    ) -> None:
        """Run work beside the turns of an actor; it stays awake until that ends."""
        context = copy_context()
        context.run(current.set, Turn(activation, "background work"))
        task = self.loop.create_task(self._background(activation, work), context=context)
        if activation.background is None:
            activation.background = set()
        activation.background.add(task)
        task.add_done_callback(activation.background.discard)

    async def close(self) -> None:
        """Stop admitting, let turns finish, put everyone to sleep, flush."""
        self.life.closing = True
        try:
            async with asyncio.timeout(self.config.limits.shutdown_seconds):
                await self.delivery.quiet()
        except TimeoutError:
            pass
        for activation in self.life.catalog:
            await self._end(activation)
        await self.life.finished()
        await self.flusher.settled()
        self.life.catalog.close()
        await self.delivery.pool.close()

    async def _end(self, activation: Activation) -> None:
        await self.flusher.settled()
        if activation.life.state is not State.ACTIVE:
            return
        if activation.quiet():
            self.life.retire(activation)
        else:
            cause = ShuttingDown(f"{activation.id} was still busy when the runtime was closed")
            self.life.discard(activation, cause)

    async def _background(
        self, activation: Activation, work: Coroutine[object, object, object]
    ) -> object:
        try:
            return await work
        except Exception as error:
            log = structlog.get_logger("wakeful")
            log.exception("background work failed", actor=str(activation.id), error=str(error))
            return None
        finally:
            if activation.life.state is State.ACTIVE and not activation.transactions:
                await self.delivery.commit_point(activation)

    def _make_context(self, activation: Activation) -> Context:
        return Context(self, activation)

    def _deliver(self, activation: Activation) -> None:
        self.delivery.pump(activation)

    def _broken(self, activation: Activation, error: StorageError) -> None:
        self.life.discard(activation, error)
