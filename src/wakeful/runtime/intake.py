"""Which actors take new calls here, and the errors that callers of the others get."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from wakeful.errors import ActorMoved, CallError, ShuttingDown
from wakeful.ids import ActorId, shard_of
from wakeful.runtime.activation import Turn

if TYPE_CHECKING:
    from wakeful.runtime.committer import Committer


class Intake:
    """Admits or refuses calls.

    Args:
        home: whose turns they are that may call actors which take no new calls.
        shards: how many there are.

    Attributes:
        closing: the runtime closes: no actor takes new calls.
        shards: how many there are.
    """

    __slots__ = ("_home", "_refused", "closing", "shards")

    def __init__(self, home: Committer, shards: int) -> None:
        self.closing = False
        self.shards = shards
        self._home = home
        self._refused: set[int] = set()  # shards

    def shard_of(self, actor: ActorId) -> int:
        """The shard of an actor."""
        return shard_of(actor, self.shards)

    def refuse(self, shards: Iterable[int]) -> None:
        """Actors of these shards take no new calls from now on."""
        self._refused.update(shards)

    def refuses(self, shard: int) -> bool:
        """Whether the actors of a shard take no new calls."""
        return shard in self._refused

    def refuses_actor(self, actor: ActorId) -> bool:
        """Whether an actor takes no new calls."""
        return bool(self._refused) and self.shard_of(actor) in self._refused

    def refusal(self, actor: ActorId) -> CallError:
        """The error for a caller of an actor that takes no new calls."""
        if self.closing:
            return ShuttingDown(f"{actor}: the runtime is shutting down")
        return ActorMoved(f"{actor} goes to another owner: call it again")

    def check(self, actor: ActorId, turn: Turn | None) -> None:
        """Refuse a call to an actor that takes no new ones, unless a turn under way needs it.

        Args:
            actor: who is called.
            turn: what calls. If its own actor takes no new calls it is to end, and may have what
                it needs for that.

        Raises:
            ShuttingDown, ActorMoved: the call is refused.
        """
        if not self.is_needed_by(turn):
            raise self.refusal(actor)

    def is_needed_by(self, turn: Turn | None) -> bool:
        """Whether a call is made by a turn that is under way and is to end."""
        if turn is None or turn.ended or turn.home is not self._home:
            return False
        return turn.activation.draining
