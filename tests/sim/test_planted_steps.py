"""More of what the simulator must notice: in turns that interleave, and in background work."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

import pytest
from tests.sim.planted import Plant, Variants, caught

from wakeful.runtime import activation, delivery, runners
from wakeful.runtime.activation import Activation
from wakeful.runtime.host import Host
from wakeful.runtime.steps import Stepped, Steps

SEEDS_MAX: Final = 200
variant = Variants()


@variant
def a_step_is_not_saved_where_it_waits(patch: pytest.MonkeyPatch) -> None:
    """A turn beside others holds its changes: the failure of another one undoes them too."""
    patch.setattr(Stepped, "_beside", lambda stepped: False)


@variant
def a_turn_joins_without_a_commit_point(patch: pytest.MonkeyPatch) -> None:
    """What the turn that waits has changed is undone when the one that has joined it fails."""
    for module in (activation, delivery):
        patch.setattr(module, "keep", lambda home, activation, held_by: None)
    patch.setattr(Stepped, "_put_aside", lambda stepped: None)


@variant
def a_steps_changes_are_undone_by_the_failure_of_background_work(
    patch: pytest.MonkeyPatch,
) -> None:
    """What a turn holds is not saved when background work goes on beside it."""
    put_aside = Stepped._put_aside

    def of_turns(stepped: Stepped) -> None:
        if stepped._turn.holds:
            put_aside(stepped)

    patch.setattr(Stepped, "_put_aside", of_turns)


@variant
def the_failing_step_of_a_task_is_kept(patch: pytest.MonkeyPatch) -> None:
    """It is saved with the next step of its turn."""
    make = Steps._made
    patch.setattr(Steps, "_make", lambda steps, loop, work, **more: make(steps, loop, work, more))


@variant
def steps_begin_inside_of_a_transaction(patch: pytest.MonkeyPatch) -> None:
    """A turn goes on while another one's transaction is open, and is undone with that."""
    patch.setattr(Stepped, "_barred", lambda stepped: False)
    patch.setattr(runners, "_barred", lambda turn: False)


@variant
def a_turn_admitted_before_begins_inside_of_a_transaction(patch: pytest.MonkeyPatch) -> None:
    """It has been let in before the transaction was opened, and has its first step after that."""

    let_in = runners._let_in

    def at_once(turn: Any, loop: Any, *, begun: bool) -> Generator[Any, Any, Any]:
        return (yield from let_in(turn, loop, begun=begun)) if begun else None

    patch.setattr(runners, "_let_in", at_once)


@variant
def all_turns_under_way_go_with_one_that_fails(patch: pytest.MonkeyPatch) -> None:
    """A failure takes the activation back to what is stored, and its other turns go on."""
    undo = Activation.undo

    def whole(activation: Activation) -> None:
        undo(activation)
        if activation.turns:
            fields = vars(activation.instance)
            fields.update(tokens=[], length=0, total=0, kept=0)

    patch.setattr(Activation, "undo", whole)


@variant
def failed_background_work_is_kept(patch: pytest.MonkeyPatch) -> None:
    """What it has changed goes with the next record."""

    class Kept(Steps):
        def of_background(self, turn: Any, work: Any) -> Any:
            return work

    init = Host.__init__

    def unstepped(host: Host, *args: Any, **more: Any) -> None:
        init(host, *args, **more)
        host.delivery.steps = Kept(host.loop)

    patch.setattr(Host, "__init__", unstepped)


@pytest.mark.parametrize("plant", variant, ids=lambda plant: plant.__name__)
def test_planted_bug_is_caught(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    assert caught(plant, monkeypatch, SEEDS_MAX), plant.__doc__
