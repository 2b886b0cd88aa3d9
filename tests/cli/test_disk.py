"""A server whose disk fails says so, recovers if the disk does, and else ends."""

from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any, Final

import httpx2
import pytest
from tests.cli.test_lost import increment

Launch = Callable[..., Any]  # see conftest
DISK: Final = 8

# Every fsync fails while there is a file named "dead".
DYING: Final = dedent(
    """\
    from functools import partial
    from pathlib import Path

    import apsw

    import wakeful.cli.process
    import wakeful.node
    from wakeful import Config, Limits
    from wakeful.store import checksums
    from wakeful.store.sqlite import SQLiteStore

    class File(apsw.VFSFile):
        def __init__(self, name, flags):
            super().__init__(checksums.vfs() or "", name, flags)

        def xSync(self, flags):
            if Path("dead").exists():
                raise apsw.IOError("the disk is dead")
            super().xSync(flags)

    class Disk(apsw.VFS):
        def __init__(self):
            super().__init__("dying", checksums.vfs() or "")

        def xOpen(self, name, flags):
            return File(name, flags)

    disk = Disk()
    wakeful.node.SQLiteStore = partial(SQLiteStore, vfs="dying")
    wakeful.cli.process.Config = partial(Config, limits=Limits(reopen_seconds={seconds}))
    """
)


@pytest.fixture
def dead(app: Path) -> Path:
    """While this file exists the disk fails."""
    return app.with_name("dead")


def serve(launch: Launch, reopen_seconds: float) -> Any:
    before = DYING.format(seconds=reopen_seconds)
    return launch("serve", "app.py", "--port", "0", "--data", "data", before=before)


def polled(client: httpx2.Client, url: str) -> Iterator[int]:
    """The status of the server's health, asked again and again."""
    for _ in range(20_000):
        yield client.get(f"{url}/_wakeful/health").status_code


def test_a_server_whose_disk_comes_back_goes_on(
    launch: Launch, dead: Path, client: httpx2.Client
) -> None:
    """Until then it is not ready, and refuses so that the call may be made again."""
    server = serve(launch, 60.0)
    url = server.url()
    assert increment(client, url).json() == 1
    dead.touch()
    unknown = increment(client, url)
    assert (unknown.status_code, unknown.json()["code"]) == (500, "unknown_outcome")
    refused = increment(client, url)
    assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")
    assert refused.json()["retry"] == "safe"
    assert refused.headers["retry-after"] == "1"
    health = client.get(f"{url}/_wakeful/health")
    assert health.status_code == 503
    assert health.json() == {"live": True, "ready": False, "reason": "storage_unavailable"}
    dead.unlink()
    assert 200 in polled(client, url)
    value = increment(client, url).json()
    assert value in (2, 3)
    assert server.interrupt() == 0
    again = launch("serve", "app.py", "--port", "0", "--data", "data")
    assert increment(client, again.url()).json() == value + 1
    assert again.interrupt() == 0


def test_a_server_whose_disk_stays_dead_ends(
    launch: Launch, dead: Path, client: httpx2.Client
) -> None:
    """With an exit code of its own; what it had acknowledged is there once the disk is well."""
    server = serve(launch, 0.5)
    url = server.url()
    assert increment(client, url).json() == 1
    dead.touch()
    assert increment(client, url).json()["code"] == "unknown_outcome"
    assert server.wait() == DISK
    said = server.err.rest()
    assert "error: the store could not be opened again in 0.5 s" in said
    assert "the disk is dead" in said
    dead.unlink()
    again = launch("serve", "app.py", "--port", "0", "--data", "data")
    assert increment(client, again.url()).json() in (2, 3)
    assert again.interrupt() == 0
