"""Whole nodes on virtual time, on a disk that fails, tears and forgets: `make sim`.

    python -m wakeful.testing.sim              a few hundred fresh seeds
    python -m wakeful.testing.sim --seed 42    one schedule again, with its trace

A seed that fails is printed with its trace and the command that replays it.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from random import Random, SystemRandom
from types import FrameType
from typing import Final, NamedTuple

import click
from structlog.testing import capture_logs
from structlog.typing import EventDict

from wakeful.runtime.gated_tasks import gated_tasks
from wakeful.testing.checkers import violations
from wakeful.testing.history import Trouble
from wakeful.testing.loop import Process, VirtualLoop
from wakeful.testing.workload import EXPECTED
from wakeful.testing.world import World

SEEDS: Final = 300
PROGRESS: Final = 50
CPU_SECONDS_MAX: Final = 2.0  # of one seed; a healthy one takes some hundredths


class Stuck(KeyboardInterrupt):
    """Code goes round without ever giving the loop back; no `except Exception` stops this."""


class Outcome(NamedTuple):
    """What one seed gave."""

    seed: int
    problems: list[str]
    trace: list[str]
    fired: dict[str, int]
    calls: int


def run_seed(seed: int) -> Outcome:
    """Live one world and check its history."""
    # In a context of its own: closing what a killed node was doing may set variables.
    return Context().run(_run_seed, seed)


def _run_seed(seed: int) -> Outcome:
    random = Random(seed)
    loop = VirtualLoop(start_s=random.random() * 1000)
    world = World(loop, random)
    loop.set_exception_handler(lambda _, context: _unhandled(world, context))
    outside = Process("outside")
    note_bugs = _BugNoter(world)
    with (
        capture_logs(processors=[note_bugs]),
        watchdog(CPU_SECONDS_MAX),
        gated_tasks(loop),
    ):
        try:
            loop.run_until_complete(outside.start(loop, world.live()))
        except (AssertionError, Stuck) as error:
            world.history.add(Trouble(f"{type(error).__name__}: {error}"))
        finally:
            world.bury()
            outside.bury()
            loop.close()
    events = world.history.events
    return Outcome(
        seed, violations(events), world.history.trace(), world.plan.fired, next(world.ops) - 1
    )


@contextmanager
def watchdog(cpu_seconds: float) -> Iterator[None]:
    """Raise Stuck in code that computes for so long; in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def bark(number: int, frame: FrameType | None) -> None:
        where = [f"{step.name}:{step.lineno}" for step in traceback.extract_stack(frame)[-4:]]
        raise Stuck(f"more than {cpu_seconds} s of computing, now in {' > '.join(where)}")

    before = signal.signal(signal.SIGVTALRM, bark)
    signal.setitimer(signal.ITIMER_VIRTUAL, cpu_seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _unhandled(world: World, context: dict[str, object]) -> None:
    """An exception that reached the loop: one of wakeful's own tells a caller who has gone."""
    error = context.get("exception")
    if error is not None and not isinstance(error, EXPECTED):
        world.history.add(Trouble(f"{context['message']}: {type(error).__name__}: {error}"))


class _BugNoter:
    """A log processor: an error that is logged is trouble, unless the simulation caused it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __call__(self, logger: object, name: str, event: EventDict) -> EventDict:
        told = event.get("exc_info")
        error = told if isinstance(told, BaseException) else sys.exc_info()[1]
        if error is not None and not _caused_by(
            error, (*EXPECTED, TimeoutError, asyncio.CancelledError)
        ):
            text = f"{event.get('event')}: {type(error).__name__}: {error}"
            self._world.history.add(Trouble(text))
        return event


def _caused_by(error: BaseException | None, kinds: tuple[type[BaseException], ...]) -> bool:
    while error is not None and not isinstance(error, kinds):
        error = error.__cause__
    return error is not None


@click.command(help="Simulate whole nodes on virtual time.")
@click.option("--seed", type=int, help="Replay one schedule and print its trace.")
@click.option("--seeds", type=int, default=SEEDS, show_default=True, help="How many fresh ones.")
def main(seed: int | None, seeds: int) -> None:
    """The command."""
    if seed is not None:
        outcome = run_seed(seed)
        click.echo("\n".join(outcome.trace))
        sys.exit(report(outcome))
    start = SystemRandom().randrange(10**8)
    began, calls = time.perf_counter(), 0
    fired: Counter[str] = Counter()
    for number in range(seeds):
        outcome = run_seed(start + number)
        calls += outcome.calls
        fired.update(outcome.fired)
        if outcome.problems:
            click.echo("\n".join(outcome.trace))
            sys.exit(report(outcome))
        if (number + 1) % PROGRESS == 0:
            click.echo(f"{number + 1} seeds, {calls} calls, all as they must be")
    seconds = time.perf_counter() - began
    speed = f"{seconds:.1f} s: {seeds / seconds:.0f} seeds/s"
    click.echo(f"{seeds} seeds from {start}, {calls} calls in {speed}")
    click.echo("faults: " + ", ".join(f"{name} {n}" for name, n in sorted(fired.items())))


def report(outcome: Outcome) -> int:
    """Say what a seed gave; the exit status."""
    if not outcome.problems:
        click.echo(f"seed {outcome.seed}: {outcome.calls} calls, all as it must be")
        return 0
    click.echo(f"\nseed {outcome.seed} failed:")
    for problem in outcome.problems:
        click.echo(f"  {problem}")
    click.echo(f"\nreplay: make sim SEED={outcome.seed}")
    return 1


if __name__ == "__main__":
    main()
