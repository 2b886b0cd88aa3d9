"""A Worker, loaded and wired to a host: its events, its objects, its way to the outside world.

Start: make `env` with its namespaces, import the code, make an actor type of each class, start.
"""

from __future__ import annotations

import asyncio
from asyncio import Future, Task
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from contextvars import Context, copy_context
from typing import Any, Final

import httpx2
import msgspec

from wakeful.config import Limits
from wakeful.errors import Overloaded
from wakeful.facets.builder import ActorSpec
from wakeful.log import logger
from wakeful.runtime.drain import SHARE_SECONDS, Deadline, end_tasks, within
from wakeful.runtime.gated import inside, outside
from wakeful.runtime.host import Host
from wakeful.workers import own_tasks, strict
from wakeful.workers.bindings.assets import AssetServer
from wakeful.workers.bindings.bindings import Bindings
from wakeful.workers.bindings.missing import MissingBinding
from wakeful.workers.bindings.schedule import Schedule, ScheduledController
from wakeful.workers.calls import awaits
from wakeful.workers.code.entrypoints import Exported, arguments_taken
from wakeful.workers.code.loader import LoadedWorker, own_directories
from wakeful.workers.code.run_sync_use import mentions_run_sync
from wakeful.workers.code.stacks import Stacks
from wakeful.workers.config.support import CONTAINER
from wakeful.workers.config.wrangler import WranglerConfig
from wakeful.workers.env import make_env
from wakeful.workers.history.reconcile import Claim
from wakeful.workers.objects.classes import Namespaces, ObjectClass
from wakeful.workers.objects.host_object import response_of
from wakeful.workers.objects.ids import unique_key
from wakeful.workers.objects.storage import StorageKind
from wakeful.workers.outward import Outward
from wakeful.workers.proxies import JsDict, JsException, JsProxy, JsTypeError
from wakeful.workers.shims.environment import Environment
from wakeful.workers.shims.workers_module import shim_modules
from wakeful.workers.web.outgoing import Fetcher, HttpFetch
from wakeful.workers.web.requests import JsRequest, Request
from wakeful.workers.web.responses import JsResponse
from wakeful.workers.worker_sockets import Lobby

NAVIGATION: Final = "assets_navigation_prefers_asset_serving"
NEVER: Final = "assets_navigation_has_no_effect"
NO_RPC: Final = (
    "The receiving Worker does not support RPC, because it has no class `Default`. In order to "
    "enable RPC, give it one that derives from WorkerEntrypoint."
)
ANSWERS_CLOSE: Final = "web_socket_auto_reply_to_close"
LEAVES_CLOSE: Final = "web_socket_manual_reply_to_close"
KEEPS_ALARM: Final = "delete_all_preserves_alarm"
FETCH_SECONDS: Final = 60.0  # until an answer begins; workerd itself has no limit


class Surroundings(msgspec.Struct, frozen=True):
    """The parts of the process that a Worker shares with other Workers.

    Attributes:
        namespaces: its own namespaces, which others may bind too.
        bound: what its bindings of Workers and their classes stand for, by name.
        asked: its classes that others bind, each with who does, in words.
        load: imports its code.
    """

    namespaces: Namespaces
    bound: Mapping[str, object]
    asked: Mapping[str, str]
    load: Callable[..., AbstractContextManager[LoadedWorker]]


