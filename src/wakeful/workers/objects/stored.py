"""Values of a Worker's storage, to bytes and back.

Shapes:  the codec's, of the value with JavaScript's names taken off; an error, which the codec has
         not, is a tuple ("error", name, message): no value of a Worker is a tuple.
Errors:  what `values.copied` refuses; StorageCorrupt for damaged bytes.
"""

from __future__ import annotations

from typing import Any, Final

from wakeful import codec
from wakeful.errors import StorageCorrupt
from wakeful.workers.proxies import JsArray, JsBytes, JsDict, JsException
from wakeful.workers.values import copied

ERROR: Final = "error"


def pack(value: object) -> bytes:
    """The stored form of a value."""
    return codec.encode(_bare(copied(value)))


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
            return JsBytes(value)
        case tuple():
            return _error(value)
        case _:
            return value


def _error(parts: tuple[Any, ...]) -> Exception:
    match parts:
        case ("error", str(), str() as message):
            return Exception(message)
        case _:
            raise StorageCorrupt("a stored value is none that a Worker could have stored")
