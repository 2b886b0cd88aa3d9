"""Bindings that wakeful does not provide: a Worker starts without them, and using one raises."""

import copy
from pathlib import Path
from typing import Any

import pytest
from tests.workers.running import methods, raised, running, virtual

from wakeful.errors import ConfigError
from wakeful.workers.config.overview import overview
from wakeful.workers.config.support import EVERYTHING
from wakeful.workers.config.wrangler import read_config

MORE = """
[vars]
GREETING = "hello"

[ai]
binding = "AI"

[[queues.producers]]
binding = "JOBS"
queue = "jobs"

[[queues.consumers]]
queue = "jobs"

[[hyperdrive]]
binding = "PG"
id = "x"

[[workflows]]
name = "flow"
binding = "FLOW"
class_name = "Flow"

[[kv_namespaces]]
binding = "KV"

[[ratelimits]]
name = "LIMIT"
namespace_id = "1"
simple = { limit = 5, period = 10 }

[triggers]
crons = ["0 3 * * *"]
"""
CODE = """
from workers import WorkflowEntrypoint

class Flow(WorkflowEntrypoint):
    async def run(self, event, step):
        return await step.do("x", lambda: 1)

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/plain"):
            return Response("hello" if self.env.AI else "no AI")
        if request.url.endswith("/guarded"):
            try:
                await self.env.AI.run("model", {})
            except Exception as error:
                return Response(str(error))
        return Response(await self.env.AI.run("model", {}))

    async def scheduled(self, controller, env, ctx):
        pass
"""
THING = methods("async def ask(self): return await self.env.AI.run('model', {})")


@virtual
async def test_a_worker_starts_without_and_what_uses_it_raises(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(tmp_path, THING, more=MORE, default=CODE, allow_missing=EVERYTHING) as app:
        assert await app.fetch("/plain") == (200, "hello")
        said = (
            "Error: env.AI.run: wakeful does not provide Workers AI, so this cannot be used here. "
            "The configuration asks for it, and the Worker was started without"
        )
        assert await app.fetch("/guarded") == (200, said)
        assert str(await raised(app.fetch("/"))) == said
        error = await raised(app.stub().ask())
        assert (str(error), error.remote) == (said, True)
        for use in (lambda: app.env.PG.connectionString, lambda: app.env.JOBS["x"], app.env.FLOW):
            with pytest.raises(Exception, match=r"^Error: env\.(PG|JOBS|FLOW)\S*: wakeful does"):
                use()
        assert repr(app.env.FLOW) == "<FLOW: wakeful does not provide Workflows>"
        assert repr(copy.copy(app.env.JOBS)) == "<JOBS: wakeful does not provide queues>"
    said = capsys.readouterr().out
    assert [line.partition("wrangler.toml: ")[2][:-1] for line in said.splitlines()] == [
        "ai binding 'AI': wakeful does not provide Workers AI: env.AI raises when it is used",
        "queues.producers binding 'JOBS': wakeful does not provide queues: env.JOBS raises when it "
        "is used",
        "queues.consumers 'jobs': wakeful does not provide queues: queue() is never called for "
        "jobs",
        "hyperdrive binding 'PG': wakeful does not provide Hyperdrive: env.PG raises when it is "
        "used",
        "workflows binding 'FLOW': wakeful does not provide Workflows: env.FLOW raises when it is "
        "used, and Flow never runs",
    ]


@virtual
async def test_it_is_refused_unless_it_is_named(tmp_path: Path) -> None:
    some: dict[str, Any] = {"more": MORE, "default": CODE, "allow_missing": {"AI", "jobs", "PG"}}
    with pytest.raises(ConfigError, match=r"--allow-missing JOBS,FLOW "):
        async with running(tmp_path, THING, **some):
            pass


def test_overview(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "entry.py").write_text("")
    (tmp_path / ".dev.vars").write_text("KEY=secret")
    head = 'name = "app"\nmain = "src/entry.py"\n'
    objects = """
[[durable_objects.bindings]]
name = "HERE"
class_name = "Thing"

[[durable_objects.bindings]]
name = "THERE"
class_name = "Other"
script_name = "far"

[[services]]
binding = "FAR"
service = "far"
entrypoint = "Admin"
"""
    (tmp_path / "wrangler.toml").write_text(head + objects + MORE)
    assert [tuple(row) for row in overview(read_config(tmp_path, allow_missing=EVERYTHING))] == [
        ("Durable Object", "HERE", "class Thing"),
        ("Durable Object", "THERE", "class Other of the Worker far"),
        ("Service", "FAR", "the Worker far, entrypoint Admin"),
        ("KV namespace", "KV", "KV, in the data directory"),
        ("Rate limit", "LIMIT", "5 in 10 s, in this process"),
        ("Variable", "GREETING", "of the configuration"),
        ("Secret", "KEY", "of .dev.vars or .env"),
        ("Cron trigger", "0 3 * * *", "in UTC, while this process runs"),
        ("Workers AI", "AI", "not provided: env.AI raises when it is used"),
        ("Queue", "JOBS", "not provided: env.JOBS raises when it is used"),
        ("Queue consumer", "jobs", "not provided: queue() is never called for jobs"),
        ("Hyperdrive", "PG", "not provided: env.PG raises when it is used"),
        ("Workflow", "FLOW", "not provided: env.FLOW raises when it is used, and Flow never runs"),
    ]
