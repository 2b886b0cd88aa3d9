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
        """Keep nothing any more, and end."""


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
        """A connection keeps so much that is not complete; it may be the one that has to go."""
        self.bytes -= self._incomplete.pop(connection, 0)
        if size <= SMALL_BYTES:
            return
        self._incomplete[connection] = size
        self.bytes += size
        while self._is_over(size) and connection in self._incomplete:
            self._drop_largest()

    def take(self, size: int) -> bool:
        """Whether there is room for a message that is complete; it has it then."""
        self.bytes += size
        while self._is_over(size) and self._incomplete:
            self._drop_largest()
        if self._is_over(size):
            self.bytes -= size
            return False
        return True

    def give_back(self, size: int) -> None:
        """So much has been handled."""
        self.bytes -= size

    def _is_over(self, size: int) -> bool:
        """Whether it is too much with one of this size, which gets what it needs if it is alone."""
        return self.bytes > max(self._bytes_max, size)

    def _drop_largest(self) -> None:
        largest = max(self._incomplete, key=self._incomplete.__getitem__)
        self.bytes -= self._incomplete.pop(largest)
        largest.make_room()
