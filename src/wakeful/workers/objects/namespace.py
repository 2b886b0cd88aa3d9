"""`env.COUNTERS`: from names to ids to stubs; nothing is sent and no object is started here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from wakeful.errors import ConfigError
from wakeful.workers.objects.ids import DurableObjectId, EarlyIds, IdSpace, refuse_jurisdiction
from wakeful.workers.proxies import JsProxy, JsRangeError, JsTypeError, options_of

S = TypeVar("S")

ROUTING_MODES: Final = frozenset({None, "primary-only"})


class DurableObjectNamespace(JsProxy, Generic[S]):
    """The objects of one class, as a binding offers them."""

    js_name = "DurableObjectNamespace"
    __slots__ = ("_ids", "_make_stub")

    def __init__(self, ids: IdSpace, make_stub: Callable[[DurableObjectId], S]) -> None:
        self._ids = ids
        self._make_stub = make_stub

    def _keep_in(self, namespace: str) -> None:
        """Its objects are in this namespace.

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

    def idFromName(self, name: object) -> DurableObjectId:
        """The id of a name: always the same one."""
        return self._ids.from_name(name)

    def newUniqueId(self, options: object = None, **named: object) -> DurableObjectId:
        """An id that no object has had."""
        refuse_jurisdiction(options_of(options, named.items()).get("jurisdiction"))
        return self._ids.new_unique()

    def idFromString(self, text: object) -> DurableObjectId:
        """The id whose `toString()` the text is.

        Raises:
            JsTypeError: it is not 64 hex digits, or an id of another namespace.
        """
        return self._ids.from_string(text)

    def get(self, id: object, options: object = None, **named: object) -> S:
        """A stub of an object; `locationHint` is accepted and means nothing on one machine.

        Raises:
            JsTypeError: it is not an id.
            JsRangeError: `routingMode` is unknown.
        """
        if not isinstance(id, DurableObjectId):
            raise JsTypeError(
                "Failed to execute 'get' on 'DurableObjectNamespace': parameter 1 is not of type "
                "'DurableObjectId'."
            )
        mode = options_of(options, named.items()).get("routingMode")
        if mode not in ROUTING_MODES:
            raise JsRangeError(f"unknown routingMode: {mode}")
        return self._make_stub(id)

    def getByName(self, name: object, options: object = None, **named: object) -> S:
        """A stub of the object with a name."""
        return self.get(self.idFromName(name), options, **named)

    def jurisdiction(self, jurisdiction: object = None) -> DurableObjectNamespace[S]:
        """The namespace itself: there are no jurisdictions outside Cloudflare's network.

        Raises:
            JsException: one is named.
        """
        refuse_jurisdiction(jurisdiction)
        return self

    def __repr__(self) -> str:
        return f"<DurableObjectNamespace {self._ids.unique_key}>"
