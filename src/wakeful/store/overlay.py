"""Changes that are durable in the journal and not yet in the cells: what a read must add.

Changes collect in the *active* generation. When it is large enough it is frozen and folded into the
cells slice by slice, while a new one collects. A read takes the cells, then the frozen, then the
active generation, the later one winning.

Invariants: a generation is only changed in the loop's thread; a frozen one gets no new changes;
            what is dropped from it is in the cells. So a read is right at any moment of a fold.
Source:     log-structured merge trees (O'Neil et al. 1996): memtable, immutable memtable, level 0.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from wakeful.ids import ActorId
from wakeful.ports import AGENDA_KEY, Alarm, Cells, CommitRecord, Page, due_of

Changes = dict[str, bytes | None]
PageChanges = dict[int, bytes | None]
Key = tuple[str, str]
StoredPage = Callable[[Key, int], bytes | None]
StoredNumbers = Callable[[Key], Iterable[int]]
StoredCells = Callable[[Key], Cells]
StoredAlarms = Callable[[bytes, Collection[str] | None], Iterator[tuple[bytes, Key]]]
StoredNames = Callable[[str, str], Iterator[str]]

NO_PAGES: Final[PageChanges] = {}


class Generation:
    """The changes of consecutive batches, the latest of each cell.

    Attributes:
        alarms: the alarm cells among the changes; None marks one that is gone.
        changes: per changed actor, its changed cells; None marks a deleted one.
        pages: per actor that has changed any, its changed pages, likewise.
        page_count: how many these are.
        wiped: the actors whose older cells are all gone.
        seq: the journal row of the last batch in it.
        size_bytes: the size of its journal rows.
    """

    __slots__ = ("alarms", "changes", "page_count", "pages", "seq", "size_bytes", "wiped")

    def __init__(self) -> None:
        self.alarms: dict[Key, bytes | None] = {}
        self.changes: dict[Key, Changes] = {}
        self.pages: dict[Key, PageChanges] = {}
        self.page_count = 0
        self.wiped: set[Key] = set()
        self.seq = 0
        self.size_bytes = 0

    def apply(self, seq: int, records: Iterable[CommitRecord], size_bytes: int) -> None:
        """Add a durable batch."""
        changes = self.changes
        for record in records:
            key = (record.type, record.name)
            if record.wipe:
                self.wiped.add(key)
                self.page_count -= len(self.pages.pop(key, NO_PAGES))
                changes[key] = record.puts.copy()
            elif (known := changes.get(key)) is None:
                changes[key] = record.puts.copy()
            else:
                known.update(record.puts)
            if record.pages:
                pages = self.pages.setdefault(key, {})
                self.page_count -= len(pages)
                pages.update(record.pages)
                self.page_count += len(pages)
            if record.wipe or AGENDA_KEY in record.puts:
                self.alarms[key] = record.puts.get(AGENDA_KEY)
        self.seq = seq
        self.size_bytes += size_bytes

    def drop(self, keys: Iterable[Key]) -> None:
        """Forget actors whose changes are in the cells."""
        for key in keys:
            self.changes.pop(key, None)
            self.page_count -= len(self.pages.pop(key, NO_PAGES))
            self.wiped.discard(key)
            self.alarms.pop(key, None)


class Overlay:
    """The active generation over the frozen one, over what is stored."""

    def __init__(self) -> None:
        self.active = Generation()
        self.frozen: Generation | None = None

    def freeze(self) -> Generation:
        """Start a new generation; return the one that is complete now."""
        assert self.frozen is None, "a generation is being folded"
        self.frozen = self.active
        self.active = Generation()
        return self.frozen

    def load(self, key: Key, stored: StoredCells) -> Cells:
        """An actor's cells, reading the stored ones only if they still count."""
        layers: list[Changes] = []
        cells: Cells | None = None
        for generation in (self.active, self.frozen):
            changes = generation.changes.get(key) if generation is not None else None
            if generation is None or changes is None:
                continue
            layers.append(changes)
            if key in generation.wiped:
                cells = {}
                break
        if cells is None:
            cells = stored(key)
        for changes in reversed(layers):
            for name, value in changes.items():
                if value is None:
                    cells.pop(name, None)
                else:
                    cells[name] = value
        return cells

    def sql_page(self, key: Key, number: int, stored: StoredPage) -> bytes | None:
        """One page of an actor's SQL database."""
        for generation in (self.active, self.frozen):
            if generation is None:
                continue
            pages = generation.pages.get(key, NO_PAGES)
            if number in pages:
                return pages[number]
            if key in generation.wiped:
                return None
        return stored(key, number)

    def has_pages(self, key: Key, stored: StoredNumbers) -> bool:
        """Whether an actor has a SQL database."""
        gone: set[int] = set()
        for generation in (self.active, self.frozen):
            if generation is None:
                continue
            for number, page in generation.pages.get(key, NO_PAGES).items():
                if page is not None and number not in gone:
                    return True
                gone.add(number)
            if key in generation.wiped:
                return False
        return any(number not in gone for number in stored(key))

    def alarms(
        self, until: bytes, limit: int, types: Collection[str] | None, stored: StoredAlarms
    ) -> list[Alarm]:
        """The first alarms due by a time, stored and overlaid.

        Args:
            until: an alarm cell's value that is later than all that are due.
            types: whose; None: of all.
            stored: the stored alarm cells of types with a lesser value, in order.
        """
        frozen = self.frozen.alarms if self.frozen is not None else {}
        changed = {**frozen, **self.active.alarms}
        ours = [
            (cell, key)
            for key, cell in changed.items()
            if cell is not None and cell < until and (types is None or key[0] in types)
        ]
        kept = ((cell, key) for cell, key in stored(until, types) if key not in changed)
        first = islice(heapq.merge(sorted(ours), kept), limit)
        return [Alarm(due_of(cell), ActorId(*key)) for cell, key in first]

    def changed_names(self, type: str) -> set[str]:
        """The names of a type's actors that a read has to overlay."""
        generations = [g for g in (self.active, self.frozen) if g is not None]
        return {name for g in generations for kind, name in g.changes if kind == type}

    def page(
        self,
        type: str,
        prefix: str,
        cursor: str | None,
        *,
        limit: int,
        names: StoredNames,
        cells: StoredCells,
        numbers: StoredNumbers,
    ) -> Page:
        """One page of a type's actors, stored and overlaid.

        Python compares text by code points, which is the order of their UTF-8 bytes.

        Args:
            names: the stored names of a type that are greater than or equal to a bound, in order.
            cells: an actor's stored cells.
            numbers: which pages are stored of an actor.
        """

        def gone(name: str) -> bool:
            key = (type, name)
            return not self.load(key, cells) and not self.has_pages(key, numbers)

        assert limit > 0, limit
        changed = self.changed_names(type)
        start = max(prefix, cursor or "")
        ours = [name for name in changed if name >= start and name.startswith(prefix)]
        heapq.heapify(ours)
        found: list[str] = []
        for name in _merged(ours, names(type, start)):
            if not name.startswith(prefix):
                break
            if name == cursor or (name in changed and gone(name)):
                continue
            if len(found) == limit:
                return _page(type, found, found[-1])
            found.append(name)
        return _page(type, found, None)

    def types(
        self,
        stored: Iterable[str],
        names: StoredNames,
        cells: StoredCells,
        numbers: StoredNumbers,
    ) -> list[str]:
        """The types that have an actor with cells or pages, in order."""
        generations = [g for g in (self.active, self.frozen) if g is not None]
        kinds = {kind for g in generations for kind, _ in g.changes}.union(stored)
        return [
            kind
            for kind in sorted(kinds)
            if self.page(kind, "", None, limit=1, names=names, cells=cells, numbers=numbers).actors
        ]


def _merged(heap: list[str], stored: Iterator[str]) -> Iterator[str]:
    """Both, in order, each name once."""
    last: str | None = None
    for name in heapq.merge(_drained(heap), stored):
        if name != last:
            yield name
        last = name


def _drained(heap: list[str]) -> Iterator[str]:
    while heap:
        yield heapq.heappop(heap)


def _page(type: str, names: Sequence[str], cursor: str | None) -> Page:
    return Page(actors=tuple(ActorId(type, name) for name in names), cursor=cursor)
