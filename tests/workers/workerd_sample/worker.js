// Objects whose storage holds every kind of value, for the tests of `wakeful import`.
import { DurableObject } from "cloudflare:workers";

const shared = { s: 1 };
const pair = new Uint8Array([1, 2, 3, 4]).buffer;
const sparse = [];
sparse[100] = 1;
sparse[2] = "t";
class Point {
  constructor() {
    this.x = 1;
  }
}

const KINDS = {
  null: null, true: true, false: false, zero: 0, int: 2, negative: -5, max: 2147483647, min: -2147483648,
  safe: 9007199254740991, float: 1.5, negzero: -0, nan: NaN, inf: Infinity,
  bigint: 123456789012345678901234567890n, bigneg: -1n,
  ascii: "hello", latin1: "café", wide: "日本語 😀", empty: "", lone: "\ud800x", long: "é".repeat(300),
  object: { a: 1, b: { c: [1, "x", null, undefined] }, 7: "seven", none: undefined },
  array: [1, 2.5, "x", [], {}], holes: [1, , 3], sparse,
  date: new Date(1760000000123), old: new Date(-1.5e12),
  map: new Map([["k", 1], [2, "two"], [null, "n"]]), set: new Set([1, "a", null, 2.5]),
  boxed: [new Number(3), new String("s"), new Boolean(true), new Boolean(false), Object(5n)],
  buffer: new Uint8Array([1, 2, 3]).buffer, u8: new Uint8Array([9, 8, 7]), i16: new Int16Array([1, -2]),
  f64: new Float64Array([0.5]), view: new DataView(pair, 1, 2),
  twoviews: [new Uint8Array(pair, 0, 2), new Uint8Array(pair, 2, 2), pair],
  error: new TypeError("boom"), cause: new Error("plain", { cause: "why" }),
  shared: [shared, shared], instance: new Point(), "": "empty key", clé: 1,
};

const loop = { name: "loop" };
loop.self = loop;
const ODD = { cycle: loop, fine: 1, regexp: /ab+c/gi, objectkey: new Map([[{ x: 1 }, 1]]) };

class Filled extends DurableObject {
  alarm() {}

  async put(values) {
    for (const [key, value] of Object.entries(values)) await this.ctx.storage.put(key, value);
  }
}

export class Kinds extends Filled {
  async fill() {
    await this.put(KINDS);
    this.ctx.storage.kv.put("undefined", undefined);
    await this.ctx.storage.setAlarm(4102444800123);
  }
}

export class Odd extends Filled {
  fill() {
    return this.put(ODD);
  }
}

export class Shop extends Filled {
  async fill(count) {
    const sql = this.ctx.storage.sql;
    sql.exec("CREATE TABLE items(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, price REAL, raw BLOB)");
    sql.exec("CREATE INDEX by_name ON items(name)");
    sql.exec("CREATE VIRTUAL TABLE notes USING fts5(body)");
    sql.exec("CREATE VIEW cheap AS SELECT * FROM items WHERE price < 5");
    for (let i = 0; i < count; i++)
      sql.exec("INSERT INTO items(name, price, raw) VALUES (?, ?, ?)", `item ${i}`, i * 1.5, new Uint8Array([i]).buffer);
    sql.exec("INSERT INTO notes VALUES ('the quick brown fox')");
    await this.ctx.storage.put("total", count);
    await this.ctx.storage.setAlarm(4102444800000);
    if (count > 10) await this.ctx.storage.deleteAlarm();
  }
}

export default {
  async fetch(request, env) {
    await env.KINDS.getByName("all").fill();
    await env.ODD.getByName("odd").fill();
    await env.SHOP.getByName("one").fill(3);
    await env.SHOP.getByName("two").fill(40);
    return new Response("filled\n");
  },
};
