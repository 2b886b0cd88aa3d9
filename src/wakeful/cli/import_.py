"""`wakeful import`: Durable Objects from workerd's files into a stopped data directory.

Everything is read once before anything is written, so that what cannot be read stops it early.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from wakeful.cli.exit_codes import EXIT_CODES, Failure

if TYPE_CHECKING:
    from wakeful.ids import ActorId
    from wakeful.ports import CommitRecord, StoreInfo
    from wakeful.store.stopped import StoppedStore
    from wakeful.workers.workerd_files.importer import Found, Imported, Importer, Source

SHOWN_MAX: Final = 20  # problems, and names of objects
BATCH_BYTES: Final = 4 * 1024 * 1024  # written with one fsync
BATCH_OBJECTS: Final = 500


@click.command(epilog=EXIT_CODES)
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".wakeful"),
    help="The data directory; made if it does not exist.  [default: .wakeful]",
)
@click.option("--worker", metavar="NAME", help="Only objects of this Worker.")
@click.option(
    "--class", "classes", metavar="NAME", multiple=True, help="Only objects of this class; repeat."
)
@click.option("--force", is_flag=True, help="Replace objects that exist in the data directory.")
@click.option("--skip-values", is_flag=True, help="Leave out single values that cannot be read.")
@click.option("--dry-run", is_flag=True, help="Read everything, write nothing.")
def command(
    *,
    path: Path,
    data: Path,
    worker: str | None,
    classes: tuple[str, ...],
    force: bool,
    skip_values: bool,
    dry_run: bool,
) -> None:
    """Bring Durable Objects over from the local state of wrangler or workerd.

    PATH is .wrangler/state, or the project's directory that has it; the directory of one class or
    the file of one object will do. An object comes with its values, its SQL tables and its alarm,
    under the id it has. Stop `wrangler dev` first; its files are only read.

    The data directory must not be in use. Nothing is written unless everything can be read.
    """
    from wakeful.workers.workerd_files.importer import CannotImport, find

    try:
        found = find(path, worker, classes)
        with _importer() as importer:
            rows, unreadable = _check(importer, found, skip_values=skip_values)
            _place(importer, found, data, force=force, dry_run=dry_run)
    except CannotImport as error:
        raise Failure(str(error)) from error
    _print_summary(rows)
    if unreadable:
        count = _counted(len(unreadable), "value")
        click.echo(f"\nleft out, as they cannot be read: {count}\n{_listed(unreadable)}", err=True)
    if found.children:
        files = _counted(len(found.children), "file")
        click.echo(f"left out: {files} of objects inside objects", err=True)
    done = "would be brought" if dry_run else "brought"
    click.echo(f"\n{_counted(len(found.sources), 'object')} {done} over into {data}")


class Row:
    """A line of the report: the objects of one type."""

    def __init__(self) -> None:
        self.objects = self.keys = self.tables = self.alarms = self.size_bytes = 0

    def add(self, one: Imported) -> None:
        """Count one more."""
        self.objects += 1
        self.keys += one.keys
        self.tables += one.tables
        self.alarms += one.alarmed
        self.size_bytes += one.size_bytes


class Target:
    """The data directory, owned by this process."""

    def __init__(self, store: StoppedStore, info: StoreInfo) -> None:
        self.info = info
        self._store = store

    def refuse_out_of_reach(self, found: Found) -> None:
        """Refuse objects that no class would have here: an id is of one namespace for ever.

        Raises:
            Failure: such objects exist; the message says why they are refused.
        """
        from wakeful.workers.history import ledger

        known = ledger.read(self._store.load(ledger.LEDGER))
        types = sorted({one.actor.type for one in found.sources})
        reasons = [(type, ledger.out_of_reach(known, type)) for type in types]
        if lines := [f"{type}: {reason}" for type, reason in reasons if reason is not None]:
            message = "some objects would be out of reach in this data directory"
            raise Failure(
                f"{message}: use another one, or leave them out (--class)", _listed(lines)
            )

    def refuse_existing(self, found: Found) -> None:
        """Refuse to replace objects.

        Raises:
            Failure: some exist; names them.
        """
        existing = [str(one.actor) for one in found.sources if self._exists(one.actor)]
        if existing:
            what = _counted(len(existing), "object")
            raise Failure(f"{what} exist already: --force replaces them", _listed(existing))

    def write(self, records: Iterable[CommitRecord]) -> None:
        """Write records in order: those of an object are several only if it is large."""
        from wakeful.errors import StorageError

        batch: list[CommitRecord] = []
        size = 0
        try:
            for record in records:
                if size >= BATCH_BYTES or len(batch) >= BATCH_OBJECTS or not record.wipe:
                    self._store.commit(batch)
                    batch, size = [], 0
                batch.append(record)
                size += _size(record)
            if batch:
                self._store.commit(batch)
        except StorageError as error:
            raise Failure(f"{error}; run it again with --force for the rest") from error

    def _exists(self, actor: ActorId) -> bool:
        return bool(self._store.load(actor)) or self._store.page(actor, 1) is not None


@contextmanager
def _importer() -> Iterator[Importer]:
    from tempfile import TemporaryDirectory

    from wakeful.workers.workerd_files.importer import Importer

    with TemporaryDirectory(prefix="wakeful-import-") as scratch:
        yield Importer(Path(scratch))


@contextmanager
def _target(data: Path, *, made: bool) -> Iterator[Target | None]:
    """The data directory; None if it is not there and not to be made."""
    from wakeful.cli.directory import is_there, owned

    if not made and not is_there(data):
        yield None
        return
    with owned(data) as (store, info):
        yield Target(store, info)


def _check(
    importer: Importer, found: Found, *, skip_values: bool
) -> tuple[dict[str, Row], list[str]]:
    """Read everything; what there is of each type, and which values cannot be read.

    Raises:
        Failure: something cannot be read; says all of it.
    """
    from wakeful.workers.workerd_files.importer import CannotImport

    rows: dict[str, Row] = {}
    problems: list[str] = []
    unreadable: list[str] = []
    for source in _with_progress(found.sources, "reading"):
        try:
            one = importer.read(source)
        except CannotImport as error:
            problems.append(str(error))
            continue
        unreadable.extend(one.unreadable)
        rows.setdefault(source.actor.type, Row()).add(one)
    if problems or (unreadable and not skip_values):
        advice = "" if problems else "; --skip-values leaves these out"
        message = f"not all of it can be read, so nothing was written{advice}"
        raise Failure(message, _listed(problems + unreadable))
    return rows, unreadable


def _place(importer: Importer, found: Found, data: Path, *, force: bool, dry_run: bool) -> None:
    """Write everything, unless it is a dry run."""
    with _target(data, made=not dry_run) as target:
        if target is not None:
            target.refuse_out_of_reach(found)
        if target is not None and not force:
            target.refuse_existing(found)
        if target is not None and not dry_run:
            target.write(
                record
                for source in _with_progress(found.sources, "writing")
                for record in importer.read(source).records(target.info)
            )


def _with_progress(sources: tuple[Source, ...], verb: str) -> Iterator[Source]:
    """The sources, with a bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if not console.is_terminal:
        yield from sources
        return
    yield from track(sources, verb, console=console, transient=True)


def _print_summary(rows: dict[str, Row]) -> None:
    from wakeful.cli.tables import print_table

    print_table(
        ("TYPE", "OBJECTS", "KEYS", "TABLES", "ALARMS", "BYTES"),
        [
            (name, *map(str, (row.objects, row.keys, row.tables, row.alarms, row.size_bytes)))
            for name, row in rows.items()
        ],
    )


def _size(record: CommitRecord) -> int:
    values = [*record.puts.values(), *record.pages.values()]
    return sum(len(value) for value in values if value is not None)


def _listed(lines: list[str]) -> str:
    more = len(lines) - SHOWN_MAX
    return "\n".join([*lines[:SHOWN_MAX], *([f"and {more} more"] if more > 0 else [])])


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
