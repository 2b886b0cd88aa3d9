"""KV namespaces: what Workers read and write, what is refused, and what expires."""

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.workers.running import Running, methods, raised, running, virtual

from wakeful import AlarmInfo
from wakeful.store.memory import MemoryDisk, MemoryStore
from wakeful.testing.clock import WALL_START_NS
from wakeful.workers.bindings import kv_store
from wakeful.workers.bindings.kv_store import KvStore
from wakeful.workers.proxies import JsException, JsSyntaxError, JsTypeError
from wakeful.workers.values import copied
from wakeful.workers.web.responses import Response
from wakeful.workers.web.streams import ReadableStream

START = WALL_START_NS // 10**9
KV = """
[[kv_namespaces]]
binding = "CACHE"
id = "a1"

[[kv_namespaces]]
binding = "SAME"
id = "a1"
"""
THING = methods("pass")


def kv(tmp_path: Path, **options: Any) -> Any:
    """A Worker with KV."""
    return running(tmp_path, THING, more=KV, **options)


def cache(worker: Running) -> Any:
    """Its namespace."""
    return vars(worker.env)["CACHE"]


@virtual
async def test_values_come_back_as_they_are_asked_for(tmp_path: Path) -> None:
    async with kv(tmp_path) as worker:
        env, namespace = vars(worker.env), cache(worker)
        await namespace.put("k", '{"a": [1, null]}')
        assert await namespace.get("k") == '{"a": [1, null]}'
        assert (await namespace.get("k", "json")).a == [1, None]
        assert (await namespace.get("k", {"type": "json"}))["a"][0] == 1
        assert await namespace.get("k", type="arrayBuffer") == b'{"a": [1, null]}'
        assert await (await namespace.get("k", "stream")).read_all() == b'{"a": [1, null]}'
        assert await env["SAME"].get("k") == await namespace.get("k")
        await namespace.put("bytes", b"\xff\x00")
        assert await namespace.get("bytes") == "\ufffd\x00"
        assert (await namespace.get("bytes", "arrayBuffer")).byteLength == 2
        await namespace.put("n", 1.5)
        await namespace.put("none", "")
        assert [await namespace.get(key) for key in ("n", "none", "missing")] == ["1.5", "", None]
        await namespace.delete("k")
        await namespace.delete("k")
        assert await namespace.get("k", "json") is None


