"""Waking, sleeping, breaking, stopping, deleting, closing: no message is lost on the way."""

import asyncio
import contextlib
import gc
import weakref
from contextvars import ContextVar
from datetime import timedelta

import pytest
from tests.runtime.world import FlakyStore, outcome, runtime, settle, virtual

from wakeful import (
    ActivationFailed,
    Actor,
    ActorAborted,
    ActorBuilder,
    ActorNotFound,
    DurableObject,
    InvalidArguments,
    ShuttingDown,
    StorageError,
    UnknownOutcome,
    VirtualActorConfig,
)
from wakeful.errors import RuntimeOverloaded
from wakeful.store.memory import MemoryDisk, MemoryStore


class Counter(DurableObject):
    count: int = 0

    async def add(self) -> int:
        self.count += 1
        return self.count

    async def get(self) -> int:
        return self.count

    async def wait(self, seconds: float) -> int:
        await asyncio.sleep(seconds)
        return self.count


class Hooked(DurableObject):
    """Its hooks do what the test says."""

    wakes: int = 0
    sleeps: int = 0
    got: list[int] = []

    async def on_activate(self) -> None:
        self.wakes += 1
        await plans.get("wake", nothing)(self)

    async def on_deactivate(self) -> None:
        self.sleeps += 1
        await plans.get("sleep", nothing)(self)

    async def put(self, number: int) -> int:
        self.got.append(number)
        return self.wakes

    async def seen(self) -> tuple[int, int, list[int]]:
        return self.wakes, self.sleeps, self.got


async def nothing(actor: Hooked) -> None:
    pass


plans: dict[str, object] = {}


@pytest.fixture(autouse=True)
def _no_plans() -> None:
    plans.clear()


# --- waking ----------------------------------------------------------------------------------


@virtual
async def test_actor_wakes_on_its_first_message_and_not_before() -> None:
    async with runtime(Counter) as rt:
        ref = rt.get(Counter, "c")
        assert len(rt.host.activator.catalog) == 0
        assert await ref.add() == 1
        assert len(rt.host.activator.catalog) == 1


@virtual
async def test_failure_to_wake_reaches_every_caller_and_the_next_call_tries_again() -> None:
    async def fail(actor: Hooked) -> None:
        await asyncio.sleep(1)
        raise ValueError("not today")

    async with runtime(Hooked, mailbox=10_000) as rt:
        ref = rt.get(Hooked, "h")
        plans["wake"] = fail
        outcomes = await asyncio.gather(*(outcome(ref.put(n)) for n in range(1_000)))
        assert {type(error) for error in outcomes} == {ActivationFailed}
        assert "Hooked/h could not wake: ValueError: not today" in str(outcomes[0])
        assert len(rt.host.activator.catalog) == 0
        assert rt.host.delivery.waiting == 0
        plans.clear()
        assert await ref.put(1) == 1


@virtual
@pytest.mark.parametrize("kind", ["cancelled", "exit", "abort", "inner timeout"])
async def test_hook_that_ends_in_an_unusual_way_is_a_failure_to_wake(kind: str) -> None:
    async def end(actor: Hooked) -> None:
        await asyncio.sleep(0)
        if kind == "cancelled":
            raise asyncio.CancelledError
        if kind == "exit":
            raise SystemExit(1)
        if kind == "inner timeout":
            raise TimeoutError("the database")
        actor.ctx.abort("cannot work like this")

    async with runtime(Hooked) as rt:
        ref = rt.get(Hooked, "h")
        plans["wake"] = end
        outcomes = await asyncio.gather(*(outcome(ref.put(n)) for n in range(3)))
        kinds = {type(error) for error in outcomes}
        assert kinds == ({ActorAborted} if kind == "abort" else {ActivationFailed})
        assert "activate_seconds" not in str(outcomes[0])
        plans.clear()
        assert await ref.put(1) == 1


@virtual
async def test_hook_that_takes_too_long_is_cancelled() -> None:
    async with runtime(Hooked, activate_seconds=5) as rt:
        plans["wake"] = lambda actor: asyncio.sleep(3600)
        error = await outcome(rt.get(Hooked, "h").put(1))
        assert isinstance(error, ActivationFailed)
        assert "limits.activate_seconds" in str(error)
        assert asyncio.get_running_loop().time() == 5


