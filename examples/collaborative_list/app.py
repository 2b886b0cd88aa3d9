"""A list that several people edit at once: a change is on disk, then in everybody's window."""

import asyncio

import msgspec

from wakeful import DurableObject, Runtime, WebSocket, readonly, websocket
from wakeful.http.settings import HttpSettings

ITEMS_MAX = 500
PAGE = "http://127.0.0.1:8000"


class Item(msgspec.Struct):
    id: int
    text: str
    done: bool = False


class Add(msgspec.Struct, tag="add"):
    text: str


class Check(msgspec.Struct, tag="check"):
    id: int
    done: bool


class Remove(msgspec.Struct, tag="remove"):
    id: int


class SharedList(DurableObject):
    items: list[Item] = []
    last_id: int = 0

    @websocket
    async def watch(self, socket: WebSocket) -> None:
        self.ctx.accept(socket)
        socket.send(self._shown())

    async def on_message(self, socket: WebSocket, message: str | bytes) -> None:
        try:
            command = msgspec.json.decode(message, type=Add | Check | Remove)
        except msgspec.DecodeError as error:
            socket.close(4000, str(error)[:100])
            return
        match command:
            case Add(text):
                await self.add(text)
            case Check(id, done):
                await self.check(id, done)
            case Remove(id):
                await self.remove(id)

    async def add(self, text: str) -> Item:
        if not (text := text.strip()[:200]):
            raise ValueError("an item needs a text")
        if len(self.items) >= ITEMS_MAX:
            raise ValueError(f"a list has room for {ITEMS_MAX} items")
        self.last_id += 1
        item = Item(self.last_id, text)
        self.items.append(item)
        self._tell()
        return item

    async def check(self, id: int, done: bool = True) -> None:
        for item in self.items:
            if item.id == id:
                item.done = done
        self._tell()

    async def remove(self, id: int) -> None:
        self.items = [item for item in self.items if item.id != id]
        self._tell()

    @readonly
    async def get(self) -> list[Item]:
        return self.items

    def _tell(self) -> None:
        for socket in self.ctx.sockets():
            socket.send(self._shown())  # leaves when what it shows is durable

    def _shown(self) -> str:
        return msgspec.json.encode(self.items).decode()


async def main() -> None:
    async with Runtime(".wakeful", actors=[SharedList]) as rt:
        server = rt.serve(settings=HttpSettings(allowed_origins=(PAGE,)))
        print(f"lists at {server.url}; now: python -m http.server 8000 --bind 127.0.0.1")
        print(f"and open {PAGE}/index.html")
        await server.closed()


if __name__ == "__main__":
    asyncio.run(main())
