"""fetch: real requests over a client, here with a transport that answers in memory."""

import gzip
import traceback
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from wakeful.workers.proxies import JsTypeError
from wakeful.workers.web.headers import Headers
from wakeful.workers.web.outgoing import Hop, HttpFetch, make_fetch
from wakeful.workers.web.requests import Request
from wakeful.workers.web.responses import JsResponse, Response
from wakeful.workers.web.streams import ReadableStream

Answer = Callable[[httpx2.Request], httpx2.Response]


class Server(httpx2.AsyncBaseTransport):
    """Answers by path, and keeps what it was asked."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers
        self.asked: list[httpx2.Request] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        self.asked.append(request)
        return self.answers[request.url.path](request)


def redirect(status: int, to: str) -> Answer:
    return lambda _: httpx2.Response(status, headers={"location": to})


def echo(request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(200, text=f"{request.method} {request.content.decode()}")


def failing(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("refused", request=request)


ANSWERS: dict[str, Answer] = {
    "/echo": echo,
    "/302": redirect(302, "/echo"),
    "/307": redirect(307, "http://h/echo"),
    "/far": redirect(307, "http://elsewhere/echo"),
    "/loop": redirect(302, "/loop"),
    "/fails": failing,
    "/204": lambda _: httpx2.Response(204),
    "/gzip": lambda _: httpx2.Response(
        200, content=gzip.compress(b"text"), headers={"content-encoding": "gzip"}
    ),
    "/cookies": lambda _: httpx2.Response(
        404, headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Connection", "close")]
    ),
}


@pytest.fixture
def server() -> Server:
    return Server(ANSWERS)


@pytest.fixture
async def fetch(server: Server) -> AsyncIterator[Callable[..., object]]:
    async with httpx2.AsyncClient(transport=server) as client:
        yield make_fetch(HttpFetch(client))


async def test_get_and_post(fetch: Callable[..., object], server: Server) -> None:
    got = await fetch("http://h/echo", headers={"X": 123}, body=None)
    assert isinstance(got, Response)
    assert (got.status, got.url, await got.text()) == (200, "http://h/echo", "GET ")
    assert server.asked[0].headers["x"] == "123"
    posted = await fetch(Request("http://h/echo", method="POST", body="data"))
    assert await posted.text() == "POST data"
    assert server.asked[1].headers["content-type"] == "text/plain;charset=UTF-8"


async def test_body_may_be_a_stream(fetch: Callable[..., object]) -> None:
    got = await fetch("http://h/echo", method="PUT", body=ReadableStream.of(b"streamed"))
    assert await got.text() == "PUT streamed"


@pytest.mark.parametrize(("path", "text"), [("/302", "GET "), ("/307", "POST x")])
async def test_redirects_are_followed(fetch: Callable[..., object], path: str, text: str) -> None:
    got = await fetch(f"http://h{path}", method="POST", body="x")
    assert (got.redirected, got.url, await got.text()) == (True, "http://h/echo", text)


async def test_redirects_on_request(fetch: Callable[..., object]) -> None:
    manual = await fetch("http://h/302", redirect="manual")
    assert (manual.status, manual.headers["location"]) == (302, "/echo")
    with pytest.raises(TypeError, match="Invalid redirect value"):
        await fetch("http://h/302", redirect="error")
    with pytest.raises(TypeError, match="Too many redirects"):
        await fetch("http://h/loop")
    with pytest.raises(TypeError, match="one-time-use body"):
        await fetch("http://h/307", method="POST", body=ReadableStream.of(b"x"))


async def test_credentials_do_not_go_elsewhere(
    fetch: Callable[..., object], server: Server
) -> None:
    for path in ("/far", "/307"):
        await fetch(f"http://h{path}", headers={"Authorization": "secret", "Cookie": "c", "X": "y"})
    far, near = server.asked[1], server.asked[3]
    assert ("authorization" in far.headers, "cookie" in far.headers, far.headers["x"]) == (
        False,
        False,
        "y",
    )
    assert near.headers["authorization"] == "secret"


async def test_encoded_bodies_arrive_decoded_and_may_be_passed_on(
    fetch: Callable[..., object],
) -> None:
    got = await fetch("http://h/gzip")
    assert "content-encoding" not in got.headers
    assert "content-length" not in got.headers
    assert await Response(got.body).text() == "text"


async def test_headers_come_one_by_one(fetch: Callable[..., object]) -> None:
    got = await fetch("http://h/cookies")
    assert (got.status, got.status_text) == (404, "Not Found")
    assert got.headers.get_all("set-cookie") == ["a=1", "b=2"]
    assert "connection" not in got.headers


async def test_answer_without_a_body(fetch: Callable[..., object]) -> None:
    got = await fetch("http://h/204")
    assert got.body is None
    assert Response(got.body, status=204).status == 204


async def test_no_answer(fetch: Callable[..., object]) -> None:
    with pytest.raises(OSError, match="Network connection lost: http://h/fails: refused") as lost:
        await fetch("http://h/fails")
    shown = "".join(traceback.format_exception(lost.value))
    assert "ConnectError" not in shown
    with pytest.raises(TypeError, match="Invalid URL: /rel"):
        await fetch("/rel")
    with pytest.raises(TypeError, match="cannot load: ws://h/"):
        await fetch("ws://h")
    with pytest.raises(TypeError, match=r"takes 1 positional argument but 2 were given"):
        await fetch("http://h/echo", {"headers": {}})


async def test_headers_of_what_arrived_are_only_read(fetch: Callable[..., Any]) -> None:
    got = (await fetch("http://h/echo")).js_object
    with pytest.raises(JsTypeError, match="Can't modify immutable headers"):
        got.clone().headers.set("x", "y")
    own = JsResponse(got.body, got)
    own.headers.set("x", "y")
    assert own.headers.get("x") == "y"


async def test_another_fetcher(fetch: Callable[..., object]) -> None:
    async def answer(request: object) -> object:
        return Response(f"for {request!r}").js_object

    got = await fetch("http://h/echo", fetcher=answer)
    assert await got.text() == "for Request(method='GET', url='http://h/echo')"


@pytest.mark.parametrize(
    ("to", "kept"),
    [("/b", True), ("https://h:443/b", True), ("https://k/", False), ("http://h/", False)],
)
def test_a_redirect_to_another_origin_loses_credentials(to: str, kept: bool) -> None:
    """The same host without TLS is another origin."""
    headers = Headers({"authorization": "a", "cookie": "b", "x": "c"})
    there = Hop("GET", "https://h/a", headers, None).next(302, to)
    assert [name in there.headers for name in ("authorization", "cookie", "x")] == [
        kept,
        kept,
        True,
    ]
