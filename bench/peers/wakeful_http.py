"""wakeful over HTTP: `wakeful serve` with the counter of `examples/comparison`.

Durability: group commit, one fsync per batch, before any answer that it holds leaves.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from bench.model import Missing
from bench.servers import HttpSubject

APP = Path(__file__).parents[2] / "examples" / "comparison" / "cloudflare_workers" / "app.py"


def subject() -> HttpSubject:
    """The counter on wakeful, by the command its users type."""
    executable = Path(sys.executable).with_name("wakeful")
    if importlib.util.find_spec("wakeful") is None or not executable.exists():
        raise Missing("wakeful is not installed in this environment")

    def command(port: int, directory: Path) -> list[str]:
        data = directory / "wakeful-data"
        return [
            str(executable), "serve", str(APP),
            "--host", "127.0.0.1", "--port", str(port), "--data", str(data),
        ]  # fmt: skip

    return HttpSubject(
        "wakeful",
        command,
        ready="/_wakeful/health",
        get="/actors/Counter/o-%d/get",
        increment="/actors/Counter/o-%d/increment",
    )
