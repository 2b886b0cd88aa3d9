"""A lease is held for its term, under an epoch that only grows, and never again once lost."""

from __future__ import annotations

import pytest

from wakeful.core.lease import Lease


def test_lease_without_a_term_cannot_be_given_one() -> None:
    """It is held for ever, and a term never shrinks."""
    lease = Lease(1)
    with pytest.raises(AssertionError, match="without a term"):
        lease.renew(10)
    assert lease.held(11)
