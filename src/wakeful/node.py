"""Runtime: settings and classes in, a wired node out.

Start: open the store (lock, migrate, epoch), make the host, register the types.
Stop:  under one deadline: stop serving, put the actors to rest (runtime.drain), close the store.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import CancelledError as FutureCancelled
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from functools import partial
from os import PathLike, fspath
from random import Random
from types import TracebackType
from typing import Any, Literal, ParamSpec, Self, TypeVar

from wakeful.actor import Actor, DurableObject
from wakeful.actor_type import ActorType
from wakeful.config import Config
from wakeful.errors import ConfigError, ShuttingDown, WrongThread
from wakeful.facet import Facet
from wakeful.facets.builder import ActorSpec
from wakeful.facets.durability import DurabilityFacet
from wakeful.facets.virtual import VirtualActorConfig, VirtualActorFacet
from wakeful.http.asgi import AsgiApplication
from wakeful.http.gateway import Front, Gateway, Handler, Report
from wakeful.http.server import HttpServer
from wakeful.http.settings import HttpSettings
from wakeful.ids import check_name
from wakeful.ports import Clock, Page, Store, StoreInfo
from wakeful.runtime.drain import Deadline
from wakeful.runtime.host import Host
from wakeful.sql.databases import Databases
from wakeful.store.sqlite import SQLiteStore
from wakeful.telemetry.metrics import Metrics

A = TypeVar("A")
P = ParamSpec("P")
T = TypeVar("T")
Path = str | PathLike[str]


def _monotonic_ns() -> Callable[[], int]:
    """The clock that only grows and goes on while the machine sleeps, where there is one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic_ns if clock is None else partial(time.clock_gettime_ns, clock)


class SystemClock:
    """The machine's clocks."""

    trust_seconds = 5.0

    now_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(_monotonic_ns())


