"""`wakeful serve` and `wakeful dev` with a Cloudflare Worker: the example, unchanged."""

import json
import re
import shutil
import signal
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner
from tests.cli.conftest import Launch

from wakeful import Config
from wakeful.cli.main import command
from wakeful.cli.process import Settings
from wakeful.cli.sources import source_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "worker_counter"
CURL = re.compile(r"^curl '?localhost:8787(\S+?)'? +# (.*)$", re.MULTILINE)


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    """A copy of the example."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "worker"))


def test_the_lines_of_the_readme(launch: Launch, worker: Path, client: httpx2.Client) -> None:
    server = launch("serve", worker, "--port", "0")
    url = server.url()
    lines = CURL.findall((worker / "README.md").read_text())
    assert len(lines) == 6
    for path, answer in lines:
        assert client.get(f"{url}{path}").text == answer
    assert client.get(f"{url}/reset").status_code == 404
    assert client.get(f"{url}/_wakeful/health").json() == {"live": True, "ready": True}
    assert server.interrupt(signal.SIGTERM) == 0
    assert "Traceback" not in server.err.rest()


@pytest.mark.crash
def test_counts_survive_a_restart_and_a_kill(
    launch: Launch, worker: Path, client: httpx2.Client
) -> None:
    """C18, D35, I4: what was answered is there after kill -9."""
    for number in range(1, 4):
        server = launch("serve", worker / "wrangler.toml", "--port", "0")
        url = server.url()
        for name in ("a", "b"):
            answer = client.get(f"{url}/increment?name={name}")
            assert answer.json() == {"count": number}
        server.interrupt(signal.SIGKILL if number % 2 else signal.SIGTERM)


def test_dev_reloads_a_worker(launch: Launch, worker: Path, client: httpx2.Client) -> None:
    server = launch("dev", worker, "--port", "0")
    url = server.url()
    entry = worker / "src" / "entry.py"
    source = entry.read_text()
    assert client.get(f"{url}/increment").json() == {"count": 1}
    entry.write_text(source.replace("value += 1", "value += STEP") + "\nfrom steps import STEP\n")
    assert "No module named 'steps'" in server.err.until("^not reloaded: ").string
    assert client.get(f"{url}/increment").json() == {"count": 2}
    (worker / "src" / "steps.py").write_text("STEP = 10\n")
    server.out.until("^reloaded")
    assert client.get(f"{url}/increment").json() == {"count": 12}
    (worker / "wrangler.toml").write_text("name = 5")
    server.err.until("^not reloaded: .*name")
    assert client.get(f"{url}/increment").json() == {"count": 22}
    assert server.interrupt() == 0


EXITS = """
import asyncio
import sys
from workers import DurableObject, Response, WorkerEntrypoint

async def leave(kind):
    raise {"exit": SystemExit(3), "interrupt": KeyboardInterrupt()}[kind]

def drop(kind):
    raise {"exit": SystemExit(3), "interrupt": KeyboardInterrupt()}[kind]

async def act(how, kind):
    if how == "task":
        asyncio.create_task(leave(kind))
    elif how == "callback":
        asyncio.get_running_loop().call_soon(drop, kind)
    elif how == "awaited":
        await asyncio.create_task(leave(kind))
    await asyncio.sleep(0)

class Counter(DurableObject):
    async def act(self, how, kind):
        await act(how, kind)

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        where, how, kind = request.url.split("/")[-3:]
        await (self.env.COUNTER.getByName("a").act if where == "object" else act)(how, kind)
        return Response("done")
"""


def test_no_exit_of_served_code_ends_the_process(
    launch: Launch, worker: Path, client: httpx2.Client
) -> None:
    (worker / "src" / "entry.py").write_text(EXITS)
    server = launch("serve", worker, "--port", "0")
    url = server.url()
    for kind in ("exit", "interrupt"):
        for place in ("worker", "object"):
            for how, status in {"task": 200, "callback": 200, "awaited": 500, "": 200}.items():
                answer = client.get(f"{url}/{place}/{how}/{kind}")
                assert answer.status_code == status, (place, how, kind)
    assert server.interrupt() == 0
    assert server.err.rest().count("served code tried to end the process") >= 8


FRONT = """
name = "front"
main = "entry.py"
[[services]]
binding = "BACK"
service = "worker-counter"
"""
FRONT_CODE = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await self.env.BACK.fetch(request)
"""


