"""The modules `workers`, `js`, `pyodide` and `asgi`, made for one Worker."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, StreamingResponse
from starlette.responses import Response as StarletteResponse
from starlette.routing import Route
from structlog.testing import capture_logs
from tests.workers.environments import Recorded

from wakeful.workers.objects.ids import IdSpace
from wakeful.workers.proxies import JsArray, JsBytes, JsDict, JsException
from wakeful.workers.shims.workers_module import shim_modules
from wakeful.workers.values import copied


@pytest.fixture
def recorded() -> Recorded:
    return Recorded(NAME="value")


@pytest.fixture
def modules(recorded: Recorded) -> dict[str, Any]:
    return shim_modules(recorded.environment)


@pytest.fixture
def js(modules: dict[str, Any]) -> Any:
    return modules["js"]


@pytest.fixture
def ffi(modules: dict[str, Any]) -> Any:
    return modules["pyodide.ffi"]


@pytest.fixture
def workers(modules: dict[str, Any]) -> Any:
    return modules["workers"]


# --- workers ---------------------------------------------------------------------------------


def test_workers_has_what_the_sdk_exports(workers: Any) -> None:
    names = {
        *("Blob", "BlobEnding", "BlobValue", "Body", "Context", "DurableObject", "FetchKwargs"),
        *("FetchResponse", "File", "FormData", "FormDataValue", "Headers", "JSBody", "Request"),
        *(
            "RequestInitCfProperties",
            "Response",
            "WorkerEntrypoint",
            "WorkflowEntrypoint",
            "env",
            "fetch",
            "handler",
        ),
        *("import_from_javascript", "patch_env", "python_from_rpc", "python_to_rpc"),
        *("waitUntil", "wait_until"),
    }
    assert names <= set(workers.__all__)
    assert all(hasattr(workers, name) for name in names)


def test_what_is_not_there_is_an_attribute_error(workers: Any) -> None:
    assert not hasattr(workers, "nonsense")


def test_env_and_its_patches(workers: Any) -> None:
    env = workers.env
    assert env.NAME == "value"
    assert not hasattr(env, "OTHER")
    with workers.patch_env({"NAME": "patched"}, OTHER=1):
        assert (env.NAME, env.OTHER) == ("patched", 1)
    with workers.patch_env([("NAME", 2)]):
        assert env.NAME == 2
    assert (env.NAME, hasattr(env, "OTHER")) == ("value", False)
    assert repr(env) == "Env(NAME)"


async def test_fetch_goes_through_the_runtime(workers: Any, js: Any, modules: Any) -> None:
    response = await workers.fetch("http://h/x", method="POST")
    assert isinstance(response, workers.Response)
    assert await response.text() == "POST http://h/x"
    answer = await js.fetch(js.Request.new("http://h/y"), js.Object.fromEntries([]))
    assert isinstance(answer, js.Response)
    assert await (await js.fetch("http://h", method="PUT")).text() == "PUT http://h/"
    fetched = await modules["pyodide.http"].pyfetch("http://h/z")
    assert await fetched.string() == "GET http://h/z"


def test_javascript_modules(workers: Any) -> None:
    module = workers.import_from_javascript("cloudflare:workers")
    assert module.env is workers.env
    assert module.DurableObject is workers.DurableObject
    with pytest.raises(ImportError, match="cloudflare:sockets"):
        workers.import_from_javascript("cloudflare:sockets")


def test_conversions_are_checks_only(workers: Any) -> None:
    assert workers.python_to_rpc({"a": print}) == {"a": print}
    assert workers.python_from_rpc(JsDict(a=1)) == {"a": 1}
    with pytest.raises(TypeError):
        workers.python_to_rpc((1,))


def test_wait_until(workers: Any, recorded: Recorded) -> None:
    for function in (workers.waitUntil, workers.wait_until):
        function("work")
    assert recorded.waiting == ["work", "work"]


# --- pyodide ---------------------------------------------------------------------------------


def test_to_js_copies(ffi: Any, js: Any) -> None:
    value = {"list": [1, (2,), {3}], "bytes": b"x", "none": None}
    made = ffi.to_js(value, dict_converter=js.Object.fromEntries)
    assert made.list == [1, [2], {3}]
    assert isinstance(made.list, JsArray)
    assert (made.list.length, made.bytes, type(made.bytes), made.none) == (3, b"x", JsBytes, None)
    assert made.to_py() == {"list": [1, [2], {3}], "bytes": b"x", "none": None}
    assert made is not value
    assert ffi.to_js({"a": {"b": 1}}).a.b == 1
    inner: list[int] = []
    assert ffi.to_js([inner], depth=1)[0] is inner
    assert ffi.to_js([1j], default_converter=lambda value, convert, _: convert(str(value))) == [
        "1j"
    ]
    response = js.Response.new("x")
    assert ffi.to_js(response) is response
    assert copied(made) == {"list": [1, [2], {3}], "bytes": b"x", "none": None}


def test_proxies_are_the_object_itself(ffi: Any) -> None:
    proxy = ffi.create_proxy(lambda a, b=0: (a, b))
    assert isinstance(proxy, ffi.JsProxy)
    assert proxy(1, b=2) == (1, 2)
    assert ffi.create_once_callable(proxy) is proxy
    assert ffi.create_proxy([1]).copy() == [1]
    proxy.destroy()
    ffi.destroy_proxies([proxy])
    held = ffi.create_proxy(bytearray(b"abc")).getBuffer()
    assert (held.data.slice(1), held.release()) == (b"bc", None)
    assert ffi.jsnull is None
    assert isinstance(None, ffi.JsNull)


async def test_a_proxy_of_a_task_is_waited_for_as_the_task(ffi: Any) -> None:
    async def work() -> str:
        return "done"

    task = asyncio.ensure_future(work())
    proxy = ffi.create_proxy(task)
    task.add_done_callback(lambda _: proxy.destroy())
    assert await proxy == "done"
    assert not isinstance(ffi.create_proxy(work), Awaitable)


def test_version(modules: dict[str, Any]) -> None:
    assert modules["pyodide"].__version__ != "0.26.0a2"
    assert modules["pyodide"].ffi is modules["pyodide.ffi"]


# --- js --------------------------------------------------------------------------------------


def test_dates(js: Any) -> None:
    assert js.Date.now() == 1_700_000_000_000
    now = js.Date.new()
    assert (now.getTime(), now.toISOString()) == (1_700_000_000_000, "2023-11-14T22:13:20.000Z")
    assert js.Date.new(5).valueOf() == 5
    assert js.Date.new("2026-01-01T00:00:00Z").getTime() == 1_767_225_600_000
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert js.Date.new(moment).getTime() == 1_767_225_600_000
    assert type(copied(now)) is datetime
    assert now.constructor.name == "Date"
    with pytest.raises(JsException, match="Invalid time value"):
        js.Date.new("soon")


def test_json(js: Any) -> None:
    value = {"a": [1.0, math.nan, "é"], "b": None, 1: js.Date.new(0), "u": js.URL.new("http://h")}
    assert js.JSON.stringify(value) == (
        '{"a":[1,null,"é"],"b":null,"1":"1970-01-01T00:00:00.000Z","u":"http://h/"}'
    )
    assert js.JSON.stringify([1], None, 2) == "[\n  1\n]"
    assert js.JSON.parse('{"a": {"b": 2.0}}').a.b == 2
    with pytest.raises(js.SyntaxError):
        js.JSON.parse("{")
    ids = IdSpace("k", bytes)
    assert js.JSON.stringify(ids.from_name("n")) == '{"name":"n"}'


def test_objects_and_containers(js: Any) -> None:
    made = js.Object.fromEntries(js.Map.new([["a", 1]]))
    assert (made.a, js.Object.keys(made), js.Object.values(made)) == (1, ["a"], [1])
    assert js.Object.entries(made) == [["a", 1]]
    assert js.Object.assign(js.Object.new(), {"b": 2}) == {"b": 2}
    numbers = js.Map.new([[1, "one"]]).set(2, "two")
    assert (numbers.size, numbers.has(2), numbers.delete(3)) == (2, True, False)
    assert copied(numbers) == {"1": "one", "2": "two"}
    values = js.Set.new([1, 2])
    assert (values.size, values.has(1), values.delete(1), copied(values)) == (2, True, True, {2})
    assert (js.Array.new(1, 2).length, js.Array.isArray([]), js.Number.new("12")) == (2, True, 12)
    assert js.ArrayBuffer.new(2) == b"\0\0"
    assert js.undefined is None


def test_errors_can_be_raised_and_caught(js: Any, ffi: Any) -> None:
    with pytest.raises(ffi.JsException) as raised:
        raise js.RangeError.new("boom")
    error = raised.value
    assert (error.name, error.message, str(error)) == ("RangeError", "boom", "RangeError: boom")
    assert (error.remote, error.retryable, str(js.Error.new())) == (False, False, "Error")


def test_console_writes_to_the_log(js: Any, recorded: Recorded) -> None:
    js.console.log("a", 1.0, {"b": [None]}, None)
    js.console.error("bad")
    js.console.warn("careful")
    assert recorded.lines == [
        ("info", 'a 1 {"b":[null]} undefined'),
        ("error", "bad"),
        ("warning", "careful"),
    ]
    assert not hasattr(js.console, "nonsense")


def test_sockets_come_from_the_runtime(js: Any, recorded: Recorded) -> None:
    pair = js.WebSocketPair.new()
    client, server = pair.object_values()
    assert (client, server) == ("client", "server")
    assert (list(pair), list(pair.values()), pair[0], pair["1"]) == (
        ["client", "server"],
        ["client", "server"],
        "client",
        "server",
    )
    assert js.Object.values(pair) == ["client", "server"]
    assert js.WebSocket.new("ws://h", "chat") == "socket"
    assert recorded.sockets == [("ws://h/", ("chat",))]
    auto = js.WebSocketRequestResponsePair.new("ping", "pong")
    assert (auto.request, auto.getResponse()) == ("ping", "pong")


def test_odds_and_ends(js: Any) -> None:
    assert js.encodeURIComponent("a b/é") == "a%20b%2F%C3%A9"
    assert js.structuredClone([1.0]) == [1]
    first, second = js.crypto.randomUUID(), js.crypto.randomUUID()
    assert (len(first), first[14], first != second) == (36, "4", True)
    assert js.Headers.new({"a": "b"}).get("A") == "b"
    assert js.URL.new("/x", "http://h").href == "http://h/x"


# --- asgi ------------------------------------------------------------------------------------

Serve = Callable[..., Awaitable[Any]]


@pytest.fixture
async def serve(modules: dict[str, Any], recorded: Recorded) -> AsyncIterator[Serve]:
    async def serve(app: Any, url: str = "http://h/", **options: Any) -> Any:
        request = modules["workers"].Request(url, **options)
        return await modules["asgi"].fetch(app, request.js_object, "env")

    yield serve
    await asyncio.gather(*recorded.waiting, return_exceptions=True)


async def test_asgi_application(serve: Serve) -> None:
    async def echo(request: StarletteRequest) -> StarletteResponse:
        body = await request.body()
        answer = JSONResponse(
            {
                "path": request.url.path,
                "query": dict(request.query_params),
                "body": body.decode(),
                "env": request.scope["env"],
                "header": request.headers["x"],
            },
            201,
        )
        answer.set_cookie("a", "1")
        answer.set_cookie("b", "2")
        return answer

    app = Starlette(routes=[Route("/{rest:path}", echo, methods=["POST"])])
    response = await serve(app, "http://h/a%20b?q=1", method="POST", body="x", headers={"X": "y"})
    assert response.status == 201
    assert len(response.headers.getSetCookie()) == 2
    assert await response.json() == {
        "path": "/a b",
        "query": {"q": "1"},
        "body": "x",
        "env": "env",
        "header": "y",
    }


async def test_asgi_response_streams(serve: Serve) -> None:
    going = asyncio.Event()

    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        await going.wait()
        yield b"second"

    async def stream(request: StarletteRequest) -> StarletteResponse:
        return StreamingResponse(parts())

    response = await serve(Starlette(routes=[Route("/", stream)]))
    reader = response.body.getReader()
    assert (await reader.read()).value == b"first"
    going.set()
    assert (await reader.read()).value == b"second"
    assert (await reader.read()).done


async def test_asgi_lifespan(serve: Serve, recorded: Recorded) -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            seen.append((await receive())["type"])
            scope["state"]["db"] = "open"
            await send({"type": "lifespan.startup.complete"})
            seen.append((await receive())["type"])
            await send({"type": "lifespan.shutdown.complete"})
            return
        seen.append(scope["state"]["db"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    response = await serve(app)
    assert (response.status, response.body) == (204, None)
    assert seen == ["lifespan.startup", "open", "lifespan.shutdown"]
    await asyncio.gather(*recorded.waiting)


def ending(how: str, *, streams: bool = False, raises: bool = False) -> Any:
    """An application whose shutdown ends so."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            if how == "failed":
                await send({"type": "lifespan.shutdown.failed", "message": "no disk"})
            raise OSError("disk")
        if raises:
            raise ValueError("boom")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": streams})
        if streams:
            await send({"type": "http.response.body", "body": b"y"})

    return app


