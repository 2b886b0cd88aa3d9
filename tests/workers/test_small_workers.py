"""Small Workers as people write them after Cloudflare's examples, each a project on disk."""

import asyncio
import json
import time
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

from tests.workers.running import virtual

from wakeful.store.memory import MemoryStore
from wakeful.testing.clock import WALL_START_NS, VirtualClock
from wakeful.testing.loop import VirtualLoop
from wakeful.worker_node import WorkerRuntime
from wakeful.workers.config.support import EVERYTHING
from wakeful.workers.config.wrangler import read_config
from wakeful.workers.web.requests import JsRequest


class Client:
    """Asks the first Worker of a runtime as a client would."""

    def __init__(self, runtime: WorkerRuntime) -> None:
        self.env = runtime.worker.env
        self._worker = runtime.worker

    async def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of an answer."""
        pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
        request = JsRequest.received(method, f"http://h{path}", pairs, body)
        answer = await self._worker.respond(request)
        return answer.status, bytes(await answer.bytes()), dict(answer.headers.raw())

    async def json(self, method: str, path: str, value: object = None) -> tuple[int, Any]:
        """Status and value of an answer in JSON."""
        body = None if value is None else json.dumps(value).encode()
        status, text, _ = await self.ask(method, path, body, content_type="application/json")
        return status, json.loads(text)


def project(directory: Path, config: Mapping[str, Any], files: Mapping[str, str]) -> Path:
    """Write a Worker: wrangler.jsonc, and files by their paths."""
    base = {
        "$schema": "node_modules/wrangler/config-schema.json",
        "name": directory.name,
        "main": "src/entry.py",
        "compatibility_date": "2026-03-20",
        "compatibility_flags": ["python_workers"],
        "observability": {"enabled": True},
    }
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(dedent(text))
    (directory / "wrangler.jsonc").write_text("// how it is deployed\n" + json.dumps(base | config))
    return directory


@asynccontextmanager
async def served(*directories: Path) -> AsyncIterator[Client]:
    """These Workers, the first in front."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    first, *others = (read_config(path, allow_missing=EVERYTHING) for path in directories)
    # Code asks datetime for the time: that of the runtime begins there, and then goes its own way.
    clock = VirtualClock(loop, wall_skew_ns=time.time_ns() - WALL_START_NS)
    async with WorkerRuntime(MemoryStore(), first, others=others, clock=clock) as runtime:
        yield Client(runtime)


