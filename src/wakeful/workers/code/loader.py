"""A Worker's own code: imported with the modules only Workers have, and taken away again.

While a Worker is loaded, its source directory and `python_modules` are first on Python's path,
and `workers`, `js`, `pyodide` and `asgi` are importable. One Worker at a time: those names can mean
one Worker only. Further Workers of the process are loaded by `beside`.

Invariants: after `unload`, sys.path and sys.modules are as before, but for modules that are not
            the Worker's own (the standard library, installed packages): these stay imported.
Errors:     ConfigError says which file, what is missing and what to write.
Source:     Cloudflare docs on Python Workers: the directory of `main` is on the path, only classes
            of the main module are exported.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Final, Protocol

from wakeful.errors import ConfigError
from wakeful.workers.code.entrypoints import DurableObject, Exported, WorkerEntrypoint
from wakeful.workers.code.vendored import has_wasm, hint, vendored
from wakeful.workers.config.wrangler import WranglerConfig
from wakeful.workers.shims.workers_module import MARK

REPLACEABLE: Final = ("asgi", "wsgi")  # of which Workers bring versions of their own
_PYTHONS_OWN: Final = sys.stdlib_module_names | {"wakeful"}
EXAMPLE: Final = (
    "Write `class Default(WorkerEntrypoint)` with `async def fetch(self, request)` in it"
)


class LoadedWorker:
    """A loaded Worker: its main module and what was found in it.

    Attributes:
        config: its configuration.
        module: the main module.
        default: the class `Default`, or None if it has old-style handlers, or only objects.
        handlers: the old-style handlers `on_fetch` and the like, by the name of their event.
        classes: its Durable Object classes that are served, by name.
        present: the names of all that it has.
        entrypoints: its other entrypoints, by name.
    """

    __slots__ = (
        *("_place", "classes", "config", "default", "entrypoints", "handlers", "module"),
        "present",
    )

    def __init__(
        self, config: WranglerConfig, module: ModuleType, place: Place, asked: Mapping[str, str]
    ) -> None:
        self.config = config
        self.module = module
        self._place = place
        self.default = _default(config, module)
        self.handlers = {
            name.removeprefix("on_"): value
            for name, value in vars(module).items()
            if name.startswith("on_") and callable(value)
        }
        if config.crons and not self._has("scheduled"):
            raise ConfigError(
                f"{config.entry} has no handler for what triggers.crons asks for. Write `async def "
                "scheduled(self, controller, env, ctx)` in `Default`"
            )
        self.entrypoints = _entrypoints(module)
        self.classes = {
            name: _object_class(config, module, name, asked.get(name, _asks_for(config, name)))
            for name in dict.fromkeys([*config.own_classes(), *asked])
        }
        there = _object_classes(module)
        for name in config.classes.storage:
            if name in there and name not in self.classes:
                self.classes[name] = Exported(vars(module)[name])
        self.present = frozenset([*there, *self.classes])

    def _has(self, event: str) -> bool:
        """Whether the Worker has a handler for an event."""
        if self.default is None:
            return event in self.handlers
        return self.default.handles(event) is not None

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Make room for another Worker; put this one back if an exception ends the block."""
        modules = self._place.leave()
        try:
            yield
        except BaseException:
            self._place.enter()
            sys.modules.update(modules)
            raise


class Place(Protocol):
    """Where the modules of a Worker are found while it is loaded."""

    def enter(self) -> None:
        """Make the modules importable."""

    def leave(self) -> dict[str, ModuleType]:
        """Remove the Worker's own modules and return them."""


