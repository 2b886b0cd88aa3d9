"""Runtimes under test: in memory, on virtual time, with a hand inside their actors and objects.

Nothing passes but what the test waits for: a Worker's hour of sleep, and the wait for an alarm,
take no time. A wait that can never end is an error.

Units:   seconds, or a timedelta.
Source:  Cloudflare's test APIs of Vitest (runInDurableObject and the like).
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from time import time_ns
from typing import Any, Final, TypeVar, cast, overload
from urllib.parse import urljoin

from wakeful.actor import Actor, ActorContext
from wakeful.actor_type import ActorType
from wakeful.config import Config
from wakeful.errors import ActivationAborted, ActorNotFound, ConfigError
from wakeful.facets.builder import ActorSpec
from wakeful.ids import ActorId
from wakeful.node import Runtime
from wakeful.runtime.alarms import InternalPlan
from wakeful.runtime.refs import Ref
from wakeful.store.memory import MemoryStore
from wakeful.testing.clock import WALL_START_NS, VirtualClock
from wakeful.testing.loop import VirtualLoop
from wakeful.worker_node import WorkerRuntime
from wakeful.workers.calls import Event, call, settled
from wakeful.workers.config.support import EVERYTHING
from wakeful.workers.config.wrangler import WranglerConfig, read_config
from wakeful.workers.objects.host_object import Instance
from wakeful.workers.objects.ids import DurableObjectId
from wakeful.workers.objects.namespace import DurableObjectNamespace
from wakeful.workers.objects.stubs import Stub
from wakeful.workers.proxies import JsException
from wakeful.workers.web.outgoing import Fetcher, make_request
from wakeful.workers.web.requests import JsRequest, Request
from wakeful.workers.web.responses import FetchResponse, JsResponse, Response

__all__ = ["Request", "Response", "RuntimeHarness", "StartRuntime", "StartWorker", "WorkerHarness"]

A = TypeVar("A")
V = TypeVar("V")

ORIGIN: Final = "http://localhost/"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Longer than timers are coarse: what falls due in the last moment of an advance runs in it.
GRACE_SECONDS: Final = 0.02
NO_LOOP: Final = (
    "runtimes under test run on virtual time: call this in an async test or an async fixture that "
    "uses the fixture `runtime` or `worker`"
)
NO_WORKER: Final = (
    'which Worker? Say `await worker("path/to/worker")`, mark the test with '
    '@pytest.mark.wakeful_worker("path/to/worker"), or set wakeful_worker in the configuration '
    "of pytest"
)

Outgoing = Callable[[Request], Awaitable[Response] | Response]


class Inside(Runtime):
    """What a test may do with a runtime, and nobody else."""

    def now(self) -> datetime:
        """The time it is for the actors, in UTC."""
        return EPOCH + timedelta(microseconds=self._clock.now_ns() // 1000)

    async def advance(self, by: float | timedelta) -> None:
        """Let time pass: alarms fire, idle actors go to sleep.

        Returns when the handlers of alarms that fell due have ended; 20 ms more have passed then.

        Args:
            by: seconds, or a timedelta.

        Raises:
            ValueError: it is negative.
        """
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        if not seconds >= 0:
            raise ValueError(f"time goes forward only: advance() cannot take {by!r}")
        await asyncio.sleep(seconds)
        await asyncio.sleep(GRACE_SECONDS)
        await self.host.alarms.finished()

    async def evict(self, target: object) -> bool:
        """Take an actor out of memory, as idleness would, once what runs in it has ended.

        What is stored stays, and sockets that may outlive it; an actor that was spawned ends.

        Args:
            target: a ref, or a stub.

        Returns:
            Whether it was in memory.
        """
        _, actor = self._place(target)
        try:
            await self.host.activator.stop(actor)
        except ActorNotFound:
            return False
        return True

    async def evict_all(self) -> None:
        """Take everything out of memory."""
        for activation in self.host.activator.catalog:
            with suppress(ActorNotFound):  # it may have gone by itself meanwhile
                await self.host.activator.stop(activation.id)

    async def run_alarm(self, target: object) -> bool:
        """Run the alarm of an actor now, due or not.

        Args:
            target: a ref, or a stub.

        Returns:
            Whether there was one.

        Raises:
            Exception: what the handler raised; the alarm stays set for its time.
        """
        return await self.host.alarms.run_early(*self._place(target))

    def _place(self, target: object) -> tuple[ActorType, ActorId]:
        raise NotImplementedError

    async def _names(self, actor_type: str) -> list[str]:
        """Those that are stored or in memory."""
        found = {
            actor.name for actor in self.host.activator.catalog.actors if actor.type == actor_type
        }
        cursor: str | None = ""
        while cursor is not None:
            page = await self.host.store.actors(actor_type, "", cursor or None)
            found.update(actor.name for actor in page.actors)
            cursor = page.cursor
        return sorted(found)


class RuntimeHarness(Inside):
    """Actors under test."""

    @overload
    async def run_in(
        self, ref: A, callback: Callable[[A, ActorContext], Coroutine[Any, Any, V]]
    ) -> V: ...

    @overload
    async def run_in(self, ref: A, callback: Callable[[A, ActorContext], V]) -> V: ...

    async def run_in(self, ref: Any, callback: Callable[[Any, ActorContext], object]) -> object:
        """Run code inside an actor: a turn like that of any method, which an exception undoes.

        Args:
            ref: which actor.
            callback: called with the instance and its `ctx`; may be async.

        Returns:
            What the callback returned, not copied.
        """
        self._place(ref)
        returned: list[object] = []

        async def run(instance: Any) -> None:
            returned.append(await settled(callback(instance, instance.ctx)))

        plan = InternalPlan("run_in", run)
        plan.urgent = False
        await self.host.delivery.asking(plan)(ref)
        return returned[0]

    async def ids(self, actor: type[Actor]) -> list[ActorId]:
        """The actors of a class that have stored something or are in memory, by name."""
        kind = self.host.type_of(actor).name
        return [ActorId(kind, name) for name in await self._names(kind)]

    def _place(self, target: object) -> tuple[ActorType, ActorId]:
        if not isinstance(target, Ref):
            raise TypeError(f"a ref is wanted, what runtime.get(...) gives, not {target!r}")
        return target._type, target._id


class WorkerHarness(Inside, WorkerRuntime):
    """A Worker under test."""

    @property
    def env(self) -> Any:
        """`env`, as the Worker sees it: variables, secrets, namespaces."""
        return self.worker.env

    async def fetch(self, resource: str | Request, **options: Any) -> Response:
        """Let the Worker handle a request; no port is involved.

        Args:
            resource: a path, a URL, or a request.
            **options: `method`, `headers`, `body`, as for a Worker's own `fetch`.

        Returns:
            Its response; a redirect is not followed.

        Raises:
            Exception: whatever the Worker raised.
        """
        if isinstance(resource, str):
            resource = urljoin(ORIGIN, resource)
        return Response(await self.worker.respond(make_request(resource, options)))

    @overload
    async def run_in(
        self, stub: object, callback: Callable[[Any, Any], Coroutine[Any, Any, V]]
    ) -> V: ...

    @overload
    async def run_in(self, stub: object, callback: Callable[[Any, Any], V]) -> V: ...

    async def run_in(self, stub: object, callback: Callable[[Any, Any], object]) -> object:
        """Run code inside an object: an event like any other.

        Args:
            stub: which object.
            callback: called with the instance and its `ctx`; may be async.

        Returns:
            What the callback returned, not copied.

        Raises:
            Exception: whatever the callback raised.
        """
        self._place(stub)
        told = cast("Stub", stub)
        returned: list[object] = []
        raised: list[BaseException] = []

        async def run(instance: Instance) -> None:
            try:
                returned.append(await settled(callback(instance.target, instance.state)))
            except (ActivationAborted, CancelledError, GeneratorExit):
                raise
            except BaseException as error:  # as it is, not as another object would hear of it
                raised.append(error)

        await call(Event(told.id, run), told._deliver)
        if raised:
            raise raised[0]
        return returned[0]

    async def run_alarm(self, target: object) -> bool:
        """Run the alarm of an object now, due or not.

        Args:
            target: a stub.

        Returns:
            Whether there was one.

        Raises:
            Exception: what the handler raised, as it is; the alarm stays set for its time.
        """
        try:
            return await super().run_alarm(target)
        except JsException as error:
            raise error.__cause__ or error from None

    async def ids(self, namespace: DurableObjectNamespace[Any]) -> list[DurableObjectId]:
        """The objects of a namespace that have stored something or are in memory."""
        if not isinstance(namespace, DurableObjectNamespace):
            raise TypeError(f"a namespace is wanted, such as app.env.COUNTER, not {namespace!r}")
        names = await self._names(namespace._ids.unique_key)
        return [namespace.idFromString(name) for name in names]

    def _place(self, target: object) -> tuple[ActorType, ActorId]:
        if not isinstance(target, Stub):
            raise TypeError(f"a stub is wanted, what env.NAME.getByName(...) gives, not {target!r}")
        kind = target._actor_type
        return self.host.types[kind], ActorId(kind, target.id.toString())

    # The names of Cloudflare's own test tools.
    run_in_durable_object = run_in
    run_durable_object_alarm = run_alarm
    list_durable_object_ids = ids


class StartRuntime:
    """The fixture `runtime`: starts runtimes, each with a store of its own, until the test ends."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def __call__(
        self,
        *actors: type[Actor] | ActorSpec,
        config: Config | None = None,
        now: datetime | None = None,
    ) -> RuntimeHarness:
        """Start a runtime.

        Args:
            *actors: the classes to serve.
            config: settings; see Config.
            now: when time begins; by default now, and it goes on only as the test waits.

        Raises:
            ConfigError: a class or a setting is wrong.
        """
        harness = RuntimeHarness(
            MemoryStore(), actors, config=config, clock=_clock(now), random=Random(0)
        )
        return await self._stack.enter_async_context(harness)


