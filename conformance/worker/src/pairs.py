"""L: both ends of pairs, inside the Worker and in objects."""

from datetime import datetime

import js
from facts import each, inside, outcome, wait, worker
from js import WebSocketPair, WebSocketRequestResponsePair
from sockets import listen, pair


async def until(met):
    for _ in range(60):
        if met():
            return
        await wait(10)


async def ends(close):
    a, b = pair()
    a.accept()
    b.accept()
    heard, back = listen(b), listen(a)
    done = await outcome(lambda: close(a))
    await until(lambda: heard)
    if heard and b.readyState < 3:
        await outcome(lambda: b.close())
    await until(lambda: back)
    return [done, heard[:1], back, a.readyState, b.readyState]


CLOSES = {
    "1000 string 1": (1000, "x"),
    "3000 string 0": (3000, ""),
    "4999 string 61": (4999, "é" * 61),
    "undefined undefined 9": (),
    "1001 undefined 9": (1001,),
    "1011 string 1": (1011, "y"),
    "1012 string 0": (1012, ""),
    "2999 string 0": (2999, ""),
    "0 string 0": (0, ""),
    "-1 string 0": (-1, ""),
    "4000 string 4": ("4000", "text"),
    "4000.7 string 0": (4000.7, ""),
    "1000 string 123": (1000, "z" * 123),
    "66536 string 0": (66536, ""),
    "1000 number 1": (1000, 5),
}


@worker
async def L1(env, given, made):
    return {name: await ends(lambda a: a.close(*args)) for name, args in CLOSES.items()}


@worker
async def L2(env, given, made):
    async def sent(value):
        a, b = pair()
        a.accept()
        b.accept()
        heard = listen(b)
        done = await outcome(lambda: a.send(value))
        await until(lambda: heard)
        return [done, heard]

    async def large():
        done, heard = await sent("x" * 2_000_000)
        return [done, len(heard[0][1])]

    values = {
        "text": "x",
        "empty": "",
        "emoji": "😀",
        "number": 5,
        "float": 1.5,
        "bool": True,
        "bytes": b"\1\2",
        "none": b"",
        "list": [1, 2],
        "dict": {"a": 1},
        "blob": js.Blob.new(["x"]),
    }
    return {
        **{name: await outcome(lambda: sent(value)) for name, value in values.items()},
        "large": await outcome(large),
    }


@worker
async def L3(env, given, made):
    a, b = pair()
    found = await each(
        {
            "before": lambda: [
                a.readyState,
                b.readyState,
                a.url,
                a.protocol,
                a.extensions,
                a.binaryType,
            ],
            "serialize before": lambda: a.serializeAttachment({"x": 1}),
            "deserialize before": lambda: a.deserializeAttachment(),
            "close before": lambda: a.close(),
            "send before": lambda: a.send("x"),
        }
    )
    a.accept()
    b.accept()
    got = []
    b.onmessage = lambda e: got.append(["on", e.data, e.type])
    b.addEventListener("message", lambda e: got.append(["one", e.data]), {"once": True})

    def again(e):
        got.append(["again", e.data])

    b.addEventListener("message", again)
    b.addEventListener("message", again)
    a.send("1")
    a.send("2")
    await until(lambda: len(got) >= 5)
    b.removeEventListener("message", again)
    b.onmessage = None
    a.send("3")
    await wait(100)
    found["got"] = got

    def closing():
        a.close(4000, "x")
        a.close(4001, "y")
        return a.readyState

    async def answered():
        b.close(4002)
        await wait(100)
        return [a.readyState, b.readyState]

    found["wrong code"] = await outcome(lambda: a.close(5))
    found["closing"] = await outcome(closing)
    found["late send"] = await outcome(lambda: a.send("late"))
    await wait(100)
    found["other side"] = await outcome(lambda: [b.readyState])
    found["answered"] = await outcome(answered)
    found["after all"] = await outcome(lambda: b.send("x"))
    found["close after all"] = await outcome(lambda: b.close(4003))
    found["pair"] = await outcome(lambda: js.Object.keys(WebSocketPair.new()))
    return found


@inside
async def L4(self, given):
    ctx = self.ctx

    def make(tags):
        a, b = pair()
        ctx.acceptWebSocket(b, tags)
        return a, b

    def names(sockets):
        return ["+".join(ctx.getTags(ws)) for ws in sockets]

    a, b = make(["one", "x"])
    _, d = make(["two", "x"])
    make(["three"])

    async def hi():
        a.accept()
        lines = listen(a)
        b.send("hi")
        await until(lambda: lines)
        return lines

    def many():
        out = []
        for v in (0, "", False, [], {}, datetime.fromtimestamp(0.005), {"a"}, b"\1", float("nan")):
            b.serializeAttachment(v)
            out.append(b.deserializeAttachment())
        return out

    def copy():
        b.serializeAttachment({"l": [1]})
        b.deserializeAttachment()["l"].append(2)
        return b.deserializeAttachment()

    def attach_none():
        b.serializeAttachment(None)
        return b.deserializeAttachment()

    def close():
        d.close(4001, "bye")
        return [d.readyState, names(ctx.getWebSockets("x"))]

    def tags(given):
        def run():
            _, e = pair()
            ctx.acceptWebSocket(e, given)
            return ctx.getTags(e)

        return run

    def listener():
        b.addEventListener("message", lambda e: None)
        return "ok"

    def auto():
        ctx.setWebSocketAutoResponse(WebSocketRequestResponsePair.new("é", ""))
        p = ctx.getWebSocketAutoResponse()
        return [p.request, p.response]

    def numbers():
        p = WebSocketRequestResponsePair.new(1, 2)
        return [p.request, p.response]

    return await each(
        {
            "all": lambda: names(ctx.getWebSockets()),
            "x": lambda: names(ctx.getWebSockets("x")),
            "none": lambda: names(ctx.getWebSockets("q")),
            "undefined": lambda: names(ctx.getWebSockets(None)),
            "same object": lambda: ctx.getWebSockets("one")[0] is b,
            "send to a pair": hi,
            "state": lambda: [b.readyState, b.url, b.protocol, b.extensions],
            "attach undefined": attach_none,
            "attach many": many,
            "attach copy": copy,
            "close": close,
            "send after close": lambda: d.send("x"),
            "close again": lambda: d.close(4002, "again"),
            "tags after close": lambda: ctx.getTags(d),
            "wrong code": lambda: b.close(1006),
            "state after": lambda: b.readyState,
            "tags no list": tags("abc"),
            "tags numbers": tags([1, True]),
            "tags of nothing": lambda: ctx.getTags(5),
            "listener": listener,
            "auto texts": auto,
            "auto wrong": lambda: ctx.setWebSocketAutoResponse(5),
            "auto numbers": numbers,
            "stamp of nothing": lambda: ctx.getWebSocketAutoResponseTimestamp(b),
        }
    )
