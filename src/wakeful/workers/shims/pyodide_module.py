"""The modules `pyodide`, `pyodide.ffi` and `pyodide.http`: values need no conversion here.

`to_js` copies all the same, since code may change the value afterwards.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable, Generator, Iterable
from functools import partial
from types import ModuleType
from typing import Any, Final, Protocol, runtime_checkable

from wakeful.workers.buffers import ArrayBuffer
from wakeful.workers.code.stacks import Stacks
from wakeful.workers.proxies import JsArray, JsBytes, JsDict, JsException, JsProxy, PyProxy
from wakeful.workers.shims.environment import Environment
from wakeful.workers.shims.objects import JsMap
from wakeful.workers.shims.typed_arrays import of_buffer
from wakeful.workers.web.outgoing import make_fetch
from wakeful.workers.web.responses import FetchResponse

VERSION: Final = "0.28.2"  # of the series whose interface this is


def to_js(
    obj: Any,
    /,
    *,
    depth: int = -1,
    dict_converter: Callable[[Iterable[Any]], Any] | None = None,
    default_converter: Callable[[Any, Callable[[Any], Any], Callable[..., None]], Any]
    | None = None,
    **_: object,
) -> Any:
    """A copy with JavaScript's names on its containers.

    Args:
        obj: any value.
        depth: how many levels of containers are copied; all, if negative.
        dict_converter: makes an object of the names and values of a dict.
        default_converter: converts what is not one of the plain types.
    """

    def convert(value: Any, level: int) -> Any:
        if level == 0 or isinstance(value, JsProxy | JsBytes | ArrayBuffer):
            return value
        match value:
            case dict():
                pairs = [(key, convert(item, level - 1)) for key, item in value.items()]
                return JsDict(pairs) if dict_converter is None else dict_converter(pairs)
            case list() | tuple():
                return JsArray(convert(item, level - 1) for item in value)
            case set() | frozenset():
                return {convert(item, level - 1) for item in value}
            case bytes() | bytearray():
                return JsBytes(value)
            case memoryview() | array():
                return of_buffer(memoryview(value))
            case None | bool() | int() | float() | str():
                return value
        if default_converter is not None:
            return default_converter(value, lambda inner: convert(inner, level - 1), _forget)
        return value

    return convert(obj, depth)


def _forget(*_: object) -> None:
    """Do nothing: Python frees conversions and buffers."""


def create_proxy(obj: Any, /, **_: object) -> PyProxy:
    """The object, with `destroy()`."""
    match obj:
        case PyProxy():
            return obj
        case Awaitable():
            return WorkProxy(obj)
        case bytes() | bytearray() | memoryview():
            return BufferProxy(obj)
    return PyProxy(obj)


class WorkProxy(PyProxy):
    """A proxy of an awaitable, as `wait_until` takes it."""

    def __await__(self) -> Generator[Any, Any, Any]:
        """Wait for it."""
        work: Awaitable[Any] = self._target
        return work.__await__()


class BufferProxy(PyProxy):
    """A proxy of bytes."""

    def getBuffer(self, kind: str = "u8", /) -> JsDict:
        """The bytes as JavaScript's, in `data`; `release()` does nothing."""
        return JsDict(data=JsBytes(self._target), release=_forget)


def destroy_proxies(proxies: Iterable[Any], /) -> None:
    """Do nothing: Python's garbage collector frees proxies."""


@runtime_checkable
class JsBuffer(Protocol):
    """The class with which code asks by `isinstance` whether a value is binary data."""

    byteLength: int

    def to_memoryview(self) -> memoryview:
        """A view of the bytes."""


@runtime_checkable
class JsTypedArray(JsBuffer, Protocol):
    """The class with which code asks by `isinstance` whether a value is a typed array."""

    byteOffset: int
    length: int


class ConversionError(Exception):
    """The error for a value that cannot be converted; it is never raised here."""


def pyodide_modules(environment: Environment) -> dict[str, ModuleType]:
    """The modules of one Worker, by name."""
    ffi = _module(
        "pyodide.ffi",
        to_js=to_js,
        create_proxy=create_proxy,
        create_once_callable=create_proxy,
        destroy_proxies=destroy_proxies,
        can_run_sync=environment.stacks.can_run_sync,
        jsnull=None,
        JsNull=type(None),
        JsProxy=JsProxy,
        JsException=JsException,
        JsArray=JsArray,
        JsBuffer=JsBuffer,
        JsMap=JsMap,
        JsCallable=JsProxy,
        JsPromise=JsProxy,
        JsDoubleProxy=PyProxy,
        JsIterable=JsProxy,
        JsAsyncIterable=JsProxy,
        JsMutableMap=JsMap,
        JsTypedArray=JsTypedArray,
        ConversionError=ConversionError,
        IN_BROWSER=False,
    )
    vars(ffi)["__getattr__"] = partial(_asked_for, environment.stacks)
    http = _module(
        "pyodide.http", pyfetch=make_fetch(environment.fetch), FetchResponse=FetchResponse
    )
    package = _module("pyodide", __version__=VERSION, ffi=ffi, http=http)
    return {"pyodide": package, "pyodide.ffi": ffi, "pyodide.http": http}


def _asked_for(stacks: Stacks, name: str) -> Any:
    """What `pyodide.ffi` has only for those who ask."""
    if name != "run_sync":
        raise AttributeError(f"module 'pyodide.ffi' has no attribute {name!r}")
    stacks.wanted = True
    return stacks.run_sync


def _module(name: str, **members: object) -> ModuleType:
    module = ModuleType(name, __doc__)
    vars(module).update(members)
    vars(module)["__path__"] = []  # what is not here is missing, not a fault of the package
    return module
