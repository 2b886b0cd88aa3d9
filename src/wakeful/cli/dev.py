"""`wakeful dev`: serve, show every call, and change the code under the running server.

A reload imports the user's modules anew, then changes runtimes on the same data directory: calls
under way end on the old one, calls that come meanwhile wait for the new one.

Invariants: new code that cannot be imported or used changes nothing; the listening socket stays;
            a call is answered by one runtime, and never lost between two.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import Event
from contextlib import AsyncExitStack
from functools import partial
from time import perf_counter
from typing import Any, Final

import click
import msgspec

from wakeful.cli.calls import Errors, print_call
from wakeful.cli.exit_codes import EXIT_CODES, DataFailure, Failure, TargetFailure
from wakeful.cli.mistakes import Holding, tell_of_rest, tell_of_unawaited
from wakeful.cli.process import (
    Admission,
    Settings,
    announced,
    listen,
    options,
    run,
    serving_line,
    settings,
    signals_interrupt,
    start_errors,
    stop_on_signals,
    until_stopped,
)
from wakeful.cli.sources import Rows, Source, source_of
from wakeful.cli.tables import print_table
from wakeful.core.hibernation import RESTART
from wakeful.errors import ConfigError, DirectoryInUse, StorageError
from wakeful.http.message import Answer, Answering, Request
from wakeful.http.server import HttpServer
from wakeful.node import Runtime

DRAIN_SECONDS: Final = 2.0  # a call that takes longer is undone, and its caller may try again
SHUTDOWN_SECONDS: Final = 1.0
REOPEN_SECONDS: Final = 5.0  # somebody may look into the directory just then
REOPEN_PAUSE_SECONDS: Final = 0.02
BINDINGS: Final = ("KIND", "NAME", "HERE", "WORKER")
DEBOUNCE_MS: Final = 200  # the data directory below the target changes all the time


@click.command(epilog=EXIT_CODES)
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@options
def command(targets: tuple[str, ...], **chosen: Any) -> None:
    """Serve actors over HTTP, and reload them whenever their code changes.

    TARGET is a file, app.py, or a module, package.module; app.py:Counter,Other serves only these.
    A list `actors = [...]` in it says what to serve; without one, every public actor class it
    defines is served.

    TARGET may also be a Cloudflare Worker written in Python: its directory, or its wrangler.toml,
    .json or .jsonc. The Worker then answers every path but those below /_wakeful/. Behind it, name
    the directories of other Workers that it, or they, reach by bindings.

    A reload imports anew what is below the target's directory. Durable state stays; what an actor
    keeps only in memory starts anew. Code that cannot be imported changes nothing.
    """
    options = settings(**chosen)
    sys.dont_write_bytecode = True  # two edits within a second may have the same time stamp
    limits = msgspec.structs.replace(options.config.limits, shutdown_seconds=SHUTDOWN_SECONDS)
    config = msgspec.structs.replace(options.config, limits=limits)
    options = msgspec.structs.replace(options, config=config, development=True)
    source = source_of(targets, options)
    errors = Errors(source.roots)
    _log_for_people(errors)
    tell_of_unawaited(source.roots, warn)
    run(_develop(source, options, errors))


class Switch:
    """Stands before the gateway: shows each call, and holds calls while the runtime changes."""

    def __init__(self) -> None:
        self._gateway: Answering | None = None
        self._opened = Event()
        self._active = 0
        self._idle = Event()
        self._idle.set()

    async def handle(self, request: Request) -> Answer:
        """The answer to a request."""
        started = perf_counter()
        while (gateway := self._gateway) is None:
            await self._opened.wait()
        self._active += 1
        self._idle.clear()
        try:
            answer = await gateway.handle(request)
        finally:
            self._active -= 1
            if not self._active:
                self._idle.set()
        print_call(request, answer[0], (perf_counter() - started) * 1e3)
        return answer

    async def connect(self, request: Request) -> Answer:
        """The answer to a request with an upgrade."""
        started = perf_counter()
        while (gateway := self._gateway) is None:
            await self._opened.wait()
        answer = await gateway.connect(request)
        print_call(request, answer[0], (perf_counter() - started) * 1e3)
        return answer

    def close(self) -> None:
        """Do nothing when the server ends."""

    def open(self, gateway: Answering) -> None:
        """Let calls through."""
        self._gateway = gateway
        self._opened.set()

    async def shut(self) -> None:
        """Hold calls from now on; return when those under way have ended, or take too long."""
        self._gateway = None
        self._opened.clear()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._idle.wait()
        except TimeoutError:
            click.secho(f"{self._active} calls take too long: undone", fg="yellow", err=True)


class Development:
    """The runtime of the newest code that works.

    Attributes:
        disowned: done, with the reason, once the data directory is not this process's any more.
    """

    def __init__(
        self, source: Source, chosen: Settings, switch: Switch, admission: Admission, errors: Errors
    ) -> None:
        self._source = source
        self._chosen = chosen
        self._switch = switch
        self._admission = admission
        self._errors = errors
        self._broken = False
        self._started = Event()
        self._shown: Rows = ()
        self.runtime: Runtime
        self.disowned: asyncio.Future[StorageError] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Import the target and start the first runtime.

        Raises:
            Failure: it cannot start.
        """
        with start_errors():
            with signals_interrupt():
                runtime = self._source.first()
            await runtime.__aenter__()
        self._use(runtime)
        self._started.set()

    async def stop(self) -> None:
        """Stop the runtime that runs."""
        await self.runtime.__aexit__(None, None, None)

    async def watch(self, stop: Event) -> None:
        """Reload at every change, until stopped; begin before `start`, so that none is missed."""
        from watchfiles import Change, DefaultFilter, awatch

        ends = self._source.files

        class Sources(DefaultFilter):
            def __call__(self, change: Change, path: str) -> bool:
                return path.endswith(ends) and super().__call__(change, path)

        changes = awatch(
            *self._source.roots,
            watch_filter=Sources(ignore_paths=[self._chosen.data.resolve()]),
            debounce=DEBOUNCE_MS,
            stop_event=stop,
        )
        try:
            async for change in changes:
                await self._started.wait()
                await self.reload({path for _, path in change})
        except (OSError, RuntimeError) as error:  # the system watches no more files, or none here
            warn(f"changes are not noticed: {error}")
            await stop.wait()

    async def reload(self, paths: set[str]) -> None:
        """Change to the new code, if these files are part of it and it can be used."""
        if not self._broken and not self._source.concerns(paths):
            return
        started = perf_counter()
        try:
            runtime = await self._source.again(self.runtime)
        except (Failure, ConfigError) as error:
            self._broken = True
            self._complain(error)
            return
        self._broken = False
        await self._switch.shut()
        self.runtime.host.sockets.goodbye = (RESTART, "the code has changed")
        await self.stop()
        await self._reopen(runtime)
        self._use(runtime)
        ms = (perf_counter() - started) * 1e3
        types = ", ".join(runtime.host.types)
        click.echo(
            click.style(f"reloaded {self._source.text} in {ms:.0f} ms", fg="cyan")
            + f": {types} (durable state is kept, what was only in memory starts anew)"
        )
        self.show_bindings()

    def show_bindings(self) -> None:
        """Print what the code is given, unless it is what was printed last."""
        rows = self._source.bindings()
        if rows and rows != self._shown:
            print_table(BINDINGS[: len(rows[0])], rows)
        self._shown = rows

    async def _reopen(self, runtime: Runtime) -> None:
        give_up = perf_counter() + REOPEN_SECONDS
        while True:
            try:
                await runtime.__aenter__()
            except DirectoryInUse as error:
                if perf_counter() > give_up:
                    raise DataFailure(str(error)) from error
            except StorageError as error:
                raise DataFailure(str(error)) from error
            except ConfigError as error:
                raise TargetFailure(str(error)) from error
            else:
                return
            await asyncio.sleep(REOPEN_PAUSE_SECONDS)

    def _use(self, runtime: Runtime) -> None:
        self.runtime = runtime
        runtime.host.delivery.on_partly_undone = partial(tell_of_rest, warn)
        runtime.host.disowned.add_done_callback(self._lost)
        self._switch.open(self._admission.gateway(runtime, self._errors.report))

    def _lost(self, disowned: asyncio.Future[StorageError]) -> None:
        if not self.disowned.done():
            self.disowned.set_result(disowned.result())

    def _complain(self, error: Failure | ConfigError) -> None:
        if error.__cause__ is not None:
            self._errors.show(error.__cause__)
        text = error.message if isinstance(error, Failure) else str(error)
        mark = click.style("not reloaded: ", fg="red", bold=True)
        click.echo(f"{mark}{text} (the code before it goes on serving)", err=True)


