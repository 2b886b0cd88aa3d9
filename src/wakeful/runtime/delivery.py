"""Delivers calls and runs turns; the hottest file.

The life of a call is in `ask`. Three ways, fastest first:
    straight   the actor is free and the method has no await: it runs right here;
    inline     the actor is free: the first step runs here, a pooled runner goes on if it waits;
    queued     the actor is busy or waking: the call waits in its mailbox.

Invariants: a turn ends in `_conclude`, or in the two lines of `ask` that do the same for a
            straight one; nothing an actor says leaves except through the committer.
"""

from __future__ import annotations

from asyncio import Future, current_task
from collections.abc import Callable, Mapping
from contextvars import Context
from functools import partial
from typing import Final

from wakeful.actor_type import ActorType, MethodPlan
from wakeful.config import Config
from wakeful.core.lifecycle import ActivationState
from wakeful.core.waits import Wait, WaitGraph
from wakeful.errors import (
    ActivationAborted,
    CallCycle,
    DeadlineExceeded,
    DeadlineInQueue,
    Overloaded,
    RuntimeOverloaded,
    WakefulError,
    again,
)
from wakeful.facet import Replaced
from wakeful.ids import ActorId
from wakeful.ports import Clock
from wakeful.runtime.activation import (
    Activation,
    Envelope,
    Turn,
    current,
    holder,
    keep,
)
from wakeful.runtime.activator import Activator
from wakeful.runtime.committer import Committer
from wakeful.runtime.here import RuntimeThread, here
from wakeful.runtime.host_loop import HostLoop
from wakeful.runtime.intake import Intake
from wakeful.runtime.outcome import for_caller, of_turn, says_nothing_happened
from wakeful.runtime.readonly import check_unchanged
from wakeful.runtime.refs import Asking, Ref
from wakeful.runtime.runners import SUSPENDED, RunnerPool
from wakeful.runtime.steps import Steps
from wakeful.runtime.turn_time import TurnTime

Args = tuple[object, ...]
Kwargs = Mapping[str, object]
Reply = Future[object]

STRAIGHT_RUN_MAX: Final = 64  # queued turns run before other actors get the loop


