"""Calls over the real server: arguments in, values out, errors as problems."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import httpx2
import pytest
from tests.http.actors import Counter, Serving, serving, waiter

from wakeful import Config, Limits

PROBLEM = "application/problem+json"


async def test_the_examples_of_the_readme_hold(served: Serving) -> None:
    url = f"{served.server.url}/actors/Counter/counter-1/increment"

    def curl(*arguments: str) -> str:
        return subprocess.run(
            ["curl", "-s", "-X", "POST", url, *arguments],
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    loop = served.runtime.host.loop.raw
    assert await loop.run_in_executor(None, curl) == "1"
    assert await loop.run_in_executor(None, curl, "-d", '{"by": 5}') == "6"
    assert await loop.run_in_executor(None, curl, "-d", "[5]") == "11"


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (None, 1),
        (b"", 1),
        (b'{"by": 5}', 5),
        (b"[5]", 5),
        (b"{}", 1),
        (b"[]", 1),
        (b" [ 5 ] ", 5),
    ],
)
async def test_arguments_come_by_keyword_by_position_or_not_at_all(
    http: httpx2.AsyncClient, body: bytes | None, result: int
) -> None:
    answer = await http.post("/actors/Counter/c/increment", content=body)
    assert (answer.status_code, answer.json()) == (200, result)
    assert answer.headers["content-type"] == "application/json"


async def test_a_chunked_body_is_read(http: httpx2.AsyncClient) -> None:
    async def chunks():  # type: ignore[no-untyped-def]
        yield b'{"by'
        yield b'": 7}'

    answer = await http.post("/actors/Counter/c/increment", content=chunks())
    assert answer.json() == 7


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("a%2Fb", "a/b"),
        ("a/b", "a/b"),
        ("%2fa%2F", "/a/"),
        ("a%252Fb", "a%2Fb"),
        ("a%3Fb%23c", "a?b#c"),
        ("a+b;c=d", "a+b;c=d"),
        ("%2e%2e", ".."),
        ("%C3%A4%20%25", "ä %"),
        ("100%", "100%"),
    ],
)
async def test_a_name_in_a_path_is_decoded_once(served: Serving, written: str, name: str) -> None:
    path = f"/actors/Counter/{written}/increment"
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    assert (await served.raw(head.encode())).endswith(b"\r\n\r\n1")
    assert await served.runtime.get(Counter, name).get() == 1


@pytest.mark.parametrize(
    "media",
    ["application/json", "application/json; charset=utf-8", "application/vnd.x+json"],
)
async def test_json_may_have_any_json_media_type(http: httpx2.AsyncClient, media: str) -> None:
    headers = {"content-type": media}
    answer = await http.post("/actors/Counter/c/increment", content=b"[2]", headers=headers)
    assert answer.json() == 2


async def test_query_values_are_text_where_text_is_accepted_and_literals_elsewhere(
    http: httpx2.AsyncClient,
) -> None:
    query = {
        "number": "5",
        "text": "7",
        "flag": "true",
        "when": "2024-02-29",
        "point": '{"x": 1}',
        "tags": '["a"]',
    }
    answer = await http.get("/actors/Probe/p/typed", params=query)
    assert answer.json() == {
        "number": 5,
        "text": "7",
        "flag": True,
        "when": "2024-02-29",
        "point": {"x": 1, "y": 0.0},
        "tags": ["a"],
    }


async def test_what_json_lacks_is_text(http: httpx2.AsyncClient) -> None:
    body = {"amount": "1.10", "colour": "red", "raw": "AAE="}
    answer = await http.post("/actors/Probe/p/money", json=body)
    assert answer.json() == {"amount": "1.10", "colour": "red", "raw": "AAE="}


@pytest.mark.parametrize(
    "name", ["a/b", "a b", "ä", "日本", "%41", "..", ".", "a?b#c", "x" * 1024, "\x00", "😀", "-"]
)
async def test_any_name_can_be_called(http: httpx2.AsyncClient, name: str) -> None:
    encoded = "".join(f"%{byte:02X}" for byte in name.encode())
    answer = await http.post(f"/actors/Counter/{encoded}/increment")
    assert (answer.status_code, answer.json()) == (200, 1)
    listed = await http.get("/_wakeful/actors", params={"type": "Counter"})
    assert listed.json()["actors"] == [{"type": "Counter", "name": name}]


async def test_a_path_without_actors_before_the_type_is_put_right(http: httpx2.AsyncClient) -> None:
    problem = (await http.post("/Counter/c/increment")).json()
    assert (
        problem["detail"] == "nothing is here; methods of actors are below /actors/<Type>/<name>/"
    )


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "field"),
    [
        ("POST", "/actors/Nobody/c/get", None, 404, "unknown_actor_type", None),
        ("POST", "/actors/Counter/c/nothing", None, 404, "unknown_method", None),
        ("POST", "/actors/Counter/c/count", None, 404, "unknown_method", None),
        ("POST", "/actors/Counter/c/on_activate", None, 404, "unknown_method", None),
        ("POST", "/actors/Counter/c/__init__", None, 404, "unknown_method", None),
        ("POST", "/actors/Counter/increment", None, 404, "no_such_path", None),
        ("POST", "/actors/Counter", None, 404, "no_such_path", None),
        ("POST", "/actors", None, 404, "no_such_path", None),
        ("POST", "/actors/", None, 404, "no_such_path", None),
        ("POST", "/actors/Counter//increment", None, 422, "invalid_arguments", None),
        ("GET", "/actors/Counter/c/increment", None, 405, "method_not_allowed", None),
        ("PUT", "/actors/Counter/c/get", None, 405, "method_not_allowed", None),
        ("DELETE", "/actors/Counter/c/increment", None, 405, "method_not_allowed", None),
        ("BREW", "/actors/Counter/c/increment", None, 405, "method_not_allowed", None),
        ("POST", "/_wakeful/health", None, 405, "method_not_allowed", None),
        ("GET", "/", None, 404, "no_such_path", None),
        ("POST", "/actors/Counter/c/increment", b"{", 400, "malformed_request", None),
        ("POST", "/actors/Counter/c/increment", b"by=5", 400, "malformed_request", None),
        ("POST", "/actors/Counter/c/increment", b'"\xff"', 400, "malformed_request", None),
        ("POST", "/actors/Counter/c/increment", b"[NaN]", 400, "malformed_request", None),
        ("POST", "/actors/Counter/c/increment", b"[" * 5000, 400, "malformed_request", None),
        ("POST", "/actors/Counter/c/increment", b"5", 422, "invalid_arguments", None),
        ("POST", "/actors/Counter/c/increment", b"null", 422, "invalid_arguments", None),
        ("POST", "/actors/Counter/c/increment", b'{"by":"x"}', 422, "invalid_arguments", "by"),
        ("POST", "/actors/Counter/c/increment", b'["x"]', 422, "invalid_arguments", "by"),
        ("POST", "/actors/Counter/c/increment", b"[1, 2]", 422, "invalid_arguments", None),
        ("POST", "/actors/Counter/c/increment", b'{"to":1}', 422, "invalid_arguments", "to"),
        ("POST", "/actors/Probe/p/small", b'{"number": 1}', 422, "invalid_arguments", "keyword"),
        ("POST", "/actors/Probe/p/small", b'{"number": 10}', 422, "invalid_arguments", "number"),
        ("GET", "/actors/Probe/p/typed", None, 422, "invalid_arguments", "number"),
        ("GET", "/actors/Probe/p/typed?number=x", None, 422, "invalid_arguments", "number"),
        (
            "GET",
            "/actors/Probe/p/typed?number=1&number=2",
            None,
            422,
            "invalid_arguments",
            "number",
        ),
        ("GET", "/actors/Probe/p/typed?number=%FF", None, 400, "malformed_request", None),
        ("POST", "/actors/Probe/p/fail", b'["no"]', 500, "actor_raised", None),
        ("POST", "/actors/Probe/p/sell", b"[7]", 409, "sold", None),
        ("POST", "/actors/Probe/p/refuse", None, 422, "invalid_arguments", "day"),
        ("POST", "/actors/Probe/p/leave", None, 500, "actor_raised", None),
        ("POST", "/actors/Probe/p/cancel", None, 500, "actor_raised", None),
        ("POST", "/actors/Probe/p/abort", None, 500, "actor_aborted", None),
        ("POST", "/actors/Probe/p/unsayable", b'["complex"]', 500, "invalid_result", None),
        ("POST", f"/actors/Counter/{'x' * 1025}/increment", None, 413, "payload_too_large", None),
        ("POST", "/actors/Counter/%FF/increment", None, 400, "malformed_request", None),
        ("POST", "/actors/Counter/%C3%28/increment", None, 400, "malformed_request", None),
        ("GET", "/_wakeful/errors/nothing", None, 404, "no_such_path", None),
    ],
)
async def test_what_is_wrong_is_said(
    http: httpx2.AsyncClient,
    method: str,
    path: str,
    body: bytes | None,
    status: int,
    code: str,
    field: str | None,
) -> None:
    answer = await http.request(method, path, content=body)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem.get("field")) == (status, code, field)
    assert answer.headers["content-type"] == PROBLEM
    assert problem["status"] == status
    assert "Traceback" not in answer.text
    page = await http.get(problem["type"])
    assert page.text.startswith(f"{code}: HTTP ")


@pytest.mark.parametrize(
    ("method", "body"),
    [
        *(
            ("unsayable", {"kind": kind, "wait": wait})
            for kind in ("complex", "digits", "surrogate", "nested", "keys", "object")
            for wait in (False, True)
        ),
        ("digits", {}),
        ("surrogate", {}),
        ("wrong", {}),
    ],
)
async def test_a_result_that_json_has_not_undoes_its_turn(
    http: httpx2.AsyncClient, method: str, body: dict[str, object]
) -> None:
    answer = await http.post(f"/actors/Probe/p/{method}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (500, "invalid_result")
    assert answer.json()["detail"].startswith(f"Probe.{method} returned a value: ")
    assert (await http.get("/actors/Probe/p/count")).json() == 0


async def test_what_the_actor_raised_is_told_by_type_and_message(http: httpx2.AsyncClient) -> None:
    problem = (await http.post("/actors/Probe/p/fail", json=["not today"])).json()
    assert (problem["exception"], problem["message"]) == ("ValueError", "not today")
    assert problem["retry"] == "never"
    assert "outcome" not in problem


async def test_an_error_of_the_actors_own_is_told_by_its_class(
    http: httpx2.AsyncClient,
) -> None:
    problem = (await http.post("/actors/Probe/p/sell", json=[7])).json()
    assert (problem["title"], problem["detail"]) == ("The seat is sold.", "seat 7 is sold")
    assert (problem["type"], problem["retry"]) == ("/_wakeful/errors/sold", "never")
    assert (await http.get("/actors/Probe/p/count")).json() == 0


async def test_a_method_not_allowed_says_which_are(http: httpx2.AsyncClient) -> None:
    refused = await http.get("/actors/Counter/c/increment")
    assert refused.headers["allow"] == "POST"
    assert "@readonly" in refused.json()["detail"]
    assert (await http.put("/actors/Counter/c/get")).headers["allow"] == "GET, POST"


async def test_head_is_answered_as_get_without_a_body(http: httpx2.AsyncClient) -> None:
    answer = await http.head("/actors/Counter/c/get")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_a_body_of_another_kind_is_refused(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/actors/Counter/c/increment", files={"by": b"1"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_a_full_mailbox_is_429_and_says_when_to_come_back(tmp_path: Path) -> None:
    actor, gate = waiter()
    config = Config(limits=Limits(mailbox=1))
    async with (
        serving(tmp_path, actor, config=config) as it,
        httpx2.AsyncClient(base_url=it.server.url) as http,
    ):
        loop = it.runtime.host.loop.raw
        running = loop.create_task(http.post("/actors/Waiting/w/wait"))
        await gate.entered.wait()
        others = [loop.create_task(http.post("/actors/Waiting/w/wait")) for _ in range(2)]
        done, _ = await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
        refused = done.pop().result()
        assert (refused.status_code, refused.json()["code"]) == (429, "overloaded")
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["retry"] == "safe"
        gate.open.set()
        assert (await running).json() == 1


async def test_too_many_requests_at_once_are_503(tmp_path: Path) -> None:
    actor, gate = waiter()
    config = Config(limits=Limits(http_requests=1))
    async with (
        serving(tmp_path, actor, config=config) as it,
        httpx2.AsyncClient(base_url=it.server.url) as http,
    ):
        running = it.runtime.host.loop.raw.create_task(http.post("/actors/Waiting/w/wait"))
        await gate.entered.wait()
        refused = await http.post("/actors/Waiting/other/get")
        assert (refused.status_code, refused.json()["code"]) == (503, "runtime_overloaded")
        assert refused.headers["retry-after"] == "1"
        gate.open.set()
        await running
        assert (await http.get("/actors/Waiting/w/get")).json() == 1
        assert it.gateway.shed == 1


async def test_a_late_answer_is_504_and_its_outcome_unknown(tmp_path: Path) -> None:
    actor, gate = waiter()
    config = Config(limits=Limits(request_seconds=0.1))
    async with (
        serving(tmp_path, actor, config=config) as it,
        httpx2.AsyncClient(base_url=it.server.url) as http,
    ):
        late = await http.post("/actors/Waiting/w/wait")
        problem = late.json()
        assert (late.status_code, problem["code"]) == (504, "deadline_exceeded")
        assert (problem["outcome"], problem["retry"]) == ("unknown", "only-if-idempotent")
        gate.open.set()
        assert (await http.get("/actors/Waiting/w/get")).json() == 1, "the turn went on"
        assert len(it.gateway.deadlines) == 0


async def test_a_call_that_was_late_in_the_queue_never_runs(tmp_path: Path) -> None:
    actor, gate = waiter()
    config = Config(limits=Limits(request_seconds=0.1))
    async with (
        serving(tmp_path, actor, config=config) as it,
        httpx2.AsyncClient(base_url=it.server.url) as http,
    ):
        first = it.runtime.host.loop.raw.create_task(http.post("/actors/Waiting/w/wait"))
        await gate.entered.wait()
        late = await http.post("/actors/Waiting/w/wait")
        assert (late.status_code, late.json()["code"]) == (503, "deadline_in_queue")
        assert (late.json()["retry"], late.headers["retry-after"]) == ("safe", "1")
        assert "Waiting/w.wait did not begin within 0.1 s (limits.request_seconds)" in late.text
        assert (await first).json()["code"] == "deadline_exceeded"
        gate.open.set()
        assert (await http.get("/actors/Waiting/w/get")).json() == 1


async def test_a_client_that_leaves_does_not_stop_its_turn(tmp_path: Path) -> None:
    actor, gate = waiter()
    async with (
        serving(tmp_path, actor) as it,
        httpx2.AsyncClient(base_url=it.server.url) as http,
    ):
        leaving = it.runtime.host.loop.raw.create_task(http.post("/actors/Waiting/w/wait"))
        await gate.entered.wait()
        leaving.cancel()
        gate.open.set()
        assert (await http.get("/actors/Waiting/w/get")).json() == 1
        assert (it.gateway.active, len(it.gateway.deadlines)) == (0, 0)


async def test_closing_lets_a_request_under_way_finish(tmp_path: Path) -> None:
    actor, gate = waiter()
    async with httpx2.AsyncClient() as http:
        async with serving(tmp_path, actor) as it:
            loop = it.runtime.host.loop.raw
            url = f"{it.server.url}/actors/Waiting/w/wait"
            running = loop.create_task(http.post(url))
            await gate.entered.wait()
            loop.call_soon(gate.open.set)
        assert (await running).json() == 1
        with pytest.raises(httpx2.ConnectError):
            await http.post(url)


async def test_health_is_live_and_ready_until_the_runtime_closes(
    http: httpx2.AsyncClient, served: Serving
) -> None:
    answer = await http.get("/_wakeful/health")
    assert (answer.status_code, answer.json()) == (200, {"live": True, "ready": True})
    served.runtime.host.intake.closing = True
    answer = await http.get("/_wakeful/health")
    said = {"live": True, "ready": False, "reason": "shutting_down"}
    assert (answer.status_code, answer.json()) == (503, said)


async def test_two_runtimes_in_one_process_do_not_meet(tmp_path: Path) -> None:
    async with (
        serving(tmp_path / "a", Counter) as one,
        serving(tmp_path / "b", Counter) as two,
        httpx2.AsyncClient() as http,
    ):
        for it, expected in ((one, 1), (one, 2), (two, 1)):
            answer = await http.post(f"{it.server.url}/actors/Counter/c/increment")
            assert answer.json() == expected
