"""The actor that keeps an R2 bucket: a table of objects in its SQL database, beside their contents.

An object that fits into a chunk is put in one turn. A larger one is written as a loose content
first, and seen once `finish` has given that to the object.
"""

from __future__ import annotations

from typing import Final

import msgspec

from wakeful.actor import AlarmInfo, DurableObject
from wakeful.actor_storage import Sql
from wakeful.workers.bindings.r2_conditions import Condition, Range
from wakeful.workers.bindings.r2_contents import Contents
from wakeful.workers.bindings.r2_listing import beyond, listed
from wakeful.workers.bindings.r2_uploads import NO_UPLOAD, Part, Uploads, etag_of

MS_NS: Final = 1_000_000
SECOND_NS: Final = 1_000_000_000
GONE: Final = 10001  # the error of a content that took too long
LISTED: Final = 100  # rows that are read at once
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS objects(
    key BLOB PRIMARY KEY, content INTEGER NOT NULL, uploaded INTEGER NOT NULL, about TEXT NOT NULL,
    size INTEGER NOT NULL, etag TEXT NOT NULL
)
"""
COLUMNS: Final = "key, content, uploaded, size, etag, about"
GET: Final = f"SELECT {COLUMNS} FROM objects WHERE key = ?"
LIST: Final = (
    f"SELECT {COLUMNS} FROM objects WHERE key >= ? AND key < ? ORDER BY key LIMIT {LISTED}"
)
PUT: Final = f"INSERT OR REPLACE INTO objects({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"
DELETE: Final = "DELETE FROM objects WHERE key = ?"


class Draft(msgspec.Struct, frozen=True):
    """An object that is to be stored.

    Attributes:
        key: UTF-8.
        size: in bytes.
        etag: of its content.
        about: JSON, which is only kept: metadata, checksums and so on.
        only_if: what must be true of the object that is there.
    """

    key: bytes
    size: int
    etag: str
    about: str
    only_if: Condition | None = None


class Record(msgspec.Struct, frozen=True):
    """A stored object.

    Attributes:
        key: UTF-8.
        content: which content it has.
        uploaded: when, in milliseconds since 1970.
        size: in bytes.
        etag: of its content.
        about: what was given with it.
    """

    key: bytes
    content: int
    uploaded: int
    size: int
    etag: str
    about: str


class Found(msgspec.Struct, frozen=True):
    """The result of a get.

    Attributes:
        record: the object.
        holds: whether the condition is true of it.
        span: where the range begins and ends; None if the object has no such part.
        data: the first bytes of it.
    """

    record: Record
    holds: bool
    span: tuple[int, int] | None
    data: bytes


class Page(msgspec.Struct, frozen=True):
    """A page of a listing.

    Attributes:
        records: objects.
        prefixes: common beginnings of keys.
        place: where it goes on, if it does.
    """

    records: tuple[Record, ...]
    prefixes: tuple[bytes, ...]
    place: bytes | None


class R2Store(DurableObject):
    """One bucket."""

    async def on_activate(self) -> None:
        """Make the tables, in a commit of its own."""
        self._sql.exec(SCHEMA)
        self._contents = Contents(self._sql, self._now)
        self._uploads = Uploads(self._sql, self._contents, self._now)

    async def head(self, key: bytes) -> Record | None:
        """An object."""
        return self._find(key)

    async def get(self, key: bytes, only_if: Condition | None, part: Range) -> Found | None:
        """An object with the first bytes of a part of it."""
        record = self._find(key)
        if record is None:
            return None
        holds = only_if is None or only_if.holds(record.etag, record.uploaded)
        span = part.span(record.size)
        if not holds or span is None:
            return Found(record, holds, span, b"")
        start, end = span
        return Found(record, holds, span, self._contents.read(record.content, start)[: end - start])

    async def read(self, content: int, at: int) -> bytes:
        """Read more bytes of a content; no bytes if the content is gone."""
        return self._contents.read(content, at)

    async def begin(self) -> int:
        """Begin a content that is to be written."""
        content = self._contents.begin()
        self._wake()
        return content

    async def append(self, content: int, at: int, data: bytes) -> bool:
        """Append a chunk to a content; False if the content is gone."""
        return self._contents.append(content, at, data)

    async def drop(self, content: int) -> None:
        """Drop a content that no object will hold."""
        self._contents.drop(content)
        self._wake()

    async def put(self, draft: Draft, data: bytes) -> Record | None:
        """Set an object that fits into a chunk; None if the condition is not true."""
        if not self._may(draft):
            return None
        content = self._contents.begin()
        if data:
            self._contents.append(content, 0, data)
        self._contents.hold(content)
        return self._set(draft, content)

    async def finish(self, draft: Draft, content: int) -> tuple[bool, Record | None]:
        """Set an object whose content is written; no record if the condition is not true.

        Returns: also whether the content was still there.
        """
        if not self._may(draft):
            self._contents.drop(content)
            self._wake()
            return True, None
        there = self._contents.hold(content)
        return there, self._set(draft, content) if there else None

    async def delete(self, keys: tuple[bytes, ...]) -> None:
        """Delete objects; a key without an object is no error."""
        for key in keys:
            self._remove(key)

    async def list(self, prefix: bytes, place: bytes, delimiter: bytes, limit: int) -> Page:
        """Objects from a place on, and beginnings of keys that end with a delimiter."""
        records, prefixes, end = list[Record](), list[bytes](), beyond(prefix)

        def batch(start: bytes) -> tuple[Record, ...]:
            return tuple(self._sql.exec(LIST, start, end, into=Record).all())

        start = max(prefix, place)
        for entry, following in listed(batch, prefix, start, delimiter):
            if len(records) + len(prefixes) == limit:
                return Page(tuple(records), tuple(prefixes), start)
            if isinstance(entry, bytes):
                prefixes.append(entry)
            else:
                records.append(entry)
            start = following
        return Page(tuple(records), tuple(prefixes), None)

    async def create(self, upload: str, key: bytes, about: str) -> None:
        """Begin an upload in parts."""
        self._uploads.create(upload, key, about)
        self._wake()

    async def put_part(self, upload: str, key: bytes, part: Part) -> int:
        """Set a part whose content is written; return 0 or the number of an error."""
        there = self._uploads.find(upload, key)
        if there is None or not there.open:
            self._contents.drop(part.content)
            self._wake()
            return NO_UPLOAD
        held = self._uploads.put(there, part)
        self._wake()
        return 0 if held else GONE

    async def complete(
        self, upload: str, key: bytes, names: tuple[tuple[int, str], ...]
    ) -> tuple[int, Record | None]:
        """Set the object that parts make; or return the number of an error.

        Args:
            upload: which upload.
            key: of its object.
            names: numbers and etags of the parts.
        """
        there = self._uploads.find(upload, key)
        if there is None or not there.open:
            return NO_UPLOAD, None
        parts = self._uploads.chosen(there, names)
        if isinstance(parts, int):
            return parts, None
        content = self._uploads.joined(there, parts)
        draft = Draft(key, sum(part.size for part in parts), etag_of(parts), there.about)
        record = self._set(draft, content)
        self._wake()
        return 0, record

    async def abort(self, upload: str, key: bytes) -> int:
        """Abort an upload; return 0 or the number of an error."""
        there = self._uploads.find(upload, key)
        if there is None:
            return NO_UPLOAD
        self._uploads.end(upload)
        self._wake()
        return 0

    async def alarm(self, info: AlarmInfo) -> None:
        """Remove contents that nothing needs, and uploads that were never completed."""
        self._uploads.remove_due()
        self._contents.remove_due()
        self._wake()

    def _find(self, key: bytes) -> Record | None:
        return self._sql.exec(GET, key, into=Record).first()

    def _may(self, draft: Draft) -> bool:
        if draft.only_if is None:
            return True
        there = self._find(draft.key)
        if there is None:
            return draft.only_if.holds_for_none()
        return draft.only_if.holds(there.etag, there.uploaded)

    def _set(self, draft: Draft, content: int) -> Record:
        self._remove(draft.key)
        uploaded = self.ctx.now_ns() // MS_NS
        record = Record(draft.key, content, uploaded, draft.size, draft.etag, draft.about)
        self._sql.exec(PUT, *msgspec.structs.astuple(record))
        return record

    def _remove(self, key: bytes) -> None:
        there = self._find(key)
        if there is not None:
            self._sql.exec(DELETE, key)
            self._contents.let_go(there.content, there.size)
            self._wake()

    def _wake(self) -> None:
        ends = (self._contents.next(), self._uploads.next())
        due = min((end for end in ends if end is not None), default=None)
        set_ns = self.ctx.alarm.get()
        if due is not None and (set_ns is None or due * SECOND_NS < set_ns):
            self.ctx.alarm.set(at_ns=due * SECOND_NS)

    def _now(self) -> int:
        return self.ctx.now_ns() // SECOND_NS

    @property
    def _sql(self) -> Sql:
        return self.ctx.storage.sql