def test_a_worker_without_objects_serves_requests(launch: Launch, tmp_path: Path) -> None:
    (tmp_path / "wrangler.toml").write_text('name = "plain"\nmain = "entry.py"\n')
    (tmp_path / "entry.py").write_text("async def on_fetch(request):\n    pass\n")
    server = launch("serve", ".", "--port", "0")
    server.out.until("^wakeful is serving requests on http://")


def test_dev_serves_several_workers(
    launch: Launch, worker: Path, tmp_path: Path, client: httpx2.Client
) -> None:
    """The code of each is reloaded, and a migration is applied, or refused, on the way."""
    front = tmp_path / "front"
    front.mkdir()
    (front / "wrangler.toml").write_text(FRONT)
    (front / "entry.py").write_text(FRONT_CODE)
    server = launch("dev", front, worker, "--port", "0")
    url = server.url()
    assert client.get(f"{url}/increment").json() == {"count": 1}
    entry, file = worker / "src" / "entry.py", worker / "wrangler.toml"
    entry.write_text(entry.read_text().replace("value += 1", "value += 10"))
    server.out.until("^reloaded")
    assert client.get(f"{url}/increment").json() == {"count": 11}
    toml = file.read_text()
    file.write_text(toml.replace('tag = "v1"', 'tag = "v0"'))
    said = server.err.until("^not reloaded: ").string
    assert "has applied the tags v1 for worker-counter, and 'v1' is missing here" in said
    assert client.get(f"{url}/increment").json() == {"count": 21}
    entry.write_text(entry.read_text().replace("class Counter(", "class Tally("))
    step = '[[migrations]]\ntag = "v2"\nrenamed_classes = [{ from = "Counter", to = "Tally" }]\n'
    file.write_text(f"{toml.replace(NAMES, NAMES.replace('Counter', 'Tally'))}\n{step}")
    server.out.until("^reloaded")
    assert client.get(f"{url}/increment").json() == {"count": 31}
    assert server.interrupt() == 0
    assert "Traceback" not in server.err.rest()


NAMES = 'class_name = "Counter"'


def test_only_workers_are_served_together(worker: Path, app: Path) -> None:
    result = CliRunner().invoke(command, ["serve", str(worker), str(app)])
    assert result.exit_code == 2
    assert f"{app} has no wrangler.toml" in result.stderr


def test_dev_shows_what_a_worker_raises(
    launch: Launch, worker: Path, client: httpx2.Client
) -> None:
    entry = worker / "src" / "entry.py"
    entry.write_text(entry.read_text().replace("value += 1", "value += 1 / 0"))
    server = launch("dev", worker, "--port", "0")
    url = server.url()
    answer = client.get(f"{url}/increment")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    server.err.until("value \\+= 1 / 0")
    server.err.until("ZeroDivisionError")
    assert client.get(f"{url}/get").json() == {"count": 0}


MISSING = """
[ai]
binding = "AI"

[[queues.consumers]]
queue = "jobs"

[[vectorize]]
binding = "FILES"
index_name = "f"
"""


def test_what_is_not_provided_is_refused_by_serve_unless_it_is_named(
    launch: Launch, worker: Path, client: httpx2.Client
) -> None:
    file = worker / "wrangler.toml"
    file.write_text(f"{file.read_text()}{MISSING}")
    server = launch("serve", worker, "--port", "0", "--allow-missing", "AI")
    assert server.wait() == 3
    said = server.err.rest()
    assert "queues.consumers 'jobs': wakeful does not provide queues" in said
    assert "vectorize binding 'FILES'" in said
    assert "--allow-missing jobs,FILES" in said
    assert "Traceback" not in said
    allowed = ("--allow-missing", "AI,jobs", "--allow-missing", "FILES,OLD")
    server = launch("serve", worker, "--port", "0", *allowed)
    assert client.get(f"{server.url()}/increment").json() == {"count": 1}
    assert server.interrupt() == 0
    lines = [json.loads(line) for line in server.err.rest().splitlines() if line[:1] == "{"]
    said = "\n".join(line["event"] for line in lines if line["level"] == "warning")
    for words in ("env.AI raises when it is used", "queue() is never called for jobs", "env.FILES"):
        assert words in said
    assert "--allow-missing OLD: nothing of this name is missing" in said