class Delivery:
    """From a call to its answer.

    Attributes:
        on_partly_undone: gets turns that raised after what they had changed was committed.
    """

    def __init__(
        self,
        *,
        loop: HostLoop,
        clock: Clock,
        config: Config,
        activator: Activator,
        committer: Committer,
        intake: Intake,
    ) -> None:
        self.committer = committer
        self.home = RuntimeThread(loop.raw)
        self.waits: WaitGraph[ActorId, Turn] = WaitGraph()
        self.on_partly_undone: Callable[[Turn, BaseException], object] | None = None
        self.failures = 0
        self.shed = 0
        self._loop = loop
        self._new_future = loop.future
        self._time = TurnTime(loop, config.limits.turn_seconds, activator.discard)
        self._to_pump: set[Activation] = set()
        self._now_ns = clock.monotonic_ns
        self._limits = config.limits
        self._activator = activator
        self._intake = intake
        self.pool = RunnerPool(loop, self._finish)
        self.steps = Steps(loop)

    @property
    def waiting(self) -> int:
        """Calls that wait in mailboxes."""
        return self._activator.waiting

    def asking(self, plan: MethodPlan) -> Asking:  # noqa: C901 - the hottest path is one piece
        """The function a ref has for a method: a call goes in, its answer comes out.

        Everything the straight path needs is bound here, once.
        """
        now_ns, home = self._now_ns, self.home.mark
        new_future, in_turn = self._new_future, current.get
        writes = not plan.readonly

        async def ask(ref: Ref, /, *args: object, **kwargs: object) -> object:
            if args or kwargs or plan.required:
                args, kwargs = plan.copy_arguments(args, kwargs)
            activation = ref._activation
            if activation is None or not activation.free or here() != home:
                activation = self._found(ref)
            plan.calls += 1
            if not plan.straight or not activation.free or in_turn() is not None:
                return await self._ask_slowly(activation, plan, args, kwargs)
            if activation.timed:
                activation.used_ns = now_ns()
            try:
                result = await (
                    plan.function(activation.instance, *args, **kwargs)
                    if args or kwargs
                    else plan.function(activation.instance)  # without a second dict
                )
                if type(result) not in plan.result_types:
                    result = plan.copy_result(result)
                if not activation.durable:
                    return result
                working = activation.working
                wrote = (
                    working.save()
                    if writes
                    else (working.touched or activation.sql is not None)
                    and check_unchanged(activation, plan.name)
                )
            except BaseException as error:
                return await self._straight_failed(activation, plan, error)
            if wrote and activation.confirm:
                durable = new_future()
                activation.lane.wrote_and_waits(activation.gate, durable)
                await durable
            elif (
                wrote
                or activation.gate.batch > activation.lane.commit.settled
                or activation.used_ns >= activation.lane.lease.until_ns
            ):
                await self._straight_ended(activation, wrote)
            return result

        return ask

    def post(
        self,
        actor_type: ActorType,
        actor: ActorId,
        plan: MethodPlan,
        event: object,
        context: Context | None = None,
    ) -> Reply:
        """Deliver an event to an actor, after those before it; done when it has ended.

        Args:
            actor_type: of what type the actor is.
            actor: which.
            plan: handles the event.
            event: what has happened.
            context: whose event it is; by default of the code that runs.

        Raises:
            WakefulError: it was refused.
        """
        activation = self._activator.find(actor_type, actor)
        if activation.draining and current.get() is None:
            raise self._intake.refusal(actor)
        plan.calls += 1
        envelope = Envelope(plan, (event,), {}, self._new_future(), context=context)
        if self._may_begin(activation, plan):
            self._run_queued(activation, envelope)
        else:
            self._queue(activation, envelope)
        self.pump(activation)
        return envelope.reply

    def _may_begin(self, activation: Activation, plan: MethodPlan) -> bool:
        """Whether an event can begin at once: the actor admits it, and nothing is before it."""
        if activation.mailbox or activation.life.state is not ActivationState.ACTIVE:
            return False
        return activation.admits(plan) and not (plan.gated and _begins(activation))

    def pump(self, activation: Activation) -> None:
        """Start what waits in the mailbox, as far as the actor admits it."""
        mailbox = activation.mailbox
        if mailbox is not None and activation.life.state is ActivationState.ACTIVE:
            budget = STRAIGHT_RUN_MAX
            while (event := mailbox.peek()) is not None and activation.admits(event.plan):
                if budget == 0 or (event.plan.gated and _begins(activation)):
                    self._pump_soon(activation)
                    break
                budget -= 1
                mailbox.take()
                self._activator.waiting -= 1
                if not event.reply.done():
                    self._run_queued(activation, event)
        activation.refresh()
        self._activator.tell_watchers()

    def _pump_soon(self, activation: Activation) -> None:
        if activation not in self._to_pump:
            self._to_pump.add(activation)
            self._loop.soon(self._pump_now, activation)

    def _pump_now(self, activation: Activation) -> None:
        self._to_pump.discard(activation)
        self.pump(activation)

    def _run_queued(self, activation: Activation, event: Envelope) -> None:
        plan, args, kwargs = event.plan, event.args, event.kwargs
        turn = self._start(
            activation, plan, args, kwargs, event.context, wait=event.wait, asker=event.asker
        )
        event.turn = turn
        if turn.ended:
            self.committer.deliver(activation, event.reply, turn.result, turn.error)
        else:
            turn.reply = event.reply

    async def end_turns(self, seconds: float, of: Callable[[Turn], bool]) -> None:
        """End turns whose activations are gone; wait for them up to a time, then abandon them."""
        for turn in await self.pool.end(seconds, of):
            self._time.give_up(turn)

    def close(self) -> None:
        """No more turns begin."""
        self._time.close()
        self.pool.close()

    def _found(self, ref: Ref) -> Activation:
        """The activation that a ref leads to now, woken if need be.

        Raises:
            WrongThread: it is asked for elsewhere than where the runtime is.
            WakefulError: it may not wake.
        """
        if here() != self.home.mark or current_task(self._loop.raw) is None:
            self.home.check()  # before an actor is woken there
        activation = ref._activation = self._activator.find(ref._type, ref._id)
        return activation

    async def _straight_ended(self, activation: Activation, wrote: bool) -> None:
        """The rarer ends of a straight turn: unconfirmed writes, or reads to be confirmed."""
        if wrote:
            self.committer.wrote(activation)
        elif activation.confirm:
            await self.committer.durable(activation)

    async def _straight_failed(
        self, activation: Activation, plan: MethodPlan, error: BaseException
    ) -> object:
        self.failures += 1
        if isinstance(error, ActivationAborted):
            await self.committer.durable(activation)
            raise again(error.cause) from None
        if activation.durable:
            activation.undo()
            if activation.confirm:
                await self.committer.durable(activation)
        if isinstance(error, Replaced):
            return plan.copy_result(error.answer)
        raise for_caller(activation.type, plan, error)

    async def _ask_slowly(
        self, activation: Activation, plan: MethodPlan, args: Args, kwargs: Kwargs
    ) -> object:
        if current_task(self._loop.raw) is None:  # perhaps another loop of this thread runs
            self.home.check()
        turn = current.get()
        if turn is None:
            self._check_open(activation, None)
            return await self._deliver(activation, plan, args, kwargs)
        if await turn.home.commit_point(turn.activation):
            turn.left_for = activation.type, plan
        activation = self._activator.find(activation.type, activation.id)
        inside = not turn.ended and turn.home is self.committer
        self._check_open(activation, turn)
        try:
            if inside and turn.holds:
                result = await self._ask_and_wait(turn, activation, plan, args, kwargs)
            else:
                asker = turn.activation.id if inside else None  # None: of another runtime
                result = await self._deliver(activation, plan, args, kwargs, asker=asker)
        except BaseException as error:
            turn.acted = turn.acted or not (plan.readonly or says_nothing_happened(error))
            raise
        turn.acted = turn.acted or not plan.readonly
        return result

    def _check_open(self, activation: Activation, turn: Turn | None) -> None:
        if activation.draining:
            self._intake.check(activation.id, turn)

    async def _ask_and_wait(
        self, turn: Turn, activation: Activation, plan: MethodPlan, args: Args, kwargs: Kwargs
    ) -> object:
        """Ask another actor from a turn; refuse a wait that would close a cycle."""
        asker, target = turn.activation.id, activation.id
        if not activation.admits(plan):
            self._check_cycle(turn, target, plan)
        wait = self.waits.add(asker, turn, turn.what, target)
        try:
            return await self._deliver(activation, plan, args, kwargs, wait, asker=asker)
        finally:
            self.waits.remove(wait)

    def _check_cycle(self, turn: Turn, target: ActorId, plan: MethodPlan) -> None:
        cycle = self.waits.cycle(turn.activation.id, turn, target)
        if cycle is None:
            return
        steps = [(turn.activation.id, turn.what), *cycle]
        path = " -> ".join(f"{actor}.{method}" for actor, method in steps)
        raise CallCycle(
            f"this call would wait for ever: {path} -> {target}.{plan.name}. "
            f"Mark {target.type}.{plan.name} with @interleave if it may run meanwhile."
        )

    async def _deliver(
        self,
        activation: Activation,
        plan: MethodPlan,
        args: Args,
        kwargs: Kwargs,
        wait: Wait[ActorId, Turn] | None = None,
        *,
        asker: ActorId | None = None,
    ) -> object:
        """Run the turn now if the actor is free for it, else queue it; returns its answer."""
        first = plan.interleave or not activation.mailbox
        if not (first and activation.admits(plan)):
            event = Envelope(plan, args, kwargs, self._new_future(), wait)
            event.asker = asker
            return await self._ask_in_turn(activation, event)
        turn = self._start(activation, plan, args, kwargs, wait=wait, asker=asker)
        try:
            if not turn.ended:
                turn.reply = self._new_future()
                return await turn.reply
            self._after_turn(activation)
            if self.committer.withholds(activation):
                await self.committer.durable(activation)
            if turn.error is not None:
                raise turn.error
        except WakefulError as error:
            if (outcome := of_turn(turn, error)) is error:
                raise
            raise outcome from error
        return turn.result

    async def _ask_in_turn(self, activation: Activation, event: Envelope) -> object:
        """Queue a call; returns its answer."""
        try:
            return await self._queue(activation, event)
        except WakefulError as error:
            if event.turn is not None and (outcome := of_turn(event.turn, error)) is not error:
                raise outcome from error
            if event.turn is not None or not isinstance(error, DeadlineExceeded):
                raise
            raise DeadlineInQueue(
                f"{activation.id}.{event.plan.name} did not begin within {error.allowed}; "
                "it has not run, and will not",
                error.allowed,
            ) from error

    def _queue(self, activation: Activation, event: Envelope) -> Future[object]:
        waiting = self._activator.waiting
        if event.plan.urgent:
            activation.queue(self._limits.mailbox).offer_urgent(event)
        elif waiting >= self._limits.calls_waiting:
            self.shed += 1
            raise RuntimeOverloaded(f"{waiting} calls are waiting (limits.calls_waiting)")
        elif not activation.queue(self._limits.mailbox).offer(event):
            self.shed += 1
            raise Overloaded(
                f"{activation.id} has {self._limits.mailbox} calls waiting (limits.mailbox)"
            )
        self._activator.waiting += 1
        activation.free = False
        return event.reply

    def _start(
        self,
        activation: Activation,
        plan: MethodPlan,
        args: Args,
        kwargs: Kwargs,
        context: Context | None = None,
        *,
        wait: Wait[ActorId, Turn] | None = None,
        asker: ActorId | None = None,
    ) -> Turn:
        """Start a turn; if it ends at once, the turn holds its outcome."""
        activation.used_ns = self._now_ns()
        turn = Turn(self.committer, activation, plan.name, plan)
        turn.asker = asker
        if wait is not None:
            wait.runs_as = turn
        if activation.shared() or activation.effects is not None:
            try:  # joining others, or coming after what was sent, is a commit point of theirs
                keep(self.committer, activation, holder(activation))
            except Exception as refused:
                turn.ended, turn.error = True, refused
                return turn
        activation.input.enter()
        activation.free = False
        activation.turns = (*activation.turns, turn)
        try:
            work = plan.function(activation.instance, *args, **kwargs)
            if activation.stepped and not (plan.straight or plan.gated):
                work = self.steps.of(turn, work)
            result = self.pool.start(turn, work, context)
        except BaseException as error:
            self._conclude(turn, None, error)
            return turn
        if result is not SUSPENDED:
            self._conclude(turn, result, None)
        elif not plan.gated:
            self._time.watch(turn)
        return turn

    def _finish(self, turn: Turn, result: object, error: BaseException | None) -> None:
        """A suspended turn has ended, in its runner."""
        activation = turn.activation
        self._time.ended(turn)
        if activation.transaction is not None:  # another turn's: not to be split
            later = partial(self._loop.soon, self._finish, turn, result, error)
            activation.transaction.when_over(later)
            return
        self._conclude(turn, result, error)
        assert turn.reply is not None
        self.committer.deliver(activation, turn.reply, turn.result, turn.error)
        self._after_turn(activation)

    def _after_turn(self, activation: Activation) -> None:
        if activation.mailbox or self._activator.watchers:
            self.pump(activation)
        else:
            activation.refresh()

    def _conclude(self, turn: Turn, result: object, error: BaseException | None) -> None:
        """End a turn: save what it did, or undo it; the turn then holds its outcome."""
        activation, plan = turn.activation, turn.plan
        assert plan is not None
        has_run = not turn.ended
        turn.ended = True
        activation.input.leave()
        turns = activation.turns
        activation.turns = () if len(turns) == 1 else tuple(t for t in turns if t is not turn)
        cause = activation.life.cause or turn.cause
        error = again(cause) if cause is not None else error
        try:
            if error is None:
                if type(result) not in plan.result_types:
                    result = plan.copy_result(result)
                if plan.readonly and activation.durable:
                    check_unchanged(activation, plan.name)
                elif activation.durable and activation.save():
                    self.committer.wrote(activation)
            elif isinstance(error, Replaced):
                self._undo(activation)
                result, error = plan.copy_result(error.answer), None
        except Exception as refused:
            error = refused
        if error is None:
            turn.result = result
        else:
            if has_run:  # else what is not saved is of a turn that it was to join
                self._undo(activation)
            turn.error = self._told(turn, plan, error)
        if activation.effects is not None:
            self.committer.release(activation)

    def _told(self, turn: Turn, plan: MethodPlan, error: BaseException) -> BaseException:
        """What the caller of a failed turn is told."""
        if turn.left_for is not None and self.on_partly_undone is not None:
            self.on_partly_undone(turn, error)
        return for_caller(turn.activation.type, plan, error)

    def _undo(self, activation: Activation) -> None:
        """Take back what a turn that ends has done since its last commit point or step."""
        self.failures += 1
        if activation.durable and activation.life.cause is None:
            activation.undo()


def _begins(activation: Activation) -> bool:
    """Whether the last turn may not have had its first step yet; nothing may overtake it."""
    return bool(activation.turns) and not activation.turns[-1].waited
