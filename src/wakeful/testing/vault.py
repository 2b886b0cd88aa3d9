"""The actor of the simulated world that has everything: SQL rows, an alarm, sockets.

Shapes:  `kept` of the database lists what the cell "kept" lists, `rings` what `rang` does: the
         alarms that were handled, by the time they were set for. `armed` is that of the alarm which
         is set, 0 without one. `said` counts what was sent to all sockets: "SAID TOKEN" each.
         A socket's attachment is the number of its last message that was handled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Final, cast

from wakeful.actor import AlarmInfo, WebSocket, readonly, websocket
from wakeful.testing.actors import KEPT, Boom, Ledger
from wakeful.testing.history import Rang

# Who is told of alarms as they are handled; set in each node's context.
witness: Final[ContextVar[Callable[[Rang], None]]] = ContextVar("simulated_witness")

PING: Final = "ping"
PONG: Final = "pong"
DELAYS_NS: Final = (0, 3_000_000, 60_000_000, 4_000_000_000)
SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS kept(id INTEGER PRIMARY KEY, token INTEGER NOT NULL, filler BLOB);"
    "CREATE INDEX IF NOT EXISTS by_token ON kept(token);"
    "CREATE TABLE IF NOT EXISTS rings(id INTEGER PRIMARY KEY, scheduled INTEGER NOT NULL)"
)


class Torn(Exception):
    """What a turn sees does not fit together."""


class Vault(Ledger):
    """An actor whose `add_kept` writes a row, sends to all sockets, and may set the alarm."""

    armed: int = 0
    rang: list[int] = []  # noqa: RUF012 - a default, copied for each actor
    said: int = 0

    @readonly
    async def audit(self) -> list[int]:
        """Whether all places agree as a turn sees them."""
        with self._alone():
            kept = cast("list[int]", await self.ctx.storage.get(KEPT, []))
            for what, places in (
                ("kept", (kept, self._column("SELECT token FROM kept ORDER BY id"))),
                ("by_token", (sorted(kept), self._column("SELECT token FROM kept ORDER BY token"))),
                ("rings", (self.rang, self._column("SELECT scheduled FROM rings ORDER BY id"))),
                ("armed", (self.armed or None, self.ctx.alarm.get() and self.armed)),
            ):
                if places[0] != places[1]:
                    raise Torn(f"{self.ctx.id}, {what}: {places[0]} is not {places[1]}")
        return self.tokens

    async def forget_rows(self, token: int) -> list[int]:
        """Remove all that is kept, and shrink the database."""
        with self._alone():
            self.ctx.storage.sql.exec(SCHEMA)
            self.ctx.storage.sql.exec("DELETE FROM kept")
            await self.ctx.storage.put(KEPT, [])
            self.kept = 0
            self._note(token)
        return self.tokens

    async def spoil(self, token: int) -> None:
        """Change everything, then add a value that cannot be stored."""
        with self._alone():
            await self._keep(token)
            self._note(token)
            self.length = cast("int", "long")

    async def alarm(self, info: AlarmInfo) -> None:
        """Fail some times first, wait, and sometimes set the next one."""
        with self._alone():
            scheduled = info.scheduled_ns
            witness.get()(Rang(self.ctx.id, scheduled, info.retries, self.ctx.now_ns()))
            if self.armed != scheduled or self.ctx.alarm.get() is not None:
                raise Torn(f"{self.ctx.id}: alarm {scheduled} fires, {self.armed} is set")
            self.ctx.storage.sql.exec(SCHEMA)
            self.ctx.storage.sql.exec("INSERT INTO rings(scheduled) VALUES (?)", scheduled)
            self.rang.append(scheduled)
            self.by = self._incarnation
            self.armed = 0
            await asyncio.sleep(scheduled % 5 / 1000)
            if scheduled % 4 == 3:
                with suppress(Boom):
                    await self.ctx.storage.transaction(self._change_mind)
            if info.retries < failures_of(scheduled):
                self._fail(scheduled)
            if scheduled % 9 == 0:
                self._arm(scheduled % 1000)

    @websocket
    async def enter(self, socket: WebSocket) -> None:
        """Accept a client, and send it the present state."""
        with self._alone():
            self.ctx.accept(socket, ["all"])
            self.ctx.set_auto_response(PING, PONG)
            socket.send(f"{self.said} 0")

    async def on_message(self, socket: WebSocket, message: str | bytes) -> None:
        """`NUMBER KIND TOKEN`: keep the token; the kinds are quick, slow, boom."""
        with self._alone():
            number, kind, token = str(message).split()
            before = cast("int | None", socket.attachment) or 0
            if not 0 <= before < int(number):
                raise Torn(f"{self.ctx.id}: message {number} comes after {before}")
            socket.attachment = -int(number) if kind == "boom" else int(number)
            await self._keep(int(token))
            if kind != "quick":
                await asyncio.sleep(int(token) % 4 / 1000)
            self._note(int(token))
            if kind == "boom":
                raise Boom([])

    async def on_close(self, socket: WebSocket, code: int, reason: str, clean: bool) -> None:
        """Write a little when a socket closes."""
        with self._alone():
            self.by = self._incarnation
            await self.ctx.storage.put("left", code)

    async def _keep(self, token: int) -> None:
        await super()._keep(token)
        sql = self.ctx.storage.sql
        sql.exec(SCHEMA)
        filler = token * 389 % 3000
        sql.exec("INSERT INTO kept(token, filler) VALUES (?, zeroblob(?))", token, filler)
        self.said += 1
        for socket in self.ctx.sockets("all"):
            socket.send(f"{self.said} {token}")
        if token % 4 == 0:
            self._arm(token)
        elif token % 4 == 1:
            self.ctx.alarm.delete()
            self.armed = 0

    async def _change_mind(self) -> None:
        self._arm(7)
        raise Boom([])

    def _arm(self, token: int) -> None:
        delay_ns = DELAYS_NS[token // 4 % len(DELAYS_NS)]
        self.ctx.alarm.set(at_ns=self.ctx.now_ns() + delay_ns + token + 1)
        self.armed = cast("int", self.ctx.alarm.get())

    def _fail(self, scheduled: int) -> None:
        if scheduled % 16 == 2:
            self.ctx.abort("in an alarm")
        raise Boom([])

    def _column(self, query: str) -> list[int]:
        sql = self.ctx.storage.sql
        if sql.exec("SELECT 1 FROM sqlite_schema").first() is None:
            return []
        return [cast("int", next(iter(row.values()))) for row in sql.exec(query)]


def failures_of(scheduled_ns: int) -> int:
    """How often the handler of an alarm fails."""
    return (1, 2, 1)[scheduled_ns % 16] if scheduled_ns % 16 < 3 else 0
