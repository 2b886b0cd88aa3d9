"""What is stored, seen and removed over HTTP: /_wakeful/actors, used by `wakeful actors`.

Shapes:  GET /_wakeful/actors                    {"types": [...]}
         GET /_wakeful/actors?type=T             {"actors": [{type, name}], "cursor": text or null}
             and prefix=, cursor=, limit=
         GET /_wakeful/actors/{Type}/{name}      an ActorView of wakeful.runtime.inspection
         DELETE /_wakeful/actors/{Type}/{name}   {"deleted": true}
"""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

import msgspec

from wakeful.codec import to_json
from wakeful.errors import (
    ActorNotFound,
    DeadlineExceeded,
    InvalidArguments,
    MalformedRequest,
    StateInvalid,
)
from wakeful.facet import Persistence
from wakeful.http.deadline import Deadlines
from wakeful.http.message import Answer, Request, json_answer
from wakeful.http.routes import actor_name, stored_actor
from wakeful.ids import ActorId
from wakeful.ports import Database, FarPages
from wakeful.refusals import NotAllowedHere
from wakeful.runtime.host import Host
from wakeful.runtime.inspection import ROWS_COUNTED, ActorView, view, with_tables

LIMIT: Final = 100
LIMIT_MAX: Final = 1_000
QUERY: Final = ("type", "prefix", "cursor", "limit")


class Admin:
    """Answers requests below /_wakeful/actors; the guard decides who may send them."""

    def __init__(self, host: Host, deadlines: Deadlines) -> None:
        self._host = host
        self._deadlines = deadlines

    async def answer(self, request: Request, path: str) -> Answer:
        """Answer a request for a path that starts as ours do."""
        await self._deadlines.watch(self._host.committer.owned(), _late)  # else it reads elsewhere
        type_name, name = stored_actor(path)
        verb = request.method
        if not type_name:
            if verb not in ("GET", "HEAD"):
                raise NotAllowedHere("the list of actors is read with GET", "GET, HEAD")
            return await self._deadlines.watch(self._list(request), _late)
        actor = ActorId(type_name, actor_name(name))
        if verb == "DELETE":
            await self._deadlines.watch(self._delete(actor), _late)
            return json_answer({"deleted": True})
        if verb not in ("GET", "HEAD"):
            raise NotAllowedHere("a stored actor is read or deleted", "GET, HEAD, DELETE")
        return json_answer(await self._deadlines.watch(self._stored(actor), _late))

    async def _list(self, request: Request) -> Answer:
        query = _query(request.query)
        store = self._host.store
        limit = query.get("limit", str(LIMIT))
        if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:9]) <= LIMIT_MAX):
            raise InvalidArguments(f"limit is a number from 1 to {LIMIT_MAX}", field="limit")
        if "type" not in query:
            return json_answer({"types": await store.types()})
        prefix, cursor = query.get("prefix", ""), query.get("cursor")
        page = await store.actors(query["type"], prefix, cursor, int(limit))
        actors = [{"type": actor.type, "name": actor.name} for actor in page.actors]
        return json_answer({"actors": actors, "cursor": page.cursor})

    async def _stored(self, actor: ActorId) -> ActorView:
        store = self._host.store
        if not isinstance(store, FarPages):
            return await self._view(actor)
        await store.fetch(actor)
        try:
            return await self._view(actor)
        finally:
            store.forget(actor)

    async def _view(self, actor: ActorId) -> ActorView:
        loaded = self._host.store.load(actor)
        cells = loaded if isinstance(loaded, dict) else await loaded
        pages = self._host.store.page(actor, 1) is not None
        if not cells and not pages:
            raise ActorNotFound(f"{actor} is not stored")
        seen = view(actor.type, actor.name, cells)
        if pages:
            seen = with_tables(seen, self._database(actor), ROWS_COUNTED)
        return msgspec.structs.replace(
            seen, state=_as_json(seen.state), storage=_as_json(seen.storage)
        )

    def _database(self, actor: ActorId) -> Database:
        """The durable pages of an actor's SQL database, whether the actor is active or not."""
        known = self._host.types.get(actor.type)
        persistence = known.persistence if known is not None else None
        return self._host.sql.open(actor, persistence or Persistence(), lambda: False)

    async def _delete(self, actor: ActorId) -> None:
        await self._host.activator.delete(self._host.type_of(actor.type), actor)


def _query(text: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=len(QUERY))
    except ValueError as error:
        raise MalformedRequest(f"the query string cannot be read: {error}") from error
    for name, _ in pairs:
        if name not in QUERY:
            raise InvalidArguments(f"there is no {name!r}: {', '.join(QUERY)}", field=name)
    return dict(pairs)


def _as_json(values: dict[str, object]) -> dict[str, object]:
    """A value that JSON has as it is; any other value as Python prints it."""

    def shown(value: object) -> object:
        try:
            to_json(value)
        except StateInvalid:
            return repr(value)
        return value

    return {key: shown(value) for key, value in values.items()}


def _late(seconds: float) -> DeadlineExceeded:
    allowed = f"{seconds} s (limits.request_seconds)"
    return DeadlineExceeded(f"it took longer than {allowed}", allowed)
