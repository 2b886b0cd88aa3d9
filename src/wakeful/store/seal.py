"""A copy that another program has made: its first page says new things, under the old checksum.

`sqlite3 FILE ".backup COPY"` copies page for page. Only in the header, on the first page, it
changes counters, and knows nothing of the checksum at the end of that page. All that is of
consequence on it can be checked otherwise; then the page gets a new checksum. All other pages keep
theirs.

Source: https://sqlite.org/fileformat2.html (the header, the list of free pages).
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Final

import apsw

from wakeful.errors import StorageCorrupt
from wakeful.store.checksums import PAGE_BYTES, RESERVED_AT, SUM_BYTES, matches, page_sum, vfs
from wakeful.store.schema import SCHEMA

# What does not change in the life of a file: its form, and settings that never change.
_FIXED: Final = (
    (0, b"SQLite format 3\0" + PAGE_BYTES.to_bytes(2, "big")),
    (RESERVED_AT, bytes((SUM_BYTES, 64, 32, 32))),
    (44, bytes((0, 0, 0, 4))),  # the schema's format
    (52, bytes(4) + (1).to_bytes(4, "big") + bytes(32)),  # UTF-8, and no auto-vacuum
)
_VERSIONS_AT: Final = slice(18, 20)
_CHANGES_AT: Final = slice(24, 28)
_SIZE_AT: Final = slice(28, 32)
_FREE_AT: Final = slice(32, 36)
_FREE_COUNT_AT: Final = slice(36, 40)
_VALID_FOR_AT: Final = slice(92, 96)


def seal(path: str) -> None:
    """Give the first page of a copy its checksum, if that is all it lacks.

    Raises:
        StorageCorrupt: the page is damaged.
    """
    log = Path(f"{path}-wal")
    try:
        with open(path, "r+b") as file:
            page = file.read(PAGE_BYTES)
            if len(page) < PAGE_BYTES or page[RESERVED_AT] != SUM_BYTES or matches(page):
                return
            if log.exists() and log.stat().st_size:
                return  # no copy: the log may have the page that a checkpoint was writing
            if not (_is_plausible(file, page) and _schema_is_ours(path)):
                said = f"{path} is damaged: its first page does not match its checksum"
                raise StorageCorrupt(said)
            file.seek(PAGE_BYTES - SUM_BYTES)
            file.write(page_sum(page))
            file.flush()
            os.fsync(file.fileno())
    except FileNotFoundError:
        return


def _is_plausible(file: BinaryIO, page: bytes) -> bool:
    fixed = all(page[at : at + len(value)] == value for at, value in _FIXED)
    versions = page[_VERSIONS_AT] in (b"\1\1", b"\2\2")
    pages = _number(page[_SIZE_AT])
    sized = pages * PAGE_BYTES == os.fstat(file.fileno()).st_size
    counted = page[_CHANGES_AT] == page[_VALID_FOR_AT]
    return fixed and versions and sized and counted and _free_pages_agree(file, page, pages)


def _free_pages_agree(file: BinaryIO, page: bytes, pages: int) -> bool:
    """Whether the list of free pages has as many as the header says, each once."""
    trunk, count = _number(page[_FREE_AT]), _number(page[_FREE_COUNT_AT])
    seen: set[int] = set()
    while trunk:
        if trunk in seen or not 1 < trunk <= pages:
            return False
        file.seek((trunk - 1) * PAGE_BYTES)
        content = file.read(PAGE_BYTES)
        leaves = _number(content[4:8])
        if not matches(content) or leaves > PAGE_BYTES // 4:
            return False
        found = [_number(content[8 + 4 * n : 12 + 4 * n]) for n in range(leaves)]
        if not all(1 < leaf <= pages for leaf in found):
            return False
        before = len(seen)
        seen.update(found, (trunk,))
        if len(seen) != before + leaves + 1:
            return False
        trunk = _number(content[:4])
    return len(seen) == count


def _schema_is_ours(path: str) -> bool:
    """Whether its tables are those that the file itself, on another page, says it has."""
    try:
        with closing(apsw.Connection(path, vfs=vfs())) as connection:
            connection.execute("PRAGMA checksum_verification=off")
            known = connection.execute("SELECT value FROM meta WHERE key = 'schema'").get
            return bool(known) and known == connection.execute(SCHEMA).get
    except apsw.Error:
        return False


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")
