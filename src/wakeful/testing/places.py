"""What the simulated actors keep on disk, read without the code that wrote it.

Shapes:  see `wakeful.testing.actors`, `vault` and `safe`; a Safe keeps its fields in cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeVar

import apsw
import msgspec

from wakeful import codec
from wakeful.core.agenda import alarm_of
from wakeful.core.alarms import AlarmCell
from wakeful.ports import AGENDA_KEY, KV_PREFIX, STATE_KEY, Cells
from wakeful.sql.pages import PAGE_BYTES
from wakeful.testing.actors import KEPT
from wakeful.testing.history import NO_TABLES, Landed, Tables, Tokens

T = TypeVar("T")

NO_TOKENS: Final[Tokens] = ()
VAULT: Final = "Vault"
SAFE: Final = "Safe"
MS_NS: Final = 1_000_000


class Fields(msgspec.Struct):
    """The declared state of all simulated actors."""

    tokens: Tokens = ()
    length: int = 0
    total: int = 0
    kept: int = 0
    by: int = 0
    naps: int = 0
    armed: int = 0
    rang: Tokens = ()
    said: int = 0


class Places(NamedTuple):
    """An actor on disk.

    Attributes:
        alarm: its alarm.
        disagreement: what does not fit together, if anything.
    """

    fields: Fields
    alarm: AlarmCell | None
    disagreement: str | None


def places_of(record: Landed) -> Places:
    """What an actor keeps after a record."""
    cells = record.cells
    cell = cells.get(AGENDA_KEY)
    entry = alarm_of(cell) if cell is not None else None
    alarm = AlarmCell.of(entry) if entry is not None else None
    if record.actor.type == SAFE:
        fields = _safe_fields(cells)
        facts: dict[str, tuple[object, object]] = {}
        facts["kept rows"] = record.tables.kept, fields.tokens
    else:
        fields = _state(cells)
        facts = _facts(fields, cells)
        kept = _value(cells, KEPT, NO_TOKENS) if record.actor.type == VAULT else NO_TOKENS
        facts["kept rows"] = record.tables.kept, kept
    facts["rings"] = record.tables.rings, fields.rang
    facts["alarm"] = alarm.scheduled_ns if alarm is not None else 0, fields.armed
    facts["database"] = record.tables.damage, ""
    wrong = next((f"{what}: {a} is not {b}" for what, (a, b) in facts.items() if a != b), None)
    return Places(fields, alarm, wrong)


def tables_of(pages: Mapping[int, bytes]) -> Tables:
    """Read the tables of a database with SQLite itself."""
    if not pages:
        return NO_TABLES
    count = int.from_bytes(pages.get(1, b"")[28:32], "big")
    if sorted(pages) != list(range(1, count + 1)):
        return Tables(damage=f"of {count} pages there are {sorted(pages)}")
    data = b"".join(pages[number] for number in range(1, count + 1))
    assert len(data) == count * PAGE_BYTES
    connection = apsw.Connection(":memory:")
    try:
        connection.deserialize("main", data)
        sound = str(connection.execute("PRAGMA integrity_check").get)
        if sound != "ok":
            return Tables(damage=sound)
        return Tables(
            _column(connection, "kept", "token"), _column(connection, "rings", "scheduled")
        )
    except apsw.Error as error:
        return Tables(damage=str(error))
    finally:
        connection.close()


def _column(connection: apsw.Connection, table: str, column: str) -> Tokens:
    there = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (table,)).get
    if there is None:
        return NO_TOKENS
    rows = connection.execute(f"SELECT {column} FROM {table} ORDER BY id")
    return tuple(int(value) for (value,) in rows)


def _facts(fields: Fields, cells: Cells) -> dict[str, tuple[object, object]]:
    tokens = fields.tokens
    kept = _value(cells, KEPT, NO_TOKENS)
    return {
        "length": (fields.length, len(tokens)),
        "total": (fields.total, sum(tokens)),
        "kept": (fields.kept, sum(kept)),
        "kept, not in tokens": (set(kept) - set(tokens), set()),
        "naps": (fields.naps, _value(cells, "naps", 0)),
    }


def _state(cells: Cells) -> Fields:
    data = cells.get(STATE_KEY)
    return msgspec.msgpack.decode(data[1:], type=tuple[int, Fields])[1] if data else Fields()


def _safe_fields(cells: Cells) -> Fields:
    fields = Fields()
    for name in ("tokens", "rang", "armed", "by"):
        data = cells.get(KV_PREFIX + name)
        value = codec.decode(data) if data is not None else getattr(fields, name)
        setattr(fields, name, tuple(value) if isinstance(value, list) else value)
    fields.armed *= MS_NS
    return fields


def _value(cells: Cells, key: str, default: T) -> T:
    """A value from storage."""
    data = cells.get(KV_PREFIX + key)
    return default if data is None else msgspec.msgpack.decode(data[1:], type=type(default))
