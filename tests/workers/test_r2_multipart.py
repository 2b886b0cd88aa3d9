"""R2: uploads in parts, across restarts, and what is refused."""

import asyncio
import copy
from collections.abc import Callable
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
from tests.workers.running import raised, virtual
from tests.workers.test_r2 import LARGE, bucket, chunks, left, r2

from wakeful.store.memory import MemoryDisk, MemoryStore
from wakeful.workers.bindings import r2_uploads
from wakeful.workers.proxies import JsException, JsTypeError
from wakeful.workers.web.streams import ReadableStream

PARTS = [LARGE, LARGE[::-1], b"end"]
WEEK = 7 * 24 * 3600


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(r2_uploads, "PART_BYTES_MIN", 1_000)


async def sent(upload: Any, parts: list[bytes]) -> list[Any]:
    """Parts as they were answered."""
    return [await upload.uploadPart(number, part) for number, part in enumerate(parts, 1)]


@virtual
async def test_parts_become_an_object(tmp_path: Path) -> None:
    async with r2(tmp_path) as worker:
        files, about = bucket(worker), {"httpMetadata": {"contentType": "a/b"}}
        await files.put("k", LARGE)
        upload = await files.createMultipartUpload("k", about, customMetadata={"n": "1"})
        third = await upload.uploadPart(3, b"end")
        first = await upload.uploadPart(1, b"replaced")
        first = await upload.uploadPart(1, ReadableStream(chunks(LARGE)))
        second = await upload.uploadPart(2, LARGE[::-1])
        await upload.uploadPart(4, b"not wanted")
        assert (first.partNumber, first.etag) == (1, md5(LARGE).hexdigest())
        assert (await files.head("k")).size == len(LARGE)
        made = await upload.complete([third, {"partNumber": 1, "etag": first.etag}, second])
        whole = b"".join(PARTS)
        digests = b"".join(md5(part).digest() for part in PARTS)
        assert (made.size, made.etag) == (len(whole), f"{md5(digests).hexdigest()}-3")
        assert (made.httpMetadata.contentType, made.customMetadata.n) == ("a/b", "1")
        assert made.checksums.toJSON() == {}
        got = await files.get("k")
        assert (got.version, await got.bytes()) == (made.version, whole)
        edge = len(LARGE)
        part = await files.get("k", range={"offset": edge - 5, "length": edge + 7})
        assert await part.bytes() == whole[edge - 5 : 2 * edge + 2]
        await upload.abort()  # too late, and no error
        assert await (await files.get("k")).bytes() == whole
        await files.delete("k")
        await asyncio.sleep(WEEK + 5)
        assert set((await left(worker)).values()) == {0}


@virtual
async def test_an_upload_goes_on_after_a_crash(tmp_path: Path) -> None:
    disk = MemoryDisk()
    async with r2(tmp_path, store=MemoryStore(disk)) as worker:
        begun = await bucket(worker).createMultipartUpload("k")
        one = await begun.uploadPart(1, LARGE)
        crashed = copy.deepcopy(disk)
    async with r2(tmp_path, store=MemoryStore(crashed)) as worker:
        upload = bucket(worker).resumeMultipartUpload("k", begun.uploadId)
        assert (upload.key, upload.uploadId) == ("k", begun.uploadId)
        two = await upload.uploadPart(2, b"end")
        await upload.complete([one, two])
        crashed = copy.deepcopy(crashed)
    async with r2(tmp_path, store=MemoryStore(crashed)) as worker:
        assert await (await bucket(worker).get("k")).bytes() == LARGE + b"end"


@virtual
async def test_an_upload_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    async with r2(tmp_path) as worker:
        upload = await bucket(worker).createMultipartUpload("k")
        parts = await sent(upload, PARTS)
        await upload.abort()
        await upload.abort()
        await asyncio.sleep(5)
        assert set((await left(worker)).values()) == {0}
        error = await raised(upload.complete(parts))
        assert "completeMultipartUpload: The specified multipart upload does not" in error.message
        assert "(10024)" in (await raised(upload.uploadPart(1, "x"))).message
        assert await bucket(worker).head("k") is None


@virtual
async def test_an_upload_that_never_ends_is_removed_after_a_week(tmp_path: Path) -> None:
    async with r2(tmp_path) as worker:
        upload = await bucket(worker).createMultipartUpload("k")
        await sent(upload, PARTS)
        await asyncio.sleep(WEEK - 60)
        assert (await left(worker))["contents"] == 3
        await asyncio.sleep(120)
        assert set((await left(worker)).values()) == {0}
        assert "(10024)" in (await raised(upload.abort())).message


REFUSED: list[tuple[Callable[[Any, list[Any]], Any], type, str]] = [
    (lambda it, _: it.uploadPart(0, "x"), JsTypeError, "Part number must be between 1 and 10000"),
    (lambda it, _: it.uploadPart(10_001, "x"), JsTypeError, "Actual value was: 10001"),
    (lambda it, _: it.uploadPart(1, None), JsTypeError, "R2 uploadPart() accepts only strings"),
    (lambda it, _: it.complete([]), JsException, "(10025)"),
    (lambda it, parts: it.complete([parts[0], parts[0]]), JsException, "(10025)"),
    (
        lambda it, _: it.complete([{"partNumber": 1, "etag": "x"}]),
        JsException,
        "One or more of the specified parts could not be found. (10025)",
    ),
    (
        lambda it, parts: it.complete(parts[:3]),
        JsException,
        "There was a problem with the multipart",
    ),
    (lambda it, parts: it.complete([parts[0], parts[2], parts[3]]), JsException, "(10011)"),
]


@virtual
async def test_what_is_refused(tmp_path: Path) -> None:
    async with r2(tmp_path) as worker:
        upload = await bucket(worker).createMultipartUpload("k")
        parts = await sent(upload, [LARGE, b"x" * 2_000, b"x", b"x"])
        for call, kind, message in REFUSED:

            async def called(call: Any = call) -> None:
                await call(upload, parts)

            error = await raised(called())
            assert type(error) is kind, (message, error)
            assert message in error.message
        made = await upload.complete(parts[:2])
        assert made.size == len(LARGE) + 2_000
        other = bucket(worker).resumeMultipartUpload("other", upload.uploadId)
        assert "(10024)" in (await raised(other.abort())).message
