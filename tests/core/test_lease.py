"""A lease is held for its term, under an epoch that only grows, and never again once lost."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.core.proof import first_violation, prove

from wakeful.core.lease import Lease

HORIZON_NS: Final = 30


class LeaseMachine(RuleBasedStateMachine):
    """The model keeps, for each epoch, the instants at which the lease is believed in."""

    subject: type[Lease] = Lease

    @initialize(until_ns=st.none() | st.integers(1, 9))
    def start(self, until_ns: int | None) -> None:
        self.lease = self.subject(1, until_ns)
        self.epoch = 1
        self.believe(until_ns)

    @rule(until_ns=st.integers(0, HORIZON_NS))
    def renew(self, until_ns: int) -> None:
        extends = set(range(until_ns)) >= self.believed and bool(self.believed)
        assert self.happens(lambda: self.lease.renew(until_ns)) is extends
        if extends:
            self.believe(until_ns)

    @rule()
    def lose(self) -> None:
        self.lease.lose()
        self.believed = set()

    @rule(step=st.integers(-1, 2), until_ns=st.none() | st.integers(1, HORIZON_NS))
    def reacquire(self, step: int, until_ns: int | None) -> None:
        epoch = self.epoch + step
        assert self.happens(lambda: self.lease.reacquire(epoch, until_ns)) is (step > 0)
        if step > 0:
            self.epoch = epoch
            self.believe(until_ns)

    @invariant()
    def agrees(self) -> None:
        self.lease.check()
        assert self.lease.epoch == self.epoch
        for now_ns in range(HORIZON_NS + 10):
            assert self.lease.held(now_ns) == (now_ns in self.believed)

    def believe(self, until_ns: int | None) -> None:
        self.believed = set(range(HORIZON_NS + 10 if until_ns is None else until_ns))

    def happens(self, act: object) -> bool:
        assert callable(act)
        try:
            act()
        except AssertionError:
            return False
        return True


def test_lease_agrees_with_the_instants_it_is_believed_in() -> None:
    prove(LeaseMachine)


def test_lease_is_held_until_its_term_and_not_at_it() -> None:
    lease = Lease(1, until_ns=10)
    assert lease.held(9)
    assert not lease.held(10)


def test_lease_without_a_term_is_held_until_it_is_fenced() -> None:
    lease = Lease(1)
    assert lease.held(10**20)
    lease.lose()
    assert not lease.held(0)


def test_lease_without_a_term_cannot_be_given_one() -> None:
    """It is held for ever, and a term never shrinks."""
    lease = Lease(1)
    with pytest.raises(AssertionError, match="without a term"):
        lease.renew(10)
    assert lease.held(11)


def test_lost_lease_comes_back_under_a_newer_epoch_only() -> None:
    lease = Lease(1, until_ns=10)
    lease.lose()
    with pytest.raises(AssertionError, match="lost lease is not renewed"):
        lease.renew(20)
    with pytest.raises(AssertionError, match="never used twice"):
        lease.reacquire(1, until_ns=20)
    lease.reacquire(2, until_ns=20)
    assert lease.held(19)


def test_term_never_shrinks() -> None:
    lease = Lease(1, until_ns=10)
    lease.renew(20)
    with pytest.raises(AssertionError, match="never shrinks"):
        lease.renew(19)


def test_epochs_start_at_one() -> None:
    with pytest.raises(AssertionError):
        Lease(0)


# --- what the model catches -------------------------------------------------------------------


class RenewsAfterLoss(Lease):
    def renew(self, until_ns: int) -> None:
        self._lost = False
        super().renew(until_ns)


class HoldsAfterLoss(Lease):
    def lose(self) -> None:
        pass


class HoldsAtItsTerm(Lease):
    def held(self, now_ns: int) -> bool:
        return not self._lost and (self.until_ns is None or now_ns <= self.until_ns)


class ReusesItsEpoch(Lease):
    def reacquire(self, epoch: int, until_ns: int | None = None) -> None:
        if epoch == self.epoch:
            self.epoch -= 1
        super().reacquire(epoch, until_ns)


class StaysLost(Lease):
    def reacquire(self, epoch: int, until_ns: int | None = None) -> None:
        lost = self._lost
        super().reacquire(epoch, until_ns)
        self._lost = lost


class Shrinks(Lease):
    def renew(self, until_ns: int) -> None:
        assert not self._lost
        self.until_ns = until_ns


BROKEN: Final = [
    RenewsAfterLoss,
    HoldsAfterLoss,
    HoldsAtItsTerm,
    ReusesItsEpoch,
    StaysLost,
    Shrinks,
]


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_lease_is_caught(broken: type[Lease]) -> None:
    assert first_violation(LeaseMachine, broken) is not None
