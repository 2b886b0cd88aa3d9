"""The objects as a Python Worker: the twin of workerd/objects.js."""

import time
from urllib.parse import urlparse

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


class Default(WorkerEntrypoint):
    """Sends every request to the object its path names."""

    async def fetch(self, request):
        """Pass the request on."""
        _, kind, name, *_ = urlparse(request.url).path.split("/")
        namespace = self.env.TABLE if kind == "table" else self.env.BELL
        return await namespace.getByName(name).fetch(request)
