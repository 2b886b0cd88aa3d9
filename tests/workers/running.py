"""Workers that run on virtual time, written as text in the tests."""

import asyncio
import itertools
from collections.abc import Container, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

from tests.runtime.world import runtime as native
from tests.runtime.world import virtual as virtual

from wakeful import Config, Limits
from wakeful.store.memory import MemoryStore
from wakeful.testing.clock import VirtualClock
from wakeful.testing.loop import VirtualLoop
from wakeful.worker_node import WorkerRuntime
from wakeful.workers.config.wrangler import read_config
from wakeful.workers.objects.stubs import Stub
from wakeful.workers.web.requests import JsRequest

__all__ = ["Running", "native", "running", "virtual"]

TOML = """
name = "app"
main = "src/entry.py"
compatibility_date = "{date}"

[[durable_objects.bindings]]
name = "OBJECT"
class_name = "Thing"

[[migrations]]
tag = "v1"
{storage} = ["Thing"]
"""
HEAD = """
import asyncio
import workers
from workers import DurableObject, Response, WorkerEntrypoint

"""
DEFAULT = """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("hello")
"""


class Running:
    """A Worker that runs."""

    def __init__(self, runtime: WorkerRuntime) -> None:
        self.runtime = runtime
        self.env = runtime.worker.env
        self.module = runtime.worker._worker.module
        self.log: list[object] = getattr(self.module, "log", [])

    def stub(self, name: object = "a") -> Any:
        """A new stub of an object."""
        made: Stub = self.env.OBJECT.getByName(name)  # type: ignore[attr-defined]
        return made

    async def fetch(self, path: str, **options: Any) -> tuple[int, str]:
        """Status and text of what the Worker answers."""
        response = await self.runtime.worker.respond(JsRequest(f"http://h{path}", options))
        return response.status, await response.text()


@asynccontextmanager
async def running(
    tmp_path: Path,
    source: str,
    *,
    store: MemoryStore | None = None,
    storage: str = "new_sqlite_classes",
    date: str = "2026-03-01",
    default: str = DEFAULT,
    idle_seconds: float = 10.0,
    more: str = "",
    allow_missing: Container[str] = (),
    **limits: Any,
) -> Any:
    """A Worker whose main module is this, on the clock of the running loop.

    `more` is put at the end of its wrangler.toml.
    """
    directory = tmp_path / "worker"
    (directory / "src").mkdir(parents=True, exist_ok=True)
    (directory / "wrangler.toml").write_text(TOML.format(storage=storage, date=date) + more)
    (directory / "src" / "entry.py").write_text(HEAD + dedent(source) + dedent(default))
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    numbers = itertools.count(1)
    runtime = WorkerRuntime(
        store or MemoryStore(),
        read_config(directory, allow_missing=allow_missing),
        config=Config(idle_seconds=idle_seconds, limits=Limits(**limits)),
        clock=VirtualClock(loop),
        random_bytes=lambda size: next(numbers).to_bytes(size, "big"),
    )
    async with runtime:
        yield Running(runtime)


def methods(*sources: str) -> str:
    """A class Thing with methods."""
    body = "\n".join(indent(dedent(source), "    ") for source in sources)
    return f"log = []\n\nclass Thing(DurableObject):\n{body}\n"


async def raised(work: Coroutine[Any, Any, Any] | Any) -> Any:
    """What an awaitable raises."""
    try:
        result = await work
    except Exception as error:
        return error
    raise AssertionError(f"nothing was raised, but {result!r} returned")
