"""`wakeful export`: one actor as a SQLite file, for any tool or for workerd.

Shapes:  the actor's own SQL tables as they are; `kv` and `state` with (key, value, type), the value
         as JSON, or a BLOB: bytes as they are, and MessagePack for what JSON cannot express, which
         `type` then says; `about` with (key, value). Where the actor has a table of such a name,
         ours is called wakeful_kv and so on.
         For workerd: its own tables, _cf_KV and _cf_METADATA.
Invariants: the file appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from wakeful.cli.exit_codes import EXIT_CODES, DataFailure, Failure, WrongUsage

if TYPE_CHECKING:
    import apsw

    from wakeful.ids import ActorId
    from wakeful.store.stopped import StoppedStore

PAGE_BYTES: Final = 4096
PAGE_COUNT_AT: Final = slice(28, 32)  # https://sqlite.org/fileformat2.html
VALUES: Final = "(key TEXT PRIMARY KEY, value, type TEXT NOT NULL) WITHOUT ROWID"
MESSAGEPACK: Final = "MessagePack"

Cells = dict[str, bytes]


@click.command(epilog=EXIT_CODES)
@click.argument("type_name", metavar="TYPE")
@click.argument("name")
@click.argument("file", metavar="FILE.sqlite", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".wakeful"),
    help="The data directory.  [default: .wakeful]",
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.option("--workerd", is_flag=True, help="Write what Cloudflare's workerd reads.")
def command(
    *, type_name: str, name: str, file: Path, data: Path, force: bool, workerd: bool
) -> None:
    """Write all that an actor keeps to a SQLite file.

    The file has the actor's SQL tables, a table kv of its storage, a table state of its declared
    attributes, and a table about, with its alarm. Any SQLite tool reads it.

    The data directory must not be in use.
    """
    from wakeful.cli.directory import is_there, owned
    from wakeful.errors import CallError, StorageError
    from wakeful.ids import ActorId, check_name

    try:
        actor = ActorId(type_name, check_name(name))
    except CallError as error:
        raise WrongUsage(str(error)) from error
    if file.exists() and not force:
        raise Failure(f"{file} exists: --force replaces it")
    if not is_there(data):
        what = "holds no actors" if data.is_dir() else "does not exist"
        raise DataFailure(f"{data} {what}: name the data directory with --data")
    try:
        with owned(data) as (store, _):
            _export(store, actor, file, _fill_for_workerd if workerd else _fill)
    except StorageError as error:
        raise Failure(str(error)) from error
    click.echo(f"wrote {actor} to {file}, {file.stat().st_size} bytes")


Fill = Callable[["apsw.Connection", "ActorId", Cells], None]


def _export(store: StoppedStore, actor: ActorId, file: Path, fill: Fill) -> None:
    import apsw

    cells, first = store.load(actor), store.page(actor, 1)
    if not cells and first is None:
        raise Failure(f"{actor} is not stored")
    with _whole(file) as new:
        with new.open("wb") as out:
            for page in _pages(store, actor, first):
                out.write(page)
        try:
            with closing(apsw.Connection(str(new))) as connection, connection:
                fill(connection, actor, cells)
        except apsw.Error as error:
            raise Failure(f"{file} cannot be written: {error}") from error


@contextmanager
def _whole(file: Path) -> Iterator[Path]:
    """A new file beside the target, which takes the target's place if all goes well."""
    new = file.with_name(f"{file.name}.new")
    try:
        new.unlink(missing_ok=True)
        yield new
        new.replace(file)
    except OSError as error:
        raise Failure(f"{file} cannot be written: {error}") from error
    finally:
        for part in ("", "-journal"):
            Path(f"{new}{part}").unlink(missing_ok=True)


def _pages(store: StoppedStore, actor: ActorId, first: bytes | None) -> Iterator[bytes]:
    if first is None:
        return
    yield first
    for number in range(2, int.from_bytes(first[PAGE_COUNT_AT], "big") + 1):
        yield store.page(actor, number) or bytes(PAGE_BYTES)  # SQLite never writes some


