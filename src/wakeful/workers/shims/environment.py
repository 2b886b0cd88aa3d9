"""What the runtime gives a loaded Worker: everything in the modules that is not a plain value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from wakeful.workers.code.stacks import Stacks
from wakeful.workers.env import Env
from wakeful.workers.web.outgoing import Fetcher


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The runtime, as the modules of one Worker see it.

    Attributes:
        env: the Worker's bindings.
        fetch: sends a request to the outside world, once the writes it may reveal are durable.
        wait_until: lets work go on after the answer of the event being handled.
        now_ms: milliseconds since 1970, of the runtime's clock.
        random_bytes: that many random bytes.
        log: takes what `console` writes: "debug", "info", "warning" or "error", and the text.
        stacks: let code that is not async wait.
        web_socket_pair: two connected sockets, client and server.
        web_socket: an outgoing socket to a URL, with the protocols offered.
    """

    env: Env
    fetch: Fetcher
    wait_until: Callable[[Awaitable[object]], None]
    now_ms: Callable[[], int]
    random_bytes: Callable[[int], bytes]
    log: Callable[[str, str], None]
    stacks: Stacks
    web_socket_pair: Callable[[], tuple[Any, Any]]
    web_socket: Callable[[str, tuple[str, ...]], Any]
