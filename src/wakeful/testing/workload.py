"""What clients of the simulated world do: draws calls, makes them, notes what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from random import Random
from typing import Any, Final, NamedTuple

from wakeful.errors import (
    ActivationFailed,
    ActorAborted,
    CallCycle,
    ConfigError,
    DeadlineExceeded,
    Fenced,
    LimitExceeded,
    Overloaded,
    Retry,
    StateInvalid,
    StorageClosed,
    StorageError,
    StorageFull,
    StorageReadOnly,
    StorageUnavailable,
    WakefulError,
)
from wakeful.ids import ActorId
from wakeful.node import Runtime
from wakeful.testing.actors import Board, Boom, Ledger, Teller
from wakeful.testing.history import Answered, Failed, History, Invoked, Step, Tokens, Trouble
from wakeful.testing.places import SAFE, VAULT
from wakeful.testing.safe import call_safe, safe_id
from wakeful.testing.vault import Vault

# Refused before it ran.
REFUSED: Final = (Overloaded, ActivationFailed, CallCycle, ConfigError)
# It ran and is undone, or the store has written nothing; it may have passed a commit point before.
UNDONE: Final = (
    *(Boom, DeadlineExceeded, StateInvalid),
    *(StorageFull, StorageReadOnly, StorageUnavailable, StorageClosed, Fenced, LimitExceeded),
)
# Calls with commit points in the middle: another turn joins, or they ask or sync themselves.
STEPWISE: Final = frozenset(
    {"join", "hold", "fail_beside", "group_beside", "add_twice", "transfer"}
)
EXPECTED: Final = (WakefulError, Boom)
GOSSIP: Final = 0.1
NATIVE: Final = {"Ledger": Ledger, "Board": Board, "Teller": Teller, VAULT: Vault}


class Call(NamedTuple):
    """A drawn call."""

    kind: str
    actor: ActorId
    steps: tuple[Step, ...]
    make: Callable[[Runtime], Awaitable[object]]
    after: tuple[Step, ...] = ()  # steps that may be taken once it has been answered


class Workload:
    """Draws calls to a few actors."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._tokens: Iterator[int] = count(1)
        self.ledgers = [f"l{n}" for n in range(random.randint(1, 3))]
        self.boards = [f"b{n}" for n in range(random.randint(1, 2))]
        self.tellers = [f"t{n}" for n in range(random.randint(1, 2))]
        self.vaults = [ActorId(VAULT, f"v{n}") for n in range(random.randint(1, 2))]
        self.safes = [safe_id(n) for n in range(random.randint(1, 2))]
        ledgers = [ActorId("Ledger", name) for name in self.ledgers]
        # Which actors take the calls that all of these know: rare ones get seeds of their own.
        self._pool = random.choice((ledgers, self.vaults, [*ledgers, *self.vaults]))
        # Each seed has a mix of its own: rare combinations get seeds where they are common.
        kinds, vault, safe = self._kinds(), self._vault_kinds(), self._safe_kinds()
        self._draws = [*kinds, *vault, *safe]
        self._weights = [
            *(random.choice((0.2, 1.0, 3.0)) for _ in kinds),
            *(random.choice((0.2, 1.0, 3.0)) for _ in vault),
            *(x * random.choice((0.2, 1.0, 3.0)) for x in [random.choice((0, 1, 4))] for _ in safe),
        ]
        if random.random() < GOSSIP:  # actors that ask each other all the time
            self._draws = [self._add, self._transfer, self._look]
            self._weights = [1.0, 1.0, 3.0]

    def draw(self) -> Call:
        """The next call of some client."""
        (draw,) = self._random.choices(self._draws, self._weights)
        return draw()

    def probe(self, actor: ActorId) -> Call:
        """A write that must succeed once faults have stopped."""
        token = self.token()
        steps = (Step(actor, token),)
        if actor.type == SAFE:
            return Call("probe", actor, steps, call_safe(actor.name, "add", token))
        cls = NATIVE[actor.type]
        return Call("probe", actor, steps, lambda rt: rt.get(cls, actor.name).add(token))

    def audit(self, actor: ActorId) -> Call:
        """A look at all places of an actor."""
        if actor.type == SAFE:
            return Call("audit", actor, (), call_safe(actor.name, "audit"))
        return Call("audit", actor, (), lambda rt: rt.get(Vault, actor.name).audit())

    def actors(self) -> list[ActorId]:
        """All actors there are."""
        return [
            *(ActorId("Ledger", name) for name in self.ledgers),
            *(ActorId("Board", name) for name in self.boards),
            *(ActorId("Teller", name) for name in self.tellers),
            *self.vaults,
            *(ActorId(SAFE, name) for name in self.safes),
        ]

    def token(self) -> int:
        """A number that no call has used."""
        return next(self._tokens)

    def _kinds(self) -> list[Callable[[], Call]]:
        return [
            *(self._add, self._add_kept, self._add_slowly, self._add_twice, self._read),
            *(self._read_slowly, self._boom, self._boom_slowly, self._abort, self._transact),
            *(self._stubborn, self._peek, self._join, self._later, self._board_add),
            *(self._fail_beside, self._group_beside, self._hold, self._board_transact),
            *(self._later_fails, self._board_read, self._transfer, self._teller_read),
            *(self._delete, self._stop, self._look),
        ]

    def _pause(self) -> float:
        scale = self._random.choice((0.0005, 0.005, 0.1))
        return self._random.random() * scale

    def _ledger(
        self,
        kind: str,
        make: Callable[[Ledger, int], Awaitable[object]],
        *,
        writes: bool = True,
    ) -> Call:
        return self._native(kind, self._random.choice(self._pool), make, writes=writes)

    def _native(
        self,
        kind: str,
        actor: ActorId,
        make: Callable[[Any, int], Awaitable[object]],
        *,
        writes: bool = True,
    ) -> Call:
        token = self.token() if writes else 0
        steps = (Step(actor, token),) if writes else ()
        cls = NATIVE[actor.type]
        return Call(kind, actor, steps, lambda rt: make(rt.get(cls, actor.name), token))

    def _add(self) -> Call:
        return self._ledger("add", lambda ref, token: ref.add(token))

    def _add_kept(self) -> Call:
        return self._ledger("add_kept", lambda ref, token: ref.add_kept(token))

    def _add_slowly(self) -> Call:
        pause = self._pause()
        return self._ledger("add_slowly", lambda ref, token: ref.add_slowly(token, pause))

    def _boom(self) -> Call:
        return self._ledger("boom", lambda ref, token: ref.boom(token))

    def _boom_slowly(self) -> Call:
        pause = self._pause()
        return self._ledger("boom_slowly", lambda ref, token: ref.boom_slowly(token, pause))

    def _abort(self) -> Call:
        pause = self._pause()
        return self._ledger("abort", lambda ref, token: ref.abort(token, pause))

    def _stubborn(self) -> Call:
        pause = self._pause() * 4
        return self._ledger("stubborn", lambda ref, token: ref.stubborn(token, pause))

    def _transact(self) -> Call:
        undone, pause = self.token(), self._pause()
        return self._ledger("transact", lambda ref, token: ref.transact(token, undone, pause))

    def _read(self) -> Call:
        return self._ledger("read", lambda ref, _: ref.read(), writes=False)

    def _read_slowly(self) -> Call:
        pause = self._pause()
        return self._ledger("read_slowly", lambda ref, _: ref.read_slowly(pause), writes=False)

    def _add_twice(self) -> Call:
        second = self.token()
        call = self._ledger("add_twice", lambda ref, token: ref.add_twice(token, second))
        return call._replace(steps=(*call.steps, Step(call.actor, second)))

    def _board(self) -> ActorId:
        return ActorId("Board", self._random.choice(self.boards))

    def _board_add(self) -> Call:
        actor, token = self._board(), self.token()
        steps = (Step(actor, token),)
        return Call("board_add", actor, steps, lambda rt: rt.get(Board, actor.name).add_kept(token))

    def _board_read(self) -> Call:
        actor = self._board()
        return Call("board_read", actor, (), lambda rt: rt.get(Board, actor.name).read())

    def _peek(self) -> Call:
        actor = self._board()
        return Call("peek", actor, (), lambda rt: rt.get(Board, actor.name).peek())

    def _join(self) -> Call:
        actor, token, pause = self._board(), self.token(), self._pause()
        steps = (Step(actor, token),)
        return Call("join", actor, steps, lambda rt: rt.get(Board, actor.name).join(token, pause))

    def _later(self) -> Call:
        actor, now, then = self._board(), self.token(), self.token()
        pause = self._pause()
        return Call(
            "later",
            actor,
            (Step(actor, now),),
            lambda rt: rt.get(Board, actor.name).later(now, then, pause),
            (Step(actor, then),),
        )

    def _on_board(self, kind: str, make: Callable[[Board, int], Awaitable[object]]) -> Call:
        return self._native(kind, self._board(), make)

    def _fail_beside(self) -> Call:
        undone, pause = self.token(), self._pause()
        return self._on_board(
            "fail_beside", lambda ref, token: ref.fail_beside(token, undone, pause)
        )

    def _group_beside(self) -> Call:
        undone, pause = self.token(), self._pause()
        return self._on_board(
            "group_beside", lambda ref, token: ref.group_beside(token, undone, pause)
        )

    def _hold(self) -> Call:
        pause = self._pause()
        return self._on_board("hold", lambda ref, token: ref.hold(token, pause))

    def _board_transact(self) -> Call:
        undone, pause = self.token(), self._pause()
        return self._on_board("transact", lambda ref, token: ref.transact(token, undone, pause))

    def _later_fails(self) -> Call:
        undone, pause = self.token(), self._pause()
        return self._on_board("later_fails", lambda ref, now: ref.later_fails(now, undone, pause))

    def _transfer(self) -> Call:
        teller = ActorId("Teller", self._random.choice(self.tellers))
        source, target = self._random.choice(self.ledgers), self._random.choice(self.ledgers)
        tokens = [self.token() for _ in range(4)]
        at = (teller, ActorId("Ledger", source), ActorId("Ledger", target), teller)
        steps = tuple(Step(actor, token) for actor, token in zip(at, tokens, strict=True))
        return Call(
            "transfer",
            teller,
            steps,
            lambda rt: rt.get(Teller, teller.name).transfer(tokens, source, target),
        )

    def _teller_read(self) -> Call:
        actor = ActorId("Teller", self._random.choice(self.tellers))
        return Call("teller_read", actor, (), lambda rt: rt.get(Teller, actor.name).read())

    def _look(self) -> Call:
        teller, ledger = self._random.choice(self.tellers), self._random.choice(self.ledgers)
        actor = ActorId("Ledger", ledger)
        return Call("look", actor, (), lambda rt: rt.get(Teller, teller).look(ledger))

    def _delete(self) -> Call:
        actor = self._random.choice([*self._pool, self._board()])
        cls = NATIVE[actor.type]
        return Call("delete", actor, (), lambda rt: rt.delete(cls, actor.name))

    def _stop(self) -> Call:
        actor = self._random.choice([*self._pool, self._board()])
        cls = NATIVE[actor.type]
        return Call("stop", actor, (), lambda rt: rt.stop(rt.get(cls, actor.name)))

    # --- what only vaults have -------------------------------------------------------------------

    def _vault_kinds(self) -> list[Callable[[], Call]]:
        return [self._audit, self._vault_add, self._forget_rows, self._spoil]

    def _audit(self) -> Call:
        return self.audit(self._random.choice(self.vaults))

    def _vault_add(self) -> Call:
        actor = self._random.choice(self.vaults)
        return self._native("add_kept", actor, lambda ref, token: ref.add_kept(token))

    def _forget_rows(self) -> Call:
        actor = self._random.choice(self.vaults)
        return self._native("forget_rows", actor, lambda ref, token: ref.forget_rows(token))

    def _spoil(self) -> Call:
        actor = self._random.choice(self.vaults)
        return self._native("spoil", actor, lambda ref, token: ref.spoil(token))

    # --- objects of a Worker ---------------------------------------------------------------------

    def _safe_kinds(self) -> list[Callable[[], Call]]:
        return [
            *(self._safe_add, self._safe_slowly, self._safe_section, self._safe_boom),
            *(self._safe_abort, self._safe_transact, self._safe_at_once, self._safe_audit),
        ]

    def _safe(self, kind: str, *more: object) -> Call:
        name, token = self._random.choice(self.safes), self.token()
        actor = ActorId(SAFE, name)
        make = call_safe(name, kind, token, *more)
        return Call(f"safe {kind}", actor, (Step(actor, token),), make)

    def _safe_add(self) -> Call:
        return self._safe("add")

    def _safe_slowly(self) -> Call:
        return self._safe("add_slowly", self._pause())

    def _safe_section(self) -> Call:
        return self._safe("add_in_section", self._pause())

    def _safe_boom(self) -> Call:
        return self._safe("boom", self._pause())

    def _safe_abort(self) -> Call:
        return self._safe("abort")

    def _safe_transact(self) -> Call:
        return self._safe("transact", self.token(), self._pause())

    def _safe_at_once(self) -> Call:
        return self._safe("transact_at_once", self.token())

    def _safe_audit(self) -> Call:
        return self.audit(ActorId(SAFE, self._random.choice(self.safes)))


