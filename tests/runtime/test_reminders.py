"""Reminders: durable, at their time, each occurrence with one effect."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from wakeful import Config, DurabilityConfig, DurabilityFacet, DurableObject, Limits, Runtime
from wakeful.actor import Actor, DeadLetter, Reminder
from wakeful.core.agenda import Entry
from wakeful.errors import ConfigError, InvalidArguments, LimitExceeded
from wakeful.facet import Facet
from wakeful.runtime.reminders import Reminders, arguments, unpack
from wakeful.store.memory import MemoryDisk, MemoryStore
from wakeful.testing.clock import VirtualClock
from wakeful.testing.loop import VirtualLoop

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


class Diary(DurableObject):
    """Writes down what it was told, and when."""

    lines: list[str] = []
    fail: int = 0
    runs: int = 0

    facets: ClassVar[tuple[Facet, ...]] = (DurabilityFacet(DurabilityConfig(alarm_retries=2)),)

    async def write(self, text: str, *, times: int = 1) -> None:
        self.runs += 1
        if self.fail:
            raise ValueError(f"cannot write {text}")
        self.lines = [*self.lines, f"{seconds(self.ctx.now_ns()):g} {text * times}"]

    async def later(self, text: str, options: dict[str, Any]) -> None:
        await self.ctx.tell(self, **options).write(text)

    async def later_and_fail(self, text: str) -> None:
        await self.ctx.tell(self).write(text)
        raise ValueError("undone")

    async def fails(self, fail: int) -> None:
        self.fail = fail

    async def cancel(self, name: str) -> bool:
        return self.ctx.reminders.cancel(name)

    async def reminders(self) -> list[Reminder]:
        return list(self.ctx.reminders.list())

    async def dead(self) -> list[DeadLetter]:
        return list(self.ctx.reminders.dead())

    async def settle(self, what: str, id: str) -> bool:
        reminders = self.ctx.reminders
        return reminders.retry(id) if what == "retry" else reminders.drop(id)

    async def chain(self, left: int) -> None:
        self.lines = [*self.lines, f"chain {left}"]
        if left:
            await self.ctx.tell(self, name="chain", delay=SECOND).chain(left - 1)

    async def read(self) -> list[str]:
        return self.lines


START_NS: list[int] = [0]


def seconds(now_ns: int) -> float:
    """Since the test began, on virtual time."""
    return round((now_ns - START_NS[0]) / 1e9, 3)


def lives(*works: Callable[[Runtime], Awaitable[None]], limits: Limits | None = None) -> None:
    """Run one runtime after another on the same disk and virtual time."""
    disk, loop = MemoryDisk(), VirtualLoop(1)

    async def main() -> None:
        clock = VirtualClock(loop)
        START_NS[0] = clock.now_ns()
        config = Config(limits=limits) if limits is not None else None
        for work in works:
            store = MemoryStore(disk)
            async with Runtime(store, [Diary, Plain], clock=clock, config=config) as rt:
                await work(rt)

    loop.run_until_complete(main())
    loop.close()


class Plain(Actor):
    """Neither wakes by itself nor keeps anything."""

    async def hit(self) -> None:
        await self.ctx.tell(self).hit()


def test_a_delay_is_kept_over_a_restart_and_never_early() -> None:
    async def set_it(rt: Runtime) -> None:
        await rt.get(Diary, "d").later("soon", {"delay": 10 * SECOND})
        await asyncio.sleep(9)
        assert await rt.get(Diary, "d").read() == []

    async def look(rt: Runtime) -> None:
        await asyncio.sleep(2)
        assert await rt.get(Diary, "d").read() == ["10 soon"]
        await asyncio.sleep(1000)
        assert await rt.get(Diary, "d").read() == ["10 soon"]

    lives(set_it, look)


def test_without_a_time_it_is_a_turn_after_this_one() -> None:
    async def work(rt: Runtime) -> None:
        diary = rt.get(Diary, "d")
        await diary.later("now", {})
        await asyncio.sleep(0.01)
        assert [line.split()[1] for line in await diary.read()] == ["now"]

    lives(work)


def test_a_turn_that_raises_has_told_nothing() -> None:
    async def work(rt: Runtime) -> None:
        diary = rt.get(Diary, "d")
        with pytest.raises(ValueError, match="undone"):
            await diary.later_and_fail("never")
        await asyncio.sleep(10)
        assert await diary.read() == []

    lives(work)


def test_tell_from_outside_returns_when_it_is_durable() -> None:
    async def tell(rt: Runtime) -> None:
        await rt.tell(Diary, "d", delay=5 * SECOND).write("x", times=2)

    async def look(rt: Runtime) -> None:
        await asyncio.sleep(6)
        assert await rt.get(Diary, "d").read() == ["5 xx"]

    lives(tell, look)


def test_every_keeps_its_beat_and_ends_after_so_many_times() -> None:
    async def work(rt: Runtime) -> None:
        await rt.tell(Diary, "d", every=10 * SECOND, times=3).write("tick")
        await asyncio.sleep(100)
        assert await rt.get(Diary, "d").read() == ["10 tick", "20 tick", "30 tick"]
        assert await rt.get(Diary, "d").reminders() == []

    lives(work)


@pytest.mark.parametrize(
    ("missed", "lines"),
    [
        ("once", ["t"]),
        ("all", ["t"] * 10),
        ("skip", []),
    ],
)
def test_what_was_missed(missed: str, lines: list[str]) -> None:
    async def set_it(rt: Runtime) -> None:
        await rt.tell(Diary, "d", every=100 * SECOND, missed=missed).write("t")  # type: ignore[arg-type]

    async def away(rt: Runtime) -> None:
        rt.host.courier.close()
        await asyncio.sleep(1050)

    async def look(rt: Runtime) -> None:
        await asyncio.sleep(0.5)
        found = await rt.get(Diary, "d").read()
        assert [line.split()[1] for line in found] == lines
        await asyncio.sleep(100)
        assert (await rt.get(Diary, "d").read())[len(lines) :] == ["1100 t"]

    lives(set_it, away, look)


def test_a_cron_expression_counts_in_its_zone() -> None:
    async def work(rt: Runtime) -> None:
        now = datetime.fromtimestamp(START_NS[0] / 1e9, UTC)
        await rt.tell(Diary, "d", cron="0 9 * * *", zone="Asia/Kolkata", times=2).write("nine")
        (reminder,) = await rt.get(Diary, "d").reminders()
        due = datetime.fromtimestamp(reminder.due_ns / 1e9, UTC)
        assert (due.hour, due.minute) == (3, 30)
        assert timedelta(0) < due - now <= timedelta(days=1)
        await asyncio.sleep(3 * 86_400)
        first, second = await rt.get(Diary, "d").read()
        assert float(second.split()[0]) - float(first.split()[0]) == 86_400

    lives(work)


def test_a_name_is_there_once_and_set_again_it_replaces() -> None:
    """Debounce: only the last one is called."""

    async def work(rt: Runtime) -> None:
        diary = rt.get(Diary, "d")
        for text in ("a", "b", "c"):
            await diary.later(text, {"name": "save", "delay": 10 * SECOND})
            await asyncio.sleep(5)
        assert [reminder.name for reminder in await diary.reminders()] == ["save"]
        await asyncio.sleep(20)
        assert await diary.read() == ["20 c"]

    lives(work)


def test_cancel() -> None:
    async def work(rt: Runtime) -> None:
        diary = rt.get(Diary, "d")
        await diary.later("never", {"name": "n", "delay": SECOND})
        assert await diary.cancel("n") is True
        assert await diary.cancel("n") is False
        await asyncio.sleep(5)
        assert await diary.read() == []

    lives(work)


def test_a_method_may_set_its_own_reminder_again() -> None:
    async def work(rt: Runtime) -> None:
        await rt.get(Diary, "d").chain(3)
        await asyncio.sleep(10)
        assert await rt.get(Diary, "d").read() == [f"chain {n}" for n in (3, 2, 1, 0)]
        assert await rt.get(Diary, "d").reminders() == []

    lives(work)


def test_what_fails_is_undone_and_tried_again_with_one_effect() -> None:
    async def work(rt: Runtime) -> None:
        diary = rt.get(Diary, "d")
        await diary.fails(1)
        await diary.later("x", {"delay": SECOND})
        await asyncio.sleep(2)
        (reminder,) = await diary.reminders()
        assert (reminder.retries, reminder.method) == (1, "write")
        await diary.fails(0)
        await asyncio.sleep(60)
        assert len(await diary.read()) == 1
        assert await diary.dead() == []

    lives(work)


def test_what_keeps_failing_becomes_a_dead_letter_and_the_next_occurrence_comes() -> None:
    async def fail(rt: Runtime) -> None:
        diary = rt.get(Diary, "d")
        await diary.fails(1)
        await diary.later("x", {"every": HOUR, "name": "hourly"})
        await asyncio.sleep(3700)
        (dead,) = await diary.dead()
        assert (dead.method, dead.retries) == ("write", 2)
        assert dead.error == "ValueError: cannot write x"
        assert rt.host.reminders.given_up == 1
        await diary.fails(0)

    async def look(rt: Runtime) -> None:
        await asyncio.sleep(3700)
        diary = rt.get(Diary, "d")
        assert [line.split()[1] for line in await diary.read()] == ["x"]
        assert len(await diary.dead()) == 1

    lives(fail, look)


def test_a_dead_letter_can_be_tried_again_or_forgotten() -> None:
    async def work(rt: Runtime) -> None:
        diary = rt.get(Diary, "d")
        await diary.fails(1)
        await diary.later("x", {})
        await diary.later("y", {})
        await asyncio.sleep(60)
        first, second = await diary.dead()
        await diary.fails(0)
        assert await diary.settle("retry", first.id)
        assert not await diary.settle("retry", first.id)
        assert await diary.settle("drop", second.id)
        assert not await diary.settle("drop", second.id)
        await asyncio.sleep(1)
        assert [line.split()[1] for line in await diary.read()] in (["x"], ["y"])
        assert await diary.dead() == []
        assert await diary.reminders() == []

    lives(work)


async def on_disk(data: Path, work: Callable[[Runtime], Awaitable[None]]) -> None:
    async with Runtime(data, [Diary]) as rt:
        await work(rt)
        names = [reminder.name for reminder in await rt.get(Diary, "d").reminders()]
        assert sorted(map(str, names)) == ["None", "a name: √"]


def test_a_data_directory_keeps_them(tmp_path: Path) -> None:
    async def tell(rt: Runtime) -> None:
        await rt.tell(Diary, "d", every=HOUR, name="a name: √").write("never")
        await rt.tell(Diary, "d", delay=HOUR).write("never")

    async def nothing(rt: Runtime) -> None:
        pass

    asyncio.run(on_disk(tmp_path / "data", tell))
    asyncio.run(on_disk(tmp_path / "data", nothing))


def test_many_reminders_of_one_actor_all_run() -> None:
    async def work(rt: Runtime) -> None:
        for n in range(100):
            await rt.tell(Diary, "d", delay=(n % 7) * SECOND).write(str(n))
        await asyncio.sleep(10)
        lines = await rt.get(Diary, "d").read()
        assert sorted(int(line.split()[1]) for line in lines) == list(range(100))
        assert [float(line.split()[0]) for line in lines] == sorted(
            float(line.split()[0]) for line in lines
        )

    lives(work)


def test_an_agenda_is_bounded() -> None:
    async def work(rt: Runtime) -> None:
        for _ in range(3):
            await rt.tell(Diary, "d", delay=HOUR).write("x")
        with pytest.raises(LimitExceeded, match="3 entries in its agenda"):
            await rt.tell(Diary, "d", delay=HOUR).write("x")

    lives(work, limits=Limits(agenda=3))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"delay": 5}, "delay= is a timedelta"),
        ({"at": datetime(2030, 1, 1)}, "with a time zone"),
        ({"delay": SECOND, "at": datetime.now(UTC)}, "not both"),
        ({"every": SECOND, "cron": "* * * * *"}, "not both"),
        ({"every": timedelta(0)}, "at least 1 ms"),
        ({"cron": "every day"}, "five fields"),
        ({"cron": "* * * * *", "zone": "Mars/Olympus"}, "name of a time zone"),
        ({"zone": "UTC"}, "belongs to cron="),
        ({"times": 2}, "times= is how often"),
        ({"missed": "maybe"}, "'once', 'all' or 'skip'"),
        ({"name": ""}, "1 to 512 bytes"),
        ({"name": "\x1fx"}, "1 to 512 bytes"),
        ({"name": "a\0b"}, "1 to 512 bytes"),
    ],
)
def test_a_wrong_time_is_refused_before_anything_is_kept(
    options: dict[str, Any], words: str
) -> None:
    async def work(rt: Runtime) -> None:
        with pytest.raises(InvalidArguments, match=words):
            await rt.get(Diary, "d").later("x", options)
        with pytest.raises(InvalidArguments, match=words):
            await rt.tell(Diary, "d", **options).write("x")
        assert await rt.get(Diary, "d").reminders() == []

    lives(work)


def test_arguments_are_checked_when_it_is_told() -> None:
    async def work(rt: Runtime) -> None:
        with pytest.raises(InvalidArguments, match="text"):
            await rt.tell(Diary, "d").write(5)  # type: ignore[arg-type]
        with pytest.raises(AttributeError, match="reed"):
            await rt.tell(Diary, "d").reed()  # type: ignore[attr-defined]

    lives(work)


def test_an_actor_that_keeps_nothing_cannot_be_told() -> None:
    async def work(rt: Runtime) -> None:
        with pytest.raises(ConfigError, match="Plain cannot be told"):
            await rt.tell(Plain, "p").hit()
        with pytest.raises(ConfigError, match="Plain cannot be told"):
            await rt.spawn(Plain, name="p").hit()

    lives(work)


class Stops(MemoryStore):
    """Writes so many batches; those after them are lost, and their outcome is never told."""

    def __init__(self, disk: MemoryDisk, batches: int) -> None:
        super().__init__(disk)
        self.left = batches

    def commit(self, lane: int, records: Any, done: Any) -> None:
        self.left -= 1
        if self.left >= 0:
            super().commit(lane, records, done)


def after_so_many(batches: int) -> None:
    """A node dies after so many batches; what it had told has its effect once all the same."""
    disk, loop = MemoryDisk(), VirtualLoop(1)
    told = 0

    async def tell(rt: Runtime) -> None:
        nonlocal told
        for n in range(3):
            await rt.tell(Diary, "d", delay=SECOND).write(str(n))
            told += 1

    async def main() -> None:
        clock = VirtualClock(loop)
        config = Config(limits=Limits(shutdown_seconds=0.1))
        dying = Runtime(Stops(disk, batches), [Diary], clock=clock, config=config)
        async with dying as rt:
            work = asyncio.create_task(tell(rt))
            await asyncio.sleep(10)
            work.cancel()
        async with Runtime(MemoryStore(disk), [Diary], clock=clock) as rt:
            await asyncio.sleep(10)
            texts = sorted(line.split()[1] for line in await rt.get(Diary, "d").read())
            assert texts == ["0", "1", "2"][: len(texts)]
            assert told <= len(texts) <= told + 1
            assert await rt.get(Diary, "d").reminders() == []

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def goes_wrong(batches: int) -> bool:
    try:
        after_so_many(batches)
    except AssertionError:
        return True
    return False


@pytest.mark.parametrize("batches", range(8))
def test_a_node_that_dies_between_any_two_batches_has_lost_and_doubled_nothing(
    batches: int,
) -> None:
    after_so_many(batches)


def test_an_end_in_another_commit_than_the_effect_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fulfil = Reminders.fulfil

    async def before(reminders: Reminders, instance: Any, id: str, entry: Entry) -> None:
        instance.ctx.activation.owed().remove(id)
        await instance.ctx.storage.sync()
        await fulfil(reminders, instance, id, entry)

    async def after(reminders: Reminders, instance: Any, id: str, entry: Entry) -> None:
        kept = unpack(entry.data)
        await instance.write(
            *arguments(instance.ctx.activation.type.method("write"), kept.message)[0]
        )
        await instance.ctx.storage.sync()
        instance.ctx.activation.owed().remove(id)

    for planted in (before, after):
        monkeypatch.setattr(Reminders, "fulfil", planted)
        assert any(goes_wrong(batches) for batches in range(8))


def test_two_thousand_due_at_once_go_at_the_pace_of_calls() -> None:
    async def tell(rt: Runtime) -> None:
        at = datetime.fromtimestamp(START_NS[0] / 1e9 + 60, UTC)
        for n in range(0, 2_000, 500):
            await asyncio.gather(
                *(rt.tell(Diary, f"d{i}", at=at).write("x") for i in range(n, n + 500))
            )

    async def look(rt: Runtime) -> None:
        await asyncio.sleep(62)
        assert rt.host.courier.fired == 2_000
        assert len(rt.host.courier._running) == 0
        assert [line.split()[1] for line in await rt.get(Diary, "d77").read()] == ["x"]

    lives(tell, look)
