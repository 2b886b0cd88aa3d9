"""Measurements that run in a child process of their own and report one JSON object."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from typing import Any

from bench.machine import server_core
from bench.model import Missing, Series
from bench.servers import pinned

MARK = "bench-result: "

Command = tuple[str, ...]  # a module and its arguments


def report(**values: object) -> None:
    """Called by the child, once, as its last act."""
    print(MARK + json.dumps({"python": platform.python_version(), **values}), flush=True)


def missing(reason: str) -> None:
    """Called by the child instead of `report` where its subject does not run here."""
    report(missing=reason)


def interpreter(module: str) -> str:
    """The Python for a module: ours, or the one named by PEER_PYTHON (CASTY_PYTHON and so on).

    A peer whose requirements do not fit beside wakeful's can be measured from its own environment.
    """
    peer = module.rpartition(".")[2].removesuffix("_ask").upper()
    return os.environ.get(f"{peer}_PYTHON", sys.executable)


def measure(module: str, *args: str, pin: bool = True, timeout_s: float = 300) -> dict[str, Any]:
    """Run `python -m module args` to its end and return what it reported."""
    command = [interpreter(module), "-m", module, *args]
    if pin:
        command = pinned(command, server_core())
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    for line in reversed(done.stdout.splitlines()):
        if line.startswith(MARK):
            values: dict[str, Any] = json.loads(line.removeprefix(MARK))
            if "missing" in values:
                raise Missing(values["missing"])
            return values
    last = (done.stderr.splitlines() or [""])[-1]
    if last.startswith("ModuleNotFoundError"):
        raise Missing(last.partition(": ")[2])
    raise RuntimeError(f"{' '.join(command)} reported nothing:\n{done.stderr[-2000:]}")


def measure_into(series: Series, command: Command, *args: str, pin: bool = True) -> None:
    """Add one run of a child to a series: its rate, or its p50 with the p99 beside it.

    A subject that is missing is asked once.
    """
    if series.missing:
        return
    try:
        seen = measure(*command, *args, pin=pin)
    except Missing as reason:
        series.missing = str(reason)
        return
    if "per_second" in seen:
        series.add(seen["per_second"])
    else:
        series.add(seen["p50_us"], p99_us=seen["p99_us"])
    if seen["python"] != platform.python_version():
        series.note = f"on Python {seen['python']}"
