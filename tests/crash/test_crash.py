"""Real processes, real files, SIGKILL: a short form of `make crash`."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
from tests.crash.run import rounds
from tests.crash.tally import Broken, Tally
from tests.crash.victims import Embedded, Served, request

pytestmark = [pytest.mark.crash, pytest.mark.slow]

IN_USE_STATUS = 4


@pytest.mark.parametrize("victim", ["served", "embedded", "worker"])
async def test_what_was_acknowledged_survives_sigkill(victim: str, tmp_path: Path) -> None:
    totals = await rounds(victim, 2, 1, tmp_path / "data")
    assert totals.acknowledged > 0


@pytest.fixture
async def paused(tmp_path: Path) -> AsyncIterator[Served]:
    """A server that has been stopped by SIGSTOP; it still owns its directory."""
    owner = Served(tmp_path / "data", Tally(), Random(0), counters=1)
    await owner.start()
    owner.kill(signal.SIGSTOP)
    yield owner
    owner.kill(signal.SIGKILL)
    await owner.gone()


async def test_a_paused_owner_keeps_its_directory(paused: Served, tmp_path: Path) -> None:
    """The lock is the operating system's: a second server says who has it, and ends."""
    second = Served(tmp_path / "data", Tally(), Random(0), counters=1)
    with pytest.raises(ChildProcessError, match=f"in use by process {paused.process.pid}"):
        await second.start()
    assert await second.gone() == IN_USE_STATUS


async def test_a_paused_owner_goes_on(paused: Served, tmp_path: Path) -> None:
    """What another tried meanwhile has not touched it."""
    second = Embedded(tmp_path / "data", Tally(), Random(0), counters=1)
    with pytest.raises(ChildProcessError, match="DirectoryInUse"):
        await second.start()
    await second.gone()
    paused.kill(signal.SIGCONT)
    reader, writer = await asyncio.open_connection("127.0.0.1", paused.port)
    assert await request(reader, writer, "POST /actors/Counter/c0/increment") == (200, b"1")
    writer.close()


async def test_a_killed_owner_leaves_no_lock(tmp_path: Path) -> None:
    first = Served(tmp_path / "data", Tally(), Random(0), counters=1)
    await first.start()
    first.kill(signal.SIGKILL)
    await first.gone()
    second = Served(tmp_path / "data", Tally(), Random(0), counters=1)
    assert await second.start() == {"c0": (0, 0, 0, 0, 0)}
    second.kill(signal.SIGTERM)
    assert await second.gone() == 0


def tally(called: int, *values: int) -> Tally:
    made = Tally()
    made.found["c"] = 10
    for _ in range(called):
        made.call("c")
    for value in values:
        made.acknowledge("c", value)
    return made


@pytest.mark.parametrize("count", [12, 13])
def test_tally_lets_an_unknown_increment_be_there_or_not(count: int) -> None:
    tally(3, 11, 12).settle({"c": (count, count, 8, 8)})


@pytest.mark.parametrize(
    ("values", "found", "why"),
    [
        ((11, 12), (11, 11, 8, 8), "missing"),
        ((11, 13), (12, 12, 8, 8), "missing"),
        ((11, 12), (14, 14, 8, 8), "doubled"),
        ((11, 11), (12, 12, 8, 8), "the same value"),
        ((10, 11), (12, 12, 8, 8), "already"),
        ((11, 12), (12, 11, 8, 8), "torn"),
        ((11, 12), (12, 12, 11, 8, 8), "torn"),
        ((11, 12), (12, 12, 0, 0), "torn"),
        ((11, 12), (12, 12, 8, 0), "has not fired"),
    ],
)
def test_tally_notices(values: tuple[int, ...], found: tuple[int, ...], why: str) -> None:
    """A judge that never says no is none."""
    with pytest.raises(Broken, match=why):
        tally(3, *values).settle({"c": found})
