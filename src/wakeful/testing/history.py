"""What was seen of a simulated world from outside: calls, answers, and what landed on disk.

The checkers read nothing but this. A *token* is a number that one call, and no other, tries to
add to one actor's list of tokens; so a list tells which calls have happened, and in which order.

Shapes:     the index of an event in `events` is its time: one total order.
Invariants: nothing is added after `close`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from wakeful.ids import ActorId
from wakeful.ports import Cells

Tokens = tuple[int, ...]


class Step(NamedTuple):
    """A token that a call adds to an actor."""

    actor: ActorId
    token: int


class Invoked(NamedTuple):
    """A client makes a call that would take these steps, each durable before the next."""

    op: int
    node: str
    kind: str
    actor: ActorId
    steps: tuple[Step, ...]


class Answered(NamedTuple):
    """The call succeeded; `seen` are the actor's tokens as the answer shows them, if it does."""

    op: int
    seen: Tokens | None


class Failed(NamedTuple):
    """The call failed; `undone`: that error promises that nothing of the call is kept."""

    op: int
    error: str
    undone: bool
    seen: Tokens | None


class Landed(NamedTuple):
    """A commit record is on disk; `cells` is all the actor keeps now. Same batch, same number."""

    batch: int
    epoch: int
    actor: ActorId
    seq: int
    wipe: bool
    cells: Cells


class Opened(NamedTuple):
    """A node has taken the disk over."""

    node: str
    epoch: int


class Remark(NamedTuple):
    """Something else happened: a node started, crashed, was paused."""

    text: str


class Trouble(NamedTuple):
    """Something that must not happen, noticed while the world ran."""

    text: str


Event = Invoked | Answered | Failed | Landed | Opened | Remark | Trouble


class History:
    """All events in order."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.events: list[Event] = []
        self._times: list[float] = []
        self._now_s = now_s
        self._closed = False

    def add(self, event: Event) -> None:
        """Note an event."""
        if not self._closed:
            self.events.append(event)
            self._times.append(self._now_s())

    def close(self) -> None:
        """The world has ended: what its ruins still do does not count."""
        self._closed = True

    def trace(self) -> list[str]:
        """A line for each event."""
        return [
            f"{index:5} {time:11.6f}  {_line(event)}"
            for index, (time, event) in enumerate(zip(self._times, self.events, strict=True))
        ]


def _line(event: Event) -> str:
    match event:
        case Invoked(op, node, kind, actor, steps):
            tokens = " ".join(f"{step.actor.name}+{step.token}" for step in steps)
            return f"{node} call {op}: {kind} {actor} {tokens}"
        case Answered(op, seen):
            return f"call {op} answered: {_tokens(seen)}"
        case Failed(op, error, undone, seen):
            return f"call {op} failed{' and undone' if undone else ''}: {error} {_tokens(seen)}"
        case Landed(batch, epoch, actor, seq, wipe):
            what = "wiped " if wipe else ""
            return f"disk {what}{actor} epoch={epoch} seq={seq} batch={batch} {_cells(event.cells)}"
        case Opened(node, epoch):
            return f"-- {node} owns the disk, epoch {epoch}"
        case Remark(text):
            return f"-- {text}"
        case Trouble(text):
            return f"!! {text}"


def _tokens(seen: Tokens | None) -> str:
    return "" if seen is None else f"{len(seen)} tokens, last {seen[-3:]}"


def _cells(cells: Cells) -> str:
    return " ".join(f"{key}={value.hex()[-24:]}" for key, value in sorted(cells.items()))
