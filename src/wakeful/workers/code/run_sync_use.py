"""Detects code that may import `run_sync` later than at its start: in a function, for example.

Only a Worker that asks for `run_sync` gets stacks (see stacks), and an event that has begun without
one cannot get it. So the text of the Worker's files is searched when it is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

WORDS: Final = (b"run_sync", b"pyodide")  # anyio has a run_sync too
SKIPPED: Final = frozenset({"node_modules", "__pycache__"})
ENVIRONMENT: Final = "pyvenv.cfg"  # in a virtual environment
FILES_MAX: Final = 20_000  # a directory with more is taken to ask for it


def mentions_run_sync(directories: Iterable[Path]) -> bool:
    """Whether a Python file in one of the directories contains `run_sync` and `pyodide`."""
    seen = 0
    for directory in directories:
        for file in _files(directory):
            seen += 1
            if seen > FILES_MAX or _mentions(file):
                return True
    return False


def _files(directory: Path) -> Iterator[str]:
    for place, inner, files in os.walk(directory):
        if ENVIRONMENT in files:
            inner.clear()
            continue
        inner[:] = [name for name in inner if name not in SKIPPED and not name.startswith(".")]
        for name in files:
            if name.endswith(".py"):
                yield os.path.join(place, name)


def _mentions(file: str) -> bool:
    try:
        with open(file, "rb") as opened:
            text = opened.read()
    except OSError:
        return False
    return all(word in text for word in WORDS)
