"""A chat room: who is there is in the sockets, what was said is in storage."""

import asyncio
from datetime import UTC, datetime

import msgspec

from wakeful import DurableObject, Runtime, WebSocket, readonly, websocket
from wakeful.http.settings import HttpSettings

HISTORY_MAX = 50
PAGE = "http://127.0.0.1:8000"


class Line(msgspec.Struct):
    name: str
    text: str
    at: datetime


class ChatRoom(DurableObject):
    history: list[Line] = []

    @websocket
    async def join(self, socket: WebSocket, name: str) -> None:
        name = name.strip()[:40]
        if not name or name in self._names():
            return  # not accepted: the client gets a 403
        self.ctx.set_auto_response("ping", "pong")
        self.ctx.accept(socket, tags=(name,))
        socket.attachment = name
        for line in self.history:
            socket.send(msgspec.json.encode(line).decode())
        self._tell_who()

    async def on_message(self, socket: WebSocket, message: str | bytes) -> None:
        if isinstance(message, bytes) or not message.strip():
            return
        line = Line(str(socket.attachment), message[:2000], datetime.now(UTC))
        self.history = [*self.history[1 - HISTORY_MAX :], line]
        for other in self.ctx.sockets():
            other.send(msgspec.json.encode(line).decode())

    async def on_close(self, socket: WebSocket, code: int, reason: str, clean: bool) -> None:
        self._tell_who(leaving=socket)

    @readonly
    async def who(self) -> list[str]:
        return self._names()

    def _names(self, leaving: WebSocket | None = None) -> list[str]:
        return sorted(str(s.attachment) for s in self.ctx.sockets() if s is not leaving)

    def _tell_who(self, leaving: WebSocket | None = None) -> None:
        text = msgspec.json.encode({"who": self._names(leaving)}).decode()
        for socket in self.ctx.sockets():
            if socket is not leaving:
                socket.send(text)


async def main() -> None:
    async with Runtime(".wakeful", actors=[ChatRoom]) as rt:
        server = rt.serve(settings=HttpSettings(allowed_origins=(PAGE,)))
        print(f"rooms at {server.url}; now: python -m http.server 8000 --bind 127.0.0.1")
        print(f"and open {PAGE}/index.html")
        await server.closed()


if __name__ == "__main__":
    asyncio.run(main())
