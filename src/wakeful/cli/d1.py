"""`wakeful d1`: SQL in a D1 database of a Worker, and its migrations, while no server uses it.

The Worker's code is not run: what is bound is read from its wrangler file.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

from wakeful.cli.exit_codes import EXIT_CODES, Failure, TargetFailure, WrongUsage
from wakeful.cli.tables import print_table

if TYPE_CHECKING:
    from wakeful.workers.bindings.d1_store import D1Store, Result
    from wakeful.workers.config.resources import D1Binding

T = TypeVar("T")

IDLE_SECONDS: Final = 10.0
DATA: Final = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".wakeful"),
    help="The data directory; made if it does not exist.  [default: .wakeful]",
)
ENVIRONMENT: Final = click.option("--env", metavar="NAME", help="An environment of the Worker.")
WORKER: Final = click.argument("worker", type=click.Path(exists=True, path_type=Path))


@click.group()
def command() -> None:
    """Run SQL in a D1 database of a Worker.

    WORKER is the directory of a Worker, or its wrangler file; DATABASE the name of one of its
    databases, or its binding. Stop the server first: the data directory must not be in use.
    """


@command.command("execute", epilog=EXIT_CODES)
@WORKER
@click.argument("database")
@DATA
@ENVIRONMENT
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--command", "text", metavar="SQL")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def execute(
    *,
    worker: Path,
    database: str,
    data: Path,
    env: str | None,
    file: Path | None,
    text: str | None,
    as_json: bool,
) -> None:
    """Run statements, from a file or from --command, in one transaction.

    The rows of the last one are printed.
    """
    from wakeful.workers.bindings.d1_store import Statement

    if (file is None) == (text is None):
        raise WrongUsage("give either --file or --command")
    sql = _read(file) if file is not None else str(text)
    binding = _binding(worker, database, env)
    (result,) = _ask(data, binding, lambda store: store.run((Statement(sql),)))
    _print(result, as_json=as_json)


@command.group("migrations")
def migrations() -> None:
    """Apply the migrations of a D1 database."""


@migrations.command("apply", epilog=EXIT_CODES)
@WORKER
@click.argument("database")
@DATA
@ENVIRONMENT
def apply(*, worker: Path, database: str, data: Path, env: str | None) -> None:
    """Run those files of migrations_dir that have not run yet, in the order of their names.

    All of them are one transaction: if one fails, none has happened. Which were applied is noted
    in the table that wrangler uses, d1_migrations.
    """
    binding = _binding(worker, database, env)
    directory = binding.migrations_dir
    files = sorted(directory.glob("*.sql"), key=lambda file: file.name)
    if not files:
        raise Failure(f"there are no .sql files in {directory}; migrations_dir says where to look")
    given = tuple((file.name, _read(file)) for file in files)
    done = _ask(data, binding, lambda store: store.apply(binding.migrations_table, given))
    for name in done:
        click.echo(f"applied {name}")
    if not done:
        click.echo("nothing to apply: all of them were")


def _binding(worker: Path, database: str, environment: str | None) -> D1Binding:
    from wakeful.errors import ConfigError
    from wakeful.workers.config.support import EVERYTHING
    from wakeful.workers.config.wrangler import read_config

    try:
        known = read_config(worker, environment, allow_missing=EVERYTHING).resources.d1
    except ConfigError as error:
        raise TargetFailure(str(error)) from error
    for binding in known:
        if database in (binding.database_name, binding.name):
            return binding
    names = ", ".join(binding.database_name for binding in known) or "none"
    raise TargetFailure(f"{worker} has no D1 database {database}; it has: {names}")


def _ask(data: Path, binding: D1Binding, call: Callable[[D1Store], Awaitable[T]]) -> T:
    from wakeful.cli.process import start_errors
    from wakeful.errors import LimitExceeded, SqlError
    from wakeful.node import Runtime
    from wakeful.workers.bindings.bindings import d1_spec
    from wakeful.workers.bindings.d1_store import D1Store
    from wakeful.workers.objects.sql import text_of

    async def ask() -> T:
        async with Runtime(data, [d1_spec(IDLE_SECONDS)]) as runtime:
            return await call(runtime.get(D1Store, binding.id))

    with start_errors():
        try:
            return asyncio.run(ask())
        except (SqlError, LimitExceeded) as error:
            raise Failure(f"nothing was changed: {text_of(error)}") from error


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{file} cannot be read: {error}") from error


def _print(result: Result, *, as_json: bool) -> None:
    if as_json:
        rows = [dict(zip(result.columns, map(_plain, row), strict=True)) for row in result.rows]
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    if result.rows:
        print_table(result.columns, [tuple(map(_shown, row)) for row in result.rows])
    count = len(result.rows)
    click.echo(f"{count} row{'' if count == 1 else 's'}, {result.changes} changed")


def _plain(value: object) -> object:
    return list(value) if isinstance(value, bytes) else value


def _shown(value: object) -> str:
    if value is None:
        return "NULL"
    return f"x'{value.hex()}'" if isinstance(value, bytes) else str(value)
