"""Static assets: which file answers a path, headers, routing, and hostile clients."""

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.workers.running import DEFAULT, methods, running, virtual

from wakeful.errors import ConfigError
from wakeful.workers.bindings.asset_rules import Found, Redirect, Rules
from wakeful.workers.bindings.assets import AssetServer, matches
from wakeful.workers.config.resources import Assets
from wakeful.workers.web.requests import JsRequest
from wakeful.workers.web.responses import JsResponse

FILES = {"/index.html", "/about.html", "/shop/index.html", "/both.html", "/both/index.html"} | {
    *("/raw", "/style.css", "/404.html", "/shop/404.html", "/index", "/pic.html"),
}
THING = methods("pass")


@pytest.mark.parametrize(
    ("path", "auto", "force", "drop"),
    [
        ("/", "index.html", "index.html", "index.html"),
        ("/index", "index", "index", "index"),
        ("/index.html", "-> /", "-> /", "-> /"),
        ("/about", "about.html", "-> /about/", "about.html"),
        ("/about.html", "-> /about", "-> /about/", "-> /about"),
        ("/about/", "-> /about", "about.html", "-> /about"),
        ("/about/index", "-> /about", "-> /about/", "-> /about"),
        ("/about/index.html", "-> /about", "-> /about/", "-> /about"),
        ("/shop", "-> /shop/", "-> /shop/", "shop/index.html"),
        ("/shop/", "shop/index.html", "shop/index.html", "-> /shop"),
        ("/shop/index", "-> /shop/", "-> /shop/", "-> /shop"),
        ("/shop/index.html", "-> /shop/", "-> /shop/", "-> /shop"),
        ("/shop.html", "-> /shop/", "-> /shop/", "-> /shop"),
        ("/both", "both.html", "-> /both/", "both.html"),
        ("/both/", "both/index.html", "both/index.html", "-> /both"),
        ("/both.html", "-> /both", "both.html", "-> /both"),
        ("/both/index.html", "-> /both/", "-> /both/", "both/index.html"),
        ("/raw", "raw", "raw", "raw"),
        ("/raw/", "none", "none", "none"),
        ("/style.css", "style.css", "style.css", "style.css"),
        ("/missing", "none", "none", "none"),
    ],
)
def test_html_handling(path: str, auto: str, force: str, drop: str) -> None:
    def shown(handling: str) -> str:
        match Rules(handling, "none").answer(path, FILES.__contains__):
            case Found(file, 200):
                return file[1:]
            case Redirect(to):
                return f"-> {to}"
            case other:
                return str(other).lower()

    found = (shown(f"{name}-trailing-slash") for name in ("auto", "force", "drop"))
    assert tuple(found) == (auto, force, drop)


def test_no_html_handling_and_what_is_missing() -> None:
    exists = FILES.__contains__
    assert Rules("none", "none").answer("/about", exists) is None
    assert Rules("none", "none").answer("/about.html", exists) == Found("/about.html")
    pages = Rules("none", "404-page")
    assert pages.answer("/shop/a/b", exists) == Found("/shop/404.html", 404)
    assert pages.answer("/a/b", exists) == Found("/404.html", 404)
    assert pages.answer("/a/b", {"/x"}.__contains__) is None
    spa = Rules("none", "single-page-application")
    assert spa.answer("/a/b", exists) == Found("/index.html")
    assert spa.answer("/a/b", {"/x"}.__contains__) is None


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """A directory of assets, with secrets beside it."""
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "public2").mkdir()
    (tmp_path / "public2" / "secret.txt").write_text("secret")
    public = tmp_path / "public"
    (public / "docs").mkdir(parents=True)
    (public / "index.html").write_text("<h1>home</h1>")
    (public / "docs" / "index.html").write_text("docs")
    (public / "a b.txt").write_text("spaces")
    (public / "data.bin").write_bytes(b"\0" * 200_000)
    (public / "app.js").write_text("1")
    (public / ".well-known").mkdir()
    (public / ".well-known" / "x.json").write_text("{}")
    os.symlink(tmp_path / "secret.txt", public / "out.txt")
    os.symlink(tmp_path, public / "up")
    os.symlink(public / "app.js", public / "in.js")
    os.symlink(public / "nowhere", public / "dangling")
    os.mkfifo(public / "pipe")
    return public.resolve()