@virtual
async def test_streams_are_stored(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    async with kv(tmp_path) as worker:
        putting = cache(worker).put("k", ReadableStream(chunks()))
        assert await cache(worker).get("k") is None
        await putting
        assert await cache(worker).get("k") == "one two"


@virtual
async def test_metadata_and_several_keys(tmp_path: Path) -> None:
    async with kv(tmp_path) as worker:
        namespace = cache(worker)
        await namespace.put("a", "1", metadata={"by": "x"})
        await namespace.put("b", "2")
        found = await namespace.getWithMetadata("a")
        assert (found.value, found.metadata.by, found.cacheStatus) == ("1", "x", None)
        missing = {"value": None, "metadata": None, "cacheStatus": None}
        assert await namespace.getWithMetadata("c") == missing
        several = await namespace.get(["b", "a", "c"], "json")
        assert several.to_py() == {"b": 2, "a": 1, "c": None}
        described = await namespace.getWithMetadata(["a", "b", "c"])
        assert described.get("a") == {"value": "1", "metadata": {"by": "x"}}
        assert (described["b"].metadata, described["c"]) == (None, None)


@virtual
async def test_listing_goes_on_page_by_page(tmp_path: Path) -> None:
    async with kv(tmp_path) as worker:
        namespace = cache(worker)
        for name in ("a:1", "b:3", "b:1", "b:2", "b", "b:é", "c"):
            await namespace.put(name, "x")
        await namespace.put("b:2", "x", {"metadata": 7, "expirationTtl": 60})
        listed = await namespace.list({"prefix": "b:", "limit": 2})
        assert not listed.list_complete
        assert listed["keys"] == [
            {"name": "b:1"},
            {"name": "b:2", "expiration": START + 60, "metadata": 7},
        ]
        rest = await namespace.list(prefix="b:", limit=2, cursor=listed.cursor)
        assert rest.list_complete
        assert "cursor" not in rest
        assert [key.name for key in rest["keys"]] == ["b:3", "b:é"]
        assert [key.name for key in rest.keys] == ["b:3", "b:é"]  # and yet it is a dict
        assert list(rest.keys()) == list(rest) == ["keys", "list_complete", "cacheStatus"]
        assert dict(rest) == {**rest} == copied(rest) == json.loads(json.dumps(rest))
        assert rest.keys.length == 2
        assert len((await namespace.list())["keys"]) == 7
        assert len((await namespace.list(limit=0))["keys"]) == 7


@virtual
async def test_what_expires_is_not_seen_and_then_gone(tmp_path: Path) -> None:
    async with kv(tmp_path) as worker:
        namespace = cache(worker)
        await namespace.put("later", "x", expiration=START + 200)
        await namespace.put("soon", "x", expirationTtl=60)
        await namespace.put("kept", "x", expirationTtl=60)
        await namespace.put("kept", "y")
        await asyncio.sleep(59.9)
        assert await namespace.get("soon") == "x"
        await asyncio.sleep(0.1)
        assert await namespace.get("soon") is None
        assert [key.name for key in (await namespace.list())["keys"]] == ["kept", "later"]
        await asyncio.sleep(300)  # nobody asks: the actor sleeps, and its alarm wakes it
        assert await rows(worker) == [b"kept"]
        assert await namespace.get("kept") == "y"


async def rows(worker: Running) -> list[object]:
    """The keys that the namespace's actor keeps, expired ones included."""
    activation = worker.runtime.host.get(KvStore, "a1")
    await activation.get((), 0)
    database = activation._activation.instance.ctx.storage.sql  # type: ignore[attr-defined]
    return [key for (key,) in database.exec("SELECT key FROM entries ORDER BY key").raw()]


@virtual
async def test_large_values_that_expire_are_removed_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kv_store, "REMOVED_BYTES_MAX", 10)
    left, alarm = [], KvStore.alarm

    async def noted(self: KvStore, info: AlarmInfo) -> None:
        await alarm(self, info)
        left.extend(self.ctx.storage.sql.exec("SELECT count(*) FROM entries").raw())

    monkeypatch.setattr(KvStore, "alarm", noted)
    async with kv(tmp_path) as worker:
        for name in "abcde":
            await cache(worker).put(name, "x" * 9, expirationTtl=60)
        assert len(await rows(worker)) == 5
        await asyncio.sleep(100)
        assert await rows(worker) == []
        assert left == [(3,), (1,), (0,)]


@virtual
async def test_no_more_is_read_than_may_be_answered(tmp_path: Path) -> None:
    async with kv(tmp_path) as worker:
        for name in "abc":
            await cache(worker).put(name, name * 6)
        store = worker.runtime.host.get(KvStore, "a1")
        read = await store.get((b"a", b"x", b"b", b"c"), 10)
        assert [entry and entry.value for entry in read] == [b"aaaaaa", None, b"bbbbbb"]


@virtual
async def test_a_write_is_durable_when_it_returns(tmp_path: Path) -> None:
    disk = MemoryDisk()
    async with kv(tmp_path, store=MemoryStore(disk)) as worker:
        await cache(worker).put("k", "v")
        crashed = copy.deepcopy(disk)
    async with kv(tmp_path, store=MemoryStore(crashed)) as worker:
        assert await cache(worker).get("k") == "v"


@virtual
async def test_calls_leave_an_object_after_its_writes_and_in_order(tmp_path: Path) -> None:
    thing = methods(
        """
        async def do(self):
            await self.ctx.storage.put("n", 1)
            self.env.CACHE.put("k", "first")
            self.env.CACHE.put("k", "second")
            return await self.env.CACHE.get("k")
        """
    )
    async with running(tmp_path, thing, more=KV) as worker:
        assert await worker.stub().do() == "second"


@virtual
async def test_what_is_refused(tmp_path: Path) -> None:
    async with kv(tmp_path) as worker:
        namespace = cache(worker)
        await namespace.put("text", "no json")

        async def said(call: Any) -> Any:
            return await raised(asyncio.ensure_future(call()))

        for call, kind, message in REFUSED:

            async def called(call: Any = call) -> None:
                await call(namespace)

            error = await said(called)
            assert type(error) is kind, message
            assert message in error.message


