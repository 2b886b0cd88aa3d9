"""`wakeful check`: everything a data directory holds is read and compared; damage is listed."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from wakeful.cli.exit_codes import DamageFailure, DataFailure, Failure, WrongUsage

if TYPE_CHECKING:
    from wakeful.store.check import Check, Finding

CODES: Final = """\
Exit codes: 0 no damage, 1 failed while running, 2 wrong usage, 4 the directory cannot be
looked into, 6 damage was found.
"""
TOLD_EVERY_SECONDS: Final = 0.2  # on a terminal
LINE_EVERY_SECONDS: Final = 10.0  # elsewhere
WHILE_RUNNING: Final = (
    "a server is running on it: its tables as a whole, what is not folded yet, the end of its"
    " journal and its actors' SQL databases. Check a backup, or stop the server"
)
WITHOUT_CHECKSUMS: Final = "its pages have no checksums: --add-checksums"


class Report(msgspec.Struct, frozen=True):
    """What was read, and what of it is damaged.

    Attributes:
        pages: of the file.
        journal_rows: batches in the journal.
        actors: those whose names could be read.
        sql_databases: of these actors.
        salvaged: actors that were copied.
        not_checked: what was left out, and why.
        findings: what is damaged; the first thousand.
        found: how much is damaged.
    """

    file: str
    format: int
    pages: int
    journal_rows: int
    actors: int
    sql_databases: int
    salvaged: int
    not_checked: list[str]
    findings: list[Finding]
    found: int


@click.command(epilog=CODES)
@click.argument("data", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--add-checksums",
    is_flag=True,
    help="Write an older data file anew, with a checksum on each page.",
)
@click.option(
    "--salvage",
    "target",
    metavar="NEW",
    type=click.Path(path_type=Path),
    help="Copy all actors that can be read whole into a new directory.",
)
def command(*, data: Path, as_json: bool, add_checksums: bool, target: Path | None) -> None:
    """Look for damage in a data directory, or in a copy of one, and change nothing.

    All of it is read: the checksum of each page, SQLite's own tables, each batch in the journal,
    where the journal ends, the cells of each actor and its SQL database. A directory that a server
    is running on is checked as far as that is possible from outside, and what was left out is said.
    """
    if not any(data.glob("partition-*.db")):
        what = "holds no actors" if data.is_dir() else "does not exist"
        raise DataFailure(f"{data} {what}")
    if target is not None and target.exists() and any(target.iterdir()):
        raise WrongUsage(f"{target} is not empty: --salvage makes a new directory")
    with _held(data) as running:
        if running and (add_checksums or target is not None):
            raise DataFailure(f"{data} is in use: stop the server first")
        file = str(data / "partition-0000.db")
        if add_checksums:
            _add_checksums(file)
        report = _checked(file, running=running, target=target)
    _print(report, as_json=as_json)
    if report.findings:
        raise DamageFailure(f"{data} is damaged")


@contextmanager
def _held(data: Path) -> Iterator[bool]:
    """Keep servers out during the check; return whether one runs already."""
    from wakeful.errors import DirectoryInUse, StorageError
    from wakeful.store.lock import DirectoryLock

    lock = DirectoryLock(data)
    try:
        lock.acquire()
    except DirectoryInUse:
        yield True
        return
    except StorageError as error:
        message = f"{error}: copy it to a place that can be written, and check that"
        raise DataFailure(message) from error
    try:
        yield False
    finally:
        lock.release()


def _add_checksums(file: str) -> None:
    from wakeful.errors import StorageError
    from wakeful.store import upgrade

    if upgrade.has_room(file):
        return
    progress = Progress()
    try:
        upgrade.add_checksums(file, lambda done, total: progress("bytes written", done, total))
    except StorageError as error:
        raise Failure(str(error)) from error
    finally:
        progress.end()


def _checked(file: str, *, running: bool, target: Path | None) -> Report:
    from wakeful.errors import StorageError
    from wakeful.store.check import Check
    from wakeful.store.reserve import with_reserve

    progress = Progress()
    try:
        # To read a log takes memory that is shared through a file, which needs a little room.
        made = with_reserve(file, lambda: Check(file, running=running, progress=progress))
        with closing(made) as check:
            return _report(check, progress, running=running, target=target)
    except StorageError as error:
        raise DataFailure(str(error)) from error
    finally:
        progress.end()


def _report(check: Check, progress: Progress, *, running: bool, target: Path | None) -> Report:
    from wakeful.cli.salvage import Actors, Salvage
    from wakeful.store.schema import CHECKED

    pages, rows = check.pages(), check.journal()
    if not running:
        check.tables()
        check.end()
    actors = Actors(check, sql=not running)
    with Salvage(check, target) as salvage:
        for actor in check.actors():
            if actors.is_sound(actor):
                salvage.copy(actor)
            progress("actors", actors.count, None)
    left_out = {WHILE_RUNNING: running, WITHOUT_CHECKSUMS: check.format < CHECKED}
    return Report(
        file=check.path,
        format=check.format,
        pages=pages,
        journal_rows=rows,
        actors=actors.count,
        sql_databases=actors.databases,
        salvaged=salvage.count,
        not_checked=[what for what, left in left_out.items() if left],
        findings=check.findings,
        found=check.found,
    )


class Progress:
    """Says on stderr how far it is: in place on a terminal, elsewhere a line now and then."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._every = TOLD_EVERY_SECONDS if self._terminal else LINE_EVERY_SECONDS
        self._next = time.monotonic() + self._every
        self._told = False

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """Show the progress so far."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self._every
        self._told = True
        far = f"{done:,}" if total is None else f"{done:,} of {total:,} ({done * 100 // total} %)"
        line = f"checking {what}: {far}"
        click.echo(f"\r{line:<60}" if self._terminal else line, err=True, nl=not self._terminal)

    def end(self) -> None:
        """Clear the line."""
        if self._told and self._terminal:
            click.echo("\r" + " " * 60 + "\r", err=True, nl=False)


def _print(report: Report, *, as_json: bool) -> None:
    from wakeful.cli.tables import print_table
    from wakeful.codec import to_json

    if as_json:
        click.echo(to_json(report))
        return
    click.echo(
        f"{report.file}: format {report.format}, {report.pages} pages, {report.journal_rows}"
        f" batches in the journal, {report.actors} actors, {report.sql_databases} SQL databases"
    )
    for what in report.not_checked:
        click.echo(f"not checked: {what}")
    if report.salvaged:
        click.echo(f"copied {report.salvaged} actors")
    if not report.findings:
        click.echo("no damage was found")
        return
    click.echo()
    print_table(
        ("WHERE", "WHAT IS DAMAGED", "WHAT TO DO"),
        [(found.where, found.what, found.advice) for found in report.findings],
    )
    if report.found > len(report.findings):
        click.echo(f"and {report.found - len(report.findings)} more")
