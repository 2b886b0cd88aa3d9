"""wakeful over HTTP: `wakeful serve` with the counter of `examples/comparison`, or something else.

Durability: group commit, one fsync per batch, before any answer that it holds leaves.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from bench.model import Missing
from bench.servers import HttpSubject

EXAMPLES = Path(__file__).parents[2] / "examples"
APP = EXAMPLES / "comparison" / "cloudflare_workers" / "app.py"
WORKER_COUNTER = EXAMPLES / "worker_counter"
OBJECTS = Path(__file__).with_name("objects")
READY = "/_wakeful/health"


def subject() -> HttpSubject:
    """The counter on wakeful, by the command its users type."""
    return served(
        "wakeful", APP, get="/actors/Counter/o-%d/get", write="/actors/Counter/o-%d/increment"
    )


def served(name: str, target: Path, *, get: str = "", write: str = "") -> HttpSubject:
    """A file of actors or the directory of a Worker, under a name; where its actions are."""
    executable = Path(sys.executable).with_name("wakeful")
    if importlib.util.find_spec("wakeful") is None or not executable.exists():
        raise Missing("wakeful is not installed in this environment")

    def command(port: int, directory: Path) -> list[str]:
        data = directory / "wakeful-data"
        return [
            str(executable), "serve", str(target),
            "--host", "127.0.0.1", "--port", str(port), "--data", str(data),
        ]  # fmt: skip

    return HttpSubject(name, command, ready=READY, get=get, write=write)


def over_tls() -> HttpSubject:
    """The counter over TLS, with a certificate made for the run."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise Missing("openssl is not installed, so there is no certificate")
    plain = subject()

    def command(port: int, directory: Path) -> list[str]:
        cert, key = directory / "cert.pem", directory / "key.pem"
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        files = ["-keyout", str(key), "-out", str(cert), "-days", "1"]
        made = [openssl, "req", "-x509", *curve, "-nodes", *files, "-subj", "/CN=127.0.0.1"]
        subprocess.run(made, check=True, capture_output=True)
        return [*plain.command(port, directory), "--tls-cert", str(cert), "--tls-key", str(key)]

    return replace(plain, name="wakeful over TLS", command=command, scheme="https")
