"""What `serve` and `dev` share: their options, the loop, signals, logs, and start errors in words.

Invariants: the address is printed, and written into the data directory, only while the server
            listens on it; the first SIGINT or SIGTERM ends it in good order, the second at once.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec

from wakeful.cli import address
from wakeful.cli.failures import AddressFailure, DataFailure, TargetFailure, WrongUsage
from wakeful.config import Config, Limits
from wakeful.errors import ConfigError, StorageError

F = TypeVar("F", bound=Callable[..., object])

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class Settings(msgspec.Struct, frozen=True):
    """What the options of `serve` and `dev` say."""

    host: str
    port: int
    data: Path
    config: Config
    traceback: bool


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
    config: Config = msgspec.structs.replace(default, idle_seconds=idle, limits=limits)
    return Settings(host, port, data, config, traceback)


def run(main: Coroutine[object, object, None]) -> None:
    """Run the server on the fastest loop there is."""
    try:
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    except ImportError:
        factory = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


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
def start_errors(chosen: Settings) -> Iterator[None]:
    """Turn what can go wrong at start into one line.

    Raises:
        Failure: in place of the error.
    """
    try:
        yield
    except StorageError as error:
        raise DataFailure(str(error)) from error
    except ConfigError as error:
        raise TargetFailure(str(error)) from error
    except socket.gaierror as error:
        raise AddressFailure(f"there is no address {chosen.host!r}: {error.strerror}") from error
    except OSError as error:
        raise AddressFailure(_refused(chosen, error)) from error


def _refused(chosen: Settings, error: OSError) -> str:
    where = f"{chosen.host}:{chosen.port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use by another process: choose another with --port"
    if error.errno == errno.EACCES:
        return f"{where} needs privileges: choose a --port of 1024 or more"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"this machine has no address {chosen.host}: choose another --host"
    return f"cannot listen on {where}: {error.strerror or error}"


@contextmanager
def announced(chosen: Settings, port: int) -> Iterator[str]:
    """Let `wakeful actors` find the server while it listens; gives the address for people."""
    from importlib.metadata import version

    if chosen.host not in LOOPBACK:
        text = (
            f"warning: anyone who can reach {chosen.host} port {port} can call these actors: "
            "calls are not authenticated"
        )
        click.secho(text, fg="yellow", err=True)
    address.announce(chosen.data, chosen.host, port, version("wakeful"))
    try:
        yield address.url_of(chosen.host, port)
    finally:
        address.withdraw(chosen.data)


def log_as_json() -> None:
    """Structured logs, one JSON object a line, on stderr."""
    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
