"""`caches`: what is kept, for how long, and what goes first."""

from typing import Any

import pytest

from wakeful.workers.proxies import JsTypeError
from wakeful.workers.web import caches as module
from wakeful.workers.web.caches import CacheStorage
from wakeful.workers.web.requests import JsRequest, Request
from wakeful.workers.web.responses import JsResponse, Response

URL = "http://h/a?b#c"


class Clock:
    ms = 1_000_000

    def now(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def caches(clock: Clock) -> CacheStorage:
    return CacheStorage(clock.now)


def answer(text: str = "x", **headers: str) -> JsResponse:
    return JsResponse(
        text, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


async def kept(cache: Any, url: object = URL) -> str | None:
    response = await cache.match(url)
    return None if response is None else await response.text()


async def test_responses_by_their_url(caches: CacheStorage) -> None:
    cache = caches.default
    await cache.put(Request(URL), Response("one", 404, headers={"X-A": "b"}))
    response = await cache.match("http://h/a?b")
    assert (response.status, await response.text()) == (404, "one")
    assert (response.headers.get("x-a"), response.headers.get("cf-cache-status")) == ("b", "HIT")
    assert await kept(cache) == "one"  # a body can be read again and again
    assert await kept(cache, "http://h/a") is None
    assert await kept(await caches.open("other")) is None
    post = JsRequest(URL, method="POST")
    assert await cache.match(post) is None
    assert (await cache.match(post, {"ignoreMethod": True})) is not None
    assert await cache.delete(URL)
    assert not await cache.delete(URL)
    assert await kept(cache) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 7200),
        ({"cache_control": "public, max-age=60"}, 60),
        ({"cache_control": "max-age=60, s-maxage=90"}, 90),
        ({"cache_control": "max-age=x"}, 0),
        ({"cache_control": "no-store"}, 0),
        ({"cache_control": "private, max-age=60"}, 0),
        ({"set_cookie": "a=b", "cache_control": "max-age=60"}, 0),
        ({"expires": "Thu, 01 Jan 1970 00:17:00 GMT"}, 20),
        ({"expires": "0"}, 0),
    ],
)
async def test_how_long(
    caches: CacheStorage, clock: Clock, headers: dict[str, str], seconds: int
) -> None:
    await caches.default.put(URL, answer(**headers))
    if seconds:
        clock.ms += seconds * 1000 - 1
        assert await kept(caches.default) == "x"
        clock.ms += 1
    assert await kept(caches.default) is None


async def test_what_cannot_be_kept(caches: CacheStorage) -> None:
    cache = caches.default
    with pytest.raises(JsTypeError, match="non-GET"):
        await cache.put(JsRequest(URL, method="POST"), answer())
    with pytest.raises(JsTypeError, match="206"):
        await cache.put(URL, JsResponse("x", status=206))
    with pytest.raises(JsTypeError, match="Vary"):
        await cache.put(URL, answer(vary="*"))
    await cache.put(URL, JsResponse("x", status=500))
    assert await kept(cache) is None


async def test_who_has_not_been_asked_for_goes_first(
    caches: CacheStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BYTES_MAX", 10)
    cache = caches.default
    await cache.put("http://h/1", answer("1234"))
    await cache.put("http://h/2", answer("1234"))
    assert await kept(cache, "http://h/1") == "1234"
    await cache.put("http://h/3", answer("1234"))
    await cache.put("http://h/4", answer("too much for it"))
    found = [await kept(cache, f"http://h/{n}") is not None for n in (1, 2, 3, 4)]
    assert found == [True, False, True, False]