@virtual
@pytest.mark.parametrize("kind", ["raises", "cancelled", "aborts"])
async def test_constructor_that_fails_is_a_failure_to_wake(kind: str) -> None:
    class Built(DurableObject):
        def __init__(self) -> None:
            if failing:
                if kind == "raises":
                    raise ValueError("broken")
                if kind == "cancelled":
                    raise asyncio.CancelledError
                self.ctx.abort("no")

        async def hello(self) -> str:
            return "hello"

    failing = True
    async with runtime(Built) as rt:
        ref = rt.get(Built, "b")
        with pytest.raises((ActivationFailed, ActorAborted)):
            await ref.hello()
        failing = False
        assert await ref.hello() == "hello"


@virtual
async def test_typed_error_of_a_constructor_is_not_its_own_cause() -> None:
    """Whoever follows the causes of an error, to print it say, must come to an end."""

    class Picky(DurableObject):
        def __init__(self) -> None:
            raise InvalidArguments("not like this") from ValueError("why")

        async def hello(self) -> None:
            pass

    async with runtime(Picky) as rt:
        error = await outcome(rt.get(Picky, "p").hello())
        assert isinstance(error, InvalidArguments)
        assert isinstance(error.__cause__, ValueError)


class Made(DurableObject):
    """Its constructor sets a default, and does what only a constructor's storage calls can do."""

    count: int = 0

    def __init__(self) -> None:
        self.count = 10
        if self.ctx.alarm.get() is None:
            self.ctx.alarm.set(timedelta(days=1))
        self.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS rows(x)")

    async def add(self, *, fails: bool = False) -> int:
        self.count += 1
        self.ctx.storage.sql.exec("INSERT INTO rows VALUES (1)")
        await self.ctx.storage.put("k", self.count)
        if fails:
            raise ValueError
        return self.count

    async def look(self) -> tuple[int, int, int | None]:
        rows = len(self.ctx.storage.sql.exec("SELECT x FROM rows").all())
        return self.count, rows, self.ctx.alarm.get()

    async def without_alarm(self) -> None:
        self.ctx.alarm.delete()

    async def alarm(self) -> None:
        pass


@virtual
async def test_first_turn_that_fails_does_not_undo_what_the_constructor_has_done() -> None:
    async with runtime(Made) as rt:
        ref = rt.get(Made, "m")
        await outcome(ref.add(fails=True))
        assert (await ref.look())[:2] == (10, 0)
        assert (await ref.look())[2] is not None


@virtual
async def test_constructor_sees_what_is_stored_and_adds_to_it() -> None:
    async with runtime(Made) as rt:
        ref = rt.get(Made, "m")
        assert await ref.add() == 11
        due_ns = (await ref.look())[2]
        await asyncio.sleep(3600)
        assert (11, 1, due_ns) == await ref.look()
        await ref.without_alarm()
        await rt.stop(ref)
        count, rows, newer_ns = await ref.look()
        assert (count, rows) == (11, 1)
        assert due_ns is not None
        assert newer_ns == due_ns + 3600 * 10**9


@virtual
async def test_store_that_cannot_be_read_is_an_error_for_the_caller_only() -> None:
    store = FlakyStore()
    async with runtime(Counter, store=store) as rt:
        ref = rt.get(Counter, "c")
        store._epochs, epochs = [], store._epochs
        with pytest.raises(StorageError):
            await ref.get()
        store._epochs = epochs
        assert await ref.get() == 0


@virtual
async def test_store_that_answers_later_is_asked_once_for_many_callers() -> None:
    store = FlakyStore()
    async with runtime(Counter, store=store) as rt:
        store.loading = asyncio.Event()
        calls = [asyncio.create_task(rt.get(Counter, "c").add()) for _ in range(100)]
        await settle()
        store.loading.set()
        assert sorted(await asyncio.gather(*calls)) == list(range(1, 101))
        assert store.loads == 1


