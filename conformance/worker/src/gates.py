"""C: what may come in, what may go out, in which order."""

import asyncio

import js
from facts import inside, now, outcome, wait, worker


async def first(work, ms):
    """What a task gives, unless it takes too long."""
    done, _ = await asyncio.wait([work], timeout=ms / 1000)
    return work.result() if done else "no progress"


@worker
async def C1(env, given, made):
    stub = env.PROBE.getByName("C1")
    return await asyncio.gather(*[stub.bump(0) for _ in range(20)])


@worker
async def C2(env, given, made):
    stub = env.PROBE.getByName("C2")
    return await asyncio.gather(*[stub.bump(700) for _ in range(20)])


@worker
async def C3(env, given, made):
    response = await env.BLOCKING.getByName("C3 fetch").fetch("http://h/")
    return [await env.BLOCKING.getByName("C3 rpc").get(), await response.text()]


@worker
async def C5(env, given, made):
    return await env.TIMED.getByName("C5").get()


@worker
async def C7(env, given, made):
    stub = env.PROBE.getByName("C7")
    blocking = stub.block(60)
    await wait(20)
    await stub.note("event")
    await blocking
    return await stub.notes()


@worker
async def C8(env, given, made):
    return await env.PROBE.getByName("C8").block(1)


@worker
async def C9(env, given, made):
    stub = env.PROBE.getByName("C9")
    found = [await outcome(lambda: stub.blockFail(False)), await outcome(lambda: stub.add(1))]
    return [*found, await env.PROBE.getByName("C9").keys()]


@worker
async def C10(env, given, made):
    found = await outcome(lambda: env.PROBE.getByName("C10").blockFail(True))
    return [found, await env.PROBE.getByName("C10").keys()]


@worker
async def C11(env, given, made):
    began = now()
    found = await outcome(lambda: env.PROBE.getByName("C11").block(33_000))
    took = now() - began
    return [found, 29_900 <= took < 32_000, await env.PROBE.getByName("C11").add(1)]


@worker
async def C13(env, given, made):
    stub = env.PROBE.getByName("C13")
    return await first(asyncio.ensure_future(outcome(lambda: stub.blockSelf())), 1500)


@worker
async def C15(env, given, made):
    stub = env.PROBE.getByName("C15")
    ticking = asyncio.ensure_future(outcome(lambda: stub.ticks(2, 400)))
    await wait(10)
    blocking = outcome(lambda: stub.block(800))
    found = await first(asyncio.ensure_future(asyncio.gather(ticking, blocking)), 3000)
    return [found, await first(asyncio.ensure_future(stub.notes()), 500)]


@worker
async def C35(env, given, made):
    stub = env.PROBE.getByName("C35")
    transacting = stub.transact()
    await wait(10)
    await stub.note("mid")
    await transacting
    return await stub.notes()


@inside
async def C14(self, given):
    async def nest(depth):
        if not depth:
            return "deep"
        return await self.ctx.blockConcurrencyWhile(lambda: nest(depth - 1))

    return await outcome(lambda: nest(60))


@inside
async def C16(self, given):
    storage = self.ctx.storage

    async def work():
        seen = await storage.get("a")
        await storage.put("a", 2)
        return [seen, await storage.get("a"), list(await storage.list())]

    await storage.put("a", 1)
    return await self.ctx.blockConcurrencyWhile(work)


@inside
async def put(self, given):
    await self.ctx.storage.put("value", given["value"])
    return given["value"]


@inside
async def get(self, given):
    return await self.ctx.storage.get("value")


@inside
async def bump(self, given):
    return await self.bump(0)


@inside
async def failAfterPut(self, given):
    await self.ctx.storage.put("value", given["value"])
    raise js.RangeError.new("after the put")
