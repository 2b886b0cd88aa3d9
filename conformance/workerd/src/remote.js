// K: calls between a Worker and objects: what may cross, what errors say, what breaks.

import { DurableObject } from "cloudflare:workers";
import { each, outcome, plain, wait } from "./facts.js";

const count = new Map();

export class Giving extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    this.log = [];
    this.kept = null;
    const name = ctx.id.name;
    const n = (count.get(name) ?? 0) + 1;
    count.set(name, n);
    if (name === "ctor once" && n === 1) throw new RangeError("ctor");
    if (name === "ctor abort" && n === 1) ctx.abort("in ctor");
    if (name === "ctor block" && n === 1) ctx.blockConcurrencyWhile(async () => { await wait(5); throw new RangeError("in block"); });
    if (name === "ctor block sync" && n === 1) ctx.blockConcurrencyWhile(() => { throw new RangeError("in block"); });
    if (name === "ctor block caught" && n === 1) ctx.blockConcurrencyWhile(async () => { throw new RangeError("in block"); }).catch(() => {});
    if (name === "ctor value") ctx.blockConcurrencyWhile(async () => { await wait(5); return 7; }).then((v) => { this.log.push(v); });
    if (name === "ctor two") {
      ctx.blockConcurrencyWhile(async () => { this.log.push("a"); await wait(20); this.log.push("b"); });
      ctx.blockConcurrencyWhile(async () => { this.log.push("c"); await wait(5); this.log.push("d"); });
    }
    if (name === "ctor put" && n === 1) { ctx.storage.put("x", 1); throw new Error("after put"); }
  }

  async births() { return count.get(this.ctx.id.name); }
  async note(v) { this.log.push(v); return v; }
  async notes() { return this.log; }
  async echo(v) { return v; }
  async two(a, b) { return [a ?? null, b ?? null]; }
  async give(what) {
    switch (what) {
      case "function": return (a, b) => a + b;
      case "counter": { let n = 0; return () => ++n; }
      case "in dict": return { f: (x) => x * 2, n: 1, list: [(x) => x + 1] };
      case "raising": return () => { throw new RangeError("in function"); };
      case "later": return async (ms) => { await wait(ms); return "later"; };
      case "nested": return () => () => 5;
      case "response": return new Response("body", { status: 201, statusText: "Fine", headers: { a: "b" } });
      case "null response": return new Response(null, { status: 204 });
      case "request": return new Request("http://h/x?y", { method: "POST", body: "b", headers: { a: "b" } });
      case "headers": return new Headers([["a", "1"], ["a", "2"], ["set-cookie", "x"], ["set-cookie", "y"]]);
      case "stream": return new Response("streamed").body;
      case "in list": return [new Response("in list")];
      case "url": return new URL("http://h/");
      case "blob": return new Blob(["xy"], { type: "a/b" });
      case "form": { const f = new FormData(); f.append("a", "1"); return f; }
      case "map": return new Map([["a", 1], ["b", [2]]]);
      case "set": return new Set(["a"]);
      case "id": return this.ctx.id.toString().length;
      case "stub": return this.env.GIVING.getByName("R given");
      case "error": return new RangeError("as value");
      case "custom error": { const e = new Error("text"); e.name = "CustomError"; return e; }
      case "undefined in dict": return { a: undefined, b: null };
      case "symbol": return Symbol("x");
      case "promise": return Promise.resolve(5);
      case "self": return this;
      case "ctx": return this.ctx;
      case "storage": return this.ctx.storage;
    }
  }
  async raise(what) {
    if (what === "custom") { const e = new Error("text"); e.name = "CustomError"; throw e; }
    if (what === "empty custom") { const e = new Error(); e.name = "CustomError"; throw e; }
    if (what === "colon") throw new Error("TypeError: text");
    if (what === "lines") throw new Error("one\ntwo");
    if (what === "long") throw new Error("x".repeat(10_000));
    if (what === "emoji") throw new Error("é😀");
    if (what === "remote:") throw new Error("remote.jsg.TypeError: text");
    if (what === "jsg") throw new Error("jsg.TypeError: text");
    if (what === "overloaded") { const e = new Error("marked"); e.overloaded = true; e.retryable = true; e.durableObjectReset = true; throw e; }
    if (what === "clone") throw new DOMException("text", "DataCloneError");
    if (what === "abort error") throw new DOMException("text", "AbortError");
    if (what === "uri") decodeURIComponent("%");
    if (what === "json") JSON.parse("{");
    if (what === "cause") throw new Error("outer", { cause: new TypeError("inner") });
  }
  async mark(marks) { const e = new Error("marked"); for (const mark of marks) e[mark] = true; throw e; }
  async relay() { return await this.env.GIVING.getByName("K17 other").mark(["overloaded"]); }
  async keep(f) { this.kept = f; return await f(1); }
  async keepDup(f) { this.kept = f.dup(); return await f(1); }
  async useKept() { return await this.kept(2); }
  async callTwice(f) { return await Promise.all([f(1), f(2)]); }
  async callIn(d) { return await d.f(3); }
  async stop(kind) {
    this.ctx.storage.put("x", kind);
    switch (kind) {
      case "error": this.ctx.abort(new RangeError("why"));
      case "number": this.ctx.abort(5);
      case "undefined": this.ctx.abort(undefined);
      case "empty": this.ctx.abort("");
      case "lines": this.ctx.abort("a\nb");
    }
    await wait(100);
  }
  async stopIn(how) {
    if (how === "waitUntil") this.ctx.waitUntil((async () => { await wait(10); this.ctx.abort("later"); })());
    if (how === "block") await this.ctx.blockConcurrencyWhile(async () => { this.ctx.abort("in block"); });
    if (how === "timer") setTimeout(() => this.ctx.abort("in timer"), 10);
    if (how === "transaction") await this.ctx.storage.transaction(async () => { this.ctx.abort("in transaction"); });
    return "answered";
  }
  async background(how) {
    if (how === "fails") this.ctx.waitUntil((async () => { throw new Error("unheard"); })());
    if (how === "fails later") this.ctx.waitUntil((async () => { await wait(5); throw new Error("unheard"); })());
    if (how === "number") this.ctx.waitUntil(5);
    if (how === "ends after") this.ctx.waitUntil((async () => { await wait(300); this.log.push("done"); })());
    if (how === "put") this.ctx.waitUntil((async () => { await wait(5); await this.ctx.storage.put("bg", 1); })());
    if (how === "unheld") (async () => { await wait(5); throw new Error("unheard"); })();
    return "answered";
  }
  async stored(key) { return await this.ctx.storage.get(key); }
  async section(how) {
    const ctx = this.ctx;
    const block = (callback) => ctx.blockConcurrencyWhile(callback);
    switch (how) {
      case "nothing": return await block(async () => {});
      case "plain": return await block(() => 5);
      case "no function": return await block(5);
      case "none": return await block();
      case "dict": return await block(async () => ({ a: [1] }));
      case "function": return (await block(async () => () => 5))();
      case "caught": try { await block(async () => { throw new RangeError("caught"); }); } catch (e) { return [e.name, e.message]; } break;
      case "caught inside": return await block(async () => { try { throw new RangeError("x"); } catch { return "fine"; } });
      case "nested fails": return await block(async () => { try { await block(async () => { throw new RangeError("nested"); }); } catch (e) { return e.message; } });
      case "not awaited": block(async () => { await wait(20); this.log.push("ended"); }); return "answered";
      case "two": return await Promise.all([block(async () => { this.log.push(1); await wait(20); this.log.push(2); }), block(async () => { this.log.push(3); await wait(5); this.log.push(4); })]);
      case "nested": return await block(async () => { this.log.push(1); const v = await block(async () => { await wait(5); this.log.push(2); return "in"; }); this.log.push(3); return v; });
      case "transaction": return await block(async () => await ctx.storage.transaction(async (txn) => { await txn.put("t", 1); return "txn"; }));
      case "in transaction": return await ctx.storage.transaction(async () => await block(async () => { await wait(5); return "blocked"; }));
      case "other object": return await block(async () => await this.env.GIVING.getByName("R other").note("x"));
      case "fails after put": await ctx.storage.put("kept", 1); await block(async () => { await ctx.storage.put("lost", 1); throw new RangeError("after put"); }); break;
      case "fails later": block(async () => { await wait(20); throw new RangeError("later"); }).catch(() => {}); return "answered";
    }
  }
  async fetch(request) {
    const path = new URL(request.url).pathname;
    if (path === "/sleep") { await wait(2000); return new Response("slept"); }
    if (path === "/throw-text") throw new Error("text");
    if (path === "/number") return 5;
    if (path === "/echo") return new Response(request.body, { headers: request.headers });
    if (path === "/stop") { this.ctx.abort("by fetch"); await wait(100); }
    if (path === "/used") { const r = new Response("x"); await r.text(); return r; }
    if (path === "/same") { this.same ??= new Response("same"); return this.same; }
    if (path === "/custom") return new Response("x", { status: 299, statusText: "Mine" });
    if (path === "/bare") return new Response("x", { status: 404 });
    if (path === "/cf") return Response.json(request.cf ?? null);
    if (path === "/redirect") return Response.redirect("http://h/echo", 302);
    if (path === "/stream") {
      let n = 0;
      return new Response(new ReadableStream({ async pull(c) { if (n === 3) return c.close(); await wait(5); c.enqueue(new TextEncoder().encode(`${n++};`)); } }));
    }
    if (path === "/broken") {
      let n = 0;
      return new Response(new ReadableStream({ async pull(c) { if (n++) { c.error(new RangeError("broken off")); return; } c.enqueue(new TextEncoder().encode("begun")); } }));
    }
    return Response.json([request.method, request.url, [...request.headers], await request.text()]);
  }
}

