"""`wakeful actors`: list, show and delete what is stored, whether a server runs or not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from wakeful.cli.exit_codes import Failure, WrongUsage
from wakeful.cli.tables import print_table

if TYPE_CHECKING:
    from rich.console import Console

    from wakeful.cli.stored import Source
    from wakeful.ids import ActorId
    from wakeful.runtime.inspection import ActorView, TableView

DATA: Final = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".wakeful"),
    help="The data directory.  [default: .wakeful]",
)
JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """List, show and delete stored actors.

    It makes no difference whether a server runs on the data directory: if one does, it is asked.
    """


@command.command("ls")
@DATA
@JSON
@click.option("--type", "type_name", metavar="TYPE", help="Only actors of this type.")
@click.option("--prefix", default="", help="Only actors whose name starts with this.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
def list_actors(
    *, data: Path, as_json: bool, type_name: str | None, prefix: str, limit: int
) -> None:
    """List stored actors: how many of each type, or their names with --type or --prefix."""
    from wakeful.cli.stored import count, open_source

    with open_source(data) as source:
        types = source.types()
        if type_name is None and not prefix:
            _print_types({name: count(source, name) for name in types}, as_json=as_json)
            return
        if type_name is not None and type_name not in types:
            stored = ", ".join(types) or "none"
            raise Failure(f"no {type_name} is stored; stored types: {stored}")
        wanted = types if type_name is None else [type_name]
        actors, more = _collect(source, wanted, prefix, limit)
        rows = [row for actor in actors if (row := source.get(actor)) is not None]
    _print_actors(rows, as_json=as_json, more=more)


@command.command("get")
@DATA
@JSON
@click.argument("type_name", metavar="TYPE")
@click.argument("name")
def get_actor(*, data: Path, as_json: bool, type_name: str, name: str) -> None:
    """Show what an actor keeps: its state, its storage, its alarm, its SQL tables."""
    from wakeful.cli.stored import open_source

    with open_source(data) as source:
        stored = source.get(_actor(type_name, name))
    if stored is None:
        raise Failure(f"{type_name}/{name} is not stored")
    if as_json:
        _print_json(stored)
    else:
        _print_stored(stored)


@command.command("delete")
@DATA
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.argument("type_name", metavar="TYPE")
@click.argument("name")
def delete_actor(*, data: Path, yes: bool, type_name: str, name: str) -> None:
    """Delete an actor and all it keeps."""
    from wakeful.cli.stored import open_source

    actor = _actor(type_name, name)
    with open_source(data) as source:
        if source.get(actor) is None:
            raise Failure(f"{actor} is not stored")
    if not yes:
        click.confirm(f"delete {actor} and all it keeps?", abort=True)
    with open_source(data) as source:
        source.delete(actor)
    click.echo(f"deleted {actor}")


def _actor(type_name: str, name: str) -> ActorId:
    from wakeful.errors import CallError
    from wakeful.ids import ActorId, check_name

    try:
        return ActorId(type_name, check_name(name))
    except CallError as error:
        raise WrongUsage(str(error)) from error


def _collect(
    source: Source, types: list[str], prefix: str, limit: int
) -> tuple[list[ActorId], bool]:
    """Up to limit actors, and whether there are more."""
    found: list[ActorId] = []
    for name in types:
        cursor = None
        while len(found) <= limit:
            page = source.list(name, prefix, cursor, limit + 1 - len(found))
            found.extend(page.actors)
            cursor = page.cursor
            if cursor is None:
                break
    return found[:limit], len(found) > limit


def _print_types(counts: dict[str, int], *, as_json: bool) -> None:
    from wakeful.cli.stored import COUNTED_MAX

    if as_json:
        _print_json({"types": [{"type": name, "actors": n} for name, n in counts.items()]})
        return
    if not counts:
        click.echo("no actors are stored yet")
        return
    rows = [(name, f"{n}+" if n >= COUNTED_MAX else str(n)) for name, n in counts.items()]
    print_table(("TYPE", "ACTORS"), rows)
    if sys.stdout.isatty():
        click.echo(f"\nwakeful actors ls --type {next(iter(counts))}   lists their names")


def _print_actors(rows: list[ActorView], *, as_json: bool, more: bool) -> None:
    if as_json:
        _print_json(
            {
                "actors": [
                    {
                        "type": row.type,
                        "name": row.name,
                        "fields": len(row.state),
                        "keys": len(row.storage),
                        "bytes": row.size_bytes,
                    }
                    for row in rows
                ],
                "more": more,
            }
        )
        return
    if not rows:
        click.echo("none")
        return
    table = [
        (row.type, row.name, str(len(row.state)), str(len(row.storage)), str(row.size_bytes))
        for row in rows
    ]
    print_table(("TYPE", "NAME", "FIELDS", "KEYS", "BYTES"), table)
    if more:
        click.echo("there are more: use --limit or --prefix", err=True)


def _print_stored(stored: ActorView) -> None:
    from rich.console import Console
    from rich.pretty import Pretty
    from rich.table import Table
    from rich.text import Text

    from wakeful.log import utc

    console = Console()
    console.print(Text(f"{stored.type}/{stored.name}", style="bold"))
    for title, values in (("state", stored.state), ("storage", stored.storage)):
        if not values:
            continue
        version = f" (schema version {stored.schema_version})" if title == "state" else ""
        console.print(Text(f"\n{title}{version}", style="dim"))
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 3, 0, 0))
        for key, value in values.items():
            table.add_row(Text(f"  {key}", style="cyan"), Pretty(value, max_string=2_000))
        console.print(table)
    if stored.alarm is not None:
        tries = f", failed runs so far: {stored.alarm.retries}" if stored.alarm.retries else ""
        console.print(Text(f"\nalarm at {stored.alarm.due}{tries}"))
    if (failed := stored.failed_alarm) is not None:
        text = f"the alarm of {utc(failed.scheduled_ns)} was given up at {utc(failed.given_up_ns)}"
        console.print(Text(f"\n{text}: {failed.error}", style="red"))
    for reminder in stored.reminders:
        tries = f", failed runs so far: {reminder.retries}" if reminder.retries else ""
        name = f" {reminder.name!r}" if reminder.name is not None else ""
        console.print(Text(f"\nreminder{name}: {reminder.method} at {utc(reminder.due_ns)}{tries}"))
    for dead in stored.dead_letters:
        text = f"{dead.method} of {utc(dead.scheduled_ns)} was given up at {utc(dead.given_up_ns)}"
        console.print(Text(f"\n{text}: {dead.error}", style="red"))
    for rows in stored.tables:
        _print_rows(console, rows)
    if stored.sql_error is not None:
        console.print(Text(f"\nSQL: {stored.sql_error}", style="red"))
    sql = f" and {stored.sql_bytes} bytes of SQL" if stored.sql_bytes else ""
    console.print(Text(f"\n{stored.size_bytes} bytes{sql}", style="dim"))


def _print_rows(console: Console, table: TableView) -> None:
    from rich.table import Table
    from rich.text import Text

    if table.error is not None:
        console.print(Text(f"\ntable {table.name}: {table.error}", style="red"))
        return
    rows = f"{table.rows}{'+' if table.more else ''} row{'' if table.rows == 1 else 's'}"
    first = f", the first {len(table.first)}" if len(table.first) < table.rows else ""
    console.print(Text(f"\ntable {table.name} ({rows}{first})", style="dim"))
    shown = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="cyan")
    for column in table.columns:
        shown.add_column(Text(f"  {column}"), overflow="fold")
    for row in table.first:
        shown.add_row(*(Text(f"  {'NULL' if value is None else value}") for value in row))
    if table.first:
        console.print(shown)


def _print_json(value: object) -> None:
    from wakeful.codec import to_json

    click.echo(to_json(value))
