"""`--strict`: from the command line to the Worker, and to nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click import Command
from click.testing import CliRunner

from wakeful.cli.dev import command as dev
from wakeful.cli.exit_codes import WrongUsage
from wakeful.cli.process import Settings
from wakeful.cli.serve import command as serve
from wakeful.cli.sources import source_of
from wakeful.cli.worker_source import WorkerSource
from wakeful.config import Config
from wakeful.worker_node import WorkerRuntime

EXAMPLES = Path(__file__).parents[2] / "examples"


def chosen(tmp_path: Path, *, strict: bool) -> Settings:
    return Settings("127.0.0.1", 0, tmp_path / "data", Config(), traceback=False, strict=strict)


@pytest.mark.parametrize("strict", [False, True])
def test_a_worker_is_held_to_the_limits(tmp_path: Path, strict: bool) -> None:
    source = source_of([str(EXAMPLES / "worker_counter")], chosen(tmp_path, strict=strict))
    assert isinstance(source, WorkerSource)
    runtime = source.first()
    assert isinstance(runtime, WorkerRuntime)
    try:
        assert (runtime.worker.config.strict is not None) == strict
    finally:
        runtime.worker.unload()


def test_actors_have_limits_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match=r"--strict holds Cloudflare Workers .*app\.py has actors"):
        source_of([str(EXAMPLES / "counter" / "app.py")], chosen(tmp_path, strict=True))


@pytest.mark.parametrize("command", [dev, serve], ids=["dev", "serve"])
def test_the_option_is_there(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)  # dev sets it
    app = str(EXAMPLES / "counter" / "app.py")
    done = CliRunner().invoke(command, ["--strict", app])
    assert done.exit_code == 2
    assert "--strict holds Cloudflare Workers" in done.output
