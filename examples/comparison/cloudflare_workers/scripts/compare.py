"""Sends the same requests to the counter on workerd and on wakeful and compares what they answer.

The two speak differently by design: other paths, and `{"count": 1}` against `1`. `System` holds
that mapping; everything else must be equal, except for what `EXPLAINED` names.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parents[1]
READY_ATTEMPTS = 150
CALLERS = 50

Answer = int | str
EXPLAINED = {
    "GET /increment": "the JavaScript never looks at the method, so a GET writes; "
    "wakeful lets GET reach @readonly methods only",
}


@dataclass
class System:
    """One of the two: how it is started, how an action is addressed, how an answer is read."""

    name: str
    command: Callable[[int, Path], list[str]]
    path: Callable[[str, str], str]
    count: Callable[[object], int]
    data: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start on a free loopback port and wait until it answers."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        log = self.data / f"{self.name}.log"
        with log.open("ab") as out:
            command = self.command(self.port, self.data)
            self.process = subprocess.Popen(command, stdout=out, stderr=out, cwd=HERE)
        for _ in range(READY_ATTEMPTS):
            if self.process.poll() is not None:
                break
            try:
                self.ask("ready", "get")
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise SystemExit(f"{self.name} did not start:\n{log.read_text()[-2000:]}")

    def stop(self, *, kill: bool = False) -> None:
        """End the process: politely, or as a power cut would."""
        if self.process is None:
            return
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def ask(self, target: str, action: str, method: str = "POST") -> Answer:
        """The count after an action, or the status where there is none."""
        url = f"http://127.0.0.1:{self.port}{self.path(target, action)}"
        request = urllib.request.Request(url, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return self.count(json.loads(response.read()))
        except urllib.error.HTTPError as error:
            error.close()
            return f"status {error.code}"


Step = tuple[str, Callable[[System], object]]


def at_once(system: System) -> object:
    """Many increments at the same time: every caller must see a count of its own, none skipped."""
    with ThreadPoolExecutor(CALLERS) as callers:
        seen = callers.map(lambda _: system.ask("busy", "increment"), range(CALLERS))
        answers = sorted(seen, key=str)
    exact = answers == sorted(range(1, CALLERS + 1), key=str)
    return f"1 to {CALLERS}, once each" if exact else answers


def restarted(system: System, *, kill: bool) -> object:
    """The count after the process has ended and another one has started on its data."""
    system.stop(kill=kill)
    system.start()
    return system.ask("busy", "get")


STEPS: list[Step] = [
    ("get, never written", lambda s: s.ask("counter-1", "get")),
    ("decrement at zero", lambda s: s.ask("counter-1", "decrement")),
    ("increment", lambda s: s.ask("counter-1", "increment")),
    ("increment", lambda s: s.ask("counter-1", "increment")),
    ("decrement", lambda s: s.ask("counter-1", "decrement")),
    ("get", lambda s: s.ask("counter-1", "get")),
    ("get by GET", lambda s: s.ask("counter-1", "get", "GET")),
    ("unknown action", lambda s: s.ask("counter-1", "explode")),
    ("get of another object", lambda s: s.ask("counter-2", "get")),
    ("GET /increment", lambda s: s.ask("counter-2", "increment", "GET")),
    (f"{CALLERS} increments at once", at_once),
    ("get after them", lambda s: s.ask("busy", "get")),
    ("get after a restart", lambda s: restarted(s, kill=False)),
    ("increment after it", lambda s: s.ask("busy", "increment")),
    ("get after kill -9", lambda s: restarted(s, kill=True)),
    ("counter-1 after both", lambda s: s.ask("counter-1", "get")),
]


def systems(workerd: str, data: Path) -> tuple[System, System]:
    """Both systems, not started, with directories of their own."""
    wakeful = Path(sys.executable).with_name("wakeful")
    command = str(wakeful) if wakeful.exists() else shutil.which("wakeful") or "wakeful"
    directories = (data / "workerd", data / "wakeful")
    for directory in directories:
        directory.mkdir()

    def serve_workerd(port: int, directory: Path) -> list[str]:
        address, objects = f"http=127.0.0.1:{port}", f"objects={directory}"
        given = ["--socket-addr", address, "--directory-path", objects]
        return [workerd, "serve", "workerd/config.capnp", *given]

    def serve_wakeful(port: int, directory: Path) -> list[str]:
        given = ["--host", "127.0.0.1", "--port", str(port), "--data", str(directory / "data")]
        return [command, "serve", "app.py", *given]

    return (
        System(
            "workerd",
            serve_workerd,
            path=lambda target, action: f"/{target}/{action}",
            count=lambda value: value["count"],  # type: ignore[index]
            data=directories[0],
        ),
        System(
            "wakeful",
            serve_wakeful,
            path=lambda target, action: f"/actors/Counter/{target}/{action}",
            count=lambda value: value,  # type: ignore[arg-type, return-value]
            data=directories[1],
        ),
    )


def main(workerd: str) -> int:
    """Run every step on both, print the table, and say what differs and why."""
    differing: list[str] = []
    print(f"{'request':<26} {'workerd':<22} {'wakeful':<22} verdict")
    with tempfile.TemporaryDirectory() as data:
        pair = systems(workerd, Path(data).resolve())
        try:
            for system in pair:
                system.start()
            for label, step in STEPS:
                left, right = (step(system) for system in pair)
                explained = label in EXPLAINED
                verdict = "same" if left == right else "explained" if explained else "DIFFERS"
                print(f"{label:<26} {left!s:<22} {right!s:<22} {verdict}")
                if left != right and not explained:
                    differing.append(label)
        finally:
            for system in pair:
                system.stop()
    print("\nDifferent by design, and mapped before comparing:")
    print("  paths     /<object>/<action>  |  /actors/Counter/<object>/<action>")
    print('  answers   {"count": 1}  |  1')
    for label, reason in EXPLAINED.items():
        print(f"  {label}: {reason}")
    if differing:
        print(f"\nNot explained: {', '.join(differing)}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
