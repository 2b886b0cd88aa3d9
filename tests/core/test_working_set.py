"""A working set against copies of all its parts: a commit point and an undo are whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.core.proof import first_violation, prove

from wakeful.core.working_set import COMMIT_POINT, Marks, WorkingSet
from wakeful.core.write_buffer import WriteBuffer

Values = dict[str, int]


class Refused(Exception):
    """A part, or the check, does not agree to a commit point."""


class Record:
    """What leaves with a batch: the values of each part, by its name, and cells."""

    def __init__(self) -> None:
        self.values: Values = {}
        self.puts: dict[str, bytes | None] = {}


class Number:
    """A part that is one number, with everything a part may do: refuse, and keep its marks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.value = self.committed = 0
        self.refuses = False
        self.marks: list[int] = []
        self.prepared: int | None = None
        self.stale = False

    @property
    def touched(self) -> bool:
        return self.value != self.committed

    def mark(self) -> int:
        self.marks.append(self.value)
        return len(self.marks)

    def undo(self, mark: int = COMMIT_POINT, /) -> None:
        self.prepared = None
        self.value = self.committed if mark == COMMIT_POINT else self.marks[mark - 1]
        self.release(mark)

    def release(self, mark: int, /) -> None:
        del self.marks[max(mark - 1, 0) :]

    def prepare(self) -> bool:
        if self.refuses:
            raise Refused(self.name)
        self.prepared = self.value
        return self.touched

    def commit(self) -> None:
        assert self.prepared == self.value, "prepared before it is committed"
        self.committed, self.prepared = self.value, None
        self.marks.clear()
        self.stale = True

    def take(self, record: Record, /) -> None:
        if self.stale:
            record.values[self.name] = self.committed
            self.stale = False


NAMES: Final = ("state", "rows", "third", "fourth")
APART: Final = frozenset({"third"})  # it is committed while the others are held
TOO_MUCH: Final = 5  # of the state


class WorkingSetMachine(RuleBasedStateMachine):
    """Numbers and a buffer of cells; some numbers come late, when first set, as a database does."""

    subject: type[WorkingSet[Record]] = WorkingSet
    holds = False

    @initialize()
    def start(self) -> None:
        self.parts = {name: Number(name) for name in NAMES[:2]}
        self.cells = WriteBuffer({})
        self.working = self.subject((*self.parts.values(), self.cells), self.check)
        if self.holds:
            self.parts["third"] = Number("third")
            self.working.add(self.parts["third"], apart=True)
        self.now: Values = dict.fromkeys((*self.parts, "cell"), 0)
        self.committed = dict(self.now)
        self.stored = dict(self.now)
        self.held = False
        self.marks: list[tuple[Marks, Values]] = []

    def check(self) -> None:
        if self.parts["state"].value > TOO_MUCH:
            raise Refused("too much")

    # --- what turns do

    @rule(name=st.sampled_from(NAMES), value=st.integers(0, TOO_MUCH + 1))
    def change(self, name: str, value: int) -> None:
        if name not in self.parts:
            self.parts[name] = Number(name)
            self.working.add(self.parts[name], apart=name in APART)
            for then in (self.committed, self.stored, *(then for _, then in self.marks)):
                then[name] = 0
        self.parts[name].value = self.now[name] = value

    @rule(value=st.integers(1, 3))
    def put(self, value: int) -> None:
        self.cells.put("cell", bytes([value]))
        self.now["cell"] = value

    @rule(name=st.sampled_from(NAMES), refuses=st.booleans())
    def refuse(self, name: str, refuses: bool) -> None:
        if name in self.parts:
            self.parts[name].refuses = refuses

    # --- marks

    @rule()
    def mark(self) -> None:
        self.marks.append((self.working.mark(), dict(self.now)))

    @precondition(lambda self: self.marks)
    @rule(back=st.integers(0, 2))
    def undo_to_mark(self, back: int) -> None:
        which = len(self.marks) - 1 - back % len(self.marks)
        mark, then = self.marks[which]
        del self.marks[which:]
        self.working.undo(mark)
        self.now = dict(then)

    @precondition(lambda self: self.marks)
    @rule()
    def release_the_newest_mark(self) -> None:
        self.working.release(self.marks.pop()[0])

    @rule()
    def undo(self) -> None:
        self.working.undo()
        self.now = dict(self.committed)
        self.marks.clear()

    # --- commit points

    @rule()
    def prepare_only(self) -> None:
        """Something else refuses the commit point: the turn goes on, or is undone."""
        if not self.refused():
            try:
                self.working.prepare()
            except Refused as error:
                raise AssertionError("a part that stands aside was asked") from error

    @rule()
    def save(self) -> None:
        if self.held:  # what is apart keeps no mark that is older
            self.marks.clear()
        names = self.committing()
        changed = {name for name in names if self.now[name] != self.committed[name]}
        refused = self.refused()
        try:
            wrote = self.working.save()
        except Refused:
            assert refused
            return
        assert not refused
        assert wrote or not changed
        self.committed.update({name: self.now[name] for name in names})
        self.marks.clear()

    def committing(self) -> set[str]:
        """What the next commit point is of."""
        return {name for name in self.now if not self.held or name in APART}

    def refused(self) -> bool:
        names = self.committing()
        if any(part.refuses for name, part in self.parts.items() if name in names):
            return True
        changed = any(self.now[name] != self.committed[name] for name in names)
        return self.now["state"] > TOO_MUCH and (changed or not self.held)

    @rule()
    def take(self) -> None:
        record = Record()
        self.working.take(record)
        self.stored.update(record.values)
        if (cell := record.puts.get("cell", b"")) is not None:
            self.stored["cell"] = cell[0] if cell else self.stored["cell"]
        else:
            self.stored["cell"] = 0
        assert self.stored == self.committed

    @invariant()
    def agrees(self) -> None:
        seen = {name: part.value for name, part in self.parts.items()}
        seen["cell"] = (self.cells.get("cell") or b"\0")[0]
        assert seen == self.now
        assert self.working.touched or self.now == self.committed