FILES = """
from urllib.parse import unquote

from js import URL, Headers, Object
from js import Response as JsResponse
from pyodide.ffi import jsnull, to_js
from workers import Response, WorkerEntrypoint


def js_object(value):
    return to_js(value, dict_converter=Object.fromEntries)


def is_missing(value):
    if value is None or value is jsnull:
        return True
    return str(type(value)) == "<class 'pyodide.ffi.JsProxy'>" and str(value) == "undefined"


def told(found):
    checksums = {}
    for name in ("md5", "sha256"):
        checksum = getattr(found.checksums, name, None)
        if not is_missing(checksum):
            checksums[name] = checksum.hex()
    return {
        "key": str(found.key),
        "size": int(found.size),
        "httpEtag": str(found.httpEtag),
        "uploaded": str(found.uploaded)[:4],
        "http": found.httpMetadata.to_py(),
        "custom": found.customMetadata.to_py(),
        "checksums": sorted(checksums),
    }


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        url = URL.new(request.url)
        path, method = str(url.pathname), str(request.method).upper()
        if path == "/files" and method == "GET":
            return await self.list_files(url)
        if path.startswith("/upload/"):
            return await self.upload(request, unquote(path[8:]))
        key = unquote(path.removeprefix("/files/"))
        if method == "PUT":
            return await self.put(request, key)
        if method == "DELETE":
            await self.env.BUCKET.delete(key)
            return Response(None, status=204)
        return await self.get(request, key)

    async def put(self, request, key):
        options = {"httpMetadata": {"contentType": request.headers.get("content-type")}}
        if author := request.headers.get("x-author"):
            options["customMetadata"] = {"author": author}
        if request.headers.get("if-none-match"):
            options["onlyIf"] = request.js_object.headers
        made = await self.env.BUCKET.put(key, request.js_object.body, js_object(options))
        if is_missing(made):
            return Response.json({"stored": False}, status=412)
        return Response.json({"stored": told(made)}, status=201)

    async def get(self, request, key):
        options = {}
        if given := request.headers.get("range"):
            start, _, end = given.removeprefix("bytes=").partition("-")
            options["range"] = (
                {"offset": int(start), "length": int(end) - int(start) + 1}
                if start
                else {"suffix": int(end)}
            )
        found = await self.env.BUCKET.get(key, js_object(options) if options else None)
        if is_missing(found):
            return Response.json({"error": "not found", "key": key}, status=404)
        headers = Headers.new()
        found.writeHttpMetadata(headers)
        headers.set("etag", found.httpEtag)
        status = 200
        if options:
            status, span = 206, found.range
            end = int(span.offset) + int(span.length) - 1
            headers.set("content-range", f"bytes {int(span.offset)}-{end}/{int(found.size)}")
        return JsResponse.new(found.body, js_object({"status": status, "headers": headers}))

    async def list_files(self, url):
        limit = url.searchParams.get("limit")
        options = {"include": ["httpMetadata", "customMetadata"]}
        if not is_missing(limit):
            options["limit"] = int(limit)
        listed = await self.env.BUCKET.list(js_object(options))
        return Response.json(
            {"keys": [it.key for it in listed.objects], "truncated": bool(listed.truncated)}
        )

    async def upload(self, request, key):
        upload = await self.env.BUCKET.createMultipartUpload(key)
        parts = [await upload.uploadPart(1, await request.js_object.arrayBuffer())]
        made = await upload.complete(to_js(parts, dict_converter=Object.fromEntries))
        return Response.json({"key": made.key, "size": made.size})
"""


@virtual
async def test_files_in_a_bucket(tmp_path: Path) -> None:
    config = {"r2_buckets": [{"binding": "BUCKET", "bucket_name": "files", "remote": True}]}
    async with served(project(tmp_path / "files", config, {"src/entry.py": FILES})) as app:
        status, text, _ = await app.ask(
            "PUT", "/files/a%20b.txt", b"0123456789", content_type="text/plain", x_author="me"
        )
        stored = json.loads(text)["stored"]
        assert (status, stored["key"], stored["size"]) == (201, "a b.txt", 10)
        assert (stored["http"], stored["custom"]) == (
            *({"contentType": "text/plain"}, {"author": "me"}),
        )
        assert (stored["checksums"], len(stored["uploaded"])) == (["md5"], 4)
        again = {"content_type": "text/plain", "if_none_match": "*"}
        assert (await app.ask("PUT", "/files/a%20b.txt", b"other", **again))[0] == 412
        status, text, headers = await app.ask("GET", "/files/a%20b.txt")
        assert (status, text, headers["content-type"]) == (200, b"0123456789", "text/plain")
        assert headers["etag"] == stored["httpEtag"]
        status, text, headers = await app.ask("GET", "/files/a%20b.txt", range="bytes=2-4")
        assert (status, text, headers["content-range"]) == (206, b"234", "bytes 2-4/10")
        assert (await app.ask("GET", "/files/a%20b.txt", range="bytes=-3"))[1] == b"789"
        assert await app.json("GET", "/files/none") == (404, {"error": "not found", "key": "none"})
        assert await app.json("POST", "/upload/big", "x") == (200, {"key": "big", "size": 3})
        assert (await app.json("GET", "/files?limit=1"))[1] == {
            **{"keys": ["a b.txt"], "truncated": True}
        }
        assert (await app.ask("DELETE", "/files/big"))[0] == 204


