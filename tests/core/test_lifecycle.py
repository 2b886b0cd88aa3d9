"""The life of an activation follows its picture, and nothing comes after the end."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.core.proof import first_violation, prove

from wakeful.core.lifecycle import ActivationState, Lifecycle
from wakeful.errors import ActorAborted, Fenced, WakefulError

# The picture in the module, drawn again by hand: where each event may happen, and what follows.
ORDERLY: Final = {
    "ready": (ActivationState.ACTIVATING, ActivationState.ACTIVE),
    "retire": (ActivationState.ACTIVE, ActivationState.DEACTIVATING),
    "gone": (ActivationState.DEACTIVATING, ActivationState.GONE),
}


class LifecycleMachine(RuleBasedStateMachine):
    subject: type[Lifecycle] = Lifecycle

    @initialize()
    def start(self) -> None:
        self.life = self.subject()
        self.state = ActivationState.ACTIVATING
        self.cause: WakefulError | None = None

    @rule(event=st.sampled_from(list(ORDERLY)))
    def orderly(self, event: str) -> None:
        before, after = ORDERLY[event]
        possible = self.state is before
        assert happens(self.life, event) == possible
        if possible:
            self.state = after

    @rule(cause=st.sampled_from([ActorAborted("a"), Fenced("f")]))
    def fail(self, cause: WakefulError) -> None:
        assert self.life.fail(cause) is (self.state is not ActivationState.GONE)
        if self.state is not ActivationState.GONE:
            self.state, self.cause = ActivationState.GONE, cause

    @invariant()
    def agrees(self) -> None:
        self.life.check()
        assert self.life.state is self.state
        assert self.life.cause is self.cause


def happens(life: Lifecycle, event: str) -> bool:
    """Try an event; False if it is refused."""
    try:
        getattr(life, event)()
    except AssertionError:
        return False
    return True


def test_lifecycle_agrees_with_its_picture() -> None:
    prove(LifecycleMachine)


def test_orderly_life_ends_without_a_cause() -> None:
    life = Lifecycle()
    life.ready()
    life.retire()
    life.gone()
    assert (life.state, life.cause) == (ActivationState.GONE, None)


def test_first_cause_stays() -> None:
    life = Lifecycle()
    first = ActorAborted("first")
    assert life.fail(first)
    assert not life.fail(Fenced("second"))
    assert life.cause is first


def test_impossible_event_says_which_and_when() -> None:
    with pytest.raises(AssertionError, match="gone is not possible when activating"):
        Lifecycle().gone()


# --- what the model catches -------------------------------------------------------------------


class RetiresWhileWaking(Lifecycle):
    def retire(self) -> None:
        self.state = ActivationState.DEACTIVATING


class WakesAgain(Lifecycle):
    def ready(self) -> None:
        if self.state is not ActivationState.DEACTIVATING:
            return super().ready()
        self.state = ActivationState.ACTIVE
        return None


class LastCauseWins(Lifecycle):
    def fail(self, cause: WakefulError) -> bool:
        failed = super().fail(cause)
        self.cause = cause
        return failed


class FailsTwice(Lifecycle):
    def fail(self, cause: WakefulError) -> bool:
        super().fail(cause)
        return True


class GoesWithoutRetiring(Lifecycle):
    def gone(self) -> None:
        self.state = ActivationState.GONE


BROKEN: Final = [RetiresWhileWaking, WakesAgain, LastCauseWins, FailsTwice, GoesWithoutRetiring]


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_lifecycle_is_caught(broken: type[Lifecycle]) -> None:
    assert first_violation(LifecycleMachine, broken) is not None
