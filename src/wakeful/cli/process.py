"""What `serve` and `dev` share: their options, the loop, signals, logs, and start errors in words.

Invariants: the address is printed, and written into the data directory, only while the server
            listens on it; the first SIGINT or SIGTERM ends it in good order, the second at once.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from wakeful.cli import address
from wakeful.cli.exit_codes import (
    AddressFailure,
    DataFailure,
    DiskFailure,
    Failure,
    LostFailure,
    TargetFailure,
    WrongUsage,
)
from wakeful.config import Config, Limits
from wakeful.errors import ConfigError, OwnershipLost, StorageError
from wakeful.http.gateway import Gateway, Report
from wakeful.http.server import HttpServer
from wakeful.http.settings import HttpSettings
from wakeful.log import logger
from wakeful.node import Runtime

F = TypeVar("F", bound=Callable[..., object])

NAMES_MAX: Final = 8  # in one line
LAST_SECONDS: Final = 1.0  # for what is left when everything has been closed


class Settings(msgspec.Struct, frozen=True):
    """The options of `serve` and `dev`."""

    host: str
    port: int
    data: Path
    config: Config
    traceback: bool
    strict: bool
    environment: str | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    development: bool = False
    allow_missing: tuple[str, ...] = ()
    admin_token: str | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    def http(self, token: str | None) -> HttpSettings:
        """The settings of the server.

        Raises:
            ConfigError: they cannot be used.
        """
        return HttpSettings(
            allowed_hosts=self.hosts,
            allowed_origins=self.origins,
            own_hosts_only=self.development,
            admin_token=token,
            tls_cert=self.tls_cert,
            tls_key=self.tls_key,
        )


def options(function: F) -> F:
    """Add the options that `serve` and `dev` have in common."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


_OPTIONS: Final[list[Callable[[Any], Any]]] = [
    click.option(
        "--host", default="127.0.0.1", show_default=True, help="The address to listen on."
    ),
    click.option(
        "--port",
        type=click.IntRange(0, 65535),
        default=8787,
        show_default=True,
        help="The port; 0 takes any free one.",
    ),
    click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path(".wakeful"),
        help="Where actors are kept.  [default: .wakeful]",
    ),
    click.option(
        "--idle-timeout",
        type=float,
        metavar="SECONDS",
        help="How long an actor stays in memory without a call.  [default: 10]",
    ),
    click.option(
        "--max-active",
        type=int,
        metavar="N",
        help="Actors in memory at once; the least recently used sleeps.  [default: 100000]",
    ),
    click.option(
        "--allow-host",
        "hosts",
        multiple=True,
        metavar="NAME",
        help="A name that requests may give as their Host, behind a proxy say. Several: repeat it.",
    ),
    click.option(
        "--allow-origin",
        "origins",
        multiple=True,
        metavar="ORIGIN",
        help="A web origin whose pages may call, https://app.example. Several: repeat it.",
    ),
    click.option(
        "--strict",
        is_flag=True,
        help="Hold a Worker to the limits of Cloudflare's network, not only to those of its disk.",
    ),
    click.option(
        "--env",
        "environment",
        metavar="NAME",
        help="The environment of a Worker: what env.NAME of its configuration says.",
    ),
    click.option(
        "--strict-recovery",
        is_flag=True,
        help="Do not start if batches that were acknowledged are missing at the journal's end.",
    ),
    click.option("--traceback", is_flag=True, help="Show all of an import error's traceback."),
]


def settings(
    *,
    host: str,
    port: int,
    data: Path,
    idle_timeout: float | None,
    max_active: int | None,
    traceback: bool,
    strict: bool,
    environment: str | None,
    hosts: tuple[str, ...] = (),
    origins: tuple[str, ...] = (),
    strict_recovery: bool = False,
) -> Settings:
    """The options as one value.

    Raises:
        WrongUsage: a value is out of range.
    """
    default = Config()
    active = default.limits.active_actors if max_active is None else max_active
    idle = default.idle_seconds if idle_timeout is None else idle_timeout
    if not active > 0:
        raise WrongUsage(f"--max-active must be more than 0, not {active}")
    if not 0 < idle < float("inf"):
        raise WrongUsage(f"--idle-timeout must be more than 0 seconds, not {idle}")
    limits: Limits = msgspec.structs.replace(default.limits, active_actors=active)
    config: Config = msgspec.structs.replace(
        default, idle_seconds=idle, limits=limits, strict_recovery=strict_recovery
    )
    return Settings(host, port, data, config, traceback, strict, environment, hosts, origins)


def run(main: Coroutine[object, object, None]) -> None:
    """Run the server on the fastest loop there is.

    A SystemExit in a task or a callback that served code has made leaves the loop, as asyncio has
    it. It is logged and the loop goes on: one actor or Worker ends nothing of the others. Nor does
    code that ignores its cancellation keep the process from ending.
    """
    try:
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    except ImportError:
        factory = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        loop = runner.get_loop()
        _run_to_its_end(loop, loop.create_task(main))
        _exit_if_tasks_ignore_cancellation(loop)