ROOM = """
from datetime import UTC, datetime, timedelta

from constants import KINDS
from workers import DurableObject


class Room(DurableObject):
    def __init__(self, state, env):
        super().__init__(state, env)
        self.env = env
        self.pending = dict.fromkeys(KINDS, 0)
        self.totals = dict.fromkeys(KINDS, 0)
        self.name = None
        self.ctx.blockConcurrencyWhile(self._load)

    async def _load(self):
        stored = await self.ctx.storage.get(["pending", "totals", "name"])
        if totals := stored.get("totals"):
            self.totals = {kind: int(totals.get(kind, 0)) for kind in KINDS}
        if pending := stored.get("pending"):
            self.pending = {kind: int(pending.get(kind, 0)) for kind in KINDS}
        self.name = stored.get("name")

    async def react(self, name, kind):
        if self.name is not None and self.name != name:
            raise ValueError("another room")
        self.name = name
        self.pending[kind] += 1
        self.totals[kind] += 1
        if await self.ctx.storage.getAlarm() is None:
            await self.ctx.storage.setAlarm(datetime.now(UTC) + timedelta(seconds=5))
        await self.ctx.storage.put(
            {"name": name, "pending": self.pending, "totals": self.totals}
        )
        return {"accepted": kind, "pending": self.pending.copy()}

    async def alarm(self, alarm_info):
        self.ctx.blockConcurrencyWhile(self._flush)

    async def _flush(self):
        batch = [
            self.env.DB.prepare(
                "INSERT INTO stats VALUES (?, ?, ?) ON CONFLICT (room, kind) DO UPDATE SET "
                "count = EXCLUDED.count"
            ).bind(self.name, kind, self.totals[kind])
            for kind, count in self.pending.items()
            if count
        ]
        await self.env.DB.batch(batch)
        self.pending = dict.fromkeys(KINDS, 0)
        await self.ctx.storage.put("pending", self.pending)

    async def stats(self, name):
        rows = await self.env.DB.prepare("SELECT * FROM stats WHERE room = ?").bind(name).all()
        kept = {row.kind: row["count"] for row in rows.results}
        return {"totals": self.totals.copy(), "kept": kept, "pending": self.pending.copy()}
"""
REACTIONS = """
from constants import KINDS
from room import Room  # noqa: F401
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from workers import asgi


def stub_of(request):
    rooms = request.scope["env"].ROOMS
    name = request.path_params["room"]
    return name, rooms.get(rooms.idFromName(name))


async def react(request):
    name, stub = stub_of(request)
    kind = request.path_params["kind"]
    if kind not in KINDS:
        return JSONResponse({"error": "no such reaction"}, status_code=400)
    return JSONResponse(await stub.react(name, kind), status_code=202)


async def stats(request):
    name, stub = stub_of(request)
    return JSONResponse(await stub.stats(name))


app = Starlette(
    routes=[
        Route("/rooms/{room}/{kind}", react, methods=["POST"]),
        Route("/rooms/{room}", stats),
    ]
)
Default = asgi.entrypoint(app)
"""


@virtual
async def test_reactions_that_an_alarm_writes_to_a_database(tmp_path: Path) -> None:
    config = {
        "durable_objects": {"bindings": [{"name": "ROOMS", "class_name": "Room"}]},
        "migrations": [{"tag": "v1", "new_sqlite_classes": ["Room"]}],
        "d1_databases": [{"binding": "DB", "database_name": "stats", "database_id": "x"}],
    }
    files = {
        "src/entry.py": REACTIONS,
        "src/room.py": ROOM,
        "src/constants.py": 'KINDS = ("heart", "fire")',
    }
    async with served(project(tmp_path / "reactions", config, files)) as app:
        table = "CREATE TABLE stats (room TEXT, kind TEXT, count INTEGER, PRIMARY KEY (room, kind))"
        await app.env.DB.exec(table)
        assert await app.json("POST", "/rooms/a/smile") == (400, {"error": "no such reaction"})
        for count in (1, 2):
            assert await app.json("POST", "/rooms/a/heart") == (
                *(202, {"accepted": "heart", "pending": {"heart": count, "fire": 0}}),
            )
        before = {"totals": {"heart": 2, "fire": 0}, "kept": {}, "pending": {"heart": 2, "fire": 0}}
        assert await app.json("GET", "/rooms/a") == (200, before)
        await asyncio.sleep(600)  # the alarm has fired, and the object sleeps
        after = {"kept": {"heart": 2}, "pending": {"heart": 0, "fire": 0}}
        assert await app.json("GET", "/rooms/a") == (200, before | after)


