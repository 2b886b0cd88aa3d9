"""Durable Objects as workerd and `wrangler dev` keep them on disk, read to become actors.

Shapes:  <state>/v3/do/<worker>-<class>/<64 hex digits>.sqlite, each with its -wal: _cf_KV holds
         keys and V8's bytes, _cf_METADATA under 1 the alarm (ns), __miniflare_do_name the name;
         all other tables are the user's. metadata.sqlite beside them repeats the alarms; it
         counts only for objects without _cf_METADATA, which older versions did not write.
Invariants: the source is never opened by SQLite, only copied: not even its -shm appears.
Errors:  CannotImport, naming the file and, for a value, its key.
Source:  workerd and miniflare; looked at with workerd 2026-11-17 and wrangler 4.86.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import apsw
import msgspec

from wakeful.core.alarms import AlarmCell
from wakeful.errors import StorageError, WakefulError
from wakeful.ids import ActorId, shard_of
from wakeful.ports import AGENDA_KEY, KV_PREFIX, NAME_KEY, CommitRecord, StoreInfo
from wakeful.workers.objects import stored
from wakeful.workers.objects.ids import IdSpace, unique_key
from wakeful.workers.proxies import JsException, JsTypeError
from wakeful.workers.values import utf8
from wakeful.workers.workerd_files import v8

OBJECT: Final = re.compile(r"([0-9a-f]{64})\.sqlite", re.ASCII)
CHILD: Final = re.compile(r"[0-9a-f]{64}(\.\d+\.sqlite|\.facets)", re.ASCII)
LAYOUTS: Final = ("", "do", "v3/do", "state/v3/do", ".wrangler/state/v3/do")
ALARMS: Final = "metadata.sqlite"
PAGE_BYTES: Final = 4096  # of every actor's SQL database (wakeful.sql.pages)
RECORD_PAGES: Final = 2048  # of one commit record: 8 MiB
ALARM_NS_MAX: Final = 2**63 - 1
SHOWN_CHARS: Final = 60  # of a key, in a message


class CannotImport(StorageError):
    """Something of the source cannot be brought over."""


class Source(msgspec.Struct, frozen=True):
    """One object in workerd's directory."""

    actor: ActorId
    file: Path


class Found(msgspec.Struct, frozen=True):
    """What there is to import.

    Attributes:
        sources: the objects, in order.
        children: files of objects inside objects, which are left where they are.
    """

    sources: tuple[Source, ...]
    children: tuple[Path, ...]


class Imported(msgspec.Struct, frozen=True):
    """An object as an actor.

    Attributes:
        cells: values, alarm and name, as they are stored.
        database: a SQLite file of its tables alone; None if it has none.
        tables: how many tables and views it has.
        size_bytes: of all of it.
        unreadable: of each value that cannot be read: file, key and why.
    """

    actor: ActorId
    cells: dict[str, bytes]
    database: Path | None
    tables: int
    size_bytes: int
    unreadable: tuple[str, ...] = ()

    @property
    def keys(self) -> int:
        """How many values it has."""
        return sum(cell.startswith(KV_PREFIX) for cell in self.cells)

    @property
    def alarmed(self) -> bool:
        """Whether its alarm is set."""
        return AGENDA_KEY in self.cells

    def records(self, info: StoreInfo) -> Iterator[CommitRecord]:
        """What makes it an actor, whatever was there: to be committed in order, the last last.

        Page 1 and the cells come with the last one: until then there is no such actor.
        """
        seq, wipe = 1, True
        kind, name = self.actor
        shard = shard_of(self.actor, info.shards)
        epoch = info.lane_of(shard).epoch
        pages: dict[int, bytes | None] = {}
        for number, page in self._later_pages():
            pages[number] = page
            if len(pages) >= RECORD_PAGES:
                yield CommitRecord(kind, name, shard, epoch, seq, wipe, {}, pages)
                seq, wipe, pages = seq + 1, False, {}
        if self.database is not None:
            with self.database.open("rb") as file:
                pages[1] = file.read(PAGE_BYTES)
        yield CommitRecord(kind, name, shard, epoch, seq, wipe, dict(self.cells), pages)

    def _later_pages(self) -> Iterator[tuple[int, bytes]]:
        if self.database is None:
            return
        with self.database.open("rb") as file:
            file.seek(PAGE_BYTES)
            number = 1
            while page := file.read(PAGE_BYTES):
                number += 1
                yield number, page


# --- finding ---------------------------------------------------------------------------------


