"""Strict mode: what Cloudflare's network refuses is refused here too, and only then."""

from __future__ import annotations

import asyncio
import re
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import structlog

from wakeful import ConfigError
from wakeful.http.settings import HttpSettings
from wakeful.testing.worker_harness import Response, StartWorker, WorkerHarness
from wakeful.workers import strict
from wakeful.workers.config.wrangler import read_config
from wakeful.workers.proxies import JsException, JsRangeError

LIMITS = Path(__file__).resolve().parents[2] / "docs" / "limits.md"
TOML = """
name = "app"
main = "entry.py"
compatibility_date = "2026-03-01"
limits = {limits}
durable_objects.bindings = [
    {{ name = "KV", class_name = "Kv" }}, {{ name = "SQL", class_name = "Sql" }}
]
kv_namespaces = [{{ binding = "CACHE", id = "cache" }}]
migrations = [{{ tag = "v1", new_classes = ["Kv"], new_sqlite_classes = ["Sql"] }}]
"""
ENTRY = """
import asyncio
from js import Date
from workers import DurableObject, Response, WorkerEntrypoint, fetch

async def ask(count, stub):
    for n in range(count):
        await (stub.echo(n) if n % 2 else fetch("https://example.com/"))
    return count

class Kv(DurableObject):
    async def put(self, pairs):
        await self.ctx.storage.put(pairs)

    async def put_inside(self, pairs):
        await self.ctx.storage.transaction(lambda txn: txn.put(pairs))

    async def get(self, keys):
        return len(await self.ctx.storage.get(keys))

    async def one(self, key):
        return [await self.ctx.storage.get(key), await self.ctx.storage.delete(key)]

    async def delete(self, keys):
        return await self.ctx.storage.delete(keys)

class Sql(Kv):
    async def ask(self, count):
        return await ask(count, self.env.SQL.getByName("other"))

    async def ask_together(self, count):
        work = [fetch("https://example.com/") for _ in range(count)]
        found = await asyncio.gather(*work, return_exceptions=True)
        return sum(isinstance(answer, Response) for answer in found)

    async def ask_cache(self, count):
        for _ in range(count):
            await self.env.CACHE.get("key")
        return count

    async def echo(self, value):
        return value

    async def give(self, size):
        return bytes(size)

    async def ring(self):
        await self.ctx.storage.setAlarm(Date.now() + 1000)

    async def alarm(self, info):
        await self.ctx.storage.put("tries", info.retryCount + 1)
        if info.retryCount == 0:
            await asyncio.sleep(16 * 60)
        await self.ctx.storage.put("rung", True)

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        kind, _, value = request.url.rpartition("/")
        if kind.endswith("wait"):
            self.ctx.waitUntil(self.later(float(value)))
        if kind.endswith("ask"):
            await ask(int(value), self.env.SQL.getByName("other"))
        return Response("done")

    async def later(self, seconds):
        await asyncio.sleep(seconds / 2)
        self.ctx.waitUntil(self.still_later(seconds))

    async def still_later(self, seconds):
        await asyncio.sleep(seconds / 2)
        await self.env.SQL.getByName("later").put({"at": seconds})
"""


def project(tmp_path: Path, limits: str = "{}", more: str = "") -> Path:
    (tmp_path / "wrangler.toml").write_text(TOML.format(limits=limits) + more)
    (tmp_path / "entry.py").write_text(dedent(ENTRY))
    return tmp_path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return project(tmp_path)


@pytest.fixture
async def app(worker: StartWorker, directory: Path) -> WorkerHarness:
    return await worker(directory, strict=True, outgoing=lambda request: Response("outside"))


class Asked:
    """A request whose path has a slash and so many letters more."""

    method = "GET"
    query = ""
    client = None
    raw_path = None

    def __init__(self, size: int) -> None:
        self.path = "/" + "x" * size

    def header(self, name: str, /) -> str | None:
        return None

    def values(self, name: str, /) -> list[str]:
        return []

    def pairs(self) -> list[tuple[str, str]]:
        return []

    def until_left(self) -> AbstractContextManager[None]:
        return nullcontext()

    async def body(self, limit: int) -> bytes:
        return b""


def many(count: int) -> dict[str, int]:
    return {f"{number:04}": number for number in range(count)}


# --- key-value storage -----------------------------------------------------------------------

