"""How much of what WebSocket clients send is handled in one turn of the loop.

A read brings up to 256 KiB, which are 40,000 small frames. Handled at once they would hold up every
other client; so a connection handles a few, and goes on in the next turn, after those that wait
already. Meanwhile it is not read.

Invariants: a turn of the loop handles at most TURN_FRAMES frames of connections that were just
            read, and as many of those that wait; no connection handles more than FRAMES at once;
            a callback is scheduled only after many frames.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Final

FRAMES: Final = 32
TURN_FRAMES: Final = 256


class Pace:
    """Looks after the connections of one server."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._left = TURN_FRAMES  # at most; a turn may begin with fewer
        self._waiting: deque[tuple[Context, Callable[[int], None]]] = deque()
        self._turning = False
        self._empty_context = Context()

    def take(self) -> int:
        """How many frames a connection that was just read may handle now."""
        granted = min(FRAMES, self._left)
        self._left -= granted
        if self._left < TURN_FRAMES // 2 and not self._turning:
            self._begin_turn()
        return granted

    def give_back(self, frames: int) -> None:
        """Return what is left of a `take`: there were fewer frames."""
        self._left += frames

    def wait(self, go_on: Callable[[int], None]) -> None:
        """Call a function in a later turn, with the number of frames that it may handle then."""
        self._waiting.append((copy_context(), go_on))
        if not self._turning:
            self._begin_turn()

    def _begin_turn(self) -> None:
        self._turning = True
        self._loop.call_soon(self._turn, context=self._empty_context)

    def _turn(self) -> None:
        self._turning = False
        self._left = TURN_FRAMES
        for _ in range(min(len(self._waiting), TURN_FRAMES // FRAMES)):
            context, go_on = self._waiting.popleft()
            context.run(go_on, FRAMES)
        if self._waiting and not self._turning:
            self._begin_turn()
