"""Durable virtual actors for Python.

An actor is a plain class. Each instance has a name, lives exactly once, wakes on its first
message, sleeps when idle, and answers only when what it did is on disk.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from wakeful.actor import (
    Actor,
    ActorBehavior,
    ActorContext,
    AlarmInfo,
    DurableObject,
    WebSocket,
    interleave,
    readonly,
    websocket,
)
from wakeful.config import Config, Limits
from wakeful.errors import (
    ActivationFailed,
    ActorAborted,
    ActorError,
    ActorNotFound,
    ActorRaised,
    CallCycle,
    CallError,
    ConfigError,
    DeadlineExceeded,
    DirectoryInUse,
    Fenced,
    InvalidArguments,
    LimitExceeded,
    Overloaded,
    Retry,
    SchemaMismatch,
    ShuttingDown,
    SocketClosed,
    SqlError,
    StateError,
    StateInvalid,
    StorageError,
    UnknownActorType,
    UnknownMethod,
    UnknownOutcome,
    WakefulError,
)
from wakeful.facet import Call, Facet, Lifetime, Persistence, Reply, TypePlan
from wakeful.facets.builder import ActorBuilder, ActorSpec
from wakeful.facets.durability import DurabilityConfig, DurabilityFacet
from wakeful.facets.metrics import MethodMetrics
from wakeful.facets.rate_limit import RateLimit
from wakeful.facets.virtual import VirtualActorConfig, VirtualActorFacet
from wakeful.ids import ActorId
from wakeful.messages import Message
from wakeful.ports import Page

if TYPE_CHECKING:
    from wakeful.node import Runtime

__all__ = [
    "ActivationFailed",
    "Actor",
    "ActorAborted",
    "ActorBehavior",
    "ActorBuilder",
    "ActorContext",
    "ActorError",
    "ActorId",
    "ActorNotFound",
    "ActorRaised",
    "ActorSpec",
    "AlarmInfo",
    "Call",
    "CallCycle",
    "CallError",
    "Config",
    "ConfigError",
    "DeadlineExceeded",
    "DirectoryInUse",
    "DurabilityConfig",
    "DurabilityFacet",
    "DurableObject",
    "Facet",
    "Fenced",
    "InvalidArguments",
    "Lifetime",
    "LimitExceeded",
    "Limits",
    "Message",
    "MethodMetrics",
    "Overloaded",
    "Page",
    "Persistence",
    "RateLimit",
    "Reply",
    "Retry",
    "Runtime",
    "SchemaMismatch",
    "ShuttingDown",
    "SocketClosed",
    "SqlError",
    "StateError",
    "StateInvalid",
    "StorageError",
    "TypePlan",
    "UnknownActorType",
    "UnknownMethod",
    "UnknownOutcome",
    "VirtualActorConfig",
    "VirtualActorFacet",
    "WakefulError",
    "WebSocket",
    "interleave",
    "readonly",
    "websocket",
]


def __getattr__(name: str) -> object:
    # The runtime with its store takes four times as long to load as all the rest; a module that
    # only defines actors, and `wakeful --help`, need neither.
    if name != "Runtime":
        raise AttributeError(f"module 'wakeful' has no attribute {name!r}")
    runtime = globals()[name] = import_module("wakeful.node").Runtime
    return runtime
