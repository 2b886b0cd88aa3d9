"""Every setting of a runtime in one frozen tree, each with its unit, default and reason.

Errors: ConfigError names the setting, the value, and what would be right.
"""

from __future__ import annotations

import math
from typing import cast

import msgspec

from wakeful.errors import ConfigError


def _check_number(name: str, value: object, kind: type) -> None:
    whole = type(value) is int
    if not whole and (kind is int or type(value) is not float):
        what = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{name} must be {what}, not {value!r}")
    if not 0 < cast("float", value) < math.inf:
        raise ConfigError(f"{name} must be more than 0 and finite, not {value!r}")


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is bounded, and at what; over a limit the caller gets a typed error.

    Attributes:
        mailbox: calls waiting for one actor; one more gets Overloaded (429).
        active_actors: activations in memory; the least recently used one goes to sleep first.
        agenda: what one actor owes at a time: its alarm, its reminders and messages to itself; one
            more gets LimitExceeded (413).
        background: pieces of `wait_until` work that one actor, object or Worker has running; one
            more gets Overloaded (429).
        calls_waiting: calls waiting in all mailboxes together; one more gets
            RuntimeOverloaded (503).
        turn_seconds: how long one turn may take; then it is cancelled and undone (504).
        activate_seconds: how long waking (`on_activate` included) may take.
        shutdown_seconds: how long closing may take: turns under way end, actors go to sleep, what
            they wrote becomes durable; what has not ended then is thrown away, within two seconds.
        reopen_seconds: how long a store that can commit no more, as after a failed fsync, is opened
            again and again; meanwhile calls get StorageUnavailable (503), then the runtime has
            nothing left that it could serve.
        request_bytes: the largest HTTP request body that an actor's arguments are (413).
        stream_bytes: the largest that a Worker is given, as it comes (413; Cloudflare's limit).
        http_requests: HTTP requests being handled at once (503).
        request_seconds: how long an HTTP caller waits (504).
        sockets: open WebSockets (503).
        sockets_per_actor: those of one actor (429; Cloudflare's limit).
        socket_message_bytes: the largest WebSocket message; a larger one closes it (1009).
        sockets_bytes: what clients have sent over all sockets and no handler has ended with: parts
            of messages that are not complete, and messages. Those of up to 16 KiB are not counted;
            one that is alone may be larger. Without room, the socket with the largest part is
            closed, else the one whose message has come (1013).
        socket_backlog_bytes: what may wait for one slow client; if more does, its socket is closed
            (1013).
        sql_handles: SQL databases open at once (some 0.17 MB each); the least recently used one
            is closed first, and opened again when its actor needs it.
        sql_cache_bytes: the page cache of an open SQL database, at most.
        sql_turn_bytes: how much of its SQL database one turn may change (413).
        sql_seconds: how long one SQL statement, or one step to its next row, may take.
    """

    mailbox: int = 1_000
    active_actors: int = 100_000
    agenda: int = 10_000
    background: int = 10_000
    calls_waiting: int = 100_000
    turn_seconds: float = 60.0
    activate_seconds: float = 30.0
    shutdown_seconds: float = 10.0
    reopen_seconds: float = 30.0
    request_bytes: int = 1024 * 1024
    stream_bytes: int = 100 * 1024 * 1024
    http_requests: int = 10_000
    request_seconds: float = 60.0
    sockets: int = 100_000
    sockets_per_actor: int = 32_768
    socket_message_bytes: int = 32 * 1024 * 1024
    sockets_bytes: int = 256 * 1024 * 1024
    socket_backlog_bytes: int = 16 * 1024 * 1024
    sql_handles: int = 1_000
    sql_cache_bytes: int = 1024 * 1024
    sql_turn_bytes: int = 64 * 1024 * 1024
    sql_seconds: float = 5.0

    def __post_init__(self) -> None:
        for field in msgspec.structs.fields(self):
            _check_number(f"limits.{field.name}", getattr(self, field.name), field.type)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of one runtime.

    Attributes:
        idle_seconds: how long a virtual actor stays in memory without a message
            (Cloudflare evicts after 10 s, durable-objects.md 1.10).
        limits: see Limits.
        strict_recovery: do not start on a data directory whose journal has lost its end, as far as
            that can be noticed; else the loss is logged, and the runtime goes on without it.
    """

    idle_seconds: float = 10.0
    limits: Limits = Limits()
    strict_recovery: bool = False

    def __post_init__(self) -> None:
        _check_number("idle_seconds", self.idle_seconds, float)
        if type(self.strict_recovery) is not bool:
            raise ConfigError(
                f"strict_recovery must be True or False, not {self.strict_recovery!r}"
            )
