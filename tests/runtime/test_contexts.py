"""Whose context variables code sees: a caller's cross the call it makes, and go nowhere else."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from contextvars import Context, ContextVar
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from tests.runtime.test_sockets import enter
from tests.runtime.world import FlakyStore, outcome, runtime, settle, virtual

from wakeful import (
    Actor,
    ActorId,
    DurableObject,
    Facet,
    Runtime,
    UnknownOutcome,
    WebSocket,
    interleave,
)
from wakeful.ports import CommitRecord, Done
from wakeful.store.memory import MemoryStore

V = TypeVar("V")

who: ContextVar[str] = ContextVar("who", default="nobody")
seen: list[tuple[str, str]] = []


def note(place: str) -> None:
    seen.append((place, who.get()))


def places() -> dict[str, set[str]]:
    """Who was seen, by place; what was noted is forgotten."""
    found: dict[str, set[str]] = {}
    for place, name in seen:
        found.setdefault(place, set()).add(name)
    seen.clear()
    return found


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    seen.clear()


def task_of(name: str, work: Coroutine[Any, Any, V]) -> asyncio.Task[V]:
    """Work as a task of a caller with that name."""

    async def run() -> V:
        who.set(name)
        return await work

    return asyncio.create_task(run())


async def as_caller(name: str, work: Coroutine[Any, Any, V]) -> V:
    return await task_of(name, work)


class Watcher(DurableObject):
    """Notes whom each part of its code sees."""

    count: int = 0

    def __init__(self) -> None:
        note("init")

    async def on_activate(self) -> None:
        note("on_activate")
        await asyncio.sleep(0.001)
        note("on_activate")

    async def on_deactivate(self) -> None:
        note("on_deactivate")
        await asyncio.sleep(0.001)
        note("on_deactivate")

    async def add(self) -> int:
        note("straight")
        self.count += 1
        return self.count

    async def add_slowly(self, seconds: float = 1) -> int:
        note("turn")
        self.count += 1
        await asyncio.sleep(seconds)
        note("turn")
        return self.count

    async def wait_and_abort(self) -> None:
        await asyncio.sleep(1)
        self.ctx.abort("enough")

    async def stay_deaf(self) -> None:
        for _ in range(2):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)

    @interleave
    async def peek(self) -> int:
        note("peek")
        return self.count

    async def set_alarm(self, seconds: float) -> None:
        self.count += 1
        self.ctx.alarm.set(timedelta(seconds=seconds))

    async def alarm(self) -> None:
        note("alarm")
        failing = failures.pop() if failures else None
        await asyncio.sleep(0.001)
        note("alarm")
        if failing is not None:
            raise failing

    async def work_behind(self) -> None:
        async def work() -> None:
            note("background")
            await asyncio.sleep(1)
            note("background")

        self.ctx.wait_until(work())


class Quick(DurableObject):
    """Wakes and sleeps without a hook of its own, within the call that does it."""

    count: int = 0

    def __init__(self) -> None:
        note("init")

    async def add(self) -> int:
        self.count += 1
        return self.count

    async def wait_and_abort(self) -> None:
        await asyncio.sleep(1)
        self.ctx.abort("enough")


class Told(Facet):
    """Notes when it is told of actors that wake and go."""

    def activated(self, actor: ActorId) -> None:
        note("activated")

    def deactivated(self, actor: ActorId) -> None:
        note("deactivated")


class DistantStore(MemoryStore):
    """Answers like a thread of its own does: without any context."""

    def commit(self, lane: int, records: Sequence[CommitRecord], done: Done) -> None:
        def told(error: Exception | None) -> None:
            Context().run(done, error)  # type: ignore[arg-type]

        super().commit(lane, records, told)


failures: list[Exception] = []
HOST = {"host"}


@pytest.fixture(autouse=True)
def _no_failures() -> None:
    failures.clear()


async def started(*actors: type[Actor], **options: Any) -> Runtime:
    """A runtime whose host sees "host"; whoever uses it has a name of its own."""

    async def start() -> Runtime:
        return await runtime(*actors, **options).__aenter__()

    return await as_caller("host", start())


async def stopped(rt: Runtime) -> None:
    await as_caller("closer", rt.__aexit__(None, None, None))


# --- a call carries the caller's variables, whichever way it takes --------------------------------


@virtual
async def test_call_sees_the_variables_of_its_caller() -> None:
    rt = await started(Watcher)
    ref = rt.get(Watcher, "w")
    await as_caller("alice", ref.add())
    assert places()["straight"] == {"alice"}
    calls = [task_of("alice", ref.add_slowly()), task_of("bob", ref.add_slowly(2))]
    await asyncio.gather(*calls)
    assert sorted(seen) == [("turn", "alice")] * 2 + [("turn", "bob")] * 2
    await stopped(rt)


@virtual
async def test_call_that_an_actor_makes_carries_on_the_variables_of_its_caller() -> None:
    class Outer(DurableObject):
        async def ask(self) -> int:
            return await self.ctx.get(Watcher, "w").add_slowly()

    rt = await started(Watcher, Outer)
    await as_caller("alice", rt.get(Outer, "o").ask())
    assert places()["turn"] == {"alice"}
    await stopped(rt)


@virtual
async def test_background_work_keeps_the_variables_of_the_turn_that_began_it() -> None:
    rt = await started(Watcher)
    await as_caller("alice", rt.get(Watcher, "w").work_behind())
    await asyncio.sleep(2)
    assert places()["background"] == {"alice"}
    await stopped(rt)


# --- waking is nobody's ---------------------------------------------------------------------------


@virtual
@pytest.mark.parametrize("cls", [Watcher, Quick])
async def test_actor_that_a_call_wakes_does_not_wake_as_the_caller(cls: type[Any]) -> None:
    rt = await started(cls)
    rt.attach(cls, Told())
    await as_caller("alice", rt.get(cls, "a").add())
    found = places()
    assert {found["init"].pop(), found["activated"].pop()} == HOST
    assert found.get("on_activate", HOST) == HOST
    await stopped(rt)


@virtual
async def test_actor_that_is_spawned_does_not_wake_as_who_spawned_it() -> None:
    class Plain(Actor):
        def __init__(self, *, name: str = "") -> None:
            note("init")

        async def on_activate(self) -> None:
            note("on_activate")

        async def on_deactivate(self) -> None:
            note("on_deactivate")

        async def hello(self) -> None:
            pass

    rt = await started(Plain)

    async def spawn_and_stop() -> None:
        ref = rt.spawn(Plain)
        await ref.hello()
        await rt.stop(ref)

    await as_caller("alice", spawn_and_stop())
    assert places() == {"init": HOST, "on_activate": HOST, "on_deactivate": HOST}
    await stopped(rt)


async def hand_over(
    rt: Runtime, ref: Any, break_it: Callable[[], Coroutine[Any, Any, Any]]
) -> None:
    """Break an activation in Alice's name while Bob's call waits for it."""
    await as_caller("host", ref.add())
    places()
    alice = task_of("alice", outcome(break_it()))
    await settle()
    bob = task_of("bob", ref.add())
    await alice
    assert await bob > 0


@virtual
@pytest.mark.parametrize("cls", [Watcher, Quick])
async def test_activation_after_an_abort_is_not_made_as_who_aborted(cls: type[Any]) -> None:
    rt = await started(cls)
    ref = rt.get(cls, "w")
    await hand_over(rt, ref, ref.wait_and_abort)
    found = places()
    assert found["init"] == HOST
    assert found.get("on_activate", HOST) == HOST
    assert found.get("straight", {"bob"}) == {"bob"}
    await stopped(rt)


@virtual
async def test_activation_after_an_abort_in_the_first_step_is_not_made_as_who_aborted() -> None:
    class Fast(Quick):
        async def open(self) -> None:
            await asyncio.sleep(1)

        @interleave
        async def abort(self) -> None:
            self.ctx.abort("enough")

    rt = await started(Fast)
    ref = rt.get(Fast, "f")
    first = task_of("carol", outcome(ref.open()))
    await settle()
    bob = task_of("bob", ref.add())
    await settle()
    places()
    await as_caller("alice", outcome(ref.abort()))
    assert await bob == 1
    await first
    assert places() == {"init": HOST}
    await stopped(rt)


@virtual
async def test_activation_after_a_turn_that_took_too_long_is_made_by_nobody() -> None:
    rt = await started(Watcher, turn_seconds=5)
    ref = rt.get(Watcher, "w")
    await hand_over(rt, ref, ref.stay_deaf)
    found = places()
    assert (found["init"], found["on_activate"], found["straight"]) == (HOST, HOST, {"bob"})
    await stopped(rt)


@virtual
async def test_activation_after_a_failed_commit_is_made_by_nobody() -> None:
    class Both(DistantStore, FlakyStore):
        pass

    store = Both()
    rt = await started(Quick, store=store)
    ref = rt.get(Quick, "q")
    await as_caller("alice", ref.add())
    places()
    store.failures = [UnknownOutcome("lost")]
    alice = task_of("alice", outcome(ref.add()))
    await asyncio.sleep(0)
    assert isinstance(await alice, UnknownOutcome)
    await as_caller("bob", ref.add())
    assert places() == {"init": HOST}
    await stopped(rt)


@virtual
async def test_activation_after_a_deletion_is_made_by_nobody() -> None:
    rt = await started(Watcher)
    ref = rt.get(Watcher, "w")

    async def delete() -> None:
        await asyncio.sleep(0.5)
        await rt.delete(Watcher, "w")

    slow = task_of("carol", outcome(ref.add_slowly(3)))
    await settle()
    await hand_over_waiting(rt, ref, delete)
    await slow
    found = places()
    assert (found["init"], found["on_activate"], found["straight"]) == (HOST, HOST, {"bob"})
    await stopped(rt)


async def hand_over_waiting(
    rt: Runtime, ref: Any, break_it: Callable[[], Coroutine[Any, Any, Any]]
) -> None:
    bob = task_of("bob", ref.add())
    await settle()
    places()
    await as_caller("alice", break_it())
    assert await bob == 1


# --- so is going to sleep -------------------------------------------------------------------------


@virtual
async def test_idle_actor_goes_to_sleep_as_nobody_not_as_who_used_it_last() -> None:
    rt = await started(Watcher, idle_seconds=5.0)
    rt.attach(Watcher, Told())
    await as_caller("alice", rt.get(Watcher, "w").add())
    places()
    await asyncio.sleep(20)
    assert places() == {"on_deactivate": HOST, "deactivated": HOST}
    await stopped(rt)


@virtual
async def test_actor_that_makes_room_for_anothers_goes_to_sleep_as_nobody() -> None:
    rt = await started(Watcher, active_actors=1)
    rt.attach(Watcher, Told())
    await as_caller("bob", rt.get(Watcher, "first").add())
    places()
    await as_caller("alice", rt.get(Watcher, "second").add())
    await asyncio.sleep(1)
    found = places()
    assert (found["on_deactivate"], found["deactivated"]) == (HOST, HOST)
    await stopped(rt)


@virtual
async def test_actor_that_is_stopped_goes_to_sleep_as_nobody() -> None:
    rt = await started(Watcher)
    rt.attach(Watcher, Told())
    ref = rt.get(Watcher, "w")
    await as_caller("bob", ref.add())
    places()
    await as_caller("alice", rt.stop(ref))
    assert places() == {"on_deactivate": HOST, "deactivated": HOST}
    await stopped(rt)


@virtual
async def test_actor_of_a_runtime_that_closes_goes_to_sleep_as_nobody() -> None:
    rt = await started(Watcher)
    rt.attach(Watcher, Told())
    await as_caller("bob", rt.get(Watcher, "w").add())
    places()
    await stopped(rt)
    assert places() == {"on_deactivate": HOST, "deactivated": HOST}


@virtual
async def test_facet_that_hears_of_a_thrown_away_actor_does_not_see_who_aborted_it() -> None:
    rt = await started(Quick)
    rt.attach(Quick, Told())
    ref = rt.get(Quick, "q")
    await as_caller("bob", ref.add())
    places()
    await as_caller("alice", outcome(ref.wait_and_abort()))
    assert places()["deactivated"] == HOST
    await stopped(rt)


# --- alarms ---------------------------------------------------------------------------------------


@virtual
@pytest.mark.parametrize("store", [MemoryStore, DistantStore])
async def test_alarm_is_nobodys_whoever_set_it(store: type[MemoryStore]) -> None:
    rt = await started(Watcher, store=store())
    ref = rt.get(Watcher, "w")
    await as_caller("alice", ref.set_alarm(60))
    await as_caller("bob", ref.set_alarm(30))
    await asyncio.sleep(120)
    found = places()
    assert (found["alarm"], found["init"]) == (HOST, HOST)
    await stopped(rt)


@virtual
async def test_alarm_that_is_tried_again_is_nobodys() -> None:
    rt = await started(Watcher, store=DistantStore())
    failures.extend([ValueError(), TypeError()])
    await as_caller("alice", rt.get(Watcher, "w").set_alarm(5))
    await asyncio.sleep(120)
    assert [name for place, name in seen if place == "alarm"] == ["host"] * 6
    await stopped(rt)


@virtual
async def test_alarm_that_waits_for_a_turn_is_not_run_as_that_turn() -> None:
    rt = await started(Watcher)
    ref = rt.get(Watcher, "w")
    await as_caller("alice", ref.set_alarm(1))
    await as_caller("alice", ref.add_slowly(10))
    await asyncio.sleep(1)
    assert places()["alarm"] == HOST
    await stopped(rt)


@virtual
async def test_alarm_that_is_run_early_is_not_run_as_who_asked_for_that() -> None:
    rt = await started(Watcher)
    await as_caller("alice", rt.get(Watcher, "w").set_alarm(1000))
    host = rt.host
    early = host.alarms.run_early(host.type_of(Watcher), ActorId("Watcher", "w"))
    assert await as_caller("alice", early)
    assert places()["alarm"] == HOST
    await stopped(rt)


@virtual
async def test_alarms_that_were_due_before_the_start_are_nobodys() -> None:
    first = MemoryStore()
    rt = await started(Watcher, store=first)
    await as_caller("alice", rt.get(Watcher, "w").set_alarm(10))
    await stopped(rt)
    await asyncio.sleep(60)
    places()
    rt = await started(Watcher, store=MemoryStore(first._disk))
    await asyncio.sleep(1)
    assert places()["alarm"] == HOST
    await stopped(rt)


# --- one caller does not see another --------------------------------------------------------------


@virtual
async def test_calls_that_waited_for_anothers_turn_see_their_own_callers() -> None:
    rt = await started(Watcher)
    ref = rt.get(Watcher, "w")
    names = [f"caller {n}" for n in range(100)]
    slow = task_of("alice", ref.add_slowly())
    await settle()
    await asyncio.gather(slow, *(task_of(name, ref.add()) for name in names))
    assert [name for place, name in seen if place == "straight"] == names
    await stopped(rt)


class Setting(DurableObject):
    """Leaves a variable set wherever it runs as nobody."""

    def __init__(self) -> None:
        note("init")
        who.set("init")

    async def on_activate(self) -> None:
        note("on_activate")
        who.set("on_activate")

    async def on_deactivate(self) -> None:
        note("on_deactivate")
        who.set("on_deactivate")

    async def alarm(self) -> None:
        note("alarm")
        who.set("alarm")

    async def hello(self) -> str:
        return who.get()

    async def ring(self) -> None:
        self.ctx.alarm.set(timedelta(seconds=1))


class SettingQuick(DurableObject):
    def __init__(self) -> None:
        note("init")
        who.set("init")

    async def hello(self) -> str:
        return who.get()


@virtual
async def test_what_code_sets_while_it_wakes_or_sleeps_stays_there() -> None:
    """Neither the caller who woke it nor the next hook sees it."""

    rt = await started(Setting, SettingQuick, idle_seconds=5.0)
    for name in ("a", "b"):
        assert await as_caller("alice", rt.get(Setting, name).hello()) == "alice"
        assert await as_caller("alice", rt.get(SettingQuick, name).hello()) == "alice"
    await as_caller("alice", rt.get(Setting, "a").ring())
    await asyncio.sleep(60)
    found = places()
    assert found["init"] == found["on_deactivate"] == found["alarm"] == HOST
    assert found["on_activate"] <= {"host", "init"}, "it follows the constructor"
    await stopped(rt)


# --- sockets --------------------------------------------------------------------------------------


class Room(DurableObject):
    async def on_message(self, socket: WebSocket, message: str | bytes) -> None:
        note("message")
        if message == "wait":
            await asyncio.sleep(1)
        socket.send(message)

    async def on_error(self, socket: WebSocket, error: Exception) -> None:
        note("error")

    async def on_close(self, socket: WebSocket, code: int, reason: str, clean: bool) -> None:
        note("close")


@virtual
async def test_what_happens_on_a_socket_is_nobodys_whoever_connected_it() -> None:
    rt = await started(Room)
    ref = rt.get(Room, "r")

    async def talk() -> None:
        socket, _ = await enter(rt, ref)
        socket.received("wait")
        for n in range(100):  # more than fit into the window: the rest follows from a callback
            socket.received(str(n))
        await asyncio.sleep(5)
        socket.failed(1009, "too large")
        socket.closed(1001, "gone", clean=True)

    await as_caller("alice", talk())
    await asyncio.sleep(1)
    assert places() == {"message": HOST, "error": HOST, "close": HOST}
    await stopped(rt)


@virtual
async def test_socket_that_wakes_its_actor_does_not_wake_it_as_the_client() -> None:
    class Waking(Room):
        def __init__(self) -> None:
            note("init")

    rt = await started(Waking, idle_seconds=5.0)
    socket, _ = await enter(rt, rt.get(Waking, "w"))
    await asyncio.sleep(20)
    places()

    async def speak() -> None:
        socket.received("hello")

    await as_caller("alice", speak())
    await asyncio.sleep(1)
    assert places() == {"init": HOST, "message": HOST}
    await stopped(rt)