class HoldingMachine(WorkingSetMachine):
    """Turns that hold what they change as well."""

    holds = True

    @precondition(lambda self: not self.held)
    @rule()
    def hold(self) -> None:
        self.undo()
        self.working.hold()
        self.held = True

    @precondition(lambda self: self.held)
    @rule()
    def let_go(self) -> None:
        self.working.let_go()
        self.held = False


@pytest.mark.parametrize("machine", [WorkingSetMachine, HoldingMachine])
def test_working_set_agrees_with_copies_of_its_parts(machine: type[WorkingSetMachine]) -> None:
    prove(machine)


def two(check: Callable[[], None] = lambda: None) -> tuple[Number, Number, WorkingSet[Record]]:
    """Two parts and their set."""
    state, rows = Number("state"), Number("rows")
    return state, rows, WorkingSet((state, rows), check)


def test_a_part_that_refuses_leaves_nothing_taken_over_and_the_turn_can_go_on() -> None:
    state, rows, working = two()
    state.value = rows.value = 1
    rows.refuses = True
    with pytest.raises(Refused):
        working.save()
    record = Record()
    working.take(record)
    assert record.values == {}
    rows.refuses = False
    rows.value = 2
    assert working.save()
    working.take(record)
    assert record.values == {"state": 1, "rows": 2}


def test_what_is_too_much_is_refused_whole_and_undone_whole() -> None:
    def check() -> None:
        raise Refused("too much")

    state, rows, working = two(check)
    state.value = rows.value = 1
    with pytest.raises(Refused, match="too much"):
        working.save()
    working.undo()
    assert (state.value, rows.value) == (0, 0)
    assert not working.touched


def test_size_is_checked_only_when_something_has_changed() -> None:
    asked: list[int] = []
    state, _, working = two(lambda: asked.append(1))
    assert not working.save()
    assert asked == []
    state.value = 1
    assert working.save()
    assert asked == [1]
    assert not working.save()
    assert asked == [1]


def test_mark_made_before_a_part_was_there_takes_all_of_that_part_back() -> None:
    state, _, working = two()
    state.value = 1
    mark = working.mark()
    late = Number("late")
    working.add(late)
    state.value = late.value = 2
    working.undo(mark)
    assert (state.value, late.value) == (1, 0)


def test_turn_is_undone_whole_though_a_record_left_meanwhile() -> None:
    """What was committed before the turn may leave at any time, and takes nothing of it along."""
    state, rows, working = two()
    cells = WriteBuffer({})
    working.add(cells)
    state.value = 1
    cells.put("k", b"before")
    working.save()
    state.value = rows.value = 2
    cells.put("k", b"turn")
    record = Record()
    working.take(record)
    assert (record.values, record.puts) == ({"state": 1}, {"k": b"before"})
    working.undo()
    assert (state.value, rows.value, cells.get("k")) == (1, 0, b"before")
    assert not working.touched


