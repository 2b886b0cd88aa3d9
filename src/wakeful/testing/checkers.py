"""What must be true of every history, judged from outside: calls, answers, and the disk.

Each checker yields a line for each thing that is wrong.

    acknowledged_is_durable    what an answer promises is on disk when it is given, and stays
    nothing_undurable_is_seen  what an answer or an error shows is on disk when it is given
    one_activation_commits     the records of an actor come from one activation after another
    calls_are_linear           an answer shows no less than any answer before its call, also of a
                               node that was taken over more than a term ago
    turns_are_atomic           all places agree after each record; what was undone is nowhere
    alarms_are_kept            none fires early, twice or unset; a retry is counted and put off
    frames_are_in_order        a socket hears each thing said, once, in order, when it is durable
    sockets_go_with_the_lost   what is thrown away takes its sockets with it
    nothing_went_wrong         the world itself has noticed nothing: stuck calls, leaks, bugs

Shapes:  an actor's disk is a chain of states, each adding tokens to the one before, until a wipe
         begins a new era. A position is (era, number of tokens); it orders what can be seen.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from wakeful.ids import ActorId
from wakeful.runtime.ownership import TERM_NS
from wakeful.testing.history import (
    Answered,
    Event,
    Failed,
    Heard,
    Invoked,
    Joined,
    Landed,
    Left,
    Opened,
    Rang,
    Step,
    Tokens,
    Trouble,
)
from wakeful.testing.places import SAFE, Places, places_of

Position = tuple[int, int]
BACKOFF_NS: Final = 2_000_000_000
LOSSES: Final = frozenset({"StorageFull", "StorageReadOnly", "UnknownOutcome"})


class State(NamedTuple):
    """An actor on disk after one record; `at` is the index of the event."""

    at: int
    batch: int
    era: int
    tokens: Tokens
    wipe: bool = False
    said: int = 0


class Read(NamedTuple):
    """A call that has ended, and what its end shows."""

    call: Invoked
    asked: int  # index of the call
    ended: int  # index of its end
    answered: bool
    undone: bool
    seen: Tokens | None
    lost: bool = False  # its activation was thrown away


class View:
    """A history, arranged for questions."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self.landed: dict[ActorId, list[tuple[int, Landed, Places]]] = {}
        self.chains: dict[ActorId, list[State]] = {}
        self.calls: list[Read] = []
        self.steps: dict[Step, Invoked] = {}
        open_calls: dict[int, tuple[int, Invoked]] = {}
        for index, event in enumerate(events):
            if isinstance(event, Landed):
                self._land(index, event)
            elif isinstance(event, Invoked):
                open_calls[event.op] = (index, event)
                self.steps.update(dict.fromkeys(event.steps, event))
            elif isinstance(event, Answered):
                asked, call = open_calls[event.op]
                self.calls.append(Read(call, asked, index, True, False, event.seen))
            elif isinstance(event, Failed):
                asked, call = open_calls[event.op]
                lost = event.error in LOSSES or (event.undone and event.error == "ActorAborted")
                self.calls.append(Read(call, asked, index, False, event.undone, event.seen, lost))
        self.first: dict[Step, State] = {}
        for actor, chain in self.chains.items():
            for state in chain:
                for token in state.tokens:
                    self.first.setdefault(Step(actor, token), state)

    def states_until(self, actor: ActorId, index: int) -> list[State]:
        """The states of an actor on disk up to an index, the empty one included."""
        chain = self.chains.get(actor, [])
        return [EMPTY, *chain[: bisect_right(chain, index, key=lambda state: state.at)]]

    def wiped_between(self, actor: ActorId, start: int, end: int) -> list[State]:
        """What a wipe that landed in an interval has put an end to: the states before it."""
        before, found = EMPTY, []
        for state in self.chains.get(actor, []):
            if state.era > before.era and start < state.at < end:
                found.append(before)
            before = state
        return found

    def _land(self, index: int, event: Landed) -> None:
        places = places_of(event)
        self.landed.setdefault(event.actor, []).append((index, event, places))
        chain = self.chains.setdefault(event.actor, [])
        era = (chain[-1].era if chain else 0) + event.wipe
        tokens, said = places.fields.tokens, places.fields.said
        chain.append(State(index, event.batch, era, tokens, event.wipe, said))


