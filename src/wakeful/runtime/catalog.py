"""Which actors are in memory here: wakes them once, puts idle ones to sleep, bounds their number.

Invariants: at most one activation of an actor is in the catalog, and while one that was lost
            still has writes on their way it stays there, so that the next one loads after them.
"""

from __future__ import annotations

from asyncio import TimerHandle
from collections.abc import Callable, Iterator
from typing import Final

from wakeful.core.idle import IdleWheel
from wakeful.core.lifecycle import ActivationState
from wakeful.ids import ActorId
from wakeful.runtime.activation import Activation
from wakeful.runtime.host_loop import HostLoop

TICK_NS: Final = 10_000_000
ROOM_TRIES: Final = 8  # busy actors passed over before a new one is refused


class Catalog:
    """Activations by actor id, and the one timer that watches the idle ones.

    Args:
        active_max: how many activations there may be.
        retire: puts one to sleep, if it may.
    """

    __slots__ = (
        *("_due_ns", "_loop", "_now_ns", "_retire", "_timer", "_wheel"),
        *("active_max", "actors"),
    )

    def __init__(
        self,
        loop: HostLoop,
        now_ns: Callable[[], int],
        active_max: int,
        retire: Callable[[Activation], None],
    ) -> None:
        self.actors: dict[ActorId, Activation] = {}
        self.active_max = active_max
        self._loop = loop
        self._now_ns = now_ns
        self._retire = retire
        self._wheel: IdleWheel[Activation] = IdleWheel(TICK_NS)
        self._timer: TimerHandle | None = None
        self._due_ns = 0

    def __len__(self) -> int:
        return len(self.actors)

    def __iter__(self) -> Iterator[Activation]:
        return iter(list(self.actors.values()))

    def add(self, activation: Activation) -> None:
        """Enter an activation that begins to wake."""
        assert activation.id not in self.actors, "one activation at a time"
        self.actors[activation.id] = activation

    def full(self) -> bool:
        """Whether there is no room, even after putting the least recently used to sleep.

        Activations on their way to sleep do not count, up to the same number again.
        """
        count = len(self.actors)
        if count < self.active_max:
            return False
        return count >= 2 * self.active_max or not self._make_room()

    def remove(self, activation: Activation) -> None:
        """Forget an activation."""
        if self.actors.get(activation.id) is activation:
            del self.actors[activation.id]
        self._wheel.discard(activation)

    def unwatch(self, activation: Activation) -> None:
        """Do not put the activation to sleep for being idle."""
        self._wheel.discard(activation)

    def watch(self, activation: Activation) -> None:
        """Put the activation to sleep once it has been idle for its time."""
        if activation.idle_ns <= 0:
            return
        self._wheel.add(activation)
        if self._timer is None or activation.bucket * TICK_NS < self._due_ns:
            self.close()
            self._arm()

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _make_room(self) -> bool:
        for _ in range(ROOM_TRIES):
            oldest = self._wheel.least_recent()
            if oldest is None:
                return False
            self._wheel.discard(oldest)
            self._retire(oldest)
            if (
                len(self.actors) < self.active_max
                or oldest.life.state is ActivationState.DEACTIVATING
            ):
                return True
        return False

    def _arm(self) -> None:
        due_ns = self._wheel.next_due_ns()
        if due_ns is None:
            self._timer = None
            return
        self._due_ns = due_ns
        delay_s = max(0.0, (due_ns - self._now_ns()) / 1e9)
        self._timer = self._loop.later(delay_s, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now_ns = self._now_ns()
        for activation in self._wheel.expire(now_ns):
            self._retire(activation)
        if self._timer is None:
            self._arm()
