// E: transactions.

import { outcome, wait } from "./facts.js";

const rows = (storage) => storage.sql.exec("SELECT id FROM t ORDER BY id").toArray();

export const inWorker = {};
export const inObject = {
  async E1({ ctx: { storage } }) {
    const found = await storage.transaction(async (txn) => {
      await txn.put("a", 1);
      await wait(1);
      await storage.put("b", 2);
      return ["ret", await storage.get("a"), await txn.get("b")];
    });
    return [found, await storage.list()];
  },
  async E2(self) {
    const storage = self.ctx.storage;
    await storage.put("a", 1);
    self.count = 7;
    const found = await outcome(() => storage.transaction(async (txn) => {
      await txn.put("a", 2);
      await storage.put("b", 2);
      throw new RangeError("no");
    }));
    return [found, await storage.list(), self.count];
  },
  async E3({ ctx: { storage } }) {
    const found = await storage.transaction(async (txn) => {
      await txn.put("a", 1);
      txn.rollback();
      txn.rollback();
      return "result";
    });
    return [found, await storage.list()];
  },
  async E4({ ctx: { storage } }) {
    return await storage.transaction(async (txn) => {
      txn.rollback();
      return [await outcome(() => txn.get("a")), await outcome(() => txn.put("a", 1))];
    });
  },
  async E5({ ctx: { storage } }) {
    let leaked;
    await storage.transaction(async (txn) => { leaked = txn; });
    return [await outcome(() => leaked.get("a")), await outcome(() => leaked.put("a", 1)),
      await outcome(() => leaked.rollback())];
  },
  async E6({ ctx: { storage } }) {
    const inner = await storage.transaction(async () => {
      await storage.put("outer", 1);
      return await outcome(() => storage.transaction(async (txn) => {
        await txn.put("inner", 1);
        throw new Error("inner");
      }));
    });
    return [inner, await storage.list()];
  },
  async E7({ ctx: { storage } }) {
    storage.sql.exec("CREATE TABLE t(id)");
    await outcome(() => storage.transaction(async () => {
      storage.sql.exec("INSERT INTO t VALUES (1)");
      await wait(1);
      storage.sql.exec("INSERT INTO t VALUES (2)");
      throw new Error("no");
    }));
    const undone = rows(storage);
    await storage.transaction(async () => { storage.sql.exec("INSERT INTO t VALUES (3)"); });
    return [undone, rows(storage)];
  },
  async E9({ ctx: { storage } }) {
    const found = storage.transactionSync(() => {
      storage.kv.put("outer", 1);
      try {
        storage.transactionSync(() => { storage.kv.put("inner", 1); throw new Error("inner"); });
      } catch (error) {
        return error.message;
      }
    });
    const failed = await outcome(() => storage.transactionSync(() => {
      storage.kv.put("gone", 1);
      throw new RangeError("no");
    }));
    return [found, failed, await storage.list()];
  },
  async E10({ ctx: { storage } }) {
    return await storage.transactionSync(async () => "later");
  },
  async E12({ ctx: { storage } }) {
    return await storage.transaction(async (txn) => {
      return await storage.transaction(async () => outcome(() => txn.rollback()));
    });
  },
  async E14({ ctx: { storage } }) {
    return [await outcome(() => storage.transaction(5)), await storage.transaction(() => "sync")];
  },
};
