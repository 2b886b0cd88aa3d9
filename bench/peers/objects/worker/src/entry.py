"""The objects as a Python Worker: the twin of workerd/objects.js."""

import time
from urllib.parse import urlparse

from js import WebSocketPair
from workers import DurableObject, Response, WorkerEntrypoint

TEXT = "a row of some forty characters, no more."
late_ms = []  # of all alarms that rang in this process


class Table(DurableObject):
    """A table in the object's own database."""

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql
        self.sql.exec("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, text TEXT)")

    async def fetch(self, request):
        """Insert a row and answer its number, or answer how many there are."""
        if request.url.endswith("/count"):
            return Response.json(self.sql.exec("SELECT count(*) AS n FROM rows").one()["n"])
        row = self.sql.exec("INSERT INTO rows (text) VALUES (?) RETURNING id", TEXT).one()
        return Response.json(row["id"])


class Bell(DurableObject):
    """Rings when its alarm is due."""

    async def fetch(self, request):
        """Set the alarm, or answer how late all bells have rung."""
        action = urlparse(request.url).path.split("/")[3]
        if action == "late":
            return Response.json(late_ms)
        due_ms = int(await request.text())
        await self.ctx.storage.put("due", due_ms)
        self.ctx.storage.setAlarm(due_ms)
        return Response.json(due_ms)

    async def alarm(self):
        """Note how late it is, and that it has rung."""
        due_ms = await self.ctx.storage.get("due")
        late_ms.append(time.time() * 1000 - due_ms)
        await self.ctx.storage.put("rung", 1)


class Room(DurableObject):
    """Echoes, and says `all` to everybody; it may sleep while its sockets are open."""

    async def fetch(self, request):
        """Let a client in, or answer how many are in."""
        if request.url.endswith("/people"):
            return Response.json(len(self.ctx.getWebSockets()))
        client, server = WebSocketPair.new().object_values()
        self.ctx.acceptWebSocket(server)
        return Response(None, status=101, web_socket=client)

    async def webSocketMessage(self, socket, message):
        """Answer the sender, or everybody."""
        if message == "all":
            for other in self.ctx.getWebSockets():
                other.send(message)
        else:
            socket.send(message)


class Default(WorkerEntrypoint):
    """Sends every request to the object its path names."""

    async def fetch(self, request):
        """Pass the request on."""
        _, kind, name, *_ = urlparse(request.url).path.split("/")
        return await getattr(self.env, kind.upper()).getByName(name).fetch(request)
