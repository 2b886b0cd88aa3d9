"""Facts about the machine of a run: cores, versions, the disk and what an fdatasync costs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path

from bench.model import percentile

DISTRIBUTIONS = (
    "wakeful",
    "granian",
    "uvloop",
    "apsw",
    "msgspec",
    "pykka",
    "xoscar",
    "casty",
    "durable-actors",
)


def cores() -> list[int]:
    """The cores this process may run on."""
    return sorted(os.sched_getaffinity(0))


def server_core() -> int:
    """The core servers and in-process subjects are pinned to."""
    return cores()[0]


def load_core() -> int:
    """The core the load generator is pinned to: another one wherever there is another one."""
    return cores()[-1]


def fdatasync_us(directory: Path, *, rounds: int = 300) -> dict[str, float]:
    """Microseconds for a 4 KiB write and fdatasync, overwriting and appending, p50 and p99."""
    path = directory / "fdatasync.probe"
    blocks = rounds + 1
    path.write_bytes(bytes(4096 * blocks))
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
        overwrite = [_sync_us(descriptor, block) for block in range(rounds)]
        append = [_sync_us(descriptor, blocks + block) for block in range(rounds)]
    finally:
        os.close(descriptor)
        path.unlink()
    return {
        "overwrite_p50": percentile(overwrite, 50),
        "overwrite_p99": percentile(overwrite, 99),
        "append_p50": percentile(append, 50),
        "append_p99": percentile(append, 99),
    }


def _sync_us(descriptor: int, block: int) -> float:
    started = time.perf_counter_ns()
    os.pwrite(descriptor, b"\x5a" * 4096, block * 4096)
    os.fdatasync(descriptor)
    return (time.perf_counter_ns() - started) / 1000


def filesystem(directory: Path) -> str:
    """The type of the file system that holds a directory."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, fstype, *_ = line.split()
        inside = directory.resolve().is_relative_to(mount)
        if inside and len(mount) > len(best):
            best, kind = mount, fstype
    return kind


def describe(directory: Path) -> dict[str, object]:
    """Everything a reader needs to place the figures of a run."""
    return {
        "cpu": _cpu_model(),
        "cores": len(cores()),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "filesystem": filesystem(directory),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of Python, the distributions and the tools in the run."""
    found = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    found["sqlite"] = _sqlite_version()
    found["nginx"] = _tool_version("nginx", "-v")
    found["wrk"] = _tool_version("wrk", "-v")
    return found


def _sqlite_version() -> str:
    try:
        import apsw
    except ImportError:
        return "not installed"
    return str(apsw.sqlite_lib_version())


def _tool_version(tool: str, flag: str) -> str:
    path = shutil.which(tool) or shutil.which(tool, path="/usr/sbin")
    if path is None:
        return "not installed"
    done = subprocess.run([path, flag], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return lines[0].split(" Copyright")[0] if lines else "unknown"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