def serve(public: Path, **changes: Any) -> AssetServer:
    """What serves it."""
    settings = {
        "binding": "ASSETS",
        "html_handling": "auto-trailing-slash",
        "not_found_handling": "none",
        "worker_first": False,
        "to_worker": (),
        "to_assets": (),
        **changes,
    }
    return AssetServer(Assets(directory=public, **settings), navigation=True)


def asked(path: str, method: str = "GET", **headers: str) -> JsRequest:
    """A request as a server has read it."""
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return JsRequest.received(method, f"http://h{path}", pairs, None)


async def got(server: AssetServer, path: str, method: str = "GET", **headers: str) -> JsResponse:
    """The answer to a request."""
    return await server.fetch(asked(path, method, **headers))


@virtual
async def test_what_is_sent(public: Path) -> None:
    server = serve(public)
    page = await got(server, "/")
    assert (page.status, await page.text()) == (200, "<h1>home</h1>")
    assert page.headers.get("content-type") == "text/html; charset=utf-8"
    assert page.headers.get("cache-control") == "public, max-age=0, must-revalidate"
    assert (await got(server, "/", authorization="x")).headers.get("cache-control") is None
    tag = page.headers.get("etag") or ""
    assert tag.startswith('"')
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = await got(server, "/", if_none_match=known)
        assert (again.status, again.body, again.headers.get("etag")) == (304, None, tag)
    assert (await got(server, "/", if_none_match='"x"')).status == 200
    head = await got(server, "/", "HEAD")
    assert (head.status, head.body, head.headers.get("etag")) == (200, None, tag)
    post = await got(server, "/", "POST")
    assert (post.status, post.headers.get("allow")) == (405, "GET, HEAD")
    (public / "index.html").write_text("changed")
    assert (await got(server, "/", if_none_match=tag)).status == 200
    assert (await got(server, "/app.js")).headers.get("content-type") == (
        "text/javascript; charset=utf-8"
    )
    assert (await got(server, "/in.js")).status == 200
    assert (await got(server, "/.well-known/x.json")).headers.get("content-type") == (
        "application/json"
    )
    assert await (await got(server, "/a%20b.txt")).text() == "spaces"


def test_a_large_file_streams(public: Path) -> None:
    import asyncio

    async def read() -> bytes:
        return await (await got(serve(public), "/data.bin")).bytes()

    assert asyncio.run(read()) == b"\0" * 200_000


@virtual
async def test_redirects_keep_the_query_and_the_host(public: Path) -> None:
    server = serve(public)
    for path, location in (
        ("/docs?x=1", "/docs/?x=1"),
        ("//docs", "/docs/"),
        ("//evil.example/../docs", None),
        ("///", "/"),
        ("/docs//", "/docs/"),
    ):
        answer = await got(server, path)
        assert answer.headers.get("location") == location, path
        assert answer.status == (307 if location else 404)


HOSTILE = (
    *("/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/%2e%2e%2fsecret.txt"),
    *("/docs/../../secret.txt", "/docs/..%2f..%2fsecret.txt", "/....//secret.txt"),
    *("/%252e%252e/secret.txt", "/..\\secret.txt", "/%5c..%5csecret.txt", "/.%2e/secret.txt"),
    *("//secret.txt", "/./../secret.txt", "/up/secret.txt", "/out.txt", "/up/public/app.js/.."),
    *("/secret.txt%00.html", "/index.html%00", "/%00", "/..%00/secret.txt", "/dangling", "/pipe"),
    *("/../public2/secret.txt", "/%c0%ae%c0%ae/secret.txt", "/..;/secret.txt", "/docs", "/up"),
    *("/" + "a" * 5000, "/" + "../" * 500 + "etc/passwd", "/etc/passwd", "//etc/passwd", ""),
    *("/%2fetc%2fpasswd", "/%2Fetc/passwd", "/file:///etc/passwd", "/C:/x", "/%ff", "/\ud800"),
)


