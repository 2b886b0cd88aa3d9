"""The runtime of one node: registered types, refs, sections, background work, orderly end."""

from __future__ import annotations

from asyncio import AbstractEventLoop, CancelledError, Future
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from contextvars import copy_context
from functools import partial
from random import Random
from typing import Any, TypeVar, cast

from wakeful.actor import Actor
from wakeful.actor_type import ActorType, MethodPlan
from wakeful.config import Config
from wakeful.core.agenda import ALARM
from wakeful.core.gates import OutputGate
from wakeful.core.lifecycle import ActivationState
from wakeful.errors import (
    CallError,
    ConfigError,
    InvalidArguments,
    OwnershipLost,
    StorageError,
    UnknownActorType,
    WakefulError,
)
from wakeful.facet import Facet, Persistence
from wakeful.header import call_header
from wakeful.ids import ActorId, check_name
from wakeful.log import logger
from wakeful.ports import Clock, Database, SqlFactory, Store, StoreInfo
from wakeful.runtime.activation import Activation, Turn, current, transact
from wakeful.runtime.activator import Activator
from wakeful.runtime.alarms import Alarms
from wakeful.runtime.committer import Committer
from wakeful.runtime.context import Context
from wakeful.runtime.courier import RUNNING_MAX, Courier
from wakeful.runtime.delivery import Delivery
from wakeful.runtime.drain import Deadline, Drain
from wakeful.runtime.gated import inside, section_of
from wakeful.runtime.host_loop import HostLoop
from wakeful.runtime.intake import Intake
from wakeful.runtime.internal_plan import InternalPlan, activation_of
from wakeful.runtime.lane import Lane
from wakeful.runtime.recovery import Recovery
from wakeful.runtime.refs import Ref, ref_class
from wakeful.runtime.reminders import KIND, Reminders
from wakeful.runtime.sockets import Sockets
from wakeful.runtime.tells import Tell, check_can_be_told, when
from wakeful.runtime.timed_ref import TimedRef, check_timeout, timed_class
from wakeful.runtime.transaction import running

A = TypeVar("A")
V = TypeVar("V")