class Worker:
    """One Worker.

    Args:
        config: what wrangler's file says.
        around: what it has to do with the other Workers.
        now_ms: milliseconds since 1970.
        random_bytes: that many random bytes.
        fetcher: sends the requests its code makes to the outside; by default over HTTP.

    Raises:
        ConfigError: its code cannot be imported, or lacks a class.
    """

    def __init__(
        self,
        config: WranglerConfig,
        around: Surroundings,
        *,
        now_ms: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        fetcher: Fetcher | None = None,
    ) -> None:
        self.config = config
        self._fetcher = fetcher
        self._closing = ExitStack()
        self._client: httpx2.AsyncClient | None = None
        self._kept: set[Future[Any]] = set()
        self._background_max = Limits().background
        self._namespaces = around.namespaces
        self._asked = around.asked
        self._assets = _assets(config)
        self._bindings = Bindings(
            config.resources, self._assets, now_ms=now_ms, random_bytes=random_bytes
        )
        self.env = make_env(config, {**around.bound, **self._bindings.members})
        self._schedule = Schedule(config.crons, now_ms, self._begin)
        self._exports = JsDict()
        self._stacks = Stacks()
        standard = config.enabled("websocket_standard_binary_type", since="2026-03-17")
        self._lobby = Lobby(
            self.wait_until,
            answers_close=config.enabled(ANSWERS_CLOSE, since="2026-04-07", off=LEAVES_CLOSE),
            binary_type="blob" if standard else "arraybuffer",
        )
        self._outward = Outward(self._lobby)
        environment = Environment(
            env=self.env,
            fetch=self._fetch,
            wait_until=self.wait_until,
            now_ms=now_ms,
            random_bytes=random_bytes,
            log=_log,
            stacks=self._stacks,
            web_socket_pair=self._lobby.pair,
            web_socket=self._outward.open,
        )
        self._worker: LoadedWorker | None = None
        if config.main is not None:
            self._worker = self._closing.enter_context(
                around.load(config, shim_modules(environment), around.asked)
            )
            if not self._stacks.wanted:
                self._stacks.wanted = mentions_run_sync(own_directories(config))
        self._namespaces.classes = {
            name: self._object_class(name, exported)
            for name, exported in (self._worker.classes if self._worker else {}).items()
        }

    def _object_class(self, name: str, exported: Exported) -> ObjectClass:
        config = self.config
        kind = StorageKind(
            sqlite=config.storage_of(name) != "kv",
            strict=config.strict,
            delete_all_deletes_alarm=config.enabled(
                "delete_all_deletes_alarm", since="2026-02-24", off=KEEPS_ALARM
            ),
        )
        key, exports = unique_key(config.name, name), self._exports
        container = next(
            (
                MissingBinding(missing, "ctx.container")
                for missing in config.missing
                if missing.kind == CONTAINER and missing.name == name
            ),
            None,
        )
        return ObjectClass(
            key, exported, self.env, exports, kind, stacks=self._stacks, container=container
        )

    @property
    def entrypoints(self) -> list[str]:
        """The names of its entrypoint classes."""
        worker = self._worker
        default = ["Default"] if worker is not None and worker.default is not None else []
        return [*default, *worker.entrypoints] if worker is not None else []

    def claim(self) -> Claim:
        """The claim of the Worker on its classes."""
        config, worker = self.config, self._worker
        own = {
            b.class_name: f"{config.file}: durable_objects binding {b.name!r}"
            for b in config.bindings
            if config.is_own(b)
        }
        present = worker.present if worker is not None else frozenset()
        return Claim(config.file, config.name, config.classes, present, {**self._asked, **own})

    def keep_in(self, names: Mapping[str, str]) -> None:
        """Set the names of the Worker's namespaces in the data directory, by class.

        Raises:
            ConfigError: its code has made ids before, and they would be wrong.
        """
        self._namespaces.keep_in(names)
        namespaces = self._namespaces
        self._exports.update({name: namespaces.namespace(name) for name in namespaces.classes})

    def specs(self, idle_seconds: float) -> list[ActorSpec]:
        """The actors of the Worker's objects, and the actors that keep its bindings."""
        own = [own.spec(idle_seconds) for own in self._namespaces.classes.values()]
        return [*own, *self._bindings.specs(idle_seconds)]

    def start(self, host: Host) -> None:
        """Let a host serve the Worker's objects from now on."""
        self._background_max = host.config.limits.background
        self._lobby.start(host)
        self._bindings.start(host)
        self._schedule.start(host.loop)
        for own in self._namespaces.classes.values():
            own.start(host)

    async def finish(self, deadline: Deadline) -> None:
        """Let work that goes on after its event end, until the deadline; then cancel it."""
        self._schedule.close()
        self._outward.close()
        self._lobby.close()
        if self._kept:
            await asyncio.wait(self._kept, timeout=deadline.left())
        left = list(self._kept)
        await end_tasks(left, SHARE_SECONDS)
        if stuck := sum(not task.done() for task in left):
            log = logger("wakeful")
            log.error("work of waitUntil does not end although it is cancelled", count=stuck)
        client, self._client = self._client, None
        if client is not None:
            await within(SHARE_SECONDS, client.aclose)

    def aside(self) -> AbstractContextManager[None]:
        """Make room for another Worker's code; put this one back if an exception ends the block."""
        return nullcontext() if self._worker is None else self._worker.aside()

    def unload(self) -> None:
        """Remove the Worker's modules. Idempotent."""
        self._closing.close()

    async def respond(
        self, request: JsRequest, entrypoint: str | None = None, props: JsDict | None = None
    ) -> JsResponse:
        """Handle a request from outside or from another Worker.

        Args:
            request: what is asked.
            entrypoint: which of its entrypoints handles it; None: the default one.
            props: what it has as `ctx.props`.

        Raises:
            Exception: whatever its code raised.
        """
        if self.config.strict is None:
            return await self._respond(request, entrypoint, props)
        with strict.invocation(self.config.strict):
            return await self._respond(request, entrypoint, props)

    async def _respond(
        self, request: JsRequest, entrypoint: str | None, props: JsDict | None
    ) -> JsResponse:
        assets = self._assets if entrypoint is None else None
        if assets is not None and (self._worker is None or assets.comes_first(request)):
            return await assets.fetch(request)
        exported = self._entrypoint(entrypoint)
        context = ExecutionContext(self, props)
        handler = self._handler("fetch", context, exported)
        if handler is None:
            raise JsException("Handler does not export a fetch() function.")
        old = exported is None or exported.handles("fetch") == "on_fetch"
        asked = request if old else Request(request)
        given = (asked, self.env, context)
        result = await self._stacks.around(_handled(handler, given))
        return response_of(result, request)

    async def scheduled(self, controller: ScheduledController) -> None:
        """Run the handler of cron triggers.

        Raises:
            JsException: it has no handler.
            Exception: whatever its code raised.
        """
        context = ExecutionContext(self)
        handler = self._handler("scheduled", context, self._entrypoint(None))
        if handler is None:
            raise JsException("Handler does not export a scheduled() function.")
        with strict.invocation(self.config.strict):
            given = (controller, self.env, context)
            await self._stacks.around(_handled(handler, given))

    def _begin(self, cron: str, time_ms: int) -> None:
        work = self.scheduled(ScheduledController(cron, time_ms))
        self._keep(_logged(work, f"scheduled failed: {cron}"), copy_context())

    def method(self, name: str, entrypoint: str | None, props: JsDict) -> Callable[..., Any]:
        """Return a method of a new instance of an entrypoint, as other Workers may call it.

        Raises:
            JsTypeError: it cannot be called.
            Exception: whatever its constructor raised.
        """
        exported = self._entrypoint(entrypoint)
        if exported is None:
            raise JsTypeError(NO_RPC)
        exported.check_callable(name)
        return exported.method(exported.cls(ExecutionContext(self, props), self.env), name)

    def _entrypoint(self, name: str | None) -> Exported | None:
        """Return the class of an entrypoint; None: the handlers are functions."""
        worker = self._worker
        assert worker is not None, "without code there are no events"
        return worker.default if name in (None, "Default") else worker.entrypoints[name]

    def _handler(
        self, name: str, context: ExecutionContext, exported: Exported | None
    ) -> Callable[..., Any] | None:
        """Return the handler of an event, which drops surplus arguments."""
        worker = self._worker
        assert worker is not None, "without code there are no events"
        if exported is not None:
            named = exported.handles(name) or name
            return exported.handler(exported.cls(context, self.env), named)
        function = worker.handlers.get(name)
        if function is None:
            return None
        taken = arguments_taken(function)
        return lambda *given: function(*given[:taken])

    def wait_until(self, work: Awaitable[object] | None) -> None:
        """Let work go on after the answer of the event being handled; None is work that has ended.

        Raises:
            Overloaded: too much does already.
        """
        if work is None:
            return
        gated = inside.get()
        if gated is not None:
            gated.keep_awake(work)
            return
        if len(self._kept) >= self._background_max:
            if asyncio.iscoroutine(work):
                work.close()
            raise Overloaded(
                f"the Worker {self.config.name} has {self._background_max} tasks in the background "
                "(limits.background)"
            )
        task = self._keep(self._stacks.around(_logged(work, "waitUntil failed")), copy_context())
        if (invocation := strict.current.get()) is not None:
            invocation.keep(task)

    def called(self, work: Coroutine[Any, Any, None]) -> Future[Any]:
        """Handle a call of another Worker, outside of the caller's gates."""
        return self._keep(self._stacks.around(work), outside())

    def _keep(self, work: Coroutine[Any, Any, None], context: Context) -> Task[None]:
        task = own_tasks.begin_in(context, work)
        self._kept.add(task)
        own_tasks.when_done(task, self._kept.discard)
        return task

    async def _fetch(self, request: JsRequest) -> JsResponse:
        strict.check_subrequest()
        gated = inside.get()
        if gated is not None:
            await gated.depart()
        return await own_tasks.begin_in(outside(), self._sent(request))

    async def _sent(self, request: JsRequest) -> JsResponse:
        if self._fetcher is not None:
            return await self._fetcher(request)
        if (request.headers.get("upgrade") or "").lower() == "websocket":
            return await self._outward.fetch(request)
        if self._client is None:
            self._client = httpx2.AsyncClient(timeout=FETCH_SECONDS)
        return await HttpFetch(self._client)(request)


