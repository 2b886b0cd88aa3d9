// Programs, from programs.json: steps that both sides take alike, and what each comes to.

import { failure, outcome, plain, wait } from "./facts.js";
import programs from "./programs.json";

const FAR = 3e12; // an alarm before it is near, and shown as such
const unread = /^\s*(create|alter|drop|analyze|reindex)\b/i; // what they write is counted differently
const rung = new Map(); // by name: what each run of its alarm has come to

const given = (value) => {
  if (Array.isArray(value)) return value.map(given);
  if (value === null || typeof value !== "object") return value;
  if ("$date" in value) return new Date(value.$date);
  if ("$bytes" in value) return new Uint8Array(value.$bytes);
  if ("$number" in value) return Number(value.$number);
  if ("$bigint" in value) return BigInt(value.$bigint);
  if ("$set" in value) return new Set(value.$set.map(given));
  if ("$map" in value) return new Map(value.$map.map(given));
  if ("$error" in value) return new Error(value.$error);
  if ("$function" in value) return () => 1;
  if ("$times" in value) return value.$times[0].repeat(value.$times[1]);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, given(item)]));
};
// Why a value has no copy is said differently.
const brief = (found) => (found.error === "DataCloneError" ? found.error : found);
const now = (call) => {
  try { return plain(call()); } catch (error) { return brief(failure(error)); }
};
const later = async (call) => {
  const found = await outcome(call);
  return "value" in found ? found.value : brief(found);
};
const named = (object, [method, ...args]) => object[method](...args.map(given));
const awaited = async (object, args) => {
  const found = await named(object, args);
  return args[0] === "list" || (args[0] === "get" && Array.isArray(args[1])) ? [...found] : found;
};
const rows = ({ sql }, [text, ...bindings]) => {
  const cursor = sql.exec(text, ...bindings.map(given));
  const found = [...cursor.raw()];
  return [cursor.columnNames, found, ...(unread.test(text) ? [] : [cursor.rowsWritten])];
};

const atOnce = {
  sql: ({ storage }, args) => rows(storage, args),
  size: ({ storage }) => storage.sql.databaseSize,
  cursor: ({ storage, held }, [name, text, ...bindings]) => {
    held[name] = storage.sql.exec(text, ...bindings.map(given));
  },
  raw: ({ held }, [name, of]) => { held[name] = held[of].raw(); },
  next: ({ held }, [name]) => { const { done, value } = held[name].next(); return [done, value]; },
  all: ({ held }, [name]) => [...held[name]],
  one: ({ held }, [name]) => held[name].one(),
  columns: ({ held }, [name]) => [held[name].columnNames, held[name].rowsWritten],
  kv: ({ storage }, args) => {
    const found = named(storage.kv, args);
    return args[0] === "list" ? [...found] : found;
  },
  listing: ({ storage, held }, [name, options]) => { held[name] = storage.kv.list(options); },
};

function stepAtOnce(self, [kind, ...args]) {
  if (kind !== "at once") return now(() => atOnce[kind](self, args));
  const [steps, end] = args, inner = [];
  const whole = now(() => self.storage.transactionSync(() => {
    for (const step of steps) inner.push(stepAtOnce(self, step));
    if (end === "throw") throw new RangeError("no");
    return end;
  }));
  return [inner, whole];
}

async function step(self, one) {
  const { storage, txn } = self, [kind, ...args] = one;
  if (kind === "storage") return await later(() => awaited(storage, args));
  if (kind === "txn") return await later(() => awaited(txn, args));
  if (kind === "wait") { await wait(args[0]); return null; }
  if (kind === "set in") return await later(() => storage.setAlarm(Date.now() + args[0]));
  if (kind === "alarm") {
    const due = await storage.getAlarm();
    return due === null || due > FAR ? due : "near";
  }
  if (kind !== "transaction") return stepAtOnce(self, one);
  const [steps, end] = args, inner = [];
  const whole = await later(() => storage.transaction(async (within) => {
    for (const step_ of steps) inner.push(await step({ ...self, txn: within }, step_));
    if (end === "throw") throw new RangeError("no");
    if (end === "roll back") within.rollback();
    return end;
  }));
  return [inner, whole];
}

async function take(storage, steps) {
  const self = { storage, held: {} }, found = [];
  for (const one of steps) found.push(await step(self, one));
  return found;
}

// What the alarm does: the first steps at first, the second ones when it is called again, ...
export async function ring({ ctx }, { retryCount, isRetry }) {
  const name = ctx.id.name, runs = rung.get(name) ?? [], found = [];
  rung.set(name, [...runs, { retryCount, isRetry, found }]);
  for (const one of programs.alarms[name].rings[runs.length] ?? []) {
    if (one[0] === "throw") throw new Error("not today");
    if (one[0] === "abort") ctx.abort("enough");
    found.push(await step({ storage: ctx.storage, held: {} }, one));
  }
}

export const inWorker = {};
export const inObject = {
  async planned({ ctx: { id, storage } }) {
    await storage.setAlarm(Date.now() + 20);
    return await take(storage, programs.alarms[id.name].first ?? []);
  },
  async beside({ ctx: { id, storage } }) { return await take(storage, programs.alarms[id.name].beside ?? []); },
  async after({ ctx: { id, storage } }) {
    return [rung.get(id.name) ?? [], await step({ storage }, ["alarm"]), await storage.list()];
  },
};
for (const [row, steps] of Object.entries(programs.rows)) {
  inObject[row] = ({ ctx: { storage } }) => take(storage, steps);
}
