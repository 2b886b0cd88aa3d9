"""Lists of names with values (headers, queries, forms), indexed by Python code as a dict is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wakeful.workers.proxies import JsProxy


class Named(JsProxy):
    """What Python's operators do with such a list, by the methods that JavaScript has."""

    __slots__ = ()

    if TYPE_CHECKING:  # each list has its own
        get: Callable[[str], Any]
        set: Callable[[str, Any], None]
        has: Callable[[str], bool]
        delete: Callable[[str], None]

    def __getitem__(self, name: str) -> Any:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: object) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        self.delete(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.has(name)
