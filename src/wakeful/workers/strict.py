"""Strict mode: what Cloudflare's network refuses, and workerd on a local disk does not.

A Worker read with `read_config(path, strict=True)` is held to these limits while it runs. What an
invocation (an event of the Worker, or of one of its objects) has used is counted with it, in its
context, so the tasks it makes count too.

Units:   bytes, seconds. Values are measured as V8 serializes them, as Cloudflare does.
Errors:  Cloudflare's texts.
Source:  Cloudflare docs on the limits of Workers and Durable Objects; workerd actor-storage.c++.
"""

from __future__ import annotations

import asyncio
import json
from asyncio import Task
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any, Final

import msgspec

from wakeful.errors import ConfigError
from wakeful.log import logger
from wakeful.workers import own_tasks
from wakeful.workers.proxies import JsException, JsRangeError
from wakeful.workers.workerd_files.v8_writer import write

# Of classes that keep their data in key-value storage.
KEYS_MAX: Final = 128
KEY_BYTES_MAX: Final = 2048
VALUE_BYTES_MAX: Final = 128 * 1024
VALUE_BYTES_SPARE: Final = 34  # for V8's own marks, which workerd lets through

MESSAGE_BYTES_MAX: Final = 32 * 1024 * 1024
SUBREQUESTS_MAX: Final = 10_000  # of paid plans, unless `limits.subrequests` says otherwise
ALARM_SECONDS_MAX: Final = 15 * 60.0
WAIT_UNTIL_SECONDS_MAX: Final = 30.0
URL_BYTES_MAX: Final = 16 * 1024
VARIABLES_MAX: Final = 128
VARIABLE_BYTES_MAX: Final = 5 * 1024

TOO_MANY_SUBREQUESTS: Final = (
    "Too many subrequests by single Worker invocation. To configure this limit, refer to "
    "https://developers.cloudflare.com/workers/wrangler/configuration/#limits"
)
CUT: Final = (
    "waitUntil() tasks did not complete within the allowed time after invocation end and have been "
    "cancelled. See: https://developers.cloudflare.com/workers/runtime-apis/context/#waituntil"
)


class Strict(msgspec.Struct, frozen=True):
    """That a Worker is held to the limits, and those that it sets itself.

    Attributes:
        subrequests: what one invocation may ask of others.
    """

    subrequests: int = SUBREQUESTS_MAX


class Invocation:
    """One event of a strict Worker, and what it has used."""

    __slots__ = ("_ended", "_kept", "_left")

    def __init__(self, strict: Strict) -> None:
        self._left = strict.subrequests
        self._kept: list[Task[Any]] = []
        self._ended = False

    def subrequest(self) -> None:
        """Count a call to another service.

        Raises:
            JsException: there were too many.
        """
        if self._left <= 0:
            raise JsException(TOO_MANY_SUBREQUESTS)
        self._left -= 1

    def keep(self, task: Task[Any]) -> None:
        """Let a task go on after the answer."""
        self._kept.append(task)
        if self._ended:
            self.end()

    def end(self) -> None:
        """Note that the event was answered; tasks that still run get a time limit."""
        self._ended = True
        if any(not task.done() for task in self._kept):
            own_tasks.later(WAIT_UNTIL_SECONDS_MAX, self._cut)

    def _cut(self) -> None:
        late = [task for task in self._kept if not task.done()]
        for task in late:
            task.cancel()
        if late:
            logger("wakeful.worker").warning(CUT)


current: Final[ContextVar[Invocation | None]] = ContextVar("wakeful_invocation", default=None)


@contextmanager
def invocation(strict: Strict | None) -> Iterator[None]:
    """Run the block as one invocation."""
    if strict is None:
        yield
        return
    before, own = current.get(), Invocation(strict)
    current.set(own)
    try:
        yield
    finally:
        current.set(before)
        own.end()


def begin(strict: Strict | None) -> None:
    """Make the rest of this context an invocation: an event of an object."""
    current.set(None if strict is None else Invocation(strict))


