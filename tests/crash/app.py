"""What the crash test serves: a counter that keeps its count in three places, and has an alarm."""

from __future__ import annotations

from datetime import timedelta

from wakeful import DurableObject, WebSocket, readonly, websocket

SCHEMA = "CREATE TABLE IF NOT EXISTS hits(number INTEGER PRIMARY KEY, filler BLOB)"


class Counter(DurableObject):
    count: int = 0
    armed: int = 0
    rang: int = 0

    async def increment(self) -> int:
        self.count += 1
        await self.ctx.storage.put("count", self.count)
        sql = self.ctx.storage.sql
        sql.exec(SCHEMA)
        sql.exec("INSERT INTO hits VALUES (?, zeroblob(100))", self.count)
        if self.count % 8 == 0:
            self.armed = self.count
            self.ctx.alarm.set(timedelta(milliseconds=20 + self.count * 37 % 400))
        return self.count

    async def alarm(self) -> None:
        self.rang = self.armed

    @websocket
    async def enter(self, socket: WebSocket) -> None:
        self.ctx.accept(socket)

    async def on_message(self, socket: WebSocket, message: str | bytes) -> None:
        """Whatever it is: the count goes back, once it is durable."""
        socket.send(str(await self.increment()))

    @readonly
    async def get(self) -> list[int]:
        """The count as each place has it, then the alarm that was set and the one that fired."""
        sql = self.ctx.storage.sql
        there = sql.exec("SELECT count(*) FROM sqlite_master WHERE name = 'hits'").one(into=int)
        rows = sql.exec("SELECT count(*) FROM hits").one(into=int) if there else 0
        stored = await self.ctx.storage.get("count", 0)
        assert isinstance(stored, int)
        return [self.count, stored, rows, self.armed, self.rang]