@contextmanager
def loaded(
    config: WranglerConfig,
    shims: Mapping[str, ModuleType],
    asked: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[LoadedWorker]:
    """Import a Worker; it is unloaded at the end of the block.

    Args:
        config: its configuration.
        shims: the modules only Workers have, from `shim_modules`.
        asked: classes that other Workers bind, each with who does, in words.

    Raises:
        ConfigError: it cannot be imported, lacks a class, or another Worker is loaded.
    """
    present = sys.modules.get("workers")
    if present is not None and hasattr(present, MARK):
        raise ConfigError(
            f"{config.entry} cannot be loaded: another Worker is, and a process has room for one. "
            "Unload it first, or start a second process"
        )
    place = _First(config, shims)
    place.enter()
    try:
        module = imported(config, config.entry.stem)
        if not hasattr(module, "Default") and not hasattr(module, "on_fetch"):
            raise ConfigError(f"{config.entry} has no `Default` to handle requests. {EXAMPLE}")
        yield LoadedWorker(config, module, place, asked)
    finally:
        place.leave()


class _First:
    """The first Worker of the process: its directories are first on Python's path."""

    def __init__(self, config: WranglerConfig, shims: Mapping[str, ModuleType]) -> None:
        source = config.entry.parent
        self._own = own_directories(config)
        self._source = source
        self._shims = provided(config, shims)
        self._path: list[str] = []
        self._aside: dict[str, ModuleType] = {}
        self._before: frozenset[str] = frozenset()
        self._entered = False

    def enter(self) -> None:
        """Put the Worker's directories and modules first; hidden modules are kept aside."""
        self._entered = True
        self._path = list(sys.path)
        self._before = frozenset(sys.modules)
        hidden = {*self._shims, *self._top_names()}
        for name in list(sys.modules):
            if name in hidden or name.partition(".")[0] in hidden:
                self._aside[name] = sys.modules.pop(name)
        sys.modules.update(self._shims)
        late = [path for path in self._own[1:] if has_wasm(path)]
        sys.path[:0] = [str(path) for path in self._own if path not in late]
        sys.path.extend(map(str, late))
        importlib.invalidate_caches()

    def leave(self) -> dict[str, ModuleType]:
        """Take away what is the Worker's, and put back what was there before; the Worker's own."""
        if not self._entered:
            return {}
        self._entered = False
        own = {name: module for name, module in sys.modules.items() if self._is_own(name, module)}
        for name in own:
            del sys.modules[name]
        sys.modules.update(self._aside)
        self._aside = {}
        sys.path[:] = self._path
        for path in self._own:
            sys.path_importer_cache.pop(str(path), None)
        importlib.invalidate_caches()
        return own

    def _top_names(self) -> Iterator[str]:
        """Return the names of the modules in the source directory that can be imported."""
        for entry in self._source.iterdir():
            is_module = entry.suffix == ".py" or (entry / "__init__.py").is_file()
            if is_module and entry.stem.isidentifier() and entry.stem not in _PYTHONS_OWN:
                yield entry.stem

    def _is_own(self, name: str, module: ModuleType) -> bool:
        if self._shims.get(name) is module:
            return True
        if name in self._before and name not in self._aside:
            return False
        places = [getattr(module, "__file__", None), *_package_path(module)]
        return any(self._is_below(Path(place)) for place in places if isinstance(place, str))

    def _is_below(self, place: Path) -> bool:
        """Whether a file is in the Worker's directories and in no virtual environment there."""
        others = (Path(entry) for entry in self._path)
        return any(
            place.is_relative_to(own)
            and not any(
                place.is_relative_to(o) for o in others if o != own and o.is_relative_to(own)
            )
            for own in self._own
        )


def provided(config: WranglerConfig, shims: Mapping[str, ModuleType]) -> Mapping[str, ModuleType]:
    """The modules only Workers have, without those that others of their names come before.

    These are files beside the main module, and a package `cloudflare` that is installed.
    """
    source = config.entry.parent
    others = {name for name in REPLACEABLE if (source / f"{name}.py").is_file()}
    directories = [str(directory) for directory in own_directories(config)]
    if PathFinder.find_spec("cloudflare", [*directories, *sys.path]) is not None:
        others |= {"cloudflare", "cloudflare.workers"}
    return {name: module for name, module in shims.items() if name not in others}


def own_directories(config: WranglerConfig) -> tuple[Path, ...]:
    """Return the directories of a Worker's own modules."""
    return (config.entry.parent, *vendored(config))


def _package_path(module: ModuleType) -> Iterable[object]:
    try:
        return list(getattr(module, "__path__", ()))
    except Exception:  # a namespace package whose parent is gone
        return ()


def imported(config: WranglerConfig, real_name: str) -> ModuleType:
    """Import the main module of a Worker under a given name.

    Raises:
        ConfigError: it cannot be imported.
    """
    name = config.entry.stem
    if name in _PYTHONS_OWN or not name.isidentifier():
        raise ConfigError(
            f"{config.entry}: {name!r} cannot be the name of the main module: Python has a module "
            "of that name, or it is no name. Rename the file"
        )
    try:
        return importlib.import_module(real_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # user code: SystemExit and the like included
        where = _line_of(error, config.entry.parent) or config.entry
        said = error.msg if isinstance(error, SyntaxError) else error
        told = f"{type(error).__name__}: {said}{_hint(config, error)}"
        raise ConfigError(f"{where}: {told}") from error


def _hint(config: WranglerConfig, error: BaseException) -> str:
    """Return a hint at what to write in place of a failed import, to follow the error's text."""
    source = config.entry.parent.name
    if isinstance(error, ModuleNotFoundError) and error.name == source:
        return f". The path begins in {source}: write `import x` for `import {source}.x`"
    if isinstance(error, ImportError) and "no known parent package" in str(error):
        return ". The main module is in no package: write `import x` for `from . import x`"
    return hint(config, error)


def _line_of(error: BaseException, directory: Path) -> str:
    """Return `file:line` of the error in the Worker's own code."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    where = ""
    trace = error.__traceback__
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.is_relative_to(directory):
            where = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return where


def _default(config: WranglerConfig, module: ModuleType) -> Exported | None:
    value = getattr(module, "Default", None)
    if value is None:
        return None
    if not isinstance(value, type) or not issubclass(value, WorkerEntrypoint):
        raise ConfigError(
            f"{config.entry}: `Default` does not derive from WorkerEntrypoint. {EXAMPLE}"
        )
    return Exported(value)


def _entrypoints(module: ModuleType) -> dict[str, Exported]:
    return {
        name: Exported(value)
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, WorkerEntrypoint)
        and value is not WorkerEntrypoint
        and name != "Default"
    }


def _object_class(config: WranglerConfig, module: ModuleType, name: str, asked: str) -> Exported:
    value = getattr(module, name, None)
    if value is None:
        there = ", ".join(_object_classes(module)) or "none"
        raise ConfigError(
            f"{config.entry} has no class {name}, which {asked}. Its Durable Object classes: "
            f"{there}. Define or import {name} there, or correct class_name"
        )
    if not isinstance(value, type):
        raise ConfigError(
            f"{config.entry}: {name} is not a class, and {asked}. Write "
            f"`class {name}(DurableObject)`"
        )
    if issubclass(value, WorkerEntrypoint):
        raise ConfigError(
            f"{config.entry}: {name} is a WorkerEntrypoint, and {asked} as a Durable Object. "
            "Derive it from DurableObject"
        )
    return Exported(value)


def _asks_for(config: WranglerConfig, name: str) -> str:
    bound = [b.name for b in config.bindings if b.class_name == name and config.is_own(b)]
    return f"{config.file} {f'binds as {bound[0]}' if bound else 'lists in exports'}"


def _object_classes(module: ModuleType) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, DurableObject)
        and value is not DurableObject
    ]
