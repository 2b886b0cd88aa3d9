"""The scenarios as a Worker: /worker/ROW runs one in the Worker, /object/ROW inside an object."""

import asyncio
import json
from urllib.parse import parse_qsl, unquote, urlparse

import alarms as alarms
import calls as calls
import gates as gates
import identity as identity
import js
import pairs as pairs
import programs as programs
import remote as remote
import sockets
import sql as sql
import storage as storage
import streams as streams
import transactions as transactions
import web as web
import wired
from facts import in_object, in_worker, now, outcome, plain, wait
from remote import Giving as Giving
from sockets import Mute as Mute
from sockets import Talking as Talking
from workers import DurableObject, Response, WorkerEntrypoint

made = {}  # by name: how often the object was constructed


class Base(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.count = 0
        self.own = lambda: 1
        self.log = []
        made[ctx.id.name] = made.get(ctx.id.name, 0) + 1

    def inherited(self):
        return "inherited"

    async def run(self, row, given=None):
        return json.dumps(plain(await in_object[row](self, given or {})))


class Probe(Base):
    async def add(self, by):
        self.count += by
        return self.count

    def synchronous(self, n):
        return n * 2

    async def nothing(self):
        pass

    async def keep(self, value):
        return value

    async def whoami(self):
        return [self.ctx.id.toString(), self.ctx.id.name]

    async def echo(self, value=None):
        return value

    async def fail(self, kind, text):
        self.count += 1
        raise getattr(js, kind).new(text)

    async def note(self, value):
        self.log.append(value)
        return value

    async def notes(self):
        return self.log

    async def call(self, callback):
        return await callback(2, 3)

    async def bump(self, ms):
        value = await self.ctx.storage.get("n") or 0
        if ms:
            await wait(ms)
        await self.ctx.storage.put("n", value + 1)
        return value + 1

    async def pause(self, ms):
        await wait(ms)
        return "waited"

    async def abort(self, reason=None):
        if reason:
            self.ctx.abort(reason)
        else:
            self.ctx.abort()
        await wait(1000)

    async def catchAbort(self, reason):
        try:
            self.ctx.abort(reason)
        except Exception:
            self.log.append("caught")
        await wait(1000)
        return "went on"

    async def putAbort(self, sync):
        await self.ctx.storage.put("before", 1)
        if sync:
            await self.ctx.storage.sync()
        else:
            await wait(1)
        self.ctx.storage.put("after", 1)
        self.ctx.abort("stored")

    async def keys(self):
        return list(await self.ctx.storage.list())

    async def block(self, ms):
        async def work():
            self.log.append("block begins")
            await wait(ms)
            self.log.append("block ends")
            return "val"

        return await self.ctx.blockConcurrencyWhile(work)

    async def blockFail(self, at_once):
        def now():
            raise js.RangeError.new("at once")

        async def later():
            await wait(20)
            raise js.RangeError.new("inside")

        await self.ctx.storage.put("before", 1)
        await self.ctx.blockConcurrencyWhile(now if at_once else later)

    async def blockSelf(self):
        stub = self.env.PROBE.get(self.ctx.id)

        async def work():
            await stub.note("never")

        await self.ctx.blockConcurrencyWhile(work)

    async def askSelf(self):
        return await self.env.PROBE.get(self.ctx.id).add(10)

    async def transact(self):
        async def closure(txn):
            for n in range(3):
                self.log.append(f"t{n}")
                await txn.put(f"t{n}", n)
                await wait(20)

        await self.ctx.storage.transaction(closure)

    async def ticks(self, count, ms):
        for n in range(count):
            await wait(ms)
            self.log.append(n)

    async def _private(self):
        return 1

    async def alarm(self):
        pass

    async def webSocketMessage(self, ws, message):
        pass

    async def fetch(self, request):
        path = urlparse(request.url).path
        if path.startswith("/note/"):
            self.log.append(path[6:])
        if path == "/fail":
            raise js.RangeError.new("boom")
        if path == "/abort":
            await wait(20)
            self.ctx.abort("why")
        if path == "/nothing":
            return None
        body = await request.text()
        return Response.json({"method": str(request.method), "url": request.url, "body": body})


class Other(Base):
    async def add(self, by):
        self.count += by
        return self.count


class Bare:
    def __init__(self, state, env):
        self.state = state

    async def fetch(self, request):
        return Response("here")

    async def other(self):
        return 1


class Failing(Base):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        if made[ctx.id.name] < 3:
            raise js.RangeError.new("not yet")

    async def hello(self):
        return "hello"

    async def fetch(self, request):
        return Response("hello")


class Blocking(Base):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.flag = 0
        ctx.blockConcurrencyWhile(self.load)

    async def load(self):
        await wait(60)
        self.flag = 1

    async def get(self):
        return self.flag

    async def fetch(self, request):
        return Response(str(self.flag))


class Timed(Base):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.slow = self.quick = 0
        self.tasks = [asyncio.ensure_future(self.later()), asyncio.ensure_future(self.soon())]

    async def later(self):
        await wait(500)
        self.slow = 1

    async def soon(self):
        await self.ctx.storage.get("x")
        self.quick = 1

    async def get(self):
        return [self.slow, self.quick]


class Ringing(Base):
    async def alarm(self, info):
        storage = self.ctx.storage
        rings = await storage.get("rings") or []
        rings.append(
            {
                "retryCount": info.retryCount,
                "isRetry": info.isRetry,
                "fresh": self.count == 0,
                "scheduled": info.scheduledTime <= now(),
                "shown": await storage.getAlarm(),
                "at": now(),
            }
        )
        self.count += 1
        await storage.put({"rings": rings, "named": self.ctx.id.name or "nothing"})
        await storage.sync()
        await self.follow(await storage.get("plan") or "quiet", len(rings))

    async def follow(self, plan, times):
        storage = self.ctx.storage
        if plan in ("again", "reset") and times < 3:
            await storage.setAlarm(now() + 20)
        if plan in ("throw", "reset") and times < 3:
            raise Exception("not today")
        if plan == "drop":
            await storage.deleteAlarm()
            raise Exception("not today")
        if plan == "abort" and times < 2:
            self.ctx.abort("enough")
        if plan == "slow":
            await wait(1000)
            self.log.append("alarm ends")

    async def note(self, value):
        self.log.append(value)

    async def notes(self):
        return self.log


class Planned(Base):
    async def alarm(self, info):
        await programs.ring(self, info)


class Old(Base):
    pass


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        url = urlparse(request.url)
        where, row = url.path.split("/")[1:3]
        given = dict(parse_qsl(url.query))
        if where == "wire":
            return await wired.wired(request)
        if where == "plain":
            return sockets.plain_socket(request)
        if where == "worker":
            found = await outcome(lambda: in_worker[row](self.env, given, made))
            return Response.json(found)
        space = getattr(self.env, given.get("space", "PROBE"))
        if where == "socket":
            return await space.getByName(unquote(row)).fetch(request)

        async def ask():
            return json.loads(await space.getByName(given.get("name", row)).run(row, given))

        return Response.json(await outcome(ask))