class Host:
    """Everything one node runs; made by wakeful.node, used by the adapters above.

    Attributes:
        disowned: done, with the reason, once this node has nothing left that it could serve.
    """

    def __init__(
        self,
        *,
        loop: AbstractEventLoop,
        store: Store,
        info: StoreInfo,
        clock: Clock,
        config: Config,
        random: Random,
        sql: SqlFactory,
    ) -> None:
        self.loop = HostLoop(loop, (current, call_header, inside, section_of, running))
        self.disowned: Future[StorageError] = self.loop.future()
        self.clock = clock
        self.config = config
        self.store = store
        self.sql = sql
        self.types: dict[str, ActorType] = {}
        own = self.loop
        self.committer = self._make_committer(info)
        self.intake = Intake(self.committer, info.shards)
        self.activator = Activator(
            loop=own,
            store=store,
            intake=self.intake,
            clock=clock,
            config=config,
            committer=self.committer,
            make_context=self._make_context,
            deliver=self._deliver,
            left=self._left,
            unborn=self._unborn,
        )
        self.delivery = Delivery(
            loop=own,
            clock=clock,
            config=config,
            activator=self.activator,
            committer=self.committer,
            intake=self.intake,
        )
        self.alarms = Alarms(loop=own, clock=clock, ask=self._ask, random=random)
        self.reminders = Reminders(clock=clock, random=random, entries_max=config.limits.agenda)
        self.courier = self._make_courier()
        self.recovery = self._make_recovery()
        self.sockets = Sockets(
            loop=own,
            clock=clock,
            limits=config.limits,
            active=self.activator.catalog.actors,
            committer=self.committer,
            post=self.delivery.post,
            pump=self.delivery.pump,
        )
        self._classes: dict[type, ActorType] = {}
        self._refs: dict[str, type[Ref]] = {}
        self._timed_refs: dict[str, type[TimedRef]] = {}

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

    def start(self) -> None:
        """Everything is registered: do what is owed, also what fell due meanwhile."""
        self.courier.start()

    def knows(self, actor: type) -> bool:
        """Whether a class is registered."""
        return actor in self._classes

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

    def get(self, actor: type[A], name: str, timeout: float | None = None) -> A:
        """A ref to an actor, typed as its class; its calls wait so many seconds at most."""
        actor_type = self.type_of(actor)
        if timeout is None:
            return cast("A", self.ref(actor_type, check_name(name)))
        key = ActorId(actor_type.name, check_name(name))
        seconds = check_timeout(timeout)
        timed = self._timed_refs.get(key.type)
        if timed is None:
            plain = self._refs[key.type]
            timed = self._timed_refs[key.type] = timed_class(actor_type, plain, self.loop)
        return cast("A", timed(self, actor_type, key, seconds))

    def ref(self, actor_type: ActorType, name: str) -> Ref:
        """A ref to an actor whose name has been checked."""
        return self._refs[actor_type.name](self, actor_type, ActorId(actor_type.name, name))

    def tell(self, actor: type[A], name: str, options: dict[str, Any]) -> A:
        """Has the methods of a class; a call of one is kept by the actor, and made later."""
        actor_type = self.type_of(actor)
        check_can_be_told(actor_type)
        key = ActorId(actor_type.name, check_name(name))
        due = when(self.clock.now_ns(), **options)

        async def send(
            plan: MethodPlan, args: tuple[object, ...], kwargs: dict[str, object]
        ) -> None:
            kept = due.kept(plan, args, kwargs)

            async def keep(instance: Actor) -> None:
                self.reminders.set(activation_of(instance), due.name, kept)

            telling = InternalPlan(f"tell {plan.name}", keep)
            telling.urgent = False
            await self._ask(actor_type, key, telling, ())

        return cast("A", Tell(actor_type, send))

    def spawn(self, actor: type[A], name: str, args: tuple[object, ...]) -> A:
        """Wake an actor explicitly; it lives until it is stopped."""
        actor_type = self.type_of(actor)
        ref = self.ref(actor_type, check_name(name))
        ref._activation = self.activator.spawn(actor_type, ref._id, args)
        return cast("A", ref)

    async def stop(self, ref: object) -> None:
        """Put a running actor to sleep; what is durable stays."""
        if not isinstance(ref, Ref):
            raise InvalidArguments(f"stop() takes a ref, not {type(ref).__name__}", field="ref")
        await self.activator.stop(ref._id)

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
        self.activator.discard(activation, cause)

    async def sync(self, activation: Activation) -> None:
        """Commit what the turn has done; return when it is durable, also without `confirm`."""
        await self.committer.commit_point(activation)
        await self.committer.durable(activation)

    async def in_section(self, activation: Activation, work: Callable[[], Awaitable[V]]) -> V:
        """Run work in a critical section of an actor."""
        section = activation.open_section()
        try:
            return await work()
        finally:
            activation.input.close_section(section)
            self.delivery.pump(activation)

    def database(self, activation: Activation) -> Database:
        """The SQL database of an activation that is durable, made when first needed."""
        if activation.sql is None:
            # The facet may have been taken away since; the activation goes on as it began.
            persistence = activation.type.persistence or Persistence()
            pending = partial(self.committer.pending, activation)
            return activation.open_sql(self.sql.open(activation.id, persistence, pending))
        return activation.sql

    async def transaction(self, activation: Activation, work: Callable[[], Awaitable[V]]) -> V:
        """Run work in a critical section; undo what it did if it raises.

        The section closes last; otherwise a waiting turn would commit changes that must be undone.
        """
        return await self.in_section(activation, lambda: transact(self.loop, activation, work))

    def start_background(
        self, activation: Activation, work: Coroutine[object, object, object]
    ) -> None:
        """Run work beside the turns of an actor; it stays awake until that ends."""
        try:
            activation.check_here()
            activation.check_background(self.config.limits.background)
            if activation.life.state is ActivationState.DEACTIVATING:
                raise CallError(f"{activation.id} goes to sleep: await the work in on_deactivate")
        except WakefulError:
            work.close()
            raise
        turn = Turn(self.committer, activation, "background work")
        turn.holds = False
        before = current.get()
        turn.asker = before.asker if before is not None else None
        context = copy_context()
        context.run(current.set, turn)
        task = self.loop.task(self._background(turn, work), context)
        if activation.background is None:
            activation.background = set()
        background = activation.background
        background.add(task)
        activation.refresh()

        def ended(task: Future[object]) -> None:
            background.discard(task)
            work.close()  # in case it was cancelled before it began
            self.delivery.pump(activation)

        self.loop.when_done(task, ended)

    async def close(self, deadline: Deadline | None = None) -> None:
        """Put all actors to rest, for good; see Drain.

        Args:
            deadline: when it is to be over; by default in `limits.shutdown_seconds`.
        """
        self.recovery.close()
        await self._drain(None, deadline).run()

    async def drain(self, shards: Collection[int], deadline: Deadline | None = None) -> bool:
        """Put the actors of some shards to rest; from then on they take no calls here.

        Returns:
            Whether all that they have written is durable: another owner may have them then.
        """
        return await self._drain(shards, deadline).run()

    def _drain(self, shards: Collection[int] | None, deadline: Deadline | None) -> Drain:
        return Drain(
            intake=self.intake,
            activator=self.activator,
            committer=self.committer,
            delivery=self.delivery,
            sockets=self.sockets,
            courier=self.courier,
            deadline=deadline or Deadline(self.loop.time, self.config.limits.shutdown_seconds),
            shards=shards,
        )

    async def _background(self, turn: Turn, work: Coroutine[object, object, object]) -> object:
        activation = turn.activation
        result: object = None
        try:
            result = await self.delivery.steps.of_background(turn, work)
        except (Exception, CancelledError, SystemExit) as error:  # the last would end the loop
            self._background_failed(activation, turn.cause or error)
        try:
            if activation.life.cause is None:
                await self.committer.commit_point(activation)
        except (Exception, CancelledError) as error:
            self._background_failed(activation, error)
        finally:
            turn.ended = True
        return result

    def _background_failed(self, activation: Activation, error: BaseException) -> None:
        cause = activation.life.cause
        if isinstance(cause, StorageError):
            error = cause
        elif cause is not None:
            return  # it was thrown away on purpose
        log = logger()
        log.error(
            "background work failed",
            actor=str(activation.id),
            error=f"{type(error).__name__}: {error}",
            exc_info=error,
        )

    async def _ask(
        self,
        actor_type: ActorType,
        actor: ActorId,
        plan: InternalPlan,
        args: tuple[object, ...],
    ) -> object:
        return await self.delivery.asking(plan)(self.ref(actor_type, actor.name), *args)

    def _make_committer(self, info: StoreInfo) -> Committer:
        return Committer(
            self.loop,
            self.store,
            info,
            broken=self._broken,
            alarm_set=self._alarm_set,
            now_ns=self.clock.monotonic_ns,
            release=self._release,
        )

    def _make_courier(self) -> Courier:
        return Courier(
            loop=self.loop,
            store=self.store,
            clock=self.clock,
            types=self.types,
            ask=self._ask,
            duties={ALARM: self.alarms, KIND: self.reminders},
            refuses=self.intake.refuses_actor,
            running_max=min(RUNNING_MAX, max(1, self.config.limits.active_actors // 2)),
        )

    def _make_recovery(self) -> Recovery:
        return Recovery(
            self.loop,
            self.store,
            committer=self.committer,
            activator=self.activator,
            seconds=self.config.limits.reopen_seconds,
            reopened=self.courier.look_anew,
            gave_up=self._disown,
        )

    def _make_context(self, activation: Activation) -> Context:
        return Context(self, activation)

    def _deliver(self, activation: Activation) -> None:
        self.delivery.pump(activation)
        self.sockets.drain(activation)

    # --- callbacks between the parts, which the host creates one after the other ------------------

    def _alarm_set(self, due_ns: int) -> None:
        self.courier.note(due_ns)

    def _release(self, activation: Activation) -> None:
        self.sockets.release(activation)

    def _left(self, activation: Activation) -> None:
        self.sockets.gone(activation)

    def _unborn(self, activation: Activation) -> None:
        self.sockets.unborn(activation)

    def _broken(self, lane: Lane, gates: Sequence[OutputGate], error: StorageError) -> None:
        lost = [cast("Activation", gate.owner) for gate in gates]
        self.activator.discard_lost(lost, error)
        if isinstance(error, OwnershipLost):
            self.activator.discard_lane(lane, error)  # a newer owner serves them all, or none does
            self.sockets.drop_lane(lane)
            if self.committer.owns_nothing():
                self._disown(error)
        elif (failed := self.store.failed) is not None:
            self.recovery.begin(failed)

    def _disown(self, error: StorageError) -> None:
        if not self.disowned.done():
            logger().error("this process can serve its actors no more", error=str(error))
            self.disowned.set_result(error)
