"""A server whose forked children outlive it can be started again: they hold nothing of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from tests.crash.tally import Tally
from tests.crash.victims import Served, request

from wakeful import Runtime
from wakeful.store.lock import DirectoryLock

pytestmark = pytest.mark.crash


class Forking(Served):
    """A server whose actor forks."""

    target = Path(__file__).with_name("forking_app.py")


@pytest.fixture
def orphans() -> Iterator[list[int]]:
    """Pids of children whose parents have been killed."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


@contextmanager
def ended(pid: int) -> Iterator[asyncio.Event]:
    """An event that the end of a process sets; `Process.wait` waits for its pipes too."""
    loop, end, descriptor = asyncio.get_running_loop(), asyncio.Event(), os.pidfd_open(pid)
    loop.add_reader(descriptor, end.set)
    try:
        yield end
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def test_a_killed_server_whose_children_live_starts_again(
    tmp_path: Path, orphans: list[int]
) -> None:
    """On the same directory and the same port; and its clients hear that it has gone."""
    first = Forking(tmp_path / "data", Tally(), Random(0), counters=1)
    await first.listen()
    reader, writer = await asyncio.open_connection("127.0.0.1", first.port)
    _, said = await request(reader, writer, "POST /actors/Worker/a/fork")
    orphans.append(int(said))
    with ended(first.process.pid) as end:
        first.kill(signal.SIGKILL)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
            await end.wait()
    writer.close()
    second = Forking(tmp_path / "data", Tally(), Random(0), counters=1)
    await second.listen(first.port)
    reader, writer = await asyncio.open_connection("127.0.0.1", second.port)
    assert await request(reader, writer, "POST /actors/Worker/a/get") == (200, b"1")
    writer.close()
    second.kill(signal.SIGKILL)
    await second.gone()
    os.kill(orphans.pop(), signal.SIGKILL)
    assert first.process.stdout is not None
    await first.process.stdout.read()  # until the pipe, which the child had too, is closed
    await first.gone()


def test_a_forked_child_leaves_the_lock_to_its_parent(tmp_path: Path) -> None:
    """It gives up its descriptor, not the lock."""
    lock = DirectoryLock(tmp_path)
    lock.acquire()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if _targets(str(tmp_path)) == [] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    code = "import sys; from wakeful.store.lock import DirectoryLock; from pathlib import Path;"
    code += "DirectoryLock(Path(sys.argv[1])).acquire()"
    second = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert f"in use by process {os.getpid()}" in second.stderr
    lock.release()


async def test_a_forked_child_has_nothing_of_the_directory_open(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "data", actors=[]):
        assert _targets(str(tmp_path)) != []
        pid = os.fork()
        if pid == 0:
            os._exit(len(_targets(str(tmp_path))))
        _, status = await asyncio.to_thread(os.waitpid, pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0


def test_a_program_that_is_started_has_no_descriptor(tmp_path: Path) -> None:
    """Everything is closed on exec, whatever is said to subprocess."""
    code = """if True:
        import asyncio, os, subprocess, sys
        from wakeful import DurableObject, Runtime
        class Counter(DurableObject):
            count: int = 0
            async def add(self) -> int:
                self.count += 1
                return self.count
        async def main():
            async with Runtime(sys.argv[1], actors=[Counter]) as rt:
                server = rt.serve(port=0)
                await rt.get(Counter, "a").add()
                subprocess.run(["ls", "-l", "/proc/self/fd"], close_fds=False)
        asyncio.run(main())
    """
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "data")],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "/proc/" in said
    assert "partition" not in said
    assert "lock" not in said
    assert "socket:" not in said


def _targets(directory: str) -> list[str]:
    """What this process has open below a directory."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # that of the listing
        if target.startswith(directory):
            found.append(target)
    return found
