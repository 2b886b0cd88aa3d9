"""Responses whose bodies come chunk by chunk: conformance row B29."""

import asyncio
from pathlib import Path

from tests.runtime.world import FlakyStore, settle
from tests.workers.running import methods, raised, running, virtual

from wakeful.worker_node import answer_of
from wakeful.workers.web.requests import JsRequest

THING = methods(
    """
    async def fetch(self, request):
        import js
        return Response(js.ReadableStream(self.chunks(request.url)))

    async def chunks(self, url):
        for n in range(3):
            await self.ctx.storage.put("n", n)
            yield f"{n};".encode()
            await asyncio.sleep(1)
        if url.endswith("fail"):
            raise ValueError("broken off")
        if url.endswith("abort"):
            self.ctx.abort("stopped")
        if url.endswith("endless"):
            while True:
                log.append("chunk")
                yield b"more"

    async def get(self):
        return await self.ctx.storage.get("n")

    async def stop(self):
        self.ctx.abort("stopped")
    """
)
DEFAULT = """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await self.env.OBJECT.getByName("a").fetch(request)
"""


@virtual
async def test_the_head_comes_before_the_body_ends(tmp_path: Path) -> None:
    async with running(tmp_path, THING, default=DEFAULT) as worker:
        loop = asyncio.get_running_loop()
        request = JsRequest("http://h/")
        _, _, body = answer_of(request, await worker.runtime.worker.respond(request))
        assert loop.time() == 0
        assert not isinstance(body, bytes)
        chunks = []
        async for chunk in body:
            chunks.append((loop.time(), chunk))
        assert chunks == [(0, b"0;"), (1, b"1;"), (2, b"2;")]
        assert await worker.stub().get() == 2


@virtual
async def test_chunks_wait_until_what_they_reveal_is_durable(tmp_path: Path) -> None:
    store = FlakyStore()
    async with running(tmp_path, THING, store=store) as worker:
        response = await worker.stub().fetch("http://h/")
        reader = response.body.getReader()
        assert (await reader.read()).value == b"0;"
        store.held = asyncio.Event()
        reading = asyncio.ensure_future(reader.read())
        await asyncio.sleep(1.5)
        assert not reading.done()
        store.held.set()
        assert (await reading).value == b"1;"
        await settle()


@virtual
async def test_what_breaks_a_body_reaches_its_reader(tmp_path: Path) -> None:
    async with running(tmp_path, THING) as worker:
        error = await raised((await worker.stub().fetch("http://h/fail")).text())
        assert (error.message, error.remote) == ("broken off", True)
        error = await raised((await worker.stub().fetch("http://h/abort")).text())
        assert (error.message, error.durableObjectReset) == ("stopped", True)
        assert await worker.stub().get() == 2


@virtual
async def test_a_body_whose_object_is_reset_before_it_begins_breaks_off(tmp_path: Path) -> None:
    """The task that relays it is cancelled before its first step, and does not get to say so."""
    async with running(tmp_path, THING) as worker:
        answers = asyncio.gather(
            worker.stub().fetch("http://h/"), worker.stub().stop(), return_exceptions=True
        )
        response, _ = await answers
        async with asyncio.timeout(5):
            error = await raised(response.text())
        assert (error.message, error.durableObjectReset, error.remote) == ("stopped", True, True)


@virtual
async def test_a_reader_that_leaves_ends_the_body(tmp_path: Path) -> None:
    async with running(tmp_path, THING, idle_seconds=1.0) as worker:
        response = await worker.stub().fetch("http://h/endless")
        reader = response.body.getReader()
        await reader.read()
        await asyncio.sleep(10)
        made = len(worker.log)
        assert 0 < made < 20
        await reader.cancel()
        await asyncio.sleep(10)
        assert len(worker.log) <= made + 1
        assert not worker.runtime.host.activator.catalog.actors
        response = await worker.stub().fetch("http://h/endless")
        del response, reader
        await asyncio.sleep(20)
        assert not worker.runtime.host.activator.catalog.actors
