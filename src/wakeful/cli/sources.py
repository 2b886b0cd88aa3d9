"""What the command line serves, actors or a Worker: made into a runtime once, and after changes.

Invariants: when new code cannot be used, the runtime that runs still finds its own modules.
Errors:     Failure and ConfigError, in words for whoever typed the command.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, TypeAlias

from wakeful.actor_type import EMPTY, ActorType
from wakeful.cli import reload
from wakeful.cli.failures import TargetFailure
from wakeful.cli.process import Settings
from wakeful.cli.target import Served, Target
from wakeful.cli.tracebacks import full, is_user_file
from wakeful.errors import ConfigError
from wakeful.facets.builder import ActorSpec
from wakeful.http.routes import ACTORS
from wakeful.node import Runtime
from wakeful.worker_node import WorkerRuntime
from wakeful.workers.wrangler import find_config, read_config

Lines: TypeAlias = Iterator[str]


class Source(Protocol):
    """Where the served code is.

    Attributes:
        text: how it was named.
        root: where the user's modules are.
        files: the ends of the names of files that matter.
    """

    text: str
    root: Path
    files: tuple[str, ...]

    def first(self) -> Runtime:
        """A runtime of the code."""

    def again(self, running: Runtime) -> Runtime:
        """A runtime of the code as it is now, while another one of it still runs."""

    def concerns(self, paths: Iterable[str]) -> bool:
        """Whether one of these files is part of the code."""

    def to_try(self, types: Iterable[ActorType], url: str) -> Lines:
        """A command that works."""


def source_of(text: str, chosen: Settings) -> Source:
    """What an argument names: a Worker's directory or wrangler file, else actors.

    Raises:
        Failure: it cannot name anything.
    """
    file = find_config(Path(text))
    return ActorSource(text, chosen) if file is None else WorkerSource(text, file, chosen)


class ActorSource:
    """Actors in a Python file or module."""

    files: tuple[str, ...] = (".py",)

    def __init__(self, text: str, chosen: Settings) -> None:
        self._target = Target.parse(text)
        self._chosen = chosen
        self.text = self._target.text
        self.root = self._target.root

    def first(self) -> Runtime:
        """A runtime of the actors."""
        return self._build(self._target.load(traceback=self._chosen.traceback))

    def again(self, running: Runtime) -> Runtime:
        """A runtime of the actors, imported anew."""
        return reload.load_again(self._target, self._build)

    def concerns(self, paths: Iterable[str]) -> bool:
        """Whether one of these files is imported, or is the target itself."""
        return reload.concerns(self._target, paths)

    def to_try(self, types: Iterable[ActorType], url: str) -> Lines:
        """A command that works, if there is one that needs no arguments."""
        for actor_type in types:
            if actor_type.lifetime is None:
                continue
            for plan in actor_type.methods.values():
                if all(parameter.default is not EMPTY for parameter in plan.parameters):
                    name = actor_type.name
                    path = f"{ACTORS}{name}/{name.lower()}-1/{plan.name}"
                    yield f"try: curl -X POST {url}{path}"
                    return

    def _build(self, served: tuple[Served, ...]) -> Runtime:
        names = [actor.name if isinstance(actor, ActorSpec) else actor.__name__ for actor in served]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"two actor types are named {name!r}: rename one")
        return Runtime(self._chosen.data, served, config=self._chosen.config)


class WorkerSource:
    """A Cloudflare Worker, by its wrangler file."""

    files: tuple[str, ...] = (".py", ".toml", ".json", ".jsonc", ".vars")

    def __init__(self, text: str, file: Path, chosen: Settings) -> None:
        self._file = file
        self._chosen = chosen
        self.text = text
        self.root = file.parent.resolve()

    def first(self) -> Runtime:
        """A runtime of the Worker."""
        try:
            return self._build()
        except ConfigError as error:
            if self._chosen.traceback and error.__cause__ is not None:
                raise TargetFailure(str(error), full(error.__cause__)) from error
            raise

    def again(self, running: Runtime) -> Runtime:
        """A runtime of the Worker as it is now; the code of the other one is put aside."""
        assert isinstance(running, WorkerRuntime)
        with running.worker.aside():
            return self._build()

    def concerns(self, paths: Iterable[str]) -> bool:
        """Whether one of these files may be part of the Worker."""
        return any(
            is_user_file(path, self.root) or Path(path).parent == self.root for path in paths
        )

    def to_try(self, types: Iterable[ActorType], url: str) -> Lines:
        """A command that reaches the Worker."""
        yield f"try: curl {url}/"

    def _build(self) -> Runtime:
        return WorkerRuntime(self._chosen.data, read_config(self._file), config=self._chosen.config)
