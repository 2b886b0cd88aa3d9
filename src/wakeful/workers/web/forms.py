"""FormData: names with texts and files, in order; a name may come several times.

Shapes:  `JsFormData` is JavaScript's object; `FormData` is Python's face of it.
Source:  XMLHttpRequest standard, section FormData; the Workers SDK.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any, TypeAlias

from wakeful.workers.proxies import JsArray
from wakeful.workers.values import js_string
from wakeful.workers.web.blobs import Blob, File, JsBlob, JsFile
from wakeful.workers.web.named import Named

Entry: TypeAlias = "tuple[str, str | JsFile]"


class JsFormData(Named):
    """An ordered list of names, each with a text or a file."""

    __slots__ = ("pairs",)
    js_name = "FormData"

    def __init__(self) -> None:
        self.pairs: list[Entry] = []

    def get(self, name: str) -> str | JsFile | None:
        """The first value of a name."""
        return next((value for other, value in self.pairs if other == name), None)

    def getAll(self, name: str) -> JsArray:
        """The values of a name."""
        return JsArray(value for other, value in self.pairs if other == name)

    def has(self, name: str) -> bool:
        """Is there a value?"""
        return any(other == name for other, _ in self.pairs)

    def append(self, name: str, value: object, filename: str | None = None) -> None:
        """Add a value."""
        self.pairs.append((name, _entry(name, value, filename)))

    def set(self, name: str, value: object, filename: str | None = None) -> None:
        """Put a value in place of all values of a name."""
        entry = _entry(name, value, filename)
        first = next((i for i, pair in enumerate(self.pairs) if pair[0] == name), len(self.pairs))
        self.delete(name)
        self.pairs.insert(first, (name, entry))

    def delete(self, name: str) -> None:
        """Remove all values of a name."""
        self.pairs = [pair for pair in self.pairs if pair[0] != name]

    def keys(self) -> list[str]:
        """The names, in their order."""
        return [name for name, _ in self.pairs]

    def values(self) -> list[str | JsFile]:
        """The values, in their order."""
        return [value for _, value in self.pairs]

    def entries(self) -> list[Entry]:
        """Names and values, in their order."""
        return list(self.pairs)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries())

    def __wakeful_transfer__(self) -> FormData:
        return FormData(self).__wakeful_transfer__()


class FormData(MutableMapping[str, Any]):
    """A form, for Python code: texts, and files as Blob or File."""

    __slots__ = ("js_object",)

    def __init__(self, form_data: object = None) -> None:
        self.js_object = JsFormData()
        if isinstance(form_data, JsFormData):
            self.js_object = form_data
        elif isinstance(form_data, dict):
            for name, value in form_data.items():
                self.append(name, value)
        elif form_data is not None:
            raise TypeError("Expected form_data to be a dict or an instance of FormData")

    @property
    def _js_form_data(self) -> JsFormData:
        """JavaScript's form, by the name that it has inside of the SDK."""
        return self.js_object

    def __getitem__(self, key: str) -> str | Blob | File | None:
        return _face(self.js_object.get(key))

    def __setitem__(self, key: str, value: object) -> None:
        if isinstance(value, list):
            raise TypeError("Expected single item in arguments to FormData.__setitem__")
        self.js_object.set(key, value)

    def __delitem__(self, key: str) -> None:
        self.js_object.delete(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.js_object.has(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self.js_object.keys())

    def __len__(self) -> int:
        return len(self.js_object.pairs)

    def append(self, key: str, value: object, filename: str | None = None) -> None:
        """Add a value."""
        self.js_object.append(key, value, filename)

    def delete(self, key: str) -> None:
        """Remove all values of a name."""
        self.js_object.delete(key)

    def get_all(self, key: str) -> list[Any]:
        """The values of a name."""
        return [_face(value) for value in self.js_object.getAll(key)]

    def keys(self) -> Iterator[str]:  # type: ignore[override]  # several values, several times
        """The names, in their order."""
        return iter(self.js_object.keys())

    def values(self) -> Iterator[Any]:  # type: ignore[override]  # as `keys`
        """The values, in their order."""
        return map(_face, self.js_object.values())

    def items(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]  # as `keys`
        """Names and values, in their order."""
        return ((name, _face(value)) for name, value in self.js_object.pairs)

    def __wakeful_transfer__(self) -> FormData:
        copy = JsFormData()
        copy.pairs = list(self.js_object.pairs)
        return FormData(copy)


def _face(value: str | JsBlob | None) -> str | Blob | File | None:
    return Blob.of(value) if isinstance(value, JsBlob) else value


def _entry(key: str, value: object, filename: str | None) -> str | JsFile:
    blob = value.js_object if isinstance(value, Blob) else value
    if not isinstance(blob, JsBlob):
        return js_string(value)
    name = filename or (blob.name if isinstance(blob, JsFile) else key)
    if isinstance(blob, JsFile) and name == blob.name:
        return blob
    modified = blob.lastModified if isinstance(blob, JsFile) else None
    return JsFile([blob], name, type=blob.type, lastModified=modified)
