"""Kill a real server at random moments, many times, and compare what is there with what was said.

    python -m tests.crash.run --rounds 50 [--seed N] [--victim served|embedded|worker]

Each round starts the victim on the same data directory, checks what it finds there, puts it
under load and kills it. Every acknowledged increment must be there, in state, cell and rows alike,
none may be there twice, every alarm that was set must fire, and the files must pass SQLite's
integrity check. The seed draws the moments, not what they hit.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import Random, SystemRandom
from typing import Final, NamedTuple

import click
from tests.crash.tally import Broken, Tally, check_files
from tests.crash.victims import Embedded, Served, ServedWorker, Victim, kill_at_random

COUNTERS: Final = 20
LOAD_SECONDS_MAX: Final = 0.8
VICTIMS: Final[dict[str, type[Victim]]] = {
    victim.name: victim for victim in (Served, Embedded, ServedWorker)
}


class Totals(NamedTuple):
    """What all rounds of one victim gave."""

    victim: str
    rounds: int
    acknowledged: int
    unknown: int
    kept: int
    file_bytes: int
    seconds: float


async def rounds(name: str, count: int, seed: int, directory: Path) -> Totals:
    """Kill a victim so many times.

    Raises:
        Broken: a promise was not kept.
    """
    random, tally, began = Random(seed), Tally(), time.monotonic()
    file_bytes = 0
    for number in range(1, count + 1):
        victim = VICTIMS[name](directory, tally, random, COUNTERS)
        tally.settle(await victim.start())
        before = tally.acknowledged
        killer = asyncio.create_task(kill_at_random(victim, random, LOAD_SECONDS_MAX))
        await victim.work()
        when = await killer
        file_bytes = check_files(directory)
        told = sum(len(values) for values in tally.values.values())
        called = sum(tally.called.values())
        click.echo(
            f"{name} {number:3}: killed {when}, {told} acknowledged, {called - told} unknown, "
            f"{before} before, files {file_bytes / 1e6:.1f} MB"
        )
    await last(VICTIMS[name](directory, tally, random, COUNTERS), tally, directory)
    seconds = time.monotonic() - began
    return Totals(name, count, tally.acknowledged, tally.unknown, tally.kept, file_bytes, seconds)


async def last(victim: Victim, tally: Tally, directory: Path) -> None:
    """Settle the last round, and end in good order."""
    tally.settle(await victim.start())
    victim.kill(signal.SIGTERM)
    await victim.gone()
    check_files(directory)


def report(all_totals: list[Totals]) -> None:
    """The table."""
    click.echo("\nvictim      rounds  acknowledged  unknown  of these kept     MB  seconds")
    for total in all_totals:
        click.echo(
            f"{total.victim:10}  {total.rounds:6}  {total.acknowledged:12}  {total.unknown:7}  "
            f"{total.kept:13}  {total.file_bytes / 1e6:5.1f}  {total.seconds:7.1f}"
        )
    click.echo(
        "nothing acknowledged is missing, nothing is doubled, all alarms fired, all files are sound"
    )


@click.command(help="Kill a real server at random moments and check what is on disk.")
@click.option("--rounds", "count", default=50, show_default=True, help="Kills of each victim.")
@click.option("--seed", type=int, help="Draw the same moments again.")
@click.option("--victim", type=click.Choice(list(VICTIMS)), help="Only this one.")
def main(count: int, seed: int | None, victim: str | None) -> None:
    """The command."""
    chosen = SystemRandom().randrange(10**6) if seed is None else seed
    click.echo(f"seed {chosen}")
    all_totals = []
    for name in [victim] if victim else list(VICTIMS):
        with tempfile.TemporaryDirectory(prefix="wakeful-crash-") as directory:
            try:
                data = Path(directory) / "data"
                all_totals.append(asyncio.run(rounds(name, count, chosen, data)))
            except Broken as broken:
                click.echo(f"BROKEN: {broken}\nagain, with luck: --victim {name} --seed {chosen}")
                sys.exit(1)
    report(all_totals)


if __name__ == "__main__":
    main()
