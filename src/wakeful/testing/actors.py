"""The actors of the simulated world. Each keeps the same facts in several places.

Shapes:  `tokens` lists what was added; `length` and `total` count and sum it. What went through
         `add_kept` is also listed in the cell "kept", and `kept` is that cell's sum.
         `by` is the incarnation that wrote last, from a counter of the whole world.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, cast

from wakeful.actor import DurableObject, interleave, readonly

# The world's counter, and who is told of a turn that breaks a rule; set in each node's context.
incarnations: Final[ContextVar[Iterator[int]]] = ContextVar("simulated_incarnations")

KEPT: Final = "kept"


class Boom(Exception):
    """What the actors raise on purpose; it carries what the actor saw before it wrote."""

    def __init__(self, seen: list[int]) -> None:
        super().__init__("boom")
        self.seen = seen


class Overlap(Exception):
    """A turn began while another one of the same incarnation was under way."""


class Ledger(DurableObject):
    """An actor that runs one turn at a time, and keeps all of a turn or nothing."""

    tokens: list[int] = []  # noqa: RUF012 - a default, copied for each actor
    length: int = 0
    total: int = 0
    kept: int = 0
    by: int = 0

    def __init__(self) -> None:
        self._incarnation = next(incarnations.get())
        self._busy = False

    async def add(self, token: int) -> list[int]:
        """Add a token without waiting."""
        with self._alone():
            self._note(token)
        return self.tokens

    async def add_kept(self, token: int) -> list[int]:
        """Change state and storage in one turn."""
        with self._alone():
            await self._keep(token)
            self._note(token)
        return self.tokens

    async def add_slowly(self, token: int, pause: float) -> list[int]:
        """Write half of a change, pause, then write the other half."""
        with self._alone():
            self.tokens.append(token)
            await self._keep(token)
            await asyncio.sleep(pause)
            self.length += 1
            self.total += token
            self.by = self._incarnation
        return self.tokens

    async def boom(self, token: int) -> None:
        """Write, then raise."""
        with self._alone():
            seen = list(self.tokens)
            self._note(token)
            raise Boom(seen)

    async def boom_slowly(self, token: int, pause: float) -> None:
        """Write, wait, then raise."""
        with self._alone():
            seen = list(self.tokens)
            await self._keep(token)
            self.tokens.append(token)
            await asyncio.sleep(pause)
            self.length += 1
            raise Boom(seen)

    async def abort(self, token: int, pause: float) -> None:
        """Write, then abort the activation."""
        with self._alone():
            self._note(token)
            await self._keep(token)
            await asyncio.sleep(pause)
            self.ctx.abort("on purpose")

    async def transact(self, token: int, undone: int, pause: float) -> list[int]:
        """Run one transaction that fails and one that succeeds."""
        with self._alone():

            async def fails() -> None:
                self._note(undone)
                await self._keep(undone)
                await asyncio.sleep(pause)
                raise Boom([])

            async def works() -> None:
                await self._keep(token)
                await asyncio.sleep(pause)
                self._note(token)

            try:
                await self.ctx.storage.transaction(fails)
            except Boom:
                await self.ctx.storage.transaction(works)
        return self.tokens

    async def add_twice(self, first: int, second: int) -> list[int]:
        """Commit twice: the first token is durable before the second is added."""
        with self._alone():
            self._note(first)
            await self.ctx.storage.sync()
            await self._keep(second)
            self._note(second)
        return self.tokens

    async def stubborn(self, token: int, pause: float) -> list[int]:
        """Catch the cancellation and go on."""
        with self._alone():
            self.tokens.append(token)
            try:
                await asyncio.sleep(pause)
            except asyncio.CancelledError:
                await asyncio.sleep(pause)
            self.length += 1
            self.total += token
            self.by = self._incarnation
        return self.tokens

    @readonly
    async def read(self) -> list[int]:
        """Return the tokens without waiting."""
        return self.tokens

    @readonly
    async def read_slowly(self, pause: float) -> list[int]:
        """Return the tokens after a while."""
        with self._alone():
            await asyncio.sleep(pause)
        return self.tokens

    def _note(self, token: int) -> None:
        self.tokens.append(token)
        self.length += 1
        self.total += token
        self.by = self._incarnation

    async def _keep(self, token: int) -> None:
        kept = cast("list[int]", await self.ctx.storage.get(KEPT, []))
        await self.ctx.storage.put(KEPT, [*kept, token])
        self.kept += token

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._busy:
            raise Overlap(f"two turns of {self.ctx.id} at once")
        self._busy = True
        try:
            yield
        finally:
            self._busy = False


class Board(Ledger):
    """An actor with hooks whose turns interleave: at every pause all its places agree."""

    naps: int = 0
    wakes: int = 0

    async def on_activate(self) -> None:
        """Sometimes wait until the waking itself is durable."""
        self.wakes += 1
        self.by = self._incarnation
        if self.wakes % 3 == 0:
            await self.ctx.storage.sync()

    async def on_deactivate(self) -> None:
        """Write while the actor goes to sleep."""
        await self.ctx.storage.put("naps", self.naps + 1)
        await asyncio.sleep(0.001)
        self.naps += 1
        self.by = self._incarnation

    @interleave
    @readonly
    async def peek(self) -> list[int]:
        """Return the tokens; this may run beside any other turn."""
        return self.tokens

    @interleave
    async def join(self, token: int, pause: float) -> list[int]:
        """Add a token while other turns run."""
        self._note(token)
        await asyncio.sleep(pause)
        return self.tokens

    @interleave
    async def fail_beside(self, first: int, undone: int, pause: float) -> None:
        """Add a token while other turns run, wait, add another one, and raise."""
        seen = list(self.tokens)
        self._note(first)
        await asyncio.sleep(pause)
        await self._keep(undone)
        self._note(undone)
        raise Boom(seen)

    @interleave
    async def group_beside(self, first: int, undone: int, pause: float) -> None:
        """Add a token in one task while another one adds a token and raises."""
        seen = list(self.tokens)

        async def works() -> None:
            await asyncio.sleep(pause / 2)
            self._note(first)
            await asyncio.sleep(pause)

        async def fails() -> None:
            await asyncio.sleep(pause)
            await self._keep(undone)
            self._note(undone)
            raise Boom(seen)

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(works())
                group.create_task(fails())
        except ExceptionGroup:
            raise Boom(seen) from None

    async def hold(self, token: int, pause: float) -> list[int]:
        """Add a token, and wait with it: others may join, or go on in the background."""
        await self._keep(token)
        self._note(token)
        await asyncio.sleep(pause)
        return self.tokens

    async def later(self, now: int, then: int, pause: float) -> list[int]:
        """Answer now, and go on in the background."""
        self._note(now)
        self.ctx.wait_until(self._later(then, pause))
        return self.tokens

    async def later_fails(self, now: int, undone: int, pause: float) -> list[int]:
        """Answer now, and fail in the background."""
        self._note(now)
        self.ctx.wait_until(self._later(undone, pause, fails=True))
        return self.tokens

    async def _later(self, token: int, pause: float, *, fails: bool = False) -> None:
        await asyncio.sleep(pause)
        await self._keep(token)
        self._note(token)
        if fails:
            raise Boom([])


class Teller(Ledger):
    """An actor that calls other actors in the middle of a turn."""

    async def transfer(self, steps: list[int], source: str, target: str) -> list[int]:
        """Note the transfer, call two ledgers one after the other, then note that it is done."""
        with self._alone():
            self._note(steps[0])
            await self.ctx.get(Ledger, source).add_kept(steps[1])
            await self.ctx.get(Ledger, target).add(steps[2])
            self._note(steps[3])
        return self.tokens

    async def look(self, ledger: str) -> list[int]:
        """Return what another actor shows."""
        return await self.ctx.get(Ledger, ledger).read()
