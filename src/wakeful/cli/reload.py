"""Importing the user's modules anew, all or nothing.

Invariants: when the new code cannot be used, `sys.modules` is as it was, so that the old code,
            which goes on serving, still finds its own modules.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TypeVar

from wakeful.cli.exit_codes import Failure
from wakeful.cli.target import Served, Target
from wakeful.cli.tracebacks import is_user_file
from wakeful.errors import ConfigError

T = TypeVar("T")


def concerns(target: Target, paths: Iterable[str]) -> bool:
    """Whether one of these files is imported, or is the target itself."""
    files = {sys.modules[name].__file__ for name in _user_modules(target)}
    if target.file is not None:
        files.add(str(target.file))
    return any(path in files for path in paths)


def load_again(target: Target, build: Callable[[tuple[Served, ...]], T]) -> T:
    """Import the target and everything of the user's anew, and build something of its actors.

    Raises:
        Failure, ConfigError: the new code cannot be used; nothing has changed.
    """
    before = {name: sys.modules.pop(name) for name in _user_modules(target)}
    try:
        return build(target.load())
    except (Failure, ConfigError):
        for name in _user_modules(target):
            del sys.modules[name]
        sys.modules.update(before)
        raise


def _user_modules(target: Target) -> list[str]:
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name != "__main__" and file and is_user_file(file, target.root):
            found.append(name)
    return found
