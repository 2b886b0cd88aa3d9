"""What an actor keeps, for an operator: state, storage, alarm, and a look into its SQL tables.

Shapes:     everything but `storage` and `state` is plain data; those two are decoded without the
            actor's class, so they show dates and enums as plain values.
Invariants: nothing is changed; however large the database is, a look with limits reads a bounded
            number of rows, as it may run in the loop of a server.
"""

from __future__ import annotations

from math import isfinite
from typing import Final

import msgspec

from wakeful.actor import AlarmFailure, DeadLetter, Reminder
from wakeful.core.agenda import Agenda, alarm_of
from wakeful.core.alarms import AlarmCell
from wakeful.errors import SqlError, StorageError
from wakeful.log import utc
from wakeful.packing import decode
from wakeful.ports import (
    AGENDA_KEY,
    FAILED_ALARM_KEY,
    KV_PREFIX,
    STATE_KEY,
    Cells,
    Database,
    SqlValue,
)
from wakeful.runtime.alarm_face import unpack_failure
from wakeful.runtime.reminders import dead_in, reminders_in
from wakeful.state import describe, stored_version

ROWS_SHOWN: Final = 5  # of each table
TABLES_SHOWN: Final = 50
COLUMNS_SHOWN: Final = 50
VALUE_SHOWN: Final = 200  # characters of a text, bytes of a blob
ROWS_COUNTED: Final = 20_000  # of all tables together, in a server: each may cost a page to read

_NAMES: Final = (
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    f" ORDER BY name LIMIT {TABLES_SHOWN + 1}"
)

Shown = None | int | float | str


class AlarmView(msgspec.Struct, frozen=True):
    """An actor's alarm.

    Attributes:
        due: when it is to fire, in UTC, as ISO 8601.
        due_ns: the same in nanoseconds since 1970.
        scheduled_ns: when it was set to fire, before any retry.
        retries: how often its handler has failed since.
    """

    due: str
    due_ns: int
    scheduled_ns: int
    retries: int


class TableView(msgspec.Struct, frozen=True):
    """A table of an actor's SQL database.

    Attributes:
        rows: how many rows it has; with `more`, at least as many.
        more: counting was ended there.
        columns: the names of its first columns.
        first: its first rows; long values are cut, blobs are SQL literals.
        error: why it cannot be read.
    """

    name: str
    rows: int = 0
    more: bool = False
    columns: tuple[str, ...] = ()
    first: tuple[tuple[Shown, ...], ...] = ()
    error: str | None = None


class ActorView(msgspec.Struct, frozen=True):
    """All that one actor keeps.

    Attributes:
        schema_version: the schema version of its state; None if it has no declared state.
        state: declared attributes by name.
        storage: what it has put into its storage, by key.
        alarm: its alarm, if it has one.
        failed_alarm: the alarm that was given up, until another one is set.
        reminders: those that are set, the earliest first.
        dead_letters: occurrences of reminders that were given up.
        tables: its SQL tables, in order of their names.
        sql_error: why they cannot be read, or that there are more.
        size_bytes: of its state and storage as they are stored.
        sql_bytes: of its SQL database, without what is free in it.
    """

    type: str
    name: str
    schema_version: int | None
    state: dict[str, object]
    storage: dict[str, object]
    size_bytes: int = msgspec.field(name="bytes")
    alarm: AlarmView | None = None
    failed_alarm: AlarmFailure | None = None
    reminders: tuple[Reminder, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    tables: tuple[TableView, ...] = ()
    sql_bytes: int = 0
    sql_error: str | None = None


def view(type: str, name: str, cells: Cells) -> ActorView:
    """What an actor keeps in its cells.

    Raises:
        StorageCorrupt: they are damaged.
    """
    state, head, failed = (cells.get(key) for key in (STATE_KEY, AGENDA_KEY, FAILED_ALARM_KEY))
    alarm = None if head is None else alarm_of(head)
    return ActorView(
        type=type,
        name=name,
        schema_version=None if state is None else stored_version(state),
        state={} if state is None else describe(state),
        storage={
            key.removeprefix(KV_PREFIX): decode(value)
            for key, value in sorted(cells.items())
            if key.startswith(KV_PREFIX)
        },
        size_bytes=sum(map(len, cells.values())),
        alarm=None if alarm is None else _alarm(AlarmCell.of(alarm)),
        failed_alarm=None if failed is None else unpack_failure(failed),
        reminders=reminders_in(Agenda(dict(cells))),
        dead_letters=dead_in(cells),
    )


def with_tables(view: ActorView, database: Database, counted: int | None) -> ActorView:
    """The same with a look into the actor's SQL database, which is left as it was.

    Args:
        counted: how many rows to count, of all tables together; None counts them all.
    """
    tables: list[TableView] = []
    error: str | None = None
    size_bytes = 0
    try:
        names = [str(name) for (name,) in database.execute(_NAMES).rest()]
        for table in names[:TABLES_SHOWN]:
            found = _table(database, table, counted)
            tables.append(found)
            counted = None if counted is None else counted - found.rows
        size_bytes = database.face.database_size
        if len(names) > TABLES_SHOWN:
            error = f"only the first {TABLES_SHOWN} tables are shown"
    except (SqlError, StorageError) as problem:
        error = str(problem)
    finally:
        database.undo()
        database.close()
    return msgspec.structs.replace(
        view, tables=tuple(tables), sql_bytes=size_bytes, sql_error=error
    )


def _alarm(cell: AlarmCell) -> AlarmView:
    return AlarmView(utc(cell.due_ns), cell.due_ns, cell.scheduled_ns, cell.retries)


def _table(database: Database, name: str, counted: int | None) -> TableView:
    try:
        columns = database.execute(f"SELECT * FROM {_quoted(name)} LIMIT 0").columns
        columns = columns[:COLUMNS_SHOWN]
        shown = ", ".join(_cut(_quoted(column)) for column in columns)
        rows = database.execute(f"SELECT {shown} FROM {_quoted(name)} LIMIT {ROWS_SHOWN}").rest()
        count, more = _count(database, name, counted)
    except SqlError as error:
        return TableView(name, error=str(error))
    first = tuple(tuple(map(_shown, row)) for row in rows)
    return TableView(name, count, more, columns, first)


def _count(database: Database, name: str, counted: int | None) -> tuple[int, bool]:
    if counted is None:
        return _int(database, f"SELECT count(*) FROM {_quoted(name)}"), False
    some = f"SELECT 1 FROM {_quoted(name)} LIMIT {max(0, counted) + 1}"
    count = _int(database, f"SELECT count(*) FROM ({some})")
    return (count, False) if count <= counted else (counted, True)


def _int(database: Database, sql: str) -> int:
    value = database.execute(sql).rest()[0][0]
    assert isinstance(value, int), value
    return value


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _cut(column: str) -> str:
    # SQLite cuts: a value of 64 MiB does not come here whole.
    return (
        f"iif(typeof({column}) IN ('text', 'blob'), substr({column}, 1, {VALUE_SHOWN + 1}),"
        f" {column})"
    )


def _shown(value: SqlValue) -> Shown:
    if isinstance(value, str) and len(value) > VALUE_SHOWN:
        return value[:VALUE_SHOWN] + "…"
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, bytes):
        cut = len(value) > VALUE_SHOWN
        return f"x'{value[:VALUE_SHOWN].hex()}{'…' if cut else ''}'"
    return value
