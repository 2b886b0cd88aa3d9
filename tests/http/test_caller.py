"""Who calls over HTTP: established by the server, for this request and no other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.http.actors import serving
from tests.http.test_guard import Head

from wakeful import CallHeader, DurableObject, Runtime, readonly
from wakeful.header import call_header
from wakeful.http.bodies import Incoming
from wakeful.http.message import Answer, Request
from wakeful.http.settings import HttpSettings

TOKEN = "a token of some length"
BEARER = {"authorization": f"Bearer {TOKEN}"}
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Seen(msgspec.Struct):
    established: str | None
    identity: str | None = None
    actor: str | None = None
    trace: str | None = None
    waits: bool = False


class Witness(DurableObject):
    @readonly
    async def straight(self) -> Seen:
        return self._seen()

    async def waits(self) -> Seen:
        await asyncio.sleep(0)
        return self._seen()

    async def ask(self) -> Seen:
        return await self.ctx.get(Witness, "other").waits()

    def _seen(self) -> Seen:
        caller = self.ctx.caller
        assert caller is not None
        header = call_header.get()
        if header is None:
            return Seen(caller.established)
        return Seen(
            caller.established,
            caller.identity,
            caller.actor and caller.actor.name,
            header.trace and str(header.trace),
            header.deadline is not None,
        )


@pytest.mark.parametrize(("method", "actor"), [("straight", None), ("waits", None), ("ask", "w")])
async def test_each_request_has_a_caller_of_its_own(
    tmp_path: Path, method: str, actor: str | None
) -> None:
    """All of them come over one connection."""
    settings = HttpSettings(admin_token=TOKEN)
    async with (
        serving(tmp_path, Witness, settings=settings) as it,
        httpx2.AsyncClient(base_url=it.server.url) as http,
    ):
        path = f"/actors/Witness/w/{method}"
        seen = msgspec.convert((await http.post(path, headers=BEARER)).json(), Seen)
        assert (seen.established, seen.identity, seen.actor) == ("admin_token", "admin", actor)
        headers = {"traceparent": TRACEPARENT, "authorization": "Bearer x"}
        seen = msgspec.convert((await http.post(path, headers=headers)).json(), Seen)
        assert (seen.established, seen.identity, seen.actor) == ("loopback", None, actor)
        assert seen.trace == TRACEPARENT
        seen = msgspec.convert((await http.post(path)).json(), Seen)
        assert (seen.established, seen.trace, seen.waits) == ("loopback", None, True)
        assert (await it.runtime.get(Witness, "w").straight()).established == "program"


async def test_where_it_is_mounted_the_caller_leaves_with_the_answer(tmp_path: Path) -> None:
    """The task that asks may be one of the program, and goes on."""
    async with Runtime(tmp_path, actors=[Witness]) as rt:
        app = Starlette(routes=[Mount("/live", app=rt.asgi(HttpSettings(admin_token=TOKEN)))])
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://app") as http:
            answer = await http.post("/live/actors/Witness/w/straight", headers=BEARER)
            assert answer.json()["identity"] == "admin"
            answer = await http.post("/live/actors/Witness/w/straight")
            assert answer.json()["established"] == "nothing"
        assert call_header.get() is None
        assert (await rt.get(Witness, "w").straight()).established == "program"


async def test_what_stands_in_front_has_the_header_too(tmp_path: Path) -> None:
    """A Worker is called by its `fetch`: what it asks of actors is asked for the same caller."""
    seen: list[CallHeader | None] = []

    async def front(request: Request, body: Incoming) -> Answer:
        seen.append(call_header.get())
        return 200, [], b""

    async with Runtime(tmp_path, actors=[Witness]) as rt:
        rt._front = front
        gateway = rt.gateway(HttpSettings(admin_token=TOKEN), loopback=True)
        await gateway.handle(Head("GET", host="localhost", **BEARER))
    (header,) = seen
    assert header is not None
    assert (header.caller.identity, header.deadline) == ("admin", None)
