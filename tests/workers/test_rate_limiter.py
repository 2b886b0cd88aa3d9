"""The Worker of examples/rate_limiter, a minute of its life at a time."""

from __future__ import annotations

from typing import Any

import pytest

from wakeful.testing.worker_harness import Response, StartWorker, WorkerHarness

pytestmark = pytest.mark.wakeful_worker("examples/rate_limiter")


@pytest.fixture
async def app(worker: StartWorker) -> WorkerHarness:
    return await worker()


async def hit(app: WorkerHarness, client: str) -> tuple[int, Any]:
    response: Response = await app.fetch(f"/{client}")
    return response.status, await response.json()


async def test_five_hits_a_minute(app: WorkerHarness) -> None:
    for left in (4, 3, 2, 1, 0):
        assert await hit(app, "ada") == (200, {"left": left})
    refused = await app.fetch("/ada")
    assert (refused.status, refused.headers["Retry-After"]) == (429, "60")
    assert await hit(app, "bob") == (200, {"left": 4})


async def test_the_window_slides(app: WorkerHarness) -> None:
    await hit(app, "ada")
    await app.advance(30)
    for _ in range(4):
        await hit(app, "ada")
    assert await hit(app, "ada") == (429, {"wait_seconds": 30})
    await app.advance(30)
    assert await hit(app, "ada") == (200, {"left": 0})
    assert await hit(app, "ada") == (429, {"wait_seconds": 30})


async def test_hits_are_kept_while_the_object_sleeps(app: WorkerHarness) -> None:
    limiter = app.env.LIMITER.getByName("ada")
    assert (await limiter.hit())["left"] == 4
    await app.evict(limiter)
    assert (await limiter.hit())["left"] == 3


async def test_a_client_that_stays_away_leaves_nothing(app: WorkerHarness) -> None:
    await hit(app, "ada")
    assert len(await app.list_durable_object_ids(app.env.LIMITER)) == 1
    await app.advance(61)
    assert await hit(app, "ada") == (200, {"left": 4})  # also while it is still awake
    await app.advance(61)
    await app.evict_all()
    assert await app.list_durable_object_ids(app.env.LIMITER) == []


async def test_nobody_in_particular(app: WorkerHarness) -> None:
    assert (await app.fetch("/")).status == 404
