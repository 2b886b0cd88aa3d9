"""`--env`: the environment of a Worker, from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from wakeful.cli.exit_codes import WrongUsage
from wakeful.cli.process import Settings, settings
from wakeful.cli.sources import source_of
from wakeful.errors import ConfigError
from wakeful.worker_node import WorkerRuntime

TOML = """
name = "shop"
main = "entry.py"

[vars]
WHERE = "here"

[env.staging.vars]
WHERE = "there"
"""
ENTRY = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(self.env.WHERE)
"""


def chosen(data: Path, environment: str | None) -> Settings:
    return settings(
        host="127.0.0.1",
        port=0,
        data=data,
        idle_timeout=None,
        max_active=None,
        traceback=False,
        strict=False,
        environment=environment,
    )


@pytest.mark.parametrize(
    ("environment", "name", "where"),
    [(None, "shop", "here"), ("staging", "shop-staging", "there")],
)
def test_environment_is_the_one_that_is_named(
    tmp_path: Path, environment: str | None, name: str, where: str
) -> None:
    (tmp_path / "wrangler.toml").write_text(TOML)
    (tmp_path / "entry.py").write_text(ENTRY)
    runtime = source_of([str(tmp_path)], chosen(tmp_path / "data", environment)).first()
    assert isinstance(runtime, WorkerRuntime)
    try:
        assert (runtime.worker.config.name, runtime.worker.env.WHERE) == (name, where)
    finally:
        runtime.worker.unload()


def test_environment_that_is_not_there_is_said_with_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "wrangler.toml").write_text(TOML)
    (tmp_path / "entry.py").write_text(ENTRY)
    source = source_of([str(tmp_path)], chosen(tmp_path / "data", "stagin"))
    with pytest.raises(ConfigError, match=r"env\.stagin: there is no such .* there are: staging"):
        source.first()


def test_actors_have_no_environments(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match=r"--env is for Cloudflare Workers; app\.py has actors"):
        source_of(["app.py"], chosen(tmp_path, "staging"))