@virtual
async def test_waking_actor_may_ask_another() -> None:
    async def ask(actor: Hooked) -> None:
        actor.got.append(await actor.ctx.get(Counter, "c").add())

    async with runtime(Hooked, Counter) as rt:
        plans["wake"] = ask
        ref = rt.get(Hooked, "h")
        assert await ref.put(7) == 1
        assert await ref.seen() == (1, 0, [1, 7])


@virtual
async def test_what_on_activate_writes_is_durable_with_the_first_answer() -> None:
    disk = MemoryDisk()
    async with runtime(Hooked, store=MemoryStore(disk)) as rt:
        await rt.get(Hooked, "h").seen()
        assert ("Hooked", "h") in disk.cells


@virtual
async def test_commit_that_fails_in_on_activate_is_told_to_the_callers() -> None:
    async def sync(actor: Hooked) -> None:
        await actor.ctx.storage.sync()

    store = FlakyStore()
    async with runtime(Hooked, store=store) as rt:
        plans["wake"] = sync
        store.failures = [UnknownOutcome("lost")] * 1
        ref = rt.get(Hooked, "h")
        outcomes = await asyncio.gather(*(outcome(ref.put(n)) for n in range(3)))
        assert {type(error) for error in outcomes} == {UnknownOutcome}
        assert await ref.put(1) == 1


# --- sleeping --------------------------------------------------------------------------------


@virtual
async def test_idle_actor_sleeps_after_its_time_and_its_state_stays() -> None:
    async with runtime(Counter, idle_seconds=10) as rt:
        ref = rt.get(Counter, "c")
        await ref.add()
        await asyncio.sleep(9)
        assert len(rt.host.activator.catalog) == 1
        assert await ref.add() == 2
        await asyncio.sleep(9)
        assert len(rt.host.activator.catalog) == 1
        await asyncio.sleep(1.1)
        assert len(rt.host.activator.catalog) == 0
        assert await ref.add() == 3


@virtual
async def test_actor_that_falls_idle_sooner_is_not_kept_awake_by_one_that_takes_longer() -> None:
    longer = VirtualActorConfig(idle_timeout=3600)
    long = ActorBuilder(Counter, "Long").with_virtual_actor(longer).build()

    class Short(DurableObject):
        async def hello(self) -> str:
            return "hello"

    async with runtime(long, Short) as rt:
        await rt.get(Counter, "l").add()
        await rt.get(Short, "s").hello()
        await asyncio.sleep(11)
        assert [str(a.id) for a in rt.host.activator.catalog] == ["Long/l"]


@virtual
async def test_no_timer_is_left_when_all_sleep() -> None:
    async with runtime(Counter) as rt:
        for number in range(100):
            await rt.get(Counter, str(number)).add()
        await asyncio.sleep(30)
        assert len(rt.host.activator.catalog) == 0
        loop = asyncio.get_running_loop()
        assert [timer for timer in loop._scheduled if not timer.cancelled()] == []  # type: ignore[attr-defined]


@virtual
async def test_sleeping_actor_frees_its_state_though_refs_are_held() -> None:
    async with runtime(Counter) as rt:
        ref = rt.get(Counter, "c")
        await ref.add()
        await asyncio.sleep(11)
        assert not hasattr(ref._activation, "instance")  # type: ignore[attr-defined]
        assert await ref.get() == 1


@virtual
@pytest.mark.parametrize("how", ["aborted", "batch lost", "deleted"])
async def test_lost_activation_frees_its_state_though_refs_are_held(how: str) -> None:
    class Heavy(DurableObject):
        blob: bytes = b""

        async def write(self) -> None:
            self.blob += b"x"

        async def abort(self) -> None:
            self.ctx.abort()

    store = FlakyStore()
    async with runtime(Heavy, store=store) as rt:
        ref = rt.get(Heavy, "h")
        await ref.write()
        if how == "aborted":
            await outcome(ref.abort())
        elif how == "deleted":
            await rt.delete(Heavy, "h")
        else:
            store.failures = [UnknownOutcome("lost")]
            await outcome(ref.write())
        await settle()
        assert not hasattr(ref._activation, "instance")  # type: ignore[attr-defined]
        assert await ref.write() is None


