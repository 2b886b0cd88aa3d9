"""The uploads in parts of a bucket: each part a content of its own, joined when all are there.

Shapes:  an upload that has ended keeps its row, without parts, so that ending it twice is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import md5
from typing import Final

import msgspec

from wakeful.actor_storage import Sql
from wakeful.workers.bindings.r2_contents import Contents

PART_BYTES_MIN: Final = 5 * 1024 * 1024  # of all but the last
KEPT_SECONDS: Final = 7 * 24 * 3600  # since it was begun
NO_UPLOAD: Final = 10024
NO_PART: Final = 10025
TOO_SMALL: Final = 10011
UNEQUAL: Final = 10048
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS uploads(
    id TEXT PRIMARY KEY, key BLOB NOT NULL, about TEXT NOT NULL, open INTEGER NOT NULL,
    until INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS uploads_by_end ON uploads(until);
CREATE TABLE IF NOT EXISTS parts(
    upload TEXT, number INTEGER, content INTEGER NOT NULL, size INTEGER NOT NULL,
    etag TEXT NOT NULL, PRIMARY KEY(upload, number)
)
"""
FIND: Final = "SELECT id, about, open FROM uploads WHERE id = ? AND key = ?"
PARTS: Final = "SELECT number, content, size, etag FROM parts WHERE upload = ? ORDER BY number"
PUT: Final = "INSERT OR REPLACE INTO parts(upload, number, content, size, etag) VALUES (?,?,?,?,?)"
DUE: Final = "SELECT id FROM uploads WHERE until <= ? LIMIT 1"
NEXT: Final = "SELECT until FROM uploads ORDER BY until LIMIT 1"


class Part(msgspec.Struct, frozen=True):
    """A part of an upload.

    Attributes:
        number: its place among the parts.
        content: which content it has.
        size: in bytes.
        etag: MD5 of its bytes.
    """

    number: int
    content: int
    size: int
    etag: str


class Upload(msgspec.Struct, frozen=True):
    """An upload.

    Attributes:
        id: by which it is known.
        about: what is kept with the object.
        open: it has not ended.
    """

    id: str
    about: str
    open: int


class Uploads:
    """The uploads of one bucket.

    Args:
        sql: the database of its actor.
        contents: what the bucket has.
        now: seconds since 1970.
    """

    def __init__(self, sql: Sql, contents: Contents, now: Callable[[], int]) -> None:
        sql.exec(SCHEMA)
        self._sql = sql
        self._contents = contents
        self._now = now

    def create(self, upload: str, key: bytes, about: str) -> None:
        """Begin an upload."""
        until = self._now() + KEPT_SECONDS
        self._sql.exec("INSERT INTO uploads VALUES (?, ?, ?, 1, ?)", upload, key, about, until)

    def find(self, upload: str, key: bytes) -> Upload | None:
        """Return the upload of that name and key."""
        return self._sql.exec(FIND, upload, key, into=Upload).first()

    def put(self, upload: Upload, part: Part) -> bool:
        """Set a part whose content is written; False if the content is gone."""
        if not self._contents.hold(part.content):
            return False
        for old in self._parts(upload.id):
            if old.number == part.number:
                self._contents.drop(old.content)
        self._sql.exec(PUT, upload.id, *msgspec.structs.astuple(part))
        return True

    def chosen(self, upload: Upload, names: tuple[tuple[int, str], ...]) -> list[Part] | int:
        """Return the parts with these numbers and etags, in order; or the number of an error."""
        there = {(part.number, part.etag): part for part in self._parts(upload.id)}
        if not names or len(set(names)) < len(names) or not there.keys() >= set(names):
            return NO_PART
        parts = [there[name] for name in sorted(names)]
        sizes = [part.size for part in parts]
        if any(size < PART_BYTES_MIN for size in sizes[:-1]):
            return TOO_SMALL
        equal = all(size == sizes[0] for size in sizes[:-1]) and sizes[-1] <= sizes[0]
        return parts if equal else UNEQUAL

    def joined(self, upload: Upload, parts: list[Part]) -> int:
        """Join the parts to a content; the upload ends, and its other parts are removed."""
        for part in parts:
            self._sql.exec(
                "DELETE FROM parts WHERE upload = ? AND number = ?", upload.id, part.number
            )
        self.end(upload.id)
        return self._contents.join((part.content, part.size) for part in parts)

    def end(self, upload: str) -> None:
        """End an upload and remove its parts."""
        for part in self._parts(upload):
            self._contents.drop(part.content)
        self._sql.exec("DELETE FROM parts WHERE upload = ?", upload)
        self._sql.exec("UPDATE uploads SET open = 0 WHERE id = ?", upload)

    def remove_due(self) -> None:
        """Remove an upload that was begun long ago."""
        for (upload,) in list(self._sql.exec(DUE, self._now()).raw()):
            self.end(str(upload))
            self._sql.exec("DELETE FROM uploads WHERE id = ?", upload)

    def next(self) -> int | None:
        """Return when the next upload is to be removed, in seconds since 1970."""
        return next((int(str(until)) for (until,) in list(self._sql.exec(NEXT).raw())), None)

    def _parts(self, upload: str) -> Iterator[Part]:
        return iter(self._sql.exec(PARTS, upload, into=Part).all())


def etag_of(parts: list[Part]) -> str:
    """The etag of an object made of parts."""
    digests = b"".join(bytes.fromhex(part.etag) for part in parts)
    return f"{md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
