"""Wakes actors, puts them to sleep, and discards broken activations, without losing a message.

Invariants: concurrent first messages share one activation; a message that waits when its
            activation goes is delivered to the next one; the next one loads only after the
            writes of the one before are settled.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError, Future
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from wakeful.actor import Actor
from wakeful.actor_type import ActorType
from wakeful.config import Config
from wakeful.core.lifecycle import ActivationState
from wakeful.errors import (
    ActivationAborted,
    ActivationFailed,
    ActorAborted,
    ActorNotFound,
    InvalidArguments,
    RuntimeOverloaded,
    StorageError,
    WakefulError,
    again,
)
from wakeful.ids import ActorId
from wakeful.log import logger
from wakeful.ports import Cells, Clock, Store
from wakeful.runtime.activation import Activation, Envelope, current
from wakeful.runtime.catalog import Catalog
from wakeful.runtime.committer import Committer
from wakeful.runtime.hooks import Hooks
from wakeful.runtime.host_loop import HostLoop
from wakeful.runtime.intake import Intake
from wakeful.runtime.lane import Lane
from wakeful.runtime.near_pages import NearPages

MakeContext = Callable[[Activation], object]
Deliver = Callable[[Activation], None]


class Activator:
    """Changes the lifecycle of activations; no other code does.

    Attributes:
        hooks: those that are under way.
        waiting: calls that wait in mailboxes.
        watchers: futures of code that waits for a turn, a hook or background work to end.
    """

    def __init__(
        self,
        *,
        loop: HostLoop,
        store: Store,
        intake: Intake,
        clock: Clock,
        config: Config,
        committer: Committer,
        make_context: MakeContext,
        deliver: Deliver,
        left: Callable[[Activation], None],
        unborn: Callable[[Activation], None],
    ) -> None:
        active_max = config.limits.active_actors
        self.catalog = Catalog(loop, clock.monotonic_ns, active_max, self.retire)
        self.committer = committer
        self.activations = 0
        self.deactivations = 0
        self.discards = 0
        self.waiting = 0
        self.watchers: list[Future[None]] = []
        self._left = left
        self._unborn = unborn
        self._loop = loop
        self._store = store
        self._intake = intake
        self._clock = clock
        self._config = config
        self._make_context = make_context
        self._deliver = deliver
        self._pages = NearPages(store)
        self.hooks = Hooks(loop, committer, self.tell_watchers)
        self._spawned: dict[ActorId, tuple[object, ...]] = {}

    def find(self, actor_type: ActorType, actor: ActorId) -> Activation:
        """The activation of an actor, woken if need be (it may still be waking)."""
        activation = self.catalog.actors.get(actor)
        if activation is not None:
            return activation
        if actor_type.lifetime is None:
            args = self._spawned.get(actor)
            if args is None:
                raise ActorNotFound(
                    f"{actor} is not running, and {actor_type.name} does not wake by itself: "
                    "derive it from DurableObject or attach a VirtualActorFacet, or spawn it first"
                )
            return self.wake(actor_type, actor, args)
        return self.wake(actor_type, actor)

    def spawn(self, actor_type: ActorType, actor: ActorId, args: tuple[object, ...]) -> Activation:
        """Wake an actor explicitly; if its activation breaks it wakes again, until it is stopped.

        Raises:
            InvalidArguments: it is running already.
            WakefulError: as `wake`.
        """
        if actor in self.catalog.actors:
            raise InvalidArguments(f"{actor} is running already", field="name")
        activation = self.wake(actor_type, actor, args)
        if actor_type.lifetime is None:
            self._spawned[actor] = args
        return activation

    def wake(
        self, actor_type: ActorType, actor: ActorId, args: tuple[object, ...] = ()
    ) -> Activation:
        """Make an activation; if nothing has to be awaited it is ready on return.

        Raises:
            ActivationFailed: the constructor raised.
            StorageError, StateError: what is stored cannot be read.
            RuntimeOverloaded, ShuttingDown, OwnershipLost, StorageUnavailable: it may not wake
                here now.
        """
        activation = self._new(actor_type, actor)
        self._check_may_wake(activation)
        activation.draining = self._intake.refuses(activation.shard)
        activation.used_ns = self._clock.monotonic_ns()
        self.catalog.add(activation)
        self.activations += 1
        try:
            cells = self._store.load(actor) if activation.durable else {}
            far = activation.durable and self._pages.far
            if isinstance(cells, dict) and not far and not actor_type.on_activate:
                self._loop.run(self._wake_at_once, activation, cells, args)
                return activation
        except BaseException as error:
            failure = _why(activation, error)
            self._lose(activation, failure)
            raise failure from failure.__cause__  # it may be the error itself
        self.hooks.start(activation, self._wake_slowly(activation, cells, args))
        return activation

    def retire(self, activation: Activation) -> None:
        """Put a quiet activation to sleep; while something is owed it stays awake."""
        self.catalog.unwatch(activation)
        if self.committer.pending(activation) or not activation.quiet():
            activation.used_ns = self._clock.monotonic_ns()
            self.catalog.watch(activation)
            return
        self.sleep(activation)

    def discard(self, activation: Activation, cause: WakefulError) -> None:
        """Throw an activation away: turns under way get the cause, waiting messages do not.

        If the activation was still waking, waiting messages get the cause too, except when the
        cause is a deletion.
        """
        if self._throw_away(activation, cause):
            self._forget_when_settled(activation)

    def discard_lost(self, activations: Sequence[Activation], cause: StorageError) -> None:
        """Throw away all activations whose writes are lost, before a successor gets a message.

        Otherwise such a message could reach another lost activation that is not marked as lost yet.
        """
        gone = [activation for activation in activations if self._throw_away(activation, cause)]
        for activation in gone:
            self.catalog.remove(activation)
        for activation in gone:
            self._forget(activation)

    def discard_lane(self, lane: Lane, cause: WakefulError) -> None:
        """Throw all activations of a lane away."""
        for activation in self.catalog:
            if activation.lane is lane:
                self.discard(activation, cause)

    def drop_lane(self, lane: Lane, cause: WakefulError) -> None:
        """Take the durable actors of a lane out of memory: they are to be read anew.

        One that is at rest goes to sleep without a hook, which could store nothing: its sockets
        stay. The others are thrown away.
        """
        for activation in self.catalog:
            if activation.lane is not lane or not activation.durable:
                continue
            rests = activation.quiet() and not self.committer.pending(activation)
            if rests and activation.type.lifetime is not None:
                self.catalog.unwatch(activation)
                activation.life.retire()
                activation.refresh()
                self._gone(activation)
            else:
                self.discard(activation, cause)

    async def delete(self, actor_type: ActorType, actor: ActorId) -> None:
        """Remove everything stored of an actor, and its activation if there is one."""
        if self._intake.refuses_actor(actor):
            raise self._intake.refusal(actor)
        self._spawned.pop(actor, None)
        while (activation := self.catalog.actors.get(actor)) is not None:
            if activation.life.state is not ActivationState.GONE:
                break
            with suppress(StorageError):  # told to those who wrote
                await self.committer.written(activation)
            await asyncio.sleep(0)  # until it is forgotten
        if activation is None:
            # An activation that is never filled; it only carries the deletion.
            activation = self._new(actor_type, actor)
            if (lost := activation.lane.ownership.lost) is not None:
                raise again(lost)
            self.catalog.add(activation)
        activation.wiped = True
        if activation.durable:
            self.committer.wrote(activation)
        self.discard(activation, ActorAborted(f"{actor} was deleted"))
        await self.committer.written(activation)

    async def stop(self, actor: ActorId) -> None:
        """Put one activation to sleep now, whatever its lifetime; its turns end first.

        Raises:
            ActorNotFound: it is not running.
        """
        activation = self.catalog.actors.get(actor)
        spawned = self._spawned.pop(actor, None)
        if activation is None:
            if spawned is None:
                raise ActorNotFound(f"{actor} is not running")
            return
        activation.stopping = True
        activation.refresh()
        try:
            await self._put_to_sleep(activation)
        finally:
            activation.stopping = False  # the caller may have given up while it was still waking
            if activation.life.state is ActivationState.ACTIVE:
                self._deliver(activation)

    async def _put_to_sleep(self, activation: Activation) -> None:
        while activation.life.state is not ActivationState.GONE:
            if not activation.at_rest():
                await self.change()
            elif self.committer.pending(activation):
                with suppress(StorageError):  # told to those who wrote
                    await self.committer.written(activation)
            else:
                self.sleep(activation)

    async def change(self) -> None:
        """Return when some turn, hook or work in the background has ended."""
        changed: Future[None] = self._loop.future()
        self.watchers.append(changed)
        await changed

    def tell_watchers(self) -> None:
        """Wake the watchers: something has ended."""
        watchers, self.watchers = self.watchers, []
        for changed in watchers:
            if not changed.done():
                changed.set_result(None)

    def _check_may_wake(self, activation: Activation) -> None:
        actor = activation.id
        if self._intake.refuses(activation.shard):
            self._intake.check(actor, current.get())
        if (lost := activation.lane.ownership.lost) is not None:
            raise again(lost)
        if self.catalog.full():
            raise RuntimeOverloaded(
                f"{actor}: {len(self.catalog)} actors are active and none can sleep "
                "(limits.active_actors)"
            )

    def _new(self, actor_type: ActorType, actor: ActorId) -> Activation:
        shard = self._intake.shard_of(actor)
        return Activation(actor_type, actor, shard, self.committer.lane_of(shard))

    def _fill(self, activation: Activation, cells: Cells, args: tuple[object, ...]) -> None:
        cls = activation.type.cls
        instance: Actor = cls.__new__(cls)
        vars(instance)["ctx"] = self._make_context(activation)
        activation.wake(instance, cells, args)

    def _wake_at_once(self, activation: Activation, cells: Cells, args: tuple[object, ...]) -> None:
        self._fill(activation, cells, args)
        if activation.type.has_constructor:  # the first turn must not undo what the constructor did
            self._save(activation)
        self._ready(activation)

    def _ready(self, activation: Activation) -> None:
        activation.life.ready()
        for hook in activation.type.chain.on_activated:
            hook(activation.id)
        activation.refresh()
        self.catalog.watch(activation)

    async def _wake_slowly(
        self, activation: Activation, cells: Cells | Awaitable[Cells], args: tuple[object, ...]
    ) -> None:
        limit = asyncio.timeout(self._config.limits.activate_seconds)
        try:
            async with limit:
                loaded = cells if isinstance(cells, dict) else await cells
                if activation.durable:
                    await self._pages.fetch(activation.id)
                self._fill(activation, loaded, args)
                await self.hooks.run(activation, "on_activate", activation.instance.on_activate())
            if activation.life.state is ActivationState.GONE:
                return
            self._save(activation)
            self._ready(activation)
        except BaseException as error:
            failure = _why(activation, error)
            if limit.expired():
                late = f"{activation.id} took too long to wake (limits.activate_seconds)"
                failure = ActivationFailed(late)
            self._lose(activation, failure)
        else:
            self._deliver(activation)

    def sleep(self, activation: Activation) -> None:
        """Begin to put an activation to sleep that is quiet and owes nothing."""
        self.catalog.unwatch(activation)
        activation.life.retire()
        activation.refresh()
        if activation.type.on_deactivate:
            self.hooks.start(activation, self._retire_slowly(activation))
        else:
            self._gone(activation)

    async def _retire_slowly(self, activation: Activation) -> None:
        try:
            async with asyncio.timeout(self._config.limits.activate_seconds):
                await self.hooks.run(
                    activation, "on_deactivate", activation.instance.on_deactivate()
                )
            if activation.life.state is ActivationState.GONE:
                return
            self._save(activation)
            await self.committer.written(activation)
        except BaseException as error:
            if activation.life.state is not ActivationState.GONE:
                log = logger()
                log.exception("on_deactivate failed", actor=str(activation.id), error=str(error))
                if activation.durable:
                    activation.undo()  # what it wanted to send must not leave either
        if activation.life.state is ActivationState.DEACTIVATING:
            self._gone(activation)

    def _save(self, activation: Activation) -> None:
        if activation.durable and activation.save():
            self.committer.wrote(activation)

    def _gone(self, activation: Activation) -> None:
        activation.life.gone()
        self._spawned.pop(activation.id, None)
        self.deactivations += 1
        self._tell_deactivated(activation)
        self._left(activation)
        self._forget(activation)
        activation.release()

    def _tell_deactivated(self, activation: Activation) -> None:
        for hook in activation.type.chain.on_deactivated:
            try:
                self._loop.run(hook, activation.id)
            except Exception as error:  # this actor and the others go to sleep all the same
                log = logger()
                log.exception("a facet failed", actor=str(activation.id), error=str(error))

    def _throw_away(self, activation: Activation, cause: WakefulError) -> bool:
        """End an activation; returns whether the catalog still has to forget it."""
        if activation.life.state is ActivationState.ACTIVATING and not activation.wiped:
            self._lose(activation, cause)
            return False
        if not activation.life.fail(cause):
            return False
        self.discards += 1
        activation.input.fail(cause)
        if activation.sql is not None:
            activation.sql.close()
        activation.refresh()
        self.catalog.unwatch(activation)
        for turn in activation.turns:
            turn.interrupt(cause)
        for task in list(activation.background or ()):
            task.cancel()
        self.hooks.cancel(activation)
        self._tell_deactivated(activation)
        self._left(activation)
        first = activation.mailbox.peek() if activation.mailbox is not None else None
        if first is not None and first.plan.gated:
            self._refuse(_drain(activation), cause)
        return True

    def _lose(self, activation: Activation, failure: WakefulError) -> None:
        """Fail an activation that never woke: everything that waits for it gets the reason."""
        if not activation.life.fail(failure):
            return
        self.discards += 1
        activation.input.fail(failure)
        if activation.sql is not None:
            activation.sql.close()
        self.catalog.unwatch(activation)
        self.hooks.cancel(activation)
        self._unborn(activation)
        self._refuse(_drain(activation), failure)
        self._forget_when_settled(activation)

    def _refuse(self, waiting: list[Envelope], cause: WakefulError) -> None:
        self.waiting -= len(waiting)
        for envelope in waiting:
            if not envelope.reply.done():
                envelope.reply.set_exception(again(cause))

    def _forget_when_settled(self, activation: Activation) -> None:
        if activation.gate.broken is not None or not self.committer.pending(activation):
            self._forget(activation)
            return
        settled: Future[object] = self._loop.future()

        def gone(done: Future[object]) -> None:
            done.exception()  # mark as retrieved: the waiting callers have been told
            self._forget(activation)

        self._loop.when_done(settled, gone)
        activation.lane.commit.wait(activation.gate, settled)

    def _forget(self, activation: Activation) -> None:
        self.catalog.remove(activation)
        self._pages.forget(activation.id)
        if activation.life.cause is not None:  # its own code may be running right now
            self._loop.soon(self._release_lost, activation)
        waiting = _drain(activation)
        if waiting:
            self._hand_over(activation, waiting)
        self.tell_watchers()

    def _release_lost(self, activation: Activation) -> None:
        """Release what a lost activation holds, if it had woken and none of its code still runs."""
        if hasattr(activation, "instance") and not activation.shared():
            activation.release()

    def _hand_over(self, activation: Activation, waiting: list[Envelope]) -> None:
        # While the runtime closes, it wakes only if a turn under way is among those who wait.
        turns = (w for w in waiting if self._intake.is_needed_by(w.context.get(current)))
        first = next(turns, waiting[0])
        try:
            successor = first.context.run(self.find, activation.type, activation.id)
        except WakefulError as error:
            self._refuse(waiting, error)
            return
        for envelope in waiting:
            successor.queue(self._config.limits.mailbox).offer_urgent(envelope)
        successor.refresh()
        self._deliver(successor)


def _drain(activation: Activation) -> list[Envelope]:
    return activation.mailbox.drain() if activation.mailbox is not None else []


def _why(activation: Activation, error: BaseException) -> WakefulError:
    if isinstance(error, WakefulError):
        return error
    if isinstance(error, ActivationAborted):
        return error.cause
    what = "it was cancelled" if isinstance(error, CancelledError) else type(error).__name__
    failure = ActivationFailed(f"{activation.id} could not wake: {what}: {error}".rstrip(": "))
    failure.__cause__ = error
    return failure