def find(path: Path, worker: str | None = None, classes: Sequence[str] = ()) -> Found:
    """The objects below a path.

    Args:
        path: `.wrangler/state`, the directory of a project that has one, one below it down to
            that of a class, or the file of an object.
        worker: only objects of this Worker.
        classes: only objects of these classes. With one class and a worker, path may be the
            directory of a class, or a file, under any name.

    Raises:
        CannotImport: no object was found, or the ids belong to another Worker or class.
    """
    directories, only = _directories(path)
    by_key = {directory.name: directory for directory in directories}
    if len(directories) == 1 and worker is not None and len(classes) == 1:
        by_key = {unique_key(worker, classes[0]): directories[0]}
    chosen = {key: place for key, place in by_key.items() if _is_asked_for(key, worker, classes)}
    if not chosen:
        known = ", ".join(sorted(by_key))
        raise CannotImport(f"{path}: none of its objects is asked for; <worker>-<class>: {known}")
    sources = [
        source
        for key, directory in sorted(chosen.items())
        for source in _sources(key, directory, only)
    ]
    children = [
        file
        for directory in sorted(chosen.values())
        for file in sorted(directory.iterdir())
        if only is None and CHILD.fullmatch(file.name)
    ]
    return Found(tuple(sources), tuple(children))


def _directories(path: Path) -> tuple[list[Path], Path | None]:
    """The directories of classes, and the one file that was asked for."""
    if os.path.isfile(path):
        if not OBJECT.fullmatch(path.name):
            raise CannotImport(f"{path}: the file of an object is named <64 hex digits>.sqlite")
        return [path.resolve().parent], path.resolve()
    if not os.path.isdir(path):
        raise CannotImport(f"{path} does not exist")
    if _has_objects(path):
        return [path.resolve()], None
    for layout in LAYOUTS:
        place = path / layout
        found = [inner for inner in _listed(place) if inner.is_dir() and _has_objects(inner)]
        if found:
            return found, None
    raise CannotImport(
        f"{path} holds no Durable Objects: they are in .wrangler/state/v3/do/<worker>-<class>/"
    )


