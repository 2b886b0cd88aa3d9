"""The code that the command line serves, actors or a Worker: builds and rebuilds its runtime.

Invariants: when new code cannot be used, the present runtime still finds its own modules; to serve
            actors, `wakeful.workers` is not imported, since its packages may not be installed.
Errors:     Failure and ConfigError, in words for the user of the command.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

from wakeful.actor_type import EMPTY, ActorType
from wakeful.cli import reload
from wakeful.cli.exit_codes import WrongUsage
from wakeful.cli.process import Settings
from wakeful.cli.target import Served, Target
from wakeful.errors import ConfigError
from wakeful.facets.builder import ActorSpec
from wakeful.http.routes import ACTORS
from wakeful.node import Runtime

Lines: TypeAlias = Iterator[str]
Rows: TypeAlias = Sequence[tuple[str, ...]]


class Source(Protocol):
    """The code to serve.

    Attributes:
        text: how it was named.
        roots: where the user's modules are.
        files: the ends of the names of files that matter.
    """

    text: str
    roots: tuple[Path, ...]
    files: tuple[str, ...]

    def first(self) -> Runtime:
        """Make a runtime of the code."""

    async def again(self, running: Runtime) -> Runtime:
        """Make a runtime of the changed code, while the previous runtime still runs."""

    def concerns(self, paths: Iterable[str]) -> bool:
        """Whether one of these files is part of the code."""

    def bindings(self) -> Rows:
        """What the code is given, as lines of a table: names, and what they are here."""

    def to_try(self, types: Iterable[ActorType], url: str) -> Lines:
        """Return an example command that works."""


def source_of(texts: Sequence[str], chosen: Settings) -> Source:
    """What arguments name: directories or wrangler files of Workers, else actors.

    Raises:
        Failure: they cannot name anything.
    """
    files = [_config(text) for text in texts]
    found = [file for file in files if file is not None]
    if len(found) == len(texts):
        from wakeful.cli.worker_source import WorkerSource

        return WorkerSource(" and ".join(texts), found, chosen)
    if len(texts) == 1:
        return ActorSource(texts[0], chosen)
    (odd, *_) = (text for text, file in zip(texts, files, strict=True) if file is None)
    raise WrongUsage(
        f"{odd} has no wrangler.toml, .json or .jsonc: only Workers can be served together. For "
        "actors of several files, import them in one"
    )


def _config(text: str) -> Path | None:
    """The wrangler file that a text names, or the one in the directory that it names."""
    path = Path(text)
    if not text or not (path.stem == "wrangler" or any(path.glob("wrangler.*"))):
        return None
    from wakeful.workers.config.wrangler import find_config

    return find_config(path)


class ActorSource:
    """Actors in a Python file or module."""

    files: tuple[str, ...] = (".py",)

    def __init__(self, text: str, chosen: Settings) -> None:
        if chosen.strict:
            raise WrongUsage(
                f"--strict holds Cloudflare Workers to the limits they have there; {text} has "
                "actors, whose limits are in Config"
            )
        if chosen.environment is not None:
            raise WrongUsage(f"--env is for Cloudflare Workers; {text} has actors")
        if chosen.allow_missing:
            raise WrongUsage(f"--allow-missing is for Cloudflare Workers; {text} has actors")
        self._target = Target.parse(text)
        self._chosen = chosen
        self.text = self._target.text
        self.roots: tuple[Path, ...] = (self._target.root,)

    def first(self) -> Runtime:
        """A runtime of the actors."""
        return self._build(self._target.load(traceback=self._chosen.traceback))

    async def again(self, running: Runtime) -> Runtime:
        """A runtime of the actors, imported anew."""
        return reload.load_again(self._target, self._build)

    def concerns(self, paths: Iterable[str]) -> bool:
        """Whether one of these files is imported, or is the target itself."""
        return reload.concerns(self._target, paths)

    def bindings(self) -> Rows:
        """None: actors have no configuration."""
        return ()

    def to_try(self, types: Iterable[ActorType], url: str) -> Lines:
        """Return an example call of a method that needs no arguments, if an actor has one."""
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
        homes: dict[str, str] = {}
        for actor in served:
            name, cls = (
                (actor.name, actor.cls) if isinstance(actor, ActorSpec) else (actor.__name__, actor)
            )
            home = f"{cls.__module__}.{cls.__qualname__}"
            if name in homes:
                raise ConfigError(
                    f"two actor types are named {name!r}, {homes[name]} and {home}: rename one"
                )
            homes[name] = home
        return Runtime(self._chosen.data, served, config=self._chosen.config)