PAIRS = "Maximum number of key value pairs is 128. 129 pairs were provided."
KEYS = "Maximum number of keys is 128."
KEY = "Keys cannot be larger than 2048 bytes. A key of size 2049 was provided."
# 131072 characters, V8's version (2), its tag and the length (4), and 34 are let through
VALUE = "Values cannot be larger than 131072 bytes. A value of size 131107 was provided."


@pytest.mark.parametrize(
    ("method", "fits", "too_much", "said"),
    [
        ("put", many(128), many(129), PAIRS),
        ("put_inside", many(128), many(129), PAIRS),
        ("put", {"k" * 2048: 1}, {"k" * 2049: 1}, KEY),
        ("put", {"é" * 1024: 1}, {"é" * 1024 + "k": 1}, KEY),
        ("put", {"k": "v" * (131072 + 28)}, {"k": "v" * (131072 + 29)}, VALUE),
        ("get", list(many(128)), list(many(129)), KEYS),
        ("get", ["k" * 2048], ["k" * 2049], KEY),
        ("one", "k" * 2048, "k" * 2049, KEY),
        ("delete", list(many(128)), list(many(129)), KEYS),
        ("delete", ["k" * 2048], ["k" * 2049], KEY),
    ],
)
async def test_key_value_storage(
    app: WorkerHarness, method: str, fits: Any, too_much: Any, said: str
) -> None:
    """D17."""
    stub = app.env.KV.getByName("a")
    await getattr(stub, method)(fits)
    with pytest.raises(JsRangeError, match=f"^RangeError: {re.escape(said)}$"):
        await getattr(stub, method)(too_much)
    sql = app.env.SQL.getByName("a")
    await getattr(sql, method)(too_much)  # classes with SQLite have no such limits


async def test_nothing_of_a_put_that_is_refused_is_stored(app: WorkerHarness) -> None:
    stub = app.env.KV.getByName("a")
    with pytest.raises(JsRangeError):
        await stub.put({"a": 1, "b": "v" * 200_000})
    assert await stub.get(["a"]) == 0


async def test_without_strict_key_value_storage_is_generous(
    worker: StartWorker, directory: Path
) -> None:
    """As workerd has it on a local disk."""
    stub = (await worker(directory)).env.KV.getByName("a")
    await stub.put({**many(1000), "k" * 3000: "v" * 200_000})
    assert await stub.get([*many(1000), "k" * 3000]) == 1001
    assert await stub.delete([*many(1000)]) == 1000


# --- invocations -----------------------------------------------------------------------------

TOO_MANY = "Too many subrequests by single Worker invocation"


@pytest.fixture
async def few(worker: StartWorker, tmp_path: Path) -> WorkerHarness:
    directory = project(tmp_path, "{ subrequests = 4 }")
    return await worker(directory, strict=True, outgoing=lambda request: Response("outside"))


async def test_an_event_of_an_object_has_its_subrequests(few: WorkerHarness) -> None:
    stub = few.env.SQL.getByName("a")
    for _ in range(2):  # each event anew
        assert await stub.ask(4) == 4
    with pytest.raises(JsException, match=TOO_MANY):
        await stub.ask(5)
    assert await stub.ask_together(6) == 4  # its tasks count too
    assert await stub.ask_cache(4) == 4
    with pytest.raises(JsException, match=TOO_MANY):
        await stub.ask_cache(5)


async def test_a_request_has_its_subrequests(few: WorkerHarness) -> None:
    for _ in range(2):
        await few.fetch("/ask/4")
    with pytest.raises(JsException, match=TOO_MANY):
        await few.fetch("/ask/5")
    for _ in range(5):
        await few.env.SQL.getByName("a").echo(1)  # the test itself is no invocation


async def test_without_strict_nothing_is_counted(worker: StartWorker, tmp_path: Path) -> None:
    directory = project(tmp_path, "{ subrequests = 4 }")
    app = await worker(directory, outgoing=lambda request: Response("outside"))
    assert await app.env.SQL.getByName("a").ask(10) == 10


