"""The `wakeful` command as a process of its own, listened to line by line."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, Queue
from textwrap import dedent
from typing import IO, Final

import httpx2
import pytest

PATIENCE: Final = 10.0  # seconds until a line that does not come is given up


class Lines:
    """The lines of a pipe, as they come."""

    def __init__(self, pipe: IO[str]) -> None:
        self.seen: list[str] = []
        self._queue: Queue[str | None] = Queue()
        self._thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._thread.start()

    def _read(self, pipe: IO[str]) -> None:
        with pipe:
            for line in pipe:
                self._queue.put(line.rstrip("\n"))
        self._queue.put(None)

    def until(self, pattern: str) -> re.Match[str]:
        """Read on to the next line that matches."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                line = self._queue.get(timeout=max(0, deadline - time.monotonic()))
            except Empty:
                line = None
            assert line is not None, f"no line matches {pattern!r}; there were {self.seen}"
            self.seen.append(line)
            if found := re.search(pattern, line):
                return found

    def rest(self) -> str:
        """All lines, to the end of the process."""
        self._thread.join(PATIENCE)
        while not self._queue.empty():
            if (line := self._queue.get()) is not None:
                self.seen.append(line)
        return "\n".join(self.seen)


class Command:
    """A running `wakeful ...`."""

    def __init__(
        self, args: tuple[str, ...], cwd: Path, before: str = "", env: dict[str, str] | None = None
    ) -> None:
        code = f"{before}\nfrom wakeful.cli.main import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *args],
            cwd=cwd,
            env={**os.environ, "COLUMNS": "200", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.out = Lines(self.process.stdout)
        self.err = Lines(self.process.stderr)

    def url(self) -> str:
        """Where it serves; returns when it does."""
        return self.out.until(r"serving .* on (http://\S+)")[1]

    def interrupt(self, number: int = signal.SIGINT) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """The exit code, once it has ended."""
        return self.process.wait(PATIENCE)


Launch = Callable[..., Command]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Starts `wakeful ...` in the test's directory; what still runs at the end is killed."""
    running: list[Command] = []

    def launch(
        *args: str | Path,
        cwd: Path = tmp_path,
        before: str = "",
        env: dict[str, str] | None = None,
    ) -> Command:
        running.append(Command(tuple(map(str, args)), cwd, before, env))
        return running[-1]

    yield launch
    for command in running:
        command.process.kill()
    for command in running:
        command.process.wait()
        command.out.rest()
        command.err.rest()


@pytest.fixture
def client() -> Iterator[httpx2.Client]:
    with httpx2.Client(trust_env=False, timeout=PATIENCE) as client:
        yield client


COUNTER: Final = dedent(
    """\
    from wakeful import DurableObject, readonly

    class Counter(DurableObject):
        count: int = 0

        async def increment(self, by: int = 1) -> int:
            self.count += by
            return self.count

        async def divide(self, by: int) -> float:
            self.count = 1_000
            return 1 / by

        @readonly
        async def get(self) -> int:
            return self.count
    """
)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A counter in app.py."""
    file = tmp_path / "app.py"
    file.write_text(COUNTER)
    return file
