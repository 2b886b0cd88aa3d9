"""Packages in `python_modules`, where `pywrangler sync` puts them: built for Cloudflare's Python.

Packages in pure Python run here as they are. Others are WebAssembly, which does not run here, and
packages that depend on them need their version. So if there is WebAssembly, installed packages come
before vendored ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from wakeful.workers.config.wrangler import WranglerConfig

VENDORED: Final = "python_modules"
WASM: Final = b"\0asm"  # what each file of WebAssembly begins with
INSTALL: Final = (
    ". If it is a package, install it where wakeful is (pip install ...), or put it into "
    f"{VENDORED}"
)


def vendored(config: WranglerConfig) -> list[Path]:
    """Return the directories of a Worker that hold packages."""
    places = dict.fromkeys([config.entry.parent, config.directory.resolve()])
    return [path for place in places if (path := place / VENDORED).is_dir()]


def has_wasm(directory: Path) -> bool:
    """Whether a file in a directory is built for WebAssembly."""
    return any(_begins(file) == WASM for file in directory.rglob("*.so"))


def hint(config: WranglerConfig, error: BaseException) -> str:
    """Return a hint at what to do about a failed import, to follow the error's text."""
    if not isinstance(error, ImportError):
        return ""
    for directory in vendored(config):
        package = _package(error, directory)
        if package is not None and has_wasm(directory / package):
            return (
                f". {VENDORED} has {package} built for Cloudflare's Python: install it where "
                "wakeful is (pip install ...)"
            )
    missing = isinstance(error, ModuleNotFoundError) and error.name and "." not in error.name
    return INSTALL if missing else ""


def _begins(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(len(WASM))


def _package(error: BaseException, directory: Path) -> str | None:
    """Return the package in a directory whose code has raised."""
    found, trace = None, error.__traceback__
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.is_relative_to(directory):
            found = file.relative_to(directory).parts[0]
        trace = trace.tb_next
    return found
