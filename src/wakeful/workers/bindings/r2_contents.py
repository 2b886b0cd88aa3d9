"""The contents of a bucket's objects, in chunks, and how long unused contents are kept.

A content is written once, chunk by chunk, each in a commit of its own, and never changed. It is
*held* by an object or by a part of an upload, or *loose*: it is still being written, or was
released and may still be read. A loose content is kept for some time after its last write or read,
then removed, a bounded number of chunks in a turn. So a crash leaves nothing behind for long.

Shapes:  `contents.until` is in seconds since 1970, NULL for a held content; `chunks` says which
         blob is at which place of a content, so that contents are joined without copying.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from wakeful.actor_storage import Sql

CHUNK_BYTES: Final = 512 * 1024
KEPT_SECONDS: Final = 600  # since it was last written or read
AT_ONCE_BYTES: Final = 16 * 1024  # what is not larger is removed in the turn that lets it go
REMOVED_MAX: Final = 4  # chunks, in one turn: each takes some 4 ms, page by page
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS contents(id INTEGER PRIMARY KEY AUTOINCREMENT, until INTEGER);
CREATE INDEX IF NOT EXISTS contents_by_end ON contents(until) WHERE until IS NOT NULL;
CREATE TABLE IF NOT EXISTS chunks(
    content INTEGER, at INTEGER, blob INTEGER NOT NULL, PRIMARY KEY(content, at)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blobs(id INTEGER PRIMARY KEY, data BLOB NOT NULL)
"""
BEGIN: Final = "INSERT INTO contents(until) VALUES (?) RETURNING id"
KEEP: Final = "UPDATE contents SET until = ? WHERE id = ? AND until IS NOT NULL RETURNING id"
WRITE: Final = "INSERT INTO blobs(data) VALUES (?) RETURNING id"
PLACE: Final = "INSERT INTO chunks(content, at, blob) VALUES (?, ?, ?)"
READ: Final = (
    "SELECT at, data FROM chunks JOIN blobs ON blobs.id = chunks.blob"
    " WHERE content = ? AND at <= ? ORDER BY at DESC LIMIT 1"
)
UNTIL: Final = "SELECT until FROM contents WHERE id = ? AND until IS NOT NULL"
DUE: Final = "SELECT id FROM contents WHERE until <= ? ORDER BY until LIMIT ?"
NEXT: Final = "SELECT until FROM contents WHERE until IS NOT NULL ORDER BY until LIMIT 1"
FIRST: Final = "SELECT at, blob FROM chunks WHERE content = ? LIMIT ?"
MOVE: Final = "UPDATE chunks SET content = ?, at = at + ? WHERE content = ?"


class Contents:
    """The contents of one bucket.

    Args:
        sql: the database of its actor.
        now: seconds since 1970.
    """

    def __init__(self, sql: Sql, now: Callable[[], int]) -> None:
        sql.exec(SCHEMA)
        self._sql = sql
        self._now = now
        self._woken = now()
        self._read: dict[int, int] = {}  # when, those read in the last KEPT_SECONDS; oldest first

    def begin(self) -> int:
        """Begin a new content, empty and loose."""
        return self._int(BEGIN, self._now() + KEPT_SECONDS)

    def append(self, content: int, at: int, data: bytes) -> bool:
        """Write a chunk; return whether the content still exists."""
        if self._sql.exec(KEEP, self._now() + KEPT_SECONDS, content).first() is None:
            return False
        self._sql.exec(PLACE, content, at, self._int(WRITE, data))
        return True

    def read(self, content: int, at: int) -> bytes:
        """Return the bytes from an offset on, as one piece; no bytes at the end."""
        self._note(content)
        for start, data in self._sql.exec(READ, content, at).raw():
            assert isinstance(start, int)
            assert isinstance(data, bytes)
            return data[at - start :]
        return b""

    def hold(self, content: int) -> bool:
        """Hold a content from now on; False if it is gone."""
        return self._sql.exec(KEEP, None, content).first() is not None

    def let_go(self, content: int, size: int) -> None:
        """Make a held content loose; readers that have begun may go on."""
        read = max(self._read.get(content, 0), self._woken)
        # A content that fits into one chunk was read whole by its reader.
        until = 0 if size <= CHUNK_BYTES else read + KEPT_SECONDS
        self._sql.exec("UPDATE contents SET until = ? WHERE id = ?", until, content)
        if size <= AT_ONCE_BYTES:
            self._remove(content, REMOVED_MAX)

    def drop(self, content: int) -> None:
        """Drop a content that nothing holds, will hold or reads."""
        self._sql.exec("UPDATE contents SET until = 0 WHERE id = ?", content)

    def join(self, parts: Iterable[tuple[int, int]]) -> int:
        """Join contents, given with their sizes, to a new one; the old ones are gone then."""
        whole, at = self.begin(), 0
        for content, size in parts:
            self._sql.exec(MOVE, whole, at, content)
            self._sql.exec("DELETE FROM contents WHERE id = ?", content)
            at += size
        self.hold(whole)
        return whole

    def remove_due(self) -> None:
        """Remove loose contents that are due, a bounded piece of them."""
        room = REMOVED_MAX
        for (content,) in list(self._sql.exec(DUE, self._now(), room).raw()):
            room -= self._remove(int(str(content)), room)
            if not room:
                break

    def next(self) -> int | None:
        """Return when the next content is to be removed, in seconds since 1970."""
        return next((int(str(until)) for (until,) in list(self._sql.exec(NEXT).raw())), None)

    def _remove(self, content: int, chunks_max: int) -> int:
        """Remove some chunks, and the content itself after the last one; return how many."""
        chunks = list(self._sql.exec(FIRST, content, chunks_max).raw())
        for at, blob in chunks:
            self._sql.exec("DELETE FROM blobs WHERE id = ?", blob)
            self._sql.exec("DELETE FROM chunks WHERE content = ? AND at = ?", content, at)
        if len(chunks) < chunks_max:
            self._sql.exec("DELETE FROM contents WHERE id = ?", content)
        return len(chunks)

    def _note(self, content: int) -> None:
        now, read = self._now(), self._read
        read.pop(content, None)
        read[content] = now
        while read[oldest := next(iter(read))] < now - KEPT_SECONDS:
            del read[oldest]
        for (until,) in list(self._sql.exec(UNTIL, content).raw()):
            if int(str(until)) < now + KEPT_SECONDS // 2:
                self._sql.exec(KEEP, now + KEPT_SECONDS, content)

    def _int(self, statement: str, *given: object) -> int:
        ((value,),) = self._sql.exec(statement, *given).raw()
        assert isinstance(value, int)
        return value
