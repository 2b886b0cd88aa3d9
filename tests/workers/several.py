"""Several Workers in one runtime on virtual time, each a file or more of text."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

from tests.workers.running import HEAD, Running

from wakeful.store.memory import MemoryStore
from wakeful.testing.clock import VirtualClock
from wakeful.testing.loop import VirtualLoop
from wakeful.worker_node import WorkerRuntime
from wakeful.workers.config.wrangler import read_config

DEFAULT = """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("hello")
"""


def write(directory: Path, toml: str, source: str, **files: str) -> Path:
    """A Worker: the lines of its wrangler.toml after its name, its main module, other modules."""
    main = dedent(source)
    if "Default" not in main and "on_fetch" not in main:
        main += DEFAULT
    (directory / "src").mkdir(parents=True, exist_ok=True)
    start = f'name = "{directory.name}"\nmain = "src/entry.py"\n'
    (directory / "wrangler.toml").write_text(start + dedent(toml))
    (directory / "src" / "entry.py").write_text(HEAD + main)
    for name, text in files.items():
        (directory / "src" / f"{name}.py").write_text(dedent(text))
    return directory


@asynccontextmanager
async def together(*directories: Path, store: MemoryStore | None = None) -> AsyncIterator[Any]:
    """The Workers in these directories; the first one as Running, the others by their names."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    first, *others = map(read_config, directories)
    numbers = itertools.count(1)
    runtime = WorkerRuntime(
        store or MemoryStore(),
        first,
        others=others,
        clock=VirtualClock(loop),
        random_bytes=lambda size: next(numbers).to_bytes(size, "big"),
    )
    async with runtime:
        yield Running(runtime)
