"""From a path to what it names. Pure: no request, no registry.

Paths:   /actors/{Type}/{name}/{method}; a type and a method never contain a slash, so a name may,
         percent-encoded or not.
"""

from __future__ import annotations

from typing import Final

ACTORS: Final = "/actors/"
ADMIN: Final = "/_wakeful/actors"


def actor_call(path: str) -> tuple[str, str, str]:
    """Type, name and method of a decoded path below ACTORS; what is missing is empty."""
    assert path.startswith(ACTORS)
    type_name, _, rest = path[len(ACTORS) :].partition("/")
    name, _, method = rest.rpartition("/")
    return type_name, name, method


def stored_actor(path: str) -> tuple[str, str]:
    """Type and name of a decoded path below ADMIN; both empty for ADMIN itself."""
    assert path.startswith(ADMIN)
    type_name, _, name = path[len(ADMIN) + 1 :].partition("/")
    return type_name, name
