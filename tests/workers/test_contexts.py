"""Whose context variables code of a Worker sees: a caller's cross the call, and go nowhere else."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from tests.runtime.test_sockets import FakeWire
from tests.workers.running import raised, running, virtual

from wakeful.workers.web.requests import JsRequest

V = TypeVar("V")

SOURCE = """
from contextvars import ContextVar


who = ContextVar("who", default="nobody")
log = []

def note(place):
    log.append((place, who.get()))

class Thing(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        note("init")

        async def prepare():
            await asyncio.sleep(0.001)
            note("prepare")

        ctx.blockConcurrencyWhile(prepare)

    async def hello(self):
        note("call")
        await asyncio.sleep(1)
        note("call")

    async def through(self):
        await self.env.OBJECT.getByName("other").hello()

    async def fail(self):
        await asyncio.sleep(1)
        self.ctx.abort("enough")

    async def behind(self):
        async def work():
            await asyncio.sleep(1)
            note("waitUntil")

        self.ctx.waitUntil(work())

    async def ring(self):
        await self.ctx.storage.setAlarm(1_700_000_010_000)

    async def alarm(self, info):
        note("alarm")
        await asyncio.sleep(1)
        note("alarm")

    async def fetch(self, request):
        from js import WebSocketPair
        client, server = WebSocketPair.new().object_values()
        self.ctx.acceptWebSocket(server)
        return Response(None, status=101, web_socket=client)

    async def webSocketMessage(self, ws, message):
        note("message")
        await asyncio.sleep(1)
        note("message")

    async def webSocketClose(self, ws, code, reason, clean):
        note("close")
"""
DEFAULT = """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await self.env.OBJECT.getByName("a").fetch(request)

    async def scheduled(self, controller, env, ctx):
        note("cron")
        await self.env.OBJECT.getByName("a").hello()
"""
CRONS = """
[triggers]
crons = ["* * * * *"]
"""


async def as_caller(worker: Any, name: str, work: Coroutine[Any, Any, V]) -> V:
    async def run() -> V:
        worker.module.who.set(name)
        return await work

    return await asyncio.create_task(run())


async def _awaited(call: Any) -> Any:
    return await call()


def places(worker: Any) -> dict[str, set[str]]:
    """Who was seen, by place; what was noted is forgotten."""
    found: dict[str, set[str]] = {}
    for place, name in worker.log:
        found.setdefault(place, set()).add(name)
    worker.log.clear()
    return found


NOBODY = {"nobody"}


@virtual
async def test_object_is_made_by_nobody_and_called_by_its_caller(tmp_path: Path) -> None:
    async with running(tmp_path, SOURCE, default=DEFAULT) as worker:
        stub = worker.stub("a")
        await as_caller(worker, "alice", _awaited(stub.hello))
        assert places(worker) == {"init": NOBODY, "prepare": NOBODY, "call": {"alice"}}


@virtual
async def test_call_between_objects_carries_on_the_variables_of_the_first_caller(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, SOURCE, default=DEFAULT) as worker:
        await as_caller(worker, "alice", _awaited(worker.stub("a").through))
        assert places(worker) == {"init": NOBODY, "prepare": NOBODY, "call": {"alice"}}


@virtual
async def test_object_after_an_abort_is_made_by_nobody(tmp_path: Path) -> None:
    async with running(tmp_path, SOURCE, default=DEFAULT) as worker:
        await as_caller(worker, "alice", raised(worker.stub("a").fail()))
        await as_caller(worker, "bob", _awaited(worker.stub("a").hello))
        assert places(worker) == {"init": NOBODY, "prepare": NOBODY, "call": {"bob"}}


@virtual
async def test_alarm_is_nobodys_and_background_work_its_callers(tmp_path: Path) -> None:
    async with running(tmp_path, SOURCE, default=DEFAULT, idle_seconds=2.0) as worker:
        await as_caller(worker, "alice", _awaited(worker.stub("a").ring))
        await as_caller(worker, "bob", _awaited(worker.stub("a").behind))
        await asyncio.sleep(60)
        found = places(worker)
        assert (found["alarm"], found["init"], found["waitUntil"]) == (NOBODY, NOBODY, {"bob"})


@virtual
async def test_cron_trigger_is_nobodys(tmp_path: Path) -> None:
    async with running(tmp_path, SOURCE, default=DEFAULT, more=CRONS) as worker:
        await as_caller(worker, "alice", _awaited(worker.stub("a").hello))
        places(worker)
        await asyncio.sleep(200)
        found = places(worker)
        assert (found["cron"], found["call"]) == (NOBODY, NOBODY)


@virtual
async def test_what_happens_on_a_socket_is_nobodys_whoever_connected_it(tmp_path: Path) -> None:
    async with running(tmp_path, SOURCE, default=DEFAULT, idle_seconds=2.0) as worker:

        async def connect() -> Any:
            request = {"headers": {"upgrade": "websocket"}}
            response = await worker.runtime.worker.respond(JsRequest("http://h/", request))
            peer = response.webSocket.returned()
            peer.connect(FakeWire())
            peer.received("one")
            await asyncio.sleep(20)  # the object sleeps meanwhile
            peer.received("two")
            return peer

        peer = await as_caller(worker, "alice", connect())
        await asyncio.sleep(5)
        peer.closed(1001, "", clean=True)
        await asyncio.sleep(1)
        found = places(worker)
        assert (found["message"], found["close"], found["init"]) == (NOBODY, NOBODY, NOBODY)
