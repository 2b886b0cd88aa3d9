"""A WebSocket of an ASGI application: one end of a pair, whose other end the client gets.

The connection is accepted before the application says so, as on Cloudflare: an application that
refuses closes it.

Source:  ASGI specification, WebSocket; the Workers SDK.
"""

from __future__ import annotations

from asyncio import Future, Queue
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, Final

from wakeful.workers import own_tasks
from wakeful.workers.proxies import JsException
from wakeful.workers.shims.environment import Environment
from wakeful.workers.web.events import JsEvent
from wakeful.workers.web.responses import JsResponse

NORMAL: Final = 1000
FAILED: Final = 1011


class Conversation:
    """An application and its client."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._closed = False
        self._incoming: Queue[MutableMapping[str, Any]] = Queue()
        self._incoming.put_nowait({"type": "websocket.connect"})
        server.accept()
        server.binaryType = "arraybuffer"
        server.onmessage = self._message
        server.onclose = self._close

    async def receive(self) -> MutableMapping[str, Any]:
        """Return the client's next event."""
        return await self._incoming.get()

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Carry out a message of the application."""
        match message["type"]:
            case "websocket.send":
                data, text = message.get("bytes"), message.get("text")
                self._server.send(text if data is None else data)
            case "websocket.close":
                self._end(message.get("code") or NORMAL, message.get("reason") or "")
            case "websocket.http.response.start":
                self._end(NORMAL, "")

    def ended(self, task: Future[Any]) -> None:
        """Close the socket when the application has returned: the client must not wait."""
        failed = not task.cancelled() and task.exception() is not None
        self._end(FAILED if failed else NORMAL, "")

    def _end(self, code: int, reason: str) -> None:
        if not self._closed:
            self._closed = True
            with suppress(JsException):  # the client may have gone already
                self._server.close(code, reason)

    def _message(self, event: JsEvent) -> None:
        data: Any = vars(event)["data"]
        kind = "text" if isinstance(data, str) else "bytes"
        message = data if isinstance(data, str) else bytes(data)
        self._incoming.put_nowait({"type": "websocket.receive", kind: message})

    def _close(self, event: JsEvent) -> None:
        told = vars(event)
        self._incoming.put_nowait(
            {"type": "websocket.disconnect", "code": told["code"], "reason": told["reason"]}
        )


def converse(environment: Environment, app: Any, scope: dict[str, Any]) -> JsResponse:
    """Run an application on a WebSocket; return the response that gives the client its end."""
    client, server = environment.web_socket_pair()
    conversation = Conversation(server)
    work = environment.stacks.around(app(scope, conversation.receive, conversation.send))
    task = own_tasks.begin(work)
    own_tasks.when_done(task, conversation.ended)
    environment.wait_until(task)
    return JsResponse(None, status=101, webSocket=client)
