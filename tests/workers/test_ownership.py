"""An object of a Worker whose store has been taken over answers nothing from memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.workers.running import methods, raised, running, virtual

from wakeful.runtime.ownership import TERM_NS
from wakeful.store.memory import MemoryDisk, MemoryStore

SOURCE = methods(
    """
    async def put(self, value):
        await self.ctx.storage.put("value", value)

    async def get(self):
        return await self.ctx.storage.get("value")

    async def get_slowly(self):
        await asyncio.sleep(0.01)
        return await self.ctx.storage.get("value")

    async def fetch(self, request):
        return Response(str(await self.ctx.storage.get("value")))
    """
)
DEFAULT = """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await self.env.OBJECT.getByName("a").fetch(request)
"""


@pytest.mark.parametrize("method", ["get", "get_slowly"])
def test_a_method_is_not_answered_after_the_term(tmp_path: Path, method: str) -> None:
    @virtual
    async def test() -> None:
        disk = MemoryDisk()
        async with running(tmp_path, SOURCE, store=MemoryStore(disk)) as old:
            await old.stub().put("old")
            disk.take(0)  # a new owner has come
            await asyncio.sleep(TERM_NS / 1e9)
            assert "epoch" in str(await raised(getattr(old.stub(), method)()))

    test()


@virtual
async def test_a_request_is_not_answered_after_the_term(tmp_path: Path) -> None:
    disk = MemoryDisk()
    async with running(tmp_path, SOURCE, store=MemoryStore(disk), default=DEFAULT) as old:
        await old.stub().put("old")
        assert await old.fetch("/") == (200, "old")
        disk.take(0)  # a new owner has come
        await asyncio.sleep(TERM_NS / 1e9)
        assert "epoch" in str(await raised(old.fetch("/")))