@virtual
async def test_hostile_paths_lead_nowhere(public: Path) -> None:
    (public / "docs" / "index.html").unlink()
    (public / "index.html").unlink()
    absolute = str(public.parent / "secret.txt")
    for handling in ("auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none"):
        for missing in ("none", "404-page", "single-page-application"):
            server = serve(public, html_handling=handling, not_found_handling=missing)
            for path in (*HOSTILE, absolute, f"/{absolute}", absolute.replace("/", "%2f")):
                answer = await got(server, path)
                assert (answer.status, answer.body) == (404, None), path
                assert not server.comes_first(asked(path)), path


def test_long_paths_take_no_longer_than_their_length(public: Path) -> None:
    rules = ("/*b*b*b*b*c", "/*/*/*/*/*/*.js")
    server = serve(public, not_found_handling="404-page", to_worker=rules, to_assets=rules)
    began = time.thread_time()
    for path in ("/a" * 30_000, "/b" * 30_000, "/" * 60_000, "/a.." * 15_000, "/%61" * 15_000):
        server.comes_first(asked(path, sec_fetch_mode="navigate"))
    assert time.thread_time() - began < 2.0  # it was more than a minute for each


@given(st.text("a/*", max_size=8), st.text("a/b", max_size=12))
def test_rules_are_matched_as_patterns_are(rule: str, path: str) -> None:
    pattern = ".*".join(map(re.escape, rule.split("*")))
    assert matches(rule.split("*"), path) == bool(re.fullmatch(pattern, path))


@virtual
async def test_files_with_a_meaning_are_never_sent(public: Path) -> None:
    for name in ("_headers", "_redirects", ".assetsignore", "_worker.js"):
        (public / name).write_text("x")
        os.symlink(public / name, public / f"link{name}")
        assert (await got(serve(public), f"/{name}")).status == 404
        assert (await got(serve(public), f"/link{name}")).status == 404


def test_who_answers_first(public: Path) -> None:
    def first(server: AssetServer, path: str, **headers: str) -> bool:
        return server.comes_first(asked(path, **headers))

    plain = serve(public)
    assert [first(plain, path) for path in ("/", "/docs", "/api", "/app.js?x")] == [
        *(True, True, False, True)
    ]
    always = serve(public, worker_first=True)
    assert not first(always, "/app.js")
    chosen = serve(public, to_worker=("/docs/*", "/*.js"), to_assets=("/docs/open/*",))
    assert [first(chosen, path) for path in ("/", "/docs/", "/docs/open/x", "/app.js")] == [
        *(True, False, True, False)
    ]
    spa = serve(public, not_found_handling="single-page-application")
    assert not first(spa, "/client/route")
    assert first(spa, "/client/route", sec_fetch_mode="navigate")


@virtual
async def test_a_worker_and_its_assets(tmp_path: Path) -> None:
    static = tmp_path / "worker" / "static"
    static.mkdir(parents=True)
    (static / "page.html").write_text("page")
    more = '[assets]\ndirectory = "./static"\nbinding = "ASSETS"\n'
    default = DEFAULT.replace(
        'return Response("hello")',
        'return await self.env.ASSETS.fetch("http://any/page") if "own" in request.url '
        'else Response("hello")',
    )
    async with running(tmp_path, THING, more=more, default=default) as worker:
        assert await worker.fetch("/page") == (200, "page")
        assert await worker.fetch("/other") == (200, "hello")
        assert await worker.fetch("/own") == (200, "page")


ASKS = """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path, _, redirect = request.url.partition("?")
        options = {"redirect": redirect} if redirect else {}
        asked = path.replace("/own", "") + "?x=1" if "/own" in path else request
        answer = await self.env.ASSETS.fetch(asked, **options)
        place = answer.headers.get("location")
        told = [answer.status, answer.url, answer.redirected, place, await answer.text()]
        return Response.json(told)
"""


