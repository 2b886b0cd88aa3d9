"""What the proofs of the core share: how hard a machine is tried, and whether it is caught."""

from __future__ import annotations

import os
from typing import Final

from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

Machine = type[RuleBasedStateMachine]

EFFORT: Final = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    derandomize="CI" in os.environ,
)
SEARCH: Final = settings(  # for a machine that is known to be wrong: the same search every time
    EFFORT,
    max_examples=500,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)


def prove(machine: Machine) -> None:
    """Try a machine against its model."""
    run_state_machine_as_test(machine, settings=EFFORT)


def first_violation(machine: Machine, subject: type) -> AssertionError | None:
    """What the model finds wrong with another subject than the real one, if anything.

    Only a failed assertion counts: a subject that merely crashes would prove nothing.
    """
    broken = type(f"Broken{subject.__name__}", (machine,), {"subject": subject})
    try:
        run_state_machine_as_test(broken, settings=SEARCH)
    except AssertionError as error:
        return error
    return None
