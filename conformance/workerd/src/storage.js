// D: key-value storage.

import { outcome, plain } from "./facts.js";

const keys = (map) => [...map.keys()];
const many = (count) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, n]));

const named = ["", "A", "a", "aa", "ab", "a\0", "a😀", "b", "é", "\uffff", "😀"];

export const inWorker = {};
export const inObject = {
  async D1({ ctx: { storage } }) { return [await storage.get("none"), keys(await storage.list())]; },
  async D2({ ctx: { storage } }) { return await outcome(() => storage.put("x")); },
  async D3({ ctx: { storage } }) {
    await storage.put("x", null);
    return [await storage.get("x"), keys(await storage.list()), keys(await storage.get(["x", "y"]))];
  },
  async D6({ ctx: { storage } }) {
    await storage.put({ a: 1, b: 2 });
    const found = await storage.get(["b", "none", "a"]);
    return [keys(found), found];
  },
  async D7({ ctx: { storage } }) {
    await storage.put({ a: 1, b: 2, c: 3 });
    return [await storage.delete("none"), await storage.delete("c"),
      await storage.delete(["a", "none", "b"]), keys(await storage.list())];
  },
  async D8({ ctx: { storage } }) {
    await storage.put({ "😀": 1, "\ufffd": 2, "é": 3, a: 4, B: 5 });
    return keys(await storage.list());
  },
  async D9({ ctx: { storage } }) {
    await storage.put({ a: 1, aa: 2, b: 3, bb: 4 });
    return [keys(await storage.list({ start: "a", end: "b" })),
      keys(await storage.list({ startAfter: "a", end: "b" })),
      keys(await storage.list({ prefix: "a" })),
      keys(await storage.list({ prefix: "b", start: "ba" }))];
  },
  async D10({ ctx: { storage } }) {
    await storage.put({ a: 1, aa: 2, b: 3, bb: 4 });
    return [keys(await storage.list({ reverse: true, limit: 2 })),
      keys(await storage.list({ start: "a", end: "b", reverse: true })),
      keys(await storage.list({ prefix: "a", reverse: true, limit: 1 }))];
  },
  async D12({ ctx: { storage } }) {
    await storage.put({ a: 1, b: 2 });
    return [keys(await storage.list({ start: "b", end: "a" })),
      keys(await storage.list({ start: "a", end: "a" }))];
  },
  async D13({ ctx: { storage } }) {
    return [await outcome(() => storage.list({ limit: 0 })),
      await outcome(() => storage.list({ limit: -1 }))];
  },
  async D14({ ctx: { storage } }) {
    return await outcome(() => storage.list({ start: "a", startAfter: "a" }));
  },
  async D15({ ctx: { storage } }) {
    await storage.put("", 5);
    return [await storage.get(""), keys(await storage.list()), await storage.delete("")];
  },
  async D16({ ctx: { storage } }) {
    const found = [];
    for (const count of [129, 1000]) {
      await storage.put(many(count));
      found.push((await storage.get(Object.keys(many(count)))).size);
      found.push(await storage.delete(Object.keys(many(count))));
    }
    return found;
  },
  async D18({ ctx: { storage } }) {
    await storage.put("big", new Uint8Array(2 * 1024 * 1024 - 100));
    const { error, message } = await outcome(() => storage.put("big", new Uint8Array(8 * 1024 * 1024)));
    return [error, message, keys(await storage.list())];
  },
  async D19({ ctx: { storage } }) {
    const one = await outcome(() => storage.put("f", () => 1));
    const two = await outcome(() => storage.put({ a: 1, f: () => 1 }));
    return [one.error, two.error, keys(await storage.list())];
  },
  async D20({ ctx: { storage } }) {
    const values = [
      new Date(1767323045006), new Map([["a", 1]]), new Set([1, "a"]), new Uint8Array([0, 255]),
      2n ** 70n, NaN, -0, Infinity, new Error("text"), "😀\0", true, { a: [1, { b: null }] }, 1.5, [],
    ];
    const found = [];
    for (const value of values) {
      await storage.put("v", value);
      found.push(await storage.get("v"));
    }
    return found;
  },
  async D22({ ctx: { storage } }) {
    class Thing { constructor() { this.a = 1; } }
    return await outcome(async () => {
      await storage.put("v", new Thing());
      return await storage.get("v");
    });
  },
  async D23({ ctx: { storage } }) { return await outcome(() => storage.put({ a: 1 }, 5)); },
  async D24({ ctx: { storage } }) {
    storage.put("a", 1);
    const read = storage.get("a");
    storage.put("a", 2);
    storage.delete("b");
    return [await read, await storage.get("a"), keys(await storage.list())];
  },
  async D25({ ctx: { storage } }) {
    const value = { list: [1] };
    await storage.put("v", value);
    value.list.push(2);
    (await storage.get("v")).list.push(3);
    return await storage.get("v");
  },
  async D26({ ctx: { storage } }) {
    storage.sql.exec("CREATE TABLE t(id); INSERT INTO t VALUES (1)");
    await storage.put("a", 1);
    await storage.setAlarm(Date.now() + 3_600_000);
    await storage.deleteAll();
    return [keys(await storage.list()), await storage.getAlarm(),
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '_cf_%'").toArray()];
  },
  async D28({ ctx: { storage } }) {
    await storage.put("a", 1);
    const found = await storage.transaction(() => outcome(() => storage.deleteAll()));
    return [found, keys(await storage.list())];
  },
  async D29({ ctx: { storage } }) {
    await storage.put(7, "seven");
    await storage.put(true, "yes");
    return [await storage.get("7"), await storage.get(7), keys(await storage.list())];
  },
  async D30({ ctx: { storage } }) {
    storage.kv.put("a", 1);
    const first = await storage.get("a");
    await storage.put("b", 2);
    return [first, storage.kv.get("b"), storage.kv.get("none"), storage.kv.delete("a"),
      storage.kv.delete("a"), [...storage.kv.list()]];
  },
  async D31({ ctx: { storage } }) {
    for (const key of ["a", "b", "c"]) storage.kv.put(key, 1);
    const one = storage.kv.list()[Symbol.iterator]();
    const first = plain(one.next().value);
    const two = [...storage.kv.list({ prefix: "b" })];
    return [first, two, await outcome(() => one.next().value)];
  },
  async D32({ ctx: { storage } }) {
    storage.kv.put("k", undefined);
    return [storage.kv.get("k"), [...storage.kv.list()].map(([key]) => key)];
  },
  async D33({ ctx: { storage } }) {
    return [await outcome(() => storage.kv.get("a")), await outcome(() => storage.sql.exec("SELECT 1"))];
  },
  async D34({ ctx: { storage } }) {
    await storage.put("a", 1);
    return [await storage.get("a"), storage.transactionSync(() => 5)];
  },
  async D36({ ctx: { storage } }, given) {
    if (given.put) await storage.put(given.put, 1);
    return keys(await storage.list());
  },
  async D37({ ctx: { storage } }) {
    for (const key of named) await storage.put(key, 1);
    const found = [];
    for (const start of [{}, { start: "a" }, { startAfter: "a" }, { start: "é" }, { start: "" }])
      for (const end of [{}, { end: "b" }, { end: "a" }, { end: "\uffff" }])
        for (const prefix of [{}, { prefix: "a" }, { prefix: "" }])
          for (const rest of [{}, { reverse: true }, { limit: 2 }, { reverse: true, limit: 2 }])
            found.push(keys(await storage.list({ ...start, ...end, ...prefix, ...rest })).join(" "));
    return found;
  },
  async D38({ ctx: { storage } }) {
    for (const key of ["1", "10", "2", "true"]) await storage.put(key, 1);
    const found = [];
    for (const options of [
      { limit: "2" }, { limit: 1.9 }, { limit: 0.5 }, { limit: true }, { limit: "x" }, { limit: -1 },
      { start: 2 }, { end: 2 }, { prefix: 1 }, { startAfter: 1 }, { prefix: true }, { reverse: 1 },
      { reverse: "" }, { unknown: 1 }, { start: "1", startAfter: "1" }, { start: "2", end: "1" },
      { allowConcurrency: true, noCache: true, limit: 1 }, { limit: 1e12 },
    ]) {
      found.push(await outcome(async () => keys(await storage.list(options))));
    }
    return found;
  },
  async D39({ ctx: { storage } }) {
    const found = [await storage.get([]), await storage.delete([]), await storage.put({})];
    await storage.put({ b: 1, a: 2 });
    found.push(await storage.get(["b", "a", "b", "x"]), await storage.delete(["a", "a", "x"]));
    await storage.put({ 5: "five", true: "yes" });
    found.push(await storage.get([5, true, "x"]), await storage.get(5), await storage.delete([5, true]));
    await storage.put("k".repeat(3000), 1);
    found.push(keys(await storage.list()).map((key) => key.length));
    for (const call of [
      () => storage.put("a", 1, 5), () => storage.get("a", 5), () => storage.delete("a", "x"),
      () => storage.list(5), () => storage.put("a", 1, { allowUnconfirmed: true, noCache: true }),
      () => storage.get("a", { allowConcurrency: true, noCache: true }), () => storage.sync(),
      () => storage.delete("a", { allowUnconfirmed: true }),
    ]) {
      found.push(await outcome(call));
    }
    return found;
  },
  async D40({ ctx: { storage } }) {
    const { kv } = storage;
    for (const key of named) kv.put(key, key);
    const names = (options) => [...kv.list(options)].map(([key]) => key).join(" ");
    const found = [kv.put("x", 1), kv.get("none"), kv.delete("none"), kv.delete("x"), names()];
    for (const options of [
      { start: "a" }, { startAfter: "a", end: "b" }, { prefix: "a", reverse: true, limit: 2 },
      { start: "a", startAfter: "a" }, { limit: 0 },
    ]) {
      found.push(await outcome(() => names(options)));
    }
    const seen = [];
    for (const [key] of kv.list({ prefix: "a" })) { kv.delete(key); seen.push(key); }
    found.push(seen, names());
    found.push((await outcome(() => kv.put("f", () => 1))).error, names());
    return found;
  },
  async D41({ ctx: { storage } }) {
    const { sql } = storage;
    await storage.put("a", 1);
    sql.exec("CREATE TABLE t(id); INSERT INTO t VALUES (1)");
    const found = [await storage.deleteAll(), await storage.deleteAll({}), sql.databaseSize];
    await storage.put("b", 1);
    sql.exec("CREATE TABLE t(id)");
    found.push(keys(await storage.list()), sql.exec("SELECT * FROM t").toArray());
    return found;
  },
  async D42({ ctx: { storage } }) {
    const values = [
      { z: 1, a: 2, 10: 3, 2: 4 }, [[], [[]], {}], new Map([["k", new Set([1])]]), "", "\ud800", 2 ** 53,
      2 ** 53 + 2, -(2 ** 53), 1e308, 5e-324, 0.1, 2n ** 70n, -(2n ** 70n), 1e21, [null, null], { "": { "": 1 } },
      new Date(-1), new RangeError("r"), new Uint8Array(0), [new Date(0), NaN, -0],
    ];
    const found = [];
    for (const value of values) {
      found.push(await outcome(async () => {
        await storage.put("v", value);
        return await storage.get("v");
      }));
    }
    return found;
  },
  async D43({ ctx: { storage } }) {
    await storage.put("\ud800", 1);
    await storage.put("\ud83d\ude00", 2);
    return [keys(await storage.list()), await storage.get("\ud800"),
      await storage.get(["\ud800"]), await storage.get("😀")];
  },
  async D48({ ctx: { storage } }) {
    const own = { n: 1 }, ring = [1], deep = Array.from({ length: 3000 }).reduce((inner) => [inner], []);
    own.self = own;
    own.list = [own, ring];
    ring.push(ring, { ring });
    await storage.put({ own, ring, deep });
    storage.kv.put("kv", [own]);
    const [one, two, [three]] = [await storage.get("own"), await storage.get("ring"), storage.kv.get("kv")];
    let inner = await storage.get("deep"), depth = 0;
    for (; inner.length; inner = inner[0]) depth += 1;
    return [one.self === one, one.list[0] === one, one.n, one.list[1][1] === one.list[1], two[1] === two,
      two[2].ring === two, three.self === three, depth];
  },
};
