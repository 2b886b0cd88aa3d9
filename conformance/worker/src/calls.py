"""B: stubs, calls, errors, resets. I: what of a lifecycle shows in one run."""

import asyncio
from datetime import datetime

import js
from facts import inside, now, outcome, wait, worker

RESERVED = ["alarm", "webSocketMessage", "webSocketClose", "webSocketError", "dup"]


class Thing:
    pass


@worker
async def B1(env, given, made):
    return await outcome(lambda: env.PROBE.getByName("B1").fail("RangeError", "boom"))


@worker
async def B2(env, given, made):
    stub = env.PROBE.getByName("B2")
    return [await outcome(lambda: stub.fail("TypeError", "boom")), await stub.add(1)]


@worker
async def B4(env, given, made):
    stub = env.PROBE.getByName("B4")
    return [await outcome(lambda: stub.nope()), await stub.add(1)]


@worker
async def B5(env, given, made):
    stub = env.PROBE.getByName("B5")
    return [await outcome(lambda: stub.count()), await outcome(lambda: stub.own())]


@worker
async def B7(env, given, made):
    stub = env.PROBE.getByName("B7")
    return [await outcome(getattr(stub, name)) for name in RESERVED]


@worker
async def B8(env, given, made):
    stub = env.PROBE.getByName("B8")
    return [await outcome(lambda: stub.env()), await outcome(lambda: stub.ctx())]


@worker
async def B9(env, given, made):
    stub = env.BARE.getByName("B9")
    text = await (await stub.fetch("http://h/")).text()
    found = await outcome(lambda: stub.other())
    return [text, found["error"], found["message"].split(",")[0]]


@worker
async def B10(env, given, made):
    stub = env.PROBE.getByName("B10")
    response = await stub.fetch("http://h/abs?x=1", method="POST", body="hi")
    status, body = response.status, await response.json()
    return [status, body, await outcome(lambda: stub.fetch("/rel"))]


@worker
async def B13(env, given, made):
    return await env.PROBE.getByName("B13").call(lambda a, b: a * b)


@worker
async def B14(env, given, made):
    stub = env.PROBE.getByName("B14")
    return [(await outcome(lambda: stub.echo(Thing())))["error"], await stub.add(1)]


@worker
async def B15(env, given, made):
    return [await outcome(lambda: env.FAILING.getByName("B15").hello()) for _ in range(3)]


@worker
async def B16(env, given, made):
    async def call():
        return await (await env.FAILING.getByName("B16").fetch("http://h/")).text()

    return [await outcome(call) for _ in range(3)]


@worker
async def B17(env, given, made):
    stub = env.PROBE.getByName("B17")
    await stub.add(1)
    waiting = asyncio.ensure_future(outcome(lambda: stub.pause(1000)))
    await wait(0)
    found = [await outcome(lambda: stub.abort("why")), await waiting]
    found.append(await outcome(lambda: stub.add(1)))
    return [*found, await env.PROBE.getByName("B17").add(1)]


@worker
async def B19(env, given, made):
    return await outcome(lambda: env.PROBE.getByName("B19").abort())


@worker
async def B21(env, given, made):
    found = []
    for sync, name in ((True, "B21 true"), (False, "B21 false")):
        stub = env.PROBE.getByName(name)
        found.append(await outcome(lambda stub=stub, sync=sync: stub.putAbort(sync)))
        found.append(await env.PROBE.getByName(name).keys())
    return found


@worker
async def B23(env, given, made):
    found = await outcome(lambda: env.PROBE.getByName("B23").catchAbort("no"))
    return [found, await env.PROBE.getByName("B23").notes()]


@worker
async def B24(env, given, made):
    stub = env.PROBE.getByName("B24")
    await asyncio.gather(*[stub.note(n) for n in range(50)])
    return await stub.notes()


@worker
async def B25(env, given, made):
    stub = env.PROBE.getByName("B25")
    await stub.add(1)
    await asyncio.gather(
        stub.note("a"),
        stub.fetch("http://h/note/b"),
        stub.note("c"),
        stub.fetch("http://h/note/d"),
        stub.note("e"),
    )
    return await stub.notes()


@worker
async def B26(env, given, made):
    return await env.PROBE.getByName("B26").askSelf()


@worker
async def B27(env, given, made):
    return await outcome(lambda: env.PROBE.getByName("B27")._private())


@worker
async def B28(env, given, made):
    stub = env.PROBE.getByName("B28")
    stub.extra = 5
    return [stub.extra, await stub.add(1)]


