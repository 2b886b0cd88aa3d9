"""The pages a journal row may refer to: it carries of a page what has changed since the row before.

A page that no unfolded row holds is logged whole; after that, its changed ranges. So a row inserted
into a database costs some hundred bytes of journal and not a page.

Shapes:     a page is cut into pieces of `PIECE_BYTES`; a range is a run of changed pieces.
Invariants: what a row refers to is the page as of the row before, be that in an older row or, once
            this is folded, in the cells. A replay after half a fold finds some pages newer than the
            row meant: it writes older ranges into them, then all the newer ones, and ends with the
            same page. A wipe breaks that chain, so its row and those after it start anew.
Source:     redo logs of ranges (ARIES, Mohan et al. 1992); PostgreSQL's full-page images.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import compress
from operator import ne
from typing import Final

from wakeful.errors import StorageCorrupt
from wakeful.ports import CommitRecord
from wakeful.store.journal import Logged, Ranges
from wakeful.store.overlay import NO_PAGES, Key, PageChanges, StoredPage

PAGE_BYTES: Final = 4096
PIECE_BYTES: Final = 128  # a smaller one finds less to log, and takes longer to do so
PIECES_MAX: Final = 16  # a page of which more has changed is logged whole
_STARTS: Final = range(0, PAGE_BYTES, PIECE_BYTES)
_cut = struct.Struct(f"{PIECE_BYTES}s" * len(_STARTS)).unpack


def changed(old: bytes, new: bytes) -> Ranges | None:
    """What makes the new page of the old one; None if the whole page would be no larger."""
    if not len(old) == len(new) == PAGE_BYTES:
        return None
    starts = list(compress(_STARTS, map(ne, _cut(old), _cut(new))))
    if len(starts) > PIECES_MAX:
        return None
    ranges: Ranges = {}
    first = end = 0
    for start in starts:
        if start != end or not end:
            first = start
        end = start + PIECE_BYTES
        ranges[first] = new[first:end]
    return ranges


def patched(old: bytes | None, ranges: Ranges) -> bytes:
    """The new page.

    Args:
        old: the page as it was; None only if a later row removes it, and that is folded already.
    """
    page = bytearray(old or bytes(PAGE_BYTES))
    for start, data in ranges.items():
        page[start : start + len(data)] = data
    return bytes(page)


def make_whole(record: Logged, page: StoredPage) -> list[StorageCorrupt]:
    """Give a record of a row that is replayed all its pages.

    Args:
        page: what the rows before have made of a page.

    Returns:
        Why pages are left out: as they are stored they are damaged, and reading them raises that
        error.
    """
    damage: list[StorageCorrupt] = []
    for number, ranges in record.ranges.items():
        try:
            old = page((record.type, record.name), number)
        except StorageCorrupt as error:
            damage.append(error)
            continue
        record.pages[number] = patched(old, ranges)
    return damage


class Images:
    """The latest version of each page that the journal holds, for the thread that writes it."""

    def __init__(self) -> None:
        self._recent: dict[Key, PageChanges] = {}
        self._older: dict[Key, PageChanges] = {}  # of the generation being folded

    def logged(self, record: CommitRecord) -> CommitRecord | Logged:
        """A record as the next row has it."""
        if not record.pages or record.wipe:
            return record
        key = (record.type, record.name)
        recent, older = self._recent.get(key, NO_PAGES), self._older.get(key, NO_PAGES)
        pages: dict[int, bytes | None] = {}
        ranges: dict[int, Ranges] = {}
        for number, page in record.pages.items():
            old = recent[number] if number in recent else older.get(number)
            new = changed(old, page) if old is not None and page is not None else None
            if new is None:
                pages[number] = page
            else:
                ranges[number] = new
        return Logged.of(record, pages, ranges)

    def keep(self, records: Sequence[CommitRecord]) -> None:
        """A row with these is durable."""
        for record in records:
            key = (record.type, record.name)
            if record.wipe:
                self._recent.pop(key, None)
                self._older.pop(key, None)
            if record.pages:
                self._recent.setdefault(key, {}).update(record.pages)

    def freeze(self) -> None:
        """A generation is to be folded."""
        self._older, self._recent = self._recent, {}

    def folded(self) -> None:
        """It is."""
        self._older = {}
