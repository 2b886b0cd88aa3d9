"""The actor that keeps a KV namespace: a table in its SQL database.

What has expired is not seen, and is removed by the actor's alarm, which is set to the next expiry.
"""

from __future__ import annotations

from typing import Final

import msgspec

from wakeful.actor import AlarmInfo, DurableObject
from wakeful.actor_storage import Sql

SECOND_NS: Final = 1_000_000_000
REMOVED_MAX: Final = 1_000  # in one turn
REMOVED_BYTES_MAX: Final = 64 * 1024 * 1024  # about, and one value at least
ALL: Final = b"\xff"  # comes after all UTF-8
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries(
    key BLOB PRIMARY KEY, value BLOB NOT NULL, metadata TEXT, expires INTEGER
);
CREATE INDEX IF NOT EXISTS entries_by_expiry ON entries(expires) WHERE expires IS NOT NULL
"""
ALIVE: Final = "(expires IS NULL OR expires > ?)"
GET: Final = f"SELECT value, metadata FROM entries WHERE key = ? AND {ALIVE}"
PUT: Final = (
    "INSERT INTO entries(key, value, metadata, expires) VALUES (?, ?, ?, ?) ON CONFLICT(key)"
    " DO UPDATE SET value = excluded.value, metadata = excluded.metadata,"
    " expires = excluded.expires"
)
LIST: Final = (
    "SELECT key AS name, metadata, expires FROM entries"
    f" WHERE key > ? AND key >= ? AND key < ? AND {ALIVE} ORDER BY key LIMIT ?"
)
EXPIRED: Final = (
    "SELECT key, length(value) FROM entries WHERE expires <= ? ORDER BY expires"
    f" LIMIT {REMOVED_MAX}"
)
REMOVE: Final = "DELETE FROM entries WHERE key = ?"
NEXT: Final = "SELECT expires FROM entries WHERE expires IS NOT NULL ORDER BY expires LIMIT 1"


class Entry(msgspec.Struct, frozen=True):
    """The stored entry of a key.

    Attributes:
        value: its value.
        metadata: JSON, or None.
    """

    value: bytes
    metadata: str | None


class Key(msgspec.Struct, frozen=True):
    """A key as a listing has it.

    Attributes:
        name: UTF-8.
        metadata: JSON, or None.
        expires: seconds since 1970, or None.
    """

    name: bytes
    metadata: str | None
    expires: int | None


class KvStore(DurableObject):
    """One namespace."""

    async def on_activate(self) -> None:
        """Make the table, in a commit of its own."""
        self._sql.exec(SCHEMA)

    async def get(self, keys: tuple[bytes, ...], bytes_max: int) -> tuple[Entry | None, ...]:
        """The entries of keys, in their order; None where there is none.

        The entries end with the one that takes them over `bytes_max`.
        """
        sql, now, entries = self._sql, self._now(), list[Entry | None]()
        for key in keys:
            entry = sql.exec(GET, key, now, into=Entry).first()
            entries.append(entry)
            bytes_max -= len(entry.value) if entry is not None else 0
            if bytes_max < 0:
                break
        return tuple(entries)

    async def put(
        self, key: bytes, value: bytes, metadata: str | None, expires: int | None
    ) -> None:
        """Set a key."""
        self._sql.exec(PUT, key, value, metadata, expires)
        if expires is not None:
            self._wake(expires)

    async def delete(self, key: bytes) -> None:
        """Remove a key, if it is there."""
        self._sql.exec(REMOVE, key)

    async def list(self, prefix: bytes, after: bytes, limit: int) -> tuple[Key, ...]:
        """Keys that start with a prefix and come after another one, in order."""
        end = prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else ALL
        return tuple(self._sql.exec(LIST, after, prefix, end, self._now(), limit, into=Key).all())

    async def alarm(self, info: AlarmInfo) -> None:
        """Remove expired keys."""
        sql, room = self._sql, REMOVED_BYTES_MAX
        for key, size in list(sql.exec(EXPIRED, self._now()).raw()):
            assert isinstance(size, int)
            sql.exec(REMOVE, key)
            room -= size
            if room <= 0:
                break
        for (expires,) in sql.exec(NEXT).raw():
            assert isinstance(expires, int)
            self.ctx.alarm.set(at_ns=expires * SECOND_NS)

    def _wake(self, expires: int) -> None:
        due_ns = self.ctx.alarm.get()
        if due_ns is None or expires * SECOND_NS < due_ns:
            self.ctx.alarm.set(at_ns=expires * SECOND_NS)

    def _now(self) -> int:
        return self.ctx.now_ns() // SECOND_NS

    @property
    def _sql(self) -> Sql:
        return self.ctx.storage.sql
