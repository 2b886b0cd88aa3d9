"""Requests made up from our own OpenAPI document, good ones and bad ones, by schemathesis."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.generation.case import Case
from tests.http.actors import serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

EXAMPLES = 10  # for each operation and mode
ORDINARY = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server in a thread of its own: the client that schemathesis brings is synchronous."""
    path: Path = tmp_path_factory.mktemp("data")
    started = threading.Event()
    stop = asyncio.Event()
    found: list[tuple[asyncio.AbstractEventLoop, str]] = []

    async def main() -> None:
        async with serving(path) as it:
            found.append((asyncio.get_running_loop(), it.server.url))
            started.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert started.wait(10)
    loop, address = found[0]
    yield address
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_makes_an_answer_that_is_not_documented(url: str, mode: GenerationMode) -> None:
    """Never a 500 that is ours, always a documented status, content type and shape."""
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    with requests.Session() as session:
        for found in schema.get_all_operations():
            operation = found.ok()

            @ORDINARY
            @given(case=operation.as_strategy(mode))
            def check(case: Case) -> None:
                answer = case.call(session=session)
                if answer.status_code >= 500:
                    assert b"internal_error" not in answer.content
                    assert answer.json()["code"] in OF_THE_ACTOR
                elif not any(text in answer.content for text in BEYOND_SCHEMA):
                    case.validate_response(answer)

            with suppress(Unsatisfiable):  # nothing can be wrong where nothing is asked for
                check()


# Refusals that schemathesis does not expect: 5.0 is no int here, "format" is more than a hint, and
# 413 is a refusal too.
BEYOND_SCHEMA = (b"expected int, got float", b"Invalid ", b"payload_too_large", b"not on Sundays")
# What Probe does on purpose.
OF_THE_ACTOR = ("actor_raised", "actor_aborted", "invalid_result")
