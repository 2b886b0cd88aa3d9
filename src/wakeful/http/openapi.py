"""A description of all actors for people and generators: OpenAPI 3.1, from the signatures."""

from __future__ import annotations

from collections.abc import Iterable

from wakeful.actor_type import ActorType
from wakeful.codec import to_json


def document(types: Iterable[ActorType]) -> bytes:
    """The document, as JSON."""
    return to_json({"openapi": "3.1.0", "info": {"title": "actors", "version": "1"}, "paths": {}})
