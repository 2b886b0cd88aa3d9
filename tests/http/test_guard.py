"""Foreign pages and foreign names stay out; programs that are no browsers come in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from wakeful.errors import ConfigError, WakefulError
from wakeful.header import Caller
from wakeful.http.guard import ADMIN, LOOPBACK, SOMEBODY, Guard, is_loopback
from wakeful.http.settings import HttpSettings
from wakeful.refusals import AdminRefused

Judge = Callable[[Guard, "Head"], str | None]
TOKEN = "a token of some length"


class Head:
    """A request of which only the head matters."""

    path = "/"
    query = ""
    root = ""
    is_near = False

    def __init__(self, method: str = "POST", **headers: str | list[str]) -> None:
        self.method = method
        self._headers = {
            name.replace("_", "-"): [value] if isinstance(value, str) else value
            for name, value in headers.items()
        }

    def header(self, name: str, /) -> str | None:
        return self._headers[name][0] if name in self._headers else None

    def values(self, name: str, /) -> list[str]:
        return self._headers.get(name, [])

    async def body(self, limit: int) -> bytes:
        raise AssertionError("nobody may read it here")


def code(guard: Guard, head: Head) -> str | None:
    """The code of the refusal, or None if it comes in."""
    try:
        guard.admit(head)
    except WakefulError as error:
        return error.code
    return None


def to_worker(guard: Guard, head: Head) -> str | None:
    """The same of a request to a Worker."""
    try:
        guard.admit_to_worker(head)
    except WakefulError as error:
        return error.code
    return None


HERE = "127.0.0.1:8787"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
DEV = HttpSettings(own_hosts_only=True)


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        ({"host": HERE}, None),
        ({}, None),
        ({"host": "localhost"}, None),
        ({"host": "LocalHost:1"}, None),
        ({"host": "[::1]:8787"}, None),
        ({"host": "evil.example"}, "host_not_allowed"),
        ({"host": "127.0.0.1.evil.example"}, "host_not_allowed"),
        ({"host": "localhost.evil.example:8787"}, "host_not_allowed"),
        ({"host": ""}, "host_not_allowed"),
        ({"host": "127.9.9.9:1"}, None),
        ({"host": "app.localhost:8787"}, None),
        ({"host": "[0:0:0:0:0:0:0:1]"}, None),
        ({"host": "10.0.0.1"}, "host_not_allowed"),
        ({"host": "evillocalhost"}, "host_not_allowed"),
        ({"host": "[::1]evil.example"}, "malformed_request"),
        ({"host": "127.0.0.1:80@evil.example"}, "malformed_request"),
        ({"host": "127.0.0.1:80, evil.example"}, "malformed_request"),
        ({"host": ["localhost", "localhost"]}, "malformed_request"),
        ({"host": HERE, "origin": [f"http://{HERE}", "http://evil.example"]}, "malformed_request"),
        ({"host": HERE, "origin": f"http://{HERE}"}, None),
        ({"host": HERE, "origin": "http://localhost:3000"}, "cross_origin"),
        ({"host": HERE, "origin": "https://evil.example"}, "cross_origin"),
        ({"host": HERE, "origin": f"https://evil.example/{HERE}"}, "cross_origin"),
        ({"host": HERE, "origin": "null"}, "cross_origin"),
        ({"host": HERE, "origin": ""}, "cross_origin"),
        ({"origin": "https://evil.example"}, "cross_origin"),
        ({"host": HERE, "sec_fetch_site": "same-origin"}, None),
        ({"host": HERE, "sec_fetch_site": "none"}, None),
        ({"host": HERE, "sec_fetch_site": "cross-site"}, "cross_origin"),
        ({"host": HERE, "sec_fetch_site": "same-site"}, "cross_origin"),
        (
            {"host": HERE, "sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"},
            "cross_origin",
        ),
    ],
)
def test_on_loopback(headers: dict[str, Any], refusal: str | None) -> None:
    guard = Guard(HttpSettings(), loopback=True)
    assert code(guard, Head(**headers)) == refusal
    assert code(guard, Head(**headers)) == refusal, "nor is it let in when it has been seen"


def test_a_link_may_be_followed_from_anywhere() -> None:
    guard = Guard(HttpSettings(), loopback=True)
    link = {"host": HERE, "sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    assert code(guard, Head("GET", **link)) is None


def test_where_others_can_reach_it_any_name_will_do_unless_there_is_a_list() -> None:
    assert code(Guard(HttpSettings(), loopback=False), Head(host="actors.example")) is None
    listed = Guard(HttpSettings(allowed_hosts=("Actors.example",)), loopback=False)
    assert code(listed, Head(host="actors.example:443")) is None
    assert code(listed, Head(host="evil.example")) == "host_not_allowed"
    assert code(listed, Head(host="localhost:8787")) is None
    assert code(listed, Head(host="10.0.0.1")) is None, "an address cannot be pointed elsewhere"


@pytest.mark.parametrize("judge", [code, to_worker])
def test_everywhere_a_host_is_one_and_nothing_else(judge: Judge) -> None:
    guard = Guard(HttpSettings(allowed_origins=("*",)), loopback=False)
    for host in ("[::1]evil.example", "127.0.0.1:80@evil.example", "[::1", "a b", ["a", "a"]):
        assert judge(guard, Head(host=host)) == "malformed_request", host
    assert judge(guard, Head(host="a", origin=["http://a", "http://a"])) == "malformed_request"


@pytest.mark.parametrize("judge", [code, to_worker])
def test_in_development_other_names_are_refused_wherever_it_listens(judge: Judge) -> None:
    guard = Guard(DEV, loopback=False)
    assert judge(guard, Head(host="evil.example")) == "host_not_allowed"
    for host in ("localhost", "10.0.0.1:8787", "[2001:db8::1]"):
        assert judge(guard, Head(host=host)) is None, host
    named = Guard(HttpSettings(own_hosts_only=True, allowed_hosts=("box",)), loopback=False)
    assert judge(named, Head(host="box:8787")) is None


@pytest.mark.parametrize(
    ("head", "refusal"),
    [
        (Head(host=HERE), None),
        (Head(host=HERE, origin=f"http://{HERE}"), None),
        (Head(host=HERE, origin="http://localhost:3000"), None),
        (Head(host=HERE, origin="https://evil.example"), "cross_origin"),
        (Head(host=HERE, origin="https://localhost.evil.example"), "cross_origin"),
        (Head(host=HERE, origin="null"), "cross_origin"),
        (Head("OPTIONS", host=HERE, origin="https://evil.example"), None),
        (Head("GET", host=HERE, origin="https://evil.example"), None),
        (
            Head("GET", host=HERE, origin="https://evil.example", upgrade="websocket"),
            "cross_origin",
        ),
        (Head(host=HERE, sec_fetch_site="cross-site"), "cross_origin"),
        (Head(host=HERE, sec_fetch_site="same-site"), None),
        (Head(host=HERE, origin="https://app.example"), None),
        (Head(host="shop.example", origin="https://evil.example"), None),
        (Head(host="evil.example"), "host_not_allowed"),
    ],
)
def test_a_worker_on_loopback(head: Head, refusal: str | None) -> None:
    """It answers CORS itself: only what would act is kept from pages of other machines."""
    settings = HttpSettings(
        allowed_hosts=("shop.example",), allowed_origins=("https://app.example",)
    )
    guard = Guard(settings, loopback=True)
    assert to_worker(guard, head) == refusal
    assert to_worker(guard, head) == refusal, "nor is it let in when it has been seen"


def test_a_worker_that_others_can_reach_judges_origins_itself() -> None:
    guard = Guard(HttpSettings(), loopback=False)
    assert to_worker(guard, Head(host="shop.example", origin="https://evil.example")) is None


def test_an_allowed_origin_comes_in_and_may_read_the_answer() -> None:
    guard = Guard(HttpSettings(allowed_origins=("https://app.example",)), loopback=True)
    head = Head(host=HERE, origin="https://app.example", sec_fetch_site="cross-site")
    assert guard.admit(head).origin == "https://app.example"
    assert guard.admit(Head(host=HERE)).origin is None
    assert ("access-control-allow-origin", "https://app.example") in guard.preflight(head)
    assert code(guard, Head(host=HERE, origin="https://app.example.evil")) == "cross_origin"


def test_what_has_been_seen_is_not_kept_without_end() -> None:
    guard = Guard(HttpSettings(), loopback=False)
    for number in range(1000):
        guard.admit(Head(host=f"host-{number}.example"))
    assert len(guard._known) <= 64


@pytest.mark.parametrize(
    ("settings", "loopback", "headers", "open_"),
    [
        (HttpSettings(), True, {}, True),
        (HttpSettings(), False, {}, False),
        (HttpSettings(), True, {"x_forwarded_for": "10.0.0.1"}, False),
        (HttpSettings(admin_token=TOKEN), True, {}, False),
        (HttpSettings(admin_token=TOKEN), False, {"authorization": f"Bearer {TOKEN}"}, True),
        (HttpSettings(admin_token=TOKEN), False, {"authorization": f"bearer {TOKEN}"}, True),
        (HttpSettings(admin_token=TOKEN), False, {"authorization": f"Bearer {TOKEN}x"}, False),
        (HttpSettings(admin_token=TOKEN), False, {"authorization": f"Basic {TOKEN}"}, False),
        (HttpSettings(admin_token=TOKEN), False, {"authorization": "Bearer"}, False),
    ],
)
def test_admin(
    settings: HttpSettings, loopback: bool, headers: dict[str, str], open_: bool
) -> None:
    guard = Guard(settings, loopback=loopback)
    with nullcontext() if open_ else pytest.raises(AdminRefused):
        guard.admit_admin(Head(**headers))


@pytest.mark.parametrize(
    ("settings", "loopback", "headers", "caller"),
    [
        (HttpSettings(), True, {}, LOOPBACK),
        (HttpSettings(), True, {"x_forwarded_for": "127.0.0.1"}, SOMEBODY),
        (HttpSettings(), True, {"authorization": "Bearer x"}, LOOPBACK),
        (HttpSettings(), False, {}, SOMEBODY),
        (HttpSettings(), False, {"x_user": "admin"}, SOMEBODY),
        (HttpSettings(admin_token=TOKEN), True, {}, LOOPBACK),
        (HttpSettings(admin_token=TOKEN), True, {"authorization": f"Bearer {TOKEN}"}, ADMIN),
        (HttpSettings(admin_token=TOKEN), False, {"authorization": f"Bearer {TOKEN}"}, ADMIN),
        (HttpSettings(admin_token=TOKEN), False, {"authorization": f"Bearer {TOKEN}x"}, SOMEBODY),
        (HttpSettings(admin_token=TOKEN), False, {"authorization": "Bearer "}, SOMEBODY),
    ],
)
def test_who_calls(
    settings: HttpSettings, loopback: bool, headers: dict[str, str], caller: Caller
) -> None:
    guard = Guard(settings, loopback=loopback)
    head = Head(host=HERE, **headers)
    assert guard.admit(head).caller == caller
    assert guard.admit_to_worker(head).caller == caller
    assert (ADMIN.identity, ADMIN.roles) == ("admin", {"admin"})


@pytest.mark.parametrize(
    ("given", "parsed"),
    [
        (TRACEPARENT, True),
        (None, False),
        ("00-1-2-3", False),
        ([TRACEPARENT, TRACEPARENT], False),
    ],
)
def test_a_trace_comes_in_if_it_is_one(given: Any, parsed: bool) -> None:
    guard = Guard(HttpSettings(), loopback=True)
    more = {} if given is None else {"traceparent": given}
    trace = guard.admit(Head(host=HERE, **more)).trace
    assert (str(trace) == TRACEPARENT) if parsed else trace is None


def test_a_header_has_what_it_should_and_nothing_else() -> None:
    header = Guard(HttpSettings(), loopback=True).admit(Head(host=HERE))
    assert header.deadline is None
    assert not hasattr(header, "identity")
    due = Guard(HttpSettings(), loopback=True, due=lambda: 7.0)
    assert due.admit(Head(host=HERE)).deadline == 7.0
    assert due.admit_to_worker(Head(host=HERE)).deadline is None


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (["127.0.0.1"], True),
        (["127.9.9.9", "::1"], True),
        (["0.0.0.0"], False),
        (["::"], False),
        (["127.0.0.1", "10.0.0.1"], False),
    ],
)
def test_is_loopback(addresses: list[str], expected: bool) -> None:
    assert is_loopback(addresses) is expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"connections": 0},
        {"header_seconds": -1.0},
        {"close_seconds": 0.0},
        {"header_bytes": 100},
        {"admin_token": "short"},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"http.{next(iter(wrong))}"):
        HttpSettings(**wrong)  # type: ignore[arg-type]
