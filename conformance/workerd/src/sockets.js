// H: WebSockets. The driver talks to /socket/NAME and /plain; other rows have both ends.

import { DurableObject } from "cloudflare:workers";
import { outcome, plain, wait } from "./facts.js";

const born = new Map(); // by name: how often the object was constructed
const heard = []; // by the sockets of the Worker itself

function pair() {
  return Object.values(new WebSocketPair());
}

function upgraded(client) {
  return new Response(null, { status: 101, webSocket: client });
}

// What an end is told, as lines.
function listen(end) {
  const lines = [];
  end.addEventListener("message", (event) => lines.push(["message", plain(event.data)]));
  end.addEventListener("close", (event) => {
    lines.push(["close", event.code, event.reason, event.wasClean, end.readyState]);
  });
  end.addEventListener("error", (event) => lines.push(["error", event.message]));
  return lines;
}

// Wait until it is so, or for too long.
async function until(met) {
  for (let n = 0; n < 300 && !met(); n++) await wait(10);
}

export class Talking extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    this.log = [];
    born.set(ctx.id.name, (born.get(ctx.id.name) ?? 0) + 1);
  }

  async fetch(request) {
    const given = new URL(request.url).searchParams;
    const [client, server] = pair();
    if (given.get("auto")) {
      this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
    }
    if (given.get("standard")) {
      server.accept();
      server.addEventListener("message", (event) => this.webSocketMessage(server, event.data));
      server.addEventListener("close", (event) => {
        this.webSocketClose(server, event.code, event.reason, event.wasClean);
      });
      server.addEventListener("error", (event) => this.webSocketError(server, event.error));
    } else {
      this.ctx.acceptWebSocket(server, given.getAll("tag"));
    }
    return upgraded(client);
  }

  async webSocketMessage(ws, message) {
    if (typeof message !== "string") return ws.send(message);
    const [verb, rest] = message.split(":");
    this.log.push(["message", message]);
    if (verb === "echo") ws.send(rest);
    if (verb === "say") ws.send(JSON.stringify(plain(this.say(ws, rest))));
    if (verb === "keep") ws.serializeAttachment({ kept: rest });
    if (verb === "slow") { await wait(60); ws.send("slow"); }
    if (verb === "close") ws.close(4001, "bye");
    if (verb === "bare") ws.close();
    if (verb === "throw") throw new RangeError("not today");
    if (verb === "abort") this.ctx.abort("enough");
    if (verb === "all") for (const other of this.ctx.getWebSockets()) other.send(rest);
    if (verb === "put") { this.ctx.storage.put("value", rest); ws.send(`put ${rest}`); }
    if (verb === "closed") { ws.close(4001, "bye"); ws.send("never"); }
  }

  say(ws, what) {
    const sockets = (tag) => this.ctx.getWebSockets(tag).map((ws) => this.ctx.getTags(ws)[0]);
    if (what === "born") return born.get(this.ctx.id.name);
    if (what === "name") return this.ctx.id.name;
    if (what === "kept") return [ws.deserializeAttachment(), this.ctx.getTags(ws)];
    if (what === "stamp") return this.ctx.getWebSocketAutoResponseTimestamp(ws) instanceof Date;
    if (what === "tags") return [sockets(), sockets("b"), sockets("none")];
    if (what === "state") return [ws.readyState, ws.url, ws.protocol, ws.extensions];
    return this.log;
  }

  async webSocketClose(ws, code, reason, clean) {
    const live = this.ctx.getWebSockets().length;
    this.log.push(["close", code, reason, clean, ws.readyState, live]);
    if (reason === "answer") ws.close(4999, "theirs");
    if (reason === "send") ws.send("last");
  }

  async webSocketError(ws, error) { this.log.push(["error", error.message]); }
  async heard() { return this.log; }
  async live() { return this.ctx.getWebSockets().length; }
}

export class Mute extends DurableObject {
  async fetch() {
    const [client, server] = pair();
    this.ctx.acceptWebSocket(server);
    return upgraded(client);
  }
  async broadcast(text) { for (const ws of this.ctx.getWebSockets()) ws.send(text); }
}

// A socket of the Worker itself.
export function plainSocket(request) {
  const [client, server] = pair();
  const lines = listen(server);
  server.accept();
  server.addEventListener("message", (event) => {
    if (event.data === "close") server.close(4001, "bye");
    else server.send(event.data);
  });
  server.addEventListener("close", () => heard.push(...lines));
  return upgraded(client);
}

const call = (stub, query = "") => (
  stub.fetch(`http://h/${query}`, { headers: { Upgrade: "websocket" } })
);