EMPTY: Final = State(-1, 0, 0, ())
Checker = Callable[[View], Iterator[str]]


def acknowledged_is_durable(view: View) -> Iterator[str]:
    """Every step of an answered call is on disk when the answer is given."""
    for read in view.calls:
        if not read.answered:
            continue
        for step in read.call.steps:
            state = view.first.get(step)
            if (state is None or state.at > read.ended) and not _wiped_with(view, read, step):
                when = "never" if state is None else f"only at {state.at}"
                yield f"call {read.call.op} answered at {read.ended}; {_step(step)} landed {when}"


def _wiped_with(view: View, read: Read, step: Step) -> bool:
    """Whether the record that landed a write also wiped it, which leaves no trace of it."""
    return bool(view.wiped_between(step.actor, read.asked, read.ended))


def nothing_undurable_is_seen(view: View) -> Iterator[str]:
    """An answer shows a prefix of some state that was on disk when it was given."""
    for read in view.calls:
        if read.seen and not _positions(view, read):
            yield f"call {read.call.op} saw at {read.ended} what was not on disk: {read.seen[-4:]}"


def _positions(view: View, read: Read) -> list[Position]:
    """Where on the actor's chain what was seen can be, the earliest first."""
    seen, actor = read.seen or (), read.call.actor
    found = []
    before = EMPTY
    for state in view.states_until(actor, read.ended):
        low = len(before.tokens) if before.era == state.era else 0
        if low <= len(seen) <= len(state.tokens) and state.tokens[: len(seen)] == seen:
            found.append((state.era, len(seen)))
        before = state
    for state in view.wiped_between(actor, read.asked, read.ended):
        if seen[: len(state.tokens)] == state.tokens:
            found.append((state.era, len(seen)))
    return sorted(set(found))


def one_activation_commits(view: View) -> Iterator[str]:
    """Sequences count up from 1 within an activation; epochs and incarnations never go back."""
    for actor, landed in view.landed.items():
        seq = epoch = by = 0
        for index, record, places in landed:
            if record.epoch < epoch:
                yield f"{actor} at {index}: epoch {record.epoch} wrote after epoch {epoch}"
            if record.seq not in (1, seq + 1):
                yield f"{actor} at {index}: record {record.seq} follows record {seq}"
            writer = places.fields.by
            if writer < by and not record.wipe:
                yield f"{actor} at {index}: incarnation {writer} wrote after incarnation {by}"
            seq, epoch, by = record.seq, record.epoch, max(by, writer)


def calls_are_linear(view: View) -> Iterator[str]:
    """Each actor behaves as if each call had happened at one moment between call and answer."""
    yield from _chains_only_grow(view)
    yield from _wipes_were_asked_for(view)
    for actor in view.chains:
        yield from _reads_are_fresh(view, actor)


def _chains_only_grow(view: View) -> Iterator[str]:
    for actor, chain in view.chains.items():
        before = EMPTY
        seen: set[int] = set()
        for state in chain:
            old = before.tokens if before.era == state.era else ()
            if state.tokens[: len(old)] != old:
                lost = [token for token in old if token not in state.tokens]
                yield f"{actor} at {state.at}: the record has lost {lost or 'the order'}"
            new = state.tokens[len(old) :]
            if twice := seen.intersection(new):
                yield f"{actor} at {state.at}: added a second time: {sorted(twice)}"
            seen.update(new)
            before = state


def _wipes_were_asked_for(view: View) -> Iterator[str]:
    for actor, landed in view.landed.items():
        deletes = _deletes(view, actor)
        for index, record, _ in landed:
            if record.wipe and not any(asked < index < ended for asked, ended in deletes):
                yield f"{actor} at {index}: wiped, and nobody was deleting it"