@virtual
@pytest.mark.parametrize("waits", [False, True])
async def test_timers_keep_nothing_of_who_called(waits: bool) -> None:
    class Request:
        """Something large, in a context variable."""

    async def handled() -> weakref.ref[Request]:
        request = Request()
        variable.set(request)
        first = rt.get(Counter, "first")
        await (first.wait(1) if waits else first.add())
        return weakref.ref(request)

    variable: ContextVar[Request] = ContextVar("variable")
    async with runtime(Counter, idle_seconds=10) as rt:
        held = await asyncio.create_task(handled())
        await asyncio.sleep(5)
        await rt.get(Counter, "second").wait(1)
        gc.collect()
        assert held() is None


@virtual
async def test_messages_during_on_deactivate_go_to_the_next_activation_in_order() -> None:
    async with runtime(Hooked) as rt:
        plans["sleep"] = lambda actor: asyncio.sleep(5)
        ref = rt.get(Hooked, "h")
        await ref.put(0)
        await asyncio.sleep(11)
        assert [a.life.state.value for a in rt.host.activator.catalog] == ["deactivating"]
        wakes = await asyncio.gather(*(ref.put(n) for n in range(1, 50)))
        assert set(wakes) == {2}
        assert await ref.seen() == (2, 1, list(range(50)))


@virtual
@pytest.mark.parametrize("kind", ["raises", "cancelled", "aborts", "late"])
async def test_on_deactivate_that_fails_does_not_keep_the_actor(kind: str) -> None:
    async def fail(actor: Hooked) -> None:
        actor.sleeps = 100
        await asyncio.sleep(0)
        if kind == "raises":
            raise ValueError
        if kind == "cancelled":
            raise asyncio.CancelledError
        if kind == "aborts":
            actor.ctx.abort()
        await asyncio.sleep(3600)

    async with runtime(Hooked, activate_seconds=5) as rt:
        ref = rt.get(Hooked, "h")
        await ref.put(0)
        plans["sleep"] = fail
        await asyncio.sleep(20)
        assert len(rt.host.activator.catalog) == 0
        assert await ref.seen() == (2, 0, [0])
        plans.clear()


@virtual
async def test_on_deactivate_may_ask_another_actor() -> None:
    async def ask(actor: Hooked) -> None:
        await actor.ctx.get(Counter, "c").add()

    async with runtime(Hooked, Counter) as rt:
        plans["sleep"] = ask
        await rt.get(Hooked, "h").put(0)
        await asyncio.sleep(11)
        assert await rt.get(Counter, "c").get() == 1


@virtual
async def test_actor_with_work_under_way_does_not_sleep() -> None:
    async with runtime(Counter, idle_seconds=1) as rt:
        ref = rt.get(Counter, "c")
        waiting = asyncio.create_task(ref.wait(10))
        await asyncio.sleep(5)
        assert len(rt.host.activator.catalog) == 1
        await waiting


@virtual
async def test_least_recently_used_sleep_when_too_many_are_active() -> None:
    async with runtime(Counter, active_actors=10) as rt:
        for number in range(10):
            await rt.get(Counter, str(number)).add()
            await asyncio.sleep(0.1)
        await rt.get(Counter, "0").get()
        for number in range(10, 15):
            await rt.get(Counter, str(number)).add()
        awake = {a.id.name for a in rt.host.activator.catalog}
        assert awake == {"0", "6", "7", "8", "9", "10", "11", "12", "13", "14"}


@virtual
async def test_slow_on_deactivate_does_not_refuse_newcomers() -> None:
    async with runtime(Hooked, active_actors=10) as rt:
        plans["sleep"] = lambda actor: asyncio.sleep(1)
        for number in range(20):
            await rt.get(Hooked, str(number)).put(0)
            await asyncio.sleep(0.05)
        assert len(rt.host.activator.catalog) == 20
        with pytest.raises(RuntimeOverloaded):
            await rt.get(Hooked, "more").put(0)
        await asyncio.sleep(2)
        assert len(rt.host.activator.catalog) == 10


@virtual
async def test_newcomer_is_refused_when_all_are_busy() -> None:
    async with runtime(Counter, active_actors=2) as rt:
        calls = [asyncio.create_task(rt.get(Counter, n).wait(5)) for n in "ab"]
        await settle()
        with pytest.raises(RuntimeOverloaded, match="active_actors"):
            await rt.get(Counter, "c").get()
        await asyncio.gather(*calls)
        assert await rt.get(Counter, "c").get() == 0