JOBS = """
import uuid
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from workers import WorkerEntrypoint, WorkflowEntrypoint, asgi


async def create(request):
    image = await request.body()
    if not image:
        raise HTTPException(400, "The body is empty.")
    env, job = request.scope["env"], "j1"
    await env.PICTURES.put(
        f"in/{job}",
        image,
        httpMetadata={"contentType": request.headers["content-type"]},
        customMetadata={"createdAt": datetime.now(UTC).isoformat()},
    )
    try:
        await env.QUEUE.send({"job": job})
    except Exception as error:
        await env.PICTURES.delete(f"in/{job}")
        return JSONResponse({"error": str(error)}, status_code=503)
    return JSONResponse({"job": job}, status_code=202)


async def jobs(request):
    listed = await request.scope["env"].PICTURES.list(prefix="in/", limit=10)
    return JSONResponse(
        [{"key": it.key, "at": it.uploaded.toISOString()[-1]} for it in listed["objects"]]
    )


async def status(request):
    try:
        instance = await request.scope["env"].REDRAW.get(request.path_params["job"])
        found = await instance.status()
    except Exception:
        return JSONResponse({"status": "queued"})
    return JSONResponse({"status": found["status"]})


async def image(request):
    found = await request.scope["env"].PICTURES.get(f"in/{request.path_params['job']}")
    if found is None:
        raise HTTPException(404, "There is none.")
    blob = await found.blob()
    return Response(await blob.bytes(), media_type=found.httpMetadata.contentType)


app = Starlette(
    routes=[
        Route("/jobs", create, methods=["POST"]),
        Route("/jobs", jobs),
        Route("/jobs/{job}", status),
        Route("/images/{job}", image),
    ]
)


class Redraw(WorkflowEntrypoint):
    async def run(self, event, step):
        @step.do("redraw")
        async def redraw():
            return event["payload"]["job"]

        return await redraw()


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await asgi.fetch(app, request.js_object, self.env, self.ctx)

    async def queue(self, batch, env, ctx):
        for message in batch.messages:
            await self.env.REDRAW.create(id=message.body["job"])
"""


@virtual
async def test_jobs_without_the_queue_that_takes_them(tmp_path: Path) -> None:
    config = {
        "r2_buckets": [{"binding": "PICTURES"}],
        "queues": {
            "producers": [{"binding": "QUEUE", "queue": "redraw"}],
            "consumers": [{"queue": "redraw", "max_batch_size": 1}],
        },
        "workflows": [{"name": "redraw", "binding": "REDRAW", "class_name": "Redraw"}],
        "ai": {"binding": "AI", "remote": True},
    }
    async with served(project(tmp_path / "jobs", config, {"src/entry.py": JOBS})) as app:
        assert (await app.ask("POST", "/jobs", b"", content_type="image/png"))[0] == 400
        status, text, _ = await app.ask("POST", "/jobs", b"png", content_type="image/png")
        assert status == 503
        assert "env.QUEUE.send: wakeful does not provide queues" in text.decode()
        assert await app.json("GET", "/jobs") == (200, [])
        assert await app.json("GET", "/jobs/j1") == (200, {"status": "queued"})
        await app.env.PICTURES.put("in/j1", b"png", {"httpMetadata": {"contentType": "image/png"}})
        assert await app.json("GET", "/jobs") == (200, [{"key": "in/j1", "at": "Z"}])
        status, body, headers = await app.ask("GET", "/images/j1")
        assert (status, body, headers["content-type"]) == (200, b"png", "image/png")
        assert (await app.ask("GET", "/images/j2"))[0] == 404


