"""A server whose data directory is gone answers nothing from memory, and is not ready."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from tests.http.actors import Counter
from tests.runtime.test_ownership import SetClock

from wakeful import Runtime
from wakeful.runtime.ownership import TERM_NS

HEALTH = "/_wakeful/health"


@pytest.fixture
async def lost(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a server that has answered, and whose directory is gone since a while."""
    clock = SetClock()
    async with (
        Runtime(tmp_path / "data", [Counter], clock=clock) as rt,
        httpx2.AsyncClient(base_url=rt.serve(port=0).url, trust_env=False) as client,
    ):
        await client.post("/actors/Counter/c/increment")
        assert (await client.get("/actors/Counter/c/get")).json() == 1
        assert (await client.get(HEALTH)).json() == {"live": True, "ready": True}
        (tmp_path / "data").rename(tmp_path / "elsewhere")
        clock.at_ns += TERM_NS
        yield client


async def test_health_says_so_though_nobody_has_called(lost: httpx2.AsyncClient) -> None:
    answer = await lost.get(HEALTH)
    assert answer.status_code == 503
    assert answer.json() == {"live": True, "ready": False, "reason": "directory_lost"}
    metrics = (await lost.get("/_wakeful/metrics")).text
    assert 'wakeful_lease_held{lane="0"} 0.0' in metrics


@pytest.mark.parametrize(
    "path",
    [
        "/actors/Counter/c/get",
        "/actors/Counter/another/get",
        "/_wakeful/actors",
        "/_wakeful/actors?type=Counter",
        "/_wakeful/actors/Counter/c",
    ],
)
async def test_nothing_is_read(lost: httpx2.AsyncClient, path: str) -> None:
    for _ in range(2):
        answer = await lost.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "directory_lost")


async def test_nothing_is_written(lost: httpx2.AsyncClient) -> None:
    answer = await lost.post("/actors/Counter/c/increment")
    assert (answer.status_code, answer.json()["code"]) == (503, "directory_lost")
