"""Cron triggers: Cloudflare's dialect, and when handlers run."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.workers.running import DEFAULT, methods, running, virtual

from wakeful.errors import ConfigError
from wakeful.testing.clock import WALL_START_NS
from wakeful.workers.bindings.crons import parse_cron
from wakeful.workers.bindings.schedule import ScheduledController

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS
START_MS = WALL_START_NS // 10**6  # 22:13:20 UTC
THING = methods("pass")
SCHEDULED = (
    DEFAULT
    + """
    async def scheduled(self, controller, env, ctx):
        log.append((controller.cron, controller.scheduledTime, env is self.env))
        if controller.cron == "1 0 * * *":
            controller.noRetry()
            raise ValueError("not today")
"""
)


def times(text: str, start: str, count: int) -> list[str]:
    """The first times of an expression after a day begins."""
    cron, found = parse_cron(text), []
    now: int | None = int(datetime.fromisoformat(f"{start}T00:00Z").timestamp() * 1000) - 1
    for _ in range(count):
        assert now is not None
        now = cron.next_ms(now)
        assert now is not None
        found.append(datetime.fromtimestamp(now / 1000, UTC).strftime("%m-%d %H:%M"))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * *", ["01-01 00:00", "01-01 00:01", "01-01 00:02"]),
        ("*/30 * * * *", ["01-01 00:00", "01-01 00:30", "01-01 01:00"]),
        ("45 * * * *", ["01-01 00:45", "01-01 01:45", "01-01 02:45"]),
        ("0 17 * * sun", ["01-04 17:00", "01-11 17:00", "01-18 17:00"]),
        ("0 17 * * 1", ["01-04 17:00", "01-11 17:00", "01-18 17:00"]),
        ("10 7 * * mon-fri", ["01-01 07:10", "01-02 07:10", "01-05 07:10"]),
        ("10 7 * * 2-6", ["01-01 07:10", "01-02 07:10", "01-05 07:10"]),
        ("0 0 * * 6-1", ["01-02 00:00", "01-03 00:00", "01-04 00:00"]),
        ("0 15 1 * *", ["01-01 15:00", "02-01 15:00", "03-01 15:00"]),
        ("0 18 * * 6L", ["01-30 18:00", "02-27 18:00", "03-27 18:00"]),
        ("0 18 * * FriL", ["01-30 18:00", "02-27 18:00", "03-27 18:00"]),
        ("0 0 * * 2#2", ["01-12 00:00", "02-09 00:00", "03-09 00:00"]),
        ("0 0 * * L", ["01-03 00:00", "01-10 00:00", "01-17 00:00"]),
        ("59 23 LW * *", ["01-30 23:59", "02-27 23:59", "03-31 23:59"]),
        ("0 0 L feb,4 *", ["02-28 00:00", "04-30 00:00", "02-28 00:00"]),
        ("0 22-1/2 * * *", ["01-01 00:00", "01-01 22:00", "01-02 00:00"]),
        ("5/25 3 * * *", ["01-01 03:05", "01-01 03:30", "01-01 03:55"]),
        # Both days are given: either will do, a star with a step included.
        ("0 0 13 * FRI", ["01-02 00:00", "01-09 00:00", "01-13 00:00"]),
        ("0 0 */15 * SUN", ["01-01 00:00", "01-04 00:00", "01-11 00:00"]),
    ],
)
def test_expressions(text: str, expected: list[str]) -> None:
    assert times(text, "2026-01-01", 3) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("* * * *", "expected five fields"),
        ("0 * * * * *", "expected five fields"),
        ("60 * * * *", "minute 60 is not between 0 and 59"),
        ("* 24 * * *", "hour 24 is not between"),
        ("* * 0 * *", "day of the month 0 is not between 1 and 31"),
        ("* * * 13 *", "month 13 is not between"),
        ("* * * JANUARY *", "month 'JANUARY' is not understood"),
        ("* * * * 0", "day of the week 0 is not between 1 and 7"),
        ("* * * * XYZ", "day of the week 'XYZ' is not known"),
        ("* * 15W * *", "day of the month '15W' is not provided; L and LW are"),
        ("* * L-3 * *", "'L-3' is not provided"),
        ("* * * * 2#6", "day of the week '2#6' is not understood"),
        ("*/0 * * * *", "a step is at least 1"),
        ("? * * * *", "minute '\\?' is not understood"),
        ("* * 31 feb *", "it never comes"),
    ],
)
def test_what_is_not_understood_is_named(tmp_path: Path, text: str, problem: str) -> None:
    @virtual
    async def test() -> None:
        with pytest.raises(ConfigError, match=rf"wrangler.toml: triggers.crons: .*{problem}"):
            async with running(tmp_path, THING, more=f'[triggers]\ncrons = ["{text}"]\n'):
                pass

    test()


@virtual
async def test_handlers_run_when_it_is_time(tmp_path: Path) -> None:
    more = '[triggers]\ncrons = ["* * * * *", "15 22 * * *", "1 0 * * *"]\n'
    async with running(tmp_path, THING, more=more, default=SCHEDULED) as worker:
        await asyncio.sleep(39.9)
        assert worker.log == []
        await asyncio.sleep(0.1)
        first = START_MS + 40_000
        assert worker.log == [("* * * * *", first, True)]
        await asyncio.sleep(60)
        assert worker.log[1:] == [
            ("* * * * *", first + MINUTE_MS, True),
            ("15 22 * * *", first + MINUTE_MS, True),
        ]
        await asyncio.sleep(7199)  # one that raises does not keep the others from running
        assert len(worker.log) == 3 + 119 + 1


@virtual
async def test_what_was_missed_is_not_made_up_for(tmp_path: Path) -> None:
    more = '[triggers]\ncrons = ["0 23 * * *"]\n'
    async with running(tmp_path, THING, more=more, default=SCHEDULED) as worker:
        assert worker.log == []
    await asyncio.sleep(3 * DAY_MS / 1000)
    async with running(tmp_path, THING, more=more, default=SCHEDULED) as worker:
        await asyncio.sleep(DAY_MS / 1000)
        due = START_MS + 46 * MINUTE_MS + 40_000 + 3 * DAY_MS
        assert worker.log == [("0 23 * * *", due, True)]


@virtual
async def test_old_handlers_run_too(tmp_path: Path) -> None:
    more = '[triggers]\ncrons = ["* * * * *"]\n'
    default = """
    async def on_fetch(request):
        return Response("hello")

    async def on_scheduled(event):
        log.append(event.scheduledTime)
    """
    async with running(tmp_path, THING, more=more, default=default) as worker:
        await asyncio.sleep(60)
        assert worker.log == [START_MS + 40_000]


@virtual
async def test_a_schedule_needs_a_handler(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"entry\.py has no handler for .*crons"):
        async with running(tmp_path, THING, more='[triggers]\ncrons = ["* * * * *"]\n'):
            pass


@virtual
async def test_a_handler_can_be_tried(tmp_path: Path) -> None:
    async with running(tmp_path, THING, default=SCHEDULED) as worker:
        controller = ScheduledController("1 0 * * *", 5)
        with pytest.raises(ValueError, match="not today"):
            await worker.runtime.worker.scheduled(controller)
        assert worker.log == [("1 0 * * *", 5, True)]
        assert (controller.repeats, controller.type) == (False, "scheduled")
