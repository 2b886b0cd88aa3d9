"""The `wakeful` command: its help, and which module each command is in."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib import import_module
from typing import Final, cast

import click

# Commands are imported when they are used: `wakeful --help` loads none of them.
COMMANDS: Final = {
    "dev": "serve actors here, and reload them whenever their code changes",
    "serve": "serve actors",
    "actors": "list, show and delete what is stored",
    "check": "look for damage in a data directory, or in a backup of one",
    "import": "bring Cloudflare Durable Objects over from wrangler's local state",
    "export": "write an actor as a SQLite file",
    "d1": "run SQL and migrations in a D1 database of a Worker",
}
WORKERS: Final = "wakeful.workers"
INTERRUPTED: Final = 130  # 128 and the number of SIGINT, as shells have it
MODULES: Final = {"import": "import_"}  # the others are in the module of their name

SUMMARY: Final = """\
Durable virtual actors for Python: plain classes that live once, wake on their first
message, and answer only when what they did is on disk.
"""

TRY: Final = """\
  wakeful dev app.py
  curl -X POST localhost:8787/actors/Counter/counter-1/increment
  curl -X POST localhost:8787/actors/Counter/counter-1/increment -d '{"by": 5}'
  wakeful actors ls
"""


class Commands(click.Group):
    """The commands, each loaded when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name."""
        if name not in COMMANDS:
            return None
        return cast(
            "click.Command", import_module(f"wakeful.cli.{MODULES.get(name, name)}").command
        )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments begin with; a misspelt one is refused with the right name.

        Raises:
            click.UsageError: there is none of that name.
        """
        near = get_close_matches(args[0], COMMANDS, n=1)
        if near and args[0] not in COMMANDS:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The page a person sees first."""
        heading = _heading
        formatter.write(SUMMARY + "\n")
        formatter.write(heading("Commands"))
        for name, text in COMMANDS.items():
            formatter.write(f"  {click.style(f'{name:<8}', fg='cyan')}{text}\n")
        formatter.write("\n" + heading("Try"))
        formatter.write(TRY + "\n")
        formatter.write(heading("Options"))
        formatter.write("  --version  print the version\n  --help     print this\n\n")
        formatter.write("`wakeful COMMAND --help` says more about a command.\n")

    def invoke(self, ctx: click.Context) -> object:
        """Run a command.

        Raises:
            TargetFailure: it is about Workers, and the extra `workers` is not installed.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # before there is anything to stop in good order
            click.echo("stopped while starting", err=True)
            ctx.exit(INTERRUPTED)
        except ImportError as error:
            if error.name != WORKERS:
                raise
            from wakeful.cli.exit_codes import TargetFailure

            raise TargetFailure(error.msg) from error


def _heading(text: str) -> str:
    return click.style(f"{text}:", bold=True) + "\n"


def _print_version(ctx: click.Context, _: click.Parameter, asked: object) -> None:
    if asked and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"wakeful {version('wakeful')}")
        ctx.exit()


@click.group(
    cls=Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88},
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version)
def command() -> None:
    """Durable virtual actors."""


def main() -> None:
    """Run the command line; the process ends with its exit code."""
    sys.exit(command.main(prog_name="wakeful", standalone_mode=True))
