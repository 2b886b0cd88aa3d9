"""A further Worker's code, beside the first one's: under names that no other Worker has.

Two Workers may each have a module `entry`, and each has `workers` and `js` of its own. So the
modules of a further Worker stand in `sys.modules` as "<number>/entry", and its `import entry` finds
that one: its code has builtins of its own, whose `__import__` puts the number before the names that
are the Worker's. Nothing is put on Python's path.

Invariants: after `leave`, no module of the Worker is left in `sys.modules`.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec, spec_from_file_location
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from wakeful.workers.code.loader import LoadedWorker, imported, own_directories, provided
from wakeful.workers.code.vendored import has_wasm
from wakeful.workers.config.wrangler import WranglerConfig

_numbers: Final = count(2)


@contextmanager
def loaded_renamed(
    config: WranglerConfig, shims: Mapping[str, ModuleType], asked: Mapping[str, str]
) -> Iterator[LoadedWorker]:
    """Import a Worker beside others; it is unloaded at the end of the block.

    Args:
        config: its configuration.
        shims: the modules only Workers have, from `shim_modules`.
        asked: classes that other Workers bind, each with who does, in words.

    Raises:
        ConfigError: it cannot be imported, or lacks a class.
    """
    place = _Beside(f"{next(_numbers)}/", own_directories(config), provided(config, shims))
    place.enter()
    try:
        main = imported(config, place.real_name(config.entry.stem))
        yield LoadedWorker(config, main, place, asked)
    finally:
        place.leave()


class _Beside:
    """The modules of one further Worker: a finder for Python's import system."""

    def __init__(
        self, prefix: str, directories: Sequence[Path], shims: Mapping[str, ModuleType]
    ) -> None:
        self._prefix = prefix
        self._late = [str(path) for path in directories[1:] if has_wasm(path)]
        self._path = [path for path in map(str, directories) if path not in self._late]
        self._shims = shims
        self._own: dict[str, bool] = {name.partition(".")[0]: True for name in shims}
        self._builtins = {**vars(builtins), "__import__": self._import}

    def enter(self) -> None:
        """Make the modules importable, for each other only."""
        importlib.invalidate_caches()  # a file may be new
        sys.meta_path.insert(0, self)
        for name, module in self._shims.items():
            sys.modules[self.real_name(name)] = module

    def leave(self) -> dict[str, ModuleType]:
        """Remove the modules."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        names = [name for name in sys.modules if name.startswith(self._prefix)]
        return {name: sys.modules.pop(name) for name in names}

    def real_name(self, name: str) -> str:
        """Return the name of one of the Worker's modules in `sys.modules`."""
        return self._prefix + name

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module of the Worker, for Python's import system."""
        if not name.startswith(self._prefix):
            return None
        found = PathFinder.find_spec(name[len(self._prefix) :], path or [*self._path, *self._late])
        if found is None or found.origin is None or not isinstance(found.loader, SourceFileLoader):
            return _renamed(found, name)
        loader = _Loader(name, found.origin, self._builtins)
        places = found.submodule_search_locations
        return spec_from_file_location(
            name, found.origin, loader=loader, submodule_search_locations=places
        )

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> ModuleType:
        if level == 0 and self._is_own(name.partition(".")[0]):
            name = self.real_name(name)
        return builtins.__import__(name, globals, locals, fromlist, level)

    def _is_own(self, top: str) -> bool:
        own = self._own.get(top)
        if own is None:
            own = self._finds(top)
            if own or top in sys.modules:
                self._own[top] = own
        return own

    def _finds(self, top: str) -> bool:
        if top in sys.stdlib_module_names or top == "wakeful":
            return False
        spec = PathFinder.find_spec(top, self._path)
        if spec is not None and spec.origin is not None:
            return True
        if spec is None and PathFinder.find_spec(top, self._late) is None:
            return False
        return find_spec(top) is None  # a directory without code comes after all packages


class _Loader(SourceFileLoader):
    """Runs a module with the Worker's own builtins."""

    def __init__(self, name: str, path: str, own_builtins: Mapping[str, Any]) -> None:
        super().__init__(name, path)
        self._builtins = own_builtins

    def exec_module(self, module: ModuleType) -> None:
        """Run a module."""
        vars(module)["__builtins__"] = self._builtins
        super().exec_module(module)


def _renamed(found: ModuleSpec | None, name: str) -> ModuleSpec | None:
    """Return the spec of a package without code, or of a compiled module, under another name."""
    if found is None:
        return None
    if found.origin is None:
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = list(found.submodule_search_locations or ())
        return spec
    loader = type(found.loader)(name, found.origin)  # type: ignore[call-arg,misc]  # a file's
    return spec_from_file_location(name, found.origin, loader=loader)
