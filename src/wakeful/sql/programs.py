"""Counts the entries of tables and indexes that a statement has written, using its program.

SQLite counts rows, and not the entries of indexes that go with them; but the program of a
statement shows which entries are written with a row. Exact for INSERT, UPDATE and DELETE, also
with ON CONFLICT and, where all triggers write equally many indexes, with triggers; an entry of a
partial index is taken as written. A row of a virtual table is one entry, whatever it is kept as;
triggers that write to one are taken to run for each row. Nothing is counted for CREATE, DROP and
ALTER.

Source: https://sqlite.org/opcode.html (Insert, IdxInsert, OPFLAG_NCHANGE and its like); what is
        counted is what workerd counts as rowsWritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, cast

import apsw

from wakeful.ports import SqlValue
from wakeful.sql.sql_errors import REFUSED

Step = tuple[int, str, int, int, int, object, int, object]  # a row of EXPLAIN

UPDATES: Final = re.compile(r"\bdo\s+update\b", re.IGNORECASE)

_COUNTS: Final = 0x01  # the step writes the row itself
_NOTHING: Final = 0x40  # the step only tells others of the row
_FLEETING: Final = frozenset({"OpenEphemeral", "OpenAutoindex", "SorterOpen", "OpenPseudo"})
_OPENS: Final = _FLEETING | {"OpenWrite", "OpenRead", "OpenDup"}


class Written(NamedTuple):
    """What SQLite has counted.

    Attributes:
        rows: rows the statement itself has written.
        updated: those of them that an ON CONFLICT DO UPDATE has changed.
        others: rows that triggers and foreign keys have written with it.
    """

    rows: int
    updated: int
    others: int


class _Program:
    """What one program writes: for each kind of row how many entries of indexes, and what once.

    Attributes:
        virtual: how many kinds of rows it writes to virtual tables.
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self.entries: list[int] = []
        self.once = 0
        self.virtual = 0
        opened = [(name, cursor) for _, name, cursor, *_ in steps if name in _OPENS]
        self._fleeting = {cursor for _, cursor in opened}
        self._fleeting -= {cursor for name, cursor in opened if name not in _FLEETING}
        self._collected = 0
        for step in steps:
            self._take(step)

    def _take(self, step: Step) -> None:
        """Look at a step."""
        _, name, cursor, *_, flags, _ = step
        if name in _OPENS:
            (self._fleeting.add if name in _FLEETING else self._fleeting.discard)(cursor)
        elif name in ("Insert", "IdxInsert") and cursor not in self._fleeting:
            self._write(name, flags)
        elif name == "VUpdate":
            self.virtual += 1

    def _write(self, name: str, flags: int) -> None:
        if flags & _COUNTS:
            self.entries.append(self._collected)
            self._collected = 0
        elif name == "IdxInsert":
            self._collected += 1
        elif not flags & _NOTHING:
            self.once += 1  # the last number of an AUTOINCREMENT


def watch_updates(handle: apsw.Connection) -> list[int]:
    """Collect the rows updated (not inserted) from here on, until the handle's hook is removed."""
    found: list[int] = []

    def look(operation: int, database: str, table: str, row: int) -> None:
        if operation == apsw.SQLITE_UPDATE:
            found.append(row)

    handle.set_update_hook(look)
    return found


def counted(total: int, own: int, updates: list[int] | None) -> Written:
    """What SQLite has counted, in parts."""
    own = min(own, total)
    return Written(own, min(len(updates or ()), own), total - own)


def program(handle: apsw.Connection, sql: str, bindings: Sequence[SqlValue]) -> list[Step]:
    """The program of a statement; empty if the table it writes to is gone."""
    try:
        steps = handle.execute(f"EXPLAIN {sql}", bindings, can_cache=False).fetchall()
    except REFUSED:
        return []
    return cast("list[Step]", steps)


def entries_written(steps: Iterable[Step], written: Written) -> int:
    """Entries of tables and indexes that were written.

    Args:
        steps: the program, as EXPLAIN shows it.
        written: the rows that were.
    """
    main, *others = _programs(steps)
    if main.virtual:
        return written.rows  # which no trigger can see, nor what the others are: how it is kept
    first, last = (main.entries[0], main.entries[-1]) if main.entries else (0, 0)
    total = (written.rows - written.updated) * (1 + last) + written.updated * (1 + first)
    if written.rows:
        total += main.once
    kinds = [entries for program in others for entries in program.entries]
    virtual = sum(program.virtual for program in others)
    if virtual:
        return total + written.rows * (virtual + len(kinds) + sum(kinds))
    mean = sum(kinds) / len(kinds) if kinds else 0
    return total + round(written.others * (1 + mean))


def _programs(steps: Iterable[Step]) -> Iterator[_Program]:
    of_one: list[Step] = []
    for step in steps:
        if step[0] == 0 and of_one:
            yield _Program(of_one)
            of_one = []
        of_one.append(step)
    yield _Program(of_one)
