"""A Worker served like actors: the same store, host, gateway and server, with it in front.

All paths but /_wakeful/ belong to the Worker. It also decides which origins may call it, as on
Cloudflare; only the guard comes before it (`Guard.admit_to_worker`).
"""

from __future__ import annotations

import re
import secrets
from asyncio import CancelledError, current_task, sleep
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from os import PathLike
from pathlib import Path as FilePath
from random import Random
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qsl, quote

from wakeful.config import Config
from wakeful.error_values import raised
from wakeful.errors import (
    ActorRaised,
    ConfigError,
    MalformedRequest,
    RuntimeOverloaded,
    SqlError,
    WakefulError,
)
from wakeful.http.bodies import Incoming, StreamedBody
from wakeful.http.message import Answer, ClientGone, Request, json_answer
from wakeful.http.websocket import wants_upgrade
from wakeful.log import logger
from wakeful.node import Path, Runtime, SystemClock
from wakeful.ports import Clock, Store, StoreInfo
from wakeful.runtime.drain import Deadline
from wakeful.workers.bindings.schedule import ScheduledController
from wakeful.workers.config.wrangler import WranglerConfig
from wakeful.workers.group import WorkerGroup
from wakeful.workers.history.migrate import Stored, check, migrate, stored
from wakeful.workers.js_errors import cause_of
from wakeful.workers.proxies import JsException
from wakeful.workers.strict import URL_BYTES_MAX
from wakeful.workers.web.outgoing import Fetcher
from wakeful.workers.web.requests import JsRequest
from wakeful.workers.web.responses import JsResponse
from wakeful.workers.web.streams import ReadableStream

SCHEDULED: Final = "/cdn-cgi/handler/scheduled"  # the same path as wrangler's
TOO_LONG: Final = b"URI Too Long"
LOGGED: Final = "the Worker's code raised; the log of the server says what"
PATH_SAFE: Final = "/:@!$&'()*+,;=~-._[]|"  # what WHATWG's URL parser leaves as it is in a path
PATH_SENT: Final = PATH_SAFE + "%"
PLAIN_PATH: Final = re.compile(r"[\w/:@!$&'()*+,;=~\-.\[\]|]*", re.ASCII)  # nothing to quote
# Headers about the connection: the server sets them.
CONNECTION: Final = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "upgrade"}
)
CLIENT: Final = "cf-connecting-ip"  # the peer's address, never what a client claims
# `request.cf`: what Cloudflare's network tells of a request, as far as it is known here.
CF: Final = {
    **dict.fromkeys(
        (
            *("asn", "asOrganization", "city", "clientTcpRtt", "colo", "continent", "country"),
            *("latitude", "longitude", "metroCode", "postalCode", "region", "regionCode"),
            *("timezone", "tlsCipher", "tlsVersion"),
        )
    ),
    "httpProtocol": "HTTP/1.1",
}


class WorkerRuntime(Runtime):
    """A Worker, those that it binds, and their objects in this process, kept in a data directory.

    Use it as an async context manager, once; a process has room for one at a time.

    Args:
        data: the data directory (made if missing), or a store of your own.
        worker: what its wrangler file says: `read_config(path)`.
        others: the same of Workers that are reached by bindings.
        config: settings; see Config.
        clock: time, injected by tests.
        random: chance, injected by tests.
        random_bytes: that many random bytes, injected by tests.
        fetcher: sends what its code asks the outside for, in place of HTTP; injected by tests.
        development: cron triggers can be tried, at SCHEDULED, and clients are told what its code
            raises.

    Raises:
        ConfigError: it asks for what is not provided, or its code cannot be used.
    """

    def __init__(
        self,
        data: Path | Store,
        worker: WranglerConfig,
        *,
        others: Sequence[WranglerConfig] = (),
        config: Config | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        fetcher: Fetcher | None = None,
        development: bool = False,
    ) -> None:
        config, clock = config or Config(), clock or SystemClock()
        now_ns = clock.now_ns
        self.workers = WorkerGroup(
            [worker, *others],
            now_ms=lambda: now_ns() // 1_000_000,
            random_bytes=random_bytes,
            fetcher=fetcher,
        )
        self.worker = self.workers.first
        self._now_ns = now_ns
        self._development = development
        try:
            _check_apart(data, [worker, *others])
            super().__init__(data, (), config=config, clock=clock, random=random)
        except BaseException:
            self.workers.unload()
            raise
        self._front = self._answer
        if development:
            self._pages[SCHEDULED] = self._scheduled

    async def stored(self) -> Stored:
        """The Workers that its data directory holds.

        Raises:
            StorageError: it cannot be read.
        """
        return await stored(self._store)

    def check(self, before: Stored) -> None:
        """Refuse what would keep it from taking over from one that runs, on the same directory.

        Args:
            before: what the directory has.

        Raises:
            ConfigError: its classes do not fit to that.
        """
        check(before, self.workers.claims(), self.workers.keep_in)

    async def __aenter__(self) -> Self:
        """Start: take the data directory and serve the Worker's objects.

        Raises:
            DirectoryInUse, FormatTooNew, StorageError: the directory cannot be used.
            ConfigError: the classes do not fit to what it has.
        """
        try:
            await super().__aenter__()
        except BaseException:
            self.workers.unload()
            raise
        self.workers.start(self.host)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop in good order; what was acknowledged is on disk."""
        try:
            await super().__aexit__(kind, error, traceback)
        finally:
            self.workers.unload()

    async def _finish(self, deadline: Deadline) -> None:
        await self.workers.finish(deadline)

    async def _prepare(self, info: StoreInfo) -> None:
        await migrate(self._store, info, self.workers.claims(), self.workers.keep_in)
        self._add(self.workers.specs(self.config.idle_seconds))

    async def _scheduled(self, request: Request) -> Answer:
        """Run the handler of cron triggers now, with this expression and time."""
        given = dict(parse_qsl(request.query))
        controller = ScheduledController(given.get("cron", ""), self._time(given.get("time")))
        outcome, status = "ok", 200
        try:
            await self.worker.scheduled(controller)
        except Exception as error:
            log = logger("wakeful")
            log.error("scheduled failed", cron=controller.cron, exc_info=error)
            outcome, status = "exception", 500
        if given.get("format") == "json":
            return json_answer({"outcome": outcome, "noRetry": not controller.repeats}, status)
        return status, [("content-type", "text/plain")], outcome.encode()

    def _time(self, given: str | None) -> int:
        if given is None:
            return self._now_ns() // 1_000_000
        if not given.isdecimal() or len(given) > 15:
            raise MalformedRequest(f"time is milliseconds since 1970, not {given[:20]!r}")
        return int(given)

    async def _answer(self, request: Request, body: Incoming) -> Answer:
        try:
            asked = request_of(request, body)
            if self.worker.config.strict is not None and len(asked.url) > URL_BYTES_MAX:
                return 414, [("content-type", "text/plain")], TOO_LONG
            if self.host.sockets.full() and wants_upgrade(request):
                limit = self.config.limits.sockets
                raise RuntimeOverloaded(f"{limit} WebSockets are open (limits.sockets)")
            with request.until_left():
                answer = answer_of(asked, await self.worker.respond(asked))
            if isinstance(answer[2], bytes):
                # In the next iteration of the loop, with the other answers of this one: an answer
                # wakes the HTTP server's thread, which takes the core from this one if it is alone.
                await sleep(0)
            return answer
        except (WakefulError, ClientGone):
            raise
        except CancelledError as error:
            task = current_task()
            if task is not None and task.cancelling():
                raise
            raise self._told(request, error) from error
        except BaseException as error:
            raise self._told(request, error) from error
        finally:
            if isinstance(body, StreamedBody):
                body.release()

    def _told(self, request: Request, error: BaseException) -> WakefulError:
        """The text of an error for a client; it names the Worker's code only in development."""
        cause = cause_of(error)
        if cause is not None and not isinstance(cause, SqlError):
            return cause
        if self._development:
            return raised(error)
        log = logger()
        log.error("the Worker raised", method=request.method, path=request.path, exc_info=error)
        return ActorRaised("Error", LOGGED)


