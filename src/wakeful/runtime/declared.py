"""The declared state of one activation, as a part of its working set.

`snapshot` is the state at the last commit point. Whether a turn has changed something is found
out by comparing: user code sets plain attributes, and no code of ours runs then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wakeful.core.working_set import COMMIT_POINT
from wakeful.ports import STATE_KEY, CommitRecord

if TYPE_CHECKING:
    from wakeful.actor import Actor
    from wakeful.state import Snapshot, StateSchema


class DeclaredState:
    """The durable fields of an instance, and what they were at the last commit point."""

    __slots__ = ("_instance", "_marks", "_prepared", "_schema", "_snapshot", "_stale")

    def __init__(self, schema: StateSchema, instance: Actor) -> None:
        self._schema = schema
        self._instance = instance
        self._snapshot = schema.fresh(vars(instance))
        self._prepared: Snapshot | None = None
        self._marks: list[Snapshot] | None = None  # one for each mark
        self._stale = False  # the stored state, until the next record

    def load(self, stored: bytes) -> None:
        """Give the instance its stored state.

        Raises:
            StateError: it does not fit, or is damaged.
        """
        self._snapshot = self._schema.load(stored, vars(self._instance))

    @property
    def grows(self) -> bool:
        """Whether it can hold more than a few bytes."""
        return self._schema.grows

    @property
    def changes(self) -> bool:
        """Whether a commit point is prepared that changes it."""
        return self._prepared is not None

    @property
    def touched(self) -> bool:
        """Whether a field has changed since the last commit point."""
        return self._schema.changed(vars(self._instance), self._snapshot)

    @property
    def bytes_max(self) -> int:
        """As many bytes as its stored form can take at this commit point, or more; cheaply."""
        return self._schema.bytes_max(self._prepared or self._snapshot)

    @property
    def size_bytes(self) -> int:
        """The bytes of its stored form at this commit point."""
        return len(self._schema.encode(self._prepared or self._snapshot))

    def mark(self) -> int:
        """A mark of what there is now.

        Raises:
            StateInvalid: an attribute holds what it must not.
        """
        snapshot = self._snapshot[:]
        self._schema.capture(vars(self._instance), snapshot)
        if self._marks is None:
            self._marks = []
        self._marks.append(snapshot)
        return len(self._marks)

    def undo(self, mark: int = COMMIT_POINT) -> None:
        """Give the fields back what they had at the mark, or at the last commit point."""
        self._prepared = None
        snapshot = self._snapshot
        if mark != COMMIT_POINT:
            assert self._marks is not None, "a mark does not outlive its commit point"
            snapshot = self._marks[mark - 1]
        self.release(mark)
        self._schema.restore(vars(self._instance), snapshot)

    def release(self, mark: int) -> None:
        """Keep what was done since the mark; marks made after it go with it."""
        if self._marks is not None:
            self._marks = self._marks[: max(mark - 1, 0)] or None

    def save(self) -> bool:
        """A commit point of a state that never grows, alone: nothing else can refuse it.

        Raises:
            StateInvalid: an attribute holds what it must not; nothing was taken over.
        """
        if self._schema.capture(self._instance.__dict__, self._snapshot):
            self._stale = True
            return True
        return False

    def prepare(self) -> bool:
        """Take a snapshot beside that of the last commit point; whether they differ.

        Raises:
            StateInvalid: an attribute holds what it must not.
        """
        snapshot = self._snapshot[:]
        changed = self._schema.capture(self._instance.__dict__, snapshot)
        self._prepared = snapshot if changed else None
        return changed

    def commit(self) -> None:
        """The snapshot that was prepared is that of the last commit point now."""
        assert self._prepared is not None, "prepared before it is committed"
        self._snapshot, self._prepared = self._prepared, None
        self._marks = None
        self._stale = True

    def take(self, record: CommitRecord) -> None:
        """Put the state into the record, if it has changed since the last one."""
        if self._stale:
            record.puts[STATE_KEY] = self._schema.encode(self._snapshot)
            self._stale = False
