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
  async E15({ ctx: { storage } }) {
    const found = [];
    await storage.transaction(async (txn) => {
      await txn.put("one", 1);
      await storage.transaction(async (inner) => {
        await inner.put("two", 2);
        await storage.transaction(async (third) => { await third.put("three", 3); third.rollback(); });
        found.push([...(await inner.list()).keys()]);
        await inner.delete("one");
      });
      found.push([...(await txn.list()).keys()]);
      const failed = await outcome(() => storage.transaction(async (inner) => {
        await inner.put("four", 4);
        throw new TypeError("four");
      }));
      found.push(failed, await txn.get(["two", "four"]));
    });
    await storage.transaction(async (txn) => {
      await storage.transaction(async (inner) => { await inner.put("kept?", 1); });
      txn.rollback();
    });
    return [...found, await storage.list()];
  },
  async E16({ ctx: { storage } }) {
    const found = [];
    const tried = async (callback) => {
      found.push(await outcome(() => storage.transaction(callback)));
      found.push([...(await storage.list()).keys()]);
    };
    await tried(async (txn) => { txn.rollback(); await storage.put("after rollback", 1); });
    await tried(async () => { throw new Error("text"); });
    await tried(() => { throw new RangeError("at once"); });
    await tried(async (txn) => { await txn.put("a", 1); await txn.put("b", undefined); });
    await tried(async (txn) => [await txn.put({ a: 1, b: 2 }), await txn.delete(["a", "x"]),
      await txn.getAlarm(), await txn.setAlarm(4_000_000_000_000), await txn.getAlarm(),
      await txn.deleteAlarm(), await txn.getAlarm()]);
    await tried(async (txn) => outcome(() => txn.deleteAll()));
    await tried(async (txn) => [typeof txn.sql, typeof txn.kv, typeof txn.rollback, typeof txn.sync]);
    return found;
  },
  async E19({ ctx: { storage } }) {
    const sync = async () => storage.transactionSync(() => { storage.kv.put("sync", 1); return 5; });
    const fails = async () => outcome(() => storage.transactionSync(() => {
      storage.kv.put("undone", 1);
      throw new Error("undone");
    }));
    const found = [];
    for (const work of [sync, fails]) found.push(await outcome(() => storage.transaction(work)));
    return [...found, [...(await storage.list()).keys()]];
  },
  async E17({ ctx: { storage } }) {
    storage.sql.exec("CREATE TABLE t(id)");
    const found = [];
    const add = (id) => storage.sql.exec("INSERT INTO t VALUES (?)", id);
    found.push(storage.transactionSync(() => {
      add(1);
      const inner = () => storage.transactionSync(() => { add(2); throw new Error("2"); });
      try { inner(); } catch { add(3); }
      return storage.transactionSync(() => { add(4); return "four"; });
    }), rows(storage));
    found.push(await outcome(() => storage.transactionSync(() => {
      add(5);
      storage.transactionSync(() => add(6));
      storage.kv.put("x", 1);
      throw new RangeError("all");
    })), rows(storage), storage.kv.get("x"));
    const cursor = storage.sql.exec("SELECT id FROM t ORDER BY id");
    found.push(cursor.next().value);
    await outcome(() => storage.transactionSync(() => { add(7); throw new Error("7"); }));
    found.push(rows(storage));
    found.push(await outcome(() => storage.transactionSync(5)), storage.transactionSync(() => undefined));
    found.push(storage.transactionSync((...args) => args.length));
    storage.transactionSync(() => storage.sql.exec("CREATE TABLE made(a)"));
    await outcome(() => storage.transactionSync(() => {
      storage.sql.exec("CREATE TABLE unmade(a)");
      throw new Error("no");
    }));
    found.push(storage.sql.exec("SELECT name FROM sqlite_master WHERE name LIKE '%made'").toArray());
    return found;
  },
  async E18({ ctx: { storage } }) {
    const order = [];
    const one = storage.transaction(async (txn) => {
      order.push("one begins");
      await wait(30);
      await txn.put("n", ((await txn.get("n")) ?? 0) + 1);
      order.push("one ends");
    });
    const two = storage.transaction(async (txn) => {
      order.push("two begins");
      await txn.put("n", ((await txn.get("n")) ?? 0) + 1);
      await wait(1);
      order.push("two ends");
    });
    await Promise.all([one, two]);
    return [order, await storage.get("n")];
  },
};
