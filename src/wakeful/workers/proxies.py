"""Python's form of JavaScript's objects, errors and containers, as a Worker's code sees them.

On Cloudflare a Python Worker sees JavaScript values through proxies. Here the values are Python's
own, with those few JavaScript names on top that such code uses: `X.new(...)`, `.to_py()`,
`.constructor.name`, attribute access to an object's members.

Invariants: an error that JavaScript would call TypeError or RangeError is also Python's TypeError
            or ValueError, so both `except JsException` and `except TypeError` catch it.
Source:     Pyodide's JsProxy, JsException and JsBuffer; the Workers SDK's JsDict.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple, Self


class Constructor(NamedTuple):
    """`value.constructor`: only its name is ever asked for."""

    name: str


class JsProxy:
    """Base of everything that is a JavaScript object on Cloudflare."""

    __slots__ = ()
    js_name: ClassVar[str] = "Object"

    @classmethod
    def new(cls, *args: Any, **options: Any) -> Self:
        """JavaScript's `new X(...)`; named arguments are the members of a last options object."""
        return cls(*args, **options)

    @property
    def constructor(self) -> Constructor:
        """The JavaScript type of the value."""
        return Constructor(self.js_name)

    def to_py(self, **_: object) -> Any:
        """Return the object itself: it has no other Python form."""
        return self

    def destroy(self) -> None:
        """Do nothing: Python's garbage collector frees the object."""


class JsMembers(JsProxy):
    """An object that a binding gives: its members by `o["key"]` too, as in the Workers SDK."""

    __slots__ = ()
    __iter__: Any = None  # a subscript alone would make it a sequence

    def __getitem__(self, name: str) -> Any:
        if not isinstance(name, str):
            raise TypeError(f"a member of {self.js_name} has a name, which {name!r} is not")
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self, name)


class PyProxy(JsProxy):
    """A Python object handed to JavaScript: calls and attributes go to the object itself."""

    js_name = "PyProxy"

    def __init__(self, target: Any) -> None:
        self._target = target

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Call the object."""
        return self._target(*args, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def unwrap(self) -> Any:
        """The object."""
        return self._target


def unwrapped(value: Any) -> Any:
    """Return the object that a proxy stands for."""
    return value.unwrap() if isinstance(value, PyProxy) else value


class JsException(JsProxy, Exception):
    """An error as JavaScript has it: a name and a message, and marks that say what to do.

    Attributes:
        name: "Error", "TypeError", "DataCloneError", ...
        message: the text without the name.
        remote: code of another object raised it.
        retryable: sending the call again with a new stub may succeed.
        overloaded: do not send it again now.
        durableObjectReset: the object was thrown away; the next call makes a new one.
        durableObjectId: the object that was called.
    """

    js_name = "Error"
    remote: bool = False
    retryable: bool = False
    overloaded: bool = False
    durableObjectReset: bool = False
    durableObjectId: str | None = None

    def __init__(self, message: object = "", name: str | None = None) -> None:
        super().__init__(message)
        self.name = self.js_name if name is None else name
        self.message = "" if message is None else str(message)

    @property
    def stack(self) -> str:
        """Name and message: traces of another runtime are not invented."""
        return str(self)

    def toString(self) -> str:
        """`Name: message`."""
        return str(self)

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" if self.message else self.name


class JsTypeError(JsException, TypeError):
    """JavaScript's TypeError."""

    js_name = "TypeError"


class JsRangeError(JsException, ValueError):
    """JavaScript's RangeError; the Workers SDK turns it into ValueError, and so it is one."""

    js_name = "RangeError"


class JsSyntaxError(JsException, ValueError):
    """JavaScript's SyntaxError, for text that cannot be parsed."""

    js_name = "SyntaxError"


class JsReferenceError(JsException):
    """JavaScript's ReferenceError."""

    js_name = "ReferenceError"


class JsEvalError(JsException):
    """JavaScript's EvalError."""

    js_name = "EvalError"


class JsURIError(JsException, ValueError):
    """JavaScript's URIError, for text that is no part of a URL."""

    js_name = "URIError"


class JsDomException(JsException):
    """JavaScript's DOMException: an error of the platform, whose name says of which kind."""

    js_name = "DOMException"

    def __init__(self, message: object = "", name: str = "Error") -> None:
        super().__init__(message, name)


class DataCloneError(JsException):
    """A value that cannot be copied to another object or into storage."""

    js_name = "DataCloneError"