@worker
async def B31(env, given, made):
    stub = env.PROBE.getByName("B31")
    values = [
        *({"a": [1, {"b": None}]}, 42, 1.5, True, None, "text", bytes([1, 2]), {1}),
        *(datetime.fromtimestamp(1767323045.006), -0.0, float("nan"), 2**70),
    ]
    return [await stub.echo(value) for value in values]


@worker
async def B33(env, given, made):
    stub, found = env.PROBE.getByName("B33"), []
    for kind in ("Error", "TypeError", "RangeError", "SyntaxError", "ReferenceError", "EvalError"):
        found.append(await outcome(lambda kind=kind: stub.fail(kind, "boom")))
    for how in ("empty", "relay", "deep", "constructed", "rejected"):
        found.append(await outcome(lambda how=how: stub.run("failing", {"how": how})))
    return [*found, await stub.add(1)]


@worker
async def B34(env, given, made):
    stub = env.PROBE.getByName("B34")

    def raises(*args):
        raise js.RangeError.new("of the callback")

    async def both(a, b):
        return [a, b]

    async def length():
        return len(await stub.echo("x" * 100_000))

    return [
        await outcome(call)
        for call in (
            *(lambda: stub.echo(), lambda: stub.echo(None)),
            *(lambda: stub.echo(None), lambda: stub.synchronous(2), lambda: stub.nothing()),
            *(lambda: stub.inherited(), lambda: stub.echo([len(stub.id.toString())])),
            lambda: stub.echo({"a": {"b": [1, "x", None, True]}}),
            *(lambda: stub.echo(""), lambda: stub.echo([]), lambda: stub.echo({})),
            *(lambda: stub.echo(js.RangeError.new("as a value")), lambda: stub.echo(float(2**53))),
            lambda: stub.echo(-(2**70)),
            lambda: stub.echo([datetime.fromtimestamp(0), b"\x01", set()]),
            *(length, lambda: stub.call(raises), lambda: stub.call(both), lambda: stub.keep(1)),
        )
    ]


@worker
async def B35(env, given, made):
    stub = env.PROBE.getByName("B35")

    async def get(url, options):
        response = await stub.fetch(url, **options)
        return [response.status, await response.json()]

    return [
        await outcome(lambda url=url, options=options: get(url, options))
        for url, options in (
            *(("http://h/a b?q=1 2#frag", {}), ("https://example.com:8443/x/../y", {})),
            *(
                ("http://H/é", {}),
                ("http://h", {}),
                ("http://h/", {"method": "put", "body": "text"}),
            ),
            *(("http://h/", {"method": "DELETE"}), ("http://h/", {"method": "POST", "body": ""})),
            *(("/rel", {}), ("h/rel", {}), ("", {}), ("http://h/", {"method": "GET", "body": "x"})),
            *(("http://user:pass@h/", {}), ("http://h/%2F%20", {})),
            ("http://h/", {"method": "B A D"}),
        )
    ]


@worker
async def B32(env, given, made):
    stub = env.PROBE.getByName("B32")

    async def status(path):
        return (await stub.fetch(f"http://h/{path}")).status

    async def get(path):
        return await outcome(lambda: status(path))

    found = [await get("fail"), await stub.add(1), await get("nothing")]
    waiting = outcome(lambda: stub.pause(1000)), get("abort")
    found += await asyncio.gather(*waiting)
    found += [await outcome(lambda: stub.add(1)), await get("x")]
    return [*found, await env.PROBE.getByName("B32").add(1)]


@worker
async def I1(env, given, made):
    stub = env.PROBE.getByName("I1")
    if given["step"] == "begin":
        return [await stub.add(1), await stub.add(1)]
    return [await stub.add(1), made["I1"]]


@worker
async def I2(env, given, made):
    stub = env.PROBE.getByName("I2")
    if given["step"] == "begin":
        return [await stub.add(1), await stub.run("pending")]
    return [await stub.add(1)]


@inside
async def pending(self, given):
    self.ctx.waitUntil(wait(14_000))


@inside
async def failing(self, given):
    stub, how = self.env.PROBE.getByName("B33 other"), given["how"]
    if how == "empty":
        raise js.Error.new()
    if how == "relay":
        return await stub.fail("RangeError", "from afar")
    if how == "deep":
        return await stub.run("failing", {"how": "relay"})
    if how == "constructed":
        return await self.env.FAILING.getByName(f"B33 {now()}").hello()
    raise js.SyntaxError.new("rejected")
