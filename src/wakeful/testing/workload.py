"""What clients of the simulated world do: draws calls, makes them, notes what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from random import Random
from typing import Final, NamedTuple, TypeVar

from wakeful.errors import (
    ActivationFailed,
    ActorAborted,
    CallCycle,
    ConfigError,
    DeadlineExceeded,
    Fenced,
    Overloaded,
    StorageClosed,
    StorageError,
    StorageFull,
    StorageReadOnly,
    WakefulError,
)
from wakeful.ids import ActorId
from wakeful.node import Runtime
from wakeful.testing.actors import Board, Boom, Ledger, Teller
from wakeful.testing.history import Answered, Failed, History, Invoked, Step, Tokens, Trouble

A = TypeVar("A", bound=Ledger)

# Refused before it ran.
REFUSED: Final = (Overloaded, ActivationFailed, CallCycle, ConfigError)
# It ran and is undone, or the store has written nothing; it may have passed a commit point before.
UNDONE: Final = (
    *(Boom, DeadlineExceeded),
    *(StorageFull, StorageReadOnly, StorageClosed, Fenced),
)
# Calls with commit points in the middle: another turn joins, or they ask or sync themselves.
STEPWISE: Final = frozenset({"join", "add_twice", "transfer"})
EXPECTED: Final = (WakefulError, Boom)


class Call(NamedTuple):
    """A drawn call."""

    kind: str
    actor: ActorId
    steps: tuple[Step, ...]
    make: Callable[[Runtime], Awaitable[object]]
    after: tuple[Step, ...] = ()  # steps that may be taken once it has been answered


class Workload:
    """Draws calls to a few actors."""

    def __init__(self, random: Random, ledgers: int, boards: int, tellers: int) -> None:
        self.ledgers = [f"l{n}" for n in range(ledgers)]
        self.boards = [f"b{n}" for n in range(boards)]
        self.tellers = [f"t{n}" for n in range(tellers)]
        self._random = random
        self._tokens: Iterator[int] = count(1)
        # Each seed has a mix of its own: rare combinations get seeds where they are common.
        self._weights = [random.choice((0.2, 1.0, 3.0)) for _ in self._kinds()]

    def draw(self) -> Call:
        """The next call of some client."""
        (draw,) = self._random.choices(self._kinds(), self._weights)
        return draw()

    def probe(self, actor: ActorId) -> Call:
        """A write that must succeed once faults have stopped."""
        cls = {"Ledger": Ledger, "Board": Board, "Teller": Teller}[actor.type]
        token = self._token()
        return Call(
            "probe", actor, (Step(actor, token),), lambda rt: rt.get(cls, actor.name).add(token)
        )

    def actors(self) -> list[ActorId]:
        """All actors there are."""
        return [
            *(ActorId("Ledger", name) for name in self.ledgers),
            *(ActorId("Board", name) for name in self.boards),
            *(ActorId("Teller", name) for name in self.tellers),
        ]

    def _kinds(self) -> list[Callable[[], Call]]:
        return [
            *(self._add, self._add_kept, self._add_slowly, self._add_twice, self._read),
            *(self._read_slowly, self._boom, self._boom_slowly, self._abort, self._transact),
            *(self._stubborn, self._peek, self._join, self._later, self._board_add),
            *(self._board_read, self._transfer, self._teller_read, self._delete, self._stop),
        ]

    def _token(self) -> int:
        return next(self._tokens)

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
        actor = ActorId("Ledger", self._random.choice(self.ledgers))
        token = self._token() if writes else 0
        steps = (Step(actor, token),) if writes else ()
        return Call(kind, actor, steps, lambda rt: make(rt.get(Ledger, actor.name), token))

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
        undone, pause = self._token(), self._pause()
        return self._ledger("transact", lambda ref, token: ref.transact(token, undone, pause))

    def _read(self) -> Call:
        return self._ledger("read", lambda ref, _: ref.read(), writes=False)

    def _read_slowly(self) -> Call:
        pause = self._pause()
        return self._ledger("read_slowly", lambda ref, _: ref.read_slowly(pause), writes=False)

    def _add_twice(self) -> Call:
        second = self._token()
        call = self._ledger("add_twice", lambda ref, token: ref.add_twice(token, second))
        return call._replace(steps=(*call.steps, Step(call.actor, second)))

    def _board(self) -> ActorId:
        return ActorId("Board", self._random.choice(self.boards))

    def _board_add(self) -> Call:
        actor, token = self._board(), self._token()
        steps = (Step(actor, token),)
        return Call("board_add", actor, steps, lambda rt: rt.get(Board, actor.name).add_kept(token))

    def _board_read(self) -> Call:
        actor = self._board()
        return Call("board_read", actor, (), lambda rt: rt.get(Board, actor.name).read())

    def _peek(self) -> Call:
        actor = self._board()
        return Call("peek", actor, (), lambda rt: rt.get(Board, actor.name).peek())

    def _join(self) -> Call:
        actor, token, pause = self._board(), self._token(), self._pause()
        steps = (Step(actor, token),)
        return Call("join", actor, steps, lambda rt: rt.get(Board, actor.name).join(token, pause))

    def _later(self) -> Call:
        actor, now, then = self._board(), self._token(), self._token()
        pause = self._pause()
        return Call(
            "later",
            actor,
            (Step(actor, now),),
            lambda rt: rt.get(Board, actor.name).later(now, then, pause),
            (Step(actor, then),),
        )

    def _transfer(self) -> Call:
        teller = ActorId("Teller", self._random.choice(self.tellers))
        source, target = self._random.choice(self.ledgers), self._random.choice(self.ledgers)
        tokens = [self._token() for _ in range(4)]
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

    def _delete(self) -> Call:
        if self._random.random() < 0.5:
            actor = ActorId("Ledger", self._random.choice(self.ledgers))
            return Call("delete", actor, (), lambda rt: rt.delete(Ledger, actor.name))
        board = self._board()
        return Call("delete", board, (), lambda rt: rt.delete(Board, board.name))

    def _stop(self) -> Call:
        actor = self._board()
        return Call("stop", actor, (), lambda rt: rt.stop(rt.get(Board, actor.name)))


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
        history.add(Invoked(op, self._node, call.kind, call.actor, call.steps))
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
    if call.kind in STEPWISE:
        return call.kind == "join" and isinstance(error, REFUSED)
    if type(error) is StorageError:  # the actor could not be loaded
        return True
    if isinstance(error, ActorAborted):
        return call.kind == "abort"
    return isinstance(error, REFUSED + UNDONE)


def _seen(result: object) -> Tokens | None:
    return tuple(result) if isinstance(result, list) else None


def _name(error: Exception) -> str:
    return type(error).__name__
