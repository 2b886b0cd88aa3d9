// The scenarios as a Worker: /worker/ROW runs one in the Worker, /object/ROW inside an object.

import { DurableObject } from "cloudflare:workers";
import * as alarms from "./alarms.js";
import * as calls from "./calls.js";
import { outcome, plain, wait } from "./facts.js";
import * as gates from "./gates.js";
import * as programs from "./programs.js";
import * as identity from "./identity.js";
import * as pairs from "./pairs.js";
import * as remote from "./remote.js";
import * as sockets from "./sockets.js";
import * as sql from "./sql.js";
import * as storage from "./storage.js";
import * as streams from "./streams.js";
import * as transactions from "./transactions.js";
import * as web from "./web.js";
import { wired } from "./wired.js";

const families = [
  identity, calls, gates, storage, transactions, sql, alarms, sockets, programs, web, remote, pairs,
  streams,
];
export { Giving } from "./remote.js";
export { Mute, Talking } from "./sockets.js";
const inWorker = Object.assign({}, ...families.map((family) => family.inWorker));
const inObject = Object.assign({}, ...families.map((family) => family.inObject));
const made = new Map(); // by name: how often the object was constructed

class Base extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    this.count = 0;
    this.own = () => 1;
    this.log = [];
    const name = ctx.id.name ?? "";
    made.set(name, (made.get(name) ?? 0) + 1);
  }

  inherited() { return "inherited"; }
  async run(row, given) {
    return JSON.stringify(plain(await inObject[row](this, given ?? {})));
  }
}

export class Probe extends Base {
  get property() { return "property"; }
  async add(by) { return (this.count += by); }
  synchronous(n) { return n * 2; }
  async nothing() {}
  async keep(value) { return value; }
  async whoami() { return [this.ctx.id.toString(), this.ctx.id.name ?? null]; }
  async echo(value) { return value; }
  async fail(kind, text) { this.count += 1; throw new globalThis[kind](text); }
  async note(value) { this.log.push(value); return value; }
  async notes() { return this.log; }
  async call(callback) { return await callback(2, 3); }
  async bump(ms) {
    const value = (await this.ctx.storage.get("n")) ?? 0;
    if (ms) await wait(ms);
    await this.ctx.storage.put("n", value + 1);
    return value + 1;
  }
  async pause(ms) { await wait(ms); return "waited"; }
  async abort(reason) { reason ? this.ctx.abort(reason) : this.ctx.abort(); await wait(1000); }
  async catchAbort(reason) {
    try { this.ctx.abort(reason); } catch { this.log.push("caught"); }
    await wait(1000);
    return "went on";
  }
  async putAbort(sync) {
    await this.ctx.storage.put("before", 1);
    if (sync) await this.ctx.storage.sync();
    else await wait(1);
    this.ctx.storage.put("after", 1);
    this.ctx.abort("stored");
  }
  async keys() { return [...(await this.ctx.storage.list()).keys()]; }
  async block(ms) {
    return await this.ctx.blockConcurrencyWhile(async () => {
      this.log.push("block begins");
      await wait(ms);
      this.log.push("block ends");
      return "val";
    });
  }
  async blockFail(atOnce) {
    await this.ctx.storage.put("before", 1);
    await this.ctx.blockConcurrencyWhile(atOnce
      ? () => { throw new RangeError("at once"); }
      : async () => { await wait(20); throw new RangeError("inside"); });
  }
  async blockSelf() {
    const stub = this.env.PROBE.get(this.ctx.id);
    await this.ctx.blockConcurrencyWhile(() => stub.note("never"));
  }
  async askSelf() { return await this.env.PROBE.get(this.ctx.id).add(10); }
  async transact() {
    await this.ctx.storage.transaction(async (txn) => {
      for (let n = 0; n < 3; n++) {
        this.log.push(`t${n}`);
        await txn.put(`t${n}`, n);
        await wait(20);
      }
    });
  }
  async ticks(count, ms) {
    for (let n = 0; n < count; n++) {
      await wait(ms);
      this.log.push(n);
    }
  }
  async _private() { return 1; }
  async alarm() {}
  async webSocketMessage() {}
  async fetch(request) {
    const path = new URL(request.url).pathname;
    if (path.startsWith("/note/")) this.log.push(path.slice(6));
    if (path === "/fail") throw new RangeError("boom");
    if (path === "/abort") { await wait(20); this.ctx.abort("why"); }
    if (path === "/nothing") return undefined;
    return Response.json({ method: request.method, url: request.url, body: await request.text() });
  }
}

export class Other extends Base {
  async add(by) { return (this.count += by); }
}

export class Bare {
  constructor(state) { this.state = state; }
  async fetch() { return new Response("here"); }
  async other() { return 1; }
}

export class Failing extends Base {
  constructor(ctx, env) {
    super(ctx, env);
    if (made.get(ctx.id.name) < 3) throw new RangeError("not yet");
  }
  async hello() { return "hello"; }
  async fetch() { return new Response("hello"); }
}

export class Blocking extends Base {
  constructor(ctx, env) {
    super(ctx, env);
    this.flag = 0;
    ctx.blockConcurrencyWhile(async () => { await wait(60); this.flag = 1; });
  }
  async get() { return this.flag; }
  async fetch() { return new Response(String(this.flag)); }
}

export class Timed extends Base {
  constructor(ctx, env) {
    super(ctx, env);
    this.slow = this.quick = 0;
    wait(500).then(() => { this.slow = 1; });
    ctx.storage.get("x").then(() => { this.quick = 1; });
  }
  async get() { return [this.slow, this.quick]; }
}

export class Ringing extends Base {
  async alarm(info) {
    const storage = this.ctx.storage;
    const rings = (await storage.get("rings")) ?? [];
    rings.push({
      retryCount: info.retryCount, isRetry: info.isRetry, fresh: this.count === 0,
      scheduled: typeof info.scheduledTime === "number" && info.scheduledTime <= Date.now(),
      shown: await storage.getAlarm(), at: Date.now(),
    });
    this.count += 1;
    await storage.put({ rings, named: this.ctx.id.name ?? "nothing" });
    await storage.sync();
    const plan = (await storage.get("plan")) ?? "quiet";
    if (plan === "again" && rings.length < 3) await storage.setAlarm(Date.now() + 20);
    if (plan === "throw" && rings.length < 3) throw new Error("not today");
    if (plan === "reset" && rings.length < 3) {
      await storage.setAlarm(Date.now() + 20);
      throw new Error("not today");
    }
    if (plan === "drop") { await storage.deleteAlarm(); throw new Error("not today"); }
    if (plan === "abort" && rings.length < 2) this.ctx.abort("enough");
    if (plan === "slow") { await wait(1000); this.log.push("alarm ends"); }
  }
  async note(value) { this.log.push(value); }
  async notes() { return this.log; }
}

export class Planned extends Base {
  async alarm(info) { await programs.ring(this, info); }
}

export class Old extends Base {}

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const [where, row] = url.pathname.split("/").slice(1);
    const given = Object.fromEntries(url.searchParams);
    if (where === "wire") return await wired(request);
    if (where === "plain") return sockets.plainSocket(request);
    if (where === "worker") {
      return Response.json(await outcome(() => inWorker[row](env, given, made)));
    }
    const space = env[given.space ?? "PROBE"];
    if (where === "socket") return await space.getByName(decodeURIComponent(row)).fetch(request);
    const found = await outcome(async () => (
      JSON.parse(await space.getByName(given.name ?? row).run(row, given))
    ));
    return Response.json(found);
  },
};
