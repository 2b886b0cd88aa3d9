"""What one actor owes, by due time: its alarm, and entries such as a reminder or an expiry.

An agenda is a part of the working set: a turn changes it, and what is owed is committed or undone
with what the turn has done. The store knows only its *head*: the time of the earliest entry.

Shapes:     an entry is due (8 bytes, big-endian), then data that the agenda does not look into. The
            entry with the id ALARM is the alarm. The head is the alarm's entry if there is no other
            entry, which is what formats before the agenda have; else the earliest due (8 bytes),
            then the alarm's entry if there is one.
Units:      int nanoseconds since 1970; `size_bytes` counts ids (as characters) and entries.
Invariants: the head says when the earliest entry is due; undoing everything restores exactly the
            entries of the last commit point, the same objects; what `take` gives, applied to the
            store's cells, gives the entries as of that commit point.
Source:     DESIGN 9, "everything owed is in the agenda"; a heap with lazy deletion.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple

from wakeful.core.working_set import COMMIT_POINT
from wakeful.core.write_buffer import Puts

HEAD_KEY: Final = "a"
ENTRY_PREFIX: Final = "e"
ALARM: Final = ""
TIME_BYTES: Final = 8
ALARM_BYTES: Final = 17
STALE_MIN: Final = 16  # so many outdated times are kept before the heap is made anew


class Entry(NamedTuple):
    """One thing that an actor owes.

    Attributes:
        due_ns: when.
        data: what; whoever has set the entry knows what it means.
    """

    due_ns: int
    data: bytes = b""

    @classmethod
    def unpack(cls, cell: bytes) -> Entry:
        """From its stored form."""
        return cls(int.from_bytes(cell[:TIME_BYTES], "big"), cell[TIME_BYTES:])

    def pack(self) -> bytes:
        """Its stored form: in order of these bytes entries are in order of time."""
        return self.due_ns.to_bytes(TIME_BYTES, "big") + self.data


def alarm_of(head: bytes) -> Entry | None:
    """The alarm, as the head of a stored agenda has it."""
    assert len(head) in (TIME_BYTES, ALARM_BYTES, TIME_BYTES + ALARM_BYTES), "it has a fixed size"
    if len(head) == ALARM_BYTES:
        return Entry.unpack(head)
    return Entry.unpack(head[TIME_BYTES:]) if len(head) > TIME_BYTES else None


class Agenda:
    """The entries of one actor, with undo, marks and the changes since the last record.

    Args:
        cells: an actor's cells; those that are the agenda's are taken out.
    """

    __slots__ = ("_dirty", "_head", "_heap", "_undo", "entries", "size_bytes")

    def __init__(self, cells: dict[str, bytes]) -> None:
        self.entries: dict[str, Entry] = {}
        self._head = cells.pop(HEAD_KEY, None)
        if self._head is not None and (alarm := alarm_of(self._head)) is not None:
            self.entries[ALARM] = alarm
        for key in [key for key in cells if key[0] == ENTRY_PREFIX]:
            self.entries[key[1:]] = Entry.unpack(cells.pop(key))
        self.size_bytes = sum(_size(id, entry) for id, entry in self.entries.items())
        self._heap: list[tuple[int, str]] = []
        self._remake()
        self._undo: list[tuple[str, Entry | None]] = []
        self._dirty: dict[str, bytes | None] | None = None

    def get(self, id: str) -> Entry | None:
        """The entry of an id, if there is one."""
        return self.entries.get(id)

    def set(self, id: str, entry: Entry) -> None:
        """Owe something, in place of what the id stood for."""
        self._undo.append((id, self.entries.get(id)))
        self._put(id, entry)

    def remove(self, id: str) -> bool:
        """Owe it no more; False if there was no such entry."""
        old = self.entries.get(id)
        if old is None:
            return False
        self._undo.append((id, old))
        self._put(id, None)
        return True

    def first(self) -> str | None:
        """The id of the earliest entry; of several at one time, the first by id."""
        heap, entries = self._heap, self.entries
        while heap:
            due_ns, id = heap[0]
            entry = entries.get(id)
            if entry is not None and entry.due_ns == due_ns:
                return id
            heappop(heap)
        return None

    def earliest_ns(self) -> int | None:
        """When the earliest entry is due."""
        id = self.first()
        return None if id is None else self.entries[id].due_ns

    # --- a part of the working set ---------------------------------------------------------------

    @property
    def touched(self) -> bool:
        """Whether something has changed since the last commit point."""
        return bool(self._undo)

    def mark(self) -> int:
        """A mark that `undo` can return to; valid until the next commit point."""
        return len(self._undo)

    def undo(self, mark: int = COMMIT_POINT) -> None:
        """Take back everything since the mark; by default since the last commit point."""
        assert 0 <= mark <= len(self._undo), "a mark does not outlive its commit point"
        while len(self._undo) > mark:
            self._put(*self._undo.pop())

    def release(self, mark: int) -> None:
        """Keep what was set since the mark; a mark is only a number, nothing must be freed."""

    def prepare(self) -> bool:
        """Whether there is something to commit; this part of a commit point never fails."""
        return bool(self._undo)

    def commit(self) -> None:
        """Move the changed entries, and the head if it has changed, to the next record."""
        if self._dirty is None:
            self._dirty = {}
        for id, _ in self._undo:
            if id != ALARM:
                entry = self.entries.get(id)
                self._dirty[ENTRY_PREFIX + id] = None if entry is None else entry.pack()
        self._undo.clear()
        head = self._new_head()
        if head != self._head:
            self._head = self._dirty[HEAD_KEY] = head

    def take(self, record: Puts) -> None:
        """Put the changes since the last record, up to the last commit point, into this one."""
        if self._dirty is not None:
            record.puts.update(self._dirty)
            self._dirty = None

    def check(self) -> None:
        """Assert the invariants."""
        entries = self.entries
        assert self.size_bytes == sum(_size(id, entry) for id, entry in entries.items())
        assert self.earliest_ns() == min((e.due_ns for e in entries.values()), default=None)
        assert len(self._heap) <= 2 * len(entries) + STALE_MIN

    def _new_head(self) -> bytes | None:
        alarm = self.entries.get(ALARM)
        if len(self.entries) == (alarm is not None):
            return None if alarm is None else alarm.pack()
        earliest_ns = self.earliest_ns()
        assert earliest_ns is not None
        return Entry(earliest_ns, b"" if alarm is None else alarm.pack()).pack()

    def _put(self, id: str, entry: Entry | None) -> None:
        old = self.entries.get(id)
        if old is not None:
            self.size_bytes -= _size(id, old)
        if entry is None:
            self.entries.pop(id, None)
        else:
            self.entries[id] = entry
            self.size_bytes += _size(id, entry)
            heappush(self._heap, (entry.due_ns, id))
        if len(self._heap) > 2 * len(self.entries) + STALE_MIN:
            self._remake()

    def _remake(self) -> None:
        self._heap = [(entry.due_ns, id) for id, entry in self.entries.items()]
        heapify(self._heap)


def _size(id: str, entry: Entry) -> int:
    return len(id) + TIME_BYTES + len(entry.data)
