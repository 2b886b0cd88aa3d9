"""What a person sees first, and how fast."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from wakeful.cli.main import COMMANDS, command


def run(*args: str) -> str:
    result = CliRunner().invoke(command, args, prog_name="wakeful")
    assert result.exit_code == 0, result.output
    return result.output


def test_help_names_every_command_and_what_to_try() -> None:
    text = run("--help")
    for name, what in COMMANDS.items():
        assert f"  {name:<8}{what}" in text
    assert "curl -X POST localhost:8787/actors/Counter/counter-1/increment" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    assert run(name, "--help").startswith(f"Usage: wakeful {name} ")


def test_version_is_printed() -> None:
    assert run("--version").startswith("wakeful 0.")


def test_help_loads_nothing_slow() -> None:
    """A person notices half a second; loading the store, the server or rich takes it."""
    code = (
        "import sys; from wakeful.cli.main import command;"
        "command.main(['--help'], standalone_mode=False);"
        "slow = {'apsw', 'asyncio', 'granian', 'httpx2', 'rich', 'structlog'};"
        "print(sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_misspelt_command_is_refused_with_the_right_name() -> None:
    result = CliRunner().invoke(command, ["serv", "app.py"], prog_name="wakeful")
    assert result.exit_code == 2
    assert "No such command 'serv'. Did you mean 'serve'?" in result.output
    result = CliRunner().invoke(command, ["zzz"], prog_name="wakeful")
    assert (result.exit_code, "Did you mean" in result.output) == (2, False)