def _check_apart(data: Path | Store, workers: Sequence[WranglerConfig]) -> None:
    """Refuse a data directory that everybody could read."""
    for worker in workers:
        assets = worker.resources.assets
        if assets is None or not isinstance(data, str | PathLike):
            continue
        if FilePath(data).resolve().is_relative_to(assets.directory):
            raise ConfigError(
                f"{worker.file}: assets.directory: the data directory {data} is in it, which "
                "everybody could read then. Give --data another one"
            )


def request_of(request: Request, body: Incoming) -> JsRequest:
    """A request from outside that the guard has let in, as the Worker sees it.

    Raises:
        MalformedRequest: its path is not valid.
    """
    content = Received(body) if isinstance(body, StreamedBody) else body
    host = request.header("host") or "localhost"
    if request.path == "*":
        raise MalformedRequest("a Worker is asked for paths, and * is none")
    query = f"?{query}" if (query := request.query) else ""
    url = f"http://{host}{_path_of(request)}{query}"
    headers = [pair for pair in request.pairs() if pair[0] != CLIENT]
    if (client := request.client) is not None:
        headers.append((CLIENT, client))
    return JsRequest.received(request.method, url, headers, content, cf=CF)


def _path_of(request: Request) -> str:
    raw = request.raw_path
    if raw is not None:
        return quote(raw, safe=PATH_SENT)
    path = request.path
    return path if PLAIN_PATH.fullmatch(path) else quote(path, safe=PATH_SAFE)


def answer_of(request: JsRequest, response: JsResponse) -> Answer:
    """A response of the Worker, as the server sends it."""
    headers = response.headers.raw()
    if not CONNECTION.isdisjoint([name for name, _ in headers]):
        headers = [pair for pair in headers if pair[0] not in CONNECTION]
    if response.webSocket is not None:
        return response.status, headers, response.webSocket.returned()
    content = response.take()
    if content is None or request.method == "HEAD":
        return response.status, headers, b""
    if isinstance(content, bytes):
        return response.status, headers, content
    return response.status, headers, _chunks(content)


class Received(ReadableStream):
    """The body of a request from outside; what its reader keeps of it takes room."""

    def __init__(self, body: StreamedBody) -> None:
        super().__init__(_received(body.chunks))
        self._keep = body.keep
        self._is_kept = False

    def kept(self) -> ReadableStream:
        """This body; from now on the bytes that are read count as kept in memory."""
        self._is_kept = True
        return self

    async def next_chunk(self) -> bytes | None:
        """The next chunk; None at the end.

        Raises:
            RuntimeOverloaded: there is no room for it.
        """
        chunk = await super().next_chunk()
        if self._is_kept and chunk is not None:
            self._keep(len(chunk))
        return chunk


async def _received(body: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(body):
            async for chunk in body:
                yield chunk
    except (ClientGone, MalformedRequest) as error:
        raise JsException("Network connection lost.") from error


async def _chunks(stream: ReadableStream) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in stream.chunks():
            yield chunk
    except (CancelledError, GeneratorExit):
        raise
    except BaseException as error:
        log = logger()
        log.error("a response broke off", exc_info=error)
        raise
    finally:
        await stream.cancel()
