"""`env.COUNTERS`: from names to ids to stubs; nothing is sent and no object is started here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Generic, TypeVar

from wakeful.errors import ConfigError
from wakeful.workers.objects.ids import DurableObjectId, EarlyIds, IdSpace, refuse_jurisdiction
from wakeful.workers.objects.options import MISSING, NAMESPACE, options, wrong
from wakeful.workers.proxies import JsProxy, JsRangeError

S = TypeVar("S")

ROUTING_MODES: Final = frozenset({None, "primary-only"})


class DurableObjectNamespace(JsProxy, Generic[S]):
    """The objects of one class, as a binding offers them."""

    js_name = NAMESPACE
    __slots__ = ("_ids", "_make_stub")

    def __init__(self, ids: IdSpace, make_stub: Callable[[DurableObjectId], S]) -> None:
        self._ids = ids
        self._make_stub = make_stub

    def _keep_in(self, namespace: str) -> None:
        """Put the objects in this namespace.

        Raises:
            ConfigError: ids were made before, and would be wrong.
        """
        ids = self._ids
        if ids.unique_key != namespace and isinstance(ids, EarlyIds) and ids.used:
            raise ConfigError(
                f"ids of the class whose objects are in {namespace} were made while the Worker was "
                "imported, before that was known. Make ids where requests are handled"
            )
        self._ids = ids.renamed(namespace)

    def idFromName(self, name: object = MISSING, *_: object) -> DurableObjectId:
        """The id of a name: always the same one."""
        if name is MISSING:
            raise wrong(NAMESPACE, "idFromName", "string")
        return self._ids.from_name(name)

    def newUniqueId(self, given: object = None, *_: object, **named: object) -> DurableObjectId:
        """Make an id that no object has had."""
        refuse_jurisdiction(options(NAMESPACE, "newUniqueId", given, named).get("jurisdiction"))
        return self._ids.new_unique()

    def idFromString(self, text: object = MISSING, *_: object) -> DurableObjectId:
        """The id whose `toString()` the text is.

        Raises:
            JsTypeError: it is not 64 hex digits, or an id of another namespace.
        """
        if text is MISSING:
            raise wrong(NAMESPACE, "idFromString", "string")
        return self._ids.from_string(text)

    def get(self, id: object = None, given: object = None, *_: object, **named: object) -> S:
        """A stub of an object; `locationHint` is accepted and means nothing on one machine.

        Raises:
            JsTypeError: it is not an id.
            JsRangeError: `routingMode` is unknown.
        """
        if not isinstance(id, DurableObjectId):
            raise wrong(NAMESPACE, "get", "DurableObjectId")
        return self._stub("get", id, given, named)

    def getByName(
        self, name: object = MISSING, given: object = None, *_: object, **named: object
    ) -> S:
        """A stub of the object with a name."""
        if name is MISSING:
            raise wrong(NAMESPACE, "getByName", "string")
        return self._stub("getByName", self._ids.from_name(name), given, named)

    def _stub(
        self, call: str, id: DurableObjectId, given: object, named: Mapping[str, object]
    ) -> S:
        mode = options(NAMESPACE, call, given, named).get("routingMode")
        if mode not in ROUTING_MODES:
            raise JsRangeError(f"unknown routingMode: {mode}")
        return self._make_stub(id)

    def jurisdiction(self, jurisdiction: object = None) -> DurableObjectNamespace[S]:
        """The namespace itself: there are no jurisdictions outside Cloudflare's network.

        Raises:
            JsException: one is named.
        """
        refuse_jurisdiction(jurisdiction)
        return self

    def __repr__(self) -> str:
        return f"<DurableObjectNamespace {self._ids.unique_key}>"
