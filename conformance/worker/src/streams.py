"""J: streams and signals."""

import asyncio

import js
from facts import each, outcome, wait, worker
from js import AbortController, AbortSignal, ReadableStream, TransformStream


def b(t):
    return t.encode()


def of(*parts):
    def start(c):
        for p in parts:
            c.enqueue(b(p))
        c.close()

    return ReadableStream.new(start=start)


async def all_(stream):
    out = []
    r = stream.getReader()
    while True:
        n = await r.read()
        if n.done:
            return out
        out.append(bytes(n.value).decode())


def do(*a):
    return a[-1]


def thrown(e):
    raise e


@worker
async def J15(env, given, made):
    def two():
        s = of("a")
        s.getReader()
        s.getReader()

    async def released():
        s = of("a", "b")
        r = s.getReader()
        one = await r.read()
        r.releaseLock()
        return [bytes(one.value).decode(), await all_(s)]

    async def after():
        r = of("a").getReader()
        r.releaseLock()
        return await r.read()

    async def tee():
        x, y = of("a", "b").tee()
        return [await all_(x), await all_(y)]

    def locked():
        s = of("a")
        before = s.locked
        r = s.getReader()
        now = s.locked
        r.releaseLock()
        return [before, now, s.locked]

    async def pulled():
        n = 0

        async def pull(c):
            nonlocal n
            await wait(1)
            if n == 3:
                c.close()
            else:
                c.enqueue(b(str(n)))
                n += 1

        return await all_(ReadableStream.new(pull=pull))

    async def transform():
        t = TransformStream.new()
        w = t.writable.getWriter()
        got = asyncio.ensure_future(all_(t.readable))
        await w.write(b"x")
        await w.write(b"y")
        await w.close()
        return await got

    async def tabort():
        t = TransformStream.new()
        w = t.writable.getWriter()
        got = asyncio.ensure_future(outcome(lambda: all_(t.readable)))
        await w.abort(js.RangeError.new("enough"))
        return await got

    async def wclose():
        t = TransformStream.new()
        w = t.writable.getWriter()
        reading = asyncio.ensure_future(all_(t.readable))
        await w.close()
        await reading
        await w.write(b"x")

    def two_w():
        t = TransformStream.new()
        t.writable.getWriter()
        t.writable.getWriter()

    async def pipe():
        t = TransformStream.new()
        done = asyncio.ensure_future(of("a", "b").pipeTo(t.writable))
        got = await all_(t.readable)
        await done
        return got

    async def used():
        r = js.Response.new("xyz")
        await all_(r.body)
        return [r.bodyUsed, await outcome(lambda: r.text())]

    async def blocked():
        r = js.Response.new(of("a"))
        reader = r.body.getReader()
        await reader.read()
        reader.releaseLock()
        return await r.text()

    async def through():
        r = js.Response.new(of("a", "b"))
        s = js.Response.new(r.body, status=201)
        return [await s.text(), r.bodyUsed]

    async def fa():
        return [bytes(c).decode() async for c in of("a", "b")]

    return await each(
        {
            "chunks": lambda: all_(of("a", "b")),
            "empty": lambda: all_(of()),
            "two readers": two,
            "released": released,
            "read after release": after,
            "tee": tee,
            "locked": locked,
            "error": lambda: all_(
                ReadableStream.new(start=lambda c: c.error(js.RangeError.new("broken")))
            ),
            "error in start": lambda: all_(
                ReadableStream.new(start=lambda c: thrown(js.RangeError.new("start")))
            ),
            "error in pull": lambda: all_(
                ReadableStream.new(pull=lambda c: thrown(js.RangeError.new("pull")))
            ),
            "close twice": lambda: do(
                ReadableStream.new(start=lambda c: do(c.close(), c.close(), None)), 1
            ),
            "pulled": pulled,
            "transform": transform,
            "transform abort": tabort,
            "write after close": wclose,
            "two writers": two_w,
            "pipe": pipe,
            "body of a response": lambda: all_(js.Response.new("xyz").body),
            "body used": used,
            "body locked": blocked,
            "through": through,
            "for await": fa,
            "from": lambda: js.Response.new(getattr(ReadableStream, "from")([b"a", b"b"])).text(),
        }
    )


@worker
async def J16(env, given, made):
    def fresh():
        c = AbortController.new()
        return [c.signal.aborted, c.signal.reason]

    def abort():
        c = AbortController.new()
        c.abort()
        return [c.signal.aborted, c.signal.reason.name, c.signal.reason.message]

    def reason():
        c = AbortController.new()
        c.abort("why")
        return c.signal.reason

    def throws():
        c = AbortController.new()
        c.abort(js.RangeError.new("why"))
        c.signal.throwIfAborted()

    def twice():
        c = AbortController.new()
        c.abort("a")
        c.abort("b")
        return c.signal.reason

    def event():
        got = []
        c = AbortController.new()
        c.signal.addEventListener("abort", lambda e: got.append(e.type))
        c.abort()
        return got

    async def timeout():
        s = AbortSignal.timeout(10)
        await wait(100)
        return [s.aborted, s.reason.name, s.reason.message]

    def any_():
        c = AbortController.new()
        s = AbortSignal.any([AbortController.new().signal, c.signal])
        c.abort("x")
        return [s.aborted, s.reason]

    async def fabort():
        return (
            await env.GIVING.getByName("J16").fetch(
                "http://h/", signal=AbortSignal.abort(js.RangeError.new("no"))
            )
        ).status

    async def flater():
        c = AbortController.new()
        js.setTimeout(lambda: c.abort(), 50)
        return (await env.GIVING.getByName("J16").fetch("http://h/sleep", signal=c.signal)).status

    async def inreq():
        c = AbortController.new()
        q = js.Request.new("http://h/sleep", signal=c.signal)
        c.abort(js.RangeError.new("gone"))
        return [q.signal.aborted, await outcome(lambda: env.GIVING.getByName("J16").fetch(q))]

    return await each(
        {
            "fresh": fresh,
            "abort": abort,
            "reason": reason,
            "throws": throws,
            "throws by default": lambda: AbortSignal.abort().throwIfAborted(),
            "twice": twice,
            "event": event,
            "timeout": timeout,
            "any": any_,
            "fetch aborted": fabort,
            "fetch aborted later": flater,
            "in a request": inreq,
        }
    )
