"""The storage that an actor's code gets: keys and values, and a SQL database. Contracts only.

Source: durable-objects.md 1.5, 1.6.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Protocol, TypeVar, overload

from wakeful.ports import SqlValue

T = TypeVar("T")
V = TypeVar("V")


class SqlRows(Protocol[T]):
    """The rows of a statement: iterate, or ask for what you expect.

    A commit point (the turn ends, another actor is called, `sync`) ends a cursor that has rows
    left; reading on is an error.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""

    @property
    def rows_read(self) -> int:
        """Rows given so far, the one read ahead included."""

    @property
    def rows_written(self) -> int:
        """Rows inserted, updated and deleted, also by triggers."""

    def __iter__(self) -> Iterator[T]: ...

    def __next__(self) -> T: ...

    @overload
    def one(self) -> T: ...

    @overload
    def one(self, *, into: type[V]) -> V: ...

    def one(self, *, into: type[V] | None = None) -> T | V:
        """The one row; `into` as for `exec`.

        Raises:
            SqlError: there is none, or there are more, or it does not fit `into`.
        """

    def first(self) -> T | None:
        """The next row, or None; discards the other rows."""

    def all(self) -> list[T]:
        """All rows that are left."""

    def raw(self) -> Iterator[tuple[SqlValue, ...]]:
        """The rows as tuples, from the same position."""


class Sql(Protocol):
    """The actor's own SQLite database; its changes are committed with the turn's other writes.

    Source: durable-objects.md 1.6.
    """

    @property
    def database_size(self) -> int:
        """Bytes the database takes, without what is free in it."""

    @overload
    def exec(self, query: str, /, *bindings: object) -> SqlRows[dict[str, SqlValue]]: ...

    @overload
    def exec(self, query: str, /, *bindings: object, into: type[T]) -> SqlRows[T]: ...

    def exec(
        self, query: str, /, *bindings: object, into: type[T] | None = None
    ) -> SqlRows[dict[str, SqlValue]] | SqlRows[T]:
        """Run statements, up to the first row of the last, which gets the bindings.

        Args:
            query: one statement or several.
            *bindings: None, bool, int, float, str and bytes, for its parameters by position.
            into: what each row is made into: a dataclass, a msgspec Struct, a pydantic model or a
                TypedDict by the names of its columns, a NamedTuple or tuple by their order, an
                int, str, datetime or the like by its only column. Without it a row is a dict.

        Raises:
            SqlError: SQLite refuses; carries its message and code.
            LimitExceeded: the database would be too large.
        """


class Storage(Protocol):
    """Key-value storage of one actor. Calls never suspend: values are in memory, writes too.

    Writes of a turn are committed together with its state when the turn ends; reads see them at
    once. Keys are text; values are None, bool, int, float, str, bytes, list, tuple, dict, set,
    datetime and the like, copied in and out. Source: durable-objects.md 1.5.
    """

    @property
    def sql(self) -> Sql:
        """The actor's SQL database, opened when it is first used."""

    @overload
    async def get(self, key: str, default: object = None) -> object: ...

    @overload
    async def get(self, key: str, default: None = None, *, type: type[T]) -> T | None: ...

    @overload
    async def get(self, key: str, default: T, *, type: type[T]) -> T: ...

    async def get(self, key: str, default: object = None, *, type: type[T] | None = None) -> object:
        """The value, or default.

        Args:
            key: its key.
            default: what is returned if there is no value.
            type: what the value must be; it may be a class with fields, as for `put`.

        Raises:
            StateInvalid: there is a value, but not of this type.
        """

    async def put(self, key: str, value: object, *, type: object = None) -> None:
        """Set a value.

        Args:
            key: its key.
            value: a plain value; with a type also a dataclass, Struct, pydantic model, enum.
            type: what the value is. Without it, what is read back is made of plain parts.

        Raises:
            StateInvalid: the value cannot be stored; says which part and why.
            LimitExceeded: the actor would hold more than its limit.
        """

    async def delete(self, key: str) -> bool:
        """Remove a value; whether there was one."""

    @overload
    async def list(
        self,
        *,
        prefix: str = "",
        start: str | None = None,
        end: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> dict[str, object]: ...

    @overload
    async def list(
        self,
        *,
        prefix: str = "",
        start: str | None = None,
        end: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
        type: type[T],
    ) -> dict[str, T]: ...

    async def list(
        self,
        *,
        prefix: str = "",
        start: str | None = None,
        end: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
        type: type[T] | None = None,
    ) -> Any:
        """Values by key in UTF-8 order: start inclusive, end exclusive; `type` as for `get`."""

    async def delete_all(self) -> None:
        """Remove all keys, the SQL database and the alarm (declared state stays)."""

    async def transaction(self, work: Callable[[], Coroutine[object, object, V]]) -> V:
        """Run work in a critical section; if it raises, state and storage are as before."""

    async def sync(self) -> None:
        """Return when everything written so far is durable, this turn's writes included."""
