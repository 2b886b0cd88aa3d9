"""The objects as wakeful's own actors; their twins are in worker/ and workerd/."""

from __future__ import annotations

import time
from typing import Final

from wakeful import AlarmInfo, DurableObject, WebSocket, readonly, websocket

TEXT: Final = "a row of some forty characters, no more."
late_ms: Final[list[float]] = []  # of all alarms that rang in this process


class Table(DurableObject):
    """A table in the object's own database."""

    async def on_activate(self) -> None:
        """Make the table."""
        self.ctx.storage.sql.exec(
            "CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, text TEXT)"
        )

    async def insert(self) -> int:
        """Insert a row; its number."""
        row = self.ctx.storage.sql.exec("INSERT INTO rows (text) VALUES (?) RETURNING id", TEXT)
        return int(str(row.one()["id"]))

    @readonly
    async def count(self) -> int:
        """How many rows there are."""
        return int(str(self.ctx.storage.sql.exec("SELECT count(*) AS n FROM rows").one()["n"]))


class Bell(DurableObject):
    """Rings when its alarm is due."""

    due_ms: int = 0
    rung: int = 0

    async def ring_at(self, due_ms: int) -> int:
        """Set the alarm."""
        self.due_ms = due_ms
        self.ctx.alarm.set(at_ns=due_ms * 1_000_000)
        return due_ms

    async def alarm(self, info: AlarmInfo) -> None:
        """Note how late it is, and that it has rung."""
        late_ms.append(time.time() * 1000 - self.due_ms)
        self.rung += 1

    @readonly
    async def late(self) -> list[float]:
        """How late all bells have rung."""
        return late_ms


class Room(DurableObject):
    """Echoes, and says `all` to everybody."""

    @websocket
    async def join(self, socket: WebSocket) -> None:
        """Let a client in."""
        self.ctx.accept(socket)

    async def on_message(self, socket: WebSocket, message: str | bytes) -> None:
        """Answer the sender, or everybody."""
        if message == "all":
            for other in self.ctx.sockets():
                other.send(message)
        else:
            socket.send(message)

    @readonly
    async def people(self) -> int:
        """How many are in."""
        return len(self.ctx.sockets())