def test_dev_starts_without_and_shows_what_is_bound(
    launch: Launch, worker: Path, client: httpx2.Client
) -> None:
    file = worker / "wrangler.toml"
    file.write_text(f"{file.read_text()}{MISSING}")
    server = launch("dev", worker, "--port", "0")
    url = server.url()
    server.out.until("^KIND +NAME +HERE")
    server.out.until("^Durable Object +COUNTER +class Counter")
    server.out.until("^Workers AI +AI +not provided: env.AI raises when it is used")
    server.out.until("^Queue consumer +jobs +not provided: queue\\(\\) is never called for jobs")
    assert client.get(f"{url}/increment").json() == {"count": 1}
    file.write_text(f"{file.read_text()}[[kv_namespaces]]\nbinding = 'KV'\n")
    server.out.until("^reloaded")
    server.out.until("^KV namespace +KV +KV, in the data directory")
    assert client.get(f"{url}/increment").json() == {"count": 2}


def test_all_that_is_wrong_with_all_workers_is_told_at_once(worker: Path, tmp_path: Path) -> None:
    front = tmp_path / "front"
    front.mkdir()
    (front / "wrangler.toml").write_text("name = 5")
    file = worker / "wrangler.toml"
    file.write_text(f"{file.read_text()}{MISSING}".replace("compatibility_date =", "main = 5 #"))
    (worker / "wrangler.toml").write_text(file.read_text().replace('main = "src', 'x = "src'))
    result = CliRunner().invoke(command, ["serve", str(front), str(worker)])
    assert result.exit_code == 3
    for words in ("front/wrangler.toml: name: expected text", "front/wrangler.toml: main: missing"):
        assert words in result.stderr
    for words in ("worker/wrangler.toml: main: expected text", "worker/wrangler.toml: ai binding"):
        assert words in result.stderr


def test_actors_miss_nothing(app: Path) -> None:
    result = CliRunner().invoke(command, ["serve", str(app), "--allow-missing", "AI"])
    assert result.exit_code == 2
    assert "--allow-missing is for Cloudflare Workers" in result.stderr


def test_a_missing_class_is_a_start_up_error(launch: Launch, worker: Path) -> None:
    """I20."""
    file = worker / "wrangler.toml"
    file.write_text(file.read_text().replace('"Counter"', '"Missing"'))
    server = launch("serve", worker, "--port", "0")
    assert server.wait() != 0
    assert "has no class Missing" in server.err.rest()


def test_bodies_stream(launch: Launch, worker: Path, client: httpx2.Client) -> None:
    """B29: the first chunk is there while the object waits to be told to go on."""
    (worker / "src" / "entry.py").write_text(STREAMING)
    server = launch("serve", worker, "--port", "0")
    url = server.url()
    with client.stream("GET", f"{url}/stream") as response:
        chunks = response.iter_text()
        assert next(chunks) == "first"
        assert client.get(f"{url}/go").text == "gone"
        assert "".join(chunks) == "last"
    with client.stream("GET", f"{url}/stream") as response:
        assert next(response.iter_text()) == "first"
    assert client.get(f"{url}/go").text == "gone"
    assert server.interrupt() == 0
    assert "Traceback" not in server.err.rest()


STREAMING = """
import asyncio
from js import ReadableStream
from workers import DurableObject, Response, WorkerEntrypoint


class Counter(DurableObject):
    go = None

    async def fetch(self, request):
        if request.url.endswith("/go"):
            self.go.set()
            return Response("gone")
        self.go = asyncio.Event()
        return Response(ReadableStream(self.chunks()))

    async def chunks(self):
        yield b"first"
        await self.go.wait()
        yield b"last"


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await self.env.COUNTER.getByName("a").fetch(request)
"""


def test_a_schedule_has_a_line_to_try(worker: Path, tmp_path: Path) -> None:
    file, entry = worker / "wrangler.toml", worker / "src" / "entry.py"
    file.write_text(file.read_text() + '\n[triggers]\ncrons = ["*/5 2-6 * * MON#1"]\n')
    entry.write_text(
        entry.read_text() + "\n    async def scheduled(self, controller):\n        pass\n"
    )
    chosen = Settings("127.0.0.1", 0, tmp_path / "data", Config(), traceback=False, strict=False)
    source = source_of([str(worker)], chosen)
    runtime = source.first()
    try:
        lines = list(source.to_try([], "http://localhost:1"))
    finally:
        runtime.workers.unload()  # type: ignore[attr-defined]
    assert lines[1].split() == [
        "curl",
        "'http://localhost:1/cdn-cgi/handler/scheduled?cron=*/5+2-6+*+*+MON%231'",
    ]
