"""The module `workers` and what is below it, and `asgi`."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any, Final, Protocol, TypedDict

from wakeful.workers import values
from wakeful.workers.calls import RemoteFunction
from wakeful.workers.code import entrypoints
from wakeful.workers.env import Env
from wakeful.workers.objects.object_state import DurableObjectState
from wakeful.workers.proxies import JsDict
from wakeful.workers.shims.asgi import asgi_module
from wakeful.workers.shims.environment import Environment
from wakeful.workers.shims.js_module import js_module
from wakeful.workers.shims.pyodide_module import pyodide_modules
from wakeful.workers.shims.wsgi import wsgi_module
from wakeful.workers.web.blobs import Blob, BlobEnding, File
from wakeful.workers.web.forms import FormData
from wakeful.workers.web.headers import Headers
from wakeful.workers.web.outgoing import make_fetch
from wakeful.workers.web.requests import Request
from wakeful.workers.web.responses import FetchResponse, Response

MARK: Final = "__wakeful_worker__"  # on each module that is here for one Worker only

# Names that `workers` has on Cloudflare and not here, and why an import of them fails.
NOT_PROVIDED: Final = {
    "htmlrewriter.HTMLRewriter": "wakeful does not provide it. Change HTML with a Python library",
}


# Modules of the SDK that have some names of `workers` only.
PARTS: Final = {
    "blob": ("Blob", "BlobEnding", "BlobValue", "File"),
    "fetch": ("fetch",),
    "formdata": ("FormData", "FormDataValue"),
    "request": ("Request",),
    "response": ("FetchResponse", "Response"),
    "types": ("Body", "Context", "FetchKwargs", "Headers", "JSBody", "RequestInitCfProperties"),
}


class Context(Protocol):
    """The last argument of an old-style handler."""

    def waitUntil(self, work: Awaitable[Any]) -> None:
        """Let work go on after the answer."""


class RequestInitCfProperties(TypedDict, total=False):
    """What a request tells Cloudflare's network; accepted, and without effect here."""

    cacheEverything: bool | None
    cacheKey: str | None
    cacheTags: list[str] | None
    cacheTtl: int
    cacheTtlByStatus: dict[str, int]


class FetchKwargs(TypedDict, total=False):
    """The named arguments of `fetch`."""

    headers: Any
    body: Any
    method: Any
    redirect: str | None
    cf: RequestInitCfProperties | None
    fetcher: Any


class NonRetryableError(Exception):
    """A failure that a retry will not mend."""


def shim_modules(environment: Environment) -> dict[str, ModuleType]:
    """The modules of one Worker, by the names it imports them by."""
    asgi = asgi_module(environment)
    workflows = _module("workers.workflows", NonRetryableError=NonRetryableError)
    rpc = _module(
        "workers.rpc",
        python_from_rpc=python_from_rpc,
        python_to_rpc=python_to_rpc,
        JsDict=JsDict,
        _EnvWrapper=Env,
        _RpcStubWrapper=RemoteFunction,
    )
    bases = _module(
        "workers.entrypoints",
        DurableObject=entrypoints.DurableObject,
        DurableObjectAbort=entrypoints.DurableObjectAbort,
        DurableObjectContext=DurableObjectState,
        WorkerEntrypoint=entrypoints.WorkerEntrypoint,
        WorkflowEntrypoint=entrypoints.WorkflowEntrypoint,
        handler=entrypoints.handler,
    )
    rewriter = _module("workers.htmlrewriter")
    vars(rewriter)["__getattr__"] = lambda name: _missing(f"htmlrewriter.{name}")
    workers = _workers(environment)
    wsgi = wsgi_module(environment)
    vars(workers).update(asgi=asgi, wsgi=wsgi, workflows=workflows, rpc=rpc, entrypoints=bases)
    inside = _module(
        "workers._workers", **{**_members(rpc), **_members(bases), **_members(workers)}
    )
    modules = {
        "workers": workers,
        "workers.asgi": asgi,
        "workers.wsgi": wsgi,
        "workers.workflows": workflows,
        "workers.rpc": rpc,
        "workers.entrypoints": bases,
        "workers.htmlrewriter": rewriter,
        "workers._workers": inside,  # where the SDK keeps all of them, and code has looked
        **{f"workers.{name}": _part(workers, name, *names) for name, names in PARTS.items()},
        "cloudflare": _module("cloudflare", workers=workers),
        "cloudflare.workers": workers,  # as it was called at first
        "asgi": asgi,
        "wsgi": wsgi,
        "js": js_module(environment),
        **pyodide_modules(environment),
    }
    for module in modules.values():
        setattr(module, MARK, True)
    return modules


