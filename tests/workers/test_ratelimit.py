"""Rate limits and version metadata in `env`."""

import asyncio
from pathlib import Path

from tests.workers.running import methods, raised, running, virtual

from wakeful.workers.proxies import JsException

MORE = """
[[ratelimits]]
name = "LIMIT"
namespace_id = "1"
simple = { limit = 2, period = 10 }

[[ratelimits]]
name = "SAME"
namespace_id = "1"
simple = { limit = 3, period = 10 }

[version_metadata]
binding = "VERSION"
"""


@virtual
async def test_calls_are_counted_for_each_key_and_period(tmp_path: Path) -> None:
    async with running(tmp_path, methods("pass"), more=MORE) as worker:
        limit, same = (vars(worker.env)[name] for name in ("LIMIT", "SAME"))
        taken = [(await limit.limit({"key": "a"})).success for _ in range(3)]
        assert taken == [True, True, False]
        assert (await limit.limit(key="b")).success
        assert not (await same.limit(key="a")).success
        await asyncio.sleep(10)
        assert (await same.limit(key="a")).success
        assert "needs a key" in (await raised(limit.limit({}))).message
        assert isinstance(await raised(limit.limit()), JsException)


@virtual
async def test_a_version_is_told(tmp_path: Path) -> None:
    async with running(tmp_path, methods("pass"), more=MORE) as worker:
        version = vars(worker.env)["VERSION"]
        assert version == {
            "id": "00000000-0000-4000-8000-000000000001",
            "tag": "",
            "timestamp": "2023-11-14T22:13:20.000Z",
        }
