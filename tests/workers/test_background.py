"""What goes on after the answer is bounded, for each object and for each Worker."""

import asyncio
from pathlib import Path

import pytest
from tests.runtime.world import settle
from tests.workers.running import raised, running, virtual

from wakeful.errors import Overloaded
from wakeful.runtime.drain import GRACE_SECONDS

SOURCE = """
from js import setTimeout

log = []

class Thing(DurableObject):
    async def keep(self, how):
        keep(self.ctx, how, self.env)

def keep(ctx, how, env):
    if how == "coroutine":
        ctx.waitUntil(asyncio.sleep(10))
    elif how == "task":
        ctx.waitUntil(asyncio.ensure_future(asyncio.sleep(10)))
    else:
        setTimeout(lambda: log.append("fired"), 10_000)
"""
DEFAULT = """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        where, how = request.url.split("/")[-2:]
        if where == "worker":
            keep(self.ctx, how, self.env)
        else:
            await self.env.OBJECT.getByName("a").keep(how)
        return Response("done")
"""


@pytest.mark.parametrize("how", ["coroutine", "task", "timer"])
@pytest.mark.parametrize("place", ["worker", "object"])
@virtual
async def test_more_than_its_limit_is_refused_until_some_has_ended(
    tmp_path: Path, place: str, how: str
) -> None:
    async with running(tmp_path, SOURCE, default=DEFAULT, background=4) as worker:
        path = f"/{place}/{how}"
        taken = 0
        while True:
            try:
                await worker.fetch(path)
            except Exception as error:
                refused = error
                break
            taken += 1
        assert 2 <= taken <= 4
        assert "has 4 tasks in the background (limits.background)" in str(refused)
        assert isinstance(refused if place == "worker" else refused.__cause__, Overloaded)
        await asyncio.sleep(11)
        assert worker.log == ["fired"] * taken * (how == "timer")
        assert await worker.fetch(path) == (200, "done")


@virtual
async def test_another_object_has_room_of_its_own(tmp_path: Path) -> None:
    async with running(tmp_path, SOURCE, background=1) as worker:
        await worker.stub("a").keep("coroutine")
        assert (await raised(worker.stub("a").keep("coroutine"))).name == "Overloaded"
        await worker.stub("b").keep("coroutine")


DEAF = """
released = asyncio.Event()
log = []

async def hang():
    while not released.is_set():
        try:
            await released.wait()
        except asyncio.CancelledError:
            log.append("cancelled")

class Thing(DurableObject):
    async def hang(self):
        self.ctx.waitUntil(hang())
"""
DEAF_DEFAULT = """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("worker"):
            self.ctx.waitUntil(hang())
        else:
            await self.env.OBJECT.getByName("a").hang()
        return Response("done")
"""


@pytest.mark.parametrize("place", ["worker", "object"])
@virtual
async def test_work_that_ignores_its_cancellation_does_not_hold_up_the_end(
    tmp_path: Path, place: str
) -> None:
    loop = asyncio.get_running_loop()
    async with running(tmp_path, DEAF, default=DEAF_DEFAULT, shutdown_seconds=0.2) as worker:
        assert await worker.fetch(f"/{place}") == (200, "done")
        began = loop.time()
    assert loop.time() - began <= 0.2 + GRACE_SECONDS
    told = len(worker.log)  # code of an object that is thrown away is closed, and not told
    assert told > 1 if place == "worker" else told == 0
    worker.module.released.set()
    await settle()
