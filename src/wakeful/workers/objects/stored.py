"""Values of a Worker's storage, to bytes and back.

Shapes:  the codec's, of the value with JavaScript's names taken off; an error, which the codec has
         not, is a tuple ("error", name, message): no value of a Worker is a tuple. One that
         contains itself, or is nested deeply, is ("graph", its parts).
Errors:  what `values.copied` refuses; StorageCorrupt for damaged bytes.
"""

from __future__ import annotations

from typing import Any, Final

from wakeful import codec
from wakeful.errors import StateInvalid, StorageCorrupt
from wakeful.workers.objects.graphs import GRAPH, put_together, taken_apart
from wakeful.workers.proxies import DataCloneError, JsArray, JsArrayBuffer, JsDict, JsException
from wakeful.workers.values import TOO_DEEP, copied

ERROR: Final = "error"


def pack(value: object) -> bytes:
    """The stored form of a value."""
    try:
        return codec.encode(_bare(copied(value)))
    except (RecursionError, StateInvalid):
        pass
    except DataCloneError as error:
        if error.message != TOO_DEEP:
            raise
    return codec.encode((GRAPH, taken_apart(value, lambda leaf: _bare(copied(leaf)))))


def unpack(data: bytes) -> Any:
    """The value of a stored form."""
    return _dressed(codec.decode(data))


def _bare(value: Any) -> Any:
    match value:
        case dict():
            return {key: _bare(item) for key, item in value.items()}
        case list():
            return [_bare(item) for item in value]
        case set():
            return {_bare(item) for item in value}
        case bytes():
            return bytes(value)
        case JsException():
            return ERROR, value.name, value.message
        case Exception():
            return ERROR, "Error", str(value)
        case _:
            return value


def _dressed(value: Any) -> Any:
    match value:
        case dict():
            return JsDict((key, _dressed(item)) for key, item in value.items())
        case list():
            return JsArray(_dressed(item) for item in value)
        case set():
            return {_dressed(item) for item in value}
        case bytes():
            return JsArrayBuffer(value)
        case tuple():
            return _special(value)
        case _:
            return value


def _special(parts: tuple[Any, ...]) -> Any:
    match parts:
        case ("error", str(), str() as message):
            return Exception(message)
        case ("graph", list(members)) if members:
            return put_together(members, _dressed)
        case _:
            raise StorageCorrupt("a stored value is none that a Worker could have stored")
