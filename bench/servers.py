"""Starting a server on loopback, pinned to a core, and stopping it by its pid."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.machine import server_core

READY_ATTEMPTS = 300
READY_PAUSE_S = 0.1
STOP_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class HttpSubject:
    """A server that can be measured: how to start it, and where its actions are.

    `write` and `get` are path templates with one `%d` for the number of the object; a server that
    returns a constant has one path for everything.
    """

    name: str
    command: Callable[[int, Path], list[str]]
    ready: str
    get: str
    write: str = ""
    scheme: str = "http"


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """CPU time of a process, user and system, in microseconds.

    Args:
        process: all of it, ended threads included, in steps of 10 ms.
        threads: of each thread that lives, by its number; the main thread has the process's.
    """

    process: float
    threads: dict[int, float]


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers on a loopback port."""

    subject: HttpSubject
    port: int
    pid: int

    def url(self, path: str = "") -> str:
        """An address on this server."""
        return f"{self.subject.scheme}://127.0.0.1:{self.port}{path}"

    def trust(self) -> ssl.SSLContext | None:
        """What a client needs to talk to it: it made its certificate itself."""
        return ssl._create_unverified_context() if self.subject.scheme == "https" else None

    def resident_bytes(self) -> int:
        """The resident set size of its process."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cpu_us(self) -> CpuTimes:
        """The CPU time it has used so far."""
        process = Path(f"/proc/{self.pid}")
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        threads = {
            int(task.name): int((task / "schedstat").read_text().split()[0]) / 1_000
            for task in (process / "task").iterdir()
        }
        return CpuTimes(ticks * 1_000_000 / os.sysconf("SC_CLK_TCK"), threads)


def free_port() -> int:
    """A loopback port nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def pinned(command: list[str], core: int) -> list[str]:
    """The command run on one core, where taskset exists."""
    taskset = shutil.which("taskset")
    return [taskset, "-c", str(core), *command] if taskset else command


@contextmanager
def serving(subject: HttpSubject, directory: Path) -> Iterator[RunningServer]:
    """Run a server for the length of a block; its data and its log are below `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    log_path = directory / f"{subject.name}.log"
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            pinned(subject.command(port, directory), server_core()),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    server = RunningServer(subject, port, process.pid)
    try:
        _wait_until_ready(server, process, log_path)
        yield server
    finally:
        stop(process)


def _wait_until_ready(server: RunningServer, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(READY_ATTEMPTS):
        if process.poll() is not None:
            break
        try:
            ready = server.url(server.subject.ready)
            with urllib.request.urlopen(ready, timeout=2, context=server.trust()):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(READY_PAUSE_S)
    tail = log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"{server.subject.name} did not become ready:\n{tail}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server started here, and what is left of its process group if it will not end."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
