"""WSGI applications as Workers."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from tests.workers.environments import Recorded

from wakeful.workers.shims.workers_module import shim_modules
from wakeful.workers.web.requests import JsRequest, Request

Start = Callable[..., Callable[[bytes], None]]


async def ask(app: Any, url: str = "http://h:81/a%20b/%C3%A9?x=1&y=%20", **options: Any) -> Any:
    recorded = Recorded(NAME="value")
    wsgi = shim_modules(recorded.environment)["wsgi"]
    default = wsgi.entrypoint(app)(object(), recorded.environment.env)
    return await default.fetch(Request(JsRequest(url, options)))


async def test_what_an_application_is_told() -> None:
    told: dict[str, Any] = {}

    def app(environ: dict[str, Any], start: Start) -> list[bytes]:
        told.update(environ, read=environ["wsgi.input"].read())
        start("201 Created", [("X-One", "1"), ("Set-Cookie", " a=1"), ("Set-Cookie", "b=2")])
        return [b"", b"made", b" it"]

    headers = {"Content-Type": "text/x", "X-Forwarded-For": "me", "CF-Connecting-IP": "1.2.3.4"}
    response = await ask(app, method="POST", body="body", headers=headers)
    assert (response.status, await response.text()) == (201, "made it")
    assert response.headers.raw() == [("x-one", "1"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]
    expected = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/a b/Ã©",
        "QUERY_STRING": "x=1&y=%20",
        "SERVER_NAME": "h",
        "SERVER_PORT": "81",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "4",
        "HTTP_X_FORWARDED_FOR": "me",
        "REMOTE_ADDR": "1.2.3.4",
        "wsgi.url_scheme": "http",
        "read": b"body",
    }
    assert {name: told[name] for name in expected} == expected
    assert told["workers.env"].NAME == "value"


async def test_chunks_stream_and_the_iterable_is_closed() -> None:
    class Chunks:
        closed = False

        def __iter__(self) -> Iterator[bytes]:
            yield b""
            start("200 OK", [])(b"written ")
            yield b"one"
            yield b""
            yield b" two"

        def close(self) -> None:
            self.closed = True

    chunks = Chunks()
    start: Any = None

    def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
        nonlocal start
        start = start_response
        return chunks

    response = await ask(app)
    assert not chunks.closed
    assert await response.text() == "written one two"
    assert chunks.closed


async def test_no_body_where_there_must_be_none() -> None:
    def app(environ: dict[str, Any], start: Start) -> list[bytes]:
        start("204 No Content", [])
        return [b""]

    response = await ask(app)
    assert (response.status, response.body) == (204, None)


async def test_what_goes_wrong() -> None:
    def silent(environ: dict[str, Any], start: Start) -> list[bytes]:
        return [b"x"]

    def twice(environ: dict[str, Any], start: Start) -> list[bytes]:
        start("200 OK", [])
        start("500 Error", [])
        return []

    def corrected(environ: dict[str, Any], start: Start) -> list[bytes]:
        start("200 OK", [])
        start("500 Error", [], (ValueError, ValueError("x"), None))
        return [b"sorry"]

    def split(environ: dict[str, Any], start: Start) -> list[bytes]:
        start("200 OK", [("X", "a\r\nSet-Cookie: b=1")])
        return []

    with pytest.raises(TypeError, match="Invalid header value"):
        await ask(split)
    with pytest.raises(RuntimeError, match="did not call start_response"):
        await ask(silent)
    with pytest.raises(RuntimeError, match="more than once"):
        await ask(twice)
    response = await ask(corrected)
    assert (response.status, await response.text()) == (500, "sorry")


def test_options() -> None:
    wsgi = shim_modules(Recorded().environment)["workers"].wsgi
    assert wsgi.Options(encode_body="manual").encode_body == "manual"
    with pytest.raises(ValueError, match="must be one of"):
        wsgi.Options(encode_body="often")