def _workers(environment: Environment) -> ModuleType:
    def patch_env(
        changes: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None, **named: Any
    ) -> AbstractContextManager[None]:
        """Other values in `env`, for as long as a test needs them."""
        return environment.env.patched({**dict(changes or {}), **named})

    def import_from_javascript(name: str) -> Any:
        """A module that JavaScript would import; there is "cloudflare:workers".

        Raises:
            ImportError: there is no such module here.
        """
        if name != "cloudflare:workers":
            raise ImportError(f"Failed to import '{name}': wakeful runs no JavaScript.")
        return _module(
            name,
            env=environment.env,
            waitUntil=environment.wait_until,
            DurableObject=entrypoints.DurableObject,
            WorkerEntrypoint=entrypoints.WorkerEntrypoint,
            WorkflowEntrypoint=entrypoints.WorkflowEntrypoint,
        )

    module = _module(
        "workers",
        Blob=Blob,
        BlobEnding=BlobEnding,
        BlobValue=Any,
        Body=Any,
        Context=Context,
        DurableObject=entrypoints.DurableObject,
        FetchKwargs=FetchKwargs,
        FetchResponse=FetchResponse,
        File=File,
        FormData=FormData,
        FormDataValue=Any,
        Headers=Headers,
        JSBody=Any,
        Request=Request,
        RequestInitCfProperties=RequestInitCfProperties,
        Response=Response,
        WorkerEntrypoint=entrypoints.WorkerEntrypoint,
        WorkflowEntrypoint=entrypoints.WorkflowEntrypoint,
        env=environment.env,
        fetch=make_fetch(environment.fetch),
        handler=entrypoints.handler,
        import_from_javascript=import_from_javascript,
        patch_env=patch_env,
        python_from_rpc=python_from_rpc,
        python_to_rpc=python_to_rpc,
        waitUntil=environment.wait_until,
        wait_until=environment.wait_until,
    )
    vars(module)["__all__"] = sorted(name for name in vars(module) if not name.startswith("_"))
    vars(module)["__getattr__"] = _missing
    return module


def _members(module: ModuleType) -> dict[str, object]:
    return {name: value for name, value in vars(module).items() if not name.startswith("__")}


def _part(workers: ModuleType, part: str, *names: str) -> ModuleType:
    return _module(f"workers.{part}", **{name: getattr(workers, name) for name in names})


def _missing(name: str) -> Any:
    if name in NOT_PROVIDED:
        raise ImportError(f"workers.{name}: {NOT_PROVIDED[name]}.")
    raise AttributeError(f"module 'workers' has no attribute {name!r}")


def python_to_rpc(value: Any) -> Any:
    """The value as another object would get it.

    Raises:
        TypeError: it cannot be sent.
    """
    return values.sent(value, lambda function: function)


def python_from_rpc(value: Any) -> Any:
    """The value itself: it is Python's already."""
    return value


def _module(name: str, **members: object) -> ModuleType:
    module = ModuleType(name, __doc__)
    vars(module).update(members)
    vars(module)["__path__"] = []  # what is not here is missing, not a fault of the package
    return module
