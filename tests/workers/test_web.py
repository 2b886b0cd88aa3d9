"""Requests, responses, headers, forms and URLs, as the Fetch standard has them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from http import HTTPMethod, HTTPStatus
from http.client import HTTPMessage

import pytest

from wakeful.workers.proxies import JsArray, JsDict, JsException, JsRangeError, JsTypeError
from wakeful.workers.web.blobs import Blob, File, JsBlob, JsFile
from wakeful.workers.web.forms import FormData, JsFormData
from wakeful.workers.web.headers import Headers
from wakeful.workers.web.multipart import PARTS_MAX, parse_form, write_form
from wakeful.workers.web.requests import JsRequest, Request
from wakeful.workers.web.responses import FetchResponse, JsResponse, Response
from wakeful.workers.web.streams import ReadableStream
from wakeful.workers.web.urls import URL, URLSearchParams


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


# --- headers ---------------------------------------------------------------------------------


def test_headers_ignore_case_and_join_values() -> None:
    headers = Headers([("Accept", "a"), ("X", " 1 "), ("accept", "b")])
    assert headers.get("ACCEPT") == "a, b"
    assert headers.get_all("accept") == ["a", "b"]
    assert (headers.has("x"), headers.get("none"), headers["x"]) == (True, None, "1")
    assert list(headers) == [("accept", "a, b"), ("x", "1")]
    assert headers.raw() == [("accept", "a"), ("x", "1"), ("accept", "b")]


def test_headers_set_append_delete() -> None:
    headers = Headers({"a": 1, "b": 2})
    headers.append("a", "3")
    headers.set("A", "4")
    assert headers.raw() == [("a", "4"), ("b", "2")]
    headers.delete("B")
    assert ("b" in headers, len(headers)) == (False, 1)
    seen: list[tuple[str, str]] = []
    headers.forEach(lambda value, name, _: seen.append((name, value)))
    assert seen == [("a", "4")]


def test_cookies_are_not_joined() -> None:
    headers = Headers([("Set-Cookie", "a=b, c"), ("Set-Cookie", "e=f")])
    assert headers.getSetCookie() == ["a=b, c", "e=f"]
    assert headers.items() == [("set-cookie", "a=b, c"), ("set-cookie", "e=f")]


@pytest.mark.parametrize("pair", [("", "x"), ("a b", "x"), ("a:", "x"), ("a", "x\r\ny: z")])
def test_headers_that_would_break_a_message_are_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(JsTypeError, match="Invalid header"):
        Headers([pair])


# --- requests --------------------------------------------------------------------------------


async def test_request() -> None:
    request = Request("HTTPS://Test.com", method=HTTPMethod.POST, headers={"A": 1}, body='{"x": 1}')
    assert (request.method, request.url) == (HTTPMethod.POST, "https://test.com/")
    assert repr(request) == "Request(method='POST', url='https://test.com/')"
    assert isinstance(request.headers, HTTPMessage)
    assert (request.headers.get("a"), request.headers["A"], request.headers.get("b")) == (
        "1",
        "1",
        None,
    )
    assert request.headers.get("content-type") == "text/plain;charset=UTF-8"
    assert not request.body_used
    assert await request.json() == {"x": 1}
    assert request.body_used


async def test_second_read_is_refused() -> None:
    request = Request("http://h", method="POST", body="x")
    await request.text()
    for read in (request.text, request.json, request.bytes, request.buffer, request.form_data):
        with pytest.raises(OSError, match=r"^Body already used$"):
            await read()
    with pytest.raises(OSError, match="Body already used"):
        request.clone()
    with pytest.raises(JsTypeError, match="Body has already been used"):
        await request.js_object.text()


async def test_a_request_without_a_body_may_be_read_twice() -> None:
    request = Request("http://h")
    assert [await request.text(), await request.bytes()] == ["", b""]
    assert (request.body, request.body_used) == (None, False)


async def test_javascript_face_of_a_request() -> None:
    request = Request("http://h/p?q=1", method="put", body=b"ab", headers=[("x", "y")]).js_object
    assert (request.method, request.url) == ("PUT", "http://h/p?q=1")
    assert request.headers.get("X") == "y"
    assert request.constructor.name == "Request"
    clone = request.clone()
    assert (await request.arrayBuffer()).to_bytes() == b"ab"
    assert request.bodyUsed
    assert await clone.text() == "ab"


async def test_request_from_a_request_takes_its_body() -> None:
    first = Request("http://h", method="POST", body="x", headers={"a": "b"})
    second = Request(first, headers={"c": "d"})
    assert (second.method, first.body_used) == ("POST", True)
    assert (second.headers.get("a"), second.headers.get("c")) == (None, "d")
    assert await second.text() == "x"
    assert Request(second.js_object).js_object is second.js_object
    with pytest.raises(ValueError, match="Expected no options"):
        Request(second.js_object, method="GET")


def test_requests_that_cannot_be() -> None:
    with pytest.raises(TypeError, match=r"Invalid URL: /rel$"):
        Request("/rel")
    with pytest.raises(TypeError, match="cannot have a body"):
        Request("http://h", body="x")
    with pytest.raises(TypeError, match="Invalid HTTP method"):
        Request("http://h", method="A B")
    with pytest.raises(TypeError, match="unexpected type for headers"):
        Request("http://h", headers="a: b")
    with pytest.raises(TypeError, match="redirect"):
        Request("http://h", redirect="x")


def test_connection_properties_and_unknown_methods() -> None:
    request = JsRequest.received("PURGE", "http://h/", [("a", "b")], None, cf={"colo": "DFW"})
    face = Request(request)
    assert (face.method, face.headers["a"]) == ("PURGE", "b")
    assert face.cf is not None
    assert face.cf.colo == "DFW"
    assert Request("http://h").cf is None
    assert Request(JsRequest.new("http://h", {"cf": {"colo": "A"}})).cf == {"colo": "A"}


# --- responses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content", "content_type"),
    [
        (None, b"", None),
        ("é", b"\xc3\xa9", "text/plain;charset=UTF-8"),
        (b"ab", b"ab", None),
        (Blob("x", content_type="text/x"), b"x", "text/x"),
        (JsBlob(["x"]), b"x", None),
        (
            URLSearchParams({"a": "b c"}),
            b"a=b+c",
            "application/x-www-form-urlencoded;charset=UTF-8",
        ),
        (ReadableStream.of(b"s"), b"s", None),
    ],
)
async def test_bodies(body: object, content: bytes, content_type: str | None) -> None:
    response = Response(body)
    assert response.headers.get("content-type") == content_type
    assert (response.status, response.ok) == (200, True)
    assert await response.bytes() == content


@pytest.mark.parametrize(("body", "name"), [({}, "dict"), (5, "int"), ([1], "list")])
def test_other_bodies_are_refused(body: object, name: str) -> None:
    with pytest.raises(TypeError) as error:
        Response(body)
    assert str(error.value) == f"Unsupported type in Response: {name}"


async def test_bodies_that_are_containers_of_python_are_written_as_python_does() -> None:
    for body in ({"a": None}, [1, "b"], (1,), {"c": True}):
        assert await JsResponse(body).text() == str(body)
    js: list[tuple[object, str]] = [
        (JsDict(a=1), "[object Object]"),
        (JsArray([1, "b", None]), "1,b,"),
        (True, "true"),
        (5, "5"),
    ]
    for body, text in js:
        assert await JsResponse(body).text() == text


async def test_response_options() -> None:
    response = Response("x", HTTPStatus.CREATED, "Made", [("A", "1"), ("a", "2")])
    assert (response.status, response.status_text) == (201, "Made")
    assert response.headers.get("a") == "1, 2"
    assert repr(response) == (
        "Response(status=201, status_text='Made', content_type='text/plain;charset=UTF-8')"
    )
    other = response.replace_body("other")
    assert (other.status, other.status_text, await other.text()) == (201, "Made", "other")
    assert Response("{}", headers={"content-type": "x/y"}).headers["content-type"] == "x/y"


@pytest.mark.parametrize("status", [199, 600, 0, 101])
def test_status_out_of_range(status: int) -> None:
    with pytest.raises(JsRangeError, match="range 200 to 599"):
        JsResponse("x", status=status)


def test_statuses_without_a_body() -> None:
    assert Response(None, status=204).body is None
    with pytest.raises(TypeError, match="null body status"):
        Response("x", status=204)


def test_upgrade_keeps_the_socket() -> None:
    socket = object()
    assert Response(None, status=101, web_socket=socket).web_socket is socket
    with pytest.raises(ValueError, match="must have status code 101"):
        Response(None, status=200, web_socket=socket)


async def test_json_both_ways() -> None:
    made = Response.json({"obj": {"field": 123}}, status=HTTPStatus.NOT_FOUND)
    assert (made.status, made.headers["content-type"]) == (404, "application/json")
    assert await made.clone().text() == '{"obj": {"field": 123}}'
    assert await made.json() == {"obj": {"field": 123}}
    assert Response.from_json([], headers={"Content-Type": "a/b"}).headers["content-type"] == "a/b"
    js = JsResponse.json({"a": [1]}, status=201, headers={"x": "y"})
    assert (js.status, js.headers.get("x"), js.headers.get("content-type")) == (
        201,
        "y",
        "application/json",
    )
    assert await js.clone().text() == '{"a":[1]}'
    assert (await js.json()).a == [1]
    with pytest.raises(JsException, match="SyntaxError"):
        await JsResponse("{").json()


def test_redirects() -> None:
    response = Response.redirect("http://h/a b", 301)
    assert isinstance(response, FetchResponse)
    assert (response.status, response.headers["location"]) == (301, "http://h/a%20b")
    with pytest.raises(ValueError, match="502 is not a redirect status code"):
        Response.redirect("", HTTPStatus.BAD_GATEWAY)


@pytest.mark.parametrize(
    "fixed",
    [
        JsResponse.redirect("http://h/"),
        JsResponse.redirect("http://h/").clone(),
        JsRequest.received("GET", "http://h", [("a", "1")], None),
        JsRequest.received("GET", "http://h", [("a", "1")], None).clone(),
    ],
    ids=["redirect", "clone of a redirect", "incoming", "clone of incoming"],
)
def test_headers_that_are_only_read(fixed: JsRequest | JsResponse) -> None:
    change: list[Callable[[Headers], object]] = [
        *(lambda h: h.set("a", "2"), lambda h: h.append("a b", ""), lambda h: h.delete("none")),
    ]
    for how in change:
        with pytest.raises(JsTypeError) as caught:
            how(fixed.headers)
        assert caught.value.message == "Can't modify immutable headers."


def test_what_is_made_of_fixed_headers_can_change() -> None:
    arrived = JsRequest.received("GET", "http://h", [("a", "1")], None)
    for headers in (
        *(Headers.new(arrived.headers), JsRequest(arrived).headers, arrived.moved().headers),
        *(
            JsRequest("http://x", arrived).headers,
            JsResponse(None, headers=arrived.headers).headers,
        ),
    ):
        headers.set("a", "2")
        assert (headers.get("a"), arrived.headers.get("a")) == ("2", "1")


def test_javascript_response_in_python_face() -> None:
    js = JsResponse.new("x", {"status": 202})
    assert Response(js).js_object is js
    with pytest.raises(ValueError, match="Expected no options"):
        Response(js, status=200)


def test_raise_for_status() -> None:
    Response("x").raise_for_status()
    with pytest.raises(OSError, match="404 Client Error"):
        Response("x", status=404).raise_for_status()


async def test_streams_pass_through_and_clones_share_them() -> None:
    upstream = Response(ReadableStream(chunks(b"a", b"b")))
    clone = upstream.clone()
    passed = Response(upstream.body, status=201)
    assert await passed.text() == "ab"
    assert upstream.body_used
    assert await clone.bytes() == b"ab"
    with pytest.raises(TypeError, match="disturbed"):
        Response(upstream.body)


async def test_readers_and_branches() -> None:
    stream = ReadableStream(chunks(b"a", b"b"))
    reader = stream.getReader()
    first = await reader.read()
    assert (first.done, first.value) == (False, b"a")
    with pytest.raises(TypeError, match="locked"):
        stream.getReader()
    reader.releaseLock()
    assert [bytes(chunk) async for chunk in stream] == [b"b"]
    one, two = ReadableStream(chunks(b"a", b"b", b"c")).tee()
    fast, slow = await asyncio.gather(one.read_all(), two.read_all())
    assert fast == slow == b"abc"
    ended = ReadableStream(chunks(b"a"))
    await ended.cancel()
    assert (ended.disturbed, await ended.read_all()) == (True, b"")


async def test_sent_to_another_object() -> None:
    response = Response("x", headers={"a": "b"})
    arrived = response.__wakeful_transfer__()
    assert (await arrived.text(), response.body_used) == ("x", True)
    arrived.js_object.headers.set("a", "c")
    assert response.headers["a"] == "b"
    js_request = Request("http://h", method="POST", body="x").js_object
    assert await js_request.__wakeful_transfer__().text() == "x"


# --- blobs and forms -------------------------------------------------------------------------


async def test_blobs() -> None:
    blob = Blob(["te", memoryview(b"st")], content_type="Application/JSON")
    assert (blob.size, blob.content_type, await blob.text()) == (4, "application/json", "test")
    assert await blob.slice(1, 3).bytes() == b"es"
    assert Blob(blob).content_type == "application/json"
    assert Blob(blob, content_type="other/type").content_type == "other/type"
    assert Blob([blob]).content_type == ""
    assert await Blob(["a\r\nb\rc"], endings="native").text() == "a\nb\nc"
    with pytest.raises(TypeError, match="Don't know how to handle"):
        Blob([5])


def test_files() -> None:
    file = File("my file", "test.txt", "text/plain", last_modified=5)
    assert (file.name, file.content_type, file.last_modified, file.size) == (
        "test.txt",
        "text/plain",
        5,
        7,
    )
    again = File(file, "b")
    assert (again.name, again.content_type, again.last_modified) == ("b", "text/plain", 5)
    assert isinstance(Blob.of(JsFile(["x"], "n")), File)


async def test_forms() -> None:
    js = JsFormData.new()
    js.append("foobar", 123)
    js.append("key", "lorem")
    js.append("key", "dolor")
    form = FormData(js)
    assert form["foobar"] == "123"
    assert form.get_all("key") == ["lorem", "dolor"]
    assert ("unknown" not in form, "key" in form, form["unknown"]) == (True, True, None)
    form["key"] = "one"
    form.append("file", Blob(["text"]), filename="f.txt")
    assert list(form.keys()) == ["foobar", "key", "file"]
    assert list(form.items())[:2] == [("foobar", "123"), ("key", "one")]
    file = form["file"]
    assert isinstance(file, File)
    assert (file.name, await file.text()) == ("f.txt", "text")
    form["blob"] = JsBlob(["x"])
    assert isinstance(form["blob"], Blob)
    form.delete("key")
    del form["blob"]
    assert (len(form), len(list(form.values()))) == (2, 2)
    with pytest.raises(TypeError, match="single item"):
        form["a"] = ["b"]
    with pytest.raises(TypeError, match="Expected form_data"):
        FormData("x")


async def test_forms_through_bodies() -> None:
    form = FormData({"text": 'a\nb "c"', "é": "ü"})
    form.append("file", File(b"\r\n--x\r\n\0", 'we"ird.bin', "image/png"))
    request = Request("http://h", method="POST", body=form)
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    arrived = await request.form_data()
    assert arrived["text"] == 'a\nb "c"'
    assert arrived["é"] == "ü"
    file = arrived["file"]
    assert isinstance(file, File)
    assert (file.name, file.content_type, await file.bytes()) == (
        'we"ird.bin',
        "image/png",
        b"\r\n--x\r\n\0",
    )
    assert write_form(form.js_object) == write_form(form.js_object)


async def test_urlencoded_form() -> None:
    body = URLSearchParams([("a", "1 2"), ("a", "é"), ("b", "")])
    form = await Request("http://h", method="POST", body=body).form_data()
    assert list(form.items()) == [("a", "1 2"), ("a", "é"), ("b", "")]


MULTIPART = "multipart/form-data; boundary=x"


def part(head: str, content: str = "c") -> str:
    return f"--x\r\n{head}\r\n\r\n{content}\r\n"


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        ("a=b", "text/plain", "Unrecognized Content-Type header value"),
        ("a=b", "", "can only parse the following MIME types"),
        ("--x--", "multipart/form-data", "No boundary string"),
        ("", MULTIPART, "No initial boundary"),
        (part('Content-Disposition: form-data; name="a"'), MULTIPART, "Unexpected end"),
        (part("Content-Type: a/b") + "--x--", MULTIPART, "Missing Content-Disposition"),
        (part("Content-Disposition: form-data") + "--x--", MULTIPART, "Missing name"),
        (part(f"A: {'b' * 9000}") + "--x--", MULTIPART, "of at most 8192 bytes"),
        ("--a\nb--", 'multipart/form-data; boundary="a%0Ab"', "Invalid characters in boundary"),
        ("--x junk\r\n\r\n--x--", MULTIPART, "after first boundary"),
        (
            part('Content-Disposition: form-data; name="a"') * (PARTS_MAX + 1) + "--x--",
            MULTIPART,
            "at most 1000 parts",
        ),
        ("&".join(["a=b"] * (PARTS_MAX + 1)), "application/x-www-form-urlencoded", "1000 fields"),
    ],
)
def test_bodies_that_are_no_form(body: str, content_type: str, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        parse_form(body.encode(), content_type)


def test_multipart_of_other_clients() -> None:
    body = (
        "preamble\r\n--x\r\n"
        'content-disposition: FORM-DATA; filename="a\\"b.txt"; name=plain\r\n\r\ndata\r\n'
        '--x\r\nContent-Disposition: form-data; name="empty"\r\n\r\n\r\n--x--\r\nepilogue'
    )
    form = parse_form(body.encode(), 'Multipart/Form-Data; charset=utf-8; boundary="x"')
    (name, file), empty = form.pairs
    assert isinstance(file, JsFile)
    assert (name, file.name, file.data, file.type) == ("plain", 'a"b.txt', b"data", "text/plain")
    assert empty == ("empty", "")
    assert parse_form(b"--x--", MULTIPART).pairs == []


# --- queries and forms ---


def test_names_of_queries_and_forms_by_subscript() -> None:
    for made in (URLSearchParams("a=1&b=2"), _form(a="1", b="2")):
        assert dict(made) == {"a": "1", "b": "2"}
        assert (made["a"], "b" in made, "c" in made, 1 in made) == ("1", True, False, False)
        made["c"] = 3
        del made["a"]
        assert made["c"] == "3"
        with pytest.raises(KeyError):
            made["a"]


def _form(**values: str) -> JsFormData:
    form = JsFormData()
    for name, value in values.items():
        form.append(name, value)
    return form


def test_parts_of_a_url_can_be_set() -> None:
    url = URL("http://u@h:81/a?x=1#f")
    url.pathname = "b c/../d?e"
    url.search = "y=é"
    url.hash = "#g h"
    url.host, url.username = "other:443", ""
    assert url.href == "http://other:443/d%3Fe?y=%C3%A9#g%20h"
    assert url.searchParams.get("y") == "é"
    url.searchParams.append("z", "1 2")
    url.searchParams.set("y", "n")
    assert url.search == "?y=n&z=1+2"
    url.searchParams.delete("y")
    url.searchParams.sort()
    url.protocol, url.hostname, url.hash, url.password = "https:", "Third", "", "p"
    assert url.href == "https://:p@third/d%3Fe?z=1+2"
    url.port, url.username = 8080, "u"
    assert (url.href, url.host) == ("https://u:p@third:8080/d%3Fe?z=1+2", "third:8080")
    url.host = "fourth"
    assert url.host == "fourth:8080"
    for wrong in ("a b", "/y", "c@d", ":1"):
        url.host = url.hostname = wrong
    url.port, url.protocol = "70000", "gopher"
    assert url.origin == "https://fourth:8080"
    url.search = ""
    assert (url.searchParams.size, url.search) == (0, "")
    url.href = "http://h/?q=1"
    assert (url.href, url.searchParams.get("q")) == ("http://h/?q=1", "1")
    with pytest.raises(TypeError, match="valid URL string"):
        url.href = "/relative"


def test_search_params() -> None:
    params = URLSearchParams("?a=1&b=2&a=3")
    assert (params.get("a"), params.getAll("a"), params.has("c")) == ("1", ["1", "3"], False)
    params.set("a", 4)
    params.append("c", "x y&")
    params.delete("b")
    assert str(params) == "a=4&c=x+y%26"
    assert (params.keys(), params.values(), len(params), "a" in params) == (
        ["a", "c"],
        ["4", "x y&"],
        2,
        True,
    )
    params.append("b", "")
    params.sort()
    assert dict(params.items()) == {"a": "4", "b": "", "c": "x y&"}