async def _develop(source: Source, chosen: Settings, errors: Errors) -> None:
    stop = stop_on_signals()
    async with AsyncExitStack() as stack:
        server = listen(chosen)
        stack.push_async_callback(server.close)
        switch, admission = Switch(), Admission.of(server, chosen)
        development = Development(source, chosen, switch, admission, errors)
        watching = asyncio.create_task(development.watch(stop))
        stack.callback(watching.cancel)
        await asyncio.sleep(0)  # the first step of the task: from here on changes are noticed
        await development.start()
        stack.push_async_callback(development.stop)
        stack.push_async_callback(server.close)
        if stop.is_set():
            return
        server.start(switch)
        stack.enter_context(Holding(asyncio.get_running_loop(), source.roots, warn))
        with announced(chosen, server, admission):
            runtime = development.runtime
            click.echo(f"wakeful is {serving_line(runtime, chosen, server)}")
            development.show_bindings()
            for line in source.to_try(runtime.host.types.values(), server.url):
                click.echo(line)
            click.echo(f"changes of {source.text} and its neighbours are reloaded; Ctrl-C stops")
            await _until_stopped_or_broken(watching, stop, server, development.disowned)


def warn(text: str) -> None:
    """Print a warning; the server goes on."""
    click.secho(f"warning: {text}", fg="yellow", err=True)


async def _until_stopped_or_broken(
    watching: asyncio.Task[None],
    stop: Event,
    server: HttpServer,
    disowned: asyncio.Future[StorageError],
) -> None:
    """Return when asked to stop; raise the error that ended the watching or the serving."""
    serving = asyncio.create_task(until_stopped(stop, server, disowned))
    await asyncio.wait({watching, serving}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await watching
    await serving


def _log_for_people(errors: Errors) -> None:
    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=errors.log
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("debug"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
