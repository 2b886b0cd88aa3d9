"""Bounds the time of turns that wait: over it they are cancelled, then left behind.

Turns end in about the order they began, so one timer serves all.
"""

from __future__ import annotations

from asyncio import TimerHandle
from collections.abc import Callable
from typing import Final

from wakeful.errors import DeadlineExceeded, WakefulError, again
from wakeful.runtime.activation import Activation, Turn
from wakeful.runtime.host_loop import HostLoop

TOGETHER_SECONDS: Final = 0.001  # what is due so soon is ended along with what is due now


class TurnTime:
    """Looks after the turns that wait.

    Args:
        seconds: how long a turn may take, and again how long it has to end once it is cancelled.
        discard: throws away an activation, whose turn does not end.
    """

    def __init__(
        self, loop: HostLoop, seconds: float, discard: Callable[[Activation, WakefulError], None]
    ) -> None:
        self._loop = loop
        self._seconds = seconds
        self._discard = discard
        self._waiting: dict[Turn, float] = {}
        self._timer: TimerHandle | None = None

    def watch(self, turn: Turn) -> None:
        """A turn waits for something."""
        self._waiting[turn] = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.later(self._seconds, self._expire)

    def ended(self, turn: Turn) -> None:
        """A turn has ended."""
        self._waiting.pop(turn, None)

    def give_up(self, turn: Turn) -> None:
        """It did not stop when cancelled: the actor goes on without it, in a new activation."""
        if not turn.ended and turn.cause is not None:
            if turn.reply is not None and not turn.reply.done():
                turn.reply.set_exception(again(turn.cause))
            self._discard(turn.activation, turn.cause)

    def close(self) -> None:
        """Bound no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        for turn, deadline in list(self._waiting.items()):
            if deadline > now + TOGETHER_SECONDS:
                self._timer = self._loop.later(deadline - now, self._expire)
                return
            del self._waiting[turn]
            self._interrupt(turn)

    def _interrupt(self, turn: Turn) -> None:
        allowed = f"{self._seconds} s (limits.turn_seconds)"
        turn.interrupt(
            DeadlineExceeded(
                f"{turn.activation.id}.{turn.what} took longer than {allowed} and was cancelled; "
                "what it asked of others may have happened",
                allowed,
            )
        )
        self._loop.later(self._seconds, self.give_up, turn)
