"""One actor with a SQL database of 500 MB: what it takes to fill, to wake, to read and to change.

    python -m tests.sql.big [--mb 500]

Each phase is a process of its own, so that its memory is its own. The bounds at the end are wide:
they notice what grows with the database and must not.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from statistics import median
from typing import Any, Final

import click

from wakeful import DurableObject, Runtime

ROW_BYTES: Final = 2_000
ROWS_EACH: Final = 5_000  # a turn of some 10 MB
INSERTS: Final = 200
WAKE_SECONDS_MAX: Final = 0.1
FILL_MB_MAX: Final = 400
USE_MB_MAX: Final = 150
INSERT_TIMES_MAX: Final = 5.0  # the large database's against the small one's

Figures = dict[str, float]


class Archive(DurableObject):
    """Rows with an index."""

    async def fill(self, rows: int) -> None:
        """Add so many rows in one turn."""
        sql = self.ctx.storage.sql
        sql.exec("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v INTEGER, w BLOB)")
        sql.exec("CREATE INDEX IF NOT EXISTS by_v ON t(v)")
        sql.exec(
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT ?)"
            " INSERT INTO t(v, w) SELECT random(), randomblob(?) FROM c",
            rows,
            ROW_BYTES,
        )

    async def count(self) -> list[int]:
        """Rows and bytes, by reading all of them."""
        row = self.ctx.storage.sql.exec("SELECT count(*) AS n, sum(length(w)) AS b FROM t").one()
        return [int(str(value)) for value in row.values()]

    async def find(self, number: int) -> int:
        """The length of one row's blob."""
        query = "SELECT length(w) AS b FROM t WHERE id = ?"
        return int(str(self.ctx.storage.sql.exec(query, number).one()["b"]))

    async def size(self) -> int:
        """Bytes of the database."""
        return self.ctx.storage.sql.database_size


async def fill(directory: Path, megabytes: int) -> Figures:
    """Write it, turn by turn, each of them durable."""
    async with Runtime(directory, actors=[Archive]) as rt:
        large = rt.get(Archive, "large")
        began = time.perf_counter()
        while await large.size() < megabytes * 1e6:
            await large.fill(ROWS_EACH)
        seconds, size = time.perf_counter() - began, await large.size()
        await rt.get(Archive, "small").fill(10)
    stored = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    return {
        "database MB": size / 1e6,
        "files MB": stored / 1e6,
        "fill, MB/s": size / 1e6 / seconds,
    }


async def use(directory: Path, _: int) -> Figures:
    """Wake it, read a row, change it often, read all of it."""
    began = time.perf_counter()
    async with Runtime(directory, actors=[Archive]) as rt:
        large, small = rt.get(Archive, "large"), rt.get(Archive, "small")
        figures = {"start, ms": (time.perf_counter() - began) * 1e3}
        figures["wake and read one row, ms"] = await milliseconds(large.find(77))
        for name, archive in (("small", small), ("large", large)):
            took = [await milliseconds(archive.fill(1)) for _ in range(INSERTS)]
            figures[f"insert a row, durable, {name}, ms"] = median(took)
        figures["memory until here, MB"] = peak_mb()
        figures["read all of it, ms"] = await milliseconds(large.count())
    return figures


async def milliseconds(work: Coroutine[Any, Any, object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1e3


def peak_mb() -> float:
    """The most memory this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


PHASES: Final[dict[str, Callable[[Path, int], Coroutine[Any, Any, Figures]]]] = {
    "fill": fill,
    "use": use,
}


def in_a_process(phase: str, directory: Path, megabytes: int) -> Figures:
    """The figures of a phase."""
    words = [sys.executable, "-m", "tests.sql.big", "--mb", str(megabytes), phase, str(directory)]
    said = subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout
    figures: Figures = json.loads(said)
    return figures


def complaints(figures: Figures) -> list[str]:
    """What has grown with the database and must not."""
    bounds = {
        "wake and read one row, ms": WAKE_SECONDS_MAX * 1e3,
        "fill: peak memory, MB": FILL_MB_MAX,
        "use: peak memory, MB": USE_MB_MAX,
        "insert a row, durable, large, ms": INSERT_TIMES_MAX
        * figures["insert a row, durable, small, ms"],
    }
    return [
        f"{name} is {figures[name]:.1f}, over {x:.1f}"
        for name, x in bounds.items()
        if figures[name] > x
    ]


@click.command(help="Measure one actor with a large SQL database.")
@click.option("--mb", "megabytes", default=500, show_default=True, help="How large.")
@click.argument("phase", required=False, type=click.Choice(list(PHASES)))
@click.argument("directory", required=False, type=click.Path(path_type=Path))
def main(megabytes: int, phase: str | None, directory: Path | None) -> None:
    """The command."""
    if phase is not None and directory is not None:
        figures = asyncio.run(PHASES[phase](directory, megabytes))
        click.echo(json.dumps({**figures, f"{phase}: peak memory, MB": peak_mb()}))
        return
    figures = {}
    with tempfile.TemporaryDirectory(prefix="wakeful-big-") as place:
        for name in PHASES:
            figures.update(in_a_process(name, Path(place) / "data", megabytes))
    for name, value in figures.items():
        click.echo(f"{name:36} {value:10.1f}")
    if wrong := complaints(figures):
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
