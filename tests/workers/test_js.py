"""The module `js` beyond its plain objects: streams, signals, timers, text, bytes, crypto."""

import asyncio
import hashlib
import hmac
import math
from typing import Any

import pytest
from tests.workers.environments import Recorded
from tests.workers.running import raised, virtual

from wakeful.workers.proxies import (
    JsArrayBuffer,
    JsBytes,
    JsException,
    JsRangeError,
    JsTypeError,
    JsURIError,
)
from wakeful.workers.shims.workers_module import shim_modules
from wakeful.workers.values import copied


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
def js(recorded: Recorded) -> Any:
    return shim_modules(recorded.environment)["js"]


# --- streams ---------------------------------------------------------------------------------


async def test_what_is_written_is_read(js: Any) -> None:
    stream = js.TransformStream.new()
    writer = stream.writable.getWriter()
    written: list[int] = []

    async def pump() -> None:
        for n in range(40):
            await writer.write(js.TextEncoder.new().encode(f"{n} "))
            written.append(n)
        await writer.close()

    pumping = asyncio.ensure_future(pump())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert 0 < len(written) < 40  # the writer waits for the reader
    assert await js.Response.new(stream.readable).text() == "".join(f"{n} " for n in range(40))
    await pumping
    with pytest.raises(JsTypeError, match="closed"):
        await writer.write(b"more")
    with pytest.raises(JsTypeError, match="locked"):
        stream.writable.getWriter()
    writer.releaseLock()
    with pytest.raises(JsTypeError, match="released"):
        await writer.write(b"more")


async def test_a_writer_that_aborts_and_a_reader_that_leaves(js: Any) -> None:
    stream = js.TransformStream.new()
    writer = stream.writable.getWriter()
    await writer.write(b"half")
    await writer.abort("broken")
    with pytest.raises(JsException, match="broken"):
        await js.Response.new(stream.readable).text()

    stream = js.TransformStream.new()
    reader, writer = stream.readable.getReader(), stream.writable.getWriter()
    await writer.write("text")
    assert (await reader.read()).value == b"text"
    await reader.cancel()
    with pytest.raises(JsTypeError, match="no reader"):
        await writer.write(b"more")
    with pytest.raises(JsTypeError, match="non-ArrayBuffer"):
        await js.TransformStream.new().writable.getWriter().write(7)


async def test_a_body_is_piped(js: Any) -> None:
    stream = js.TransformStream.new()
    piping = asyncio.ensure_future(js.Response.new("body").body.pipeTo(stream.writable))
    assert await js.Response.new(stream.readable).text() == "body"
    await piping


async def test_a_source_is_asked_for_more(js: Any) -> None:
    asked: list[str] = []

    async def start(controller: Any) -> None:
        await asyncio.sleep(0)
        controller.enqueue("started ")

    async def pull(controller: Any) -> None:
        asked.append("pull")
        if len(asked) == 3:
            controller.close()
        else:
            controller.enqueue(str(len(asked)).encode())

    stream = js.ReadableStream.new(start=start, pull=pull)
    assert asked == []
    assert await js.Response.new(stream).text() == "started 12"


async def test_a_source_that_pushes(js: Any) -> None:
    held: list[Any] = []
    stream = js.ReadableStream.new({"start": held.append})
    reader = stream.getReader()
    reading = asyncio.ensure_future(reader.read())
    await asyncio.sleep(0)
    held[0].enqueue(b"x")
    assert (await reading).value == b"x"
    held[0].error("gone wrong")
    with pytest.raises(JsException, match="gone wrong"):
        await reader.read()


async def test_a_source_hears_that_the_reader_left(js: Any) -> None:
    left: list[Any] = []
    stream = js.ReadableStream.new(pull=lambda c: c.enqueue(b"x"), cancel=left.append)
    reader = stream.getReader()
    await reader.read()
    await reader.cancel()
    assert left == [None]

    async def fail(controller: Any) -> None:
        raise ValueError("never begun")

    with pytest.raises(ValueError, match="never begun"):
        await js.Response.new(js.ReadableStream.new(start=fail)).text()


# --- signals ---------------------------------------------------------------------------------


async def test_signals(js: Any) -> None:
    controller = js.AbortController.new()
    both = js.AbortSignal.any([controller.signal, js.AbortController.new().signal])
    heard: list[Any] = []

    async def listen(event: Any) -> None:
        heard.append(event.type)

    both.addEventListener("abort", listen)
    both.onabort = lambda event: heard.append(event.target is both)
    both.throwIfAborted()
    assert not both.aborted
    controller.abort("enough")
    controller.abort("again")
    await asyncio.sleep(0)
    assert (both.aborted, both.reason, heard) == (True, "enough", [True, "abort"])
    with pytest.raises(JsException, match="enough"):
        both.throwIfAborted()
    assert js.AbortSignal.any([both]).reason == "enough"
    assert js.AbortSignal.abort().reason.name == "AbortError"


