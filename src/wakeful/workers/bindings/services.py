"""Service bindings: `env.OTHER`, a Worker that another one calls, or itself.

`fetch` and every method are calls, with the values and errors that stubs of objects have. Each call
makes an instance of the entrypoint, and runs on its own: nothing of the caller's gates is around
it, and what the caller has written is durable before the call leaves.

Source:  Cloudflare docs on service bindings and Workers RPC.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any

from wakeful.runtime.gated import outside
from wakeful.workers import own_tasks, strict, values
from wakeful.workers.calls import (
    Event,
    Pending,
    RemoteMethod,
    Run,
    call,
    depth,
    dispose,
    exporter,
    settled,
)
from wakeful.workers.js_errors import ENDS, is_cancelled, thrown
from wakeful.workers.proxies import JsDict, options_of
from wakeful.workers.web.outgoing import Fetching, make_request
from wakeful.workers.web.requests import JsRequest
from wakeful.workers.web.responses import Response
from wakeful.workers.web.streams import ReadableStream

if TYPE_CHECKING:
    from wakeful.workers.worker import Worker


class Service:
    """A binding that reaches an entrypoint of a Worker."""

    def __init__(
        self, worker: Callable[[], Worker], entrypoint: str | None, props: JsDict, name: str
    ) -> None:
        self._worker = worker
        self._entrypoint = entrypoint
        self._props = props
        self._name = name

    def fetch(self, resource: object, options: object = None, **named: Any) -> Fetching:
        """Send it a request; its response.

        Raises:
            JsTypeError: the arguments make no valid request.
        """
        request = make_request(resource, options_of(options, named.items()))
        return Fetching(request, lambda sent: self._call(lambda target: target.fetch(sent)))

    def __getattr__(self, name: str) -> RemoteMethod:
        if name.startswith("__"):
            raise AttributeError(name)
        return RemoteMethod(self._call, self, name)

    def __wakeful_transfer__(self) -> Service:
        return self

    def __repr__(self) -> str:
        return f"<service {self._name}>"

    def _call(self, run: Run) -> Pending:
        return call(Event(None, run), self._post)

    def _post(self, event: Event) -> Future[object]:
        worker = self._worker()
        entered = Entered(worker, self._entrypoint, self._props)
        return worker.called(_handled(entered, event))


class Entered:
    """An instance of an entrypoint that handles one call."""

    __slots__ = ("_entrypoint", "_props", "_worker")

    def __init__(self, worker: Worker, entrypoint: str | None, props: JsDict) -> None:
        self._worker = worker
        self._entrypoint = entrypoint
        self._props = props

    async def fetch(self, request: JsRequest) -> Response:
        """Handle a request."""
        response = await self._worker.respond(request, self._entrypoint, self._props)
        content = await response.body_for(request.method)
        if isinstance(content, ReadableStream):
            content = ReadableStream(_apart(content))
        return Response(response.with_content(content))

    async def rpc(self, name: str, args: tuple[Any, ...]) -> Any:
        """Call a method that other Workers may call."""
        method = self._worker.method(name, self._entrypoint, self._props)
        try:
            answer = values.sent(await settled(method(*args)), exporter())
        finally:
            dispose(args)
        strict.check_message(answer)
        return answer


async def _handled(entered: Entered, event: Event) -> None:
    assert event.run is not None
    depth.set(event.depth)
    try:
        event.answer = await event.run(entered)
    except ENDS:
        raise
    except BaseException as error:
        event.error = thrown(error)
        if is_cancelled(error):
            raise


async def _apart(content: ReadableStream) -> AsyncGenerator[bytes, None]:
    """Yield the chunks of a body, each made outside of the reader's gates."""
    try:
        while chunk := await own_tasks.begin_in(outside(), _next(content)):
            yield chunk
    except Exception as error:
        raise thrown(error) from error
    finally:
        await content.cancel()


async def _next(content: ReadableStream) -> bytes:
    """Return the next chunk that is not empty; empty bytes at the end."""
    while (chunk := await content.next_chunk()) is not None:
        if chunk:
            return bytes(chunk)
    return b""