INCIDENTS = """
from urllib.parse import urlparse

from workers import Response, WorkerEntrypoint, asgi


def build_app(env):
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    tools = {}

    def tool(function):
        tools[function.__name__] = function
        return function

    @tool
    async def open_incident(title, severity):
        row = (
            await env.DB.prepare(
                "INSERT INTO incidents (title, severity) VALUES (?, ?) RETURNING id, title, status"
            )
            .bind(title, severity)
            .first()
        )
        return {"id": row.id, "title": row.title, "status": row.status}

    @tool
    async def add_update(id, note):
        if await env.DB.prepare("SELECT id FROM incidents WHERE id = ?").bind(id).first() is None:
            return {"error": "not found", "id": id}
        results = await env.DB.batch(
            [
                env.DB.prepare(
                    "INSERT INTO updates (incident, note) VALUES (?, ?) RETURNING id, note"
                ).bind(id, note),
                env.DB.prepare("UPDATE incidents SET changes = changes + 1 WHERE id = ?").bind(id),
            ]
        )
        update = results[0].results[0]
        return {"id": update.id, "note": update.note, "changed": results[1].meta.changes}

    @tool
    async def list_open():
        rows = await env.DB.prepare(
            "SELECT i.id AS id, i.title AS title, u.note AS note FROM incidents i "
            "LEFT JOIN updates u ON u.incident = i.id WHERE i.status = 'open' ORDER BY i.id, u.id"
        ).all()
        found = {}
        for row in rows.results:
            incident = found.setdefault(row.id, {"title": row.title, "updates": []})
            if row.note is not None:
                incident["updates"].append(row.note)
        return list(found.values())

    async def call(request):
        asked = await request.json()
        result = await tools[asked["method"]](**asked.get("params", {}))
        return JSONResponse({"jsonrpc": "2.0", "id": asked["id"], "result": result})

    return Starlette(routes=[Route("/mcp", call, methods=["POST"])])


class Default(WorkerEntrypoint):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.app = build_app(env)

    async def fetch(self, request):
        if urlparse(request.url).path == "/mcp" and request.method == "POST":
            return await asgi.fetch(self.app, request, self.env)
        return Response("Not found", status=404)
"""


@virtual
async def test_tools_over_a_database(tmp_path: Path) -> None:
    config = {"d1_databases": [{"binding": "DB", "database_name": "incidents"}]}
    async with served(project(tmp_path / "tools", config, {"src/entry.py": INCIDENTS})) as app:
        await app.env.DB.exec(
            "CREATE TABLE incidents (id INTEGER PRIMARY KEY, title TEXT, severity TEXT, "
            "status TEXT DEFAULT 'open', changes INTEGER DEFAULT 0)"
        )
        await app.env.DB.exec(
            "CREATE TABLE updates (id INTEGER PRIMARY KEY, incident INTEGER, note TEXT)"
        )

        async def call(method: str, **params: object) -> Any:
            asked = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
            status, answer = await app.json("POST", "/mcp", asked)
            assert (status, answer["id"]) == (200, 7)
            return answer["result"]

        opened = await call("open_incident", title="Disk", severity="high")
        assert opened == {"id": 1, "title": "Disk", "status": "open"}
        assert await call("add_update", id=2, note="x") == {"error": "not found", "id": 2}
        assert await call("add_update", id=1, note="full") == {
            "id": 1,
            "note": "full",
            "changed": 1,
        }
        assert await call("list_open") == [{"title": "Disk", "updates": ["full"]}]
        assert (await app.ask("GET", "/mcp"))[0] == 404


HIGHLIGHTER = """
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name, guess_lexer
from pygments.util import ClassNotFound
from workers import Request, Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request):
        return Response("Call me by RPC.")

    async def highlight_code(self, code: str, language: str = None) -> dict:
        try:
            lexer = get_lexer_by_name(language) if language else guess_lexer(code)
        except ClassNotFound:
            return {"error": f"no {language}", "html": f"<pre>{code}</pre>", "alias": None}
        html = highlight(code, lexer, HtmlFormatter(cssclass="code"))
        return {"html": html, "language": lexer.name, "alias": lexer.aliases[0]}
"""
PAGE = """
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        language = request.url.rpartition("/")[2] or None
        result = await self.env.HIGHLIGHTER.highlight_code("x = 1", language)
        if result.get("alias") is None and "error" in result:
            return Response.json({"error": result["error"], "html": result.html}, status=400)
        return Response(result["html"], headers={"x-language": result.language})
"""


@virtual
async def test_a_page_that_asks_another_worker_by_rpc(tmp_path: Path) -> None:
    services = {"services": [{"binding": "HIGHLIGHTER", "service": "highlighter"}]}
    page = project(tmp_path / "page", services, {"src/entry.py": PAGE})
    highlighter = project(tmp_path / "highlighter", {}, {"src/entry.py": HIGHLIGHTER})
    async with served(page, highlighter) as app:
        status, html, headers = await app.ask("GET", "/python")
        assert (status, headers["x-language"]) == (200, "Python")
        assert b'class="code"' in html
        assert await app.json("GET", "/klingon") == (
            *(400, {"error": "no klingon", "html": "<pre>x = 1</pre>"}),
        )
        assert (await app.ask("GET", "/"))[0] == 200


