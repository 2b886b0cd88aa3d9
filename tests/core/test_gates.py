"""The two gates: one turn at a time, critical sections, and a gate that never heals."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.core.proof import first_violation, prove

from wakeful.core.gates import InputGate, OutputGate, Section
from wakeful.errors import ActorAborted, Fenced, WakefulError


class InputGateMachine(RuleBasedStateMachine):
    """The model is the history: every section ever opened, inside which other, closed or not."""

    subject: type[InputGate] = InputGate

    @initialize()
    def start(self) -> None:
        self.gate = self.subject()
        self.turns = 0
        self.broken: WakefulError | None = None
        self.sections: list[Section] = []
        self.closed: set[Section] = set()
        self.outside: dict[Section, Section | None] = {}

    @rule(interleave=st.booleans(), which=st.integers(0, 9))
    def try_to_enter(self, interleave: bool, which: int) -> None:
        section = self.sections[which] if which < len(self.sections) else None
        if self.gate.admits(interleave=interleave, section=section):
            self.gate.enter()
            self.turns += 1

    @precondition(lambda self: self.turns > 0)
    @rule()
    def leave(self) -> None:
        self.gate.leave()
        self.turns -= 1

    @rule()
    def open_section(self) -> None:
        section = self.gate.open_section()
        self.outside[section] = self.innermost()
        self.sections.append(section)

    @precondition(lambda self: self.innermost() is not None)
    @rule(which=st.integers(0, 9))
    def close_section(self, which: int) -> None:
        still_open = self.still_open()
        section = still_open[which % len(still_open)]
        self.gate.close_section(section)
        self.closed.add(section)

    @rule(chance=st.integers(0, 9), cause=st.sampled_from([ActorAborted("a"), Fenced("f")]))
    def fail(self, chance: int, cause: WakefulError) -> None:
        if chance == 0 or self.broken is not None:
            self.gate.fail(cause)
            self.broken = self.broken or cause

    @invariant()
    def agrees(self) -> None:
        self.gate.check()
        assert self.gate.turns == self.turns
        assert self.gate.broken is self.broken
        assert self.gate.free == self.admitted(interleave=False, section=None)
        for interleave in (False, True):
            for section in [None, *self.sections]:
                admitted = self.admitted(interleave=interleave, section=section)
                assert self.gate.admits(interleave=interleave, section=section) == admitted

    def admitted(self, *, interleave: bool, section: Section | None) -> bool:
        innermost = self.innermost()
        if self.broken is not None:
            return False
        if innermost is None:
            return interleave or self.turns == 0
        return innermost in self.around(section)

    def around(self, section: Section | None) -> list[Section]:
        around = []
        while section is not None:
            around.append(section)
            section = self.outside[section]
        return around

    def still_open(self) -> list[Section]:
        return [section for section in self.sections if section not in self.closed]

    def innermost(self) -> Section | None:
        still_open = self.still_open()
        return still_open[-1] if still_open else None


def test_input_gate_agrees_with_its_history() -> None:
    prove(InputGateMachine)


def test_gate_admits_one_turn_unless_it_interleaves() -> None:
    gate = InputGate()
    assert gate.free
    gate.enter()
    assert not gate.free
    assert not gate.admits(interleave=False)
    assert gate.admits(interleave=True)
    gate.leave()
    assert gate.free


def test_critical_section_holds_even_turns_that_interleave() -> None:
    gate = InputGate()
    section = gate.open_section()
    assert not gate.free
    assert not gate.admits(interleave=True)
    assert gate.admits(interleave=False, section=section)
    gate.close_section(section)
    assert gate.free


def test_section_opened_while_another_is_open_does_not_release_it() -> None:
    """A turn that already runs may open a section while another turn's is open. When it has
    closed its own, the other one still holds the gate."""
    gate = InputGate()
    outer = gate.open_section()
    inner = gate.open_section()
    late = gate.open_section()
    assert not gate.admits(interleave=True, section=inner)
    gate.close_section(late)
    assert not gate.admits(interleave=True, section=outer)
    assert gate.admits(interleave=True, section=inner)


def test_section_that_closes_before_the_one_inside_it_holds_nothing_later() -> None:
    """The inner one goes on holding the gate; when it closes, the gate is free at once."""
    gate = InputGate()
    outer = gate.open_section()
    inner = gate.open_section()
    gate.close_section(outer)
    assert not gate.admits(interleave=True, section=outer)
    gate.close_section(inner)
    assert gate.free


def test_work_of_a_closed_section_belongs_to_the_one_around_it() -> None:
    gate = InputGate()
    gate.open_section()
    inner = gate.open_section()
    gate.close_section(inner)
    assert gate.admits(interleave=False, section=inner)


def test_section_closes_once() -> None:
    gate = InputGate()
    section = gate.open_section()
    gate.close_section(section)
    with pytest.raises(AssertionError, match="closes once"):
        gate.close_section(section)


def test_broken_gate_keeps_its_first_cause_and_admits_nothing() -> None:
    gate = InputGate()
    gate.enter()
    first = ActorAborted("first")
    gate.fail(first)
    gate.fail(Fenced("second"))
    gate.leave()
    assert gate.broken is first
    assert not gate.free
    assert not gate.admits(interleave=True)
    with pytest.raises(AssertionError, match="broken"):
        gate.enter()


def test_more_turns_cannot_leave_than_have_entered() -> None:
    with pytest.raises(AssertionError, match="more turns left"):
        InputGate().leave()


def test_output_gate_starts_with_nothing_written() -> None:
    gate = OutputGate("owner")
    assert (gate.batch, gate.broken, gate.owner) == (0, None, "owner")


# --- what the model catches -------------------------------------------------------------------


class IgnoresSections(InputGate):
    def admits(self, *, interleave: bool, section: Section | None = None) -> bool:
        return self.broken is None and (interleave or self.turns == 0)


class AdmitsWorkOfOuterSections(InputGate):
    def admits(self, *, interleave: bool, section: Section | None = None) -> bool:
        if self.innermost is not None and section is not None and self.broken is None:
            return section.within(self.innermost) or self.innermost.within(section)
        return super().admits(interleave=interleave, section=section)


class InterleavesEverything(InputGate):
    def admits(self, *, interleave: bool, section: Section | None = None) -> bool:
        return super().admits(interleave=True, section=section)


class AdmitsWhenBroken(InputGate):
    def admits(self, *, interleave: bool, section: Section | None = None) -> bool:
        if self.innermost is not None:
            return section is not None and section.within(self.innermost)
        return interleave or self.turns == 0

    def enter(self) -> None:
        self.turns += 1


class ForgetsToLeave(InputGate):
    def leave(self) -> None:
        assert self.turns > 0


class ClosesAllSections(InputGate):
    def close_section(self, section: Section) -> None:
        section.closed = True
        self.innermost = None


class ClosesOnlyTheInnermost(InputGate):
    """Its parent becomes the innermost although that has closed already."""

    def close_section(self, section: Section) -> None:
        section.closed = True
        if self.innermost is section:
            self.innermost = section.parent


class SectionsDoNotNest(InputGate):
    def open_section(self) -> Section:
        self.innermost = Section(None)
        return self.innermost


class LastCauseWins(InputGate):
    def fail(self, cause: WakefulError) -> None:
        self.broken = cause


BROKEN: Final = [
    IgnoresSections,
    AdmitsWorkOfOuterSections,
    InterleavesEverything,
    AdmitsWhenBroken,
    ForgetsToLeave,
    ClosesAllSections,
    ClosesOnlyTheInnermost,
    SectionsDoNotNest,
    LastCauseWins,
]


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_input_gate_is_caught(broken: type[InputGate]) -> None:
    assert first_violation(InputGateMachine, broken) is not None
