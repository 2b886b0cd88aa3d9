"""Bytes that no decent client sends: never a 500 that is ours, nothing left behind."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from tests.http.actors import PATIENCE, Counter, Serving, serving, waiter

from wakeful import Config, DurableObject, Limits
from wakeful.http.settings import HttpSettings

HOST = b"Host: 127.0.0.1\r\n"
CLOSE = b"Connection: close\r\n"
CALL = b"POST /actors/Counter/c/increment HTTP/1.1\r\n" + HOST


def statuses(answer: bytes) -> list[int]:
    """The status codes in what a connection answered, in order."""
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


async def alive(it: Serving) -> None:
    """It still answers, and holds on to nothing."""
    async with httpx2.AsyncClient(base_url=it.server.url) as http:
        assert (await http.get("/_wakeful/health")).status_code == 200
    assert (it.gateway.active, len(it.gateway.deadlines)) == (0, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 64 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"G\xc3\x89T / HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHo st: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b" folded: x\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 200 + b"\r\n",
    ],
)
async def test_what_is_no_request_is_refused(served: Serving, data: bytes) -> None:
    answer = await served.raw(data, half_close=True)
    assert all(400 <= status < 500 for status in statuses(answer)), answer[:200]
    await alive(served)


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5, 6\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: 99999999999999999999999\r\n",
        b"Transfer-Encoding: identity, chunked, gzip\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Content-Length : 5\r\n",
    ],
)
async def test_an_ambiguous_length_is_refused_and_nothing_runs(
    served: Serving, head: bytes
) -> None:
    inner = b"POST /actors/Counter/smuggled/increment HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n"
    answer = await served.raw(CALL + head + b"\r\n" + inner, half_close=True)
    assert all(status >= 400 for status in statuses(answer)[:1]), answer[:200]
    await nobody_was_called(served, "smuggled")


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    ],
)
async def test_both_a_length_and_chunks_are_one_request_at_most(
    served: Serving, head: bytes
) -> None:
    inner = b"POST /actors/Counter/smuggled/increment HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n"
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(inner), inner)
    answer = await served.raw(CALL + head + b"\r\n" + body, half_close=True)
    assert len(statuses(answer)) <= 1
    await nobody_was_called(served, "smuggled")


@pytest.mark.parametrize(
    "chunks",
    [
        b"zz\r\n[5]\r\n0\r\n\r\n",
        b"-3\r\n[5]\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\n[5]\r\n0\r\n\r\n",
        b"3\r\n[5]XX0\r\n\r\n",
        b"3\r\n[5]\r\n",
        b"3;" + b"x" * 100_000 + b"\r\n[5]\r\n0\r\n\r\n",
        b"3\r\n[5]\r\n0\r\nX-Trailer: 1\r\n\r\n",
    ],
)
async def test_broken_chunks_call_nobody(served: Serving, chunks: bytes) -> None:
    head = CALL + b"Transfer-Encoding: chunked\r\n" + CLOSE + b"\r\n"
    answer = await served.raw(head + chunks, half_close=True)
    assert all(status < 500 for status in statuses(answer)), answer[:200]
    await nobody_was_called(served, "c")


async def test_a_body_that_ends_early_calls_nobody(served: Serving) -> None:
    await served.raw(CALL + b"Content-Length: 30\r\n\r\n[5]", half_close=True)
    await nobody_was_called(served, "c")


async def test_pipelined_requests_are_answered_in_order(served: Serving) -> None:
    body = CALL + b"Content-Length: 3\r\n\r\n[1]"
    answer = await served.raw(body * 20 + CALL + CLOSE + b"\r\n")
    assert statuses(answer) == [200] * 21
    counts = [int(part.rpartition(b"\r\n\r\n")[2]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert counts == list(range(1, 22))


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_is_413_and_the_connection_ends(
    tmp_path: Path, chunked: bool
) -> None:
    config = Config(limits=Limits(request_bytes=1000))
    async with serving(tmp_path, Counter, config=config) as it:
        body = b"[" + b" " * 2000
        head = (
            b"Transfer-Encoding: chunked\r\n\r\n%x\r\n"
            if chunked
            else b"Content-Length: %d\r\n\r\n"
        )
        answer = await it.raw(CALL + head % len(body) + body + b"\r\n")
        assert statuses(answer) == [413]
        assert b"payload_too_large" in answer
        exactly = b"[1]" + b" " * 997
        answer = await it.raw(CALL + CLOSE + b"Content-Length: 1000\r\n\r\n" + exactly)
        assert statuses(answer) == [200]
        padded = CALL + CLOSE + b"Content-Length: 0000000000000000000000000002000\r\n\r\n" + body
        assert 200 not in statuses(await it.raw(padded))
        await alive(it)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 500_000,
        b'{"by":' * 100_000,
        b'{"' + b"k" * 500_000 + b'": 1}',
        b"[" + b"9" * 500_000 + b"]",
        b"[1e" + b"9" * 1000 + b"]",
        b'["' + b"\\ud800" * 1000 + b'"]',
        b"{" + b",".join(b'"k%d": 1' % n for n in range(50_000)) + b"}",
        b"\xef\xbb\xbf[1]",
        b"[1]\x00",
        b"\x00" * 1000,
    ],
    ids=range(10),
)
async def test_monstrous_json_is_the_callers_fault(http: httpx2.AsyncClient, body: bytes) -> None:
    answer = await http.post("/actors/Counter/c/increment", content=body)
    assert answer.status_code in (400, 422)
    assert len(answer.content) < 20_000


async def test_deep_json_that_fits_is_no_fault_of_ours(http: httpx2.AsyncClient) -> None:
    for depth in (10, 90, 100, 101, 300, 900, 1100):
        body = b"[" + b"[" * depth + b"]" * depth + b"]"
        answer = await http.post("/actors/Probe/p/echo", content=body)
        assert answer.status_code in (200, 400, 422), (depth, answer.text)
        assert answer.json().get("code") != "internal_error" if answer.status_code > 200 else True


async def test_a_slow_head_is_cut_off(tmp_path: Path) -> None:
    settings = HttpSettings(header_seconds=0.2)
    async with serving(tmp_path, settings=settings) as it:
        for start in (b"", b"POST /act", CALL, CALL + b"X-A: b\r\n"):
            await it.raw(start)  # returns only when the server closes
        await alive(it)


async def test_a_slow_body_is_408_and_calls_nobody(tmp_path: Path) -> None:
    config = Config(limits=Limits(request_seconds=0.2))
    async with serving(tmp_path, config=config) as it:
        for head in (
            b"Content-Length: 10\r\n\r\n[5",
            b"Transfer-Encoding: chunked\r\n\r\n3\r\n[5]\r\n",
        ):
            assert statuses(await it.head(CALL + head)) == [408]
        await nobody_was_called(it, "c")
        await alive(it)


async def test_large_bodies_at_once_have_a_limit_together(tmp_path: Path) -> None:
    settings = HttpSettings(body_bytes=100_000)
    async with serving(tmp_path, settings=settings) as it:
        _, slow = await asyncio.open_connection("127.0.0.1", it.server.port)
        slow.write(CALL + b"Content-Length: 60000\r\n\r\n[")
        async with asyncio.timeout(PATIENCE), httpx2.AsyncClient(base_url=it.server.url) as http:
            path, large, small = "/actors/Counter/c/increment", b"[1]" + b" " * 60_000, b"[1]"
            while (refused := await http.post(path, content=large)).status_code == 200:
                pass  # the slow one has not been seen yet
            assert (refused.status_code, refused.json()["code"]) == (503, "runtime_overloaded")
            assert (await http.post(path, content=small)).status_code == 200
            slow.transport.abort()
            while (await http.post(path, content=large)).status_code != 200:
                pass
        await alive_soon(it)


async def test_a_large_body_has_its_room_until_its_call_is_answered(tmp_path: Path) -> None:
    """It waits in a mailbox, where thousands could."""
    entered, opened = asyncio.Event(), asyncio.Event()

    class Keeper(DurableObject):
        async def keep(self, text: str) -> int:
            entered.set()
            await opened.wait()
            return len(text)

    settings = HttpSettings(body_bytes=100_000)
    async with (
        asyncio.timeout(PATIENCE),
        serving(tmp_path, Keeper, settings=settings) as it,
        httpx2.AsyncClient(base_url=it.server.url) as http,
    ):
        path, large = "/actors/Keeper/k/keep", json.dumps(["x" * 60_000])
        first = asyncio.create_task(http.post(path, content=large))
        await entered.wait()
        assert (await http.post(path, content=large)).status_code == 503
        opened.set()
        assert (await first).json() == 60_000
        assert (await http.post(path, content=large)).status_code == 200


async def test_clients_that_never_read_hold_nobody_up(tmp_path: Path) -> None:
    async with serving(tmp_path) as it:
        writers = []
        for _ in range(50):
            _, writer = await asyncio.open_connection("127.0.0.1", it.server.port)
            writer.write(b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n")
            writers.append(writer)
        await alive_soon(it)
        for writer in writers:
            writer.transport.abort()
        await alive_soon(it)


async def test_clients_that_leave_while_waiting_leave_nothing(tmp_path: Path) -> None:
    actor, gate = waiter()
    async with serving(tmp_path, actor) as it:
        writers = []
        for number in range(100):
            _, writer = await asyncio.open_connection("127.0.0.1", it.server.port)
            writer.write(b"POST /actors/Waiting/w%d/wait HTTP/1.1\r\n%b\r\n" % (number, HOST))
            writers.append(writer)
        await gate.entered.wait()
        for writer in writers:
            writer.transport.abort()
        gate.open.set()
        await alive_soon(it)
        async with httpx2.AsyncClient(base_url=it.server.url) as http:
            done = [(await http.get(f"/actors/Waiting/w{n}/get")).json() for n in (0, 50)]
        assert done[0] == 1
        assert done[1] in (0, 1)  # it may have left before it was heard


async def test_more_connections_than_allowed_wait(tmp_path: Path) -> None:
    async with serving(tmp_path, settings=HttpSettings(connections=2)) as it:
        idle = [await asyncio.open_connection("127.0.0.1", it.server.port) for _ in range(2)]
        late = asyncio.ensure_future(it.raw(CALL + CLOSE + b"\r\n"))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not late.done()
        idle[0][1].close()
        assert statuses(await late) == [200]
        idle[1][1].close()


async def alive_soon(it: Serving) -> None:
    """As `alive`, once what is under way has ended."""
    async with asyncio.timeout(PATIENCE), httpx2.AsyncClient(base_url=it.server.url) as http:
        while it.gateway.active:
            await http.get("/_wakeful/health")
    await alive(it)


async def nobody_was_called(it: Serving, name: str) -> None:
    async with httpx2.AsyncClient(base_url=it.server.url) as http:
        answer = await http.get(f"/actors/Counter/{name}/get")
        assert answer.json() == 0


@contextmanager
def many_files() -> Iterator[int]:
    """As many open files as the system grants."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_ten_thousand_connections_at_once(tmp_path: Path) -> None:
    """Each is idle, then calls once; memory is bounded and gone when they are."""
    with many_files() as files:
        count = min(10_000, (files - 500) // 2)
        async with serving(tmp_path) as it:
            connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
            for start in range(0, count, 500):
                some = range(start, min(start + 500, count))
                opening = (asyncio.open_connection("127.0.0.1", it.server.port) for _ in some)
                connections += await asyncio.gather(*opening)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for number, (_, writer) in enumerate(connections):
                path = b"POST /actors/Counter/c%d/increment HTTP/1.1\r\n" % (number % 100)
                writer.write(path + HOST + CLOSE + b"\r\n")
            answers = await asyncio.gather(*(reader.read() for reader, _ in connections))
            assert [statuses(answer) for answer in answers] == [[200]] * count
            for _, writer in connections:
                writer.close()
            grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            assert grown_kib < 300 * 1024
            await alive_soon(it)
