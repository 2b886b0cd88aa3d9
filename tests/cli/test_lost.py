"""A server whose data directory is taken away ends; another one on the path is not disturbed."""

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from wakeful.runtime.ownership import TERM_NS

Launch = Callable[..., Any]  # see conftest
LOST: Final = 7


def increment(client: httpx2.Client, url: str) -> httpx2.Response:
    return client.post(f"{url}/actors/Counter/c1/increment")


def serve(launch: Launch) -> Any:
    return launch("serve", "app.py", "--port", "0", "--data", "data")


def deleted(data: Path) -> None:
    shutil.rmtree(data)


def renamed(data: Path) -> None:
    data.rename(data.with_name("elsewhere"))


def copied(data: Path) -> None:
    """An older state of it is put in its place."""
    shutil.copytree(data, data.with_name("copy"))
    renamed(data)
    data.with_name("copy").rename(data)


@pytest.mark.parametrize(("lose", "found"), [(deleted, 1), (renamed, 1), (copied, 2)])
def test_a_server_without_its_directory_ends(
    launch: Launch, app: Path, client: httpx2.Client, lose: Callable[[Path], None], found: int
) -> None:
    """With an exit code of its own, so that it is started again; what it refused is not there."""
    server = serve(launch)
    url = server.url()
    assert increment(client, url).json() == 1
    lose(app.with_name("data"))
    refused = increment(client, url)
    assert (refused.status_code, refused.json()["code"]) == (503, "directory_lost")
    assert refused.json()["retry"] == "only-if-idempotent"
    assert server.wait() == LOST
    said = server.err.rest()
    assert "error: " in said
    assert str(app.with_name("data")) in said
    again = serve(launch)
    assert increment(client, again.url()).json() == found
    assert again.interrupt() == 0


@pytest.mark.parametrize(
    ("lose", "end"), [(deleted, None), (renamed, signal.SIGTERM), (copied, signal.SIGKILL)]
)
def test_one_of_two_servers_acknowledges(
    launch: Launch,
    app: Path,
    client: httpx2.Client,
    lose: Callable[[Path], None],
    end: signal.Signals | None,
) -> None:
    """The one whose directory is at the path, whatever becomes of the other; it is then killed."""
    first = serve(launch)
    old = first.url()
    assert increment(client, old).json() == 1
    lose(app.with_name("data"))
    second = serve(launch)
    url = second.url()
    begun = increment(client, url).json()
    if end is None:
        assert increment(client, old).status_code == 503
        assert first.wait() == LOST
    else:
        first.interrupt(end)
    assert increment(client, url).json() == begun + 1
    pid = json.loads((app.with_name("data") / "server.json").read_text())["pid"]
    assert pid == second.process.pid
    second.interrupt(signal.SIGKILL)
    third = serve(launch)
    assert increment(client, third.url()).json() == begun + 2
    assert third.interrupt() == 0


def test_a_paused_server_whose_directory_was_taken_over_does_not_answer_from_memory(
    launch: Launch, app: Path, client: httpx2.Client
) -> None:
    """It reads only; the other one, on the same files, has written meanwhile."""
    first = serve(launch)
    old = first.url()
    assert increment(client, old).json() == 1
    assert client.get(f"{old}/actors/Counter/c1/get").json() == 1
    first.process.send_signal(signal.SIGSTOP)
    stopped_ns = time.monotonic_ns()
    (app.with_name("data") / "lock").unlink()
    second = serve(launch)
    url = second.url()
    assert increment(client, url).json() == 2
    assert time.monotonic_ns() > stopped_ns + TERM_NS, "a server has started faster than a term"
    first.process.send_signal(signal.SIGCONT)
    refused = client.get(f"{old}/actors/Counter/c1/get")
    assert (refused.status_code, refused.json()["code"]) == (503, "directory_lost")
    assert first.wait() == LOST
    assert client.get(f"{url}/actors/Counter/c1/get").json() == 2
    assert second.interrupt() == 0
