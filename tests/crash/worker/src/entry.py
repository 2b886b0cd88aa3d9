"""The crash test's counter as a Worker: a count in a cell and in rows, and an alarm for some."""

from urllib.parse import urlparse

from js import Date
from workers import DurableObject, Response, WorkerEntrypoint


class Counter(DurableObject):
    """Keeps its count in two places; every eighth sets the alarm."""

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS hits (number INTEGER, filler BLOB)")

    async def increment(self):
        """Count; the count."""
        storage = self.ctx.storage
        count = (storage.kv.get("count") or 0) + 1
        storage.put("count", count)
        storage.sql.exec("INSERT INTO hits VALUES (?, zeroblob(100))", count)
        if count % 8 == 0:
            storage.put("armed", count)
            storage.setAlarm(Date.now() + 20 + count * 37 % 400)
        return count

    async def get(self):
        """The count as each place has it, then the alarm that was set and the one that fired."""
        kv, rows = self.ctx.storage.kv, self.ctx.storage.sql.exec("SELECT count(*) AS n FROM hits")
        return [kv.get("count") or 0, rows.one().n, kv.get("armed") or 0, kv.get("rang") or 0]

    async def alarm(self):
        """Note that it has fired."""
        await self.ctx.storage.put("rang", self.ctx.storage.kv.get("armed"))


class Default(WorkerEntrypoint):
    """`/actors/Counter/<name>/<method>`, as the native one is served."""

    async def fetch(self, request):
        """Call the method."""
        _, _, _, name, method = urlparse(request.url).path.split("/")
        stub = self.env.COUNTER.getByName(name)
        result = await (stub.increment() if method == "increment" else stub.get())
        return Response.json(result)