# --- spawn and stop --------------------------------------------------------------------------


class Volatile(Actor):
    """Keeps nothing, and may hold what cannot be kept."""

    hits: int = 0
    sink: asyncio.Event | None = None
    seen: list[int] = []

    def __init__(self, start: int = 0) -> None:
        self.hits = start

    async def hit(self) -> int:
        self.hits += 1
        self.seen.append(self.hits)
        self.sink = asyncio.Event()
        return self.hits

    async def all(self) -> list[int]:
        return self.seen

    async def abort(self) -> None:
        self.ctx.abort()

    async def fail(self) -> None:
        self.hits += 100
        raise ValueError("no")

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@virtual
async def test_spawned_actor_lives_until_it_is_stopped() -> None:
    async with runtime(Volatile) as rt:
        ref = rt.spawn(Volatile, 10, name="v")
        assert await ref.hit() == 11
        await asyncio.sleep(3600)
        assert await ref.hit() == 12
        await rt.stop(ref)
        with pytest.raises(ActorNotFound, match="Volatile/v is not running"):
            await ref.hit()
        with pytest.raises(ActorNotFound):
            await rt.stop(ref)
        assert await rt.spawn(Volatile, name="v").hit() == 1


@virtual
async def test_actor_that_was_not_spawned_is_not_found() -> None:
    async with runtime(Volatile) as rt:
        with pytest.raises(ActorNotFound, match="spawn it"):
            await rt.get(Volatile, "v").hit()


@virtual
async def test_name_is_spawned_once() -> None:
    async with runtime(Volatile) as rt:
        ref = rt.spawn(Volatile, name="v")
        with pytest.raises(InvalidArguments, match="Volatile/v is running already"):
            rt.spawn(Volatile, name="v")
        assert await ref.hit() == 1
        with pytest.raises(InvalidArguments, match="empty"):
            rt.spawn(Volatile, name="")


@virtual
async def test_unnamed_actors_are_different_ones() -> None:
    async with runtime(Volatile) as rt:
        first, second = rt.spawn(Volatile), rt.spawn(Volatile)
        assert first != second
        await first.hit()
        assert await second.all() == []


@virtual
async def test_spawned_actor_that_breaks_starts_anew_until_it_is_stopped() -> None:
    async with runtime(Volatile) as rt:
        ref = rt.spawn(Volatile, 5, name="v")
        assert await ref.hit() == 6
        with pytest.raises(ActorAborted):
            await ref.abort()
        assert await ref.hit() == 6
        assert await ref.all() == [6]


@virtual
async def test_exception_leaves_a_volatile_actor_as_it_is() -> None:
    async with runtime(Volatile) as rt:
        ref = rt.spawn(Volatile)
        with pytest.raises(ValueError, match="no"):
            await ref.fail()
        assert await ref.hit() == 101


@virtual
async def test_spawn_whose_constructor_fails_leaves_nothing() -> None:
    async with runtime(Volatile) as rt:
        with pytest.raises(ActivationFailed, match="TypeError"):
            rt.spawn(Volatile, 1, 2, 3, name="v")
        with pytest.raises(ActorNotFound):
            await rt.get(Volatile, "v").hit()
        assert await rt.spawn(Volatile, name="v").hit() == 1


@virtual
async def test_stop_lets_turns_end_and_hands_what_waits_to_the_next_activation() -> None:
    async with runtime(Hooked, Counter) as rt:
        ref = rt.get(Counter, "c")
        running = asyncio.create_task(ref.wait(5))
        await settle()
        stopping = asyncio.create_task(rt.stop(ref))
        queued = [asyncio.create_task(ref.add()) for _ in range(3)]
        await settle()
        assert not stopping.done()
        await stopping
        assert asyncio.get_running_loop().time() == 5
        assert await asyncio.gather(running, *queued) == [0, 1, 2, 3]
        assert rt.host.activator.activations == 2


