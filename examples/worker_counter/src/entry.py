"""A counter as a Cloudflare Worker: the same file runs there and on wakeful."""

from urllib.parse import urlparse

from workers import DurableObject, Response, WorkerEntrypoint


class Counter(DurableObject):
    """A count that never falls below zero and survives restarts."""

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.storage = ctx.storage

    async def fetch(self, request):
        """Do what the path says and answer the count."""
        value = await self.storage.get("count") or 0
        match urlparse(request.url).path:
            case "/increment":
                value += 1
                await self.storage.put("count", value)
            case "/decrement":
                value = max(0, value - 1)
                await self.storage.put("count", value)
            case "/get":
                pass
            case _:
                return Response("Not found", status=404)
        return Response.json({"count": value})


class Default(WorkerEntrypoint):
    """Sends every request to the counter that `?name=` says."""

    async def fetch(self, request):
        """Pass the request on."""
        query = urlparse(request.url).query
        name = query.removeprefix("name=") or "counter-1"
        return await self.env.COUNTER.getByName(name).fetch(request)
