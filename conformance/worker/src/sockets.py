"""H: WebSockets. The driver talks to /socket/NAME and /plain; other rows have both ends."""

import json
from datetime import datetime
from urllib.parse import parse_qs, urlparse

import js
from facts import inside, outcome, plain, wait, worker
from js import WebSocketPair, WebSocketRequestResponsePair
from pyodide.ffi import create_proxy
from workers import DurableObject, Response

born = {}  # by name: how often the object was constructed
heard_plainly = []  # by the sockets of the Worker itself


def pair():
    return WebSocketPair.new().object_values()


def upgraded(client):
    return Response(None, status=101, web_socket=client)


def listen(end):
    """What an end is told, as lines."""
    lines = []
    end.addEventListener(
        "message", create_proxy(lambda event: lines.append(["message", plain(event.data)]))
    )

    def closed(event):
        lines.append(["close", event.code, event.reason, event.wasClean, end.readyState])

    end.addEventListener("close", create_proxy(closed))
    end.addEventListener(
        "error", create_proxy(lambda event: lines.append(["error", event.message]))
    )
    return lines


async def until(met):
    """Wait until it is so, or for too long."""
    for _ in range(300):
        if met():
            return
        await wait(10)


class Talking(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.log = []
        born[ctx.id.name] = born.get(ctx.id.name, 0) + 1

    async def fetch(self, request):
        given = parse_qs(urlparse(request.url).query)
        client, server = pair()
        if "auto" in given:
            self.ctx.setWebSocketAutoResponse(WebSocketRequestResponsePair.new("ping", "pong"))
        if "standard" in given:
            server.accept()
            server.addEventListener(
                "message", create_proxy(lambda event: self.webSocketMessage(server, event.data))
            )
            server.addEventListener("close", create_proxy(lambda event: self.closed(server, event)))
            server.addEventListener(
                "error", create_proxy(lambda event: self.webSocketError(server, event.error))
            )
        else:
            self.ctx.acceptWebSocket(server, given.get("tag", []))
        return upgraded(client)

    async def webSocketMessage(self, ws, message):
        if not isinstance(message, str):
            ws.send(message)
            return
        verb, _, rest = message.partition(":")
        self.log.append(["message", message])
        match verb:
            case "echo":
                ws.send(rest)
            case "say":
                ws.send(json.dumps(plain(self.say(ws, rest))))
            case "keep":
                ws.serializeAttachment({"kept": rest})
            case "slow":
                await wait(60)
                ws.send("slow")
            case "put":
                self.ctx.storage.put("value", rest)
                ws.send(f"put {rest}")
            case "all":
                for other in self.ctx.getWebSockets():
                    other.send(rest)
            case _:
                self.end(ws, verb)

    def end(self, ws, verb):
        match verb:
            case "throw":
                raise js.RangeError.new("not today")
            case "abort":
                self.ctx.abort("enough")
            case "close":
                ws.close(4001, "bye")
            case "bare":
                ws.close()
            case "closed":
                ws.close(4001, "bye")
                ws.send("never")

    def say(self, ws, what):
        def first(tag=None):
            return [self.ctx.getTags(ws)[0] for ws in self.ctx.getWebSockets(tag)]

        match what:
            case "born":
                return born[self.ctx.id.name]
            case "name":
                return self.ctx.id.name
            case "kept":
                return [ws.deserializeAttachment(), self.ctx.getTags(ws)]
            case "stamp":
                return isinstance(self.ctx.getWebSocketAutoResponseTimestamp(ws), datetime)
            case "tags":
                return [first(), first("b"), first("none")]
            case "state":
                return [ws.readyState, ws.url, ws.protocol, ws.extensions]
        return self.log

    async def webSocketClose(self, ws, code, reason, clean):
        live = len(self.ctx.getWebSockets())
        self.log.append(["close", code, reason, clean, ws.readyState, live])
        if reason == "answer":
            ws.close(4999, "theirs")
        if reason == "send":
            ws.send("last")

    def closed(self, ws, event):
        live = len(self.ctx.getWebSockets())
        self.log.append(["close", event.code, event.reason, event.wasClean, ws.readyState, live])
        if event.reason == "answer":
            ws.close(4999, "theirs")

    async def webSocketError(self, ws, error):
        self.log.append(["error", error.message])

    async def heard(self):
        return self.log

    async def live(self):
        return len(self.ctx.getWebSockets())


class Mute(DurableObject):
    async def fetch(self):
        client, server = pair()
        self.ctx.acceptWebSocket(server)
        return upgraded(client)

    async def broadcast(self, text):
        for ws in self.ctx.getWebSockets():
            ws.send(text)


def plain_socket(request):
    """A socket of the Worker itself."""
    client, server = pair()
    lines = listen(server)
    server.accept()

    def answer(event):
        if event.data == "close":
            server.close(4001, "bye")
        else:
            server.send(event.data)

    server.addEventListener("message", create_proxy(answer))
    server.addEventListener("close", create_proxy(lambda _: heard_plainly.extend(lines)))
    return upgraded(client)


@worker
async def heard(env, given, made):
    return await env.TALKING.getByName(given["name"]).heard()


@worker
async def live(env, given, made):
    return await env.TALKING.getByName(given["name"]).live()


@worker
async def births(env, given, made):
    return born.get(given["name"], 0)


@worker
async def heardPlainly(env, given, made):
    return heard_plainly


@worker
async def broadcast(env, given, made):
    await env.MUTE.getByName(given["name"]).broadcast(given["text"])


@worker
async def H18(env, given, made):
    stub = env.TALKING.getByName("H18")
    response = await stub.fetch("http://h/?tag=a", headers={"Upgrade": "websocket"})
    ws = response.web_socket
    lines = listen(ws)
    ws.accept()
    ws.send("echo:one")
    ws.send(b"\x01\x02")
    await until(lambda: len(lines) == 2)
    ws.close(4005, "answer")
    await until(lambda: len(lines) == 3)
    return [response.status, ws.readyState, lines, await stub.heard()]


@worker
async def H25(env, given, made):
    a, b = pair()
    found = [
        a.readyState,
        await outcome(lambda: a.send("x")),
        await outcome(lambda: a.close()),
    ]
    a.accept()
    a.accept()
    b.accept()
    lines = listen(b)
    a.send("one")
    a.close(4001, "bye")
    a.close(4002, "again")
    found += [a.readyState, await outcome(lambda: a.send("two"))]
    await until(lambda: len(lines) == 2)
    found += [list(lines), b.readyState, await outcome(lambda: b.send("late"))]
    b.close(4003, "answered")
    await until(lambda: a.readyState == 3)
    return [*found, a.readyState, b.readyState]


@worker
async def H26(env, given, made):
    a, b = pair()
    b.accept()
    b.send("before")
    lines = listen(a)
    await wait(20)
    a.accept()
    a.onmessage = create_proxy(lambda event: lines.append(["on", plain(event.data)]))
    b.send(b"\x07")
    await until(lambda: len(lines) == 4)
    return lines


@worker
async def H28(env, given, made):
    def made_of(body, status, socket=None):
        return lambda: js.Response.new(body, status=status, webSocket=socket).status

    a, _ = pair()
    return [
        await outcome(made_of(None, 200, a)),
        await outcome(made_of(None, 101)),
        await outcome(made_of("x", 101, a)),
        await outcome(lambda: js.Response.new(None, status=101, webSocket=a).clone()),
        await outcome(made_of(None, 101, a)),
        (await env.PROBE.getByName("H28").fetch("http://h/")).web_socket,
    ]


@inside
async def H4(self, given):
    a, b, c = (pair()[1] for _ in range(3))
    tags = [f"t{n}" for n in range(11)]
    found = [
        await outcome(lambda: self.ctx.acceptWebSocket(a, tags)),
        await outcome(lambda: self.ctx.acceptWebSocket(a, ["x" * 257])),
        await outcome(lambda: self.ctx.acceptWebSocket(b, [*tags[:10], "t0"])),
        await outcome(lambda: self.ctx.acceptWebSocket(c, ["one", "two", "one", ""])),
    ]
    return [*found, await outcome(lambda: self.ctx.getTags(c)), len(self.ctx.getWebSockets(""))]


@inside
async def H6(self, given):
    (_, a), (_, b) = pair(), pair()
    self.ctx.acceptWebSocket(a)
    b.accept()
    return [
        await outcome(lambda: self.ctx.acceptWebSocket(a)),
        await outcome(lambda: self.ctx.acceptWebSocket(b)),
        await outcome(lambda: a.accept()),
        await outcome(lambda: self.ctx.acceptWebSocket(5)),
    ]


@inside
async def H7(self, given):
    a, b = pair()
    b.accept()
    return [
        await outcome(lambda: self.ctx.getTags(a)),
        await outcome(lambda: self.ctx.getTags(b)),
    ]


@inside
async def H8(self, given):
    _, a = pair()
    self.ctx.acceptWebSocket(a)
    found = [a.deserializeAttachment()]
    value = {"when": datetime.fromtimestamp(0.005), "list": [1, "two", None]}
    a.serializeAttachment(value)
    value["list"].append(3)
    found.append(a.deserializeAttachment())
    for size in (16_379, 16_380, 20_000):
        text = "x" * size
        found.append(await outcome(lambda text=text: a.serializeAttachment(text)))
    a.serializeAttachment(None)
    return [*found, a.deserializeAttachment()]


@inside
async def H15(self, given):
    _, a = pair()
    self.ctx.acceptWebSocket(a)
    found = []
    for code in (1005, 1004, 1006, 1015, 999, 5000, 2000, 1001, 1100):
        _, ws = pair()
        self.ctx.acceptWebSocket(ws)
        found.append([code, await outcome(lambda ws=ws, code=code: ws.close(code))])
    return [
        *found,
        await outcome(lambda: a.close(None, "why")),
        await outcome(lambda: a.close(4000, "é" * 61)),
        await outcome(lambda: a.close(999)),
        a.readyState,
    ]


@inside
async def H19(self, given):
    async def put(request, response):
        made = WebSocketRequestResponsePair.new(request, response)
        return await outcome(lambda: self.ctx.setWebSocketAutoResponse(made))

    def shown():
        found = self.ctx.getWebSocketAutoResponse()
        return found and [found.request, found.response]

    _, a = pair()
    self.ctx.acceptWebSocket(a)
    found = [shown(), await put("x" * 2049, "b"), await put("a", "x" * 2049)]
    found += [await put("a", "x" * 2048), shown()[0], await put("c", "d"), shown()]
    self.ctx.setWebSocketAutoResponse()
    return [*found, shown(), self.ctx.getWebSocketAutoResponseTimestamp(a)]


@inside
async def H20(self, given):
    def shown():
        return self.ctx.getHibernatableWebSocketEventTimeout()

    found = [shown()]
    for ms in (1000, 0, 5, None, 604_800_000, 604_800_001, -1):
        done = await outcome(lambda ms=ms: self.ctx.setHibernatableWebSocketEventTimeout(ms))
        found.append([done, shown()])
    return found