class Runtime:
    """Actors in this process, kept in a data directory.

    Use it as an async context manager. Several runtimes may live in one process, each with a
    directory of its own.

    Args:
        data: the data directory (made if missing), or a store of your own.
        actors: the actor classes to serve, or specs from ActorBuilder.
        config: settings; see Config.
        clock: time, injected by tests.
        random: chance, injected by tests.

    Raises:
        ConfigError: a class or a setting is wrong.
    """

    def __init__(
        self,
        data: Path | Store,
        actors: Iterable[type[Actor] | ActorSpec],
        *,
        config: Config | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        self.config = config or Config()
        self._types = [_actor_type(actor, self.config) for actor in actors]
        self._clock: Clock = clock or SystemClock()
        self._store: Store = _store(data, self.config)
        self._random = random or Random()
        self._host: Host | None = None
        self._started = False
        self._gateways: list[Gateway] = []
        self._servers: list[HttpServer] = []
        self._front: Front | None = None
        self._pages: dict[str, Handler] = {}

    @property
    def host(self) -> Host:
        """The running host, for the adapters.

        Raises:
            ConfigError: the runtime is not started.
        """
        if self._host is None:
            raise ConfigError("the runtime is not running: use `async with Runtime(...) as rt`")
        return self._host

    def _host_here(self) -> Host:
        """The running host, for code that runs in its thread.

        Raises:
            WrongThread: this is another thread, or another event loop.
        """
        host = self.host
        host.delivery.home.check()
        return host

    async def __aenter__(self) -> Self:
        """Start: take the data directory and register the types.

        Raises:
            DirectoryInUse, FormatTooNew, StorageError: the directory cannot be used.
            ConfigError: it has been started before, or two types have one name.
        """
        if self._started:
            raise ConfigError("a runtime runs once: make a new one")
        loop = asyncio.get_running_loop()
        info = await self._store.open()
        self._started = True
        try:
            await self._prepare(info)
        except BaseException:
            await self._store.close()
            raise
        sql = self._databases()
        host = Host(
            loop=loop,
            store=self._store,
            info=info,
            clock=self._clock,
            config=self.config,
            random=self._random,
            sql=sql,
        )
        try:
            for actor_type in self._types:
                host.register(actor_type)
        except BaseException:
            sql.close()
            await self._store.close()
            raise
        self._host = host
        host.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop in good order, also when cancelled meanwhile; what was acknowledged is on disk."""
        loop, seconds = asyncio.get_running_loop(), self.config.limits.shutdown_seconds
        deadline = Deadline(loop.time, seconds)
        gateways, self._gateways = self._gateways, []
        async with AsyncExitStack() as last_first:
            if self._host is not None:
                last_first.push_async_callback(lambda: self._store.close(deadline.share()))
                last_first.callback(self._host.sql.close)
                last_first.push_async_callback(self._host.close, deadline)
                last_first.push_async_callback(self._finish, deadline)
            last_first.callback(self._admit_no_more, gateways)
            last_first.push_async_callback(self._stop_serving, deadline)

    async def _stop_serving(self, deadline: Deadline) -> None:
        servers, self._servers = self._servers, []
        async with AsyncExitStack() as all_of_them:
            for server in servers:
                all_of_them.push_async_callback(_close_server, server, deadline)

    async def _finish(self, deadline: Deadline) -> None:
        """Let the work that runs beside the actors end."""

    def _admit_no_more(self, gateways: Iterable[Gateway]) -> None:
        self._host = None
        for gateway in gateways:
            gateway.close()

    def get(self, actor: type[A], name: str, *, timeout: float | None = None) -> A:
        """A ref to the actor of that name, typed as its class. Nothing is started or sent yet.

        Args:
            actor: the class.
            name: the actor's name.
            timeout: how many seconds each call through this ref waits for its answer. After that
                it raises DeadlineInQueue if the turn has not begun, and then it never does; and
                DeadlineExceeded if it has: the turn goes on, and its outcome is unknown.

        Raises:
            UnknownActorType: the class is not among `actors`.
            InvalidArguments, PayloadTooLarge: the name, or the timeout, is not usable.
        """
        return self.host.get(actor, name, timeout)

    def tell(
        self,
        actor: type[A],
        to: str,
        /,
        *,
        delay: timedelta | None = None,
        at: datetime | None = None,
        every: timedelta | None = None,
        cron: str | None = None,
        zone: str | None = None,
        name: str | None = None,
        times: int | None = None,
        missed: Literal["once", "all", "skip"] = "once",
    ) -> A:
        """Have a method of an actor called later: `await rt.tell(Cart, "ada").expire()`.

        Awaiting it returns when the actor keeps the message durably; the method itself runs later,
        in a turn of its own, and has its effect once, as far as that turn is one commit. A message
        that was told without a time is due at once; the keywords make it a reminder, as those of
        `ctx.tell`.

        Args:
            actor: the class.
            to: the actor's name.
            delay, at, every, cron, zone, name, times, missed: as `ctx.tell` has them.

        Raises:
            UnknownActorType, ConfigError: the class is not registered, or cannot be told.
            InvalidArguments: a name, a time or an argument of the method is not usable.
            LimitExceeded: the actor's agenda has `limits.agenda` entries.
        """
        options: dict[str, object] = {
            "delay": delay,
            "at": at,
            "every": every,
            "cron": cron,
            "zone": zone,
            "name": name,
            "times": times,
            "missed": missed,
        }
        return self.host.tell(actor, to, options)

    def spawn(self, actor: type[A], *args: object, name: str | None = None) -> A:
        """Start an actor that has no lifetime of its own; it lives until `stop`.

        A class that is not among `actors` is added to them.

        Args:
            actor: the class.
            *args: passed to its constructor.
            name: its name; by default a new unique one.
        """
        host = self._host_here()
        if not host.knows(actor):
            host.register(_actor_type(actor, self.config))
        return host.spawn(actor, uuid.uuid4().hex if name is None else name, args)

    def call_from_thread(
        self, function: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Make a call from another thread, which waits for its result.

        All of the runtime is used in the thread, and on the event loop, that it was started on.
        This runs `function(*args, **kwargs)` there: `rt.call_from_thread(counter.increment, by=5)`.

        Args:
            function: a method of a ref, or any other `async def`.
            *args: its arguments by position.
            **kwargs: its arguments by name.

        Raises:
            WrongThread: this is the runtime's own thread, which cannot wait for itself: await it.
            ShuttingDown: the event loop ended meanwhile, or ends; the call may have run.
            Exception: what the call raised.
        """
        host = self.host
        if host.delivery.home.is_own_thread():
            raise WrongThread(
                "call_from_thread() is for other threads: in the runtime's own, await the call"
            )

        async def call() -> T:
            return await function(*args, **kwargs)

        work = call()
        try:
            running = asyncio.run_coroutine_threadsafe(work, host.loop.raw)
        except RuntimeError as error:  # asyncio's, for a loop that is closed
            work.close()
            raise ShuttingDown("the event loop of the runtime has ended") from error
        try:
            return running.result()
        except FutureCancelled as error:
            raise ShuttingDown("the call was cancelled with its event loop") from error
        except BaseException:
            running.cancel()  # the thread was interrupted: nobody waits any more
            raise

    async def stop(self, ref: object) -> None:
        """Put a running actor to sleep (a volatile one ends); durable state stays."""
        await self._host_here().stop(ref)

    async def delete(self, actor: type[Actor], name: str) -> None:
        """Remove an actor and all it keeps; returns when that is durable.

        Turns under way fail with ActorAborted; a later call starts from nothing.
        """
        host = self._host_here()
        ref = host.ref(host.type_of(actor), check_name(name))
        await host.activator.delete(ref._type, ref._id)

    async def list(
        self,
        actor: type[Actor],
        prefix: str = "",
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page:
        """Stored actors of a type, by name, a page at a time; pass `page.cursor` to go on."""
        host = self.host
        await host.committer.owned()
        return await host.store.actors(host.type_of(actor).name, prefix, cursor, limit)

    def serve(
        self, host: str = "127.0.0.1", port: int = 8787, settings: HttpSettings | None = None
    ) -> HttpServer:
        """Serve the actors over HTTP until the runtime stops, or the server is closed.

        Args:
            host: the address to listen on; by default only this machine can connect.
            port: 0 for any free one; the returned server knows which.
            settings: see HttpSettings.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        settings = settings or HttpSettings()
        server = HttpServer(host, port, settings)
        server.start(self.gateway(settings, loopback=server.loopback))
        self._servers.append(server)
        return server

    def asgi(self, settings: HttpSettings | None = None) -> AsgiApplication:
        """The actors as an ASGI application, to be mounted in Starlette or FastAPI.

        Run by itself (`uvicorn app:asgi`), it starts and stops the runtime.
        """
        made: list[tuple[Host, Gateway]] = []

        def gateway() -> Gateway | None:
            if self._host is None:
                return None
            if not made or made[0][0] is not self._host:
                made[:] = [(self._host, self.gateway(settings or HttpSettings(), loopback=False))]
            return made[0][1]

        return AsgiApplication(gateway, self)

    def gateway(
        self, settings: HttpSettings, *, loopback: bool, report: Report | None = None
    ) -> Gateway:
        """What answers HTTP requests for the actors, for a server of your own; see Gateway."""
        metrics = Metrics(self.host, self._gateways)
        gateway = Gateway(
            self.host,
            settings,
            metrics.render,
            loopback=loopback,
            report=report,
            front=self._front,
            pages=self._pages,
        )
        self._gateways.append(gateway)
        return gateway

    def attach(self, actor: type[Actor], facet: Facet) -> None:
        """Add a facet to a type while it runs."""
        self.host.attach(actor, facet)

    def detach(self, actor: type[Actor], facet: Facet) -> None:
        """Take a facet away from a type while it runs."""
        self.host.detach(actor, facet)

    async def _prepare(self, info: StoreInfo) -> None:
        """Prepare the store before anything is served."""

    def _add(self, actors: Iterable[type[Actor] | ActorSpec]) -> None:
        """Serve these types too; allowed only until the runtime is started (also in `_prepare`)."""
        self._types += [_actor_type(actor, self.config) for actor in actors]

    def _databases(self) -> Databases:
        limits = self.config.limits
        return Databases(
            self._store.page,
            handles=limits.sql_handles,
            cache_bytes=limits.sql_cache_bytes,
            turn_bytes=limits.sql_turn_bytes,
            seconds=limits.sql_seconds,
            now_ns=self._clock.monotonic_ns,
        )


async def _close_server(server: HttpServer, deadline: Deadline) -> None:
    await server.close(deadline.share())


def _store(data: Path | Store, config: Config) -> Store:
    if isinstance(data, str | PathLike):
        return SQLiteStore(fspath(data), strict_recovery=config.strict_recovery)
    return data


def _actor_type(actor: object, config: Config) -> ActorType:
    if isinstance(actor, ActorSpec):
        return ActorType(actor.cls, _facets(actor.cls, actor.facets, config), actor.name)
    if not (isinstance(actor, type) and issubclass(actor, Actor)):
        raise ConfigError(f"actors are subclasses of wakeful.Actor, not {actor!r}")
    return ActorType(actor, _facets(actor, actor.facets, config))


def _facets(actor: type[Actor], attached: Iterable[Facet], config: Config) -> list[Facet]:
    """The attached facets, and the defaults of a DurableObject that are not among them."""
    facets = list(attached)
    if issubclass(actor, DurableObject):
        kinds = {type(facet) for facet in facets}
        if VirtualActorFacet not in kinds:
            idle = VirtualActorConfig(idle_timeout=config.idle_seconds)
            facets.append(VirtualActorFacet(idle))
        if DurabilityFacet not in kinds:
            facets.append(DurabilityFacet())
    return facets
