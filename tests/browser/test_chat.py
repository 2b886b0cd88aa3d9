"""examples/chat in a real browser: `make browser` installs what it needs and runs it."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from wakeful import Config, Runtime
from wakeful.http.settings import HttpSettings

playwright = pytest.importorskip("playwright.async_api", reason="no playwright: make browser")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("no chromium: make browser", allow_module_level=True)

CHAT = Path(__file__).resolve().parents[2] / "examples" / "chat"
PATIENCE = 15.0


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example's module."""
    spec = importlib.util.spec_from_file_location("chat_in_browser", CHAT / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "chat_in_browser", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def browser() -> AsyncIterator[Any]:
    """Debian's chromium."""
    async with playwright.async_playwright() as driver:
        options = ["--no-sandbox"]  # it sees nothing but the example's page, and may run as root
        chromium = await driver.chromium.launch(executable_path=CHROMIUM, args=options)
        yield chromium
        await chromium.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The page on a server of its own, as the example's text has it."""
    directory = tmp_path / "site"
    directory.mkdir()
    handler = partial(Silent, directory=str(directory))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Site(directory, f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """The test's output is not the place for it."""


class Site:
    def __init__(self, directory: Path, origin: str) -> None:
        self.directory = directory
        self.origin = origin

    def connect_to(self, port: int) -> None:
        """Let the page talk to this port."""
        html = (CHAT / "index.html").read_text()
        assert "127.0.0.1:8787" in html
        page = html.replace("127.0.0.1:8787", f"127.0.0.1:{port}")
        (self.directory / "index.html").write_text(page)


async def window(browser: Any, site: Site, name: str) -> Any:
    """A window in which somebody has the page open."""
    page = await browser.new_page()
    page.set_default_timeout(PATIENCE * 1000)

    async def tell_name(dialog: Any) -> None:
        await dialog.accept(name)

    page.on("dialog", tell_name)
    await page.goto(f"{site.origin}/index.html")
    return page


async def say(page: Any, text: str) -> None:
    await page.fill("#text", text)
    await page.press("#text", "Enter")


async def shows(page: Any, *lines: str) -> None:
    """Return once the page shows these lines and no others."""
    expected = "".join(f"<div>{line}</div>" for line in lines)
    await page.wait_for_function(f"lines.innerHTML === {expected!r}")


@pytest.mark.timeout(90)
async def test_two_people_talk_in_a_room_that_sleeps(
    app: Any, browser: Any, site: Site, tmp_path: Path
) -> None:
    config = Config(idle_seconds=0.1)
    async with Runtime(tmp_path / "data", actors=[app.ChatRoom], config=config) as rt:
        settings = HttpSettings(allowed_origins=(site.origin,), close_seconds=1)
        site.connect_to(rt.serve(port=0, settings=settings).port)
        ada = await window(browser, site, "ada")
        bob = await window(browser, site, "bob")
        await ada.wait_for_function("who.textContent === 'Here: ada, bob'")
        await say(ada, "hello <b>bob</b>")
        await shows(bob, "ada: hello &lt;b&gt;bob&lt;/b&gt;")
        async with asyncio.timeout(PATIENCE):
            while len(rt.host.activator.catalog):  # noqa: ASYNC110 - over the wire
                await asyncio.sleep(0.02)
        await say(bob, "are you awake?")
        history = ("ada: hello &lt;b&gt;bob&lt;/b&gt;", "bob: are you awake?")
        await shows(ada, *history)

        await ada.close()
        await bob.wait_for_function("who.textContent === 'Here: bob'")
        rt.host.sockets.drop_lane(
            rt.host.committer.lanes[0]
        )  # the page connects again, and the room tells what was said
        await bob.wait_for_function("who.textContent.startsWith('connection lost')")
        await bob.wait_for_function("who.textContent === 'Here: bob'")
        await shows(bob, *history)
