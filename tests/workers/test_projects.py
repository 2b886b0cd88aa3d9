"""Whole Workers as people have them on disk, of each age of the Python API."""

import asyncio
import json
from pathlib import Path

from tests.runtime.test_sockets import FakeWire
from tests.runtime.world import settle
from tests.workers.running import running, virtual

from wakeful.workers.web.requests import JsRequest

D1 = '[[d1_databases]]\nbinding = "DB"\ndatabase_name = "books"\n'
KV = '[[kv_namespaces]]\nbinding = "SEEN"\nid = "seen"\n'

FUNCTIONS = """
import js
from cloudflare.workers import Response as PythonResponse
from js import URL, Headers, Response
from pyodide.ffi import JsException

class Thing(DurableObject): ...

async def on_fetch(request, env):
    url = URL.new(request.url)
    headers = Headers.new({"content-type": "application/json"}.items())
    if "POST" in request.method:
        try:
            data = await request.json()
        except JsException:
            return Response.new({"error": "no JSON"}, status=400, headers=headers)
        title = getattr(data, "title", None)
        if not title:
            return Response.new({"error": "no title"}, status=400, headers=headers)
        await env.DB.prepare("INSERT INTO books VALUES (?)").bind(title).run()
        return Response.new({"message": "ok"}, headers=headers)
    if url.pathname == "/make":
        await env.DB.exec("CREATE TABLE IF NOT EXISTS books (title TEXT)")
    if url.pathname == "/old":
        return Response.redirect(url.origin, 307)
    if url.pathname == "/seen":
        await env.SEEN.put("a", "1")
        return PythonResponse(",".join(key.name for key in (await env.SEEN.list()).keys))
    rows = (await env.DB.prepare("SELECT * FROM books").all()).results
    return Response.json(rows.to_py(), headers=headers)
"""


@virtual
async def test_functions_with_the_names_of_javascript(tmp_path: Path) -> None:
    async with running(tmp_path, FUNCTIONS, default="", more=D1 + KV) as worker:

        async def post(body: str) -> tuple[int, str]:
            return await worker.fetch("/", method="POST", body=body)

        assert await worker.fetch("/make") == (200, "[]")
        assert await post("{") == (400, "{'error': 'no JSON'}")
        assert await post("{}") == (400, "{'error': 'no title'}")
        assert await post('{"title": "T"}') == (200, "{'message': 'ok'}")
        assert await worker.fetch("/") == (200, '[{"title":"T"}]')
        assert (await worker.fetch("/old"))[0] == 307
        assert await worker.fetch("/seen") == (200, "a")


CLASSES = """
import json
from js import Array, Object, console
from pyodide.ffi import create_proxy, to_js as _to_js

def to_js(value):
    return _to_js(value, dict_converter=Object.fromEntries)

class Thing(DurableObject):
    def __init__(self, ctx, env):
        self.ctx = ctx
        self.env = env
        ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS agents (id TEXT, at INTEGER)")

    async def on_fetch(self, request):
        data = (await request.json()).to_py()
        self.ctx.storage.sql.exec("INSERT INTO agents VALUES (?, ?)", data["id"], 1)
        history = await self.ctx.storage.get("history")
        history = history.to_py() if history else []
        history.append({"role": "user", "content": data["id"]})
        await self.ctx.storage.put("history", to_js(history))
        cursor = self.ctx.storage.sql.exec("SELECT id FROM agents")
        rows = getattr(Array, "from")(cursor).to_py()
        count = self.ctx.storage.sql.exec("SELECT COUNT(*) AS n FROM agents").toArray()[0].n
        return workers.Response(json.dumps([rows, count, len(history)]))

class Default(WorkerEntrypoint):
    async def on_fetch(self, request):
        things = self.env.OBJECT
        init = {"method": "POST", "body": json.dumps({"id": request.url[-1]})}
        response = await things.get(things.idFromName("a")).fetch("http://a/", to_js(init))
        rows, count, turns = (await response.json()).to_py()
        task = asyncio.ensure_future(self.note(count))
        proxy = create_proxy(task)
        task.add_done_callback(lambda _: proxy.destroy())
        workers.wait_until(proxy)
        return Response.json([rows, turns, response.statusText])

    async def note(self, count):
        log.append(count)

log = []
"""


@virtual
async def test_classes_from_before_values_were_converted(tmp_path: Path) -> None:
    async with running(tmp_path, CLASSES, default="") as worker:
        assert await worker.fetch("/x") == (200, '[[{"id": "x"}], 1, "OK"]')
        assert await worker.fetch("/y") == (200, '[[{"id": "x"}, {"id": "y"}], 2, "OK"]')
        await settle()
        assert worker.log == [1, 2]


ROOM = """
import json
from js import WebSocketPair, WebSocketRequestResponsePair
from pyodide.ffi import to_js
from urllib.parse import parse_qs, urlparse

log = []

class Thing(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        log.append("made")
        self.ctx.setWebSocketAutoResponse(WebSocketRequestResponsePair.new("ping", "pong"))
        self.names = {ws: ws.deserializeAttachment()["name"] for ws in ctx.getWebSockets()}

    async def fetch(self, request):
        name = parse_qs(urlparse(request.url).query)["name"][0]
        first = self.ctx.getWebSockets("member").length == 0
        client, server = WebSocketPair.new().object_values()
        self.ctx.acceptWebSocket(server, to_js(["member", name]))
        server.serializeAttachment(to_js({"name": name, "host": first}))
        self.names[server] = name
        return Response(status=101, web_socket=client)

    async def webSocketMessage(self, ws, message):
        who = ws.deserializeAttachment()
        text = json.dumps([who.name, who["host"], message, sorted(self.names.values())])
        for peer in self.ctx.getWebSockets("member"):
            if peer.readyState == 1:
                peer.send(text)
"""


@virtual
async def test_a_room_that_sleeps_with_its_members(tmp_path: Path) -> None:
    async with running(tmp_path, ROOM) as worker:
        wires = []
        for name in ("ann", "bob"):
            request = JsRequest(f"http://h/?name={name}", headers={"Upgrade": "websocket"})
            response = await worker.stub().fetch(request)
            peer, wire = response.web_socket.returned(), FakeWire()
            peer.connect(wire)
            wires.append((peer, wire))
        (ann, to_ann), (_, to_bob) = wires
        for text in ("one", "two"):
            ann.received(text)
            await settle()
            said = ["ann", True, text, ["ann", "bob"]]
            assert [json.loads(str(wire.got[-1])) for wire in (to_ann, to_bob)] == [said, said]
            await asyncio.sleep(20)
        assert worker.log == ["made", "made"]
