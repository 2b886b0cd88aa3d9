"""A lease is held for a term of the store's last answer, and never again once lost."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.core.proof import first_violation, prove

from wakeful.core.lease import Lease

HORIZON_NS: Final = 30
TERM_NS: Final = 5


class LeaseMachine(RuleBasedStateMachine):
    """The model keeps, for each epoch, the instants at which the lease is believed in."""

    subject: type[Lease] = Lease

    @initialize()
    def start(self) -> None:
        self.lease = self.subject(1, TERM_NS)
        self.epoch = 1
        self.lost = False
        self.believed: set[int] = set()

    @rule(asked_ns=st.integers(0, HORIZON_NS))
    def renew(self, asked_ns: int) -> None:
        self.lease.renew(asked_ns)
        if not self.lost:
            self.believed |= set(range(asked_ns + TERM_NS))

    @rule()
    def lose(self) -> None:
        self.lease.lose()
        self.believed, self.lost = set(), True

    @rule(step=st.integers(-1, 2))
    def reacquire(self, step: int) -> None:
        epoch = self.epoch + step
        assert self.happens(lambda: self.lease.reacquire(epoch)) is (step > 0)
        if step > 0:
            self.epoch = epoch
            self.believed, self.lost = set(), False

    @invariant()
    def agrees(self) -> None:
        self.lease.check()
        assert self.lease.epoch == self.epoch
        for now_ns in range(HORIZON_NS + 10):
            assert self.lease.held(now_ns) == (now_ns in self.believed)

    def happens(self, act: object) -> bool:
        assert callable(act)
        try:
            act()
        except AssertionError:
            return False
        return True


def test_lease_agrees_with_the_instants_it_is_believed_in() -> None:
    prove(LeaseMachine)


def test_lease_is_not_held_before_the_store_has_confirmed_it() -> None:
    assert not Lease(1, TERM_NS).held(0)


def test_term_counts_from_when_the_store_was_asked() -> None:
    lease = Lease(1, TERM_NS)
    lease.renew(10)
    assert lease.held(14)
    assert not lease.held(15)


def test_an_older_answer_takes_nothing_back() -> None:
    lease = Lease(1, TERM_NS)
    lease.renew(20)
    lease.renew(10)
    assert lease.held(24)


def test_lost_lease_comes_back_under_a_newer_epoch_only() -> None:
    lease = Lease(1, TERM_NS)
    lease.renew(10)
    lease.lose()
    lease.renew(11)
    assert not lease.held(0)
    with pytest.raises(AssertionError, match="never used twice"):
        lease.reacquire(1)
    lease.reacquire(2)
    assert not lease.held(0)
    lease.renew(12)
    assert lease.held(16)


@pytest.mark.parametrize(("epoch", "term_ns"), [(0, 1), (1, 0)])
def test_epochs_and_terms_start_at_one(epoch: int, term_ns: int) -> None:
    with pytest.raises(AssertionError):
        Lease(epoch, term_ns)


# --- what the model catches -------------------------------------------------------------------


class RenewsAfterLoss(Lease):
    def renew(self, asked_ns: int) -> None:
        self._lost = False
        super().renew(asked_ns)


class HoldsAfterLoss(Lease):
    def lose(self) -> None:
        pass


class HoldsAtItsTerm(Lease):
    def held(self, at_ns: int) -> bool:
        return 0 < self.until_ns >= at_ns


class ReusesItsEpoch(Lease):
    def reacquire(self, epoch: int) -> None:
        if epoch == self.epoch:
            self.epoch -= 1
        super().reacquire(epoch)


class StaysLost(Lease):
    def reacquire(self, epoch: int) -> None:
        lost = self._lost
        super().reacquire(epoch)
        self._lost = lost


class BelievesTheOldTerm(Lease):
    def reacquire(self, epoch: int) -> None:
        until_ns = self.until_ns
        super().reacquire(epoch)
        self.until_ns = until_ns


class Shrinks(Lease):
    def renew(self, asked_ns: int) -> None:
        if not self._lost:
            self.until_ns = asked_ns + self.term_ns


BROKEN: Final = [
    RenewsAfterLoss,
    HoldsAfterLoss,
    HoldsAtItsTerm,
    ReusesItsEpoch,
    StaysLost,
    BelievesTheOldTerm,
    Shrinks,
]


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_lease_is_caught(broken: type[Lease]) -> None:
    assert first_violation(LeaseMachine, broken) is not None