@virtual
async def test_a_worker_that_asks_for_an_asset_is_led_to_its_page(tmp_path: Path) -> None:
    """A Worker in front of `/` that asks for `/index.html` gets the page: a redirect to `/` would
    send its client around for ever. A request of a client that is passed on gets the redirect.
    """
    static = tmp_path / "worker" / "static"
    (static / "docs").mkdir(parents=True)
    (static / "index.html").write_text("home")
    (static / "docs" / "index.html").write_text("docs")
    more = '[assets]\ndirectory = "./static"\nbinding = "ASSETS"\nrun_worker_first = true\n'
    async with running(tmp_path, THING, more=more, default=ASKS) as worker:

        async def told(path: str) -> Any:
            return json.loads((await worker.fetch(path))[1])

        home = [200, "http://h/?x=1", True, None, "home"]
        assert await told("/own/index.html") == home
        assert await told("/own/docs") == [200, "http://h/docs/?x=1", True, None, "docs"]
        assert await told("/own/index.html?manual") == [
            *(307, "http://h/index.html?x=1", False, "/?x=1", "")
        ]
        passed_on = JsRequest.received("GET", "http://h/docs", (), None)
        answer = await worker.runtime.worker.respond(passed_on)
        assert json.loads(await answer.text())[:4] == [307, "http://h/docs", False, "/docs/"]


def configured(tmp_path: Path, assets: str, **top: str) -> Any:
    """A configuration with assets."""
    from wakeful.workers.config.wrangler import read_config

    lines = [f'{key} = "{value}"' for key, value in {"name": "app", **top}.items()]
    (tmp_path / "wrangler.toml").write_text("\n".join([*lines, "[assets]", assets]))
    return read_config(tmp_path)


def test_assets_alone_need_no_code(tmp_path: Path) -> None:
    from wakeful.store.memory import MemoryStore
    from wakeful.worker_node import WorkerRuntime

    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "404.html").write_text("lost")
    (tmp_path / "site" / "x.txt").write_text("x")
    config = configured(tmp_path, 'directory = "site"\nnot_found_handling = "404-page"')
    runtime = WorkerRuntime(MemoryStore(), config)

    @virtual
    async def test() -> None:
        async with runtime:
            for path, status, text in (("/x.txt", 200, "x"), ("/y", 404, "lost")):
                answer = await runtime.worker.respond(JsRequest(f"http://h{path}"))
                assert (answer.status, await answer.text()) == (status, text)

    test()


@pytest.mark.parametrize(
    ("assets", "problem"),
    [
        ('directory = "nowhere"', "assets.directory: there is no directory"),
        ('directory = "."', "has the Worker's own files in it"),
        ('directory = "src"', "entry.py is in it: everybody could read it"),
        ('directory = "bad"', r"_headers would have no effect: .* Remove it"),
        ('directory = "site"\nhtml_handling = "x"', "assets.html_handling: 'x' is none of"),
        ('directory = "site"\nnot_found_handling = "x"', "assets.not_found_handling: 'x' is none"),
        ('directory = "site"\nrun_worker_first = ["x"]', "'x': a pattern starts with / or !/"),
        ('directory = "site"\nrun_worker_first = ["!/x"]', "no pattern is for the Worker"),
        ('directory = "site"\nrun_worker_first = 1', "expected a list of texts"),
        ('binding = "A"', "assets.directory: missing"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, assets: str, problem: str) -> None:
    for name in ("site", "src", "bad"):
        (tmp_path / name).mkdir()
    (tmp_path / "src" / "entry.py").write_text("")
    (tmp_path / "bad" / "_headers").write_text("")
    with pytest.raises(ConfigError, match=problem):
        configured(tmp_path, assets, main="src/entry.py")


@pytest.mark.parametrize(
    ("assets", "problem"),
    [
        ('directory = "site"\nbinding = "A"', "assets.binding: it is for a Worker with code"),
        ('directory = "site"\nrun_worker_first = true', "assets.run_worker_first: it is for"),
        ('directory = "site"\n[triggers]\ncrons = ["* * * * *"]', "main: missing, and triggers"),
    ],
)
def test_assets_alone_have_no_code(tmp_path: Path, assets: str, problem: str) -> None:
    (tmp_path / "site").mkdir()
    with pytest.raises(ConfigError, match=problem):
        configured(tmp_path, assets)