async def test_asgi_shutdown_that_fails_is_heard(serve: Serve, recorded: Recorded) -> None:
    """It is an error of `fetch`; behind a stream, and where it only raises, it is logged."""
    with capture_logs() as logs:
        with pytest.raises(RuntimeError, match="did not shut down: no disk") as caught:
            await serve(ending("failed"))
        assert repr(caught.value.__cause__) == "OSError('disk')"
        assert logs == []
        assert await (await serve(ending("failed", streams=True))).text() == "xy"
        assert await (await serve(ending("raises"))).text() == "x"
        with pytest.raises(ValueError, match="boom"):
            await serve(ending("failed", raises=True))
        await asyncio.gather(*recorded.waiting)
    assert [log["event"] for log in logs] == [
        "an application did not shut down",
        "an application raised in its lifespan",
        "an application did not shut down",
    ]


async def test_asgi_states_of_requests_are_copies(serve: Serve) -> None:
    kept: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        kept.append(scope["state"])
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        scope["state"]["mine"] = True
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    await serve(app)
    assert kept == [{}, {"mine": True}]


async def test_asgi_failures(serve: Serve) -> None:
    async def raises(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("boom")

    async def silent(scope: Any, receive: Any, send: Any) -> None: ...

    async def halfway(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ValueError("later")

    async def unready(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.failed", "message": "no db"})

    with pytest.raises(ValueError, match="boom"):
        await serve(raises)
    with pytest.raises(RuntimeError, match="without a response"):
        await serve(silent)
    with pytest.raises(RuntimeError, match="no db"):
        await serve(unready)
    response = await serve(halfway)
    with pytest.raises(ValueError, match="later"):
        await response.text()


async def test_asgi_reader_that_leaves_stops_nobody(serve: Serve, recorded: Recorded) -> None:
    async def endless(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise ValueError("no lifespan")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})

    response = await serve(endless)
    await response.body.cancel()
    await asyncio.gather(*recorded.waiting)
