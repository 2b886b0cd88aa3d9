"""The Workers of one process: the first answers requests, bindings lead to the others.

Errors:  ConfigError names the file, the binding and what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Final, NoReturn

from wakeful.errors import ConfigError
from wakeful.facets.builder import ActorSpec
from wakeful.log import logger
from wakeful.runtime.drain import Deadline
from wakeful.runtime.gated_tasks import gated_tasks
from wakeful.runtime.host import Host
from wakeful.workers import own_tasks
from wakeful.workers.bindings.services import Service
from wakeful.workers.code.loader import loaded
from wakeful.workers.code.renamed_modules import loaded_renamed
from wakeful.workers.config.wrangler import ServiceBinding, WranglerConfig
from wakeful.workers.env import member
from wakeful.workers.history.ledger import Ledger
from wakeful.workers.history.reconcile import Claim
from wakeful.workers.objects.classes import Namespaces
from wakeful.workers.web.outgoing import Fetcher
from wakeful.workers.worker import Surroundings, Worker

ADVICE: Final = "Add its directory to the command, behind the first one's"


class WorkerGroup:
    """The Workers, by name; the first one first.

    Args:
        configs: what their files say.
        now_ms: milliseconds since 1970.
        random_bytes: that many random bytes.
        fetcher: sends the requests their code makes to the outside; by default over HTTP.

    Raises:
        ConfigError: they ask for what is not there, or their code cannot be used.
    """

    def __init__(
        self,
        configs: Sequence[WranglerConfig],
        *,
        now_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        fetcher: Fetcher | None = None,
    ) -> None:
        self._closing = ExitStack()
        self._configs = _by_name(configs)
        self._spaces = {name: Namespaces(name, random_bytes) for name in self._configs}
        self.workers: dict[str, Worker] = {}
        asked = self._asked()
        self._check_services()
        try:
            for config in configs:
                load = loaded_renamed if self.workers else loaded
                around = Surroundings(
                    self._spaces[config.name], self._bound(config), asked[config.name], load
                )
                worker = Worker(
                    config, around, now_ms=now_ms, random_bytes=random_bytes, fetcher=fetcher
                )
                self.workers[config.name] = worker
            self._check_entrypoints()
        except BaseException:
            self.unload()
            raise

    @property
    def first(self) -> Worker:
        """The one that answers requests."""
        return next(iter(self.workers.values()))

    def claims(self) -> list[Claim]:
        """The claims of the Workers on their classes."""
        return [worker.claim() for worker in self.workers.values()]

    def keep_in(self, ledger: Ledger) -> None:
        """Set the namespaces of the Workers' classes in the data directory.

        Raises:
            ConfigError: their code has made ids before, and they would be wrong.
        """
        for name, worker in self.workers.items():
            worker.keep_in(ledger[name].namespaces)

    def specs(self, idle_seconds: float) -> list[ActorSpec]:
        """The actors of the Workers' objects, and the actors that keep the Workers' bindings."""
        specs = [spec for w in self.workers.values() for spec in w.specs(idle_seconds)]
        return list({spec.name: spec for spec in specs}.values())

    def start(self, host: Host) -> None:
        """Serve their objects by a host from now on."""
        self._closing.enter_context(gated_tasks(host.loop.raw))
        for worker in self.workers.values():
            worker.start(host)

    async def finish(self, deadline: Deadline) -> None:
        """Let work that goes on after its event end, until the deadline; then cancel it."""
        await own_tasks.all_of(worker.finish(deadline) for worker in self.workers.values())

    def aside(self) -> AbstractContextManager[None]:
        """Make room for other Workers' code; put this code back if an exception ends the block."""
        return self.first.aside()  # other Workers' modules have names of their own

    def unload(self) -> None:
        """Take their code away. Idempotent."""
        self._closing.close()
        for worker in reversed(self.workers.values()):
            worker.unload()

    def _asked(self) -> dict[str, dict[str, str]]:
        """Return the classes that other Workers bind, by Worker, each with its binding's place."""
        asked: dict[str, dict[str, str]] = {name: {} for name in self._configs}
        for config in self._configs.values():
            for binding in config.bindings:
                place = f"{config.file}: durable_objects binding {binding.name!r}"
                script = config.script_of(binding)
                if script not in asked:
                    self._refuse(f"{place}: its class {binding.class_name}", script)
                if script != config.name:
                    asked[script][binding.class_name] = place
        return asked

    def _bound(self, config: WranglerConfig) -> dict[str, object]:
        return {
            **{
                b.name: self._spaces[config.script_of(b)].namespace(b.class_name)
                for b in config.bindings
            },
            **{
                s.name: Service(
                    partial(self._worker, s.service), s.entrypoint, member(s.props), s.service
                )
                for s in config.services
            },
        }

    def _worker(self, name: str) -> Worker:
        return self.workers[name]

    def _check_services(self) -> None:
        for config in self._configs.values():
            for service in config.services:
                if service.service not in self._configs:
                    self._refuse(_place(config, service), service.service)

    def _check_entrypoints(self) -> None:
        for config in self._configs.values():
            for service in config.services:
                worker = self.workers[service.service]
                if service.entrypoint not in (None, *worker.entrypoints):
                    there = ", ".join(worker.entrypoints) or "none"
                    raise ConfigError(
                        f"{_place(config, service)}: {worker.config.main} has no entrypoint "
                        f"{service.entrypoint}. Its classes that derive from WorkerEntrypoint: "
                        f"{there}. Correct entrypoint, or leave it out for the default one"
                    )

    def _refuse(self, what: str, missing: str) -> NoReturn:
        there = ", ".join(self._configs)
        raise ConfigError(
            f"{what} is of the Worker {missing}, which is not here; there are: {there}. {ADVICE}"
        )


def _place(config: WranglerConfig, service: ServiceBinding) -> str:
    return f"{config.file}: services binding {service.name!r}"


def _by_name(configs: Sequence[WranglerConfig]) -> dict[str, WranglerConfig]:
    for config in configs:
        for warning in config.warnings:
            logger().warning(warning)
        for missing in config.missing:
            logger().warning(f"{config.file}: {missing}: {missing.here}")
    found: dict[str, WranglerConfig] = {}
    for config in configs:
        other = found.setdefault(config.name, config)
        if other is not config:
            raise ConfigError(
                f"{other.file} and {config.file} both name their Worker {config.name}. Rename one"
            )
    return found
