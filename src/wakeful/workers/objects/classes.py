"""A class of Durable Objects of a running Worker: its actor type, its namespace, its deliveries."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from wakeful.facets.builder import ActorSpec
from wakeful.facets.durability import DurabilityConfig, DurabilityFacet
from wakeful.facets.virtual import VirtualActorConfig, VirtualActorFacet
from wakeful.ids import ActorId
from wakeful.runtime.host import Host
from wakeful.workers.bindings.missing import MissingBinding
from wakeful.workers.calls import Event
from wakeful.workers.code.entrypoints import Exported
from wakeful.workers.code.stacks import Stacks
from wakeful.workers.env import Env
from wakeful.workers.objects.host_object import WorkerObject, alarm, event_plan
from wakeful.workers.objects.ids import DurableObjectId, EarlyIds, unique_key
from wakeful.workers.objects.namespace import DurableObjectNamespace
from wakeful.workers.objects.storage import StorageKind
from wakeful.workers.objects.stubs import Stub
from wakeful.workers.proxies import JsDict

ALARM_RETRIES: Final = 6  # as on Cloudflare


class ObjectClass:
    """One class, ready to be served.

    Attributes:
        name: its namespace in the data directory, which is the type of its actors.
        exported: the class itself.
        env: what its objects get second.
        exports: what they have as `ctx.exports`.
        storage: what its storage can do.
        stacks: let code of its objects that is not async wait.
        container: their `ctx.container`: None, or a placeholder that raises when it is used.
    """

    __slots__ = (
        *("_host", "_plan", "container", "env", "exported", "exports", "name", "stacks"),
        "storage",
    )

    def __init__(
        self,
        name: str,
        exported: Exported,
        env: Env,
        exports: JsDict,
        storage: StorageKind,
        *,
        stacks: Stacks | None = None,
        container: MissingBinding | None = None,
    ) -> None:
        self.name = name
        self._host: Host | None = None
        self._plan = event_plan(exported)
        self.exported = exported
        self.env = env
        self.exports = exports
        self.storage = storage
        self.stacks = stacks or Stacks()
        self.container = container

    def spec(self, idle_seconds: float) -> ActorSpec:
        """The actors of the class's objects."""
        module = WorkerObject.__module__
        own: dict[str, Any] = {"_class": self, "__module__": module, "alarm": alarm}
        cls = type(self.exported.cls.__name__, (WorkerObject,), own)
        lifetime = VirtualActorFacet(VirtualActorConfig(idle_timeout=idle_seconds))
        durability = DurabilityConfig(sql_strict=True, alarm_retries=ALARM_RETRIES)
        return ActorSpec(cls, (lifetime, DurabilityFacet(durability)), self.name)

    def start(self, host: Host) -> None:
        """Let a host serve the class's actors from now on."""
        self._host = host

    def deliver(self, hex_digits: str, event: Event) -> Future[object]:
        """Deliver an event to an object; done when it has ended, and when its outcome may be told.

        Raises:
            WakefulError: it was refused.
        """
        host = self._host
        assert host is not None, "a class is started before its objects are called"
        actor_type = host.types[self.name]
        return host.delivery.post(actor_type, ActorId(self.name, hex_digits), self._plan, event)


class Namespaces:
    """The namespaces of a Worker's classes; the classes themselves are loaded later.

    They are in `env` before the Worker's code is imported, as that may look at `env`. Which names
    they have in the data directory is known once it is open.

    Attributes:
        classes: the classes by name, once they are there.
    """

    def __init__(self, worker: str, random_bytes: Callable[[int], bytes]) -> None:
        self._worker = worker
        self._random_bytes = random_bytes
        self._made: dict[str, DurableObjectNamespace[Stub]] = {}
        self.classes: dict[str, ObjectClass] = {}

    def namespace(self, class_name: str) -> DurableObjectNamespace[Stub]:
        """The namespace of a class: one for all that bind it."""
        if class_name not in self._made:
            ids = EarlyIds(unique_key(self._worker, class_name), self._random_bytes)
            self._made[class_name] = DurableObjectNamespace(ids, partial(self._stub, class_name))
        return self._made[class_name]

    def keep_in(self, names: Mapping[str, str]) -> None:
        """Set the names in the data directory, by class; a class without a name is not served.

        Raises:
            ConfigError: ids were made before, and would be wrong.
        """
        for class_name, namespace in self._made.items():
            if class_name in names:
                namespace._keep_in(names[class_name])
        self.classes = {name: own for name, own in self.classes.items() if name in names}
        for class_name, own in self.classes.items():
            own.name = names[class_name]

    def _stub(self, class_name: str, id: DurableObjectId) -> Stub:
        def deliver(event: Event) -> Future[object]:
            return self.classes[class_name].deliver(id.toString(), event)

        return Stub(deliver, id, self._made[class_name]._ids.unique_key)
