"""Stored actors as `wakeful actors` sees them: in a stopped directory, or through its server.

Errors: Failure, in one line.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn, Protocol, TypeVar
from urllib.parse import quote, urlencode

import httpx2
import msgspec

from wakeful.cli import address
from wakeful.cli.exit_codes import DataFailure, Failure
from wakeful.errors import ActorNotFound, DirectoryInUse, StorageError, WakefulError
from wakeful.facet import Persistence
from wakeful.http.routes import ADMIN
from wakeful.ids import ActorId, shard_of
from wakeful.ports import CommitRecord, Page, StoreInfo
from wakeful.runtime.inspection import ActorView, view, with_tables
from wakeful.sql.databases import Databases
from wakeful.store.stopped import StoppedStore

T = TypeVar("T")

COUNTED_MAX: Final = 10_000  # actors of a type; counting more would make a look take seconds
PAGE: Final = 1_000  # a server gives no more at once


class Source(Protocol):
    """A place where stored actors can be listed, read and deleted."""

    def types(self) -> list[str]:
        """The types that have stored actors."""

    def list(self, type: str, prefix: str, cursor: str | None, limit: int) -> Page:
        """A page of names."""

    def get(self, actor: ActorId) -> ActorView | None:
        """What an actor keeps, or None if that is nothing."""

    def delete(self, actor: ActorId) -> None:
        """Remove an actor and all it keeps."""


@contextmanager
def open_source(data: Path) -> Iterator[Source]:
    """Look into a data directory, whether a server runs on it or not.

    Raises:
        Failure: it is no data directory, or cannot be read.
    """
    if not any(data.glob("partition-*.db")):
        what = "holds no actors" if data.is_dir() else "does not exist"
        message = f"{data} {what}: name the data directory with --data"
        raise DataFailure(message)
    store = StoppedStore(data)
    try:
        info = store.open()
    except DirectoryInUse as error:
        with _running(data, error) as source:
            yield source
        return
    except StorageError as error:
        raise DataFailure(str(error)) from error
    try:
        yield Stopped(store, info)
    except WakefulError as error:
        raise Failure(str(error)) from error
    finally:
        store.close()


def count(source: Source, type: str) -> int:
    """How many actors of a type are stored; counting ends soon after COUNTED_MAX."""
    found, cursor = 0, None
    while found < COUNTED_MAX:
        page = source.list(type, "", cursor, PAGE)
        found += len(page.actors)
        cursor = page.cursor
        if cursor is None:
            break
    return found


class Stopped:
    """A directory that no process owns: opened here, for a moment."""

    def __init__(self, store: StoppedStore, info: StoreInfo) -> None:
        self._store = store
        self._info = info

    def types(self) -> list[str]:
        """The types that have stored actors."""
        return self._store.types()

    def get(self, actor: ActorId) -> ActorView | None:
        """What an actor keeps."""
        cells = self._store.load(actor)
        pages = self._store.page(actor, 1) is not None
        if not cells and not pages:
            return None
        seen = view(actor.type, actor.name, cells)
        if not pages:
            return seen
        databases = Databases(self._store.page)
        try:
            database = databases.open(actor, Persistence(), lambda: False)
            return with_tables(seen, database, None)
        finally:
            databases.close()

    def delete(self, actor: ActorId) -> None:
        """Remove an actor and all it keeps."""
        info = self._info
        shard = shard_of(actor, info.shards)
        epoch = info.lane_of(shard).epoch
        record = CommitRecord(actor.type, actor.name, shard, epoch, 1, True, {})
        self._store.commit([record])

    def list(self, type: str, prefix: str, cursor: str | None, limit: int) -> Page:
        """A page of names."""
        return self._store.actors(type, prefix, cursor, limit)


class Running:
    """A directory that a server owns: asked over HTTP."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def types(self) -> list[str]:
        """The types that have stored actors."""
        return self._ask("GET", "", _Types).types

    def get(self, actor: ActorId) -> ActorView | None:
        """What an actor keeps."""
        try:
            return self._ask("GET", _path(actor), ActorView)
        except NotStored:
            return None

    def delete(self, actor: ActorId) -> None:
        """Remove an actor and all it keeps."""
        self._ask("DELETE", _path(actor), dict)

    def list(self, type: str, prefix: str, cursor: str | None, limit: int) -> Page:
        """A page of names."""
        query = {"type": type, "prefix": prefix, "limit": str(min(limit, PAGE))}
        if cursor is not None:
            query["cursor"] = cursor
        found = self._ask("GET", f"?{urlencode(query)}", _Listing)
        return Page(tuple(ActorId(one.type, one.name) for one in found.actors), found.cursor)

    def _ask(self, verb: str, path: str, shape: type[T]) -> T:
        try:
            response = self._client.request(verb, ADMIN + path)
        except httpx2.HTTPError as error:
            message = f"the server at {self._client.base_url} does not answer: {error}"
            raise Failure(message) from error
        if response.status_code != 200:
            self._refused(response)
        return msgspec.json.decode(response.content, type=shape)

    def _refused(self, response: httpx2.Response) -> NoReturn:
        try:
            problem = msgspec.json.decode(response.content, type=_Problem)
        except msgspec.MsgspecError:
            problem = _Problem("", f"it answers with status {response.status_code}")
        if problem.code == ActorNotFound.code:
            raise NotStored(problem.detail)
        raise Failure(f"the server at {self._client.base_url} refused: {problem.detail}")


class NotStored(Failure):
    """The server has no such actor."""


class _Types(msgspec.Struct):
    types: list[str]


class _Named(msgspec.Struct):
    type: str
    name: str


class _Listing(msgspec.Struct):
    actors: list[_Named]
    cursor: str | None


class _Problem(msgspec.Struct):
    code: str
    detail: str


def _path(actor: ActorId) -> str:
    return f"/{quote(actor.type, safe='')}/{quote(actor.name, safe='')}"


@contextmanager
def _running(data: Path, error: DirectoryInUse) -> Iterator[Source]:
    server = address.find(data)
    if server is None:
        raise DataFailure(
            f"{error}; it cannot be asked, as neither `wakeful serve` nor `wakeful dev` runs it"
        )
    headers = {"authorization": f"Bearer {server.token}"} if server.token else {}
    # No proxy stands between two processes of one machine.
    verify = server.verify()
    with httpx2.Client(
        base_url=server.url, headers=headers, trust_env=False, verify=verify
    ) as client:
        yield Running(client)
