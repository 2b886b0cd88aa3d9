"""The processes that are killed: a real server under HTTP load, and a runtime that talks to itself.

Each victim is started on a data directory, says what it found there, works under load until it is
killed, and leaves in the tally what was called and what was acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tempfile
from abc import ABC, abstractmethod
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final

import msgspec
from tests.crash.tally import ALARM_TRIES, ALARM_TRY_SECONDS, Found, Tally, all_rang
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

ROOT: Final = Path(__file__).parents[2]
APP: Final = Path(__file__).with_name("app.py")
WORKER: Final = Path(__file__).with_name("worker")
START_SECONDS: Final = 15.0
SERVE: Final = "from wakeful.cli.main import main; main()"

PLACES: Final = 5  # the numbers a counter says of itself


class Victim(ABC):
    """A child process that works until it is killed."""

    name: str

    @abstractmethod
    async def start(self) -> Found:
        """Start, and say what is there."""

    @abstractmethod
    async def work(self) -> None:
        """Be under load, until killed."""

    @abstractmethod
    def rest(self) -> None:
        """Take the load away, if that is possible."""

    def __init__(self, directory: Path, tally: Tally, random: Random, counters: int) -> None:
        self._directory = directory
        self._tally = tally
        self._random = random
        self._counters = counters
        self._process: Process | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed when it has gone)

    @property
    def process(self) -> Process:
        """The child, once it is started."""
        assert self._process is not None
        return self._process

    async def spawn(self, *words: str) -> Process:
        """Start Python."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, *words),
            cwd=ROOT,
            stdout=PIPE,
            stderr=self._errors,
            limit=2**22,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        return self._process

    async def line(self) -> str:
        """The next line it says; an error with its stderr if it ends instead."""
        assert self.process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            line = (await self.process.stdout.readline()).decode()
        if not line:
            await self.process.wait()
            self._errors.seek(0)
            raise ChildProcessError(self._errors.read().decode())
        return line

    def kill(self, number: int) -> None:
        """Send a signal."""
        if self.process.returncode is None:
            self.process.send_signal(number)

    async def gone(self) -> int:
        """Wait for the end."""
        status = await self.process.wait()
        self._errors.close()
        return status


class Embedded(Victim):
    """child.py: a runtime in its own process, which writes down what it is told."""

    name = "embedded"
    CALLERS: Final = 32

    def rest(self) -> None:
        """It is its own load."""

    async def start(self) -> Found:
        seed = self._random.randrange(2**30)
        words = (str(self._directory), str(self.CALLERS), str(self._counters), str(seed))
        await self.spawn("-m", "tests.crash.child", *words)
        ready, *numbers = (await self.line()).split()
        assert ready == "ready"
        values = iter([int(number) for number in numbers])
        found = zip(*[values] * PLACES, strict=True)
        return {f"c{number}": places for number, places in enumerate(found)}

    async def work(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            # The last line may be cut off: then it was not said.
            match line.decode().split(" ") if line.endswith(b"\n") else []:
                case ["+", number]:
                    self._tally.call(f"c{int(number)}")
                case ["=", number, value]:
                    self._tally.acknowledge(f"c{number}", int(value))


class Served(Victim):
    """`wakeful serve`, and clients on keep-alive connections."""

    name = "served"
    target = APP
    CLIENTS: Final = 18
    TALKERS = 6
    _resting = False

    def rest(self) -> None:
        """No client calls again."""
        self._resting = True

    async def listen(self, port: int = 0) -> None:
        """Start the server, and return once it listens."""
        await self.spawn(
            *("-c", SERVE, "serve", str(self.target)),
            *("--host", "127.0.0.1", "--port", str(port), "--data", str(self._directory)),
        )
        serving = re.search(r"http://127\.0\.0\.1:(\d+)", await self.line())
        assert serving is not None
        self.port = int(serving[1])

    async def start(self) -> Found:
        await self.listen()
        for _ in range(ALARM_TRIES):
            found = await self._look()
            if all_rang(found):
                break
            await asyncio.sleep(ALARM_TRY_SECONDS)
        return found

    async def _look(self) -> Found:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        found = {}
        for number in range(self._counters):
            status, body = await request(reader, writer, f"GET /actors/Counter/c{number}/get")
            assert status == 200, body
            found[f"c{number}"] = msgspec.json.decode(body, type=tuple[int, ...])
        writer.close()
        return found

    async def work(self) -> None:
        async with asyncio.TaskGroup() as clients:
            for _ in range(self.CLIENTS):
                clients.create_task(self._client())
            for _ in range(self.TALKERS):
                clients.create_task(self._talk())

    async def _talk(self) -> None:
        """Increment over a WebSocket until it breaks: each frame is an answer."""
        counter = f"c{self._random.randrange(self._counters)}"
        address = f"ws://127.0.0.1:{self.port}/actors/Counter/{counter}/enter"
        with suppress(OSError, EOFError, WebSocketException):
            async with connect(address, compression=None) as socket:
                while not self._resting:
                    self._tally.call(counter)
                    await socket.send("increment")
                    self._tally.acknowledge(counter, int(await socket.recv()))
                await socket.wait_closed()

    async def _client(self) -> None:
        """Increment until the connection breaks."""
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._increment(reader, writer)
            writer.close()

    async def _increment(self, reader: StreamReader, writer: StreamWriter) -> None:
        while not self._resting:
            counter = f"c{self._random.randrange(self._counters)}"
            self._tally.call(counter)
            path = f"POST /actors/Counter/{counter}/increment"
            status, body = await request(reader, writer, path)
            if status == 200:
                self._tally.acknowledge(counter, msgspec.json.decode(body, type=int))
        await reader.read()  # until the connection breaks


class ServedWorker(Served):
    """The same, of a Worker; it has no WebSockets."""

    name = "worker"
    target = WORKER
    TALKERS = 0


async def request(reader: StreamReader, writer: StreamWriter, line: str) -> tuple[int, bytes]:
    """One request on a connection that stays open: status and body."""
    writer.write(f"{line} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = re.search(r"content-length: (\d+)", head)
    body = await reader.readexactly(int(length[1])) if length is not None else b""
    return int(head.split(" ", 2)[1]), body


async def kill_at_random(victim: Victim, random: Random, seconds_max: float) -> str:
    """End a working victim without mercy: under load, while it closes, or at rest; says when."""
    await asyncio.sleep(random.random() * seconds_max)
    when = random.choice(("at work", "at work", "closing", "at rest"))
    if when == "closing":
        victim.kill(signal.SIGTERM)
    elif when == "at rest":  # when the journal is folded
        victim.rest()
    if when != "at work":
        await asyncio.sleep(random.random() * 0.2)
    victim.kill(signal.SIGKILL)
    await victim.gone()
    return when
