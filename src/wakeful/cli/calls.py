"""What `wakeful dev` prints about calls: a line for each, and what actors raised."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, TextIO

import click

from wakeful.cli.tracebacks import readable
from wakeful.errors import ActorRaised, WakefulError
from wakeful.http.message import Request
from wakeful.http.routes import ACTORS, actor_call

QUIET: Final = "/_wakeful/"


def print_call(request: Request, status: int, ms: float) -> None:
    """Print a line of a call: method, actor, status, time."""
    try:
        path = request.path
    except WakefulError:
        path = "(unreadable path)"
    if path.startswith(QUIET):
        return
    what = _printable(path)
    if path.startswith(ACTORS):
        type_name, name, method = actor_call(path)
        what = _printable(f"{type_name}/{name}") + click.style(f" {_printable(method)}", bold=True)
    color = "green" if status < 400 else "yellow" if status < 500 else "red"
    code = click.style(status, fg=color)
    click.echo(f"{_printable(request.method):<4} {what} {code} {ms:.1f} ms")


def _printable(text: str) -> str:
    """Text from outside, without what would move the cursor."""
    return text if text.isprintable() else repr(text)[1:-1]


class Errors:
    """Prints the errors of calls: the user's own lines, nothing of ours."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = roots

    def report(self, request: Request, error: WakefulError) -> None:
        """Print an error that a call is answered with."""
        if error.http >= 500:
            self.show(error.__cause__ or error if isinstance(error, ActorRaised) else error)
        else:
            click.secho(f"  {_printable(str(error))}", fg="yellow", err=True)

    def show(self, error: BaseException) -> None:
        """Print any error, with the user's own lines."""
        self._print(error, None)

    def log(self, file: TextIO, info: object) -> None:
        """Print an error that was logged; structlog calls this as its exception formatter."""
        if isinstance(info, tuple) and isinstance(info[1], BaseException):
            file.write("\n")
            self._print(info[1], file)

    def _print(self, error: BaseException, file: TextIO | None) -> None:
        from rich.console import Console

        console = Console(file=file, stderr=file is None, highlight=False)
        console.print(readable(error, self._roots))
