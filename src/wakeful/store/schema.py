"""The tables of a partition file, and the steps that bring an older file up to date.

Shapes:  meta holds the format version, how actors hash (shards), which shards the file holds, the
         epoch of its owner, whether that one stopped cleanly, and how many I/O errors were settled.
         journal holds a row per flushed batch (store/journal.py).
         cells and pages hold what has been folded.
Invariants: steps only go forward and are never edited; all that are missing run in one transaction.
"""

from __future__ import annotations

from typing import Final

import apsw

from wakeful.errors import FormatTooNew, StorageCorrupt

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

# By type too: alarms of types that nobody serves are in nobody's way.
_ALARMS_BY_TYPE: Final = """
DROP INDEX alarms;
CREATE INDEX alarms ON cells(type, value, name) WHERE key = 'a'
"""

MIGRATIONS: Final[tuple[tuple[int, str], ...]] = (
    (1, _FIRST),
    (2, _ALARMS),
    (3, _PAGES),
    (4, _RANGES),
    (5, _ALARMS_BY_TYPE),
)
FORMAT_VERSION: Final = MIGRATIONS[-1][0]


def migrate(connection: apsw.Connection, version: int, shards: int) -> None:
    """Bring a file to the present format; a new one is told how many shards there are."""
    if version == FORMAT_VERSION:
        return
    with connection:
        for target, sql in MIGRATIONS:
            if target > version:
                connection.execute(sql)
        if version == 0:
            connection.execute("UPDATE meta SET value=? WHERE key='shards'", (shards,))
            connection.execute("UPDATE meta SET value=? WHERE key='shard_last'", (shards - 1,))
        connection.execute("UPDATE meta SET value=? WHERE key='format_version'", (FORMAT_VERSION,))


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


def quick_check(connection: apsw.Connection, path: str) -> None:
    """Read the whole file and compare it with itself.

    Raises:
        StorageCorrupt: something is wrong; says what.
    """
    said = [str(line) for (line,) in connection.execute("PRAGMA quick_check(3)")]
    if said != ["ok"]:
        raise StorageCorrupt(f"{path} is damaged: {'; '.join(said)}")