@virtual
async def test_stop_ends_though_calls_keep_coming() -> None:
    async with runtime(Counter) as rt:
        ref = rt.get(Counter, "c")

        async def call() -> None:
            for _ in range(100):
                await ref.wait(0.1)

        callers = [asyncio.create_task(call()) for _ in range(5)]
        await asyncio.sleep(1)
        async with asyncio.timeout(1):
            await rt.stop(ref)
        await asyncio.gather(*callers)


@virtual
async def test_stop_while_it_wakes_or_goes_to_sleep() -> None:
    async with runtime(Hooked) as rt:
        plans["wake"] = plans["sleep"] = lambda actor: asyncio.sleep(3)
        ref = rt.get(Hooked, "h")
        putting = asyncio.create_task(ref.put(1))
        await settle()
        await asyncio.gather(rt.stop(ref), rt.stop(ref))
        assert await putting in (1, 2)
        plans.clear()
        assert (await ref.seen())[2] == [1]


@virtual
async def test_stop_that_is_given_up_cancels_nothing() -> None:
    async with runtime(Counter, Hooked) as rt:
        plans["wake"] = lambda actor: asyncio.sleep(5)
        ref = rt.get(Counter, "c")
        running = asyncio.create_task(ref.wait(5))
        waking = asyncio.create_task(rt.get(Hooked, "h").put(1))
        await settle()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await rt.stop(ref)
        assert await ref.get() == 0
        assert await running == 0
        assert await waking == 1


@virtual
async def test_stop_after_its_caller_has_gone_does_not_spin() -> None:
    async with runtime(Counter) as rt:
        ref = rt.get(Counter, "c")
        running = asyncio.create_task(ref.wait(5))
        await settle()
        running.cancel()
        await rt.stop(ref)
        assert asyncio.get_running_loop().time() == 5


# --- delete ----------------------------------------------------------------------------------


@virtual
async def test_deleted_actor_starts_from_nothing() -> None:
    disk = MemoryDisk()
    async with runtime(Counter, store=MemoryStore(disk)) as rt:
        ref = rt.get(Counter, "c")
        await ref.add()
        await rt.delete(Counter, "c")
        assert disk.cells == {}
        assert await ref.add() == 1
        await rt.delete(Counter, "never was")
        await asyncio.sleep(11)
        await rt.delete(Counter, "c")
        assert disk.cells == {}


@virtual
async def test_delete_ends_turns_under_way_and_keeps_what_waits() -> None:
    async with runtime(Counter) as rt:
        ref = rt.get(Counter, "c")
        await ref.add()
        running = asyncio.create_task(outcome(ref.wait(60)))
        queued = asyncio.create_task(ref.add())
        await settle()
        await asyncio.gather(*(rt.delete(Counter, "c") for _ in range(3)))
        assert isinstance(await running, ActorAborted)
        assert await queued == 1


@virtual
@pytest.mark.parametrize("hook", ["wake", "sleep"])
async def test_delete_during_a_hook_wins(hook: str) -> None:
    """What the hook would have written does not come back, and does not wipe what comes after."""

    async def slow(actor: Hooked) -> None:
        await asyncio.sleep(5)
        actor.got.append(99)

    async with runtime(Hooked) as rt:
        ref = rt.get(Hooked, "h")
        if hook == "sleep":
            await ref.put(1)
        plans[hook] = slow
        waking = asyncio.create_task(outcome(ref.put(2))) if hook == "wake" else None
        await asyncio.sleep(11 if hook == "sleep" else 1)
        await rt.delete(Hooked, "h")
        plans.clear()
        if waking is not None:
            assert await waking == 1
        await ref.put(3)
        await asyncio.sleep(8)
        assert (await ref.seen())[2] == ([2, 3] if hook == "wake" else [3])


@virtual
async def test_delete_that_fails_deletes_nothing() -> None:
    store = FlakyStore()
    async with runtime(Counter, store=store) as rt:
        ref = rt.get(Counter, "c")
        await ref.add()
        store.failures = [UnknownOutcome("lost")]
        with pytest.raises(UnknownOutcome):
            await rt.delete(Counter, "c")
        assert await ref.add() == 2


# --- what a dead activation may still do -----------------------------------------------------


