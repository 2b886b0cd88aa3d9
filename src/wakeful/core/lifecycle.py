"""The life of an activation, as a table.

    ACTIVATING ──ready──▶ ACTIVE ──retire──▶ DEACTIVATING ──gone──▶ GONE
        │                    │                    │
        └───────fail─────────┴────────fail────────┴──▶ GONE (with a cause)

Invariants: GONE is final; a transition that is not in the table is a bug and asserts.
Source:     Orleans ActivationState (Creating, Activating, Valid, Deactivating, Invalid).
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from wakeful.errors import WakefulError


class ActivationState(Enum):
    """Where an activation is in its life."""

    ACTIVATING = "activating"
    ACTIVE = "active"
    DEACTIVATING = "deactivating"
    GONE = "gone"


TRANSITIONS: Final[dict[tuple[ActivationState, str], ActivationState]] = {
    (ActivationState.ACTIVATING, "ready"): ActivationState.ACTIVE,
    (ActivationState.ACTIVATING, "fail"): ActivationState.GONE,
    (ActivationState.ACTIVE, "retire"): ActivationState.DEACTIVATING,
    (ActivationState.ACTIVE, "fail"): ActivationState.GONE,
    (ActivationState.DEACTIVATING, "gone"): ActivationState.GONE,
    (ActivationState.DEACTIVATING, "fail"): ActivationState.GONE,
}


class Lifecycle:
    """One activation's state; every change goes through the table."""

    __slots__ = ("cause", "state")

    def __init__(self) -> None:
        self.state = ActivationState.ACTIVATING
        self.cause: WakefulError | None = None

    def ready(self) -> None:
        """The activation has woken: messages may run."""
        self._move("ready")

    def retire(self) -> None:
        """The activation is to go to sleep: no turn starts, messages wait for the next one."""
        self._move("retire")

    def gone(self) -> None:
        """The activation has gone to sleep in good order."""
        self._move("gone")

    def fail(self, cause: WakefulError) -> bool:
        """The activation is lost; False if it was gone already (the first cause stays)."""
        if self.state is ActivationState.GONE:
            return False
        self._move("fail")
        self.cause = cause
        return True

    def _move(self, event: str) -> None:
        after = TRANSITIONS.get((self.state, event))
        assert after is not None, f"{event} is not possible when {self.state.value}"
        self.state = after

    def check(self) -> None:
        """Assert the invariants."""
        assert self.cause is None or self.state is ActivationState.GONE
