"""workerd: Cloudflare's own runtime, serving the counter of `examples/comparison`, or others.

Durability: each object is a SQLite file; workerd's output gate holds the answer back until the
write is synced, one sync per object and commit.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from bench.model import Missing
from bench.servers import HttpSubject

EXAMPLE = Path(__file__).parents[2] / "examples" / "comparison" / "cloudflare_workers"
OBJECTS = Path(__file__).with_name("objects") / "workerd"


def subject() -> HttpSubject:
    """The counter on workerd; installs the pinned npm package on first use."""
    config = EXAMPLE / "workerd" / "config.capnp"
    return served(config, ready="/ready/get", get="/o-%d/get", write="/o-%d/increment")


def served(config: Path, *, ready: str, get: str = "", write: str = "") -> HttpSubject:
    """What a configuration names; its socket is `http`, its directory `objects`."""
    binary = find_binary()

    def command(port: int, directory: Path) -> list[str]:
        data = directory / "workerd-data"
        data.mkdir(exist_ok=True)
        return [
            str(binary),
            "serve",
            str(config),
            "--socket-addr",
            f"http=127.0.0.1:{port}",
            "--directory-path",
            f"objects={data.resolve()}",
        ]

    return HttpSubject("workerd", command, ready=ready, get=get, write=write)


def find_binary() -> Path:
    """The workerd executable below the example's node_modules, installed if it is not there."""
    found = _installed()
    if found is None:
        _install()
        found = _installed()
    if found is None:
        raise Missing("the npm package workerd has no binary for this platform")
    return found


def version() -> str:
    """The pinned version."""
    package = json.loads((EXAMPLE / "package.json").read_text())
    pinned: str = package["dependencies"]["workerd"]
    return pinned


def _installed() -> Path | None:
    modules = EXAMPLE / "node_modules" / "@cloudflare"
    return next(iter(modules.glob("workerd-*/bin/workerd")), None)


def _install() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise Missing("npm is not installed, so workerd cannot be")
    done = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund"],
        cwd=EXAMPLE,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode:
        raise Missing(f"npm install of workerd failed: {done.stderr.strip()[-300:]}")
