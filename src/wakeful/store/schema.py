"""The tables of a partition file, and the steps that bring an older file up to date.

Shapes:  meta holds the format version, how actors hash (shards), which shards the file holds, the
         epoch of its owner, whether that one stopped cleanly, and how many I/O errors were settled.
         journal holds a row per flushed batch (store/journal.py).
         cells and pages hold what has been folded.
Invariants: steps only go forward and are never edited; all that are missing run in one transaction.
            From `CHECKED` on each page has a checksum. That is decided when a file is made: an
            older one, and one made by an apsw without the checksum VFS, stays at `UNCHECKED` until
            it is written anew (store/upgrade.py), and is read and written all the same.
"""

from __future__ import annotations

from typing import Final

import apsw

from wakeful.errors import FormatTooNew, StorageCorrupt, StorageError
from wakeful.store.checksums import is_mismatch, verifying, vfs

# WITHOUT ROWID keeps a cell's key and value in one B-tree entry: one descent to read an actor.
_FIRST: Final = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE journal(seq INTEGER PRIMARY KEY, batch BLOB NOT NULL);
CREATE TABLE cells(
    type TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY(type, name, key)
) WITHOUT ROWID;
INSERT INTO meta VALUES
    ('format_version', 0), ('epoch', 0), ('clean', 1), ('settled', 0), ('shards', 0),
    ('shard_first', 0), ('shard_last', 0);
"""

# Alarms by due time; other cells are not in it.
_ALARMS: Final = "CREATE INDEX alarms ON cells(value) WHERE key = 'a'"

# The pages of the actors' own SQL databases.
_PAGES: Final = """
CREATE TABLE pages(
    type TEXT NOT NULL, name TEXT NOT NULL, page INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY(type, name, page)
) WITHOUT ROWID
"""

# No table has changed, but rows of the journal may have ranges of pages: none for an older wakeful.
_RANGES: Final = ""

# By type too: alarms of types that are not served do not hold up those of others.
_ALARMS_BY_TYPE: Final = """
DROP INDEX alarms;
CREATE INDEX alarms ON cells(type, value, name) WHERE key = 'a'
"""

# Which file it is, for the mark beside it; and what its first page says, for a copy that another
# program has made (store/seal.py).
_IDENTITY: Final = """
INSERT INTO meta VALUES ('id', lower(hex(randomblob(16)))), ('schema', '')
"""

MIGRATIONS: Final[tuple[tuple[int, str], ...]] = (
    (1, _FIRST),
    (2, _ALARMS),
    (3, _PAGES),
    (4, _RANGES),
    (5, _ALARMS_BY_TYPE),
    (6, _IDENTITY),
)
FORMAT_VERSION: Final = MIGRATIONS[-1][0]
UNCHECKED: Final = 5
CHECKED: Final = 6
_UNREADABLE: Final = (f"error code={apsw.SQLITE_IOERR_DATA}", "failed to get page")
SCHEMA: Final = (
    "SELECT group_concat(concat_ws(' ', type, name, rootpage, sql), char(10) ORDER BY rowid)"
    " FROM sqlite_schema"
)


def migrate(connection: apsw.Connection, version: int, shards: int) -> int:
    """Bring a file to the newest format it can have; a new one gets the number of shards.

    Returns:
        The format it has now.
    """
    newest = FORMAT_VERSION if verifying(connection) else UNCHECKED
    if version >= newest:
        return version
    with connection:
        for target, sql in MIGRATIONS:
            if version < target <= newest:
                connection.execute(sql)
        if newest >= CHECKED:
            connection.execute(f"UPDATE meta SET value = ({SCHEMA}) WHERE key = 'schema'")
        if version == 0:
            connection.execute("UPDATE meta SET value=? WHERE key='shards'", (shards,))
            connection.execute("UPDATE meta SET value=? WHERE key='shard_last'", (shards - 1,))
        connection.execute("UPDATE meta SET value=? WHERE key='format_version'", (newest,))
    return newest


def format_version(connection: apsw.Connection, path: str) -> int:
    """The format of a file, 0 if it is empty. Changes nothing.

    Raises:
        FormatTooNew: a newer wakeful has written it.
        StorageCorrupt: it is a database, but not ours.
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    if not tables:
        return 0
    version = None
    if "meta" in tables:
        version = connection.execute("SELECT value FROM meta WHERE key='format_version'").get
    if not isinstance(version, int):
        raise StorageCorrupt(f"{path} is a SQLite database but not a wakeful data file")
    if version > FORMAT_VERSION:
        raise FormatTooNew(
            f"{path} has format {version}, this wakeful knows formats up to {FORMAT_VERSION}:"
            " use the newer wakeful that wrote it"
        )
    return version


def check_verifying(connection: apsw.Connection, version: int, path: str) -> None:
    """See that the checksums of a file that has them are compared.

    Raises:
        StorageError: this apsw cannot do that.
        StorageCorrupt: the header of the file says that there are none.
    """
    if version < CHECKED or verifying(connection):
        return
    if vfs() is None:
        raise StorageError(
            f"{path} has a checksum on each page, and this apsw comes without SQLite's cksumvfs:"
            " install apsw from PyPI"
        )
    raise StorageCorrupt(f"{path} is damaged: its header denies that its pages have checksums")


def quick_check(connection: apsw.Connection, path: str) -> bool:
    """Read the whole file and compare it with itself.

    Returns:
        Whether all pages match their checksums. Who is on one that does not gets an error when it
        is read, and the others need not suffer.

    Raises:
        StorageCorrupt: the pages do not fit each other; says how.
    """
    try:
        said = [str(line) for (line,) in connection.execute("PRAGMA quick_check(8)")]
    except apsw.IOError as error:
        if is_mismatch(error):
            return False
        raise
    if any(mark in line for mark in _UNREADABLE for line in said):
        return False
    if said != ["ok"]:
        raise StorageCorrupt(f"{path} is damaged: {'; '.join(said)}")
    return True