def test_a_turn_that_holds_its_changes_is_undone_over_its_calls() -> None:
    """What it owes was written in between, and stays."""
    state, rows, working = two()
    intent = Number("intent")
    working.add(intent, apart=True)
    working.hold()
    state.value, intent.value = 1, 1
    assert working.save()
    record = Record()
    working.take(record)
    assert record.values == {"intent": 1}
    rows.value, intent.value = 2, 2
    working.undo()
    working.let_go()
    assert (state.value, rows.value, intent.value) == (0, 0, 1)
    assert not working.save()


def test_a_turn_that_holds_its_changes_commits_once() -> None:
    state, rows, working = two()
    cells = WriteBuffer({})
    working.add(cells)
    working.hold()
    state.value = 1
    cells.put("k", b"1")
    assert not working.save()
    late = Number("late")  # as a database, first used in the middle of a turn
    working.add(late)
    rows.value = late.value = 2
    assert not working.save()
    assert working.held
    working.let_go()
    assert working.save()
    record = Record()
    working.take(record)
    assert (record.values, record.puts) == ({"state": 1, "rows": 2, "late": 2}, {"k": b"1"})


def test_marks_of_what_is_held_outlive_a_commit_point() -> None:
    state, _, working = two()
    working.hold()
    state.value = 1
    mark = working.mark()
    state.value = 2
    assert not working.save()
    working.undo(mark)
    assert state.value == 1


def test_what_was_changed_before_is_not_held() -> None:
    state, _, working = two()
    state.value = 1
    with pytest.raises(AssertionError, match="not of this turn"):
        working.hold()


# --- what the model catches -------------------------------------------------------------------


class CommitsWhatItCan(WorkingSet[Record]):
    """Each part is committed as soon as it agrees."""

    def prepare(self) -> bool:
        grown = False
        for part in self._parts:
            if part.prepare():
                grown = True
                part.commit()
        self._check()
        return grown


class UndoesTheFirstOnly(WorkingSet[Record]):
    def undo(self, marks: Marks = ()) -> None:
        self._parts[0].undo(*marks[:1])


class ForgetsLatePartsInMarks(WorkingSet[Record]):
    """Parts added since the mark keep what they have."""

    def undo(self, marks: Marks = ()) -> None:
        for part, mark in zip(self._parts, marks or self.mark(), strict=False):
            part.undo(mark if marks else COMMIT_POINT)


class MarksAreTheCommitPoint(WorkingSet[Record]):
    def undo(self, marks: Marks = ()) -> None:
        super().undo()


class TakesFromTheFirstOnly(WorkingSet[Record]):
    def take(self, record: Record) -> None:
        self._parts[0].take(record)


class ChecksNothing(WorkingSet[Record]):
    def prepare(self) -> bool:
        self._prepared = [part for part in self._parts if part.prepare()]
        return bool(self._prepared)


class CommitsTheFirstThatChanged(WorkingSet[Record]):
    def commit(self) -> None:
        self._prepared[0].commit()


class IsNeverTouched(WorkingSet[Record]):
    @property
    def touched(self) -> bool:
        return False


class HoldsNothing(WorkingSet[Record]):
    """A commit point takes what a turn holds."""

    def hold(self) -> None:
        pass


class HoldsForEver(WorkingSet[Record]):
    def let_go(self) -> None:
        pass


class HoldsWhatIsApart(WorkingSet[Record]):
    """What a turn owes waits for its end."""

    def hold(self) -> None:
        self._committed = ()


BROKEN_HOLDS: Final = [HoldsNothing, HoldsForEver, HoldsWhatIsApart]
BROKEN: Final = [
    CommitsWhatItCan,
    UndoesTheFirstOnly,
    ForgetsLatePartsInMarks,
    MarksAreTheCommitPoint,
    TakesFromTheFirstOnly,
    ChecksNothing,
    CommitsTheFirstThatChanged,
    IsNeverTouched,
]


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_working_set_is_caught(broken: type[WorkingSet[Record]]) -> None:
    assert first_violation(WorkingSetMachine, broken) is not None


@pytest.mark.parametrize("broken", BROKEN_HOLDS)
def test_broken_hold_is_caught(broken: type[WorkingSet[Record]]) -> None:
    assert first_violation(HoldingMachine, broken) is not None