def _run_to_its_end(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    while True:
        try:
            return loop.run_until_complete(task)
        except (SystemExit, KeyboardInterrupt) as error:
            if task.done() or _from_keyboard(error):
                raise
            logger().error("served code tried to end the process", exc_info=error)


def _exit_if_tasks_ignore_cancellation(loop: asyncio.AbstractEventLoop) -> None:
    """End the process at once if tasks ignore their cancellation: they would keep it alive."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left and loop.run_until_complete(asyncio.wait(left, timeout=LAST_SECONDS))[1]:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # nothing is lost: what was answered is on disk


def _from_keyboard(error: BaseException) -> bool:
    """Whether an interrupt may be a Ctrl-C; it is not once `stop_on_signals` handles signals."""
    handler = signal.getsignal(signal.SIGINT)
    return isinstance(error, KeyboardInterrupt) and handler is signal.default_int_handler


def stop_on_signals() -> asyncio.Event:
    """An event that the first SIGINT or SIGTERM sets; the second ends the process."""
    stop = asyncio.Event()

    def stop_or_die(number: int) -> None:
        if stop.is_set():
            # Nothing is lost: what was answered is on disk.
            os._exit(128 + number)
        stop.set()
        click.echo("stopping (once more to stop at once)", err=True)

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop_or_die, number)
    return stop


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, SIGTERM ends: no loop that they could wake turns here."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    waker = signal.set_wakeup_fd(-1)  # the loop does not notice them
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.set_wakeup_fd(waker)
        for number, handler in before.items():
            signal.signal(number, handler)


def listen(chosen: Settings) -> HttpServer:
    """A server that listens, and answers once it is started.

    Raises:
        AddressFailure: it cannot listen there.
        WrongUsage: the files for TLS, or the token, cannot be used.
    """
    try:
        settings = chosen.http(chosen.admin_token)
    except ConfigError as error:
        raise WrongUsage(str(error)) from error
    try:
        return HttpServer(chosen.host, chosen.port, settings)
    except ConfigError as error:
        raise AddressFailure(str(error)) from error


@contextmanager
def start_errors() -> Iterator[None]:
    """What can go wrong when a runtime starts, in one line.

    Raises:
        DataFailure, TargetFailure: in place of the error.
    """
    try:
        yield
    except StorageError as error:
        raise DataFailure(str(error)) from error
    except ConfigError as error:
        raise TargetFailure(str(error)) from error


class Admission(msgspec.Struct, frozen=True):
    """Who may call a server and use its admin paths: on loopback all, else holders of the token."""

    chosen: Settings
    loopback: bool
    token: str | None

    @classmethod
    def of(cls, server: HttpServer, chosen: Settings) -> Admission:
        """Choose the admission by the address on which the server listens."""
        token = None if server.loopback else secrets.token_urlsafe(32)
        return cls(chosen, server.loopback, chosen.admin_token or token)

    def gateway(self, runtime: Runtime, report: Report) -> Gateway:
        """The gateway of a runtime."""
        return runtime.gateway(self.chosen.http(self.token), loopback=self.loopback, report=report)


@contextmanager
def announced(chosen: Settings, server: HttpServer, admission: Admission) -> Iterator[None]:
    """Let `wakeful actors` find a server while it listens; warn if others can reach it."""
    if not server.loopback:
        text = (
            f"warning: calls are not authenticated, and {server.url} can be reached from other "
            "machines: any program that reaches it can call these actors"
        )
        click.secho(text, fg="yellow", err=True)
    address.announce(chosen.data, server.host, server.port, admission.token, chosen.tls_cert)
    try:
        yield
    finally:
        address.withdraw(chosen.data)


async def until_stopped(
    stop: asyncio.Event, server: HttpServer, disowned: asyncio.Future[StorageError]
) -> None:
    """Return when the server is to stop.

    Raises:
        LostFailure, DiskFailure: there is nothing left that it could serve.
        Failure: it has ended by itself.
    """
    waiting: set[asyncio.Future[Any]] = {
        asyncio.ensure_future(stop.wait()),
        asyncio.ensure_future(server.closed()),
    }
    await asyncio.wait({*waiting, disowned}, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    if disowned.done():
        why = disowned.result()
        raise (LostFailure if isinstance(why, OwnershipLost) else DiskFailure)(str(why))
    if not stop.is_set():
        raise Failure("the HTTP server has ended unexpectedly")


def serving_line(runtime: Runtime, chosen: Settings, server: HttpServer) -> str:
    """Return the line that says what is served at which address."""
    names = list(runtime.host.types)
    types = ", ".join(names[:NAMES_MAX]) + (", ..." if len(names) > NAMES_MAX else "")
    return f"serving {types or 'requests'} on {server.url} (data in {chosen.data})"


def log_as_json(level: str = "info") -> None:
    """Log one JSON object a line on stderr, for events of at least the given level."""
    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