class ExecutionContext(JsProxy):
    """`ctx` of an event that no object handles."""

    js_name = "ExecutionContext"

    def __init__(self, worker: Worker, props: JsDict | None = None) -> None:
        self._worker = worker
        self.exports = worker._exports
        self.props = JsDict() if props is None else props

    def waitUntil(self, work: Awaitable[object] | None) -> None:
        """Let work go on after the answer."""
        self._worker.wait_until(work)

    wait_until = waitUntil

    def passThroughOnException(self) -> None:
        """Do nothing: there is no origin server behind this one."""


def _assets(config: WranglerConfig) -> AssetServer | None:
    """Return what serves a Worker's assets, if it has some."""
    assets = config.resources.assets
    if assets is None:
        return None
    return AssetServer(assets, navigation=config.enabled(NAVIGATION, since="2025-04-01", off=NEVER))


async def _handled(handler: Callable[..., Any], given: tuple[Any, ...]) -> Any:
    result = handler(*given)
    return await result if awaits(result) else result


async def _logged(work: Awaitable[object], failure: str) -> None:
    try:
        await work
    except (Exception, SystemExit) as error:
        logger("wakeful").error(failure, exc_info=error)


def _log(level: str, text: str) -> None:
    getattr(logger("wakeful.worker"), level)(text)
