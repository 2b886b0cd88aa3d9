// G: alarms.

import { outcome } from "./facts.js";

async function seen(storage) {
  const rings = (await storage.get("rings")) ?? [];
  return rings.map((ring) => ({ ...ring }));
}

export const inWorker = {};
export const inObject = {
  async G1({ ctx: { storage } }) { return await storage.getAlarm(); },
  async G2({ ctx: { storage } }) {
    await storage.setAlarm(4_000_000_000_000);
    const number = await storage.getAlarm();
    await storage.setAlarm(new Date(4_000_000_000_500));
    const date = await storage.getAlarm();
    await storage.setAlarm(4_000_000_000_000.7);
    return [number, date, await storage.getAlarm()];
  },
  async G4({ ctx: { storage } }) {
    const found = [];
    for (const when of [0, -5, NaN]) found.push(await outcome(() => storage.setAlarm(when)));
    return found;
  },
  async G5({ ctx: { storage } }) {
    const now = Date.now();
    await storage.setAlarm(1);
    const shown = await storage.getAlarm();
    await storage.deleteAlarm();
    return [Math.abs(shown - now) < 2000, await storage.getAlarm()];
  },
  async G6({ ctx: { storage } }) { return await outcome(() => storage.setAlarm(Date.now() + 1000)); },
  async G18({ ctx: { storage } }) { return [await storage.deleteAlarm(), await storage.getAlarm()]; },
  async G25({ ctx: { storage } }) {
    await outcome(() => storage.transaction(async (txn) => {
      await txn.setAlarm(4_000_000_000_000);
      throw new Error("no");
    }));
    const undone = await storage.getAlarm();
    await storage.transaction(async (txn) => { await txn.setAlarm(4_000_000_000_000); });
    return [undone, await storage.getAlarm()];
  },
  async ring({ ctx: { storage } }, given) {
    await storage.put("plan", given.plan ?? "quiet");
    if (given.first) await storage.setAlarm(Date.now() + Number(given.first));
    await storage.setAlarm(Date.now() + Number(given.after));
    return null;
  },
  async rings(self) {
    const rings = await seen(self.ctx.storage);
    const gaps = rings.slice(1).map((ring, n) => ring.at - rings[n].at);
    const facts = rings.map(({ at, ...ring }) => ring);
    return { rings: facts, gaps, set: await self.ctx.storage.getAlarm(), log: self.log };
  },
  async G15({ ctx: { storage } }) {
    const rings = (await storage.get("rings")) ?? [];
    return { count: rings.length, at: rings[0]?.at ?? Number.MAX_SAFE_INTEGER };
  },
  async G17({ ctx: { storage } }) { return await storage.get("named"); },
  async say(self, given) { self.log.push(given.value); return null; },
  async G26({ ctx: { storage } }) {
    const found = [];
    for (const when of [
      4e12, 4e12 + 0.9, "4000000000000", "x", "", true, 0.5, 1e300, Infinity, -Infinity, {}, [],
      new Date(-1), new Date(4e12), 2n ** 60n, 8.64e15, 8.64e15 + 1, 9223372036854, 9223372036855,
    ]) {
      found.push(await outcome(() => storage.setAlarm(when)));
      const set = await storage.getAlarm();
      found.push(set === null || set > 3e12 ? set : "now");
      await storage.deleteAlarm();
    }
    return found;
  },
  async G27({ ctx: { storage } }) {
    const found = [];
    for (const call of [
      () => storage.setAlarm(4e12, 5), () => storage.getAlarm(5), () => storage.deleteAlarm("x"),
      () => storage.setAlarm(4e12, { allowUnconfirmed: true, allowConcurrency: true }),
      () => storage.getAlarm({ allowConcurrency: true }), () => storage.deleteAlarm({ allowConcurrency: true }),
      () => storage.deleteAll(5), () => storage.deleteAlarm(), () => storage.getAlarm(),
    ]) {
      found.push(await outcome(call));
    }
    await storage.transaction(async (txn) => {
      await txn.setAlarm(4e12);
      await outcome(() => storage.transaction(async (inner) => {
        await inner.deleteAlarm();
        throw new Error("no");
      }));
      found.push(await txn.getAlarm());
      await storage.transaction(async (inner) => { await inner.setAlarm(4e12 + 1); });
      found.push(await storage.getAlarm());
      txn.rollback();
    });
    found.push(await storage.getAlarm());
    storage.transactionSync(() => { storage.setAlarm(4e12); });
    found.push(await storage.getAlarm());
    await outcome(() => storage.transactionSync(() => { storage.deleteAlarm(); throw new Error("no"); }));
    return [...found, await storage.getAlarm()];
  },
};