def _deletes(view: View, actor: ActorId) -> list[tuple[float, float]]:
    """When deletes of an actor were under way; one whose outcome is unknown, from then on."""
    ends = {read.call.op: read.ended for read in view.calls if read.answered or read.undone}
    return [
        (index, ends.get(event.op, float("inf")))
        for index, event in enumerate(view.events)
        if isinstance(event, Invoked) and event.kind == "delete" and event.actor == actor
    ]


def _reads_are_fresh(view: View, actor: ActorId) -> Iterator[str]:
    owners = _owners(view.events)
    reads = [read for read in view.calls if read.call.actor == actor]
    floors: list[tuple[int, Position]] = []  # (index, what any later call must show)
    for read in reads:
        floor = max((at for index, at in floors if index < read.asked), default=(0, 0))
        if read.answered and read.call.kind == "delete":
            wiped = [
                state
                for state in view.states_until(actor, read.ended)
                if state.at > read.asked and state.wipe
            ]
            if not wiped:
                yield f"call {read.call.op} deleted {actor} by {read.ended}, and no wipe landed"
            else:
                floors.append((read.ended, (wiped[0].era, 0)))
        if read.seen is None or owners.may_be_stale(read):
            continue
        positions = [at for at in _positions(view, read) if at >= floor]
        if positions:
            floors.append((read.ended, positions[0]))
        elif read.seen or floor > (0, 0):
            yield f"call {read.call.op} saw {len(read.seen)} tokens at {read.ended}, not {floor}"


class _Owners:
    """Tells whether a node had been taken over, and could not know it yet."""

    def __init__(self, takeovers: list[tuple[int, Opened]]) -> None:
        self._takeovers = takeovers

    def may_be_stale(self, read: Read) -> bool:
        """Whether a read may show what was there before another node has taken over.

        It may for a term of the lease, if it was asked for in that time.
        """
        opened = [event for at, event in self._takeovers if at < read.ended]
        for event, follower in pairwise(opened):
            if event.node == read.call.node:
                return read.call.at_s < follower.at_s + TERM_NS / 1e9
        return False


def _owners(events: Sequence[Event]) -> _Owners:
    return _Owners([(i, event) for i, event in enumerate(events) if isinstance(event, Opened)])


def turns_are_atomic(view: View) -> Iterator[str]:
    """State and storage agree in each record, steps land in order, and undone ones never."""
    yield from _places_agree(view)
    for step, state in view.first.items():
        if step not in view.steps:
            yield f"{_step(step)} landed at {state.at}, and no call may keep it"
    for index, event in enumerate(view.events):
        if isinstance(event, Invoked):
            yield from _steps_in_order(view, index, event)
    for read in view.calls:
        for step in read.call.steps if read.undone else ():
            if step in view.first:
                yield f"call {read.call.op} failed and was undone, yet {_step(step)} has landed"


def _places_agree(view: View) -> Iterator[str]:
    for actor, landed in view.landed.items():
        for index, _, places in landed:
            if places.disagreement:
                yield f"{actor} at {index}: {places.disagreement}"


def _steps_in_order(view: View, asked: int, call: Invoked) -> Iterator[str]:
    missing: Step | None = None
    batch = 0
    for step in call.steps:
        state = view.first.get(step)
        if state is None:
            missing = step
        elif missing and not view.wiped_between(missing.actor, asked, state.at):
            yield f"call {call.op}: {_step(step)} landed and {_step(missing)} before it never did"
        elif state.batch <= batch:
            yield f"call {call.op}: {_step(step)} landed before the step it follows was durable"
        if state is not None:
            batch = state.batch


