"""R2 buckets: what Workers put, get and list, what is refused, and what is left after a crash."""

import asyncio
import copy
from collections.abc import AsyncIterator
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
from tests.workers.running import Running, methods, raised, running, virtual
from tests.workers.several import together, write

from wakeful.store.memory import MemoryDisk, MemoryStore
from wakeful.testing.clock import WALL_START_NS
from wakeful.workers import js_json, strict
from wakeful.workers.bindings import r2_contents
from wakeful.workers.bindings.r2_contents import CHUNK_BYTES, KEPT_SECONDS
from wakeful.workers.bindings.r2_store import R2Store
from wakeful.workers.proxies import JsException, JsRangeError, JsTypeError
from wakeful.workers.shims.objects import JsDate
from wakeful.workers.web.blobs import Blob, JsBlob
from wakeful.workers.web.headers import Headers, view
from wakeful.workers.web.streams import ReadableStream

START_MS = WALL_START_NS // 10**6
R2 = '[[r2_buckets]]\nbinding = "FILES"\nbucket_name = "files"\n'
THING = methods("pass")
LARGE = bytes(range(256)) * (5 * CHUNK_BYTES // 512)  # two chunks and a half


def r2(tmp_path: Path, **options: Any) -> Any:
    """A Worker with a bucket."""
    return running(tmp_path, THING, more=R2, **options)


def bucket(worker: Running) -> Any:
    """Its bucket."""
    return vars(worker.env)["FILES"]


async def chunks(data: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    """Bytes as they come."""
    for at in range(0, len(data), size):
        await asyncio.sleep(0)
        yield data[at : at + size]


async def left(worker: Running) -> dict[str, int]:
    """How many rows the tables of the bucket's actor have."""
    ref = worker.runtime.host.get(R2Store, "files")
    await ref.head(b"")
    sql = ref._activation.instance.ctx.storage.sql  # type: ignore[attr-defined]
    tables = ("objects", "contents", "chunks", "blobs")
    counts = {table: sql.exec(f"SELECT count(*) FROM {table}").raw() for table in tables}
    return {table: next(iter(count))[0] for table, count in counts.items()}


@virtual
async def test_an_object_is_put_and_got(tmp_path: Path) -> None:
    async with r2(tmp_path) as worker:
        files = bucket(worker)
        assert await files.get("a/b") is None
        assert await files.head("a/b") is None
        made = await files.put("a/b", "héllo")
        digest = md5("héllo".encode()).hexdigest()
        assert (made.key, made.size, made.etag) == ("a/b", 6, digest)
        assert made.httpEtag == f'"{digest}"'
        assert made.uploaded.getTime() == START_MS
        assert (made.httpMetadata, made.customMetadata, made.storageClass) == ({}, {}, "Standard")
        assert made.checksums.md5.hex() == digest
        assert made.checksums.toJSON() == {"md5": digest}
        assert not hasattr(made, "body")
        assert not hasattr(made.checksums, "sha1")
        written = js_json.read(js_json.write([made]))[0]
        assert list(written) == [
            *("key", "version", "size", "etag", "httpEtag", "uploaded", "checksums"),
            *("httpMetadata", "customMetadata", "storageClass"),
        ]
        assert (written.uploaded, written.checksums.md5) == (made.uploaded.toISOString(), digest)
        got = await files.get("a/b")
        assert (got.key, got.version, got.etag) == ("a/b", made.version, digest)
        assert (got.range.offset, got.range.length, got.bodyUsed) == (0, 6, False)
        assert await got.text() == "héllo"
        assert got.bodyUsed
        assert isinstance(await raised(got.text()), JsTypeError)
        again = await files.put("a/b", '{"n": 1}')
        assert again.version != made.version
        assert (await (await files.get("a/b")).json()).n == 1
        assert (await files.head("a/b")).size == 8
        await files.delete("a/b")
        await files.delete("a/b")
        assert await files.get("a/b") is None
        assert set((await left(worker)).values()) == {0}


@virtual
async def test_values_are_of_many_kinds(tmp_path: Path) -> None:
    async with r2(tmp_path) as worker:
        files = bucket(worker)
        values: list[tuple[Any, bytes]] = [
            ("text", b"text"),
            (b"\xff", b"\xff"),
            (bytearray(b"b"), b"b"),
            (memoryview(b"m"), b"m"),
            (JsBlob(["blob"]), b"blob"),
            (Blob(["face"]), b"face"),
            (ReadableStream(chunks(b"stream", 2)), b"stream"),
            (ReadableStream(chunks(LARGE)), LARGE),
            (LARGE, LARGE),
            (LARGE[:CHUNK_BYTES], LARGE[:CHUNK_BYTES]),
            (None, b""),
            ("", b""),
        ]
        for value, stored in values:
            made = await files.put("k", value)
            got = await files.get("k")
            assert (made.size, made.etag) == (len(stored), md5(stored).hexdigest())
            assert await got.arrayBuffer() == stored
        for value in (1, {"a": 1}, [b"x"]):
            with pytest.raises(JsTypeError, match="accepts only strings"):
                await files.put("k", value)


@virtual
async def test_metadata_come_back(tmp_path: Path) -> None:
    async with r2(tmp_path) as worker:
        files = bucket(worker)
        options = {
            "httpMetadata": {"contentType": "text/css", "cacheExpiry": JsDate.at(86_400_000)},
            "customMetadata": {"by": "é", "n": 1},
        }
        await files.put("k", "x", options)
        got = await files.get("k")
        assert got.httpMetadata.contentType == "text/css"
        assert got.httpMetadata.cacheExpiry.getTime() == 86_400_000
        assert got.customMetadata.to_py() == {"by": "é", "n": "1"}
        headers = Headers()
        got.writeHttpMetadata(headers)
        expires = "Fri, 02 Jan 1970 00:00:00 GMT"
        assert headers.items() == [("content-type", "text/css"), ("expires", expires)]
        assert (await got.blob()).type == "text/css"
        sent = Headers({"Content-Type": "a/b", "Cache-Control": "no-store", "Expires": expires})
        for given in (sent, view(sent)):
            await files.put("k", "x", httpMetadata=given, storageClass="InfrequentAccess")
            head = await files.head("k")
            assert head.httpMetadata.cacheControl == "no-store"
            assert head.httpMetadata.cacheExpiry.getTime() == 86_400_000
            assert (head.customMetadata, head.storageClass) == ({}, "InfrequentAccess")
        plain: dict[str, str] = {}
        head.writeHttpMetadata(plain)
        assert plain == {k.lower(): v for k, v in sent.items()}


@virtual
async def test_a_put_is_durable_when_it_returns(tmp_path: Path) -> None:
    disk = MemoryDisk()
    async with r2(tmp_path, store=MemoryStore(disk)) as worker:
        await bucket(worker).put("small", "v", customMetadata={"a": "b"})
        await bucket(worker).put("large", ReadableStream(chunks(LARGE)))
        crashed = copy.deepcopy(disk)
    async with r2(tmp_path, store=MemoryStore(crashed)) as worker:
        small, large = await bucket(worker).get("small"), await bucket(worker).get("large")
        assert (await small.text(), small.customMetadata.a) == ("v", "b")
        assert await large.bytes() == LARGE


@virtual
async def test_what_a_crash_left_unfinished_is_not_seen_and_then_gone(tmp_path: Path) -> None:
    disk, sent = MemoryDisk(), asyncio.Event()

    async def stalls() -> AsyncIterator[bytes]:
        yield LARGE
        sent.set()
        await asyncio.Event().wait()

    async with r2(tmp_path, store=MemoryStore(disk)) as worker:
        await bucket(worker).put("k", "before")
        putting = bucket(worker).put("k", ReadableStream(stalls()))
        await sent.wait()
        assert (await left(worker))["chunks"] > 1
        assert await (await bucket(worker).get("k")).text() == "before"
        crashed = copy.deepcopy(disk)
        putting.cancel()
    async with r2(tmp_path, store=MemoryStore(crashed)) as worker:
        assert await (await bucket(worker).get("k")).text() == "before"
        await asyncio.sleep(KEPT_SECONDS + 5)
        assert set((await left(worker)).values()) == {1}


@virtual
async def test_a_put_that_fails_leaves_nothing(tmp_path: Path) -> None:
    async def breaks() -> AsyncIterator[bytes]:
        yield LARGE
        raise ValueError("broken")

    async with r2(tmp_path) as worker:
        files = bucket(worker)
        error = await raised(files.put("k", ReadableStream(breaks())))
        assert (type(error), str(error)) == (ValueError, "broken")
        putting = files.put("k", ReadableStream(chunks(LARGE)))
        await asyncio.sleep(0)
        putting.cancel()
        error = await raised(files.put("k", LARGE, md5="0" * 32))
        assert "The MD5 checksum you specified did not match" in error.message
        assert await files.put("k", LARGE, onlyIf={"etagMatches": "x"}) is None
        await asyncio.sleep(5)
        assert set((await left(worker)).values()) == {0}


@virtual
async def test_a_put_that_stalls_too_long_fails(tmp_path: Path) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield LARGE
        await asyncio.sleep(2 * KEPT_SECONDS)
        yield LARGE

    async with r2(tmp_path) as worker:
        error = await raised(bucket(worker).put("k", ReadableStream(slow())))
        assert "put: Nothing of the value came for more than 600 seconds." in error.message
        assert await bucket(worker).head("k") is None


@virtual
async def test_a_body_is_that_of_its_get_whatever_is_put_meanwhile(tmp_path: Path) -> None:
    async with r2(tmp_path, idle_seconds=5) as worker:
        files = bucket(worker)
        await files.put("k", LARGE)
        reader = (await files.get("k")).body.getReader()
        first = (await reader.read()).value
        await files.put("k", "new")
        await asyncio.sleep(KEPT_SECONDS - 10)  # the bucket's actor sleeps meanwhile
        second = (await reader.read()).value
        await asyncio.sleep(KEPT_SECONDS - 10)
        third = (await reader.read()).value
        assert b"".join([first, second, third]) == LARGE
        assert (await reader.read()).done
        assert await (await files.get("k")).text() == "new"
        await asyncio.sleep(2 * KEPT_SECONDS)
        assert set((await left(worker)).values()) == {1}


@virtual
async def test_a_body_that_nobody_reads_ends_some_time_after_the_object(tmp_path: Path) -> None:
    async with r2(tmp_path) as worker:
        files = bucket(worker)
        await files.put("k", LARGE)
        got = await files.get("k")
        await files.delete("k")
        await asyncio.sleep(KEPT_SECONDS + 5)
        error = await raised(got.bytes())
        assert "get: The object was replaced or deleted, and its body not read" in error.message
        assert set((await left(worker)).values()) == {0}


@virtual
async def test_a_large_content_is_removed_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(r2_contents, "REMOVED_MAX", 1)
    async with r2(tmp_path) as worker:
        await bucket(worker).put("k", LARGE)
        await bucket(worker).delete("k")
        seen = set()
        for _ in range(2 * KEPT_SECONDS):
            seen.add((await left(worker))["blobs"])
            await asyncio.sleep(1)
        assert {0, 3} <= seen
        assert set((await left(worker)).values()) == {0}


@virtual
async def test_several_are_deleted_at_once(tmp_path: Path) -> None:
    async with r2(tmp_path) as worker:
        files = bucket(worker)
        for name in "abc":
            await files.put(name, name)
        await files.delete(["a", "c", "z"])
        assert [one.key for one in (await files.list()).objects] == ["b"]
        with pytest.raises(JsException, match="at most 1000 keys"):
            await files.delete(["k"] * 1001)


@virtual
async def test_workers_share_a_bucket_by_its_name(tmp_path: Path) -> None:
    source = """
    class Default(WorkerEntrypoint):
        async def put(self, value):
            await self.env.FILES.put("key", value)
    """
    a = write(tmp_path / "a", f'{R2}\n[[services]]\nbinding = "B"\nservice = "b"\n', source)
    async with together(a, write(tmp_path / "b", R2, source)) as first:
        await first.env.B.put("of b")
        assert await (await first.env.FILES.get("key")).text() == "of b"


@virtual
async def test_a_worker_serves_files(tmp_path: Path) -> None:
    """As in Cloudflare's examples."""
    default = """
    from js import Headers, Object
    from pyodide.ffi import to_js

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            key = request.url.split("/", 3)[3]
            if request.method == "PUT":
                options = {"httpMetadata": {"contentType": request.headers["content-type"]}}
                given = to_js(options, dict_converter=Object.fromEntries)
                made = await self.env.FILES.put(key, request.body, given)
                return Response(made.httpEtag)
            obj = await self.env.FILES.get(key, range=request.headers)
            if obj is None:
                return Response("none", status=404)
            headers = Headers.new()
            obj.writeHttpMetadata(headers)
            headers.set("etag", obj.httpEtag)
            return Response(obj.body, headers=headers)
    """
    async with running(tmp_path, THING, more=R2, default=default) as worker:
        kind = {"content-type": "text/x"}
        put = await worker.fetch("/a", method="PUT", headers=kind, body=ReadableStream.of(LARGE))
        assert put == (200, f'"{md5(LARGE).hexdigest()}"')
        assert await worker.fetch("/b") == (404, "none")
        status, text = await worker.fetch("/a", headers={"range": "bytes=65-69"})
        assert (status, text) == (200, "ABCDE")
        assert (await worker.fetch("/a"))[1].encode("latin-1", "replace")[65:70] == b"ABCDE"


@virtual
async def test_calls_leave_an_object_after_its_writes_and_in_order(tmp_path: Path) -> None:
    thing = methods(
        """
        async def do(self):
            await self.ctx.storage.put("n", 1)
            self.env.FILES.put("k", "first")
            self.env.FILES.put("k", "second")
            large = await self.env.FILES.put("large", b"x" * 2_000_000)
            return [await (await self.env.FILES.get("k")).text(), large.size]
        """
    )
    async with running(tmp_path, thing, more=R2) as worker:
        assert await worker.stub().do() == ["second", 2_000_000]


@virtual
async def test_a_put_is_one_subrequest_and_so_is_a_get(tmp_path: Path) -> None:
    """However many chunks they take."""
    async with r2(tmp_path) as worker:
        files = bucket(worker)
        with strict.invocation(strict.Strict(subrequests=3)):
            await files.put("k", ReadableStream(chunks(LARGE)))
            await files.put("k", LARGE)
            assert await (await files.get("k")).bytes() == LARGE
            with pytest.raises(JsException, match="Too many subrequests"):
                await files.head("k")


@virtual
async def test_what_is_refused(tmp_path: Path) -> None:
    async with r2(tmp_path) as worker:
        files = bucket(worker)
        await files.put("k", "0123456789")
        for call, kind, message in REFUSED:

            async def called(call: Any = call) -> None:
                await call(files)

            error = await raised(called())
            assert type(error) is kind, (message, error)
            assert message in error.message


REFUSED: list[tuple[Any, type, str]] = [
    (
        lambda r2: r2.put("é" * 513, "x"),
        JsException,
        "put: The specified object name is not valid. (10020)",
    ),
    (
        lambda r2: r2.put("k", "x", customMetadata={"k": "m" * 8192}),
        JsException,
        "put: Your metadata headers exceed the maximum allowed metadata size. (10012)",
    ),
    (lambda r2: r2.put("k", "x", md5="0"), JsTypeError, "MD5 is 32 hex characters, not 1"),
    (lambda r2: r2.put("k", "x", sha1=b"0"), JsTypeError, "SHA-1 is 20 bytes, not 1"),
    (
        lambda r2: r2.put("k", "x", sha256="z" * 64),
        JsTypeError,
        "Provided SHA-256 wasn't a valid hex string",
    ),
    (
        lambda r2: r2.put("k", "x", sha256="0" * 64, md5="0" * 32),
        JsTypeError,
        "You cannot specify multiple hashing algorithms.",
    ),
    (lambda r2: r2.put("k", "x", sha512="0" * 128), JsException, "Actual SHA-512 was: a4abd44"),
    (lambda r2: r2.put("k", "x", storageClass="Cold"), JsException, "The storage class Cold"),
    (
        lambda r2: r2.put("k", "x", onlyIf={"etagMatches": '"x"'}),
        JsTypeError,
        'Conditional ETag should not be wrapped in quotes ("x").',
    ),
    (
        lambda r2: r2.get("k", range={"offset": -1}),
        JsRangeError,
        "Invalid range. Starting offset (-1) must be greater than or equal to 0.",
    ),
    (
        lambda r2: r2.get("k", range={"length": 1.5}),
        JsRangeError,
        "Length (1.5) must be an integer",
    ),
    (
        lambda r2: r2.get("k", range={"suffix": 1, "length": 1}),
        JsTypeError,
        "Suffix is incompatible with length.",
    ),
    (
        lambda r2: r2.get("k", range={"offset": 10}),
        JsException,
        "get: The requested range is not satisfiable (10039)",
    ),
    (lambda r2: r2.get("k", onlyIf=Headers({"if-match": "x"})), JsException, "Invalid conditional"),
    (
        lambda r2: r2.list(limit=1001),
        JsException,
        "list: MaxKeys params must be positive integer <= 1000. (10022)",
    ),
    (
        lambda r2: r2.get("k", ssecKey="0" * 64),
        JsException,
        "get: wakeful does not provide ssecKey",
    ),
    (lambda r2: r2.put("k", "x", {"ssecKey": "0"}), JsException, "put: wakeful does not provide"),
    (lambda r2: r2.list(include=["etag"]), JsRangeError, "Unsupported include value etag"),
    (lambda r2: r2.list(cursor="é"), JsException, "list: The cursor is none"),
]


@virtual
async def test_a_limit_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    async with r2(tmp_path, sql_turn_bytes=16 * 4096) as worker:
        error = await raised(bucket(worker).put("k", "x" * 200_000))
        assert "put: one turn changes more than" in error.message
        await bucket(worker).put("k", "x")
        assert await (await bucket(worker).get("k")).text() == "x"


@virtual
async def test_members_are_had_by_subscript_too(tmp_path: Path) -> None:
    """As Cloudflare's Python SDK has them."""
    async with r2(tmp_path) as worker:
        files = bucket(worker)
        put = await files.put("a", "text", {"httpMetadata": {"contentType": "text/plain"}})
        assert (put["key"], put["size"], put["etag"]) == ("a", 4, put.etag)
        assert put["checksums"]["md5"] == put.checksums.md5
        assert (await files.head("a"))["httpMetadata"]["contentType"] == "text/plain"
        got = await files.get("a")
        assert await got["text"]() == "text"
        assert got["bodyUsed"] is True
        assert [it["key"] for it in (await files.list())["objects"]] == ["a"]
        upload = await files.createMultipartUpload("b")
        assert (upload["key"], upload["uploadId"]) == ("b", upload.uploadId)
        for wrong, error in (("none", AttributeError), ("_body", AttributeError), (0, TypeError)):
            with pytest.raises(error):
                got[wrong]
        with pytest.raises(TypeError, match="not iterable"):
            iter(got)