class Stray(DurableObject):
    """Leaves a task behind that goes on after the actor has gone to sleep."""

    count: int = 0

    async def stray(self) -> None:
        self._task = asyncio.create_task(self._later())
        await asyncio.sleep(0)

    async def _later(self) -> None:
        await asyncio.sleep(60)
        self.count = 1_000
        for work in (self.ctx.storage.sync, self._ask, self._put, self._wait_until):
            outcomes.append(await outcome(work()))

    async def _ask(self) -> None:
        await self.ctx.get(Counter, "c").add()

    async def _put(self) -> None:
        await self.ctx.storage.put("k", 1)

    async def _wait_until(self) -> None:
        self.ctx.wait_until(asyncio.sleep(1))

    async def add(self) -> int:
        self.count += 1
        return self.count


outcomes: list[object] = []


@virtual
async def test_task_left_behind_cannot_write_over_the_next_activation() -> None:
    outcomes.clear()
    async with runtime(Stray, Counter) as rt:
        ref = rt.get(Stray, "s")
        await ref.stray()
        await asyncio.sleep(30)
        assert await ref.add() == 1
        await asyncio.sleep(60)
        assert [type(o) for o in outcomes] == [ActorAborted] * 4
        assert "ctx.wait_until" in str(outcomes[0])
        assert await ref.add() == 2
        assert await rt.get(Counter, "c").get() == 0


# --- close -----------------------------------------------------------------------------------


@virtual
async def test_close_lets_turns_end_puts_actors_to_sleep_and_keeps_their_state() -> None:
    disk = MemoryDisk()
    async with runtime(Counter, Hooked, store=MemoryStore(disk)) as rt:
        plans["sleep"] = lambda actor: asyncio.sleep(2)
        await rt.get(Hooked, "h").put(1)
        running = asyncio.create_task(rt.get(Counter, "c").wait(5))
        queued = asyncio.create_task(rt.get(Counter, "c").add())
        await settle()
    assert asyncio.get_running_loop().time() == 7
    assert await asyncio.gather(running, queued) == [0, 1]
    assert len(rt._store._disk.cells) == 2  # type: ignore[attr-defined]
    plans.clear()
    async with runtime(Counter, Hooked, store=MemoryStore(disk)) as rt:
        assert await rt.get(Counter, "c").get() == 1
        assert await rt.get(Hooked, "h").seen() == (2, 1, [1])


@virtual
async def test_close_admits_nothing_new_while_it_waits() -> None:
    async with runtime(Counter) as rt:
        free, busy = rt.get(Counter, "free"), rt.get(Counter, "busy")
        await free.add()
        running = asyncio.create_task(busy.wait(5))
        await settle()
        closing = asyncio.create_task(rt.host.close())
        await settle()
        for ref in (free, busy, rt.get(Counter, "new")):
            with pytest.raises(ShuttingDown):
                await ref.get()
        await running
        await closing


@virtual
async def test_turns_under_way_may_still_ask_others_while_closing() -> None:
    class Asks(DurableObject):
        async def ask(self) -> int:
            await asyncio.sleep(5)
            return await self.ctx.get(Counter, "c").add()

    async with runtime(Asks, Counter) as rt:
        asking = asyncio.create_task(rt.get(Asks, "a").ask())
        await settle()
    assert await asking == 1


@virtual
async def test_close_gives_up_after_its_time_and_undoes_what_was_not_done() -> None:
    disk = MemoryDisk()
    async with runtime(Counter, store=MemoryStore(disk), shutdown_seconds=3) as rt:
        ref = rt.get(Counter, "c")
        running = asyncio.create_task(outcome(ref.wait(3600)))
        queued = asyncio.create_task(outcome(ref.add()))
        await settle()
    assert asyncio.get_running_loop().time() == 3
    assert isinstance(await running, ShuttingDown)
    assert isinstance(await queued, ShuttingDown)
    assert disk.cells == {}


@virtual
async def test_close_waits_for_background_work() -> None:
    class Later(DurableObject):
        done: bool = False

        async def start(self) -> None:
            self.ctx.wait_until(self._finish())

        async def _finish(self) -> None:
            await asyncio.sleep(5)
            self.done = True

        async def is_done(self) -> bool:
            return self.done

    disk = MemoryDisk()
    async with runtime(Later, store=MemoryStore(disk)) as rt:
        await rt.get(Later, "l").start()
    async with runtime(Later, store=MemoryStore(disk)) as rt:
        assert await rt.get(Later, "l").is_done()


