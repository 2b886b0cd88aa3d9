"""Streams of the module `js` that change what goes through them."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.workers.environments import Recorded

from wakeful.workers.proxies import JsException, JsTypeError
from wakeful.workers.shims.workers_module import shim_modules
from wakeful.workers.web.pipes import Pipe

TEXT = b"some text, " * 20_000
PACKED = {
    "gzip": gzip.compress(TEXT),
    "deflate": zlib.compress(TEXT),
    "deflate-raw": zlib.compress(TEXT, wbits=-15),
}


@pytest.fixture(scope="module")
def js() -> Any:
    return shim_modules(Recorded().environment)["js"]


def chunks(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


async def through(js: Any, given: list[Any], transform: Any) -> list[Any]:
    return [chunk async for chunk in js.ReadableStream.from_(given).pipeThrough(transform)]


async def written(given: list[Any], transform: Any) -> list[Any]:
    """The same by its writable side, which waits for the reader."""
    writer = transform.writable.getWriter()

    async def write() -> None:
        for chunk in given:
            await writer.write(chunk)
        await writer.close()

    writing = asyncio.ensure_future(write())
    found = [chunk async for chunk in transform.readable]
    await writing
    return found


# --- compression -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1_000, len(TEXT)])
@pytest.mark.parametrize("format", PACKED)
async def test_what_is_packed_unpacks(js: Any, format: str, size: int) -> None:
    packed = await through(js, chunks(TEXT, size), js.CompressionStream.new(format))
    windows = {"gzip": 31, "deflate": 15, "deflate-raw": -15}
    assert zlib.decompress(b"".join(packed), wbits=windows[format]) == TEXT
    unpacked = await through(js, packed, js.DecompressionStream.new(format))
    assert b"".join(unpacked) == TEXT


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
@pytest.mark.parametrize("format", PACKED)
async def test_what_others_packed_unpacks(js: Any, format: str, size: int) -> None:
    found = await written(chunks(PACKED[format], size), js.DecompressionStream.new(format))
    assert b"".join(found) == TEXT
    assert max(map(len, found)) <= 64 * 1024


@pytest.mark.parametrize(
    ("format", "data", "message"),
    [
        ("gzip", b"no gzip at all", "Decompression failed."),
        ("deflate", PACKED["gzip"], "Decompression failed."),
        ("gzip", PACKED["gzip"][:-12], "incomplete data"),
        ("gzip", b"", "incomplete data"),
        ("gzip", PACKED["gzip"][:-8] + bytes(8), "Decompression failed."),
        ("deflate", PACKED["deflate"] + b"x", "Trailing bytes"),
        ("gzip", PACKED["gzip"] * 2, "Trailing bytes"),
    ],
)
async def test_damaged_data(js: Any, format: str, data: bytes, message: str) -> None:
    for given in ([data], chunks(data, 5)):
        with pytest.raises(JsTypeError, match=message):
            await through(js, given, js.DecompressionStream.new(format))


def test_formats_that_are_not_there(js: Any) -> None:
    for kind in (js.CompressionStream, js.DecompressionStream):
        with pytest.raises(JsTypeError, match="must be either 'deflate', 'deflate-raw' or 'gzip'"):
            kind.new("zstd")


async def test_a_bomb_is_unpacked_as_it_is_read(js: Any) -> None:
    """A thousandth of what it becomes: only what was asked for is there, and others run."""
    bomb = gzip.compress(bytes(32 * 1024 * 1024), 1)
    given = iter(chunks(bomb, 1024))
    stream = js.ReadableStream.from_(given).pipeThrough(js.DecompressionStream.new("gzip"))
    reader = stream.getReader()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.ensure_future(tick())
    found = [len((await reader.read()).value) for _ in range(20)]
    assert max(found) <= 64 * 1024
    assert ticks > 10
    assert len(list(given)) > len(bomb) // 1024 - 10  # the rest was not touched
    await reader.cancel()
    ticking.cancel()


async def test_a_writer_is_told_why_nobody_reads(js: Any) -> None:
    transform = js.DecompressionStream.new("gzip")
    writer = transform.writable.getWriter()
    await writer.write(b"no gzip")
    with pytest.raises(JsTypeError, match="Decompression failed"):
        await js.Response.new(transform.readable).bytes()
    with pytest.raises(JsTypeError, match="Decompression failed"):
        await writer.write(b"more")


# --- text --------------------------------------------------------------------------------------


async def test_texts_are_encoded(js: Any) -> None:
    given = ["a", "", "é\ud83d", "\ude00", "\ud800x", 7, "\ud83d"]
    wanted = [b"a", "é".encode(), "\U0001f600".encode(), b"\xef\xbf\xbdx", b"7", b"\xef\xbf\xbd"]
    transform = js.TextEncoderStream.new()
    assert await through(js, given, transform) == wanted
    assert await written(given, js.TextEncoderStream.new()) == wanted
    assert transform.encoding == "utf-8"


async def test_bytes_are_decoded(js: Any) -> None:
    data = "\ufeffa\U0001f600é".encode()
    transform = js.TextDecoderStream.new()
    assert "".join(await through(js, chunks(data, 1), transform)) == "a\U0001f600é"
    assert (transform.encoding, transform.fatal, transform.ignoreBOM) == ("utf-8", True, False)
    reader = (
        js.ReadableStream.from_([b"\xe9", b"t\xe9"])
        .pipeThrough(js.TextDecoderStream.new("latin1"))
        .getReader()
    )
    assert [(await reader.read()).value for _ in range(2)] == ["é", "té"]
    assert (await reader.read()).to_py() == {"done": True, "value": None}
    with pytest.raises(JsTypeError, match="Failed to decode"):
        await through(js, [b"a\xc3"], js.TextDecoderStream.new())
    assert await through(js, [b"a\xc3"], js.TextDecoderStream.new(fatal=False)) == ["a", "\ufffd"]


async def test_a_stream_of_texts_is_a_body(js: Any) -> None:
    def texts() -> Any:
        return js.ReadableStream.from_([b"a", b"\xc3\xa9"]).pipeThrough(js.TextDecoderStream.new())

    assert await js.Response.new(texts()).bytes() == "aé".encode()
    left, right = texts().tee()
    assert [text async for text in left] == ["a", "é"]
    assert await right.read_all() == "aé".encode()


# --- pipes -------------------------------------------------------------------------------------


async def test_bytes_go_through_unchanged(js: Any) -> None:
    for kind in (js.IdentityTransformStream, js.TransformStream):
        assert await through(js, [b"a", "b"], kind.new()) == [b"a", b"b"]
        with pytest.raises(JsTypeError, match="non-ArrayBuffer"):
            await through(js, [7], kind.new())


@pytest.mark.parametrize(
    ("length", "message"),
    [(1, "too many bytes through a FixedLengthStream"), (3, "did not see all expected bytes")],
)
async def test_a_fixed_length(js: Any, length: int, message: str) -> None:
    assert await through(js, [b"a", b"b"], js.FixedLengthStream.new(2)) == [b"a", b"b"]
    with pytest.raises(JsTypeError, match=message):
        await through(js, [b"a", b"b"], js.FixedLengthStream.new(length))


def test_lengths_that_cannot_be(js: Any) -> None:
    for wrong in (-1, 2**53, "x", None):
        with pytest.raises(JsTypeError, match="integer expected length"):
            js.FixedLengthStream.new(wrong)


async def test_a_transformer(js: Any) -> None:
    async def transform(chunk: Any, controller: Any) -> None:
        await asyncio.sleep(0)
        if chunk == "stop":
            controller.terminate()
        elif chunk == "fail":
            controller.error("failed")
        else:
            controller.enqueue(chunk)
            controller.enqueue({"twice": chunk})

    def made() -> Any:
        return js.TransformStream.new(
            start=lambda controller: controller.enqueue("begin"),
            transform=transform,
            flush=lambda controller: controller.enqueue("end"),
        )

    given = [1, None]
    wanted = ["begin", 1, {"twice": 1}, None, {"twice": None}, "end"]
    assert await through(js, given, made()) == wanted
    assert await written(given, made()) == wanted
    assert await through(js, [1, "stop", 2], made()) == ["begin", 1, {"twice": 1}]
    with pytest.raises(JsException, match="failed"):
        await through(js, ["fail"], made())
    only_flush = js.TransformStream.new(flush=lambda controller: controller.enqueue("!"))
    assert await through(js, ["a"], only_flush) == ["a", "!"]


async def test_pipes_one_after_the_other(js: Any) -> None:
    stream = (
        js.ReadableStream.from_(["é", "é" * 10])
        .pipeThrough(js.TextEncoderStream.new())
        .pipeThrough(js.CompressionStream.new("gzip"))
        .pipeThrough(js.DecompressionStream.new("gzip"))
        .pipeThrough(js.TextDecoderStream.new())
    )
    assert "".join([text async for text in stream]) == "é" * 11


async def test_a_source_that_fails_and_a_reader_that_leaves(js: Any) -> None:
    left: list[object] = []

    async def source() -> AsyncIterator[bytes]:
        try:
            yield b"a"
            raise ValueError("gone")
        finally:
            left.append(True)

    stream = js.ReadableStream.from_(source()).pipeThrough(js.CompressionStream.new("gzip"))
    with pytest.raises(ValueError, match="gone"):
        await stream.read_all()

    for read in (True, False):  # also one that has not begun
        left.clear()
        start = js.ReadableStream.new(pull=lambda c: c.enqueue(b"x"), cancel=left.append)
        reader = start.pipeThrough(js.IdentityTransformStream.new()).getReader()
        if read:
            await reader.read()
        await reader.cancel()
        assert (left == [None]) is read


async def test_locks_of_a_pipe(js: Any) -> None:
    source, transform = js.ReadableStream.from_([b"a"]), js.IdentityTransformStream.new()
    source.pipeThrough(transform)
    for wrong in (
        source.getReader,
        transform.writable.getWriter,
        lambda: source.pipeThrough(pipe()),
    ):
        with pytest.raises(JsTypeError, match="locked"):
            wrong()


def pipe() -> Pipe:
    return Pipe()


async def test_a_pair_that_code_has_made(js: Any) -> None:
    """Any object with the two sides will do; what is written there already comes first."""
    inner = js.IdentityTransformStream.new()
    pair = js.Object.new(writable=inner.writable, readable=inner.readable)
    assert await through(js, [b"a", b"b"], pair) == [b"a", b"b"]

    begun = js.IdentityTransformStream.new()
    writer = begun.writable.getWriter()
    await writer.write(b"first")
    writer.releaseLock()
    assert await through(js, [b"a"], begun) == [b"first", b"a"]


async def test_a_reader_that_left_before_it_read_is_told_to_the_writer(js: Any) -> None:
    transform = js.TransformStream.new()
    await transform.readable.cancel()
    with pytest.raises(JsTypeError, match="no reader"):
        await transform.writable.getWriter().write(b"x")
