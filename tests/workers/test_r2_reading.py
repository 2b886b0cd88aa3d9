"""R2: listings, ranges and conditions against naive models; large streams in little memory."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.workers.running import virtual
from tests.workers.test_r2 import LARGE, R2, START_MS, bucket, chunks, r2

from wakeful.store.sqlite import SQLiteStore
from wakeful.testing.loop import VirtualLoop
from wakeful.worker_node import WorkerRuntime
from wakeful.workers.bindings.r2_conditions import Condition, Range
from wakeful.workers.bindings.r2_contents import CHUNK_BYTES
from wakeful.workers.bindings.r2_listing import after, listed
from wakeful.workers.bindings.r2_options import read_condition, read_range
from wakeful.workers.bindings.r2_store import Record
from wakeful.workers.config.wrangler import read_config
from wakeful.workers.shims.objects import JsDate
from wakeful.workers.web.headers import Headers
from wakeful.workers.web.streams import ReadableStream

WORDS = st.text("ab/é", max_size=4)


def test_range_is_a_slice() -> None:
    size = st.integers(0, 12)
    part = st.none() | size

    @given(size, part, part, part)
    def check(size: int, offset: int | None, length: int | None, suffix: int | None) -> None:
        data = bytes(range(size))
        if suffix is not None:
            wanted, asked = data[max(0, size - suffix) :], Range(suffix=suffix)
        else:
            end = None if length is None else (offset or 0) + length
            wanted, asked = data[offset or 0 : end], Range(offset or 0, length)
        span = asked.span(size)
        assert (b"" if span is None else data[slice(*span)]) == wanted
        assert (span is None) == (wanted == b"")

    check()


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("bytes=2-3", "23"),
        ("bytes=8-", "89"),
        ("bytes=8-99", "89"),
        ("bytes=-3", "789"),
        (" Bytes = 0-0 ", "0"),
        ("bytes=0-1,3-4", "0123456789"),
        ("bytes=3-2", "0123456789"),
        ("bytes=10-", "0123456789"),
        ("bytes=-0", "0123456789"),
        ("lines=1-2", "0123456789"),
        ("bytes=-", "0123456789"),
        ("", "0123456789"),
    ],
)
def test_range_of_a_header_that_is_none_is_the_whole(header: str, wanted: str) -> None:
    text = "0123456789"
    assert text[slice(*read_range(Headers({"range": header})).span(10) or ())] == wanted


@virtual
async def test_range_may_span_chunks(tmp_path: Path) -> None:
    async with r2(tmp_path) as worker:
        files, edge = bucket(worker), CHUNK_BYTES
        await files.put("k", ReadableStream(chunks(LARGE)))
        for offset, length in ((edge - 2, 4), (edge, edge), (7, 3), (2 * edge - 1, 2 * edge)):
            got = await files.get("k", range={"offset": offset, "length": length})
            wanted = LARGE[offset : offset + length]
            assert (got.size, got.range.offset, got.range.length) == (
                len(LARGE), offset, len(wanted),
            )  # fmt: skip
            assert await got.bytes() == wanted
        assert await (await files.get("k", {"range": {"suffix": 9}})).bytes() == LARGE[-9:]


# --- conditions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "holds"),
    [
        ({}, True),
        ({"etagMatches": "e"}, True),
        ({"etagMatches": "f"}, False),
        ({"etagMatches": "*"}, True),
        ({"etagDoesNotMatch": "e"}, False),
        ({"etagDoesNotMatch": "f"}, True),
        ({"etagDoesNotMatch": "*"}, False),
        ({"uploadedBefore": JsDate.at(1_501)}, True),
        ({"uploadedBefore": JsDate.at(1_500)}, False),
        ({"uploadedAfter": JsDate.at(1_499)}, True),
        ({"uploadedAfter": JsDate.at(1_500)}, False),
        ({"uploadedAfter": 1_000, "secondsGranularity": True}, False),
        ({"etagMatches": "e", "uploadedBefore": 0}, True),
        ({"etagDoesNotMatch": "f", "uploadedAfter": 9_999}, True),
        ({"etagDoesNotMatch": "e", "uploadedAfter": 0}, False),
        (Headers({"if-match": '"a", "e"'}), True),
        (Headers({"if-match": 'W/"e"'}), False),
        (Headers({"if-match": "*"}), True),
        (Headers({"if-none-match": 'W/"e"'}), False),
        (Headers({"if-none-match": ', "a" ,,'}), True),
        (Headers({"if-modified-since": "Thu, 01 Jan 1970 00:00:01 GMT"}), False),
        (Headers({"if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT"}), True),
        (Headers({"if-unmodified-since": "Thu, 01 Jan 1970 00:00:01 GMT"}), False),
        (Headers({"if-modified-since": "yesterday"}), True),
        (Headers({"accept": "*"}), True),
    ],
)
def test_condition_is_true_of_an_object(given: Any, holds: bool) -> None:
    condition = read_condition(given)
    assert condition is not None
    assert condition.holds("e", 1_500) == holds


def test_condition_where_there_is_no_object() -> None:
    assert Condition(differs=("*",), before=5).holds_for_none()
    assert not Condition(matches=("*",)).holds_for_none()
    assert not Condition(after=5).holds_for_none()


@virtual
async def test_conditions_of_get_and_put(tmp_path: Path) -> None:
    async with r2(tmp_path) as worker:
        files = bucket(worker)
        assert await files.put("k", "1", onlyIf={"etagMatches": "*"}) is None
        one = await files.put("k", "1", onlyIf={"etagDoesNotMatch": "*"})
        assert await files.put("k", "2", onlyIf={"etagDoesNotMatch": "*"}) is None
        not_changed = await files.get("k", onlyIf=Headers({"if-none-match": one.httpEtag}))
        assert (not_changed.etag, hasattr(not_changed, "body")) == (one.etag, False)
        changed = await files.get("k", {"onlyIf": {"uploadedAfter": START_MS - 1}})
        assert await changed.text() == "1"
        assert (await files.put("k", "2", onlyIf={"etagMatches": one.etag})).size == 1
        assert await files.put("k", "3", onlyIf={"etagMatches": one.etag}) is None
        assert await (await files.get("k")).text() == "2"
        assert await files.get("none", onlyIf={"etagMatches": "x"}) is None


@virtual
async def test_one_of_several_puts_with_a_condition_wins(tmp_path: Path) -> None:
    async with r2(tmp_path) as worker:
        first = {"etagDoesNotMatch": "*"}
        values = [LARGE, b"small", LARGE[::-1]]
        made = await asyncio.gather(
            *(bucket(worker).put("k", value, onlyIf=first) for value in values)
        )
        (won,) = [n for n, one in enumerate(made) if one is not None]
        assert await (await bucket(worker).get("k")).bytes() == values[won]


# --- listings --------------------------------------------------------------------------------


def naive(keys: list[str], prefix: str, start: str, delimiter: str) -> list[tuple[bool, str]]:
    """Keys, and beginnings of them, in order: whether it is a key, and its text."""
    found: list[tuple[bool, str]] = []
    for key in sorted(keys, key=str.encode):
        if not key.startswith(prefix) or (start and key.encode() <= start.encode()):
            continue
        head, found_delimiter, _ = key[len(prefix) :].partition(delimiter or "\n")
        entry = (not found_delimiter, key if not found_delimiter else prefix + head + delimiter)
        if entry not in found:
            found.append(entry)
    return found


@given(st.sets(WORDS), WORDS, WORDS, st.text("a/", max_size=2), st.integers(1, 3))
def test_listing_is_that_of_the_model(
    keys: set[str], prefix: str, start: str, delimiter: str, size: int
) -> None:
    records = [Record(key, 0, 0, 0, "", "") for key in sorted(map(str.encode, keys))]

    def batch(place: bytes) -> list[Record]:
        return [it for it in records if it.key >= place and it.key.startswith(prefix.encode())][
            :size
        ]

    place = max(prefix.encode(), after(start.encode()) if start else b"")
    found = [
        (False, entry.decode()) if isinstance(entry, bytes) else (True, entry.key.decode())
        for entry, _ in listed(batch, prefix.encode(), place, delimiter.encode())
    ]
    assert found == naive(list(keys), prefix, start, delimiter)


@settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    st.sets(WORDS, max_size=12), WORDS, WORDS, st.sampled_from(["", "/", "a"]), st.integers(1, 4)
)
def test_pages_of_a_listing_are_the_listing(
    tmp_path: Path, keys: set[str], prefix: str, start: str, delimiter: str, limit: int
) -> None:
    options: dict[str, Any] = {"prefix": prefix, "delimiter": delimiter, "limit": limit}
    if start:
        options["startAfter"] = start

    async def pages() -> list[tuple[bool, str]]:
        async with r2(tmp_path) as worker:
            await asyncio.gather(*(bucket(worker).put(key, key) for key in keys))
            found: list[tuple[bool, str]] = []
            cursor, truncated = None, True
            while truncated:
                page = await bucket(worker).list(options, cursor=cursor)
                entries = [(True, one.key) for one in page.objects]
                entries += [(False, one) for one in page.delimitedPrefixes]
                assert len(entries) == limit or not page.truncated
                found += sorted(entries, key=lambda entry: entry[1].encode())
                cursor, truncated = page.get("cursor"), page.truncated
            return found

    loop = VirtualLoop()
    try:
        assert loop.run_until_complete(pages()) == naive(list(keys), prefix, start, delimiter)
    finally:
        loop.close()


@virtual
async def test_listing_has_the_metadata_that_were_asked_for(tmp_path: Path) -> None:
    async with r2(tmp_path) as worker:
        files = bucket(worker)
        await files.put("k", "x", httpMetadata={"contentType": "a/b"}, customMetadata={"n": "1"})
        plain = (await files.list()).objects[0]
        assert (plain.httpMetadata, plain.customMetadata, plain.size) == (None, None, 1)
        with pytest.raises(TypeError, match="HTTP metadata unknown for key `k`"):
            plain.writeHttpMetadata(Headers())
        some = await files.list({"include": ["customMetadata", "httpMetadata"]})
        assert (some.objects[0].httpMetadata.contentType, some.truncated) == ("a/b", False)
        assert some.objects[0].customMetadata.n == "1"
        assert (list(some.delimitedPrefixes), hasattr(some, "cursor")) == ([], False)


# --- large streams ---------------------------------------------------------------------------

MIB = 1024 * 1024


async def mebibytes(count: int) -> AsyncIterator[bytes]:
    """So many of them, in chunks of 64 KiB."""
    for n in range(count * 16):
        yield n.to_bytes(8, "big") * 8192


@pytest.mark.slow
def test_a_large_stream_takes_little_memory(tmp_path: Path) -> None:
    """48 MiB through the store on disk, a tenth of which is what its journal may have waiting."""
    worker = tmp_path / "worker"
    (worker / "src").mkdir(parents=True)
    (worker / "wrangler.toml").write_text(f'name = "app"\nmain = "src/entry.py"\n{R2}')
    (worker / "src" / "entry.py").write_text("async def on_fetch(request, env):\n    pass\n")

    async def through() -> tuple[int, bool]:
        async with WorkerRuntime(SQLiteStore(tmp_path / "data"), read_config(worker)) as runtime:
            files = vars(runtime.worker.env)["FILES"]
            tracemalloc.start()
            try:
                made = await files.put("k", ReadableStream(mebibytes(48)))
                digest = md5()
                async for chunk in (await files.get("k")).body:
                    digest.update(chunk)
                return tracemalloc.get_traced_memory()[1], digest.hexdigest() == made.etag
            finally:
                tracemalloc.stop()

    peak, same = asyncio.run(through())
    assert same
    assert peak < 20 * MIB