@virtual
async def test_close_is_not_held_up_by_an_actor_that_cannot_wake() -> None:
    async def fail(actor: Hooked) -> None:
        await asyncio.sleep(1)
        raise ValueError

    async with runtime(Hooked) as rt:
        plans["wake"] = fail
        call = asyncio.create_task(outcome(rt.get(Hooked, "h").put(1)))
        await settle()
    assert asyncio.get_running_loop().time() == 1
    assert isinstance(await call, ActivationFailed)


class Deaf(DurableObject):
    """Hangs where the test says."""

    deaf_hook: bool = False

    async def hang(self) -> None:
        await plans["hang"](self)

    async def alarm(self) -> None:
        await self.hang()

    async def hang_in_alarm(self) -> None:
        self.ctx.alarm.set(at_ns=0)

    async def hang_in_hook(self) -> None:
        self.deaf_hook = True

    async def on_deactivate(self) -> None:
        if self.deaf_hook:
            await self.hang()


@virtual
@pytest.mark.parametrize("where", ["hang", "hang_in_alarm", "hang_in_hook"])
async def test_close_does_not_wait_for_ever_for_code_that_ignores_it(where: str) -> None:
    async def hang(deaf: Deaf) -> None:
        while not released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await released.wait()

    released = asyncio.Event()
    plans["hang"] = hang
    async with runtime(Deaf, shutdown_seconds=1, activate_seconds=1) as rt:
        call = asyncio.create_task(outcome(getattr(rt.get(Deaf, "d"), where)()))
        await settle()
        await asyncio.sleep(0.1)
    assert asyncio.get_running_loop().time() < 10
    assert isinstance(await asyncio.wait_for(call, 1), ShuttingDown) is (where == "hang")
    released.set()
    await settle()


@virtual
async def test_actors_that_wake_each_other_on_the_way_to_sleep_do_not_hold_up_close() -> None:
    class Pong(DurableObject):
        async def on_deactivate(self) -> None:
            await self.ctx.get(Pong, "b" if self.ctx.id.name == "a" else "a").hello()

        async def hello(self) -> None:
            pass

    async with runtime(Pong) as rt:
        await rt.get(Pong, "a").hello()
    assert asyncio.get_running_loop().time() < 10


@virtual
async def test_stop_given_up_while_the_actor_wakes_leaves_it_usable() -> None:
    """A caller that no longer waits for a stop does not hold the actor up for ever."""

    class Sleeper(DurableObject):
        async def hello(self) -> str:
            return "hello"

    store = FlakyStore()
    store.loading = asyncio.Event()
    async with runtime(Sleeper, store=store) as rt:
        ref = rt.get(Sleeper, "s")
        asking = asyncio.create_task(ref.hello())
        await settle()
        stopping = asyncio.create_task(rt.stop(ref))
        await settle()
        stopping.cancel()
        await settle()
        store.loading.set()
        assert await asyncio.wait_for(asking, 1) == "hello"


class Asker(DurableObject):
    """Writes and waits for that; asks another actor."""

    count: int = 0

    async def write(self) -> None:
        self.count += 1
        await self.ctx.storage.sync()

    async def ask(self, name: str) -> int:
        return await self.ctx.get(Counter, name).get()


@virtual
async def test_what_a_failed_batch_has_lost_is_shown_to_nobody() -> None:
    """Not even to the calls that waited for another actor of the same batch."""
    store = FlakyStore()
    async with runtime(Asker, Counter, store=store) as rt:
        asker, counter = rt.get(Asker, "a"), rt.get(Counter, "c")
        others = [rt.get(Asker, name).ask("c") for name in "abcd"]
        assert await asyncio.gather(*others) == [0, 0, 0, 0]
        store.failures.append(UnknownOutcome("who knows"))
        writing = asyncio.ensure_future(outcome(asker.write()))
        adding = asyncio.ensure_future(outcome(counter.add()))
        asking = asyncio.ensure_future(asker.ask("c"))

        assert await asking == 0
        assert isinstance(await writing, UnknownOutcome)
        assert isinstance(await adding, UnknownOutcome)
