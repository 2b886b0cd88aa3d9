"""The two gates of an activation: what may come in now, and whether what goes out may go yet.

The input gate admits one turn at a time. A turn that only interleaves may join a running one,
unless a critical section is open; inside a section only its own work is admitted.
The output gate of an activation is a number: the last batch it wrote to. What leaves the actor
waits until that batch is durable; core/commit.py knows which batches are.

Invariants: `turns` is the number of turns entered and not left; sections close innermost first,
            whatever order they end in; a broken gate never heals.
Source:     workerd io-gate.h; durable-objects.md 2.2, 2.3.
"""

from __future__ import annotations

from wakeful.errors import WakefulError


class Section:
    """A critical section: a nested gate that only its own work passes."""

    __slots__ = ("closed", "parent")

    def __init__(self, parent: Section | None) -> None:
        self.parent = parent
        self.closed = False

    def within(self, other: Section) -> bool:
        """Whether this section is `other` or lies inside it."""
        section: Section | None = self
        while section is not None and section is not other:
            section = section.parent
        return section is other


class InputGate:
    """Admits one turn at a time, and holds everything else while a critical section is open."""

    __slots__ = ("broken", "innermost", "turns")

    def __init__(self) -> None:
        self.turns = 0
        self.innermost: Section | None = None
        self.broken: WakefulError | None = None

    @property
    def free(self) -> bool:
        """Whether any turn may start, because no turn runs and no section is open."""
        return self.turns == 0 and self.innermost is None and self.broken is None

    def admits(self, *, interleave: bool, section: Section | None = None) -> bool:
        """Whether a turn may start now.

        Args:
            interleave: the turn may run while another one waits for something.
            section: the critical section whose work the turn is, if any.
        """
        if self.broken is not None:
            return False
        if self.innermost is not None:
            return section is not None and section.within(self.innermost)
        return interleave or self.turns == 0

    def enter(self) -> None:
        """A turn starts; the caller has asked `admits`."""
        assert self.broken is None, "a broken gate admits nothing"
        self.turns += 1

    def leave(self) -> None:
        """A turn has ended."""
        assert self.turns > 0, "more turns left than entered"
        self.turns -= 1

    def open_section(self) -> Section:
        """Open a critical section inside the innermost open one, even if other code opened it."""
        section = Section(self.innermost)
        self.innermost = section
        self.check()
        return section

    def close_section(self, section: Section) -> None:
        """Close a section; children that outlive it are held by its parent from then on."""
        assert not section.closed, "a section closes once"
        section.closed = True
        while self.innermost is not None and self.innermost.closed:
            self.innermost = self.innermost.parent
        self.check()

    def fail(self, cause: WakefulError) -> None:
        """Break the gate for ever: nothing is admitted any more. The first cause stays."""
        if self.broken is None:
            self.broken = cause
        assert not self.free

    def check(self) -> None:
        """Assert the invariants."""
        assert self.turns >= 0
        assert self.innermost is None or not self.innermost.closed


class OutputGate:
    """Holds what leaves one actor until the writes it may reveal are durable.

    `batch` is the last batch the actor wrote to, 0 before the first; `owner` is the driver's.
    `unconfirmed` is the last batch with a write of the actor that need not be confirmed. If
    `unconfirmed` equals `batch`, what leaves the actor waits only for `confirmed`, an earlier one.
    """

    __slots__ = ("batch", "broken", "confirmed", "owner", "unconfirmed")

    def __init__(self, owner: object = None) -> None:
        self.batch = 0
        self.confirmed = 0
        self.unconfirmed = 0
        self.broken: WakefulError | None = None
        self.owner = owner
