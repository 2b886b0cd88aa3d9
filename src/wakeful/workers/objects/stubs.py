"""Stubs: what `env.COUNTERS.get(id)` gives. Every name of one but a few is a remote method.

Calls on a stub arrive in the order they were made, `fetch` among them. Once an object that it has
reached was reset, a stub stays broken; a new one reaches the new object.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable
from typing import Any

from wakeful.errors import CallError, WakefulError
from wakeful.workers import own_tasks
from wakeful.workers.calls import Event, Line, Pending, RemoteMethod, Run, call, failed
from wakeful.workers.js_errors import twin, undelivered
from wakeful.workers.objects.ids import DurableObjectId
from wakeful.workers.proxies import JsException, JsTypeError, options_of
from wakeful.workers.web import urls
from wakeful.workers.web.outgoing import Fetching, make_request
from wakeful.workers.web.requests import JsRequest

Deliver = Callable[[Event], Future[object]]


class Stub:
    """A stub: it sends calls to one object.

    Attributes:
        id: which one.
    """

    def __init__(self, deliver: Deliver, id: DurableObjectId, actor_type: str) -> None:
        self._deliver = deliver
        self._actor_type = actor_type
        self._broken: JsException | None = None
        self._line = Line()
        self.id = id

    @property
    def name(self) -> str | None:
        """The name that the id was derived from, if it is known."""
        return self.id.name

    def fetch(self, resource: object, options: object = None, **named: Any) -> Fetching:
        """Send a request to the object; its response.

        Raises:
            JsTypeError: the arguments make no valid request.
        """
        request = make_request(resource, options_of(options, named.items()))
        if not request.url.startswith(("http://", "https://")):
            raise JsTypeError(f"Fetch API cannot load: {request.url}")
        return Fetching(request, self._send)

    def _send(self, request: JsRequest) -> Pending:
        request.url = urls.sent(request.url)
        return self._call(lambda target: target.fetch(request), remote=True)

    def __getattr__(self, name: str) -> RemoteMethod:
        if name.startswith("__"):
            raise AttributeError(name)
        return RemoteMethod(self._call, self, name)

    def __wakeful_transfer__(self) -> Stub:
        return Stub(self._deliver, self.id, self._actor_type)

    def __repr__(self) -> str:
        return f"<DurableObject stub {self.id}>"

    def _call(self, run: Run, *, remote: bool = False) -> Pending:
        cause = self._line.broken()
        if cause is not None:
            self._break(cause)
        if self._broken is not None:
            return failed(twin(self._broken))
        pending = call(Event(self.id, run, self._line), self._deliver)
        pending.remote = remote
        if pending.reply.done():
            self._look(pending.reply)
        else:
            own_tasks.when_done(pending.reply, self._look)
        return pending

    def _look(self, reply: Future[object]) -> None:
        error = None if reply.cancelled() else reply.exception()
        if isinstance(error, WakefulError):
            self._break(error)

    def _break(self, cause: WakefulError) -> None:
        if not isinstance(cause, CallError):
            self._broken = undelivered(cause)
