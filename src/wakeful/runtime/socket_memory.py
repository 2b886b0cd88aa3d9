"""The memory that what clients have sent over sockets may take, all of them together.

Two things take it: a message that is not complete, of which a connection keeps the part that has
come, and a message whose handler has not ended. Small ones are not counted: they are bounded by the
number of sockets and of calls that wait. When there is no room, the largest message that is not
complete has to go, and its connection with it: so who sends little is never kept out by those who
begin large messages and do not end them.

Invariants: `bytes` is the sum of what is kept and taken; it is over `bytes_max` only by one message
            that is alone.
"""

from __future__ import annotations

from typing import Final, Protocol

SMALL_BYTES: Final = 16 * 1024
FULL: Final = "clients have sent more than there is room for (limits.sockets_bytes)"


class Receiving(Protocol):
    """A connection that keeps part of a message."""

    def make_room(self) -> None:
        """Drop the kept part of a message, and end the connection."""


class SocketMemory:
    """Counts what clients have sent.

    Args:
        bytes_max: how much they may have sent.

    Attributes:
        bytes: how much it is, small messages left out.
    """

    def __init__(self, bytes_max: int) -> None:
        self.bytes = 0
        self._bytes_max = bytes_max
        self._incomplete: dict[Receiving, int] = {}

    def keep(self, connection: Receiving, size: int) -> None:
        """Note how much of an incomplete message a connection keeps; may end the connection."""
        self.bytes -= self._incomplete.pop(connection, 0)
        if size <= SMALL_BYTES:
            return
        self._incomplete[connection] = size
        self.bytes += size
        while self._is_over(size) and connection in self._incomplete:
            self._drop_largest()

    def take(self, size: int) -> bool:
        """Take memory for a complete message; False if there is not enough."""
        self.bytes += size
        while self._is_over(size) and self._incomplete:
            self._drop_largest()
        if self._is_over(size):
            self.bytes -= size
            return False
        return True

    def give_back(self, size: int) -> None:
        """Give back the memory of a handled message."""
        self.bytes -= size

    def _is_over(self, size: int) -> bool:
        """Whether a message of this size exceeds the limit; one that is alone never does."""
        return self.bytes > max(self._bytes_max, size)

    def _drop_largest(self) -> None:
        largest = max(self._incomplete, key=self._incomplete.__getitem__)
        self.bytes -= self._incomplete.pop(largest)
        largest.make_room()
