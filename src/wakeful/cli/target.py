"""What to serve: `app.py` or `package.module`, with `:Name,Other` behind it to choose.

Which actors a module has:
    names after the colon   exactly these;
    else a list `actors`    exactly what it lists: classes, and specs from ActorBuilder;
    else                    the actor classes the module defines, imported ones that `__all__`
                            lists, and every spec it holds. Names that start with an underscore
                            are left out; a class that has a spec is served by its specs only.

Invariants: a file is imported under its own name without `.py`, its directory first on the path,
            as `python app.py` would find its neighbours; a module is found from the current
            directory, as with `python -m`.
Errors:     Failure, one line that says where; never an exception of the user's code.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Final, TypeAlias, TypeGuard

import msgspec

from wakeful.actor import Actor
from wakeful.cli.exit_codes import Failure, TargetFailure, WrongUsage
from wakeful.facets.builder import ActorSpec

Served: TypeAlias = type[Actor] | ActorSpec

EXAMPLE: Final = """\
An actor is a class like this:

    from wakeful import DurableObject

    class Counter(DurableObject):
        count: int = 0

        async def increment(self, by: int = 1) -> int:
            self.count += by
            return self.count
"""


class Target(msgspec.Struct, frozen=True):
    """What the command line named.

    Attributes:
        text: as it was given, without the names.
        module: the name to import it by.
        file: the file, if a file was named.
        names: the actors chosen; empty for all.
        root: where the user's modules are: these are reloaded, and their lines are shown in
            tracebacks.
    """

    text: str
    module: str
    file: Path | None
    names: tuple[str, ...]
    root: Path

    @classmethod
    def parse(cls, text: str) -> Target:
        """Parse the target's text; this does not import it.

        Raises:
            Failure: it cannot name a target.
        """
        place, colon, chosen = text.rpartition(":")
        if not colon:
            place, chosen = text, ""
        names = tuple(name.strip() for name in chosen.split(",") if name.strip())
        if colon and not names:
            raise WrongUsage(f"{text}: no name follows the colon")
        if not place:
            raise WrongUsage("the target is empty: name a file with actors in it, such as app.py")
        path = Path(place)
        if path.suffix == ".py" or "/" in place or os.path.exists(path):
            file = _file(path)
            return cls(place, file.stem, file, names, file.parent)
        if not all(part.isidentifier() for part in place.split(".")):
            message = f"{place!r} names neither a file nor a module: write app.py or package.module"
            raise WrongUsage(message)
        return cls(place, place, None, names, Path.cwd())

    def load(self, *, traceback: bool = False) -> tuple[Served, ...]:
        """Import the target and find its actors.

        Args:
            traceback: show the whole traceback of an import that fails.

        Raises:
            Failure: it cannot be imported, or there is nothing to serve in it.
        """
        directory = str(self.root)
        if directory not in sys.path:
            sys.path.insert(0, directory)
        importlib.invalidate_caches()
        try:
            module = self._import()
        except Failure:
            raise
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # user code: SystemExit and the like included
            raise self._failure(error, traceback=traceback) from error
        return self._chosen(module) if self.names else _all(module, self.text)

    def _import(self) -> ModuleType:
        if self.file is None:
            return importlib.import_module(self.module)
        name = self.module
        if name in sys.modules or name in sys.stdlib_module_names:
            message = f"{self.text}: Python has a module named {name} already: rename the file"
            raise TargetFailure(message)
        spec = importlib.util.spec_from_file_location(name, self.file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except BaseException:
            sys.modules.pop(name, None)
            raise
        return module

    def _failure(self, error: BaseException, *, traceback: bool) -> Failure:
        from wakeful.cli.tracebacks import full, place_of, plain

        if isinstance(error, ModuleNotFoundError) and self._is_missing(error):
            message = f"there is no module {self.text!r} here ({self.root}) or on Python's path"
            return TargetFailure(message)
        where = place_of(error, self.root) or self.text
        if traceback:
            return TargetFailure(f"{where}: {plain(error)}", full(error))
        return TargetFailure(f"{where}: {plain(error)}{_hint(error, self)}")

    def _is_missing(self, error: ModuleNotFoundError) -> bool:
        missing = error.name or ""
        return self.file is None and f"{self.module}.".startswith(f"{missing}.")

    def _chosen(self, module: ModuleType) -> tuple[Served, ...]:
        found = []
        for name in self.names:
            value = getattr(module, name, None)
            if not _is_served(value):
                known = ", ".join(_names(_all(module, self.text))) or "none"
                what = "is no actor" if hasattr(module, name) else "is not there"
                message = f"{self.text}: {name} {what}; its actors: {known}"
                raise TargetFailure(message)
            found.append(value)
        return tuple(found)


def _file(path: Path) -> Path:
    if os.path.isdir(path):
        try:
            inside = sorted(name for name in os.listdir(path) if name.endswith(".py"))
        except OSError as error:
            raise WrongUsage(f"{path} cannot be read: {error.strerror}") from error
        name = "app.py" if "app.py" in inside or not inside else inside[0]
        message = (
            f"{path} is a directory: name a file with actors in it, such as {path / name}. For a "
            "Worker, it needs a wrangler.toml, .json or .jsonc"
        )
        raise WrongUsage(message)
    if not os.path.exists(path):
        raise WrongUsage(f"there is no file {path} (looked in {Path.cwd()})")
    if path.suffix != ".py" or not os.path.isfile(path):
        raise WrongUsage(f"{path} is not a Python file")
    return path.resolve()


def _hint(error: BaseException, target: Target) -> str:
    if isinstance(error, ModuleNotFoundError):
        return ""
    if isinstance(error, ImportError) and "relative import" in str(error) and target.file:
        package = target.file.parent.name
        return f" (in a package, name the module: {package}.{target.module})"
    return ""


def _is_served(value: object) -> TypeGuard[Served]:
    if isinstance(value, ActorSpec):
        return True
    return (
        isinstance(value, type)
        and issubclass(value, Actor)
        and "__wakeful_base__" not in vars(value)
    )


def _names(served: Iterable[Served]) -> Iterator[str]:
    for actor in served:
        yield actor.name if isinstance(actor, ActorSpec) else actor.__name__


def _all(module: ModuleType, text: str) -> tuple[Served, ...]:
    listed = getattr(module, "actors", None)
    if isinstance(listed, list | tuple):
        for index, value in enumerate(listed):
            if not _is_served(value):
                message = f"{text}: actors[{index}] is neither an actor class nor a spec: {value!r}"
                raise TargetFailure(message)
        found: list[Served] = list(listed)
    else:
        found = _found(module)
    if not found:
        raise TargetFailure(f"{text} has no actors{_elsewhere(module)}", EXAMPLE)
    return tuple(found)


def _found(module: ModuleType) -> list[Served]:
    exported = getattr(module, "__all__", ())
    found: dict[int, Served] = {}
    for name, value in vars(module).items():
        if name.startswith("_") or not _is_served(value):
            continue
        own = isinstance(value, ActorSpec) or value.__module__ == module.__name__
        if own or name in exported:
            found[id(value)] = value
    specified = {spec.cls for spec in found.values() if isinstance(spec, ActorSpec)}
    return [actor for actor in found.values() if actor not in specified]


def _elsewhere(module: ModuleType) -> str:
    """Name the imported classes that were left out, since they are often what was meant."""
    for name, value in vars(module).items():
        if _is_served(value) and not name.startswith("_"):
            home = getattr(value, "__module__", "elsewhere")
            return f" of its own: {name} is from {home}; to serve it, add `actors = [{name}]`"
    return ""
