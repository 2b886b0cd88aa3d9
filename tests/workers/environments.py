"""An environment for Workers under test: a clock that stands, chance that counts, a full log."""

from collections.abc import Awaitable
from itertools import count
from typing import Any

from wakeful.workers.code.stacks import Stacks
from wakeful.workers.env import Env
from wakeful.workers.shims.environment import Environment
from wakeful.workers.web.requests import JsRequest
from wakeful.workers.web.responses import JsResponse


class Recorded:
    """What a Worker has done to its environment."""

    def __init__(self, **bindings: object) -> None:
        self.lines: list[tuple[str, str]] = []
        self.waiting: list[Awaitable[object]] = []
        self.sockets: list[tuple[str, tuple[str, ...]]] = []
        numbers = count(1)
        self.environment = Environment(
            env=Env(bindings),
            fetch=self._fetch,
            wait_until=self.waiting.append,
            now_ms=lambda: 1_700_000_000_000,
            random_bytes=lambda size: next(numbers).to_bytes(size, "big"),
            log=lambda level, text: self.lines.append((level, text)),
            stacks=Stacks(),
            web_socket_pair=lambda: ("client", "server"),
            web_socket=self._socket,
        )

    async def _fetch(self, request: JsRequest) -> JsResponse:
        return JsResponse(f"{request.method} {request.url}")

    def _socket(self, url: str, protocols: tuple[str, ...]) -> Any:
        self.sockets.append((url, protocols))
        return "socket"
