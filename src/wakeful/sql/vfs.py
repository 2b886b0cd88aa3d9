"""A virtual disk for SQLite: its files are the pages of databases, and nothing else.

Invariants: a file is opened by the key it was added under; SQLite's journals and temporary files
            are in memory (pragmas of `wakeful.sql.database`), so no other file is ever asked for.
Source:     https://sqlite.org/vfs.html
"""

from __future__ import annotations

from typing import cast

import apsw

from wakeful.errors import WakefulError
from wakeful.sql.pages import PAGE_BYTES, Pages


class PageDisk(apsw.VFS):
    """The VFS of one runtime, under a name that no other has."""

    def __init__(self) -> None:
        self.name = f"wakeful-{id(self):x}"
        self._files: dict[str, Pages] = {}
        self._numbers = 0
        super().__init__(self.name, base="", maxpathname=64)

    def add(self, pages: Pages) -> str:
        """Offer pages as a file; returns the key to open it by."""
        self._numbers += 1
        key = f"/{self._numbers}"
        self._files[key] = pages
        return key

    def remove(self, key: str) -> None:
        """Forget a file."""
        self._files.pop(key, None)

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> apsw.VFSFile:
        """Open a file that was added."""
        key = name.filename() if isinstance(name, apsw.URIFilename) else name
        pages = self._files.get(key) if key is not None else None
        if pages is None:
            raise apsw.CantOpenError(f"there is no file {key}")
        flags[1] = flags[0]
        return cast("apsw.VFSFile", PageFile(pages))

    def xAccess(self, pathname: str, flags: int) -> bool:
        """Return False: SQLite's journals are in memory, so no file of one is there."""
        return False

    def xDelete(self, filename: str, syncdir: bool) -> None:
        """Do nothing: SQLite's journals are in memory."""

    def xFullPathname(self, name: str) -> str:
        """A key is its own path."""
        return name


class PageFile:
    """One open database file."""

    __slots__ = ("_pages",)

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def xRead(self, amount: int, offset: int) -> bytes:
        """Return bytes of one page; a page that was never written has none."""
        number, start = divmod(offset, PAGE_BYTES)
        try:
            page = self._pages.read(number + 1)
        except WakefulError as error:
            self._pages.error = error
            raise apsw.IOError(str(error)) from error
        if page is None:
            return b""
        return page if amount == PAGE_BYTES else page[start : start + amount]

    def xWrite(self, data: bytes, offset: int) -> None:
        """Write one page, which SQLite always writes whole."""
        number, start = divmod(offset, PAGE_BYTES)
        assert start == 0, offset
        assert len(data) == PAGE_BYTES, len(data)
        try:
            self._pages.write(number + 1, bytes(data))
        except WakefulError as error:
            self._pages.error = error
            raise apsw.FullError(str(error)) from error

    def xTruncate(self, newsize: int) -> None:
        """Drop the pages after a size."""
        self._pages.truncate(newsize // PAGE_BYTES)

    def xFileSize(self) -> int:
        """The size in bytes."""
        return self._pages.count * PAGE_BYTES

    def xSync(self, flags: int) -> None:
        """Do nothing: the store makes pages durable."""

    def xLock(self, level: int) -> None:
        """Do nothing: only one connection opens the file."""

    def xUnlock(self, level: int) -> None:
        """Do nothing: only one connection opens the file."""

    def xCheckReservedLock(self) -> bool:
        """Return False: only one connection opens the file."""
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:
        """Return False: SQLite does by default what it asks for."""
        return False

    def xSectorSize(self) -> int:
        """The size of a page: SQLite writes no smaller piece."""
        return PAGE_BYTES

    def xDeviceCharacteristics(self) -> int:
        """Return 0: nothing that SQLite could make use of."""
        return 0

    def xClose(self) -> None:
        """Do nothing: the pages stay when their file is closed."""
