"""Workers under test: in memory, on virtual time, with a hand inside their objects.

Source:  Cloudflare's test APIs of Vitest (runInDurableObject and the like).
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar, cast, overload
from urllib.parse import urljoin

from wakeful.actor_type import ActorType
from wakeful.config import Config
from wakeful.errors import ActivationAborted, ConfigError
from wakeful.ids import ActorId
from wakeful.store.memory import MemoryStore
from wakeful.testing.harness import Inside, clock_from
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

__all__ = ["Request", "Response", "StartWorker", "WorkerHarness"]

V = TypeVar("V")

ORIGIN: Final = "http://localhost/"
NO_WORKER: Final = (
    'which Worker? Say `await worker("path/to/worker")`, mark the test with '
    '@pytest.mark.wakeful_worker("path/to/worker"), or set wakeful_worker in the configuration '
    "of pytest"
)

Outgoing = Callable[[Request], Awaitable[Response] | Response]


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
        response = await self.worker.respond(make_request(resource, options))
        return Response(response.moved())

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
        target = cast("Stub", stub)
        returned: list[object] = []
        raised: list[BaseException] = []

        async def run(instance: Instance) -> None:
            try:
                returned.append(await settled(callback(instance.target, instance.state)))
            except (ActivationAborted, CancelledError, GeneratorExit):
                raise
            except BaseException as error:  # as it is, not as another object would get it
                raised.append(error)

        await call(Event(target.id, run), target._deliver)
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
            clock=clock_from(now),
            random=Random(0),
            random_bytes=Random(0).randbytes,
            fetcher=_no_network if outgoing is None else _fetcher(outgoing),
        )
        return await self._stack.enter_async_context(harness)

    def _read(self, named: str | Path, environment: str | None, *, strict: bool) -> WranglerConfig:
        """A configuration; what it binds and wakeful does not provide raises when it is used."""
        path = self._root / named
        return read_config(path, environment, strict=strict, allow_missing=EVERYTHING)


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