def _listed(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []


def _has_objects(directory: Path) -> bool:
    return any(OBJECT.fullmatch(file.name) for file in _listed(directory))


def _is_asked_for(key: str, worker: str | None, classes: Sequence[str]) -> bool:
    of_worker, _, of_class = key.rpartition("-")
    return (worker is None or worker == of_worker) and (not classes or of_class in classes)


def _sources(key: str, directory: Path, only: Path | None) -> Iterator[Source]:
    space = IdSpace(key, bytes)
    for file in _listed(directory):
        name = OBJECT.fullmatch(file.name)
        if name is None or (only is not None and file != only):
            continue
        try:
            space.from_string(name[1])
        except JsTypeError:
            raise CannotImport(
                f"{file}: this id is not one of {key}: name the Worker and its class as they were "
                "when the object was made (--worker, --class)"
            ) from None
        yield Source(ActorId(key, name[1]), file)


# --- reading ---------------------------------------------------------------------------------


class Scheduled(NamedTuple):
    """The alarm and the name of an object that workerd keeps beside its file."""

    due_ns: Any = None
    name: str | None = None


class Importer:
    """Reads objects, one after the other.

    Args:
        scratch: an empty directory, for a copy of one object at a time.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._scheduled: dict[Path, dict[str, Scheduled]] = {}

    def read(self, source: Source) -> Imported:
        """An object, whole. What it gives is valid until the next one is read.

        Raises:
            CannotImport: the file cannot be read, or it changed meanwhile.
        """
        unreadable: list[str] = []
        with _reported(source.file), closing(self._opened(source.file)) as copy:
            cells = dict(_cells(copy, source.file, unreadable))
            due_ns = self._alarm(copy, source)
            if due_ns is not None:
                cells[AGENDA_KEY] = AlarmCell.at(due_ns).pack()
            name = self._scheduled_beside(source).name
            if name is not None:
                cells[NAME_KEY] = utf8(name)
            tables = _keep_tables(copy)
        database = self._copy if tables else None
        size = sum(map(len, cells.values())) + (database.stat().st_size if database else 0)
        return Imported(source.actor, cells, database, tables, size, tuple(unreadable))

    @property
    def _copy(self) -> Path:
        return self._scratch / "object.sqlite"

    def _opened(self, file: Path) -> apsw.Connection:
        parts = ("", "-wal", "-journal")
        before = [_state(file, part) for part in parts]
        for part, there in zip(parts, before, strict=True):
            target = Path(f"{self._copy}{part}")
            target.unlink(missing_ok=True)
            if there is not None:
                shutil.copyfile(f"{file}{part}", target)
        Path(f"{self._copy}-shm").unlink(missing_ok=True)
        if before != [_state(file, part) for part in parts]:
            raise CannotImport(f"{file} changed while it was read: stop `wrangler dev` first")
        connection = apsw.Connection(str(self._copy))
        connection.execute("PRAGMA trusted_schema=off")
        return connection

    def _alarm(self, copy: apsw.Connection, source: Source) -> int | None:
        if _exists(copy, "_cf_METADATA"):
            rows = copy.execute("SELECT value FROM _cf_METADATA WHERE key = 1").fetchall()
            due_ns = rows[0][0] if rows else None
        else:
            due_ns = self._scheduled_beside(source).due_ns
        if due_ns is not None and not (isinstance(due_ns, int) and 0 <= due_ns <= ALARM_NS_MAX):
            raise CannotImport(f"{source.file}: its alarm is no time: {due_ns!r}")
        return due_ns

    def _scheduled_beside(self, source: Source) -> Scheduled:
        metadata = source.file.parent / ALARMS
        found = self._scheduled.get(metadata)
        if found is None:
            found = self._scheduled[metadata] = self._read_scheduled(metadata)
        return found.get(source.actor.name, Scheduled())

    def _read_scheduled(self, metadata: Path) -> dict[str, Scheduled]:
        if not metadata.exists():
            return {}
        inner = self._scratch / "alarms"
        inner.mkdir(exist_ok=True)
        with _reported(metadata), closing(Importer(inner)._opened(metadata)) as copy:
            if not _exists(copy, "_cf_ALARM"):
                return {}
            named = _has_column(copy, "_cf_ALARM", "actor_name")
            name = "actor_name" if named else "NULL"
            rows = copy.execute(f"SELECT actor_id, scheduled_time, {name} FROM _cf_ALARM")
            return {str(actor): Scheduled(due_ns, name) for actor, due_ns, name in rows}


@contextmanager
def _reported(file: Path) -> Iterator[None]:
    """Raise errors as CannotImport, with the file."""
    try:
        yield
    except apsw.Error as error:
        raise CannotImport(f"{file} cannot be read: {error}") from error
    except OSError as error:
        raise CannotImport(f"{file} cannot be copied: {error}") from error


def _state(file: Path, part: str) -> tuple[int, int] | None:
    try:
        found = Path(f"{file}{part}").stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size


def _has_column(connection: apsw.Connection, table: str, column: str) -> bool:
    sql = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?"
    return bool(connection.execute(sql, (table, column)).fetchall())


def _exists(connection: apsw.Connection, table: str) -> bool:
    found = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (table,)).fetchall()
    return bool(found)


def _cells(copy: apsw.Connection, file: Path, unreadable: list[str]) -> Iterator[tuple[str, bytes]]:
    if not _exists(copy, "_cf_KV"):
        return
    for key, value in copy.execute("SELECT key, value FROM _cf_KV"):
        if not isinstance(key, str) or not isinstance(value, bytes):
            raise CannotImport(
                f"{file}: the row of key {_shown(key)} in _cf_KV is no key and value"
            )
        try:
            yield KV_PREFIX + key, stored.pack(v8.read(value))
        except (WakefulError, JsException, TypeError) as error:
            unreadable.append(f"{file}: the value of key {_shown(key)}: {error}")


def _shown(key: object) -> str:
    text = repr(key)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."


def _keep_tables(copy: apsw.Connection) -> int:
    """Reduce a file to the user's tables, in pages as actors have them; return how many."""
    names = copy.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table'"
        " AND (name LIKE '!_cf!_%' ESCAPE '!' OR name LIKE '!_!_miniflare!_%' ESCAPE '!')"
    )
    for (name,) in names.fetchall():
        quoted = str(name).replace('"', '""')
        copy.execute(f'DROP TABLE "{quoted}"')
    rows = copy.execute(
        "SELECT count(*) FROM pragma_table_list WHERE schema = 'main'"
        " AND type IN ('table', 'view', 'virtual') AND name NOT LIKE 'sqlite!_%' ESCAPE '!'"
    ).fetchall()
    count = rows[0][0]
    assert isinstance(count, int)
    if count:
        copy.execute("PRAGMA journal_mode=delete").fetchall()
        copy.execute(f"PRAGMA page_size={PAGE_BYTES}; PRAGMA auto_vacuum=none; VACUUM").fetchall()
    return count