class StartWorker:
    """The fixture `worker`: loads a Worker, with empty storage, until the test ends.

    Args:
        stack: where it is ended.
        root: what paths are relative to.
        default: the Worker to load if none is named.
    """

    def __init__(self, stack: AsyncExitStack, root: Path, default: str | None) -> None:
        self._stack = stack
        self._root = root
        self._default = default

    async def __call__(
        self,
        path: str | Path | None = None,
        *,
        environment: str | None = None,
        others: Sequence[str | Path] = (),
        outgoing: Outgoing | None = None,
        strict: bool = False,
        config: Config | None = None,
        now: datetime | None = None,
    ) -> WorkerHarness:
        """Load a Worker and start it.

        Args:
            path: its directory or wrangler file, from pytest's root directory.
            environment: the `env.<name>` of its configuration.
            others: Workers that it binds.
            outgoing: answers the requests its code makes to the outside; there is no network.
            strict: hold it to the limits of Cloudflare's network.
            config: settings; see Config.
            now: when time begins; by default now, and it goes on only as the test waits.

        Raises:
            ConfigError: there is none, it cannot be used, or another one is loaded.
        """
        named = self._default if path is None else path
        if named is None:
            raise ConfigError(NO_WORKER)
        harness = WorkerHarness(
            MemoryStore(),
            self._read(named, environment, strict=strict),
            others=[self._read(other, None, strict=strict) for other in others],
            config=config,
            clock=_clock(now),
            random=Random(0),
            random_bytes=Random(0).randbytes,
            fetcher=_no_network if outgoing is None else _fetcher(outgoing),
        )
        return await self._stack.enter_async_context(harness)

    def _read(self, named: str | Path, environment: str | None, *, strict: bool) -> WranglerConfig:
        """A configuration; what it binds and wakeful does not provide raises when it is used."""
        path = self._root / named
        return read_config(path, environment, strict=strict, allow_missing=EVERYTHING)


def _clock(now: datetime | None) -> VirtualClock:
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        raise ConfigError(NO_LOOP)
    if now is None:
        start_ns = time_ns()
    elif now.tzinfo is None:
        raise ConfigError("`now` needs a time zone: datetime(2026, 3, 1, tzinfo=UTC)")
    else:
        start_ns = (now - EPOCH) // timedelta(microseconds=1) * 1000
    return VirtualClock(loop, wall_skew_ns=start_ns - WALL_START_NS - round(loop.time() * 1e9))


def _fetcher(outgoing: Outgoing) -> Fetcher:
    async def fetch(request: JsRequest) -> JsResponse:
        answer = await settled(outgoing(Request(request)))
        if not isinstance(answer, FetchResponse):
            raise TypeError(f"outgoing has to return a Response, not {answer!r}")
        return answer.js_object

    return fetch


async def _no_network(request: JsRequest) -> JsResponse:
    raise OSError(
        f"Network connection lost: {request.method} {request.url}: a Worker under test has no "
        "network. Answer for it: `await worker(..., outgoing=answer)`, where "
        "`async def answer(request)` returns a Response"
    )
