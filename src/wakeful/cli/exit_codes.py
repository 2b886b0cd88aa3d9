"""What ends a command early, and with which exit code.

Failure             1  it failed while running
├─ WrongUsage       2  the command line is wrong
├─ TargetFailure    3  the target cannot be imported, or has no usable actors
├─ DataFailure      4  the data directory cannot be used
├─ AddressFailure   5  the address cannot be listened on
├─ DamageFailure    6  `wakeful check` has found damage
├─ LostFailure      7  the data directory was taken away while it was served
└─ DiskFailure      8  the disk failed while it was served, and did not come back
"""

from __future__ import annotations

from typing import IO, ClassVar, Final

import click

# `wakeful serve --help` says it too.
EXIT_CODES: Final = """\
Exit codes: 0 stopped in good order, 1 failed while running, 2 wrong usage, 3 no usable
actors in the target, 4 the data directory cannot be used, 5 the address cannot be used,
7 the data directory was deleted, replaced or taken over while it was served, 8 its disk failed
and did not come back, 130 interrupted while starting.
"""


class Failure(click.ClickException):
    """Ends a command with one line on stderr, and more below it if there is more to say.

    Args:
        message: what is wrong and what to do, in one line.
        more: lines that may help: an example, a traceback.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, more: str = "") -> None:
        super().__init__(message)
        self.more = more

    def show(self, file: IO[str] | None = None) -> None:
        """Print the message on stderr, and what there is below it."""
        click.echo(click.style("error: ", fg="red", bold=True) + self.message, err=True, file=file)
        if self.more:
            click.echo("\n" + self.more.rstrip("\n"), err=True, file=file)


class WrongUsage(Failure):
    """The command line is wrong."""

    exit_code = 2


class TargetFailure(Failure):
    """The target cannot be imported, or has no usable actors."""

    exit_code = 3


class DataFailure(Failure):
    """The data directory cannot be used."""

    exit_code = 4


class AddressFailure(Failure):
    """The address cannot be listened on."""

    exit_code = 5


class DamageFailure(Failure):
    """Damage was found."""

    exit_code = 6


class LostFailure(Failure):
    """The data directory was deleted, replaced or taken over while it was served."""

    exit_code = 7


class DiskFailure(Failure):
    """The disk failed while it was served, and the store could not be opened again."""

    exit_code = 8
