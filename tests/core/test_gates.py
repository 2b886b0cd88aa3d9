"""The two gates: one turn at a time, critical sections, and a gate that never heals."""

from __future__ import annotations

from wakeful.core.gates import InputGate


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