class JsDict(dict[Any, Any]):
    """An object: its members by `row["id"]` and by `row.id`.

    A member named like a method of dict is reached by its key only.
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: object) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def constructor(self) -> Any:
        """The JavaScript type of the value, unless it has a member of that name."""
        return self.get("constructor", Constructor("Object"))

    def object_keys(self) -> JsArray:
        """Return the names of the members, as Pyodide calls them."""
        return JsArray(self)

    def object_values(self) -> JsArray:
        """Return the values of the members."""
        return JsArray(self.values())

    def object_entries(self) -> JsArray:
        """Return names and values."""
        return JsArray(JsArray(pair) for pair in self.items())

    def as_object_map(self, **_: object) -> JsDict:
        """Return the object itself: its members are read by subscript already."""
        return self

    def to_py(self, **_: object) -> dict[Any, Any]:
        """A plain dict, all the way down."""
        return {key: plain(value) for key, value in self.items()}


class JsArray(list[Any]):
    """An array: a list that also has `length`."""

    constructor = Constructor("Array")

    @property
    def length(self) -> int:
        """The number of items."""
        return len(self)

    def object_values(self) -> JsArray:
        """Return the items, as Pyodide calls them."""
        return JsArray(self)

    def push(self, *items: object) -> int:
        """Append items; return the new length."""
        self.extend(items)
        return len(self)

    def to_py(self, **_: object) -> list[Any]:
        """A plain list, all the way down."""
        return [plain(item) for item in self]


class Buffer:
    """Attributes that a memoryview, an ArrayBuffer or a Uint8Array has and bytes lack."""

    __slots__ = ()

    @property
    def byteLength(self: Any) -> int:
        """The number of bytes, as ArrayBuffer calls it."""
        return len(self)

    @property
    def length(self: Any) -> int:
        """The number of bytes, as Uint8Array calls it."""
        return len(self)

    @property
    def byteOffset(self: Any) -> int:
        """Where the bytes begin in their buffer: at 0, each has a buffer of its own."""
        return 0

    @property
    def buffer(self: Any) -> Any:
        """The ArrayBuffer of a Uint8Array."""
        return self

    def slice(self: Any, start: int = 0, end: int | None = None) -> JsBytes:
        """A part of the bytes; places below 0 count from the end."""
        return JsBytes(self[start:end])

    def subarray(self: Any, start: int = 0, end: int | None = None) -> JsBytes:
        """A copy of a part of the bytes."""
        return JsBytes(self[start:end])

    @property
    def nbytes(self: Any) -> int:
        """The number of bytes, as memoryview calls it."""
        return len(self)

    def tobytes(self: Any) -> bytes:
        """The bytes, as memoryview calls it."""
        return bytes(self)

    def to_bytes(self: Any) -> bytes:
        """The bytes, as Pyodide calls it."""
        return bytes(self)

    def to_memoryview(self: Any) -> memoryview:
        """A view of the bytes."""
        return memoryview(self)

    def to_file(self: Any, file: Any) -> None:
        """Write the bytes to a file."""
        file.write(self)

    def to_string(self: Any, encoding: str | None = None) -> str:
        """Decode the bytes to text."""
        return str(self, encoding or "utf-8")

    def to_py(self: Any, **_: object) -> memoryview:
        """A view of the bytes, which is what Pyodide gives."""
        return memoryview(self)


class JsBytes(Buffer, bytes):
    """Binary data."""


class JsArrayBuffer(JsBytes):
    """Bytes that a binding, a call or storage gives: a memoryview in the Workers SDK.

    Code from before it asks for `to_bytes()` or `to_py()`, which a memoryview has not. So this is
    bytes with the names of both, and `isinstance` takes it for a memoryview.
    """

    @property  # type: ignore[misc]  # no code sets it
    def __class__(self) -> type:
        return memoryview

    def __getattr__(self, name: str) -> Any:
        return getattr(memoryview(self), name)


def plain(value: Any) -> Any:
    """Convert a value to plain Python, without JavaScript's names."""
    if isinstance(value, JsDict | JsArray):
        return value.to_py()
    if type(value) is list:
        return [plain(item) for item in value]
    if type(value) is dict:
        return {key: plain(item) for key, item in value.items()}
    return value


def options_of(given: object, named: Iterable[tuple[str, Any]] = ()) -> dict[str, Any]:
    """Return the members of an options object, which may be missing, and of named arguments."""
    if given is None:
        return dict(named)
    members = dict(given) if isinstance(given, dict) else {}
    members.update(named)
    return members
