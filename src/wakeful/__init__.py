"""Durable virtual actors for Python.

An actor is a plain class. Each instance has a name, lives exactly once, wakes on its first
message, sleeps when idle, and answers only when what it did is on disk.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wakeful.actor import (
        Actor,
        ActorBehavior,
        ActorContext,
        AlarmFailure,
        AlarmInfo,
        DeadLetter,
        DurableObject,
        Reminder,
        WebSocket,
        interleave,
        readonly,
        websocket,
    )
    from wakeful.client.asynchronous import Client, connect
    from wakeful.client.synchronous import SyncClient, connect_sync
    from wakeful.client.wire import Refused
    from wakeful.config import Config, Limits
    from wakeful.errors import (
        ActivationFailed,
        ActorAborted,
        ActorError,
        ActorMoved,
        ActorNotFound,
        ActorRaised,
        CallCycle,
        CallError,
        ConfigError,
        DeadlineExceeded,
        DeadlineInQueue,
        DirectoryInUse,
        DirectoryLost,
        Fenced,
        FormatTooNew,
        InvalidArguments,
        InvalidResult,
        LimitExceeded,
        MalformedRequest,
        MethodNotAllowed,
        Overloaded,
        OwnershipLost,
        PartialOutcome,
        PayloadTooLarge,
        RateLimited,
        Retry,
        RuntimeOverloaded,
        SchemaMismatch,
        ShuttingDown,
        SocketClosed,
        SqlError,
        StateError,
        StateInvalid,
        StorageClosed,
        StorageCorrupt,
        StorageError,
        StorageFull,
        StorageReadOnly,
        StorageUnavailable,
        UnknownActorType,
        UnknownMethod,
        UnknownOutcome,
        Unreachable,
        WakefulError,
        WrongThread,
    )
    from wakeful.facet import Call, Facet, Lifetime, Persistence, Reply, TypePlan
    from wakeful.facets.builder import ActorBuilder, ActorSpec
    from wakeful.facets.durability import DurabilityConfig, DurabilityFacet
    from wakeful.facets.metrics import MethodMetrics
    from wakeful.facets.rate_limit import RateLimit
    from wakeful.facets.virtual import VirtualActorConfig, VirtualActorFacet
    from wakeful.header import Caller, CallHeader, Trace
    from wakeful.http.settings import HttpSettings
    from wakeful.ids import ActorId
    from wakeful.messages import Message
    from wakeful.node import Runtime
    from wakeful.ports import Page
    from wakeful.refusals import (
        AdminRefused,
        CrossOrigin,
        HostNotAllowed,
        InternalError,
        NoSuchPath,
        RequestTimeout,
        SocketRefused,
        UnsupportedMediaType,
        UpgradeRequired,
    )

__all__ = [
    "ActivationFailed",
    "Actor",
    "ActorAborted",
    "ActorBehavior",
    "ActorBuilder",
    "ActorContext",
    "ActorError",
    "ActorId",
    "ActorMoved",
    "ActorNotFound",
    "ActorRaised",
    "ActorSpec",
    "AdminRefused",
    "AlarmFailure",
    "AlarmInfo",
    "Call",
    "CallCycle",
    "CallError",
    "CallHeader",
    "Caller",
    "Client",
    "Config",
    "ConfigError",
    "CrossOrigin",
    "DeadLetter",
    "DeadlineExceeded",
    "DeadlineInQueue",
    "DirectoryInUse",
    "DirectoryLost",
    "DurabilityConfig",
    "DurabilityFacet",
    "DurableObject",
    "Facet",
    "Fenced",
    "FormatTooNew",
    "HostNotAllowed",
    "HttpSettings",
    "InternalError",
    "InvalidArguments",
    "InvalidResult",
    "Lifetime",
    "LimitExceeded",
    "Limits",
    "MalformedRequest",
    "Message",
    "MethodMetrics",
    "MethodNotAllowed",
    "NoSuchPath",
    "Overloaded",
    "OwnershipLost",
    "Page",
    "PartialOutcome",
    "PayloadTooLarge",
    "Persistence",
    "RateLimit",
    "RateLimited",
    "Refused",
    "Reminder",
    "Reply",
    "RequestTimeout",
    "Retry",
    "Runtime",
    "RuntimeOverloaded",
    "SchemaMismatch",
    "ShuttingDown",
    "SocketClosed",
    "SocketRefused",
    "SqlError",
    "StateError",
    "StateInvalid",
    "StorageClosed",
    "StorageCorrupt",
    "StorageError",
    "StorageFull",
    "StorageReadOnly",
    "StorageUnavailable",
    "SyncClient",
    "Trace",
    "TypePlan",
    "UnknownActorType",
    "UnknownMethod",
    "UnknownOutcome",
    "Unreachable",
    "UnsupportedMediaType",
    "UpgradeRequired",
    "VirtualActorConfig",
    "VirtualActorFacet",
    "WakefulError",
    "WebSocket",
    "WrongThread",
    "connect",
    "connect_sync",
    "interleave",
    "readonly",
    "websocket",
]

# Where they are, those first that are asked for most. Imported when one of them is asked for: the
# plugin in a run of pytest that has no test of ours, and `wakeful --help`, need none of them.
_HOMES: Final = (
    "actor",
    "errors",
    "config",
    "facet",
    "header",
    "facets.builder",
    "facets.durability",
    "facets.metrics",
    "facets.rate_limit",
    "facets.virtual",
    "http.settings",
    "ports",
    "refusals",
)
# The runtime with its store takes four times as long to load as all the others, and the clients
# bring an HTTP client along.
_OWN_HOMES: Final = {
    "Runtime": "node",
    "Client": "client.asynchronous",
    "Refused": "client.wire",
    "SyncClient": "client.synchronous",
    "connect": "client.asynchronous",
    "connect_sync": "client.synchronous",
}


def __getattr__(name: str) -> object:
    if name in __all__:
        for home in (_OWN_HOMES[name],) if name in _OWN_HOMES else _HOMES:
            module = import_module(f"wakeful.{home}")
            if hasattr(module, name):
                value = globals()[name] = getattr(module, name)
                return value
    raise AttributeError(f"module 'wakeful' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
