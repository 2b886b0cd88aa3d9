"""A checksum on each page of a partition file, by SQLite's own checksum VFS.

The VFS (https://sqlite.org/cksumvfs.html) comes with apsw. It puts 8 bytes at the end of each page
as SQLite writes it, and compares them as SQLite reads it from the file: a page that differs makes
the statement fail with SQLITE_IOERR_DATA. So what is checked is not only the rows but what leads
to them: a damaged page inside of a table's tree makes rows vanish, and no checksum in a row would
tell. It is C and holds no lock of Python's: 1.7 us a page, where zlib.crc32 takes 2.5 us of the
interpreter's time, and xxhash 0.2 us, for rows only.

Invariants: the VFS is loaded once for the process, beside the others: the default stays as it was.
            A file that has no room for checksums is read and written as without it.
"""

from __future__ import annotations

import struct
from contextlib import closing
from typing import Final

import apsw
from apsw import sqlite_extra

PAGE_BYTES: Final = 4096
SUM_BYTES: Final = 8  # SQLite's header says that so many are reserved: then the VFS uses them
RESERVED_AT: Final = 20  # https://sqlite.org/fileformat2.html
_VFS: Final = "cksmvfs"
_WORDS: Final = struct.Struct(f"<{(PAGE_BYTES - SUM_BYTES) // 4}I")
_SUM: Final = struct.Struct("<II")
_MASK: Final = 0xFFFF_FFFF


def vfs() -> str | None:
    """The name of the checksum VFS; None (SQLite's default) if this apsw comes without it."""
    names = apsw.vfs_names()
    if _VFS in names:
        return _VFS
    try:
        with closing(apsw.Connection(":memory:")) as connection:
            sqlite_extra.load(connection, "cksumvfs")
    except (LookupError, sqlite_extra.NotAvailable, apsw.Error):
        return None
    apsw.set_default_vfs(names[0])  # loading it has made it the default
    return _VFS


def reserve(connection: apsw.Connection) -> None:
    """Make room for checksums in a file that is still empty, if the VFS is there to use it."""
    if connection.execute("PRAGMA checksum_verification").get is not None:
        connection.reserve_bytes("main", SUM_BYTES)


def verifying(connection: apsw.Connection) -> bool:
    """Whether the pages this connection reads are compared with their checksums."""
    return bool(connection.execute("PRAGMA checksum_verification").get == "1")


def is_mismatch(error: Exception) -> bool:
    """Whether an error says that a page does not match its checksum."""
    code = getattr(error, "extendedresult", None)
    return isinstance(error, apsw.IOError) and code == apsw.SQLITE_IOERR_DATA


def page_sum(page: bytes) -> bytes:
    """The checksum of a page, as the VFS computes it."""
    first = second = 0
    words = iter(_WORDS.unpack_from(page))
    for one, other in zip(words, words, strict=True):
        first = (first + one + second) & _MASK
        second = (second + other + first) & _MASK
    return _SUM.pack(first, second)


def matches(page: bytes) -> bool:
    """Whether a page has the checksum it should have."""
    return page[-SUM_BYTES:] == page_sum(page)