@asynccontextmanager
async def alarm_time(strict: Strict | None) -> AsyncIterator[None]:
    """Limit the time of the block, an alarm handler.

    Raises:
        JsException: it took longer, and was cancelled.
    """
    limit = asyncio.timeout(None if strict is None else ALARM_SECONDS_MAX)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise JsException("The alarm handler took longer than 15 minutes (strict mode).") from error


def check_subrequest() -> None:
    """Count a call of the running invocation to another service.

    Raises:
        JsException: there were too many.
    """
    own = current.get()
    if own is not None:
        own.subrequest()


def check_message(value: object) -> None:
    """Refuse what is too large to be sent by RPC.

    Raises:
        JsException: says how large it is.
    """
    if current.get() is None:
        return
    size = len(write(_measurable(value)))
    if size > MESSAGE_BYTES_MAX:
        raise JsException(
            "Serialized RPC arguments or return values are limited to 32MiB, but the size of this "
            f"value was: {size} bytes."
        )


def check_keys(keys: Iterable[str]) -> None:
    """Refuse keys that are too many or too long for key-value storage.

    Raises:
        JsRangeError: says what is allowed.
    """
    found = list(keys)
    if len(found) > KEYS_MAX:
        raise JsRangeError(f"Maximum number of keys is {KEYS_MAX}.")
    for key in found:
        _check_key(key)


def check_pairs(pairs: Mapping[str, object]) -> None:
    """Refuse pairs that are too many or too large for key-value storage.

    Raises:
        JsRangeError: says what is allowed.
    """
    if len(pairs) > KEYS_MAX:
        raise JsRangeError(
            f"Maximum number of key value pairs is {KEYS_MAX}. {len(pairs)} pairs were provided."
        )
    for key, value in pairs.items():
        _check_key(key)
        size = len(write(value))
        if size > VALUE_BYTES_MAX + VALUE_BYTES_SPARE:
            raise JsRangeError(
                f"Values cannot be larger than {VALUE_BYTES_MAX} bytes. A value of size {size} was "
                "provided."
            )


def strict_of(file: object, variables: Mapping[str, object], rest: Mapping[str, Any]) -> Strict:
    """The limits of a Worker, by its configuration.

    Args:
        file: where that is.
        variables: its variables and secrets.
        rest: the other keys, `limits` perhaps among them.

    Raises:
        ConfigError: it has too many variables, or too large ones, or sets no limit but nonsense.
    """
    if len(variables) > VARIABLES_MAX:
        raise ConfigError(
            f"{file}: {len(variables)} variables and secrets; Cloudflare has room for "
            f"{VARIABLES_MAX} (strict mode)"
        )
    for name, value in variables.items():
        size = len((value if isinstance(value, str) else json.dumps(value)).encode())
        if size > VARIABLE_BYTES_MAX:
            raise ConfigError(
                f"{file}: the variable {name!r} has {size} bytes; Cloudflare has room for "
                f"{VARIABLE_BYTES_MAX} (strict mode)"
            )
    return Strict(_subrequests(file, rest.get("limits")))


def _subrequests(file: object, limits: object) -> int:
    given = limits.get("subrequests", SUBREQUESTS_MAX) if isinstance(limits, dict) else None
    if given is None:
        return SUBREQUESTS_MAX
    if type(given) is not int or given < 1:
        raise ConfigError(f"{file}: limits.subrequests must be a whole number above 0: {given!r}")
    return given


def _check_key(key: str) -> None:
    size = len(key.encode())
    if size > KEY_BYTES_MAX:
        raise JsRangeError(
            f"Keys cannot be larger than {KEY_BYTES_MAX} bytes. A key of size {size} was provided."
        )


def _measurable(value: Any) -> Any:
    """Return the value without what is sent beside it: streams, stubs, requests."""
    match value:
        case dict():
            return {key: _measurable(item) for key, item in value.items()}
        case list() | tuple() | set():
            return [_measurable(item) for item in value]
        case None | str() | int() | float() | bytes() | Exception():
            return value
        case _:
            return None
