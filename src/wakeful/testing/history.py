"""What was seen of a simulated world from outside: calls, answers, and what landed on disk.

The checkers read nothing but this. A *token* is a number that one call, and no other, tries to
add to one actor's list of tokens; so a list tells which calls have happened, and in which order.

Shapes:     the index of an event in `events` is its time: one total order.
Invariants: nothing is added after `close`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from wakeful.ids import ActorId
from wakeful.ports import Cells

Tokens = tuple[int, ...]


class Tables(NamedTuple):
    """What is in an actor's database; `damage` says what is wrong with its pages, if anything."""

    kept: Tokens = ()
    rings: Tokens = ()
    damage: str = ""


NO_TABLES: Final = Tables()


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
    at_s: float = 0.0


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
    """A commit record is on disk; the rest is all the actor keeps now. Same batch, same number."""

    batch: int
    epoch: int
    actor: ActorId
    seq: int
    wipe: bool
    cells: Cells
    tables: Tables = NO_TABLES


class Rang(NamedTuple):
    """An alarm's handler begins; `now_ns` is its node's wall clock."""

    actor: ActorId
    scheduled_ns: int
    retries: int
    now_ns: int


class Joined(NamedTuple):
    """A client's socket is accepted and connected."""

    socket: int
    node: str
    actor: ActorId


class Heard(NamedTuple):
    """A client hears what an actor says to all its sockets; the first is a welcome, token 0."""

    socket: int
    actor: ActorId
    said: int
    token: int


class Left(NamedTuple):
    """A socket's connection has ended; `why`: the server closed it, dropped it, or the client."""

    socket: int
    why: str


class Opened(NamedTuple):
    """A node has taken the disk over."""

    node: str
    epochs: tuple[int, ...]
    at_s: float = 0.0


class Remark(NamedTuple):
    """Something else happened: a node started, crashed, was paused."""

    text: str


class Trouble(NamedTuple):
    """Something that must not happen, noticed while the world ran."""

    text: str


Called = Invoked | Answered | Failed
Event = Called | Landed | Rang | Joined | Heard | Left | Opened | Remark | Trouble


class History:
    """All events in order."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self.events: list[Event] = []
        self._times: list[float] = []
        self.now_s = now_s
        self._closed = False

    def add(self, event: Event) -> None:
        """Note an event."""
        if not self._closed:
            self.events.append(event)
            self._times.append(self.now_s())

    def close(self) -> None:
        """End the history: later events, from processes that were killed, are ignored."""
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
            return f"disk {what}{actor} epoch={epoch} seq={seq} batch={batch} {_kept(event)}"
        case Rang(actor, scheduled_ns, retries, now_ns):
            return f"{actor} alarm of {scheduled_ns} fires at {now_ns}, {retries} retries"
        case Joined() | Heard() | Left():
            return _of_a_socket(event)
        case Opened() | Remark() | Trouble():
            return _of_the_world(event)


def _of_a_socket(event: Joined | Heard | Left) -> str:
    match event:
        case Joined(socket, node, actor):
            return f"{node} socket {socket} of {actor} is there"
        case Heard(socket, actor, said, token):
            return f"socket {socket} of {actor} hears {said}: {token}"
        case Left(socket, why):
            return f"socket {socket} has ended: {why}"


def _of_the_world(event: Opened | Remark | Trouble) -> str:
    match event:
        case Opened(node, epochs):
            return f"-- {node} owns the disk, epochs {epochs}"
        case Remark(text):
            return f"-- {text}"
        case Trouble(text):
            return f"!! {text}"


def _tokens(seen: Tokens | None) -> str:
    return "" if seen is None else f"{len(seen)} tokens, last {seen[-3:]}"


def _kept(event: Landed) -> str:
    cells = " ".join(f"{key}={value.hex()[-24:]}" for key, value in sorted(event.cells.items()))
    return f"{cells} {event.tables}" if event.tables != NO_TABLES else cells
