"""An agenda against copies of a dict: what is owed, what is due first, what goes to the store."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.core.proof import first_violation, prove

from wakeful.core.agenda import ALARM, HEAD_KEY, STALE_MIN, Agenda, Entry, alarm_of
from wakeful.core.write_buffer import Puts

Entries = dict[str, Entry]
ALARM_DATA: Final = bytes(9)


class Record:
    """A record, as far as cells go into it."""

    def __init__(self) -> None:
        self.puts: dict[str, bytes | None] = {}


def taken(agenda: Agenda) -> dict[str, bytes | None]:
    """What a record that leaves now has to carry."""
    record = Record()
    agenda.take(record)
    return record.puts


def stored(cells: dict[str, bytes], agenda: Agenda) -> dict[str, bytes]:
    """The store's cells after the next record."""
    changes = taken(agenda)
    kept = {key: value for key, value in cells.items() if key not in changes}
    return kept | {key: value for key, value in changes.items() if value is not None}


IDS: Final = st.sampled_from([ALARM, "a", "b"])
TIMES: Final = st.integers(0, 3)


def entry(id: str, due_ns: int) -> Entry:
    return Entry(due_ns, ALARM_DATA if id == ALARM else b"x" * due_ns)


class AgendaMachine(RuleBasedStateMachine):
    """The model copies all entries at every point that one may return to."""

    subject: type[Agenda] = Agenda

    @initialize()
    def start(self) -> None:
        self.cells: dict[str, bytes] = {}
        self.forget()

    def forget(self) -> None:
        """The actor goes to sleep and wakes again."""
        cells = dict(self.cells)
        self.agenda = self.subject(cells)
        assert not cells, "its cells are taken out"
        self.committed: Entries = dict(self.agenda.entries)
        self.entries: Entries = dict(self.committed)
        self.marks: list[tuple[int, Entries]] = []

    @rule(id=IDS, due_ns=TIMES)
    def set(self, id: str, due_ns: int) -> None:
        new = self.entries[id] = entry(id, due_ns)
        self.agenda.set(id, new)

    @rule(id=IDS)
    def remove(self, id: str) -> None:
        there = self.entries.pop(id, None) is not None
        assert self.agenda.remove(id) is there

    @rule()
    def mark(self) -> None:
        self.marks.append((self.agenda.mark(), dict(self.entries)))

    @rule(which=st.integers(0, 5))
    def undo_to_mark(self, which: int) -> None:
        if which < len(self.marks):
            del self.marks[which + 1 :]
            mark, entries = self.marks[which]
            self.agenda.undo(mark)
            self.entries = dict(entries)

    @rule()
    def undo(self) -> None:
        self.agenda.undo()
        self.entries, self.marks = dict(self.committed), []

    @rule()
    def commit(self) -> None:
        touched = self.agenda.touched
        assert touched or self.entries == self.committed
        assert self.agenda.prepare() is touched
        self.agenda.commit()
        self.committed, self.marks = dict(self.entries), []

    @rule()
    def take(self) -> None:
        self.cells = stored(self.cells, self.agenda)
        kept = self.subject(dict(self.cells))
        assert kept.entries == self.committed
        head = self.cells.get(HEAD_KEY)
        due_ns = None if head is None else Entry.unpack(head).due_ns
        assert due_ns == min((e.due_ns for e in self.committed.values()), default=None)

    @rule()
    def save(self) -> None:
        self.commit()
        self.take()

    @rule()
    def sleep(self) -> None:
        self.undo()
        self.take()
        before = self.committed
        self.forget()
        assert self.entries == before

    @invariant()
    def agrees(self) -> None:
        agenda = self.agenda
        agenda.check()
        assert agenda.entries == self.entries
        assert all(agenda.get(id) is self.entries.get(id) for id in self.entries)
        first = min(((e.due_ns, id) for id, e in self.entries.items()), default=None)
        assert agenda.first() == (None if first is None else first[1])


def test_agenda_agrees_with_copies_of_a_dict() -> None:
    prove(AgendaMachine)


def test_an_alarm_alone_is_stored_as_before_there_was_an_agenda() -> None:
    cell = Entry(7, ALARM_DATA).pack()
    agenda = Agenda({HEAD_KEY: cell})
    assert agenda.get(ALARM) == Entry(7, ALARM_DATA)
    agenda.set(ALARM, Entry(9, ALARM_DATA))
    agenda.commit()
    assert taken(agenda) == {HEAD_KEY: Entry(9, ALARM_DATA).pack()}


