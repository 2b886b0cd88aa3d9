"""Values that contain themselves, or are nested too deeply to be stored as they are: in parts.

Shapes:  a part is a list or a dict of members; a member is the number of another part, or a value
         that has no members, in a tuple of its own. The first part is the value.
Errors:  what `values.copied` refuses; StorageCorrupt for parts that do not fit together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from wakeful.errors import StorageCorrupt
from wakeful.workers.proxies import JsArray, JsDict
from wakeful.workers.values import member_name

GRAPH: Final = "graph"

Part = list[Any] | dict[str, Any]


def taken_apart(value: object, leaf: Callable[[object], object]) -> list[Part]:
    """Take a value apart.

    Args:
        value: a dict or a list.
        leaf: the stored form of a value that is neither.
    """
    found: list[Any] = [value]
    numbers = {id(value): 0}

    def member(item: object) -> object:
        if not isinstance(item, dict | list):
            return (leaf(item),)
        number = numbers.setdefault(id(item), len(found))
        if number == len(found):
            found.append(item)
        return number

    parts: list[Part] = []
    for item in found:  # which grows meanwhile
        if isinstance(item, dict):
            parts.append({member_name(key): member(part) for key, part in item.items()})
        else:
            parts.append([member(part) for part in item])
    return parts


def put_together(parts: list[Part], dressed: Callable[[Any], Any]) -> Any:
    """Put a value together from its parts.

    Args:
        parts: as `taken_apart` gave them.
        dressed: the value of the stored form of one that has no members.
    """
    wholes: list[Any] = [JsDict() if isinstance(part, dict) else JsArray() for part in parts]

    def member(item: Any) -> Any:
        return dressed(item[0]) if isinstance(item, tuple) else wholes[item]

    try:
        for whole, part in zip(wholes, parts, strict=True):
            if isinstance(part, dict):
                whole.update((name, member(item)) for name, item in part.items())
            else:
                whole.extend(map(member, part))
        return wholes[0]
    except (AttributeError, IndexError, TypeError) as error:
        raise StorageCorrupt("a stored value has parts that do not fit together") from error
