// B: stubs, calls, errors, resets. I: what of a lifecycle shows in one run.

import { outcome } from "./facts.js";

const reserved = ["alarm", "webSocketMessage", "webSocketClose", "webSocketError", "dup"];

export const inWorker = {
  async B1(env) { return await outcome(() => env.PROBE.getByName("B1").fail("RangeError", "boom")); },
  async B2(env) {
    const stub = env.PROBE.getByName("B2");
    return [await outcome(() => stub.fail("TypeError", "boom")), await stub.add(1)];
  },
  async B4(env) {
    const stub = env.PROBE.getByName("B4");
    return [await outcome(() => stub.nope()), await stub.add(1)];
  },
  async B5(env) {
    const stub = env.PROBE.getByName("B5");
    return [await outcome(() => stub.count()), await outcome(() => stub.own())];
  },
  async B7(env) {
    const stub = env.PROBE.getByName("B7");
    const found = [];
    for (const name of reserved) found.push(await outcome(() => stub[name]()));
    return found;
  },
  async B8(env) {
    const stub = env.PROBE.getByName("B8");
    return [await outcome(() => stub.env()), await outcome(() => stub.ctx())];
  },
  async B9(env) {
    const stub = env.BARE.getByName("B9");
    const text = await (await stub.fetch("http://h/")).text();
    const { error, message } = await outcome(() => stub.other());
    return [text, error, message.split(",")[0]];
  },
  async B10(env) {
    const stub = env.PROBE.getByName("B10");
    const response = await stub.fetch("http://h/abs?x=1", { method: "POST", body: "hi" });
    return [response.status, await response.json(), await outcome(() => stub.fetch("/rel"))];
  },
  async B13(env) { return await env.PROBE.getByName("B13").call((a, b) => a * b); },
  async B14(env) {
    const stub = env.PROBE.getByName("B14");
    class Thing {}
    return [(await outcome(() => stub.echo(new Thing()))).error, await stub.add(1)];
  },
  async B15(env) {
    const call = () => outcome(() => env.FAILING.getByName("B15").hello());
    return [await call(), await call(), await call()];
  },
  async B16(env) {
    const call = () => outcome(async () => (
      await (await env.FAILING.getByName("B16").fetch("http://h/")).text()
    ));
    return [await call(), await call(), await call()];
  },
  async B17(env) {
    const stub = env.PROBE.getByName("B17");
    await stub.add(1);
    const waiting = outcome(() => stub.pause(1000));
    const found = [await outcome(() => stub.abort("why")), await waiting, await outcome(() => stub.add(1))];
    return [...found, await env.PROBE.getByName("B17").add(1)];
  },
  async B19(env) { return await outcome(() => env.PROBE.getByName("B19").abort()); },
  async B21(env) {
    const found = [];
    for (const sync of [true, false]) {
      const name = `B21 ${sync}`;
      found.push(await outcome(() => env.PROBE.getByName(name).putAbort(sync)));
      found.push(await env.PROBE.getByName(name).keys());
    }
    return found;
  },
  async B23(env) {
    const found = await outcome(() => env.PROBE.getByName("B23").catchAbort("no"));
    return [found, await env.PROBE.getByName("B23").notes()];
  },
  async B24(env) {
    const stub = env.PROBE.getByName("B24");
    const calls = [];
    for (let n = 0; n < 50; n++) calls.push(stub.note(n));
    await Promise.all(calls);
    return await stub.notes();
  },
  async B25(env) {
    const stub = env.PROBE.getByName("B25");
    await stub.add(1);
    await Promise.all([stub.note("a"), stub.fetch("http://h/note/b"), stub.note("c"),
      stub.fetch("http://h/note/d"), stub.note("e")]);
    return await stub.notes();
  },
  async B26(env) { return await env.PROBE.getByName("B26").askSelf(); },
  async B27(env) { return await outcome(() => env.PROBE.getByName("B27")._private()); },
  async B28(env) {
    const stub = env.PROBE.getByName("B28");
    stub.extra = 5;
    return [stub.extra, await stub.add(1)];
  },
  async B31(env) {
    const stub = env.PROBE.getByName("B31");
    const values = [
      { a: [1, { b: null }] }, 42, 1.5, true, null, "text", new Uint8Array([1, 2]).buffer,
      new Set([1]), new Date(1767323045006), -0, NaN, 2n ** 70n,
    ];
    const found = [];
    for (const value of values) found.push(await stub.echo(value));
    return found;
  },
  async B33(env) {
    const stub = env.PROBE.getByName("B33");
    const found = [];
    for (const kind of ["Error", "TypeError", "RangeError", "SyntaxError", "ReferenceError", "EvalError"]) {
      found.push(await outcome(() => stub.fail(kind, "boom")));
    }
    for (const how of ["empty", "relay", "deep", "constructed", "rejected"]) {
      found.push(await outcome(() => stub.run("failing", { how })));
    }
    return [...found, await stub.add(1)];
  },
  async B34(env) {
    const stub = env.PROBE.getByName("B34");
    const found = [];
    for (const call of [
      () => stub.echo(), () => stub.echo(undefined), () => stub.echo(null),
      () => stub.synchronous(2), () => stub.nothing(), () => stub.inherited(), () => stub.echo([stub.id.toString().length]),
      () => stub.echo({ a: { b: [1, "x", null, true] } }), () => stub.echo(""), () => stub.echo([]),
      () => stub.echo({}), () => stub.echo(new RangeError("as a value")), () => stub.echo(2 ** 53),
      () => stub.echo(-(2n ** 70n)), () => stub.echo([new Date(0), new Uint8Array([1]).buffer, new Set()]),
      () => stub.echo("x".repeat(100_000)).then((text) => text.length),
      () => stub.call(() => { throw new RangeError("of the callback"); }),
      () => stub.call(async (a, b) => [a, b]), () => stub.keep(1),
    ]) {
      found.push(await outcome(call));
    }
    return found;
  },
  async B35(env) {
    const stub = env.PROBE.getByName("B35");
    const get = async (url, init) => {
      const response = await stub.fetch(url, init);
      return [response.status, await response.json()];
    };
    const found = [];
    for (const [url, init] of [
      ["http://h/a b?q=1 2#frag"], ["https://example.com:8443/x/../y"], ["http://H/é"], ["http://h"],
      ["http://h/", { method: "put", body: "text" }], ["http://h/", { method: "DELETE" }],
      ["http://h/", { method: "POST", body: "" }], ["/rel"], ["h/rel"], [""], ["http://h/", { method: "GET", body: "x" }],
      ["http://user:pass@h/"], ["http://h/%2F%20"], ["http://h/", { method: "B A D" }],
    ]) {
      found.push(await outcome(() => get(url, init)));
    }
    return found;
  },
  async B32(env) {
    const stub = env.PROBE.getByName("B32");
    const get = (path) => outcome(async () => (await stub.fetch("http://h/" + path)).status);
    const found = [await get("fail"), await stub.add(1), await get("nothing")];
    const waiting = [outcome(() => stub.pause(1000)), get("abort")];
    found.push(await waiting[0], await waiting[1], await outcome(() => stub.add(1)), await get("x"));
    return [...found, await env.PROBE.getByName("B32").add(1)];
  },
  async I1(env, given, made) {
    const stub = env.PROBE.getByName("I1");
    if (given.step === "begin") return [await stub.add(1), await stub.add(1)];
    return [await stub.add(1), made.get("I1")];
  },
  async I2(env, given) {
    const stub = env.PROBE.getByName("I2");
    if (given.step === "begin") return [await stub.add(1), await stub.run("pending")];
    return [await stub.add(1)];
  },
};
export const inObject = {
  async failing(self, { how }) {
    const stub = self.env.PROBE.getByName("B33 other");
    if (how === "empty") throw new Error();
    if (how === "relay") return await stub.fail("RangeError", "from afar");
    if (how === "deep") return await stub.run("failing", { how: "relay" });
    if (how === "constructed") return await self.env.FAILING.getByName("B33 " + Math.random()).hello();
    return await Promise.reject(new SyntaxError("rejected"));
  },
  async pending(self) { self.ctx.waitUntil(scheduler.wait(14_000)); return null; },
};