def alarms_are_kept(view: View) -> Iterator[str]:
    """Check alarms against the records of each actor and what its handlers were told."""
    due: dict[tuple[ActorId, int, int], int] = {}
    for actor, landed in view.landed.items():
        yield from _alarms_landed(actor, landed)
        for _, _, places in landed:
            if (alarm := places.alarm) is not None:
                key = actor, alarm.scheduled_ns, alarm.retries
                due[key] = min(alarm.due_ns, due.get(key, alarm.due_ns))
    for index, event in enumerate(view.events):
        if isinstance(event, Rang):
            first = due.get((event.actor, event.scheduled_ns, event.retries), event.scheduled_ns)
            if event.now_ns < first:
                early = f"{(first - event.now_ns) / 1e9} s early"
                yield f"{event.actor} at {index}: alarm {event.scheduled_ns} fires {early}"


def _alarms_landed(actor: ActorId, landed: list[tuple[int, Landed, Places]]) -> Iterator[str]:
    before, retries = 0, 0
    for index, record, places in landed:
        rang, alarm = places.fields.rang, places.alarm
        if record.wipe:
            before = 0
        if len(rang) < before:
            yield f"{actor} at {index}: it has forgotten alarms that rang"
        if len(set(rang)) != len(rang) and actor.type != SAFE:
            yield f"{actor} at {index}: an alarm has rung twice: {rang[before:]}"
        before = len(rang)
        if alarm is None or alarm.retries == 0:
            retries = 0
        elif alarm.retries not in (retries, retries + 1):
            yield f"{actor} at {index}: retry {alarm.retries} follows retry {retries}"
        if alarm is not None:
            retries = alarm.retries
            if alarm.due_ns < alarm.scheduled_ns + (2**retries - 1) * BACKOFF_NS:
                yield f"{actor} at {index}: an alarm is not put off: {alarm}"


def frames_are_in_order(view: View) -> Iterator[str]:
    """Sockets hear consecutive numbers; each token is on disk before a socket hears it."""
    said: dict[int, int] = {}
    for index, event in enumerate(view.events):
        if not isinstance(event, Heard):
            continue
        who = f"socket {event.socket} of {event.actor} at {index}"
        if event.token:
            before = said.get(event.socket)
            if before is not None and event.said != before + 1:
                yield f"{who}: heard {event.said} after {before}"
            state = view.first.get(Step(event.actor, event.token))
            if state is None or state.at > index:
                yield f"{who}: heard {event.token}, which was not on disk"
        if event.said > max(state.said for state in view.states_until(event.actor, index)):
            yield f"{who}: heard {event.said} things said, more than were on disk"
        said[event.socket] = event.said


def sockets_go_with_the_lost(view: View) -> Iterator[str]:
    """After an abort or a failed commit is told, no socket that was there before is."""
    left = {e.socket: index for index, e in enumerate(view.events) if isinstance(e, Left)}
    joined = [(index, e) for index, e in enumerate(view.events) if isinstance(e, Joined)]
    for read in view.calls:
        for index, there in joined if read.lost else ():
            same = there.actor == read.call.actor and there.node == read.call.node
            stayed = left.get(there.socket, len(view.events)) > read.ended
            if same and stayed and index < read.asked:
                yield f"call {read.call.op} was lost at {read.ended}, socket {there.socket} was not"


def nothing_went_wrong(view: View) -> Iterator[str]:
    """No stuck call, no leak, no internal error."""
    for event in view.events:
        if isinstance(event, Trouble):
            yield event.text


CHECKERS: Final[tuple[Checker, ...]] = (
    nothing_went_wrong,
    acknowledged_is_durable,
    nothing_undurable_is_seen,
    one_activation_commits,
    calls_are_linear,
    turns_are_atomic,
    alarms_are_kept,
    frames_are_in_order,
    sockets_go_with_the_lost,
)


def violations(events: Sequence[Event]) -> list[str]:
    """Everything that is wrong with a history, each line with the checker that found it."""
    view = View(events)
    return [f"{checker.__name__}: {line}" for checker in CHECKERS for line in checker(view)]


def _step(step: Step) -> str:
    return f"{step.actor}+{step.token}"