PICTURES = """
import struct
import zlib
from io import BytesIO
from pathlib import Path
from urllib.parse import parse_qs, urlparse

from pyodide.ffi import to_js
from workers import Request, Response, WorkerEntrypoint


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request):
        url = urlparse(request.url)
        if url.path == "/picture":
            return self.picture({name: values[0] for name, values in parse_qs(url.query).items()})
        if url.path == "/":
            index = Path(__file__).parent / "index.html"
            return Response(index.read_text(), headers={"Content-Type": "text/html"})
        if url.path == "/home":
            return await self.env.ASSETS.fetch(url._replace(path="/index.html").geturl())
        return await self.env.ASSETS.fetch(request.js_object)

    def picture(self, params):
        width, height = int(params.get("width", 4)), int(params.get("height", 2))
        row = b"\\0" + bytes.fromhex(params.get("color", "cccccc")) * width
        buffer = BytesIO()
        buffer.write(b"\\x89PNG\\r\\n\\x1a\\n")
        buffer.write(chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)))
        buffer.write(chunk(b"IDAT", zlib.compress(row * height)))
        buffer.write(chunk(b"IEND", b""))
        return Response(
            to_js(buffer.getvalue()).buffer,
            headers={"Content-Type": "image/png", "Cache-Control": "public, max-age=3600"},
        )
"""


@virtual
async def test_pictures_and_a_site(tmp_path: Path) -> None:
    assets = {"directory": "./public/", "binding": "ASSETS", "run_worker_first": True}
    files = {
        "src/entry.py": PICTURES,
        "src/index.html": "<h1>pictures</h1>",
        "public/index.html": "<h1>site</h1>",
        "public/style.css": "h1 {}",
    }
    async with served(project(tmp_path / "pictures", {"assets": assets}, files)) as app:
        assert (await app.ask("GET", "/"))[1] == b"<h1>pictures</h1>"
        assert (await app.ask("GET", "/home"))[:2] == (200, b"<h1>site</h1>")
        status, css, headers = await app.ask("GET", "/style.css")
        assert (status, css, headers["content-type"]) == (
            *(200, b"h1 {}", "text/css; charset=utf-8"),
        )
        status, _, headers = await app.ask("GET", "/index.html")
        assert (status, headers["location"]) == (307, "/")
        status, png, headers = await app.ask("GET", "/picture?width=3&height=1&color=ff0000")
        assert (status, headers["content-type"]) == (200, "image/png")
        data = png[png.index(b"IDAT") + 4 : png.index(b"IEND") - 8]
        assert zlib.decompress(data) == b"\0" + b"\xff\0\0" * 3
        assert (await app.ask("GET", "/none"))[0] == 404


CONTAINER = """
import asyncio

from workers import DurableObject, Response, WorkerEntrypoint


class Machine(DurableObject):
    async def fetch(self, request):
        try:
            if not self.ctx.container.running:
                self.ctx.container.start()
        except Exception as error:
            return Response(str(error), status=503)
        return await self.ctx.container.getTcpPort(8080).fetch(request.url)


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        machines = self.env.MACHINES
        return await machines.get(machines.idFromName("one")).fetch(request)
"""


@virtual
async def test_a_container_that_is_not_there(tmp_path: Path) -> None:
    config = {
        "durable_objects": {"bindings": [{"name": "MACHINES", "class_name": "Machine"}]},
        "migrations": [{"tag": "v1", "new_sqlite_classes": ["Machine"]}],
        "containers": [{"class_name": "Machine", "image": "./Dockerfile"}],
    }
    async with served(project(tmp_path / "machine", config, {"src/entry.py": CONTAINER})) as app:
        status, text, _ = await app.ask("GET", "/")
        assert status == 503
        assert text.startswith(b"Error: ctx.container.running: wakeful does not provide containers")