const at = (env, name) => env.GIVING.getByName(name);

export const inWorker = {
  async K1(env) {
    const stub = at(env, "K1");
    const give = (what, use) => async () => await use(await stub.give(what));
    return await each({
      function: give("function", (f) => f(1, 2)),
      twice: give("counter", async (f) => [await f(), await f()]),
      "in dict": give("in dict", async (d) => [await d.f(4), d.n, await d.list[0](1)]),
      raising: give("raising", (f) => f()),
      later: give("later", (f) => f(5)),
      nested: give("nested", async (f) => await (await f())()),
      response: give("response", async (r) => [r.status, r.statusText, r.headers.get("a"), await r.text()]),
      "null response": give("null response", async (r) => [r.status, r.body === null]),
      request: give("request", async (r) => [r.method, r.url, r.headers.get("a"), await r.text()]),
      headers: give("headers", (h) => [...h]),
      stream: give("stream", async (s) => await new Response(s).text()),
      "in list": give("in list", async (l) => await l[0].text()),
      map: give("map", (m) => m), set: give("set", (m) => m), id: give("id", (m) => m),
      stub: give("stub", async (s) => await s.note("given")),
      "custom error": give("custom error", (e) => e.message),
      "undefined in dict": give("undefined in dict", (d) => [d.a ?? null, d.b]),
      nothing: give("nothing", (v) => v ?? null),
      "no such method": () => stub.nope(),
      self: give("self", (s) => typeof s),
      ctx: give("ctx", (s) => typeof s),
      url: give("url", (u) => u.href),
    });
  },
  async K2(env) {
    const stub = at(env, "K2");
    const found = {};
    for (const what of ["custom", "empty custom", "colon", "lines", "long", "emoji", "remote:", "jsg", "overloaded", "clone", "abort error", "uri", "json", "cause"]) {
      found[what] = await outcome(() => stub.raise(what));
    }
    return found;
  },
  async K3(env) {
    const stub = at(env, "K3");
    let n = 0;
    const f = (x) => { n += x; return n; };
    return await each({
      twice: () => stub.callTwice((x) => x * 10),
      "in dict": () => stub.callIn({ f: (x) => x + 1 }),
      kept: () => stub.keep(f),
      "kept, later": () => stub.useKept(),
      dup: () => stub.keepDup(f),
      "dup, later": () => stub.useKept(),
      "none": () => stub.two(),
      "one": () => stub.two(1),
      "undefined": () => stub.two(undefined, 2),
      "large": async () => (await stub.echo(new Uint8Array(5_000_000))).length,
    });
  },
  async K4(env) {
    const found = {};
    for (const kind of ["error", "number", "undefined", "empty", "lines"]) {
      const stub = at(env, `K4 ${kind}`);
      found[kind] = [await outcome(() => stub.stop(kind)), await outcome(() => stub.note(1)), await at(env, `K4 ${kind}`).births(), await at(env, `K4 ${kind}`).stored("x") ?? null];
    }
    return found;
  },
  async K5(env) {
    const found = {};
    for (const how of ["waitUntil", "block", "timer", "transaction"]) {
      const stub = at(env, `K5 ${how}`);
      const other = at(env, `K5 ${how}`);
      await other.note(1);
      found[how] = [await outcome(() => stub.stopIn(how))];
      await wait(400);
      found[how].push(await outcome(() => stub.note(1)), await outcome(() => other.note(1)), await at(env, `K5 ${how}`).births());
    }
    return found;
  },
  async K6(env) {
    const found = {};
    for (const name of ["ctor once", "ctor abort", "ctor block", "ctor block sync", "ctor block caught", "ctor value", "ctor two", "ctor put"]) {
      const stub = at(env, name);
      found[name] = [await outcome(() => stub.notes()), await outcome(() => stub.notes()), await outcome(() => at(env, name).notes()), await at(env, name).births(), await at(env, name).stored("x") ?? null];
    }
    return found;
  },
  async K7(env) {
    const found = {};
    for (const how of ["fails", "fails later", "number", "ends after", "put", "unheld"]) {
      const stub = at(env, `K7 ${how}`);
      found[how] = [await outcome(() => stub.background(how)), await stub.notes()];
      await wait(900);
      found[how].push(await outcome(() => stub.notes()), await stub.stored("bg") ?? null, await stub.births());
    }
    return found;
  },
  async K8(env) {
    const found = {};
    for (const how of ["nothing", "plain", "no function", "none", "dict", "function", "caught", "caught inside", "nested fails", "not awaited", "two", "nested", "transaction", "in transaction", "other object", "fails after put", "fails later"]) {
      const stub = at(env, `K8 ${how}`);
      const other = at(env, `K8 ${how}`);
      await other.note(0);
      found[how] = [await outcome(() => stub.section(how)), await outcome(() => stub.note("after"))];
      await wait(how.includes("later") ? 400 : 0);
      found[how].push(await outcome(() => other.notes()), await outcome(() => at(env, `K8 ${how}`).notes()), [await at(env, `K8 ${how}`).stored("kept") ?? null, await at(env, `K8 ${how}`).stored("lost") ?? null]);
    }
    return found;
  },
  async K9(env) {
    const stub = at(env, "K9");
    const get = (path, init) => async () => {
      const r = await stub.fetch(`http://h${path}`, init);
      return [r.status, r.statusText, r.url, r.redirected, [...r.headers], await r.text()];
    };
    return await each({
      plain: get("/"), custom: get("/custom"), bare: get("/bare"), used: get("/used"), same: get("/same"), "same again": get("/same"), number: get("/number"), text: get("/throw-text"),
      echo: get("/echo", { method: "POST", body: "abc", headers: { "x-a": "1" } }), headers: get("/", { headers: [["a", "1"], ["a", "2"], ["Cookie", "x"], ["Host", "other"], ["content-length", "5"]] }),
      "post text": get("/", { method: "POST", body: "é" }), "post bytes": get("/", { method: "POST", body: new Uint8Array([120]) }), "put none": get("/", { method: "PUT" }), "patch empty": get("/", { method: "PATCH", body: "" }), head: get("/", { method: "HEAD" }), options: get("/", { method: "OPTIONS" }), "delete with a body": get("/", { method: "DELETE", body: "x" }),
      redirect: get("/redirect", { redirect: "manual" }), "redirect followed": get("/redirect"), "redirect of a request": async () => { const r = await stub.fetch(new Request("http://h/redirect")); return [r.status, r.url]; },
      stream: get("/stream"), broken: get("/broken"), cf: get("/cf", { cf: { a: 1 } }),
      "of a request": async () => { const q = new Request("http://h/echo", { method: "POST", body: "q" }); const r = await stub.fetch(q); return [await r.text(), q.bodyUsed]; },
      "of a request, other init": async () => { const q = new Request("http://h/", { method: "POST", body: "q" }); const r = await stub.fetch(q, { method: "PUT" }); return await r.json(); },
      "used request": async () => { const q = new Request("http://h/", { method: "POST", body: "q" }); await q.text(); return (await stub.fetch(q)).status; },
      dots: get("/a/../b/./c%2e%2e/%2E%2e/d?x=../y"), odd: get("/a b\"<>`{}|^\\é%zz?q='\"<>#f"), "two slashes": get("//a//b"), mark: get("/?"), "no path": async () => (await (await stub.fetch("http://h?x=1")).json())[1], port: async () => (await (await stub.fetch("HTTPS://H:443/")).json())[1], "other scheme": async () => (await (await stub.fetch("ftp://h/")).json())[1],
      long: async () => (await (await stub.fetch("http://h/" + "x".repeat(100_000))).json())[1].length,
      "long header": async () => (await (await stub.fetch("http://h/", { headers: { a: "x".repeat(100_000) } })).json())[2].find(([name]) => name === "a")[1].length,
    });
  },
  async K10(env) {
    const stub = at(env, "K10");
    await stub.note(1);
    const waiting = [outcome(async () => (await stub.fetch("http://h/sleep")).status), outcome(() => stub.give("later").then((f) => f(2000)))];
    await wait(400);
    const found = [await outcome(async () => (await stub.fetch("http://h/stop")).status), ...await Promise.all(waiting)];
    found.push(await outcome(async () => (await stub.fetch("http://h/")).status), await outcome(() => stub.note(1)));
    return found;
  },
  async K14(env) {
    const found = [];
    const fresh = at(env, "K14");
    const f = await fresh.give("counter");
    found.push(await f());
    await outcome(() => at(env, "K14").stop("empty"));
    found.push(await outcome(() => f()));
    return found;
  },
  async K15(env) {
    const found = [];
    const response = await at(env, "K15").fetch("http://h/stream");
    await outcome(() => at(env, "K15").stop("empty"));
    found.push(await outcome(() => response.text()));
    return found;
  },
  async K16(env) {
    const name = "K16";
    const unused = at(env, name);
    const used = at(env, name);
    await used.note(1);
    const late = at(env, name);
    const breaking = at(env, name);
    await outcome(() => breaking.stop("lines"));
    const found = [];
    for (const stub of [unused, used, late, breaking, at(env, name)]) found.push(await outcome(() => stub.note(1)), await outcome(async () => (await stub.fetch("http://h/")).status));
    const id = env.GIVING.idFromName(name);
    const byId = env.GIVING.get(id);
    found.push(await outcome(() => byId.note(2)));
    await outcome(() => at(env, name).stop("lines"));
    found.push(await outcome(() => byId.note(2)), await outcome(() => env.GIVING.get(id).note(3)));
    return found;
  },
  async K17(env) {
    const stub = at(env, "K17");
    const found = {};
    for (const marks of [["overloaded"], ["retryable"], ["durableObjectReset"], ["remote"], ["retryable", "overloaded"]]) found[marks] = await outcome(() => stub.mark(marks));
    found.relayed = await outcome(() => stub.relay());
    return found;
  },
  async K11(env) {
    const stub = at(env, "K11");
    const other = at(env, "K11");
    const blocked = stub.section("not awaited");
    const calls = [];
    for (let n = 0; n < 5; n++) { calls.push(stub.note(`s${n}`)); calls.push(other.note(`o${n}`)); }
    await Promise.all([blocked, ...calls]);
    const log = await stub.notes();
    return [log.indexOf("ended") < log.indexOf("s0"), log.filter((x) => x[0] === "s"), log.filter((x) => x[0] === "o")];
  },
};

export const inObject = {
  async K12(self) {
    const order = [];
    const say = (what) => () => { order.push(what); };
    setTimeout(say("timer 0"), 0);
    setTimeout(say("timer 10"), 10);
    setTimeout(say("timer 5"), 5);
    setTimeout(say("timer 5 again"), 5);
    const cleared = setTimeout(say("never"), 1);
    clearTimeout(cleared);
    order.push("at once");
    await self.ctx.storage.get("x");
    order.push("after get");
    await wait(400);
    return order;
  },
  async K13(self) {
    const stub = self.env.PROBE.get(self.ctx.id);
    let open;
    const gate = new Promise((resolve) => { open = resolve; });
    self.log.push("begin");
    const calls = [stub.note("one"), stub.note("two")];
    setTimeout(open, 30);
    await gate;
    self.log.push("opened");
    await Promise.all(calls);
    return self.log;
  },
};