# --- for any tool ----------------------------------------------------------------------------


def _fill(connection: apsw.Connection, actor: ActorId, cells: Cells) -> None:
    from wakeful.packing import decode
    from wakeful.ports import KV_PREFIX, STATE_KEY
    from wakeful.state import describe, stored_version

    state = cells.get(STATE_KEY)
    storage = {
        key.removeprefix(KV_PREFIX): decode(value)
        for key, value in cells.items()
        if key.startswith(KV_PREFIX)
    }
    about: dict[str, object] = {
        "type": actor.type,
        "name": actor.name,
        "schema_version": None if state is None else stored_version(state),
        "alarm": _alarm(cells),
        "wakeful": version("wakeful"),
    }
    tables = {"kv": storage, "state": {} if state is None else describe(state)}
    for name, values in tables.items():
        table = _free_name(connection, name)
        connection.execute(f"CREATE TABLE {table} {VALUES}")
        rows = [(key, *_column(value)) for key, value in sorted(values.items())]
        connection.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", rows)
    table = _free_name(connection, "about")
    connection.execute(f"CREATE TABLE {table} (key TEXT PRIMARY KEY, value) WITHOUT ROWID")
    connection.executemany(f"INSERT INTO {table} VALUES (?, ?)", list(about.items()))


def _free_name(connection: apsw.Connection, name: str) -> str:
    asked = "SELECT 1 FROM sqlite_schema WHERE name = ? COLLATE NOCASE"
    while connection.execute(asked, (name,)).fetchall():
        name = f"wakeful_{name}"
    return name


def _column(value: object) -> tuple[str | bytes, str]:
    """A value for a column, and what type it is of."""
    from wakeful.codec import encode, to_json
    from wakeful.errors import StateInvalid

    name = type(value).__name__
    if isinstance(value, bytes):
        return value, name
    try:
        return to_json(value).decode(), name
    except StateInvalid:
        return encode(value)[1:], f"{name} ({MESSAGEPACK})"


def _alarm(cells: Cells) -> str | None:
    from wakeful.core.agenda import alarm_of
    from wakeful.log import utc
    from wakeful.ports import AGENDA_KEY

    alarm = alarm_of(cells[AGENDA_KEY]) if AGENDA_KEY in cells else None
    return None if alarm is None else utc(alarm.due_ns)


# --- for workerd -----------------------------------------------------------------------------


def _fill_for_workerd(connection: apsw.Connection, actor: ActorId, cells: Cells) -> None:
    from wakeful.core.agenda import alarm_of
    from wakeful.errors import StorageCorrupt
    from wakeful.ports import AGENDA_KEY, KV_PREFIX, STATE_KEY
    from wakeful.workers.objects import stored
    from wakeful.workers.workerd_files.v8_writer import write

    if STATE_KEY in cells:
        raise Failure(f"{actor} has declared attributes, which a Durable Object cannot have")
    connection.execute(
        "CREATE TABLE _cf_KV (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;"
        "CREATE TABLE _cf_METADATA (key INTEGER PRIMARY KEY, value BLOB)"
    )
    for key, cell in cells.items():
        if not key.startswith(KV_PREFIX):
            continue
        name = key.removeprefix(KV_PREFIX)
        try:
            row = (name, write(stored.unpack(cell)))
        except (StorageCorrupt, TypeError, ValueError, RecursionError) as error:
            raise Failure(f"{actor}: the value of key {name!r}: {error}") from error
        connection.execute("INSERT INTO _cf_KV VALUES (?, ?)", row)
    alarm = alarm_of(cells[AGENDA_KEY]) if AGENDA_KEY in cells else None
    if alarm is not None:
        due_ns = alarm.due_ns
        connection.execute("INSERT INTO _cf_METADATA VALUES (1, ?)", (due_ns,))
