"""Group commit: nothing is released before its batch, nothing of a failed batch ever."""

from __future__ import annotations

from wakeful.core.commit import GroupCommit
from wakeful.core.gates import OutputGate
from wakeful.errors import StorageFull


def test_failed_writer_that_has_joined_the_next_batch_waits_for_nothing_more() -> None:
    """Its batch number would point at a batch it is no longer in: a ticket there could be told
    "durable" by another actor's write, or wait for ever when nobody else writes."""
    commit: GroupCommit[str] = GroupCommit()
    gate = OutputGate()
    commit.wrote(gate)
    commit.take()
    commit.wrote(gate)
    commit.failed(StorageFull("no room"))
    assert not commit.pending(gate)
    assert commit.take() is None
    commit.check()
