"""Workers that the command line serves, named by their wrangler files.

Errors: Failure and ConfigError, in words for the user of the command.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote_plus

from wakeful.actor_type import ActorType
from wakeful.cli.exit_codes import TargetFailure
from wakeful.cli.process import Settings
from wakeful.cli.sources import Lines, Rows
from wakeful.cli.tracebacks import full, is_user_file
from wakeful.errors import ConfigError
from wakeful.log import logger
from wakeful.node import Runtime
from wakeful.worker_node import SCHEDULED, WorkerRuntime
from wakeful.workers.config.overview import overview
from wakeful.workers.config.support import EVERYTHING
from wakeful.workers.config.tables import Findings
from wakeful.workers.config.wrangler import WranglerConfig, read_config


class WorkerSource:
    """Cloudflare Workers, by their wrangler files; the first one answers requests."""

    files: tuple[str, ...] = (".py", ".toml", ".json", ".jsonc", ".vars", ".env", ".env.local")

    def __init__(self, text: str, files: Sequence[Path], chosen: Settings) -> None:
        self._files = files
        self._chosen = chosen
        self._configs: list[WranglerConfig] = []
        self.text = text
        self.roots = tuple(dict.fromkeys(file.parent.resolve() for file in files))

    def first(self) -> Runtime:
        """Make a runtime of the Workers."""
        try:
            return self._build()
        except ConfigError as error:
            if self._chosen.traceback and error.__cause__ is not None:
                raise TargetFailure(str(error), full(error.__cause__)) from error
            raise

    async def again(self, running: Runtime) -> Runtime:
        """Make a runtime of the changed Workers; the previous runtime's code is put aside."""
        assert isinstance(running, WorkerRuntime)
        before, stored = self._configs, await running.stored()
        with running.workers.aside():
            runtime = self._build()
            try:
                runtime.check(stored)
            except BaseException:
                self._configs = before
                runtime.workers.unload()
                raise
            return runtime

    def concerns(self, paths: Iterable[str]) -> bool:
        """Whether one of these files may be part of the Workers."""
        return any(
            is_user_file(path, root) or Path(path).parent == root
            for path in paths
            for root in self.roots
        )

    def bindings(self) -> Rows:
        """What their configurations bind: kind, name, what it is here; whose, if there are more."""
        several = len(self._configs) > 1
        return [
            (*row, config.name) if several else row
            for config in self._configs
            for row in overview(config)
        ]

    def to_try(self, types: Iterable[ActorType], url: str) -> Lines:
        """Return an example command that reaches the first Worker."""
        yield f"try: curl {url}/"
        if crons := self._configs[0].crons:
            cron = quote_plus(crons[0].text, safe="*/,-")
            yield f"     curl '{url}{SCHEDULED}?cron={cron}'"

    def _build(self) -> WorkerRuntime:
        first, *others = configs = self._read()
        runtime = WorkerRuntime(
            self._chosen.data,
            first,
            others=others,
            config=self._chosen.config,
            development=self._chosen.development,
        )
        self._configs = configs
        return runtime

    def _read(self) -> list[WranglerConfig]:
        """What their configurations say.

        Raises:
            ConfigError: all that is wrong in any of them, a line each.
        """
        chosen, faults = self._chosen, Findings()
        allowed = EVERYTHING if chosen.development else chosen.allow_missing
        configs: list[WranglerConfig] = []
        for file in self._files:
            with faults.collecting():
                configs.append(
                    read_config(
                        file, chosen.environment, strict=chosen.strict, allow_missing=allowed
                    )
                )
        faults.check()
        there = {missing.name for config in configs for missing in config.missing}
        for name in chosen.allow_missing:
            if name not in there:
                logger().warning(f"--allow-missing {name}: nothing of this name is missing")
        return configs