def test_the_head_is_the_earliest_of_all_and_has_the_alarm() -> None:
    agenda = Agenda({})
    agenda.set(ALARM, Entry(9, ALARM_DATA))
    agenda.set("r", Entry(4, b"what"))
    agenda.commit()
    puts = taken(agenda)
    head = puts[HEAD_KEY]
    assert head is not None
    assert Entry.unpack(head).due_ns == 4
    assert alarm_of(head) == Entry(9, ALARM_DATA)
    assert puts["er"] == Entry(4, b"what").pack()
    assert alarm_of(Entry(4).pack()) is None


def test_the_head_is_written_only_when_it_changes() -> None:
    agenda = Agenda({})
    agenda.set("early", Entry(1))
    agenda.commit()
    taken(agenda)
    agenda.set("late", Entry(2))
    agenda.commit()
    assert taken(agenda) == {"elate": Entry(2).pack()}


def test_record_holds_the_last_commit_point_and_not_what_the_next_turn_has_begun() -> None:
    agenda = Agenda({})
    agenda.set("a", Entry(5))
    agenda.commit()
    agenda.set("a", Entry(1))
    assert taken(agenda) == {"ea": Entry(5).pack(), HEAD_KEY: Entry(5).pack()}
    agenda.undo()
    assert agenda.earliest_ns() == 5


@pytest.mark.parametrize("step", [1, -1])
def test_what_was_moved_often_takes_no_more_memory(step: int) -> None:
    agenda = Agenda({})
    for due_ns in range(1_000)[::step]:
        agenda.set("a", Entry(due_ns))
        agenda.commit()
    assert len(agenda._heap) <= 2 + STALE_MIN
    assert agenda.earliest_ns() == range(1_000)[::step][-1]


def test_mark_does_not_outlive_its_commit_point() -> None:
    agenda = Agenda({})
    agenda.set("a", Entry(1))
    mark = agenda.mark()
    agenda.commit()
    with pytest.raises(AssertionError, match="does not outlive"):
        agenda.undo(mark)


# --- what the model catches -------------------------------------------------------------------


class UndoForgetsTheHeap(Agenda):
    def undo(self, mark: int = 0) -> None:
        while len(self._undo) > mark:
            id, old = self._undo.pop()
            if old is None:
                self.entries.pop(id, None)
            else:
                self.entries[id] = old
        self.size_bytes = sum(len(i) + 8 + len(e.data) for i, e in self.entries.items())


class RemovesWithoutUndo(Agenda):
    def remove(self, id: str) -> bool:
        there = id in self.entries
        self._put(id, None)
        return there


class HeadOfWhatIsNotCommitted(Agenda):
    def take(self, record: Puts) -> None:
        super().take(record)
        record.puts[HEAD_KEY] = self._new_head()


class HeadIsTheAlarm(Agenda):
    def _new_head(self) -> bytes | None:
        alarm = self.get(ALARM)
        return super()._new_head() if alarm is None else alarm.pack()


class HeadForgetsTheAlarm(Agenda):
    def _new_head(self) -> bytes | None:
        due_ns = self.earliest_ns()
        return None if due_ns is None else Entry(due_ns).pack()


class KeepsRemovedEntriesStored(Agenda):
    def take(self, record: Puts) -> None:
        super().take(record)
        record.puts = {k: v for k, v in record.puts.items() if v is not None or k == HEAD_KEY}


class TrustsTheHeap(Agenda):
    def first(self) -> str | None:
        early = self._heap[0][1] if self._heap else ""
        return early if early in self.entries else super().first()


class CopiesOnUndo(Agenda):
    def undo(self, mark: int = 0) -> None:
        self._undo = [(id, old and Entry(*old)) for id, old in self._undo]
        super().undo(mark)


BROKEN: Final = [
    UndoForgetsTheHeap,
    RemovesWithoutUndo,
    HeadOfWhatIsNotCommitted,
    HeadIsTheAlarm,
    HeadForgetsTheAlarm,
    KeepsRemovedEntriesStored,
    TrustsTheHeap,
    CopiesOnUndo,
]


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_agenda_is_caught(broken: type[Agenda]) -> None:
    assert first_violation(AgendaMachine, broken) is not None
