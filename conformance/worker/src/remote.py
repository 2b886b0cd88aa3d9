"""K: calls between a Worker and objects: what may cross, what errors say, what breaks."""

import asyncio
from contextlib import suppress
from urllib.parse import urlparse

import js
from facts import each, inside, outcome, wait, worker
from workers import DurableObject, Request, Response

count = {}


def failing(text):
    raise js.RangeError.new(text)


class Giving(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.log = []
        self.kept = None
        name = ctx.id.name
        n = count[name] = count.get(name, 0) + 1

        async def fails():
            await wait(5)
            raise js.RangeError.new("in block")

        async def fails_at_once():
            raise js.RangeError.new("in block")

        async def caught():
            with suppress(Exception):
                await ctx.blockConcurrencyWhile(fails_at_once)

        async def seven():
            await wait(5)
            return 7

        async def value():
            self.log.append(await ctx.blockConcurrencyWhile(seven))

        async def ab():
            self.log.append("a")
            await wait(20)
            self.log.append("b")

        async def cd():
            self.log.append("c")
            await wait(5)
            self.log.append("d")

        if name == "ctor once" and n == 1:
            raise js.RangeError.new("ctor")
        if name == "ctor abort" and n == 1:
            ctx.abort("in ctor")
        if name == "ctor block" and n == 1:
            ctx.blockConcurrencyWhile(fails)
        if name == "ctor block sync" and n == 1:
            ctx.blockConcurrencyWhile(lambda: failing("in block"))
        if name == "ctor block caught" and n == 1:
            self.task = asyncio.ensure_future(caught())
        if name == "ctor value":
            self.task = asyncio.ensure_future(value())
        if name == "ctor two":
            ctx.blockConcurrencyWhile(ab)
            ctx.blockConcurrencyWhile(cd)
        if name == "ctor put" and n == 1:
            ctx.storage.put("x", 1)
            raise js.Error.new("after put")

    async def births(self):
        return count[self.ctx.id.name]

    async def note(self, v):
        self.log.append(v)
        return v

    async def notes(self):
        return self.log

    async def echo(self, v):
        return v

    async def two(self, a=None, b=None):
        return [a, b]

    async def give(self, what):
        n = 0

        def counter():
            nonlocal n
            n += 1
            return n

        async def later(ms):
            await wait(ms)
            return "later"

        match what:
            case "function":
                return lambda a, b: a + b
            case "counter":
                return counter
            case "in dict":
                return {"f": lambda x: x * 2, "n": 1, "list": [lambda x: x + 1]}
            case "raising":
                return lambda: failing("in function")
            case "later":
                return later
            case "nested":
                return lambda: lambda: 5
            case "response":
                return Response("body", status=201, status_text="Fine", headers={"a": "b"})
            case "null response":
                return Response(None, status=204)
            case "request":
                return Request("http://h/x?y", method="POST", body="b", headers={"a": "b"})
            case "headers":
                return js.Headers.new(
                    [["a", "1"], ["a", "2"], ["set-cookie", "x"], ["set-cookie", "y"]]
                )
            case "stream":
                return Response("streamed").body
            case "in list":
                return [Response("in list")]
            case "url":
                return js.URL.new("http://h/")
            case "map":
                return js.Map.new([["a", 1], ["b", [2]]])
            case "set":
                return {"a"}
            case "id":
                return len(self.ctx.id.toString())
            case "stub":
                return self.env.GIVING.getByName("R given")
            case "error":
                return js.RangeError.new("as value")
            case "custom error":
                e = js.Error.new("text")
                e.name = "CustomError"
                return e
            case "undefined in dict":
                return {"a": None, "b": None}
            case "self":
                return self
            case "ctx":
                return self.ctx

    async def mark(self, marks):
        error = js.Error.new("marked")
        for mark in marks:
            setattr(error, mark, True)
        raise error

    async def relay(self):
        return await self.env.GIVING.getByName("K17 other").mark(["overloaded"])

    async def keep(self, f):
        self.kept = f
        return await f(1)

    async def keepDup(self, f):
        self.kept = f.dup()
        return await f(1)

    async def useKept(self):
        return await self.kept(2)

    async def callTwice(self, f):
        return await asyncio.gather(f(1), f(2))

    async def callIn(self, d):
        return await d["f"](3)

    async def stop(self, kind):
        self.ctx.storage.put("x", kind)
        match kind:
            case "error":
                self.ctx.abort(js.RangeError.new("why"))
            case "number":
                self.ctx.abort(5)
            case "undefined":
                self.ctx.abort(js.undefined)
            case "empty":
                self.ctx.abort("")
            case "lines":
                self.ctx.abort("a\nb")
        await wait(100)

    async def stopIn(self, how):
        async def later():
            await wait(10)
            self.ctx.abort("later")

        async def block():
            self.ctx.abort("in block")

        async def transaction(txn):
            self.ctx.abort("in transaction")

        match how:
            case "waitUntil":
                self.ctx.waitUntil(later())
            case "block":
                await self.ctx.blockConcurrencyWhile(block)
            case "timer":
                js.setTimeout(lambda: self.ctx.abort("in timer"), 10)
            case "transaction":
                await self.ctx.storage.transaction(transaction)
        return "answered"

    async def background(self, how):
        async def fails():
            raise Exception("unheard")

        async def fails_later():
            await wait(5)
            raise Exception("unheard")

        async def done():
            await wait(300)
            self.log.append("done")

        async def put():
            await wait(5)
            await self.ctx.storage.put("bg", 1)

        match how:
            case "fails":
                self.ctx.waitUntil(fails())
            case "fails later":
                self.ctx.waitUntil(fails_later())
            case "number":
                self.ctx.waitUntil(5)
            case "ends after":
                self.ctx.waitUntil(done())
            case "put":
                self.ctx.waitUntil(put())
            case "unheld":
                self.task = asyncio.ensure_future(fails_later())
        return "answered"

    async def stored(self, key):
        return await self.ctx.storage.get(key)

    async def section(self, how):
        ctx = self.ctx
        block = ctx.blockConcurrencyWhile
        say = self.log.append

        async def nothing():
            pass

        async def a_dict():
            return {"a": [1]}

        async def function():
            return lambda: 5

        async def fails(text="caught"):
            raise js.RangeError.new(text)

        async def caught_inside():
            try:
                raise js.RangeError.new("x")
            except Exception:
                return "fine"

        async def nested_fails():
            try:
                await block(lambda: fails("nested"))
            except Exception as error:
                return error.message

        async def slow(first, ms, last):
            say(first)
            await wait(ms)
            say(last)

        async def ended():
            await wait(20)
            say("ended")

        async def inner():
            await wait(5)
            say(2)
            return "in"

        async def nested():
            say(1)
            v = await block(inner)
            say(3)
            return v

        async def txn_in():
            async def run(txn):
                await txn.put("t", 1)
                return "txn"

            return await ctx.storage.transaction(run)

        async def block_in(txn):
            async def run():
                await wait(5)
                return "blocked"

            return await block(run)

        async def after_put():
            await ctx.storage.put("lost", 1)
            raise js.RangeError.new("after put")

        async def fails_later():
            await wait(20)
            raise js.RangeError.new("later")

        match how:
            case "nothing":
                return await block(nothing)
            case "plain":
                return await block(lambda: 5)
            case "no function":
                return await block(5)
            case "none":
                return await block(js.undefined)
            case "dict":
                return await block(a_dict)
            case "function":
                return (await block(function))()
            case "caught":
                try:
                    await block(fails)
                except Exception as e:
                    return [e.name, e.message]
            case "caught inside":
                return await block(caught_inside)
            case "nested fails":
                return await block(nested_fails)
            case "not awaited":
                block(ended)
                return "answered"
            case "two":
                return await asyncio.gather(
                    block(lambda: slow(1, 20, 2)), block(lambda: slow(3, 5, 4))
                )
            case "nested":
                return await block(nested)
            case "transaction":
                return await block(txn_in)
            case "in transaction":
                return await ctx.storage.transaction(block_in)
            case "other object":
                return await block(lambda: self.env.GIVING.getByName("R other").note("x"))
            case "fails after put":
                await ctx.storage.put("kept", 1)
                await block(after_put)
            case "fails later":
                block(fails_later)
                return "answered"

    async def fetch(self, request):
        path = urlparse(request.url).path
        match path:
            case "/sleep":
                await wait(2000)
                return Response("slept")
            case "/throw-text":
                raise js.Error.new("text")
            case "/number":
                return 5
            case "/echo":
                return Response(request.body, headers=dict(request.headers))
            case "/stop":
                self.ctx.abort("by fetch")
            case "/used":
                r = Response("x")
                await r.text()
                return r
            case "/same":
                if not hasattr(self, "same"):
                    self.same = Response("same")
                return self.same
            case "/custom":
                return Response("x", status=299, status_text="Mine")
            case "/bare":
                return Response("x", status=404)
            case "/cf":
                return js.Response.json(request.cf)
            case "/redirect":
                return Response.redirect("http://h/echo", 302)
            case "/stream":
                return Response(js.ReadableStream.new(chunks()))
            case "/broken":
                return Response(js.ReadableStream.new(breaking()))
        return js.Response.json(
            [
                str(request.method),
                request.url,
                [list(p) for p in request.js_object.headers],
                await request.text(),
            ]
        )


async def chunks():
    for n in range(3):
        await wait(5)
        yield f"{n};".encode()


async def breaking():
    yield b"begun"
    raise js.RangeError.new("broken off")


async def _raise(self, what):
    e = js.Error.new("text")
    match what:
        case "custom":
            e.name = "CustomError"
        case "empty custom":
            e = js.Error.new()
            e.name = "CustomError"
        case "colon":
            e = js.Error.new("TypeError: text")
        case "lines":
            e = js.Error.new("one\ntwo")
        case "long":
            e = js.Error.new("x" * 10_000)
        case "emoji":
            e = js.Error.new("é😀")
        case "remote:":
            e = js.Error.new("remote.jsg.TypeError: text")
        case "jsg":
            e = js.Error.new("jsg.TypeError: text")
        case "overloaded":
            e = js.Error.new("marked")
            e.overloaded = e.retryable = e.durableObjectReset = True
        case "clone":
            e = js.DOMException.new("text", "DataCloneError")
        case "abort error":
            e = js.DOMException.new("text", "AbortError")
        case "uri":
            js.decodeURIComponent("%")
        case "json":
            js.JSON.parse("{")
        case "cause":
            raise js.Error.new("outer") from js.TypeError.new("inner")
    raise e


setattr(Giving, "raise", _raise)


def at(env, name):
    return env.GIVING.getByName(name)


@worker
async def K1(env, given, made):
    stub = at(env, "K1")

    def give(what, use):
        async def run():
            found = use(await stub.give(what))
            return await found if hasattr(found, "__await__") else found

        return run

    async def twice(f):
        return [await f(), await f()]

    async def in_dict(d):
        return [await d["f"](4), d["n"], await d["list"][0](1)]

    async def nested(f):
        return await (await f())()

    async def response(r):
        return [r.status, r.status_text, r.headers["a"], await r.text()]

    async def request(r):
        return [str(r.method), r.url, r.headers["a"], await r.text()]

    return await each(
        {
            "function": give("function", lambda f: f(1, 2)),
            "twice": give("counter", twice),
            "in dict": give("in dict", in_dict),
            "raising": give("raising", lambda f: f()),
            "later": give("later", lambda f: f(5)),
            "nested": give("nested", nested),
            "response": give("response", response),
            "null response": give("null response", lambda r: [r.status, r.body is None]),
            "request": give("request", request),
            "headers": give("headers", lambda h: [list(p) for p in h]),
            "stream": give("stream", lambda s: Response(s).text()),
            "in list": give("in list", lambda given: given[0].text()),
            "map": give("map", lambda m: m),
            "set": give("set", lambda m: m),
            "id": give("id", lambda m: m),
            "stub": give("stub", lambda s: s.note("given")),
            "custom error": give("custom error", lambda e: getattr(e, "message", str(e))),
            "undefined in dict": give("undefined in dict", lambda d: [d["a"], d["b"]]),
            "nothing": give("nothing", lambda v: v),
            "no such method": lambda: stub.nope(),
            "self": give("self", lambda s: "object"),
            "ctx": give("ctx", lambda s: "object"),
            "url": give("url", lambda u: u.href),
        }
    )


@worker
async def K2(env, given, made):
    stub = at(env, "K2")
    found = {}
    for what in (
        "custom",
        "empty custom",
        "colon",
        "lines",
        "long",
        "emoji",
        "remote:",
        "jsg",
        "overloaded",
        "clone",
        "abort error",
        "uri",
        "json",
        "cause",
    ):
        found[what] = await outcome(lambda: getattr(stub, "raise")(what))
    return found


@worker
async def K3(env, given, made):
    stub = at(env, "K3")
    n = 0

    def f(x):
        nonlocal n
        n += x
        return n

    async def size(count):
        return len(await stub.echo(bytes(count)))

    return await each(
        {
            "twice": lambda: stub.callTwice(lambda x: x * 10),
            "in dict": lambda: stub.callIn({"f": lambda x: x + 1}),
            "kept": lambda: stub.keep(f),
            "kept, later": lambda: stub.useKept(),
            "dup": lambda: stub.keepDup(f),
            "dup, later": lambda: stub.useKept(),
            "none": lambda: stub.two(),
            "one": lambda: stub.two(1),
            "undefined": lambda: stub.two(None, 2),
            "large": lambda: size(5_000_000),
        }
    )


@worker
async def K4(env, given, made):
    found = {}
    for kind in ("error", "number", "undefined", "empty", "lines"):
        stub = at(env, f"K4 {kind}")
        found[kind] = [
            await outcome(lambda: stub.stop(kind)),
            await outcome(lambda: stub.note(1)),
            await at(env, f"K4 {kind}").births(),
            await at(env, f"K4 {kind}").stored("x"),
        ]
    return found


@worker
async def K5(env, given, made):
    found = {}
    for how in ("waitUntil", "block", "timer", "transaction"):
        stub, other = at(env, f"K5 {how}"), at(env, f"K5 {how}")
        await other.note(1)
        found[how] = [await outcome(lambda: stub.stopIn(how))]
        await wait(400)
        found[how] += [
            await outcome(lambda: stub.note(1)),
            await outcome(lambda: other.note(1)),
            await at(env, f"K5 {how}").births(),
        ]
    return found


@worker
async def K6(env, given, made):
    found = {}
    for name in (
        "ctor once",
        "ctor abort",
        "ctor block",
        "ctor block sync",
        "ctor block caught",
        "ctor value",
        "ctor two",
        "ctor put",
    ):
        stub = at(env, name)
        found[name] = [
            await outcome(lambda: stub.notes()),
            await outcome(lambda: stub.notes()),
            await outcome(lambda: at(env, name).notes()),
            await at(env, name).births(),
            await at(env, name).stored("x"),
        ]
    return found


@worker
async def K7(env, given, made):
    found = {}
    for how in ("fails", "fails later", "number", "ends after", "put", "unheld"):
        stub = at(env, f"K7 {how}")
        found[how] = [await outcome(lambda: stub.background(how)), await stub.notes()]
        await wait(900)
        found[how] += [
            await outcome(lambda: stub.notes()),
            await stub.stored("bg"),
            await stub.births(),
        ]
    return found


@worker
async def K8(env, given, made):
    found = {}
    for how in (
        "nothing",
        "plain",
        "no function",
        "none",
        "dict",
        "function",
        "caught",
        "caught inside",
        "nested fails",
        "not awaited",
        "two",
        "nested",
        "transaction",
        "in transaction",
        "other object",
        "fails after put",
        "fails later",
    ):
        stub, other = at(env, f"K8 {how}"), at(env, f"K8 {how}")
        await other.note(0)
        found[how] = [
            await outcome(lambda: stub.section(how)),
            await outcome(lambda: stub.note("after")),
        ]
        await wait(400 if "later" in how else 0)
        found[how] += [
            await outcome(lambda: other.notes()),
            await outcome(lambda: at(env, f"K8 {how}").notes()),
            [await at(env, f"K8 {how}").stored("kept"), await at(env, f"K8 {how}").stored("lost")],
        ]
    return found


@worker
async def K9(env, given, made):
    stub = at(env, "K9")

    def get(path, **init):
        async def run():
            r = await stub.fetch(f"http://h{path}", **init)
            return [
                r.status,
                r.status_text,
                r.url,
                r.redirected,
                [list(p) for p in r.js_object.headers],
                await r.text(),
            ]

        return run

    async def of_request():
        q = Request("http://h/echo", method="POST", body="q")
        r = await stub.fetch(q)
        return [await r.text(), q.body_used]

    async def other_init():
        q = Request("http://h/", method="POST", body="q")
        return await (await stub.fetch(q, method="PUT")).json()

    async def used():
        q = Request("http://h/", method="POST", body="q")
        await q.text()
        return (await stub.fetch(q)).status

    def asked(url, **init):
        async def run():
            return (await (await stub.fetch(url, **init)).json())[1]

        return run

    async def long():
        return len(await asked("http://h/" + "x" * 100_000)())

    async def long_header():
        r = await stub.fetch("http://h/", headers={"a": "x" * 100_000})
        return len(dict((await r.json())[2])["a"])

    async def redirected():
        r = await stub.fetch(Request("http://h/redirect"))
        return [r.status, r.url]

    return await each(
        {
            "plain": get("/"),
            "custom": get("/custom"),
            "bare": get("/bare"),
            "used": get("/used"),
            "same": get("/same"),
            "same again": get("/same"),
            "number": get("/number"),
            "text": get("/throw-text"),
            "echo": get("/echo", method="POST", body="abc", headers={"x-a": "1"}),
            "headers": get(
                "/",
                headers=[
                    ("a", "1"),
                    ("a", "2"),
                    ("Cookie", "x"),
                    ("Host", "other"),
                    ("content-length", "5"),
                ],
            ),
            "post text": get("/", method="POST", body="é"),
            "post bytes": get("/", method="POST", body=b"x"),
            "put none": get("/", method="PUT"),
            "patch empty": get("/", method="PATCH", body=""),
            "head": get("/", method="HEAD"),
            "options": get("/", method="OPTIONS"),
            "delete with a body": get("/", method="DELETE", body="x"),
            "redirect": get("/redirect", redirect="manual"),
            "redirect followed": get("/redirect"),
            "redirect of a request": redirected,
            "stream": get("/stream"),
            "broken": get("/broken"),
            "cf": get("/cf", cf={"a": 1}),
            "of a request": of_request,
            "of a request, other init": other_init,
            "used request": used,
            "dots": get("/a/../b/./c%2e%2e/%2E%2e/d?x=../y"),
            "odd": get('/a b"<>`{}|^\\é%zz?q=\'"<>#f'),
            "two slashes": get("//a//b"),
            "mark": get("/?"),
            "no path": asked("http://h?x=1"),
            "port": asked("HTTPS://H:443/"),
            "other scheme": asked("ftp://h/"),
            "long": long,
            "long header": long_header,
        }
    )


@worker
async def K10(env, given, made):
    stub = at(env, "K10")
    await stub.note(1)

    async def sleeps():
        return (await stub.fetch("http://h/sleep")).status

    async def later():
        return await (await stub.give("later"))(2000)

    async def status(path):
        return (await stub.fetch(f"http://h{path}")).status

    waiting = [asyncio.ensure_future(outcome(sleeps)), asyncio.ensure_future(outcome(later))]
    await wait(400)
    found = [await outcome(lambda: status("/stop")), *await asyncio.gather(*waiting)]
    found += [await outcome(lambda: status("/")), await outcome(lambda: stub.note(1))]
    return found


@worker
async def K14(env, given, made):
    f = await at(env, "K14").give("counter")
    found = [await f()]
    await outcome(lambda: at(env, "K14").stop("empty"))
    found.append(await outcome(lambda: f()))
    return found


@worker
async def K15(env, given, made):
    response = await at(env, "K15").fetch("http://h/stream")
    await outcome(lambda: at(env, "K15").stop("empty"))
    return [await outcome(lambda: response.text())]


@worker
async def K16(env, given, made):
    name = "K16"

    async def status(stub):
        return (await stub.fetch("http://h/")).status

    unused, used = at(env, name), at(env, name)
    await used.note(1)
    late, breaking = at(env, name), at(env, name)
    await outcome(lambda: breaking.stop("lines"))
    found = []
    for stub in (unused, used, late, breaking, at(env, name)):
        found += [await outcome(lambda: stub.note(1)), await outcome(lambda: status(stub))]
    id = env.GIVING.idFromName(name)
    by_id = env.GIVING.get(id)
    found.append(await outcome(lambda: by_id.note(2)))
    await outcome(lambda: at(env, name).stop("lines"))
    found.append(await outcome(lambda: by_id.note(2)))
    found.append(await outcome(lambda: env.GIVING.get(id).note(3)))
    return found


@worker
async def K17(env, given, made):
    stub = at(env, "K17")
    found = {}
    for marks in (
        ["overloaded"],
        ["retryable"],
        ["durableObjectReset"],
        ["remote"],
        ["retryable", "overloaded"],
    ):
        found[",".join(marks)] = await outcome(lambda: stub.mark(marks))
    found["relayed"] = await outcome(lambda: stub.relay())
    return found


@worker
async def K11(env, given, made):
    stub, other = at(env, "K11"), at(env, "K11")
    blocked = stub.section("not awaited")
    calls = []
    for n in range(5):
        calls += [stub.note(f"s{n}"), other.note(f"o{n}")]
    await asyncio.gather(blocked, *calls)
    log = await stub.notes()
    return [
        log.index("ended") < log.index("s0"),
        [x for x in log if x[0] == "s"],
        [x for x in log if x[0] == "o"],
    ]


@inside
async def K12(self, given):
    order = []

    def say(what):
        return lambda *_: order.append(what)

    js.setTimeout(say("timer 0"), 0)
    js.setTimeout(say("timer 10"), 10)
    js.setTimeout(say("timer 5"), 5)
    js.setTimeout(say("timer 5 again"), 5)
    js.clearTimeout(js.setTimeout(say("never"), 1))
    order.append("at once")
    await self.ctx.storage.get("x")
    order.append("after get")
    await wait(400)
    return order


@inside
async def K13(self, given):
    stub = self.env.PROBE.get(self.ctx.id)
    gate = asyncio.Event()
    self.log.append("begin")
    calls = [stub.note("one"), stub.note("two")]
    js.setTimeout(gate.set, 30)
    await gate.wait()
    self.log.append("opened")
    await asyncio.gather(*calls)
    return self.log
