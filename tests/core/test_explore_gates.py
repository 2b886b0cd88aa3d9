"""Gates, mailboxes and the wait graph in every order that two callers and two actors can bring.

The machines are the real ones, wired as `wakeful.runtime.delivery` wires them. A turn is a script:
it opens and closes critical sections, asks the other actor and waits for the answer, and ends.
One actor is thrown away in the middle of everything; what waits goes to its next activation.

Proven: turns overlap only if the later one interleaves; nothing starts while a critical section is
open; ordinary calls start in the order they came, each once; nothing waits for an actor that is
free; callers never wait for each other for ever, and a call is refused as a cycle only if it is
one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Final, NamedTuple

import pytest
from tests.core.test_gates import (
    ClosesAllSections,
    ClosesOnlyTheInnermost,
    ForgetsToLeave,
    IgnoresSections,
    InterleavesEverything,
    SectionsDoNotNest,
)
from tests.core.test_mailbox import DrainForgetsUrgent, LastInFirstOut, PeekTakes
from tests.core.test_waits import KnowsActorsOnly, KnowsTurnsOnly, WalksBackwards

from wakeful.core.gates import InputGate, Section
from wakeful.core.mailbox import Mailbox
from wakeful.core.waits import Wait, WaitGraph
from wakeful.errors import ActorAborted
from wakeful.testing.explore import explore

Plans = dict[str, tuple[str, ...]]


class Method(NamedTuple):
    """What a turn does, step by step, before it ends."""

    steps: tuple[str, ...] = ()
    interleave: bool = False


METHODS: Final = {
    "work": Method(),
    "peek": Method(interleave=True),
    "guard": Method(("open", "close inner"), interleave=True),
    "nest": Method(("open", "open", "close outer", "close inner")),
    "ask a": Method(("ask a.work",)),
    "ask b": Method(("ask b.work",)),
    "ask back": Method(("ask a.peek",)),
    "ask via b": Method(("ask b.ask back",)),
    "ask itself": Method(("ask a.work",)),
}


class Machines(NamedTuple):
    """What the world is made of: the real machines, or one that is broken."""

    gate: type[InputGate] = InputGate
    mailbox: type[Mailbox[Turn]] = Mailbox
    waits: type[WaitGraph[str, Turn]] = WaitGraph


REAL: Final = Machines()


class Turn:
    """A call from its arrival to its answer."""

    def __init__(self, number: int, name: str, asker: Turn | str) -> None:
        self.number = number
        self.name = name
        self.actor, self.what = name.split(".")
        self.method = METHODS[self.what]
        self.asker = asker
        self.left = list(self.method.steps)
        self.gate: InputGate | None = None  # from its start to its end
        self.sections: list[Section] = []
        self.asked: Turn | None = None
        self.wait: Wait[str, Turn] | None = None  # its asker's for it
        self.answered = False
        self.started = False


class GatesWorld:
    """Callers with plans, and two actors, each thrown away as often as `aborts` names it."""

    def __init__(
        self, plans: Plans, *, aborts: str = "", limit: int = 2, machines: Machines = REAL
    ) -> None:
        self.machines = machines
        self.plans = dict(plans)
        self.aborts = aborts
        self.limit = limit
        self.gates = {actor: machines.gate() for actor in "ab"}
        self.mailboxes = {actor: machines.mailbox(limit) for actor in "ab"}
        self.waits = machines.waits()
        self.turns: list[Turn] = []
        self.number = 0
        self.last_started = {"a": 0, "b": 0}
        self.handed_over = {"a": 0, "b": 0}

    # --- what can happen

    def actions(self) -> dict[str, Callable[[], None]]:
        return dict([*self._callers(), *self._turns(), *self._faults()])

    def _callers(self) -> Iterator[tuple[str, Callable[[], None]]]:
        busy = {turn.asker for turn in self.turns if not turn.answered}
        for caller, plan in self.plans.items():
            if plan and caller not in busy:
                yield f"{caller} calls {plan[0]}", lambda caller=caller: self.call(caller)

    def _turns(self) -> Iterator[tuple[str, Callable[[], None]]]:
        for turn in self.turns:
            if turn.gate is not None and turn.asked is None:
                step = turn.left[0] if turn.left else "ends"
                yield f"{turn.name} #{turn.number}: {step}", lambda turn=turn: self.step(turn)

    def _faults(self) -> Iterator[tuple[str, Callable[[], None]]]:
        for actor in sorted(set(self.aborts)):
            if any(turn.gate is self.gates[actor] for turn in self.turns):
                yield f"{actor} aborts", lambda actor=actor: self.discard(actor)

    # --- calls, as runtime.delivery makes them

    def call(self, caller: str) -> None:
        name, *later = self.plans[caller]
        self.plans[caller] = tuple(later)
        self.begin(self.arrive(name, caller))

    def arrive(self, name: str, asker: Turn | str) -> Turn:
        self.number += 1
        turn = Turn(self.number, name, asker)
        self.turns.append(turn)
        return turn

    def begin(self, turn: Turn) -> None:
        gate, mailbox = self.gates[turn.actor], self.mailboxes[turn.actor]
        interleave = turn.method.interleave
        if (interleave or not mailbox) and gate.admits(interleave=interleave):
            self.start(turn)
            self.pump(turn.actor)
        elif not mailbox.offer(turn):
            self.answer(turn)

    def pump(self, actor: str) -> None:
        gate, mailbox = self.gates[actor], self.mailboxes[actor]
        while (turn := mailbox.peek()) is not None:
            if not gate.admits(interleave=turn.method.interleave):
                return
            mailbox.take()
            if not turn.answered:
                self.start(turn)

    def start(self, turn: Turn) -> None:
        gate = self.gates[turn.actor]
        others = [other for other in self.turns if other.gate is gate]
        assert not turn.started, "delivered twice"
        assert not any(other.sections for other in others), "started inside a critical section"
        assert turn.method.interleave or not others, "two turns at a time"
        assert gate.broken is None, "started in an activation that is lost"
        if not turn.method.interleave:
            assert turn.number > self.last_started[turn.actor], "overtaken"
            self.last_started[turn.actor] = turn.number
        gate.enter()
        turn.gate, turn.started = gate, True
        if turn.wait is not None:
            turn.wait.runs_as = turn

    def step(self, turn: Turn) -> None:
        gate = turn.gate
        assert gate is not None
        step, _, target = (turn.left.pop(0) if turn.left else "end").partition(" ")
        if step == "open":
            turn.sections.append(gate.open_section())
        elif step == "close":
            gate.close_section(turn.sections.pop(0 if target == "outer" else -1))
            self.pump(turn.actor)
        elif step == "ask":
            self.ask(turn, target)
        else:
            turn.gate = None
            gate.leave()
            self.answer(turn)
            self.pump(turn.actor)

    def ask(self, turn: Turn, name: str) -> None:
        target, what = name.split(".")
        admitted = self.gates[target].admits(interleave=METHODS[what].interleave)
        if not admitted and self.waits.cycle(turn.actor, turn, target) is not None:
            self.refuse(turn, Turn(0, name, turn))
            return
        turn.asked = self.arrive(name, turn)
        turn.asked.wait = self.waits.add(turn.actor, turn, turn.what, target)
        self.begin(turn.asked)

    def refuse(self, turn: Turn, asked: Turn) -> None:
        """Follow by hand what the call would wait for; it must come back to the asker."""
        waited_for = {asked}
        for _ in range(len(self.turns)):
            for waiting in list(waited_for):
                waited_for.update(self.holders_against(waiting))
        assert turn in waited_for, "refused, although it would not wait for itself"

    def holders_against(self, turn: Turn) -> list[Turn]:
        if turn.started:
            return [turn.asked] if turn.asked is not None else []
        gate = self.gates[turn.actor]
        holders = [other for other in self.turns if other.gate is gate]
        return [t for t in holders if t.sections] if turn.method.interleave else holders

    def answer(self, turn: Turn) -> None:
        if turn.answered:
            return  # its asker was thrown away meanwhile
        turn.answered = True
        if isinstance(turn.asker, Turn):
            assert turn.wait is not None
            self.waits.remove(turn.wait)
            turn.asker.asked = None

    # --- the end of an activation, as runtime.activator handles it

    def discard(self, actor: str) -> None:
        """Its turns are interrupted: they ask and open nothing more, and end when they get to."""
        self.aborts = self.aborts.replace(actor, "", 1)
        gate, mailbox = self.gates[actor], self.mailboxes[actor]
        gate.fail(ActorAborted("abort"))
        for turn in self.turns:
            if turn.gate is gate:
                turn.left = ["close inner"] * len(turn.sections)
                if turn.asked is not None:
                    self.answer(turn.asked)
        self.gates[actor] = self.machines.gate()
        self.mailboxes[actor] = self.machines.mailbox(self.limit)
        self.handed_over[actor] = len(mailbox)
        for waiting in mailbox.drain():
            self.mailboxes[actor].offer_urgent(waiting)
        self.pump(actor)

    # --- what is always true, and what makes two worlds the same

    def check(self) -> None:
        self.turns = [turn for turn in self.turns if turn.gate is not None or not turn.answered]
        for actor in "ab":
            holders = [turn for turn in self.turns if turn.gate is self.gates[actor]]
            waiting = [t for t in self.turns if t.actor == actor and not t.started]
            assert len(waiting) <= self.limit + self.handed_over[actor], "more wait than may"
            assert holders or not waiting, "waits for an actor that is free"
            if self.machines == REAL:  # a broken one is to be caught from outside
                self.gates[actor].check()
                self.mailboxes[actor].check()
                self.waits.check()
        asking = sum(turn.asked is not None for turn in self.turns)
        assert len(self.waits) == asking, "said to wait for what is over"
        if not any(turn.gate is not None and turn.asked is None for turn in self.turns):
            assert not self.turns, "all wait for each other"

    def key(self) -> Hashable:
        order = {turn: place for place, turn in enumerate(self.turns)}

        def seen(turn: Turn) -> Hashable:
            lost = turn.gate is not None and turn.gate.broken is not None
            place = order.get(turn.asker) if isinstance(turn.asker, Turn) else turn.asker
            asked = order.get(turn.asked) if turn.asked is not None else None
            running = turn.gate is not None, lost, turn.started, turn.answered
            overtaken = turn.number < self.last_started[turn.actor]
            return turn.name, running, place, asked, overtaken, turn.left, len(turn.sections)

        return (
            tuple(self.plans.items()),
            str([seen(turn) for turn in self.turns]),
            self.aborts,
            tuple(self._sections(gate) for gate in self.gates.values()),
            tuple((len(box), box.shed > 0) for box in self.mailboxes.values()),
            tuple(self.handed_over.values()),
        )

    def _sections(self, gate: InputGate) -> Hashable:
        """The sections that hold a gate, outermost last: whose they are, open or not."""
        chain = []
        section = gate.innermost
        while section is not None:
            owners = [place for place, turn in enumerate(self.turns) if section in turn.sections]
            chain.append((section.closed, tuple(owners)))
            section = section.parent
        return gate.turns, tuple(chain)


SECTIONS: Final[Plans] = {
    "x": ("a.guard", "a.work"),
    "y": ("a.nest", "a.peek"),
    "z": ("a.work",),
}
ASKS: Final[Plans] = {"x": ("a.ask b", "a.work"), "y": ("b.ask a", "b.ask a"), "z": ("b.work",)}
ROUND: Final[Plans] = {
    "x": ("a.ask via b", "a.ask b"),
    "y": ("b.ask a", "a.ask itself"),
    "z": ("b.guard",),
}

# The turn of a that asks b is not the one that b waits for.
BACK: Final[Plans] = {"x": ("a.ask b", "a.ask via b"), "y": ("b.ask back", "b.ask a"), "z": ()}


@pytest.mark.parametrize(
    ("plans", "aborts", "limit", "states"),
    [
        (SECTIONS, "", 1, 454),
        (SECTIONS, "a", 2, 1915),
        (ASKS, "", 2, 333),
        (ASKS, "a", 2, 1370),
        (ROUND, "", 2, 876),
        (BACK, "", 2, 123),
    ],
    ids=["sections, shed", "sections, abort", "asks", "asks, abort", "asks round", "asks back"],
)
def test_every_order_keeps_the_promises(plans: Plans, aborts: str, limit: int, states: int) -> None:
    """From 123 worlds for a call back to 1,915 for sections and an abort."""
    explored = explore(lambda: GatesWorld(plans, aborts=aborts, limit=limit)).verify()
    assert explored.states == states
    assert explored.ends > 0


# --- what the explorer catches ----------------------------------------------------------------


class FindsNoCycle(WaitGraph[str, Turn]):
    def cycle(self, asker: str, turn: Turn, target: str) -> list[tuple[str, str]] | None:
        return None


class NeverForgets(WaitGraph[str, Turn]):
    def remove(self, wait: Wait[str, Turn]) -> None:
        pass


CAUGHT: Final = [
    (Machines(gate=IgnoresSections), SECTIONS, "inside a critical section"),
    (Machines(gate=ClosesAllSections), SECTIONS, "inside a critical section"),
    (Machines(gate=SectionsDoNotNest), SECTIONS, "inside a critical section"),
    (Machines(gate=ClosesOnlyTheInnermost), SECTIONS, "waits for an actor that is free"),
    (Machines(gate=ForgetsToLeave), SECTIONS, "waits for an actor that is free"),
    (Machines(gate=InterleavesEverything), SECTIONS, "two turns at a time"),
    (Machines(mailbox=LastInFirstOut), SECTIONS, "delivered twice"),
    (Machines(mailbox=PeekTakes), SECTIONS, "waits for an actor that is free"),
    (Machines(mailbox=DrainForgetsUrgent), SECTIONS, "waits for an actor that is free"),
    (Machines(waits=FindsNoCycle), ASKS, "all wait for each other"),
    (Machines(waits=WalksBackwards), ASKS, "all wait for each other"),
    (Machines(waits=NeverForgets), ASKS, "said to wait for what is over"),
    (Machines(waits=KnowsActorsOnly), BACK, "would not wait for itself"),
    (Machines(waits=KnowsTurnsOnly), ASKS, "all wait for each other"),
]


@pytest.mark.parametrize(
    ("machines", "plans", "how"),
    CAUGHT,
    ids=[next(m.__name__ for m, r in zip(c[0], REAL, strict=True) if m is not r) for c in CAUGHT],
)
def test_broken_machine_is_caught_by_what_it_does(
    machines: Machines, plans: Plans, how: str
) -> None:
    """From outside: the world does not ask a broken machine whether it is in order."""
    aborts = "aa" if plans is SECTIONS else ""
    failure = explore(lambda: GatesWorld(plans, aborts=aborts, machines=machines)).failure
    assert failure is not None
    assert isinstance(failure.error, AssertionError)
    assert how in str(failure)
