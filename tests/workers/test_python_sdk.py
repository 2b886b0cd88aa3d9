"""The module `workers` as Cloudflare's SDK has it: names, defaults, texts of errors; section 3."""

import asyncio
from http import HTTPMethod, HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from tests.workers.environments import Recorded
from tests.workers.running import methods, running, virtual

from wakeful.workers.shims.workers_module import shim_modules
from wakeful.workers.web.blobs import Blob, File
from wakeful.workers.web.forms import FormData
from wakeful.workers.web.requests import JsRequest, Request
from wakeful.workers.web.responses import JsResponse, Response


@pytest.fixture
def modules() -> dict[str, Any]:
    return shim_modules(Recorded(NAME="value").environment)


def test_texts_beside_status_codes_are_there_when_a_response_has_arrived() -> None:
    texts = {200: "OK", 201: "Created", 404: "Not Found", 413: "Payload Too Large", 299: ""}
    for status, text in texts.items():
        assert Response("x", status).status_text == ""
        assert JsResponse.received(status, (), None).statusText == text
    assert Response("x", HTTPStatus.CREATED).clone().status_text == ""
    assert Response("x", status_text="Fine").clone().status_text == "Fine"
    js = JsResponse("x", Response("x", 201).js_object, status=404)
    assert (js.status, js.statusText) == (404, "")
    assert repr(Response.json([1])) == "Response(status=200, content_type='application/json')"


async def test_code_from_before_the_sdk_finds_the_names_of_javascript() -> None:
    data = await Request("http://h", method="POST", body='{"a": [{"b": 1}]}').json()
    assert (data, data.a[0].b, data.to_py()) == ({"a": [{"b": 1}]}, 1, {"a": [{"b": 1}]})
    items = await Response('[{"a": 1}]').json()
    assert (items, items.length, items.to_py()) == ([{"a": 1}], 1, [{"a": 1}])
    response = Response("x", 201, "Made")
    assert (response.statusText, response.webSocket, response.bodyUsed) == ("Made", None, False)
    assert await response.arrayBuffer() == b"x"
    assert response.bodyUsed
    form = FormData({"a": "b"})
    assert (await Request("http://h", method="POST", body=form).formData())["a"] == "b"


async def test_json_both_ways() -> None:
    made = Response.json([1, {"a": None}], HTTPStatus.NOT_FOUND, "No", {"x-more": "1"})
    assert await made.clone().text() == '[1, {"a": null}]'
    assert (made.status, made.status_text, made.headers["X-MORE"]) == (404, "No", "1")
    assert made.headers.get_content_type() == "application/json"
    assert Response.json("x", headers={"Content-Type": "t/p"}).headers["content-type"] == "t/p"
    assert await Response.from_json("x").json() == "x"
    assert await Response('{"a": 1.50}').json(parse_float=str) == {"a": "1.50"}


@pytest.mark.parametrize(
    ("body", "name"),
    [
        *(
            (5, "int"),
            ({"a": 1}, "dict"),
            ([1], "list"),
            ((1,), "tuple"),
            (bytearray(b"x"), "bytearray"),
        ),
        *((memoryview(b"x"), "memoryview"), (object(), "object"), (Response("x"), "Response")),
    ],
)
def test_bodies_of_other_types(body: object, name: str) -> None:
    with pytest.raises(TypeError) as error:
        Response(body)
    assert str(error.value) == f"Unsupported type in Response: {name}"


def test_wrong_calls() -> None:
    expected = "Expected no options when constructing {0} from a js.{0}"
    cases: list[tuple[type[Exception], str, Any]] = [
        (ValueError, expected.format("Response"), lambda: Response(JsResponse("x"), status=201)),
        (
            ValueError,
            expected.format("Request"),
            lambda: Request(JsRequest("http://h"), method="PUT"),
        ),
        (
            TypeError,
            "Received unexpected type for headers argument",
            lambda: Response("x", headers="a"),
        ),
        (
            TypeError,
            "Received unexpected type for headers argument",
            lambda: Request("http://h", headers=5),
        ),
        (
            ValueError,
            "502 is not a redirect status code. It must be one of: 301, 302, 303, 307, or 308.",
            lambda: Response.redirect("", HTTPStatus.BAD_GATEWAY),
        ),
        (TypeError, "Don't know how to handle <class 'int'> for Blob()", lambda: Blob([5])),
        (
            TypeError,
            "Expected form_data to be a dict or an instance of FormData",
            lambda: FormData([1]),
        ),
        (TypeError, "missing 1 required positional argument: 'filename'", lambda: File("x")),  # type: ignore[call-arg]
    ]
    for kind, text, call in cases:
        with pytest.raises(kind) as error:
            call()
        assert str(error.value).endswith(text)
    with pytest.raises(
        TypeError, match=r"Expected single item in arguments to FormData\.__setitem__"
    ):
        FormData()["a"] = ["x"]


def test_values_of_headers_are_texts_as_javascript_makes_them() -> None:
    sent = Response("x", headers={"n": 5, "f": 2.0, "b": True}).headers
    assert (sent["n"], sent["f"], sent["b"]) == ("5", "2", "true")


@pytest.mark.parametrize("read", ["text", "json", "bytes", "buffer", "blob", "form_data", "clone"])
async def test_a_body_is_read_once(read: str) -> None:
    """I19."""
    for used in (Request("http://h", method=HTTPMethod.POST, body="1"), Response("1")):
        assert await used.text() == "1"
        assert used.body_used
        with pytest.raises(OSError, match=r"^Body already used$"):
            await getattr(used, read)()


