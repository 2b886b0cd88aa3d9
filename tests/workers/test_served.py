"""A Worker with assets and a schedule behind the real server: paths as clients write them."""

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from tests.runtime.world import only_new_garbage

from wakeful.errors import ConfigError
from wakeful.http.server import HttpServer
from wakeful.worker_node import SCHEDULED, WorkerRuntime
from wakeful.workers.config.wrangler import read_config

ENTRY = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/who"):
            cf = request.js_object.cf
            told = [request.headers["CF-Connecting-IP"], cf.httpProtocol, cf.country]
            return Response.json(told)
        if "/url/" in request.url:
            return Response(request.url)
        return Response("worker")

    async def scheduled(self, controller, env, ctx):
        await env.SEEN.put(controller.cron or "none", str(controller.scheduledTime))
        if controller.cron == "bad":
            controller.noRetry()
            raise ValueError("bad")
"""
TOML = """
name = "app"
main = "src/entry.py"
compatibility_date = "2026-03-01"

[assets]
directory = "public"

[[kv_namespaces]]
binding = "SEEN"
"""


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    for name in ("src", "public/docs"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "src" / "entry.py").write_text(ENTRY)
    (tmp_path / "wrangler.toml").write_text(TOML)
    (tmp_path / "public" / "page.html").write_text("page")
    (tmp_path / "public" / "docs" / "index.html").write_text("docs")
    (tmp_path / "public" / "@ é%41.txt").write_text("odd")
    (tmp_path / "public" / "large.bin").write_bytes(b"x" * 300_000)
    return tmp_path


@pytest.fixture
async def running(worker: Path) -> AsyncIterator[tuple[WorkerRuntime, HttpServer]]:
    runtime = WorkerRuntime(worker / "data", read_config(worker), development=True)
    with only_new_garbage():
        async with runtime:
            yield runtime, runtime.serve(port=0)
        gc.collect()


async def raw(server: HttpServer, target: str) -> bytes:
    """The answer to a request whose target no client would write like this."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_assets_over_http(running: tuple[WorkerRuntime, HttpServer]) -> None:
    _, server = running
    async with httpx2.AsyncClient(base_url=server.url) as client:
        page = await client.get("/page")
        assert (page.status_code, page.text) == (200, "page")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        again = await client.get("/page", headers={"if-none-match": page.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        head = await client.head("/page")
        assert (head.status_code, head.content, head.headers["etag"]) == (
            *(200, b"", page.headers["etag"]),
        )
        assert (await client.get("/docs?a=1")).headers["location"] == "/docs/?a=1"
        assert (await client.get("/%40%20%C3%A9%2541.txt")).text == "odd"
        assert (await client.get("/large.bin")).content == b"x" * 300_000
        assert (await client.post("/page")).status_code == 405
        assert (await client.get("/other")).text == "worker"
    for target in (
        *("/../wrangler.toml", "/..%2fwrangler.toml", "/%2e%2e/src/entry.py", "/docs/../../src"),
        *("/%252e%252e%252fwrangler.toml", "/..%5cwrangler.toml", "//etc/passwd", "/%00"),
        *("/docs/..%2f..%2fwrangler.toml", "/%2f%2fetc%2fpasswd", "/.%00./wrangler.toml"),
    ):
        answer = await raw(server, target)
        assert b"entry.py" not in answer, target
        assert b"WorkerEntrypoint" not in answer, target
        assert b"root:" not in answer, target


async def test_cron_triggers_are_tried_by_hand(running: tuple[WorkerRuntime, HttpServer]) -> None:
    runtime, server = running
    seen = vars(runtime.worker.env)["SEEN"]
    async with httpx2.AsyncClient(base_url=server.url) as client:
        tried = await client.get(f"{SCHEDULED}?cron=*/5+*+*+*+*&time=1000")
        assert (tried.status_code, tried.text) == (200, "ok")
        assert await seen.get("*/5 * * * *") == "1000"
        assert (await client.get(SCHEDULED)).text == "ok"
        assert int(await seen.get("none")) > 1_600_000_000_000
        bad = await client.get(f"{SCHEDULED}?cron=bad&format=json")
        assert (bad.status_code, bad.json()) == (500, {"outcome": "exception", "noRetry": True})
        assert (await client.get(f"{SCHEDULED}?time=soon")).status_code == 400
        assert (await client.post(SCHEDULED)).status_code == 405
        for headers in (
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
            {"origin": "https://evil.example"},
            {"host": "evil.example"},
            {"x-forwarded-for": "1.2.3.4"},
        ):
            refused = await client.get(f"{SCHEDULED}?cron=evil", headers=headers)
            assert refused.status_code == 403, headers
        assert await seen.get("evil") is None


async def test_only_in_development(worker: Path) -> None:
    runtime = WorkerRuntime(worker / "data", read_config(worker))
    async with runtime:
        server = runtime.serve(port=0)
        async with httpx2.AsyncClient(base_url=server.url) as client:
            assert (await client.get(f"{SCHEDULED}?cron=x")).text == "worker"
        assert await vars(runtime.worker.env)["SEEN"].get("x") is None


def test_data_among_assets_are_refused(worker: Path) -> None:
    config = read_config(worker)
    with pytest.raises(ConfigError, match=r"assets.directory: the data .* is in it"):
        WorkerRuntime(worker / "public" / "data", config)


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("a%20b%25%3F%23%22%3C%3E%5C%5E%60%7B%7D?q=%2F+%20;#no", None),
        ("a+b;c=d:@$&'()*,~!|[]//x/", None),
        ("%C3%A4%00%252F", None),
        ("/%2F%3A%40%24%26%2B%2C%3B%3D%41", "//:@$&+,;=A"),
        ("%c3%a4ä", "%C3%A4%C3%A4"),
        ("%ff", "%EF%BF%BD"),
        ("100%", "100%25"),
    ],
)
async def test_escapes_of_a_path_are_written_as_a_browser_writes_them(
    running: tuple[WorkerRuntime, HttpServer], written: str, url: str | None
) -> None:
    """granian hands over a decoded path: what has to be escaped in one is escaped again."""
    _, _, body = (await raw(running[1], f"/url/{written}")).partition(b"\r\n\r\n")
    told = written.partition("#")[0] if url is None else url
    assert body.decode() == f"http://localhost/url/{told}"


async def test_a_target_that_is_no_path_is_refused(
    running: tuple[WorkerRuntime, HttpServer],
) -> None:
    assert b" 400 " in (await raw(running[1], "*")).partition(b"\r\n")[0]


async def test_who_asks_is_who_has_connected(
    running: tuple[WorkerRuntime, HttpServer],
) -> None:
    _, server = running
    async with httpx2.AsyncClient(base_url=server.url) as client:
        answer = await client.get("/who", headers={"cf-connecting-ip": "6.6.6.6"})
    assert answer.json() == ["127.0.0.1", "HTTP/1.1", None]
