"""Runs cron triggers: one timer waits for the next time that is due.

A time that passes while no server runs is missed. Of several times that pass while the machine
sleeps, one is run. Runs may overlap, as on Cloudflare. A failed run is logged, and not repeated.
"""

from __future__ import annotations

from asyncio import TimerHandle
from collections.abc import Callable, Iterable
from typing import Final

from wakeful.runtime.host_loop import HostLoop
from wakeful.workers.bindings.crons import CronExpression
from wakeful.workers.proxies import JsProxy

SECONDS_MIN: Final = 0.001  # timers and clocks need not agree on less
SECONDS_MAX: Final = 3600.0  # the wall clock may be set: look again at least this often


class ScheduledController(JsProxy):
    """What a `scheduled` handler gets first.

    Attributes:
        cron: the expression whose time has come.
        scheduledTime: that time, in milliseconds since 1970.
        repeats: whether a failed run may be repeated; wakeful never repeats one.
    """

    js_name = "ScheduledController"

    def __init__(self, cron: str, time_ms: int) -> None:
        self.cron = cron
        self.scheduledTime = time_ms
        self.repeats = True

    @property
    def type(self) -> str:
        """Always "scheduled"."""
        return "scheduled"

    def noRetry(self) -> None:
        """Ask that the run is not repeated if it fails."""
        self.repeats = False


class Schedule:
    """The cron triggers of one Worker.

    Args:
        crons: when.
        now_ms: milliseconds since 1970.
        run: begins a run: of which expression, and for which time.
    """

    def __init__(
        self,
        crons: Iterable[CronExpression],
        now_ms: Callable[[], int],
        run: Callable[[str, int], None],
    ) -> None:
        self._crons = tuple(crons)
        self._now_ms = now_ms
        self._run = run
        self._due: dict[CronExpression, int] = {}
        self._timer: TimerHandle | None = None

    def start(self, loop: HostLoop) -> None:
        """Begin to run triggers when they come due."""
        now = self._now_ms()
        for cron in self._crons:
            self._plan(cron, now)
        self._wait(loop)

    def close(self) -> None:
        """Run nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _plan(self, cron: CronExpression, after_ms: int) -> None:
        due = cron.next_ms(after_ms)
        if due is None:
            self._due.pop(cron, None)
        else:
            self._due[cron] = due

    def _wait(self, loop: HostLoop) -> None:
        if self._due:
            seconds = (min(self._due.values()) - self._now_ms()) / 1000
            wait = min(max(seconds, SECONDS_MIN), SECONDS_MAX)
            self._timer = loop.later(wait, self._look, loop)

    def _look(self, loop: HostLoop) -> None:
        now = self._now_ms()
        for cron, due in list(self._due.items()):
            if due <= now:
                self._plan(cron, now)
                self._run(cron.text, due)
            elif (nearer := cron.next_ms(now)) is not None and nearer < due:
                self._due[cron] = nearer  # the clock was set back
        self._wait(loop)