class Client:
    """Makes calls through one node's runtime and notes them in the history."""

    def __init__(self, runtime: Runtime, node: str, history: History, ops: Iterator[int]) -> None:
        self._runtime = runtime
        self._node = node
        self._history = history
        self._ops = ops

    async def call(self, call: Call, patience_s: float | None = None) -> bool:
        """Make a call; whether it succeeded. Patience is how long the client waits."""
        op = next(self._ops)
        history = self._history
        asked_s = history.now_s()
        history.add(Invoked(op, self._node, call.kind, call.actor, call.steps, asked_s))
        if call.after:
            history.add(Invoked(next(self._ops), self._node, "background", call.actor, call.after))
        try:
            async with asyncio.timeout(patience_s):
                result = await call.make(self._runtime)
        except TimeoutError:
            history.add(Failed(op, "TimeoutError", undone=False, seen=None))
        except asyncio.CancelledError:
            history.add(Failed(op, "CancelledError", undone=False, seen=None))
            raise
        except Exception as error:
            seen = tuple(error.seen) if isinstance(error, Boom) else None
            history.add(Failed(op, _name(error), undone=_undone(call, error), seen=seen))
            if not isinstance(error, EXPECTED):
                history.add(Trouble(f"call {op} got {_name(error)}: {error}"))
        else:
            history.add(Answered(op, _seen(result)))
            return True
        return False


def _undone(call: Call, error: Exception) -> bool:
    """Whether the error promises that nothing of the call is kept."""
    if call.actor.type == SAFE:  # nothing is undone but the running step
        own_step = call.kind == "safe abort" and isinstance(error, ActorAborted)
        return own_step or isinstance(error, REFUSED)
    if call.kind in STEPWISE:  # what of it was committed makes a PartialOutcome of a refusal
        return isinstance(error, WakefulError) and error.retry is Retry.SAFE
    if type(error) is StorageError:  # the actor could not be loaded
        return True
    if isinstance(error, ActorAborted):
        return call.kind == "abort"
    return isinstance(error, REFUSED + UNDONE)


def _seen(result: object) -> Tokens | None:
    return tuple(result) if isinstance(result, list) else None


def _name(error: Exception) -> str:
    return type(error).__name__
