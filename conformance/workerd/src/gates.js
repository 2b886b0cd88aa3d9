// C: what may come in, what may go out, in which order.

import { outcome, wait } from "./facts.js";

export const inWorker = {
  async C1(env) {
    const stub = env.PROBE.getByName("C1");
    return await Promise.all(Array.from({ length: 20 }, () => stub.bump(0)));
  },
  async C2(env) {
    const stub = env.PROBE.getByName("C2");
    return await Promise.all(Array.from({ length: 20 }, () => stub.bump(700)));
  },
  async C3(env) {
    const response = await env.BLOCKING.getByName("C3 fetch").fetch("http://h/");
    return [await env.BLOCKING.getByName("C3 rpc").get(), await response.text()];
  },
  async C5(env) { return await env.TIMED.getByName("C5").get(); },
  async C7(env) {
    const stub = env.PROBE.getByName("C7");
    const blocking = stub.block(60);
    await wait(20);
    await stub.note("event");
    await blocking;
    return await stub.notes();
  },
  async C8(env) { return await env.PROBE.getByName("C8").block(1); },
  async C9(env) {
    const stub = env.PROBE.getByName("C9");
    const found = [await outcome(() => stub.blockFail(false)), await outcome(() => stub.add(1))];
    return [...found, await env.PROBE.getByName("C9").keys()];
  },
  async C10(env) {
    const found = await outcome(() => env.PROBE.getByName("C10").blockFail(true));
    return [found, await env.PROBE.getByName("C10").keys()];
  },
  async C11(env) {
    const began = Date.now();
    const found = await outcome(() => env.PROBE.getByName("C11").block(33_000));
    const took = Date.now() - began;
    return [found, took >= 29_900 && took < 32_000, await env.PROBE.getByName("C11").add(1)];
  },
  async C13(env) {
    const calling = outcome(() => env.PROBE.getByName("C13").blockSelf());
    return await Promise.race([calling, wait(1500).then(() => "no progress")]);
  },
  async C15(env) {
    const stub = env.PROBE.getByName("C15");
    const ticking = outcome(() => stub.ticks(2, 400));
    await wait(10);
    const both = Promise.all([ticking, outcome(() => stub.block(800))]);
    const found = await Promise.race([both, wait(3000).then(() => "no progress")]);
    return [found, await Promise.race([stub.notes(), wait(500).then(() => "no progress")])];
  },
  async C35(env) {
    const stub = env.PROBE.getByName("C35");
    const transacting = stub.transact();
    await wait(10);
    await stub.note("mid");
    await transacting;
    return await stub.notes();
  },
};
export const inObject = {
  async C14(self) {
    const nest = (depth) => (
      depth ? self.ctx.blockConcurrencyWhile(() => nest(depth - 1)) : Promise.resolve("deep")
    );
    return await outcome(() => nest(60));
  },
  async C16(self) {
    await self.ctx.storage.put("a", 1);
    return await self.ctx.blockConcurrencyWhile(async () => {
      const seen = await self.ctx.storage.get("a");
      await self.ctx.storage.put("a", 2);
      return [seen, await self.ctx.storage.get("a"), [...(await self.ctx.storage.list()).keys()]];
    });
  },
  async put(self, given) { await self.ctx.storage.put("value", given.value); return given.value; },
  async get(self) { return await self.ctx.storage.get("value"); },
  async bump(self) { return await self.bump(0); },
  async failAfterPut(self, given) {
    await self.ctx.storage.put("value", given.value);
    throw new RangeError("after the put");
  },
};
