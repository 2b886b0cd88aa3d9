"""The one handler: every request that comes in over any server, to its answer.

Errors:  none leave `handle` but ClientGone, cancellation and, for a request that is to become a
         WebSocket, UpgradeRequired: the server answers that with `connect`. What went wrong is in
         the answer, and what is our fault is in the log.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

from wakeful.errors import RuntimeOverloaded, ShuttingDown, StorageError, WakefulError
from wakeful.header import call_header
from wakeful.http.admin import Admin
from wakeful.http.bodies import Bodies, Incoming
from wakeful.http.deadline import Deadlines
from wakeful.http.guard import Guard, cors
from wakeful.http.invoke import Calls
from wakeful.http.message import SWITCHING, Answer, ClientGone, Request, json_answer
from wakeful.http.openapi import document
from wakeful.http.problems import TYPES, explain, explanations, problem
from wakeful.http.routes import ACTORS, ADMIN
from wakeful.http.settings import HttpSettings
from wakeful.http.websocket import Doors, wants_upgrade
from wakeful.log import logger
from wakeful.refusals import InternalError, NoSuchPath, NotAllowedHere, UpgradeRequired
from wakeful.runtime.host import Host

Handler = Callable[[Request], Awaitable[Answer]]
Report = Callable[[Request, WakefulError], None]
Front = Callable[[Request, Incoming], Awaitable[Answer]]

OWN: Final = "/_wakeful/"
METRICS_TYPE: Final = "text/plain; version=1.0.0; charset=utf-8"
READ: Final = ("GET", "HEAD")


class Gateway:
    """Answers requests for the actors of one host.

    Args:
        host: whose actors.
        settings: whom to let in.
        metrics: makes the metrics page.
        loopback: whether only this machine can reach us.
        report: is called with each error that is answered; what user code raised is its cause.
        front: answers all requests but those below /_wakeful/, in place of the actors; it gets
            the body too, and says itself which origins may call.
        pages: further paths that are answered with GET, before `front`; only for those who may use
            the admin paths, and not for pages of other sites.

    Attributes:
        active: requests being handled.
        answers: how many answers there were, by the hundreds of their status.
        shed: how many requests were refused because too many were being handled.
    """

    def __init__(
        self,
        host: Host,
        settings: HttpSettings,
        metrics: Callable[[], bytes],
        *,
        loopback: bool,
        report: Report | None = None,
        front: Front | None = None,
        pages: Mapping[str, Handler] = MappingProxyType({}),
    ) -> None:
        self.active = 0
        self.shed = 0
        self.answers = [0] * 6
        self.deadlines = Deadlines(host.loop.raw, host.config.limits.request_seconds)
        self._host = host
        self._metrics = metrics
        self._report = report
        self._active_max = host.config.limits.http_requests
        self._guard = Guard(settings, loopback=loopback, due=self.deadlines.due)
        self._admit = self._guard.admit
        bodies = Bodies(host.config.limits, self.deadlines, settings.body_bytes)
        calls = Calls(host, self.deadlines, bodies)
        self._call = calls.answer
        self._incoming = bodies.incoming
        self._front = front
        self._pages = pages
        self._doors = Doors(host, self.deadlines)
        self._admin = Admin(host, self.deadlines)
        self._openapi: tuple[str, bytes] | None = None  # what it is mounted at, the document
        self._errors: dict[str, type[WakefulError]] = {}
        self._fixed: dict[str, Handler] = {
            "/_wakeful/health": self._health,
            "/_wakeful/metrics": self._metrics_page,
            "/openapi.json": self._openapi_page,
        }

    async def handle(self, request: Request) -> Answer:
        """The answer to a request, for whose call this task has the header from now on."""
        if self.active >= self._active_max:
            self.shed += 1
            return self._count(problem(_too_many(self._active_max)))
        self.active += 1
        try:
            path = request.path
            if self._front is not None and not path.startswith(OWN) and path not in self._pages:
                call_header.set(self._guard.admit_to_worker(request))
                answer = await self._front(request, await self._incoming(request))
                return self._count(answer)
            header = self._admit(request)
            call_header.set(header)
            if path.startswith(ACTORS) and request.method != "OPTIONS":
                answer = await self._call(request, path, header)
            else:
                answer = await self._elsewhere(request, path)
            if header.origin is not None:
                answer = (answer[0], [*answer[1], *cors(header.origin)], answer[2])
        except WakefulError as error:
            if isinstance(error, UpgradeRequired) and wants_upgrade(request):
                raise
            answer = self._problem(request, error)
        except ClientGone:
            raise
        except Exception as error:
            log = logger()
            log.exception("request failed", method=request.method, error=str(error))
            answer = problem(InternalError("an error of the server; the log says more"))
        finally:
            self.active -= 1
        self.answers[answer[0] // 100] += 1
        return answer

    async def connect(self, request: Request) -> Answer:
        """The answer to a request with an upgrade: 101 and an accepted socket, or why not."""
        if self.active >= self._active_max:
            self.shed += 1
            return self._count(problem(_too_many(self._active_max)))
        self.active += 1
        try:
            path = request.path
            if self._front is not None and not path.startswith(OWN):
                call_header.set(self._guard.admit_to_worker(request))
                return self._count(await self._front(request, None))
            header = self._admit(request)
            call_header.set(header)
            if not path.startswith(ACTORS):
                raise NoSuchPath("nothing is here for WebSockets")
            return SWITCHING, [], await self._doors.open(request, path, header)
        except WakefulError as error:
            return self._count(self._problem(request, error))
        except ClientGone:
            raise
        except Exception as error:
            log = logger()
            log.exception("an upgrade failed", path=request.path, error=str(error))
            answer = problem(InternalError("an error of the server; the log says more"))
            return self._count(answer)
        finally:
            self.active -= 1

    def close(self) -> None:
        """Stop looking after deadlines."""
        self.deadlines.close()

    def _count(self, answer: Answer) -> Answer:
        self.answers[answer[0] // 100] += 1
        return answer

    def _problem(self, request: Request, error: WakefulError) -> Answer:
        """A problem, readable by the page of an allowed origin."""
        status, headers, body = problem(error, request.root)
        if self._report is not None:
            self._report(request, error)
        try:
            origin = self._admit(request).origin
        except WakefulError:
            origin = None
        return status, [*headers, *cors(origin)] if origin else headers, body

    async def _elsewhere(self, request: Request, path: str) -> Answer:
        if request.method == "OPTIONS":
            return 204, [("allow", "GET, HEAD, POST, DELETE"), *self._guard.preflight(request)], b""
        if path == ADMIN or path.startswith(ADMIN + "/"):
            self._guard.admit_admin(request)
            return await self._admin.answer(request, path)
        if path in self._pages:
            self._guard.admit_page(request)
            handler: Handler = self._pages[path]
        elif path.startswith(TYPES):
            handler = self._error_page
        elif path in self._fixed:
            handler = self._fixed[path]
        else:
            raise NoSuchPath(f"nothing is here; {self._nearest(path)}")
        if request.method not in READ:
            raise NotAllowedHere(f"{path} is read with GET", "GET, HEAD")
        return await handler(request)

    def _nearest(self, path: str) -> str:
        if path[1:].partition("/")[0] in self._host.types:
            return f"methods of actors are below {ACTORS}<Type>/<name>/"
        return "/openapi.json says what there is"

    async def _health(self, request: Request) -> Answer:
        """Live: this answers. Ready: calls would be admitted and could be committed."""
        host = self._host
        if host.intake.closing:
            return _unready(ShuttingDown.code)
        try:
            await host.committer.owned()
        except StorageError as error:
            return _unready(error.code)
        return json_answer({"live": True, "ready": True})

    async def _metrics_page(self, request: Request) -> Answer:
        return 200, [("content-type", METRICS_TYPE)], self._metrics()

    async def _openapi_page(self, request: Request) -> Answer:
        if self._openapi is None or self._openapi[0] != request.root:
            self._openapi = request.root, document(self._host.types.values(), request.root)
        return 200, [("content-type", "application/json")], self._openapi[1]

    async def _error_page(self, request: Request) -> Answer:
        self._errors = self._errors or explanations(WakefulError)
        cls = self._errors.get(request.path.removeprefix(TYPES))
        if cls is None:
            raise NoSuchPath("there is no error of this code")
        return 200, [("content-type", "text/plain; charset=utf-8")], explain(cls)


def _unready(reason: str) -> Answer:
    return json_answer({"live": True, "ready": False, "reason": reason}, 503)


def _too_many(limit: int) -> RuntimeOverloaded:
    return RuntimeOverloaded(f"{limit} requests are being handled (limits.http_requests)")