async def test_messages_of_rpc_are_bounded(app: WorkerHarness) -> None:
    stub = app.env.SQL.getByName("a")
    fits = strict.MESSAGE_BYTES_MAX - 100
    assert len(await stub.give(fits)) == fits
    with pytest.raises(JsException, match=r"limited to 32MiB, but .* was: 33554\d+ bytes\."):
        await stub.give(strict.MESSAGE_BYTES_MAX)

    def send(size: int) -> Any:
        return lambda instance, ctx: instance.env.SQL.getByName("b").echo(bytes(size))

    assert len(await app.run_in_durable_object(stub, send(fits - 100))) == fits - 100
    with pytest.raises(JsException, match="limited to 32MiB"):
        await app.run_in_durable_object(stub, send(strict.MESSAGE_BYTES_MAX))


async def test_messages_may_hold_what_has_no_size(app: WorkerHarness) -> None:
    """Functions and responses travel beside a message."""
    stub = app.env.SQL.getByName("a")
    found = await app.run_in_durable_object(
        stub, lambda instance, ctx: instance.env.SQL.getByName("b").echo([len, {"a": {1, 2}}])
    )
    assert found[1] == {"a": {1, 2}}


async def test_an_alarm_has_fifteen_minutes(app: WorkerHarness) -> None:
    stub = app.env.SQL.getByName("a")
    await stub.ring()
    before = app.now()
    with structlog.testing.capture_logs() as log:
        await app.advance(1)  # until the handler has ended
    assert timedelta(minutes=15) < app.now() - before < timedelta(minutes=15.1)
    assert "took longer than 15 minutes" in log[0]["error"]
    assert await app.run_in_durable_object(stub, lambda _, ctx: ctx.storage.get("tries")) == 1
    await app.advance(10)
    assert await app.run_in_durable_object(stub, lambda _, ctx: ctx.storage.get("tries")) == 2
    assert await app.run_in_durable_object(stub, lambda _, ctx: ctx.storage.get("rung"))


async def test_without_strict_an_alarm_has_as_long_as_it_takes(
    worker: StartWorker, directory: Path
) -> None:
    app = await worker(directory)
    stub = app.env.SQL.getByName("a")
    await stub.ring()
    await app.advance(timedelta(minutes=17))
    assert await app.run_in_durable_object(stub, lambda _, ctx: ctx.storage.get("tries")) == 1
    assert await app.run_in_durable_object(stub, lambda _, ctx: ctx.storage.get("rung"))


async def test_what_waits_until_has_thirty_seconds(app: WorkerHarness) -> None:
    with structlog.testing.capture_logs() as log:
        await app.fetch("/wait/29")
        await app.fetch("/wait/31")
        await asyncio.sleep(60)
    assert [entry["event"] for entry in log] == [strict.CUT]
    later = app.env.SQL.getByName("later")
    at = await app.run_in_durable_object(later, lambda _, ctx: ctx.storage.get("at"))
    assert at == 29


async def test_urls_are_bounded(app: WorkerHarness) -> None:
    room = strict.URL_BYTES_MAX - len("http://localhost/")
    gateway = app.gateway(HttpSettings(), loopback=True)
    assert (await gateway.handle(Asked(room)))[0] == 200
    assert (await gateway.handle(Asked(room + 1)))[0] == 414


# --- configuration ---------------------------------------------------------------------------


def test_paid_plans_have_ten_thousand_subrequests(directory: Path) -> None:
    assert read_config(directory, strict=True).strict == strict.Strict(subrequests=10_000)
    assert read_config(directory).strict is None


@pytest.mark.parametrize(
    ("more", "limits", "said"),
    [
        ("[vars]\n" + "".join(f"V{n} = 1\n" for n in range(129)), "{}", "129 variables"),
        ('[vars]\nV = "' + "v" * 5121 + '"', "{}", "'V' has 5121 bytes"),
        ('[vars]\nV = { a = "' + "v" * 5120 + '" }', "{}", "'V' has 5129 bytes"),
        ("", '{ subrequests = "many" }', r"limits.subrequests must be .* 'many'"),
        ("", "{ subrequests = 0 }", r"limits.subrequests must be .* 0"),
    ],
)
def test_configurations_that_are_refused(tmp_path: Path, more: str, limits: str, said: str) -> None:
    directory = project(tmp_path, limits, more)
    read_config(directory)
    with pytest.raises(ConfigError, match=said):
        read_config(directory, strict=True)


def test_configurations_that_just_fit(tmp_path: Path) -> None:
    more = "[vars]\n" + "".join(f"V{n} = 1\n" for n in range(127)) + 'V = "' + "v" * 5120 + '"'
    assert read_config(project(tmp_path, "{}", more), strict=True).strict is not None
