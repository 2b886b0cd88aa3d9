"""Reading all of a partition file to find what is damaged; it is changed in nothing.

A file that a server has open is read as SQLite lets several processes read one: what is folded, and
the rows of the journal, in short transactions that hold up no checkpoint.

Invariants: memory is bounded, whatever the size of the file: by a page, an actor's cells, and what
            its journal may hold.
Errors:     what is damaged is a Finding. StorageError: the file cannot be looked into at all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import apsw
import msgspec

from wakeful.errors import StorageCorrupt, StorageError
from wakeful.ids import ActorId
from wakeful.ports import Cells
from wakeful.store import checksums, journal, recovery
from wakeful.store.checksums import PAGE_BYTES, is_mismatch
from wakeful.store.images import make_whole
from wakeful.store.limits import Limits
from wakeful.store.overlay import Key, Overlay
from wakeful.store.reader import Reader
from wakeful.store.schema import CHECKED, UNCHECKED, check_verifying, format_version
from wakeful.store.seal import seal
from wakeful.store.storage_errors import storage_error
from wakeful.store.writer import Meta

Progress = Callable[[str, int, int | None], None]  # what is read, how much, of how much

FINDINGS_MAX: Final = 1_000
NUMBERS_SHOWN: Final = 20
COMPLAINTS_MAX: Final = 20  # of SQLite
NAMES_AT_ONCE: Final = 500
PAGES_AT_ONCE: Final = 256
TRIES: Final = 4  # to read a page that a server may be writing
LOCK_PAGE: Final = 2**30 // PAGE_BYTES + 1  # SQLite never writes it
PROGRESS_STEPS: Final = 1_000_000
_ROWS: Final = "SELECT seq, CAST(batch AS BLOB) FROM journal WHERE seq > ? ORDER BY seq LIMIT 1"
RESTORE: Final = "restore a backup"
SALVAGE: Final = "restore a backup, or go on without it: --salvage"


class Finding(msgspec.Struct, frozen=True):
    """Something that is damaged.

    Attributes:
        where: an actor, or a part of the file.
        what: what is wrong with it.
        advice: what can be done.
    """

    where: str
    what: str
    advice: str


class Check:
    """A look at all of a partition file, a part at a time.

    Args:
        path: the file.
        running: a server has it open.
        progress: is called often, with how far the check is.

    Attributes:
        path: the file.
        format: its format.
        shards: how many shards its actors hash to.
        findings: what was found, up to FINDINGS_MAX.
        found: how much was found.

    Raises:
        FormatTooNew, StorageCorrupt, StorageError: it cannot be looked into.
    """

    def __init__(self, path: str, *, running: bool, progress: Progress) -> None:
        self.findings: list[Finding] = []
        self.found = 0
        self.path = path
        self._running = running
        self._progress = progress
        self._overlay = Overlay()
        self._damaged_pages = 0
        self._seq = 0
        self._time_ns: int | None = None
        with ExitStack() as undo:
            try:
                if not running:
                    seal(path)
                self._connection = undo.enter_context(closing(self._connect()))
                self.format = format_version(self._connection, path)
                if self.format < UNCHECKED:
                    raise StorageError(
                        f"{path} has format {self.format}: start it once, then check"
                    )
                check_verifying(self._connection, self.format, path)
                self._meta = self._read_meta()
                self._reader = Reader(path, Limits(), None, checking=True)
                undo.callback(self._reader.close)
                # Names may well be read from a page that is damaged elsewhere.
                self._lister = Reader(path, Limits(), None, checking=True, verify=False)
                undo.callback(self._lister.close)
            except apsw.Error as error:
                raise storage_error(error, path) from error
            except OSError as error:
                raise StorageError(f"{path} cannot be read: {error.strerror}") from error
            self._opened = undo.pop_all()
        self.shards = self._meta.shards

    def close(self) -> None:
        """Close the file."""
        self._opened.close()

    def add(self, where: str, what: object, advice: str) -> None:
        """Note something that is damaged."""
        self.found += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(where, str(what), advice))

    def pages(self) -> int:
        """Compare all pages with their checksums; returns how many there are."""
        total, rest = divmod(os.stat(self.path).st_size, PAGE_BYTES)
        if rest and not self._running:
            self.add(self.path, f"it ends {rest} bytes after the start of a page", RESTORE)
        if self.format < CHECKED:
            return total
        newer = logged_pages(f"{self.path}-wal")
        # One that differs may be the page that a checkpoint was writing: the log has it.
        damaged = [
            number
            for number in self._mismatches(total)
            if number not in newer and not self._is_sound_now(number)
        ]
        self._damaged_pages = len(damaged)
        if damaged:
            shown = ", ".join(map(str, damaged[:NUMBERS_SHOWN]))
            more = ", ..." if len(damaged) > NUMBERS_SHOWN else ""
            what = f"{len(damaged)} of {total} pages do not match their checksums: {shown}{more}"
            self.add(self.path, what, "see which actors are concerned")
        return total

    def tables(self) -> None:
        """Have SQLite compare its tables and their pages with each other."""
        steps = 0

        def tell() -> bool:
            nonlocal steps
            steps += 1
            self._progress("tables", steps, None)
            return False

        self._connection.set_progress_handler(tell, PROGRESS_STEPS)
        try:
            said = self._connection.execute(f"PRAGMA integrity_check({COMPLAINTS_MAX})").fetchall()
        except apsw.Error as error:
            if not (self._damaged_pages and is_mismatch(error)):
                self.add(self.path, storage_error(error, self.path), RESTORE)
            return
        finally:
            self._connection.set_progress_handler(None)
        for (line,) in said:
            if line != "ok":
                self.add(self.path, f"SQLite says: {line}", RESTORE)

    def journal(self) -> int:
        """Decode all rows of the journal; returns how many there are."""
        rows, seq = 0, -1
        try:
            while row := self._next_row(seq):
                number, blob = row
                if seq >= 0 and number != seq + 1 and not self._running:
                    self.add("journal", f"rows {seq + 1} to {number - 1} are missing", RESTORE)
                seq = number
                rows += 1
                self._row(number, blob)
                self._progress("journal", rows, None)
        except apsw.Error as error:
            self.add("journal", storage_error(error, self.path), RESTORE)
        return rows

    def end(self) -> None:
        """Compare the end of the journal with its mark."""
        lost = recovery.loss(self.path, self._meta, self._seq, self._time_ns)
        if lost is not None:
            advice = "restore a backup, or start without --strict-recovery and go on without them"
            self.add("journal", lost.why, advice)

    def actors(self) -> Iterator[ActorId]:
        """All actors whose names can be read."""
        overlay, lister = self._overlay, self._lister
        try:
            types = overlay.types(lister.types(), lister.names, lister.cells, lister.numbers)
        except _UNREADABLE as error:
            self.add("actors", f"they cannot be listed: {error}", SALVAGE)
            return
        for type in types:
            try:
                yield from self._actors_of(type)
            except _UNREADABLE as error:
                self.add(type, f"its actors cannot all be listed: {error}", SALVAGE)

    def cells(self, actor: ActorId) -> Cells:
        """An actor's cells.

        Raises:
            StorageError: they cannot be read.
        """
        return self._overlay.load(actor, self._reader.cells)

    def page(self, actor: ActorId, number: int) -> bytes | None:
        """A page of an actor's SQL database.

        Raises:
            StorageError: it cannot be read.
        """
        return self._overlay.sql_page(actor, number, self._reader.page)

    # --- inside ----------------------------------------------------------------------------------

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(
            self.path, flags=apsw.SQLITE_OPEN_READWRITE, vfs=checksums.vfs()
        )
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.set_busy_timeout(Limits().busy_timeout_ms)
        connection.execute("PRAGMA query_only=1; PRAGMA wal_autocheckpoint=0")
        return connection

    def _read_meta(self) -> Meta:
        rows = dict(self._connection.execute("SELECT key, value FROM meta"))
        try:
            return msgspec.convert(rows, Meta)
        except msgspec.ValidationError as error:
            said = f"{self.path}: what it says about itself is wrong: {error}"
            raise StorageCorrupt(said) from None

    def _next_row(self, seq: int) -> tuple[int, bytes] | None:
        # Read to its end, so that no transaction stays open.
        for number, blob in self._connection.execute(_ROWS, (seq,)).fetchall():
            assert isinstance(number, int)
            assert isinstance(blob, bytes)
            return number, blob
        return None

    def _row(self, number: int, blob: bytes) -> None:
        try:
            records = journal.decode(number, blob)
            self._seq, self._time_ns = number, journal.time_of(number, blob)
        except journal.BadRow as error:
            self.add("journal", f"row {number} {error}", RESTORE)
            return
        if self._running or self._meta.clean:
            return  # it changes meanwhile, or is folded
        for record in records:
            for damage in make_whole(record, self._page_of):
                self.add(f"{record.type}/{record.name}", damage, SALVAGE)
        self._overlay.active.apply(number, records, len(blob))

    def _page_of(self, key: Key, number: int) -> bytes | None:
        return self._overlay.sql_page(key, number, self._reader.page)

    def _actors_of(self, type: str) -> Iterator[ActorId]:
        lister, cursor = self._lister, None
        while True:
            page = self._overlay.page(
                type,
                "",
                cursor,
                limit=NAMES_AT_ONCE,
                names=lister.names,
                cells=lister.cells,
                numbers=lister.numbers,
            )
            yield from page.actors
            if (cursor := page.cursor) is None:
                return

    def _mismatches(self, total: int) -> Iterator[int]:
        with open(self.path, "rb") as file:
            for number in range(1, total + 1):
                if not self._is_sound(file.read(PAGE_BYTES)):
                    yield number
                if number % PAGES_AT_ONCE == 0:
                    self._progress("pages", number, total)

    def _is_sound(self, page: bytes) -> bool:
        return bool(self._connection.execute("SELECT verify_checksum(?)", (page,)).get == 1)

    def _is_sound_now(self, number: int) -> bool:
        """Whether a page is sound when it is read again: a server may have been writing it."""
        if number == LOCK_PAGE:
            return True
        for attempt in range(TRIES if self._running else 1):
            if attempt:
                time.sleep(0.02)
            with open(self.path, "rb") as file:
                file.seek((number - 1) * PAGE_BYTES)
                if self._is_sound(file.read(PAGE_BYTES)):
                    return True
        return False


_UNREADABLE: Final = (apsw.Error, StorageError, UnicodeDecodeError)


def logged_pages(path: str) -> set[int]:
    """The pages whose present version is in the log, and not in the file.

    Source: https://sqlite.org/fileformat2.html#walformat.
    """
    pages: set[int] = set()
    log = Path(path)
    if not log.exists():
        return pages
    with log.open("rb") as file:
        header = file.read(32)
        salts = header[16:24]
        while len(frame := file.read(24)) == 24:
            if frame[8:16] == salts:
                pages.add(int.from_bytes(frame[:4], "big"))
            file.seek(PAGE_BYTES, os.SEEK_CUR)
    return pages
