"""What goes on after the answer is bounded, for each object and for each Worker."""

import asyncio
from pathlib import Path

import pytest
from tests.workers.running import raised, running, virtual

from wakeful.errors import Overloaded

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
