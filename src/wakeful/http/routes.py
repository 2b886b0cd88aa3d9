"""From a path to what it names. Pure: no request, no registry.

Paths:   /actors/{Type}/{name}/{method}; a type and a method never contain a slash, so a name may,
         percent-encoded or not.
Errors:  MalformedRequest for a path that was no UTF-8. Servers decode what they cannot read to
         U+FFFD, so a name that really contains that is refused as well.
"""

from __future__ import annotations

from typing import Final

from wakeful.errors import MalformedRequest
from wakeful.ids import check_name

ACTORS: Final = "/actors/"
ADMIN: Final = "/_wakeful/actors"
REPLACEMENT: Final = "\ufffd"


def actor_call(path: str) -> tuple[str, str, str]:
    """Type, name and method of a decoded path below ACTORS; what is missing is empty."""
    type_name, _, rest = path[len(ACTORS) :].partition("/")
    name, slash, method = rest.rpartition("/")
    return (type_name, name, method) if slash else (type_name, rest, "")


def stored_actor(path: str) -> tuple[str, str]:
    """Type and name of a decoded path below ADMIN; both empty for ADMIN itself."""
    assert path.startswith(ADMIN)
    type_name, _, name = path[len(ADMIN) + 1 :].partition("/")
    return type_name, name


def actor_name(name: str) -> str:
    """A name from a path, if it can name an actor.

    Raises:
        MalformedRequest, InvalidArguments, PayloadTooLarge: it cannot.
    """
    if REPLACEMENT in name:
        raise MalformedRequest("the path is not UTF-8, or contains U+FFFD, which says the same")
    return check_name(name)
