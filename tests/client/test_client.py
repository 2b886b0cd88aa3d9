"""Typed refs over HTTP, async and sync: the same calls, the same values, the same errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.http.actors import Colour, Counter, Paid, Probe, Serving, Sold, serving

import wakeful
from wakeful import (
    ActorRaised,
    Client,
    ConfigError,
    DeadlineExceeded,
    DurableObject,
    HostNotAllowed,
    InvalidArguments,
    InvalidResult,
    Overloaded,
    Refused,
    SyncClient,
    UnknownActorType,
    UnknownMethod,
    UnknownOutcome,
    Unreachable,
)
from wakeful.client import connection, wire
from wakeful.errors import PayloadTooLarge, Retry

URL = "http://127.0.0.1:1"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path / "data") as it:
        yield it


@pytest.fixture
async def client(served: Serving) -> AsyncIterator[Client]:
    async with wakeful.connect(served.server.url) as it:
        yield it


Answering = Callable[[httpx2.Request], httpx2.Response]


def answering(answer: Answering) -> Client:
    """A client whose server is a function."""
    return Client(URL, transport=httpx2.MockTransport(answer))


def with_body(
    status: int, body: bytes, content_type: str = wire.PROBLEM, **headers: str
) -> Answering:
    return lambda request: httpx2.Response(
        status, content=body, headers={"content-type": content_type, **headers}
    )


# --- against a real server -------------------------------------------------------------------


async def test_a_ref_calls_and_answers_like_one_in_the_process(client: Client) -> None:
    counter = client.get(Counter, "c/1 ü")
    assert [await counter.increment(), await counter.increment(5)] == [1, 6]
    assert await counter.increment(by=2) == 8
    assert await counter.get() == 8


async def test_values_come_back_with_their_types(client: Client) -> None:
    paid = await client.get(Probe, "p").money(Decimal("1.20"), Colour.RED, b"\x00\xff")
    assert isinstance(paid, Paid)
    by_name = await client.get(Probe, "p").money(
        amount=Decimal("1.20"), colour=Colour.RED, raw=b"\x00\xff"
    )
    assert paid == by_name


async def test_the_server_need_not_be_known_by_class(client: Client) -> None:
    counter = client.get("Counter", "c")
    assert [await counter.increment(), await counter.increment(5)] == [1, 6]
    assert await counter.increment(by=2) == 8
    assert repr(counter) == "<ref to Counter/c>"
    with pytest.raises(InvalidArguments, match="by position or by name, not both"):
        counter.increment(1, by=2)
    with pytest.raises(AttributeError):
        counter._private()


async def test_errors_have_the_class_they_have_in_the_process(client: Client) -> None:
    probe = client.get("Probe", "p")
    with pytest.raises(ActorRaised, match="ValueError: boom") as caught:
        await probe.fail("boom")
    assert (caught.value.type_name, caught.value.message) == ("ValueError", "boom")
    with pytest.raises(UnknownMethod):
        await probe.nothing()
    with pytest.raises(UnknownActorType):
        await client.get("Nobody", "n").call()
    with pytest.raises(InvalidArguments, match="by") as refused:
        await client.get("Counter", "c").increment(by="x")
    assert refused.value.field == "by"


async def test_an_error_of_ones_own_has_its_class_where_the_class_is_known(
    client: Client,
) -> None:
    with pytest.raises(Sold, match=r"^seat 7 is sold$") as caught:
        await client.get(Probe, "p").sell(7)
    assert not hasattr(caught.value, "seat")
    with pytest.raises(Refused, match="sold: seat 7 is sold") as refused:
        await client.get("Probe", "p").sell(7)
    assert (refused.value.code, refused.value.retry) == ("sold", Retry.NEVER)


class Full(Overloaded):
    """No seat is free."""


class Late(InvalidArguments):
    """The day is over."""


class Cinema(DurableObject):
    async def enter(self) -> None:
        raise Full("come later")


@pytest.mark.parametrize("cls", [Full, Late])
async def test_an_error_derived_from_ours_has_the_attributes_of_ours(cls: Any) -> None:
    body = f'{{"code":"{cls.code}","detail":"no","field":"day"}}'.encode()
    async with answering(with_body(429, body, **{"retry-after": "7"})) as client:
        with pytest.raises(cls) as caught:
            await client.get(Cinema, "c").enter()
    expected = {"retry_after_ns": 7_000_000_000} if cls is Full else {"field": "day"}
    assert vars(caught.value) == expected


async def test_what_only_http_callers_meet_has_its_class() -> None:
    body = b'{"code":"host_not_allowed","detail":"evil"}'
    async with answering(with_body(403, body)) as client:
        with pytest.raises(HostNotAllowed, match="evil"):
            await client.get(Counter, "c").get()


async def test_what_does_not_fit_is_refused_before_it_is_sent() -> None:
    def never(request: httpx2.Request) -> httpx2.Response:
        raise AssertionError("sent")

    async with answering(never) as client:
        counter = client.get(Counter, "c")
        with pytest.raises(InvalidArguments, match="by: expected int, got str"):
            await counter.increment(by="x")  # type: ignore[arg-type]
        with pytest.raises(UnknownMethod, match="add"):
            counter.add()  # type: ignore[attr-defined]
        with pytest.raises(InvalidArguments):
            client.get(Counter, "")
        with pytest.raises(ConfigError, match="no actor class"):
            client.get(int, "c")


async def test_the_sync_client_does_the_same(served: Serving) -> None:
    def calls(url: str) -> list[int]:
        with wakeful.connect_sync(url) as client:
            counter = client.get(Counter, "s")
            first = counter.increment(by=2)
            with pytest.raises(ActorRaised, match="ValueError: boom"):
                client.get("Probe", "p").fail("boom")
            return [first, client.call(Counter, "s", Counter.increment, by=3), counter.get()]

    assert await asyncio.to_thread(calls, served.server.url) == [2, 5, 5]


# --- what may come instead of an answer ------------------------------------------------------


async def test_nobody_at_the_address_is_safe_to_try_again() -> None:
    async with wakeful.connect(URL) as client:
        with pytest.raises(Unreachable, match="nothing was sent") as caught:
            await client.get(Counter, "c").get()
    assert caught.value.retry is Retry.SAFE


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx2.ReadTimeout("slow"), DeadlineExceeded),
        (httpx2.WriteTimeout("slow"), DeadlineExceeded),
        (httpx2.ConnectTimeout("slow"), Unreachable),
        (httpx2.PoolTimeout("busy"), Unreachable),
        (httpx2.ReadError("reset"), UnknownOutcome),
        (httpx2.RemoteProtocolError("gone"), UnknownOutcome),
    ],
)
async def test_an_exchange_that_breaks_says_whether_the_call_may_have_run(
    error: httpx2.HTTPError, expected: type[Exception]
) -> None:
    def broken(request: httpx2.Request) -> httpx2.Response:
        raise error

    async with answering(broken) as client:
        with pytest.raises(expected) as caught:
            await client.get(Counter, "c").get()
        assert type(caught.value) is expected


@pytest.mark.parametrize(
    "answer",
    [
        with_body(502, b"<html>bad gateway</html>", "text/html"),
        with_body(500, b"{", wire.PROBLEM),
        with_body(500, b"[]", wire.PROBLEM),
        with_body(302, b"", "text/plain", location="http://elsewhere.example/"),
    ],
)
async def test_an_answer_that_is_not_the_servers_leaves_the_outcome_unknown(
    answer: Answering,
) -> None:
    async with answering(answer) as client:
        with pytest.raises(UnknownOutcome, match="may have run"):
            await client.get(Counter, "c").get()


async def test_a_full_server_says_how_long_to_wait() -> None:
    body = b'{"code":"overloaded","detail":"full","retry":"safe"}'
    for said, seconds in [("7", 7), ("soon", 1), ("-1", 1), ("9" * 40, 999_999_999)]:
        async with answering(with_body(429, body, **{"retry-after": said})) as client:
            with pytest.raises(Overloaded, match="full") as caught:
                await client.get(Counter, "c").get()
            assert caught.value.retry_after_ns == seconds * 1_000_000_000


async def test_a_code_of_a_newer_server_keeps_its_code_and_retry_class() -> None:
    body = b'{"code":"paused","detail":"for a while","retry":"safe"}'
    async with answering(with_body(503, body)) as client:
        with pytest.raises(Refused, match="paused: for a while") as caught:
            await client.get(Counter, "c").get()
    assert (caught.value.code, caught.value.retry) == ("paused", Retry.SAFE)


@pytest.mark.parametrize("body", [b'"text"', b"{", b"\xff", b""])
async def test_an_answer_that_does_not_fit_is_an_invalid_result(body: bytes) -> None:
    async with answering(with_body(200, body, wire.JSON)) as client:
        with pytest.raises(InvalidResult, match="the answer of get does not fit"):
            await client.get(Counter, "c").get()


async def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (wakeful.client.asynchronous, connection):
        monkeypatch.setattr(module, "ANSWER_BYTES_MAX", 100)
    async with answering(with_body(200, bytes(101), wire.JSON)) as client:
        with pytest.raises(PayloadTooLarge, match="more than 100 bytes"):
            await client.get(Counter, "c").get()


# --- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["", "localhost:8787", "ftp://x", "http://", "http://x:99999"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    for make in (wakeful.connect, wakeful.connect_sync):
        with pytest.raises(ConfigError, match=r"connect\("):
            make(url)
    with pytest.raises(ConfigError, match="timeout"):
        wakeful.connect(URL, timeout=0)


async def test_the_token_and_the_mount_point_go_along() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, content=b"1")

    transport = httpx2.MockTransport(answer)
    async with Client("http://example.test/live/", token="secret", transport=transport) as client:
        assert await client.get(Counter, "a/b").increment(by=2) == 1
    [request] = seen
    assert request.method == "POST"
    assert str(request.url) == "http://example.test/live/actors/Counter/a%2Fb/increment"
    assert request.headers["authorization"] == "Bearer secret"
    assert request.content == b'{"by":2}'
    assert "secret" not in repr(client)


def test_a_positional_only_argument_goes_by_position() -> None:
    class Odd(DurableObject):
        async def only(self, a: int, /, b: int = 0) -> int:
            return a + b

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=b"%d" % len(request.content))

    with SyncClient(URL, transport=httpx2.MockTransport(answer)) as client:
        odd: Any = client.get(Odd, "o")
        assert odd.only(1, 2) == len(b"[1,2]")
        with pytest.raises(InvalidArguments, match="by position or by name"):
            odd.only(1, b=2)
