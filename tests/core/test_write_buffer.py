"""A write buffer against copies of a dict: what is seen, what is undone, what goes to the store."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.core.proof import first_violation, prove

from wakeful.core.write_buffer import Puts, WriteBuffer

Cells = dict[str, bytes]


class Record:
    """A record, as far as cells go into it."""

    def __init__(self) -> None:
        self.puts: dict[str, bytes | None] = {}


def taken(buffer: WriteBuffer) -> dict[str, bytes | None]:
    """What a record that leaves now has to carry."""
    record = Record()
    buffer.take(record)
    return record.puts


KEYS: Final = st.sampled_from(["", "key"])
VALUES: Final = st.sampled_from([b"", b"1", b"22"])


class WriteBufferMachine(RuleBasedStateMachine):
    """The model copies all cells at every point that one may return to."""

    subject: type[WriteBuffer] = WriteBuffer

    @initialize(cells=st.dictionaries(KEYS, VALUES))
    def start(self, cells: Cells) -> None:
        self.buffer = self.subject(dict(cells))
        self.stored = dict(cells)
        self.committed = dict(cells)
        self.cells = dict(cells)
        self.marks: list[tuple[int, Cells]] = []
        self.writes = 0  # effective ones, since the last commit point

    @rule(key=KEYS, value=VALUES)
    def put(self, key: str, value: bytes) -> None:
        self.buffer.put(key, value)
        self.cells[key] = value
        self.writes += 1

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        there = self.cells.pop(key, None) is not None
        assert self.buffer.delete(key) is there
        self.writes += there

    @rule()
    def mark(self) -> None:
        self.marks.append((self.buffer.mark(), dict(self.cells)))

    @rule(which=st.integers(0, 5))
    def undo_to_mark(self, which: int) -> None:
        if which < len(self.marks):
            del self.marks[which + 1 :]
            mark, cells = self.marks[which]
            self.buffer.undo(mark)
            self.cells = dict(cells)

    @rule()
    def undo(self) -> None:
        self.buffer.undo()
        self.cells = dict(self.committed)
        self.marks, self.writes = [], 0

    @rule()
    def commit(self) -> None:
        touched = self.buffer.touched
        assert touched or self.cells == self.committed
        assert self.writes or not touched
        assert self.buffer.prepare() is touched
        self.buffer.commit()
        self.committed = dict(self.cells)
        self.marks, self.writes = [], 0

    @rule()
    def take(self) -> None:
        for key, value in taken(self.buffer).items():
            if value is None:
                self.stored.pop(key, None)
            else:
                self.stored[key] = value
        assert self.stored == self.committed

    @invariant()
    def agrees(self) -> None:
        self.buffer.check()
        assert self.buffer.cells == self.cells
        assert all(self.buffer.get(key) == self.cells.get(key) for key in ("", "key"))
        assert self.buffer.size_bytes == sum(len(k) + len(v) for k, v in self.cells.items())


def test_write_buffer_agrees_with_copies_of_a_dict() -> None:
    prove(WriteBufferMachine)


def test_own_writes_are_read_at_once_and_undone_whole() -> None:
    buffer = WriteBuffer({"a": b"1", "b": b"2"})
    buffer.put("a", b"one")
    buffer.delete("b")
    buffer.put("c", b"3")
    assert buffer.cells == {"a": b"one", "c": b"3"}
    assert buffer.touched
    buffer.undo()
    assert buffer.cells == {"a": b"1", "b": b"2"}
    assert not buffer.touched
    assert taken(buffer) == {}


def test_undo_to_a_mark_keeps_what_came_before_it() -> None:
    buffer = WriteBuffer({})
    buffer.put("k", b"before")
    mark = buffer.mark()
    buffer.put("k", b"after")
    buffer.put("other", b"after")
    buffer.undo(mark)
    buffer.commit()
    assert taken(buffer) == {"k": b"before"}


def test_record_holds_the_last_commit_point_and_not_what_the_next_turn_has_begun() -> None:
    buffer = WriteBuffer({"gone": b"1"})
    buffer.put("k", b"1")
    buffer.delete("gone")
    buffer.commit()
    buffer.put("k", b"2")
    assert taken(buffer) == {"k": b"1", "gone": None}
    assert taken(buffer) == {}
    buffer.undo()
    assert buffer.get("k") == b"1"


def test_commit_points_between_two_records_add_up() -> None:
    buffer = WriteBuffer({})
    buffer.put("a", b"1")
    buffer.commit()
    buffer.put("a", b"2")
    buffer.put("b", b"1")
    buffer.commit()
    assert not buffer.prepare()
    assert taken(buffer) == {"a": b"2", "b": b"1"}


def test_deleting_what_is_not_there_writes_nothing() -> None:
    buffer = WriteBuffer({})
    assert not buffer.delete("k")
    assert not buffer.touched


def test_mark_does_not_outlive_its_commit_point() -> None:
    buffer = WriteBuffer({})
    buffer.put("k", b"1")
    mark = buffer.mark()
    buffer.commit()
    with pytest.raises(AssertionError, match="does not outlive"):
        buffer.undo(mark)


# --- what the model catches -------------------------------------------------------------------


class UndoForgetsOne(WriteBuffer):
    def undo(self, mark: int = 0) -> None:
        super().undo(min(mark + 1, len(self._undo)))


class UndoesInTheOrderWritten(WriteBuffer):
    def undo(self, mark: int = 0) -> None:
        self._undo[mark:] = self._undo[mark:][::-1]
        super().undo(mark)


class DeletesWithoutUndo(WriteBuffer):
    def delete(self, key: str) -> bool:
        return self.cells.pop(key, None) is not None


class CommitPointKeepsTheUndo(WriteBuffer):
    def commit(self) -> None:
        undo = list(self._undo)
        super().commit()
        self._undo = undo


class TakesWhatIsNotCommitted(WriteBuffer):
    def take(self, record: Puts) -> None:
        super().take(record)
        record.puts = {key: self.cells.get(key) for key in record.puts}


class LastTurnOnly(WriteBuffer):
    def commit(self) -> None:
        if self._undo:
            self._dirty = None
        super().commit()


class LosesDeletions(WriteBuffer):
    def take(self, record: Puts) -> None:
        super().take(record)
        record.puts = {key: value for key, value in record.puts.items() if value is not None}


class EmptyValueIsNothing(WriteBuffer):
    def get(self, key: str) -> bytes | None:
        return self.cells.get(key) or None


class CountsOnlyValues(WriteBuffer):
    def _set(self, key: str, old: bytes | None, new: bytes | None) -> None:
        super()._set(key, old, new)
        self.size_bytes -= len(key)


BROKEN: Final = [
    UndoForgetsOne,
    UndoesInTheOrderWritten,
    DeletesWithoutUndo,
    CommitPointKeepsTheUndo,
    TakesWhatIsNotCommitted,
    LastTurnOnly,
    LosesDeletions,
    EmptyValueIsNothing,
    CountsOnlyValues,
]


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_write_buffer_is_caught(broken: type[WriteBuffer]) -> None:
    assert first_violation(WriteBufferMachine, broken) is not None
