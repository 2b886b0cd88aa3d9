"""workerd and `wakeful serve` as processes on loopback, each with a data directory of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

HERE = Path(__file__).parent
PATIENCE = 15.0  # seconds for a process to start or stop
ANSWER = 45.0  # seconds for an answer: a row that waits for a time limit of 30 s is among them

Facts = Any
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Server(ABC):
    """One side: started, asked, ended."""

    name = ""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        data.mkdir(parents=True, exist_ok=True)
        (data / "objects").mkdir(exist_ok=True)

    @abstractmethod
    def command(self) -> list[str]:
        """What starts it on `self.port`."""

    def start(self) -> None:
        """Start on a free port; returns when it answers."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        log = self.data / "log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        deadline = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                self.ask("worker", "A2")
            except OSError:
                time.sleep(0.02)
            else:
                return
        self.end()
        raise SystemExit(f"{self.name} did not start:\n{log.read_text()[-3000:]}")

    def end(self, number: int = signal.SIGKILL) -> None:
        """Send a signal and wait for the end."""
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def ask(self, where: str, row: str, given: Mapping[str, object] | None = None) -> Facts:
        """The facts that a row comes to."""
        path = f"/{where}/{quote(row)}?{urlencode(given or {})}"
        with OPENER.open(f"http://127.0.0.1:{self.port}{path}", timeout=ANSWER) as response:
            return json.loads(response.read())


class Workerd(Server):
    """Cloudflare's runtime, with the scenarios in JavaScript."""

    name = "workerd"

    def command(self) -> list[str]:
        """See Server."""
        return [
            *(str(binary()), "serve", str(HERE / "workerd" / "config.capnp")),
            *("--socket-addr", f"http=127.0.0.1:{self.port}"),
            *("--directory-path", f"objects={self.data / 'objects'}"),
        ]


class Wakeful(Server):
    """`wakeful serve`, with the scenarios as an unchanged Python Worker."""

    name = "wakeful"

    def command(self) -> list[str]:
        """See Server."""
        code = "from wakeful.cli.main import main; main()"
        return [
            *(sys.executable, "-c", code, "serve", str(HERE / "worker")),
            *("--port", str(self.port), "--data", str(self.data / "objects")),
            *("--allow-host", "h"),  # what wire.py calls it
        ]


def binary() -> Path:
    """The workerd of npm, which is fetched if it is missing."""
    package = HERE / "workerd"
    found = sorted(package.glob("node_modules/@cloudflare/workerd-*/bin/workerd"))
    if not found:
        print("installing workerd from npm", flush=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"]
        try:
            subprocess.run(command, cwd=package, check=True, env=os.environ)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(f"workerd cannot be installed, which needs npm: {error}") from error
        found = sorted(package.glob("node_modules/@cloudflare/workerd-*/bin/workerd"))
    if not found:
        raise SystemExit("npm has no workerd for this machine")
    return found[0]


def version() -> str:
    """The version of workerd that is asked for."""
    package = json.loads((HERE / "workerd" / "package.json").read_text())
    return str(package["dependencies"]["workerd"])