@virtual
async def test_a_fetch_is_given_up(js: Any, recorded: Recorded) -> None:
    workers = shim_modules(recorded.environment)["workers"]
    patient = js.AbortSignal.timeout(1000)
    assert await (await workers.fetch("http://h/", signal=patient)).text() == "GET http://h/"

    async def never(request: Any) -> Any:
        await asyncio.sleep(60)

    started = asyncio.get_running_loop().time()
    signal = js.AbortSignal.timeout(2500)
    error = await raised(workers.fetch("http://h/", fetcher=never, signal=signal))
    assert (error.name, asyncio.get_running_loop().time() - started) == ("TimeoutError", 2.5)
    assert (await raised(js.fetch("http://h/", signal=signal))).name == "TimeoutError"


# --- timers and promises -----------------------------------------------------------------------


@virtual
async def test_timers(js: Any, recorded: Recorded) -> None:
    log: list[Any] = []

    async def later(what: str) -> None:
        log.append(what)

    js.setTimeout(later, 1000, "second")
    js.clearTimeout(js.setTimeout(later, 500, "never"))
    js.clearTimeout(None)
    again = js.setInterval(lambda: log.append("again"), 400)
    js.queueMicrotask(lambda: log.append("first"))
    await asyncio.sleep(1.1)
    js.clearInterval(again)
    await asyncio.sleep(5)
    assert log == ["first", "again", "again", "second"]
    await asyncio.gather(*recorded.waiting)
    with pytest.raises(JsTypeError, match="not of type 'Function'"):
        js.setTimeout("code")
    js.setTimeout(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        await recorded.waiting[-1]


async def test_promises(js: Any) -> None:
    async def value(n: int) -> int:
        if n < 0:
            raise ValueError(n)
        return n

    assert await js.Promise.all([value(1), 2]) == [1, 2]
    assert await js.Promise.resolve(3) == 3
    assert await js.Promise.race([asyncio.sleep(10), value(4)]) == 4
    outcomes = await js.Promise.allSettled([value(5), value(-1)])
    assert [outcome.status for outcome in outcomes] == ["fulfilled", "rejected"]
    with pytest.raises(ValueError, match="-1"):
        await js.Promise.all([value(-1)])


# --- text and bytes ----------------------------------------------------------------------------


def test_text_and_bytes(js: Any) -> None:
    assert js.TextEncoder.new().encode("é") == b"\xc3\xa9"
    decoder = js.TextDecoder.new()
    assert decoder.decode(b"\xef\xbb\xbfa\xc3", stream=True) + decoder.decode(b"\xa9") == "aé"
    assert decoder.decode(b"\xff") == "\ufffd"
    with pytest.raises(JsTypeError):
        js.TextDecoder.new("utf-8", {"fatal": True}).decode(b"\xff")
    with pytest.raises(JsRangeError, match="valid encoding"):
        js.TextDecoder.new("klingon")
    assert (js.btoa("hÿ"), js.atob(" aP8 ")) == ("aP8=", "hÿ")
    assert (await_error := _error(js.btoa, "€")).name == "InvalidCharacterError", await_error
    assert _error(js.atob, "*").name == "InvalidCharacterError"
    assert js.encodeURIComponent("a/é") == "a%2F%C3%A9"
    assert js.encodeURI("http://h/é?a=b") == "http://h/%C3%A9?a=b"
    assert js.decodeURIComponent("a%2F%C3%A9") == "a/é"
    with pytest.raises(JsURIError):
        js.decodeURIComponent("%ff")


def _error(function: Any, *args: Any) -> Any:
    with pytest.raises(JsException) as caught:
        function(*args)
    return caught.value


def test_arrays_of_bytes(js: Any) -> None:
    array = js.Uint8Array.new(4)
    array.set(b"ab", 1)
    assert (array, array.length, array.buffer) == (b"\0ab\0", 4, b"\0ab\0")
    assert (array.slice(-2), array.subarray(1, 2), array.to_bytes()) == (b"b\0", b"a", b"\0ab\0")
    array.assign(b"wxyz")
    with pytest.raises(JsRangeError):
        array.set(b"ab", 3)
    assert type(copied(array)) is JsArrayBuffer
    assert js.Uint8Array.of(1, 2) == b"\1\2"
    assert getattr(js.Uint8Array, "from")([3]) == b"\3"
    assert getattr(js.Array, "from")({"a": 1}.items(), lambda pair: pair[1]).length == 1
    assert js.Response.new(array).headers.get("content-type") is None


# --- crypto ------------------------------------------------------------------------------------


def test_random_values(js: Any) -> None:
    array = js.Uint8Array.new(2)
    assert js.crypto.getRandomValues(array) is array
    assert array == b"\0\1"
    with pytest.raises(JsTypeError, match="bytes that can change"):
        js.crypto.getRandomValues(JsBytes(2))
    assert _error(js.crypto.getRandomValues, bytearray(65537)).name == "QuotaExceededError"


async def test_digests_and_hmac(js: Any) -> None:
    subtle = js.crypto.subtle
    assert await subtle.digest("SHA-256", b"x") == hashlib.sha256(b"x").digest()
    algorithm = {"name": "HMAC", "hash": {"name": "SHA-512"}}
    key = await subtle.importKey("raw", b"secret", algorithm, False, ["sign", "verify"])
    signed = await subtle.sign("HMAC", key, b"data")
    assert signed == hmac.digest(b"secret", b"data", "sha512")
    assert await subtle.verify("HMAC", key, signed, b"data")
    assert not await subtle.verify("HMAC", key, signed, b"other")
    assert (key.type, key.algorithm.hash.name, key.extractable) == ("secret", "SHA-512", False)
    made = await subtle.generateKey({"name": "HMAC", "hash": "SHA-256"}, True, ["sign"])
    assert len(await subtle.exportKey("raw", made)) == 64
    assert subtle.timingSafeEqual(b"a", b"a")


async def test_derived_bits(js: Any) -> None:
    subtle = js.crypto.subtle
    key = await subtle.importKey("raw", b"password", "PBKDF2", False, ["deriveBits"])
    how = {"name": "PBKDF2", "hash": "SHA-256", "salt": b"salt", "iterations": 2}
    assert await subtle.deriveBits(how, key, 160) == hashlib.pbkdf2_hmac(
        "sha256", b"password", b"salt", 2, 20
    )
    # RFC 5869, test case 1
    key = await subtle.importKey("raw", b"\x0b" * 22, "HKDF", False, ["deriveBits"])
    how = {
        "name": "HKDF",
        "hash": "SHA-256",
        "salt": bytes(range(13)),
        "info": bytes(range(240, 250)),
    }
    bits = await subtle.deriveBits(how, key, 42 * 8)
    assert bits.hex().startswith("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf")
    assert bits.hex().endswith("34007208d5b887185865")


def test_members_of_objects(js: Any) -> None:
    modules = shim_modules(Recorded(NAME="v").environment)
    own, env = modules["js"], modules["workers"].env
    assert own.Object.keys(env) == ["NAME"]
    assert own.Object.entries(env) == [["NAME", "v"]]
    made = js.JSON.parse('{"a": 1, "b": [2]}')
    assert (made.object_keys(), made.object_values()) == (["a", "b"], [1, [2]])
    assert made.object_entries() == [["a", 1], ["b", [2]]]
    assert (made.as_object_map()["a"], js.Object.values(made)) == (1, [1, [2]])
    assert (made.constructor.name, made.b.constructor.name) == ("Object", "Array")
    made.constructor = "own"
    assert (made.constructor, js.Object.keys(made)) == ("own", ["a", "b", "constructor"])
    array = js.Array.of(3)
    assert (array.object_values(), js.Object.values(array)) == ([3], [3])


def test_numbers(js: Any) -> None:
    assert (js.Math.floor(1.5), js.Math.round(2.5), js.Math.round(-2.5)) == (1, 3, -2)
    assert (js.Math.max(1, 3), js.Math.min(), js.Math.abs(-1)) == (3, math.inf, 1)
    assert 0 <= js.Math.random() < 1
    assert js.performance.now() == 0
    assert js.navigator.userAgent == "Cloudflare-Workers"


def test_what_is_not_provided_says_so(js: Any) -> None:
    with pytest.raises(ImportError, match=r"js\.HTMLRewriter: wakeful does not provide"):
        _ = js.HTMLRewriter
    assert not hasattr(js, "nonsense")
    assert js.globalThis is js


async def test_streams_of_iterables(js: Any) -> None:
    async def chunks() -> Any:
        yield b"a"
        yield b"b"

    proxy = shim_modules(Recorded().environment)["pyodide.ffi"].create_proxy(chunks())
    make = getattr(js.ReadableStream, "from")
    assert await js.Response.new(make(proxy)).text() == "ab"
    assert await js.Response.new(make([b"c", b"d"])).text() == "cd"
