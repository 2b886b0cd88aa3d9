"""A rate limiter as a Cloudflare Worker: an object for each client, its latest hits in SQL."""

from urllib.parse import urlparse

from js import Date
from workers import DurableObject, Response, WorkerEntrypoint


class RateLimiter(DurableObject):
    """Lets a client through so many times in any window of time, to the millisecond."""

    async def hit(self):
        """Count a hit, if there is room for it; what the client may do."""
        sql, now = self.ctx.storage.sql, Date.now()
        limit, window = self.env.LIMIT, self.env.WINDOW_SECONDS * 1000
        sql.exec("CREATE TABLE IF NOT EXISTS hits (at INTEGER NOT NULL)")
        sql.exec("DELETE FROM hits WHERE at <= ?", now - window)
        seen = sql.exec("SELECT count(*) AS count, min(at) AS oldest FROM hits").one()
        if seen.count >= limit:
            return {"allowed": False, "left": 0, "wait_ms": seen.oldest + window - now}
        sql.exec("INSERT INTO hits VALUES (?)", now)
        await self.ctx.storage.setAlarm(now + window)
        return {"allowed": True, "left": limit - seen.count - 1, "wait_ms": 0}

    async def alarm(self):
        """Nobody has come for a whole window: leave nothing behind."""
        await self.ctx.storage.deleteAll()


class Default(WorkerEntrypoint):
    """`/<client>` is a hit of that client: 200 or 429."""

    async def fetch(self, request):
        """Ask the client's limiter."""
        client = urlparse(request.url).path.removeprefix("/")
        if not client:
            return Response("Which client? Ask for /<client>", status=404)
        verdict = await self.env.LIMITER.getByName(client).hit()
        if verdict["allowed"]:
            return Response.json({"left": verdict["left"]})
        seconds = -(-verdict["wait_ms"] // 1000)
        headers = {"Retry-After": str(seconds)}
        return Response.json({"wait_seconds": seconds}, status=429, headers=headers)
