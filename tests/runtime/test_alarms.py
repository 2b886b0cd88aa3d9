"""Alarms on virtual time: never early, at least once, after restarts, with backoff."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import Random
from typing import ClassVar

import pytest
import structlog

from wakeful import (
    Actor,
    AlarmFailure,
    AlarmInfo,
    Config,
    ConfigError,
    DurabilityConfig,
    DurabilityFacet,
    DurableObject,
    InvalidArguments,
    Limits,
    Runtime,
    StorageError,
    readonly,
)
from wakeful.ports import Alarm
from wakeful.store.memory import MemoryDisk, MemoryStore
from wakeful.testing.clock import VirtualClock
from wakeful.testing.loop import VirtualLoop

SECOND = 1_000_000_000


class Reminder(DurableObject):
    """Notes what its alarms saw."""

    facets = (DurabilityFacet(DurabilityConfig(state_bytes_max=1_000_000)),)
    fired: list[tuple[int, int]] = []
    failures: int = 0
    exits: bool = False
    too_much: bool = False
    again: int = 0
    changes_mind: bool = False

    async def alarm(self, info: AlarmInfo) -> None:
        assert self.ctx.alarm.get() is None
        if self.changes_mind:
            with suppress(ValueError):
                await self.ctx.storage.transaction(self.set_and_raise)
            assert self.ctx.alarm.get() is None
        if self.exits:
            sys.exit("not this time")
        if self.too_much:
            await self.ctx.storage.put("k", bytes(2_000_000))
        if self.failures > 0:
            raise ValueError("not this time")
        self.fired.append((self.ctx.now_ns() - info.scheduled_ns, info.retries))
        if self.again:
            self.again -= 1
            self.ctx.alarm.set(timedelta(seconds=5))
            assert self.ctx.alarm.get() is not None

    async def at(self, seconds: float) -> int:
        self.ctx.alarm.set(timedelta(seconds=seconds))
        due_ns = self.ctx.alarm.get()
        assert due_ns is not None
        return due_ns

    async def fail(self, failures: int) -> None:
        self.failures = failures

    async def exit(self, exits: bool) -> None:
        self.exits = exits

    async def overdo(self) -> None:
        self.too_much = True

    async def repeat(self, times: int) -> None:
        self.again = times

    async def cancel(self) -> None:
        self.ctx.alarm.delete()

    async def clear(self) -> None:
        await self.ctx.storage.delete_all()

    async def change_mind(self) -> None:
        """From now on the handler moves its alarm, and takes that back."""
        self.changes_mind = True

    async def set_and_raise(self) -> None:
        self.ctx.alarm.set(timedelta(seconds=1))
        raise ValueError("undone")

    @readonly
    async def seen(self) -> list[tuple[int, int]]:
        return self.fired

    @readonly
    async def due(self) -> int | None:
        return self.ctx.alarm.get()

    async def set_naive(self) -> None:
        self.ctx.alarm.set(datetime.now())

    async def set_any(self, when: object) -> None:
        self.ctx.alarm.set(when)  # type: ignore[call-overload]

    async def set_at(self, at_ns: object) -> None:
        self.ctx.alarm.set(at_ns=at_ns)  # type: ignore[call-overload]

    async def set_past(self) -> None:
        self.ctx.alarm.set(datetime(2000, 1, 1, tzinfo=UTC))


Work = Callable[[Runtime], Awaitable[None]]


class Impatient(DurableObject):
    """Sets its next alarm to now, and is busy after that is known to all."""

    rung: int = 0

    async def start(self) -> None:
        self.ctx.alarm.set(timedelta(seconds=1))

    async def alarm(self, info: AlarmInfo) -> None:
        self.rung += 1
        if self.rung < 3:
            self.ctx.alarm.set(at_ns=info.scheduled_ns)
            await self.ctx.storage.sync()
            await asyncio.sleep(0.5)

    @readonly
    async def seen(self) -> int:
        return self.rung


class Waker(DurableObject):
    """May be unable to wake."""

    rung: int = 0
    woken: int = 0
    broken: ClassVar[bool] = False

    async def on_activate(self) -> None:
        self.woken += 1
        if self.broken:
            raise ValueError("not now")

    async def start(self) -> None:
        self.ctx.alarm.set(timedelta(seconds=1))

    async def alarm(self) -> None:
        await asyncio.sleep(0.5)
        self.rung += 1

    async def get(self) -> int:
        return self.rung

    async def rest(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Hasty(DurableObject):
    """Its alarm never works; it is given up after two retries."""

    facets = (DurabilityFacet(DurabilityConfig(alarm_retries=2, state_bytes_max=1_000_000)),)
    failures: list[str] = []
    too_much: bool = False

    async def alarm(self) -> None:
        if self.too_much:
            await self.ctx.storage.put("k", bytes(2_000_000))
        else:
            raise ValueError("it never works")

    async def on_alarm_failed(self, failure: AlarmFailure) -> None:
        self.failures.append(failure.error)
        if self.ctx.id.name == "again" and len(self.failures) == 1:
            self.ctx.alarm.set(timedelta(seconds=1))
        if self.ctx.id.name == "raises":
            raise ValueError("nor does this")

    async def at(self, seconds: float) -> int:
        self.ctx.alarm.set(timedelta(seconds=seconds))
        due = self.ctx.alarm.get()
        assert due is not None
        return due

    async def overdo(self) -> None:
        self.too_much = True

    @readonly
    async def failed(self) -> AlarmFailure | None:
        return self.ctx.alarm.failed()

    @readonly
    async def told(self) -> list[str]:
        return self.failures

    @readonly
    async def due(self) -> int | None:
        return self.ctx.alarm.get()


class CountingStore(MemoryStore):
    """Counts how often it is asked who is due, and may not know."""

    looks = 0
    failures = 0

    async def alarms(
        self, until_ns: int, limit: int, types: Collection[str] | None = None
    ) -> list[Alarm]:
        self.looks += 1
        if self.failures:
            self.failures -= 1
            raise StorageError("it cannot be read just now")
        return await super().alarms(until_ns, limit, types)


def run(*works: Work, disk: MemoryDisk | None = None, idle: float = 1.0) -> None:
    """Run each work in a runtime of its own, one after the other, on one disk and one clock."""
    disk = disk or MemoryDisk()
    loop = VirtualLoop(1)

    async def main() -> None:
        for work in works:
            runtime = Runtime(
                CountingStore(disk),
                [Reminder, Impatient, Waker, Hasty],
                clock=VirtualClock(loop),
                config=Config(idle_seconds=idle),
                random=Random(1),
            )
            async with runtime as rt:
                await work(rt)

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def test_alarm_wakes_a_sleeping_actor_on_time() -> None:
    async def work(rt: Runtime) -> None:
        reminder = rt.get(Reminder, "r")
        await reminder.at(60)
        await asyncio.sleep(59)
        assert len(rt.host.activator.catalog) == 0
        await asyncio.sleep(2)
        ((late_ns, retries),) = await reminder.seen()
        assert 0 <= late_ns < SECOND // 10
        assert retries == 0
        assert await reminder.due() is None

    run(work)


def test_alarm_that_fell_due_while_nobody_ran_fires_at_start() -> None:
    async def before(rt: Runtime) -> None:
        await rt.get(Reminder, "r").at(60)

    async def after(rt: Runtime) -> None:
        await asyncio.sleep(100)
        assert len(await rt.get(Reminder, "r").seen()) == 1

    run(before, after)


def test_the_last_alarm_set_counts_and_fires_once() -> None:
    async def work(rt: Runtime) -> None:
        reminder = rt.get(Reminder, "r")
        await reminder.at(50)
        await reminder.at(5)
        await asyncio.sleep(100)
        assert len(await reminder.seen()) == 1

    run(work)


def test_a_deleted_alarm_does_not_fire() -> None:
    async def work(rt: Runtime) -> None:
        reminder = rt.get(Reminder, "r")
        await reminder.at(5)
        await reminder.cancel()
        await asyncio.sleep(10)
        assert await reminder.seen() == []

    run(work)


def test_delete_all_takes_the_alarm_and_leaves_declared_state() -> None:
    async def work(rt: Runtime) -> None:
        reminder = rt.get(Reminder, "r")
        await reminder.at(1)
        await asyncio.sleep(1.5)
        await reminder.at(1)
        await reminder.clear()
        assert await reminder.due() is None
        await asyncio.sleep(2)
        assert len(await reminder.seen()) == 1

    run(work)


def test_an_alarm_set_in_a_turn_that_raises_is_not_set() -> None:
    async def work(rt: Runtime) -> None:
        reminder = rt.get(Reminder, "r")
        with pytest.raises(ValueError, match="undone"):
            await reminder.set_and_raise()
        await asyncio.sleep(5)
        assert await reminder.seen() == []

    run(work)


def test_a_handler_may_set_the_next_alarm() -> None:
    async def work(rt: Runtime) -> None:
        reminder = rt.get(Reminder, "r")
        await reminder.repeat(3)
        await reminder.at(1)
        await asyncio.sleep(60)
        assert [retries for _, retries in await reminder.seen()] == [0, 0, 0, 0]

    run(work)


def test_a_handler_that_sets_the_next_alarm_and_takes_it_back_has_handled_this_one() -> None:
    async def work(rt: Runtime) -> None:
        reminder = rt.get(Reminder, "r")
        await reminder.change_mind()
        await reminder.at(1)
        await asyncio.sleep(60)
        assert len(await reminder.seen()) == 1
        assert await reminder.due() is None

    run(work)


def test_a_handler_that_fails_is_retried_after_two_then_four_seconds() -> None:
    """And its failed turns leave nothing behind."""

    async def work(rt: Runtime) -> None:
        reminder = rt.get(Reminder, "r")
        await reminder.fail(1)
        await reminder.at(1)
        await asyncio.sleep(1 + 2.5 + 0.2)
        assert await reminder.seen() == []
        await reminder.fail(0)
        await asyncio.sleep(5)
        ((late_ns, retries),) = await reminder.seen()
        assert retries == 2
        assert 6 * SECOND <= late_ns <= 7.6 * SECOND

    run(work)


def test_a_handler_that_fails_is_logged_with_its_lines() -> None:
    async def work(rt: Runtime) -> None:
        reminder = rt.get(Reminder, "r")
        await reminder.fail(1)
        await reminder.at(1)
        with structlog.testing.capture_logs() as logs:
            await asyncio.sleep(1 + 0.2)
        [told] = logs
        assert (told["event"], told["actor"]) == ("an alarm handler failed", "Reminder/r")
        assert traceback.extract_tb(told["exc_info"].__traceback__)[-1].name == "alarm"

    run(work)


def test_a_handler_that_exits_is_a_handler_that_fails() -> None:
    async def work(rt: Runtime) -> None:
        reminder = rt.get(Reminder, "r")
        await reminder.exit(True)
        await reminder.at(1)
        await asyncio.sleep(2)
        await reminder.exit(False)
        await asyncio.sleep(5)
        [(_, retries)] = await reminder.seen()
        assert retries == 1

    run(work)


def test_a_store_that_cannot_tell_who_is_due_is_asked_again() -> None:
    async def work(rt: Runtime) -> None:
        reminder = rt.get(Reminder, "r")
        await reminder.at(1)
        store = rt.host.store
        assert isinstance(store, CountingStore)
        store.failures = 2
        await asyncio.sleep(6)
        assert len(await reminder.seen()) == 1

    run(work)


def test_a_handler_that_always_fails_is_tried_again_for_a_day() -> None:
    async def work(rt: Runtime) -> None:
        reminder = rt.get(Reminder, "r")
        await reminder.fail(1)
        await reminder.at(1)
        await asyncio.sleep(86_000)
        assert await reminder.due() is not None
        assert rt.host.alarms.given_up == 0
        await asyncio.sleep(40_000)  # jitter adds up to a quarter
        assert rt.host.courier.fired == 93
        assert await reminder.due() is None
        assert rt.host.alarms.given_up == 1

    run(work)


def test_an_alarm_that_is_given_up_is_kept_with_its_error_until_the_next_is_set() -> None:
    async def work(rt: Runtime) -> None:
        hasty = rt.get(Hasty, "h")
        scheduled_ns = await hasty.at(1)
        await asyncio.sleep(60)
        assert rt.host.courier.fired == 3
        failure = await hasty.failed()
        assert failure is not None
        assert (failure.scheduled_ns, failure.retries) == (scheduled_ns, 2)
        assert 6 * SECOND <= failure.given_up_ns - scheduled_ns <= 7.6 * SECOND
        assert failure.error == "ValueError: it never works"

    async def later(rt: Runtime) -> None:
        hasty = rt.get(Hasty, "h")
        assert await hasty.failed() is not None
        await hasty.at(1)
        assert await hasty.failed() is None

    run(work, later)


def test_an_actor_is_told_of_an_alarm_that_is_given_up() -> None:
    """What it does then is committed with the record of the failure; what it raises is undone."""

    async def work(rt: Runtime) -> None:
        for name in ("told", "raises"):
            hasty = rt.get(Hasty, name)
            await hasty.at(1)
        await asyncio.sleep(60)
        assert await rt.get(Hasty, "told").told() == ["ValueError: it never works"]
        assert await rt.get(Hasty, "raises").told() == []
        assert await rt.get(Hasty, "raises").failed() is not None

    run(work)


def test_on_alarm_failed_may_set_the_next_alarm() -> None:
    async def work(rt: Runtime) -> None:
        hasty = rt.get(Hasty, "again")
        await hasty.at(1)
        await asyncio.sleep(10)
        assert await hasty.due() is not None
        await asyncio.sleep(50)
        assert rt.host.courier.fired == 6

    run(work)


def test_an_alarm_fires_soon_after_the_wall_clock_was_set_forward() -> None:
    """A timer is right for a span of the monotonic clock; an alarm is for a time of day."""
    loop = VirtualLoop(1)
    clock = VirtualClock(loop)
    clock.trust_seconds = 5.0

    async def main() -> None:
        async with Runtime(MemoryStore(), [Reminder], clock=clock) as rt:
            reminder = rt.get(Reminder, "r")
            await reminder.at(3600)
            clock.set_wall(3600 * SECOND)
            await asyncio.sleep(5.1)
            assert len(await reminder.seen()) == 1

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def test_an_alarm_does_not_fire_early_when_the_wall_clock_was_set_back() -> None:
    loop = VirtualLoop(1)
    clock = VirtualClock(loop)
    clock.trust_seconds = 5.0

    async def main() -> None:
        async with Runtime(MemoryStore(), [Reminder], clock=clock) as rt:
            reminder = rt.get(Reminder, "r")
            await reminder.at(10)
            clock.set_wall(-20 * SECOND)
            await asyncio.sleep(29)
            assert await reminder.seen() == []
            await asyncio.sleep(6)
            assert len(await reminder.seen()) == 1

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def test_alarms_are_on_time_where_few_actors_may_be_awake() -> None:
    """Those that find no room are not failures: they are not counted, logged or put off."""
    loop = VirtualLoop(1)

    async def main() -> None:
        store, config = MemoryStore(), Config(limits=Limits(active_actors=4))
        async with Runtime(store, [Waker], clock=VirtualClock(loop), config=config) as rt:
            for number in range(40):
                await rt.get(Waker, f"w{number}").start()
            await asyncio.sleep(1 + 40 / 2 * 0.5 + 1)
            assert rt.host.courier.failed == 0
            assert [await rt.get(Waker, f"w{n}").get() for n in range(40)] == [1] * 40

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def test_an_alarm_that_finds_no_room_is_tried_again_at_once_and_not_counted() -> None:
    loop = VirtualLoop(1)

    async def main() -> None:
        store, config = MemoryStore(), Config(limits=Limits(active_actors=1))
        async with Runtime(store, [Waker], clock=VirtualClock(loop), config=config) as rt:
            await rt.get(Waker, "w").start()
            busy = asyncio.create_task(rt.get(Waker, "busy").rest(5.0))
            await asyncio.sleep(5.0)
            assert rt.host.courier.failed == 0
            await busy
            await asyncio.sleep(0.8)
            assert await rt.get(Waker, "w").get() == 1

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


@pytest.mark.parametrize("when", [5, 1_900_000_000_000_000_000, None, "tomorrow", True])
async def test_what_is_no_time_is_refused_and_nanoseconds_have_a_name(when: object) -> None:
    async with Runtime(MemoryStore(), [Reminder]) as rt:
        with pytest.raises(InvalidArguments) as caught:
            await rt.get(Reminder, "r").set_any(when)
        assert ("set(at_ns=" in str(caught.value)) == (type(when) is int or when is None)


@pytest.mark.parametrize("at_ns", [-1, 1.5, "x", 2**63])
async def test_nanoseconds_that_are_none_are_refused(at_ns: object) -> None:
    async with Runtime(MemoryStore(), [Reminder]) as rt:
        with pytest.raises(InvalidArguments, match="at_ns is nanoseconds since 1970"):
            await rt.get(Reminder, "r").set_at(at_ns)


def test_a_handler_that_keeps_too_much_is_given_up_like_one_that_raises() -> None:
    async def work(rt: Runtime) -> None:
        hasty = rt.get(Hasty, "h")
        await hasty.overdo()
        await hasty.at(1)
        await asyncio.sleep(500)
        assert rt.host.courier.fired == 3
        failure = await hasty.failed()
        assert failure is not None
        assert failure.error.startswith("LimitExceeded: ")

    run(work)


def test_alarms_of_actors_that_cannot_wake_are_looked_for_together() -> None:
    async def before(rt: Runtime) -> None:
        await asyncio.gather(*(rt.get(Waker, f"w{n}").start() for n in range(300)))

    async def after(rt: Runtime) -> None:
        Waker.broken = True
        store = rt.host.store
        assert isinstance(store, CountingStore)
        await asyncio.sleep(10 + 1)
        looked = store.looks
        assert looked < 30
        Waker.broken = False
        await asyncio.sleep(6)
        assert [await rt.get(Waker, f"w{n}").get() for n in range(300)] == [1] * 300

    run(before, after)


def test_an_actor_deleted_while_its_alarm_is_handled_does_not_wake_again() -> None:
    async def work(rt: Runtime) -> None:
        await rt.get(Waker, "w").start()
        await asyncio.sleep(1.2)
        woken = rt.host.activator.activations
        await rt.delete(Waker, "w")
        await asyncio.sleep(10)
        assert (await rt.list(Waker)).actors == ()
        assert rt.host.activator.activations == woken

    run(work)


def test_a_retry_survives_a_restart() -> None:
    async def before(rt: Runtime) -> None:
        reminder = rt.get(Reminder, "r")
        await reminder.fail(1)
        await reminder.at(1)
        await asyncio.sleep(2)
        await reminder.fail(0)

    async def after(rt: Runtime) -> None:
        await asyncio.sleep(10)
        assert [retries for _, retries in await rt.get(Reminder, "r").seen()] == [1]

    run(before, after)


def test_a_past_time_fires_at_once() -> None:
    async def work(rt: Runtime) -> None:
        reminder = rt.get(Reminder, "r")
        await reminder.set_past()
        await asyncio.sleep(0.5)
        assert len(await reminder.seen()) == 1

    run(work)


def test_thousands_of_alarms_in_one_second_all_fire_once() -> None:
    async def work(rt: Runtime) -> None:
        count = 600
        await asyncio.gather(*(rt.get(Reminder, str(n)).at(10 + n / count) for n in range(count)))
        await asyncio.sleep(9)
        assert rt.host.courier.fired == 0
        await asyncio.sleep(30)
        assert rt.host.courier.fired == count
        assert len(await rt.get(Reminder, "77").seen()) == 1

    run(work)


def test_alarms_due_in_the_same_moment_are_not_looked_for_one_by_one() -> None:
    """The store sorts what it has not folded yet, at each look."""

    async def work(rt: Runtime) -> None:
        count = 3_000
        await asyncio.gather(*(rt.get(Reminder, str(n)).at(10) for n in range(count)))
        store = rt.host.store
        assert isinstance(store, CountingStore)
        store.looks = 0
        await asyncio.sleep(30)
        assert rt.host.courier.fired == count
        assert store.looks < 10

    run(work)


def test_an_alarm_set_to_now_by_its_own_handler_fires_when_that_has_ended() -> None:
    async def work(rt: Runtime) -> None:
        await rt.get(Impatient, "i").start()
        await asyncio.sleep(5)
        assert await rt.get(Impatient, "i").seen() == 3
        assert rt.host.courier.fired == 3

    run(work)


def test_without_alarms_there_is_no_timer() -> None:
    """A sleeping actor costs nothing, nor do alarms nobody has set."""

    async def work(rt: Runtime) -> None:
        await rt.get(Reminder, "r").seen()
        await asyncio.sleep(5)
        assert rt.host.courier._timer is None

    run(work)


def test_a_time_without_a_zone_is_refused() -> None:
    async def work(rt: Runtime) -> None:
        with pytest.raises(InvalidArguments, match="time zone"):
            await rt.get(Reminder, "r").set_naive()

    run(work)


async def test_a_class_without_a_handler_cannot_have_an_alarm() -> None:
    class Silent(DurableObject):
        async def set(self) -> None:
            self.ctx.alarm.set(timedelta(seconds=1))

    async with Runtime(MemoryStore(), [Silent]) as rt:
        with pytest.raises(ConfigError, match="async def alarm"):
            await rt.get(Silent, "s").set()


async def test_a_volatile_actor_cannot_have_an_alarm() -> None:
    class Volatile(Actor):
        async def alarm(self) -> None:
            """Never called."""

        async def set(self) -> None:
            self.ctx.alarm.set(timedelta(seconds=1))

    async with Runtime(MemoryStore(), [Volatile]) as rt:
        with pytest.raises(ConfigError, match="DurableObject"):
            await rt.spawn(Volatile).set()


def test_alarm_is_not_callable_from_outside() -> None:
    async def work(rt: Runtime) -> None:
        with pytest.raises(AttributeError, match="alarm"):
            await rt.get(Reminder, "r").alarm(AlarmInfo(scheduled_ns=0))

    run(work)


def test_alarms_of_types_that_nobody_serves_are_told_once_and_cost_nothing() -> None:
    disk, loop = MemoryDisk(), VirtualLoop(1)

    async def main() -> None:
        clock = VirtualClock(loop)
        async with Runtime(MemoryStore(disk), [Reminder], clock=clock) as rt:
            await asyncio.gather(*(rt.get(Reminder, f"r{n}").at(1) for n in range(2_000)))
        await asyncio.sleep(10)
        with structlog.testing.capture_logs() as logs:
            async with Runtime(MemoryStore(disk), [Waker], clock=clock) as rt:
                await asyncio.sleep(10)
                alarms = rt.host.courier
                assert (alarms.fired, alarms._passed_over, alarms._waiting) == (0, set(), {})
        assert [log["event"] for log in logs] == ["nobody here handles the alarms of this type"]
        async with Runtime(MemoryStore(disk), [Reminder], clock=clock) as rt:
            await asyncio.sleep(10)
            assert rt.host.courier.fired == 2_000

    loop.run_until_complete(main())
    loop.close()