async def test_a_form_is_a_mapping_with_names_that_come_twice() -> None:
    form = FormData({"a": "1", "file": File("x", "n.txt", "text/plain"), "blob": Blob(b"y")})
    form.append("a", "2")
    assert (form["a"], form.get_all("a"), form.get_all("z"), form["z"]) == (
        "1",
        ["1", "2"],
        [],
        None,
    )
    assert (list(form), len(form), "a" in form, "z" in form) == (
        ["a", "file", "blob", "a"],
        4,
        True,
        False,
    )
    assert (form["file"].name, form["file"].content_type, form["blob"].size) == (
        "n.txt",
        "text/plain",
        1,
    )
    form["a"] = "3"
    del form["file"]
    assert [(name, value) for name, value in form.items() if isinstance(value, str)] == [("a", "3")]
    form.append("b", Blob("z"), "named.txt")
    assert form["b"].name == "named.txt"
    form.delete("b")
    assert "b" not in form


async def test_fetch_takes_options_by_name_only(modules: dict[str, Any]) -> None:
    with pytest.raises(TypeError) as error:
        await modules["workers"].fetch("http://h", {"headers": {}})
    assert str(error.value) == "fetch() takes 1 positional argument but 2 were given"
    response = await modules["workers"].fetch(
        "http://h", method=HTTPMethod.PUT, cf={"cacheTtl": 5}, body="x"
    )
    assert await response.text() == "PUT http://h/"


def test_names_below_workers(modules: dict[str, Any]) -> None:
    workers = modules["workers"]
    assert not issubclass(workers.entrypoints.DurableObjectAbort, Exception)
    assert issubclass(workers.workflows.NonRetryableError, Exception)
    assert isinstance(workers.env, workers.rpc._EnvWrapper)

    def annotated(
        body: workers.Body | None, form: workers.FormDataValue, blob: workers.BlobValue
    ) -> None: ...

    star: dict[str, Any] = {}
    exec("from workers import *", {"__builtins__": {"__import__": lambda *_: workers}}, star)
    assert star.keys() == set(workers.__all__)


THING = methods(
    """
    async def kinds(self, function):
        entrypoints, rpc = workers.entrypoints, workers.rpc
        return [
            isinstance(self.ctx, entrypoints.DurableObjectContext),
            isinstance(self.env, rpc._EnvWrapper),
            isinstance(function, rpc._RpcStubWrapper),
            workers.env is self.env,
        ]

    def until(self, kind):
        async def work():
            log.append("done")
        works = {"coroutine": work, "none": lambda: None}
        works["task"] = lambda: asyncio.create_task(work())
        works["call"] = lambda: self.env.OBJECT.getByName("other").note("done")
        works["storage"] = lambda: self.ctx.storage.put("a", 1)
        self.ctx.waitUntil(works[kind]())
        workers.wait_until(works[kind]())

    def note(self, value):
        log.append(value)

    def attributes(self):
        stub = self.env.OBJECT.getByName("name")
        found = [bool(stub), stub.name, stub.id.name, callable(stub.anything), callable(stub)]
        attempts = [lambda: len(stub), lambda: list(stub), lambda: stub["x"], lambda: self.env.NOPE]
        for attempt in attempts:
            try:
                attempt()
            except (TypeError, AttributeError) as error:
                found.append(type(error).__name__)
        return [*found, getattr(self.env, "NOPE", "default")]
    """
)


@virtual
async def test_what_objects_see_of_the_sdk(tmp_path: Path) -> None:
    async with running(tmp_path, THING) as worker:
        stub = worker.stub()
        assert await stub.kinds(lambda: 1) == [True] * 4
        assert await stub.attributes() == [
            *(True, "name", "name", True, False),
            *("TypeError", "TypeError", "TypeError", "AttributeError", "default"),
        ]
        for kind in ("coroutine", "task", "call", "storage", "none"):
            await stub.until(kind)
        await asyncio.sleep(1)
        assert worker.log == ["done"] * 6


def test_names_from_the_inside_of_the_sdk(modules: dict[str, Any]) -> None:
    request, form, blob = Request("http://h"), FormData({"a": "b"}), Blob("x")
    assert request._js_request is request.js_object
    assert form._js_form_data is form.js_object
    assert blob._js_blob is blob.js_object
    js = request.js_object
    assert (js.cache, js.integrity, js.keepalive) == (None, "", False)
    workers, inside = modules["workers"], modules["workers._workers"]
    assert inside.fetch is workers.fetch is modules["workers.fetch"].fetch
    assert inside.DurableObjectContext is modules["workers.entrypoints"].DurableObjectContext
    assert isinstance(workers.env, inside._EnvWrapper)
    assert modules["workers.response"].Response is workers.Response
    assert callable(workers.fetch), "the function, not the module of its name"


def test_what_is_known_of_a_connection_is_a_proxy(modules: dict[str, Any]) -> None:
    ffi, js = modules["pyodide.ffi"], modules["js"]
    made = js.Request.new(
        "http://h", ffi.to_js({"cf": {"colo": "DFW"}}, dict_converter=js.Object.fromEntries)
    )
    cf = Request(made).cf
    assert isinstance(cf, ffi.JsProxy)
    assert (cf.colo, cf["colo"], cf.to_py()) == ("DFW", "DFW", {"colo": "DFW"})
    assert getattr(cf, "country", None) is None
    assert Request("http://h").cf is None
    assert Request(Request(made)).cf == cf