LIMIT = 25 * 1024 * 1024
REFUSED: list[tuple[Any, type, str]] = [
    (lambda kv: kv.get(""), JsTypeError, "Key name cannot be empty."),
    (lambda kv: kv.put(".", "x"), JsTypeError, '"." is not allowed as a key name.'),
    (lambda kv: kv.delete(".."), JsTypeError, '".." is not allowed as a key name.'),
    (
        lambda kv: kv.put("é" * 257, "x"),
        JsException,
        "KV PUT failed: 414 UTF-8 encoded length of 514 exceeds key length limit of 512.",
    ),
    (lambda kv: kv.put("k", {"a": 1}), JsTypeError, "KV put() accepts only strings"),
    (lambda kv: kv.put("k", None), JsTypeError, "KV put() accepts only strings"),
    (
        lambda kv: kv.put("k", b"x" * (LIMIT + 1)),
        JsException,
        f"KV PUT failed: 413 Value length of {LIMIT + 1} exceeds limit of {LIMIT}.",
    ),
    (
        lambda kv: kv.put("k", "x", metadata="m" * 1023),
        JsException,
        "KV PUT failed: 413 Metadata length of 1025 exceeds limit of 1024.",
    ),
    (
        lambda kv: kv.put("k", "x", expirationTtl=59),
        JsException,
        "KV PUT failed: 400 Invalid expiration_ttl of 59. Expiration TTL must be at least 60.",
    ),
    (
        lambda kv: kv.put("k", "x", expirationTtl="soon"),
        JsException,
        "Invalid expiration_ttl of soon. Please specify integer greater than 0.",
    ),
    (
        lambda kv: kv.put("k", "x", expiration=START),
        JsException,
        f"Invalid expiration of {START}. Please specify integer greater than the current number",
    ),
    (
        lambda kv: kv.put("k", "x", expiration=START + 59),
        JsException,
        "Expiration times must be at least 60 seconds in the future.",
    ),
    (lambda kv: kv.get("text", "json"), JsSyntaxError, "in JSON at position 0"),
    (lambda kv: kv.get("text", "xml"), JsTypeError, "Unknown response type."),
    (
        lambda kv: kv.get(["text"], "json"),
        JsException,
        "KV GET_BULK failed: 400 At least one of the requested keys corresponds to a non-json",
    ),
    (lambda kv: kv.get(["text"], "stream"), JsException, '"stream" is not a valid type.'),
    (lambda kv: kv.get(["k"] * 101), JsException, "You can request a maximum of 100 keys"),
    (lambda kv: kv.get([]), JsException, "You must request a minimum of 1 key"),
    (lambda kv: kv.get("k", cacheTtl=29), JsException, "Cache TTL must be at least 30."),
    (
        lambda kv: kv.list(limit=1001),
        JsException,
        "KV GET failed: 400 Invalid key_count_limit of 1001.",
    ),
    (lambda kv: kv.list(cursor="é"), JsException, "KV GET failed: 400 Invalid cursor"),
]


@virtual
async def test_a_limit_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    async with kv(tmp_path, sql_turn_bytes=16 * 4096) as worker:
        error = await raised(cache(worker).put("k", "x" * 100_000))
        assert isinstance(error, JsException)
        assert "KV PUT failed: 500" in error.message
        await cache(worker).put("k", "x")
        assert await cache(worker).get("k") == "x"


@virtual
async def test_an_array_buffer_is_a_memoryview_and_what_it_was_before(tmp_path: Path) -> None:
    """A memoryview in Cloudflare's SDK; code from before it knows a proxy with `to_bytes`."""
    async with kv(tmp_path) as worker:
        namespace = cache(worker)
        await namespace.put("k", b"abc")
        buffer = await namespace.get("k", "arrayBuffer")
        assert isinstance(buffer, memoryview)
        assert (len(buffer), bytes(buffer), buffer[0], buffer.tobytes()) == (3, b"abc", 97, b"abc")
        assert (buffer.tolist(), buffer.format, buffer.readonly) == ([97, 98, 99], "B", True)
        assert (buffer.to_bytes(), buffer.to_py(), buffer.byteLength) == (b"abc", b"abc", 3)
        assert not hasattr(buffer, "nothing")
        await namespace.put("again", buffer)
        assert await namespace.get("again") == "abc"
        assert await Response(buffer).text() == "abc"
        assert isinstance(copied(b"abc"), memoryview), "by RPC and out of storage too"
        assert copied(buffer) == copied(copied(buffer)) == b"abc"


@virtual
async def test_errors_of_python_name_it_as_workerd_does(tmp_path: Path) -> None:
    async with kv(tmp_path) as worker:
        with pytest.raises(TypeError, match=r"^KvNamespace\.get\(\) missing"):
            cache(worker).get()
        with pytest.raises(AttributeError, match="'KvNamespace' object has no attribute 'take'"):
            _ = cache(worker).take