export const inWorker = {
  async heard(env, given) { return await env.TALKING.getByName(given.name).heard(); },
  async live(env, given) { return await env.TALKING.getByName(given.name).live(); },
  async births(env, given) { return born.get(given.name) ?? 0; },
  async heardPlainly() { return heard; },
  async broadcast(env, given) { await env.MUTE.getByName(given.name).broadcast(given.text); },
  async H18(env) {
    const response = await call(env.TALKING.getByName("H18"), "?tag=a");
    const ws = response.webSocket;
    const lines = listen(ws);
    ws.accept();
    ws.send("echo:one");
    ws.send(new Uint8Array([1, 2]));
    await until(() => lines.length === 2);
    ws.close(4005, "answer");
    await until(() => lines.length === 3);
    return [response.status, ws.readyState, lines, await env.TALKING.getByName("H18").heard()];
  },
  async H25(env) {
    const [a, b] = pair();
    const found = [a.readyState, await outcome(() => a.send("x")), await outcome(() => a.close())];
    a.accept();
    a.accept();
    b.accept();
    const lines = listen(b);
    a.send("one");
    a.close(4001, "bye");
    a.close(4002, "again");
    found.push(a.readyState, await outcome(() => a.send("two")));
    await until(() => lines.length === 2);
    found.push(lines, b.readyState, await outcome(() => b.send("late")));
    b.close(4003, "answered");
    await until(() => a.readyState === 3);
    return [...found, a.readyState, b.readyState];
  },
  async H26() {
    const [a, b] = pair();
    b.accept();
    b.send("before");
    const lines = listen(a);
    await wait(20);
    a.accept();
    a.onmessage = (event) => lines.push(["on", plain(event.data)]);
    b.send(new Uint8Array([7]).buffer);
    await until(() => lines.length === 4);
    return lines;
  },
  async H28(env) {
    const [a, b] = pair();
    return [
      await outcome(() => new Response(null, { status: 200, webSocket: a }).status),
      await outcome(() => new Response(null, { status: 101 }).status),
      await outcome(() => new Response("x", { status: 101, webSocket: a }).status),
      await outcome(() => new Response(null, { status: 101, webSocket: a }).clone()),
      await outcome(() => new Response(null, { status: 101, webSocket: a }).status),
      (await env.PROBE.getByName("H28").fetch("http://h/")).webSocket,
    ];
  },
};

export const inObject = {
  async H4(self) {
    const [, a] = pair();
    const [, b] = pair();
    const [, c] = pair();
    const tags = (count) => Array.from({ length: count }, (_, n) => `t${n}`);
    const found = [
      await outcome(() => self.ctx.acceptWebSocket(a, tags(11))),
      await outcome(() => self.ctx.acceptWebSocket(a, ["x".repeat(257)])),
      await outcome(() => self.ctx.acceptWebSocket(b, tags(10).concat(["t0"]))),
      await outcome(() => self.ctx.acceptWebSocket(c, ["one", "two", "one", ""])),
    ];
    return [...found, await outcome(() => self.ctx.getTags(c)), self.ctx.getWebSockets("").length];
  },
  async H6(self) {
    const [, a] = pair();
    const [, b] = pair();
    self.ctx.acceptWebSocket(a);
    b.accept();
    return [
      await outcome(() => self.ctx.acceptWebSocket(a)),
      await outcome(() => self.ctx.acceptWebSocket(b)),
      await outcome(() => a.accept()),
      await outcome(() => self.ctx.acceptWebSocket(5)),
    ];
  },
  async H7(self) {
    const [a, b] = pair();
    b.accept();
    return [await outcome(() => self.ctx.getTags(a)), await outcome(() => self.ctx.getTags(b))];
  },
  async H8(self) {
    const [, a] = pair();
    self.ctx.acceptWebSocket(a);
    const found = [a.deserializeAttachment()];
    const value = { when: new Date(5), list: [1, "two", null] };
    a.serializeAttachment(value);
    value.list.push(3);
    found.push(a.deserializeAttachment());
    for (const size of [16_379, 16_380, 20_000]) {
      found.push(await outcome(() => a.serializeAttachment("x".repeat(size))));
    }
    a.serializeAttachment(null);
    return [...found, a.deserializeAttachment()];
  },
  async H15(self) {
    const [, a] = pair();
    self.ctx.acceptWebSocket(a);
    const found = [];
    for (const code of [1005, 1004, 1006, 1015, 999, 5000, 2000, 1001, 1100]) {
      const [, ws] = pair();
      self.ctx.acceptWebSocket(ws);
      found.push([code, await outcome(() => ws.close(code))]);
    }
    return [
      ...found,
      await outcome(() => a.close(undefined, "why")),
      await outcome(() => a.close(4000, "é".repeat(61))),
      await outcome(() => a.close(999)),
      a.readyState,
    ];
  },
  async H19(self) {
    const make = (a, b) => new WebSocketRequestResponsePair(a, b);
    const set = (a, b) => outcome(() => self.ctx.setWebSocketAutoResponse(make(a, b)));
    const shown = () => {
      const found = self.ctx.getWebSocketAutoResponse();
      return found && [found.request, found.response];
    };
    const [, a] = pair();
    self.ctx.acceptWebSocket(a);
    const found = [shown(), await set("x".repeat(2049), "b"), await set("a", "x".repeat(2049))];
    found.push(await set("a", "x".repeat(2048)), shown()?.[0], await set("c", "d"), shown());
    self.ctx.setWebSocketAutoResponse();
    return [...found, shown(), self.ctx.getWebSocketAutoResponseTimestamp(a)];
  },
  async H20(self) {
    const shown = () => self.ctx.getHibernatableWebSocketEventTimeout();
    const set = (ms) => outcome(() => self.ctx.setHibernatableWebSocketEventTimeout(ms));
    const found = [shown()];
    for (const ms of [1000, 0, 5, undefined, 604_800_000, 604_800_001, -1]) {
      found.push([await set(ms), shown()]);
    }
    return found;
  },
};
