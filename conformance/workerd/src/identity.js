// A: names, ids, stubs.

import { outcome } from "./facts.js";

async function outcomes(calls) {
  const found = [];
  for (const call of calls) found.push(await outcome(call));
  return found;
}

const hex = (id) => /^[0-9a-f]{64}$/.test(id.toString());

export const inWorker = {
  async A1(env) {
    return ["name", "http://foo/", "counter-1", 5].map((name) => env.PROBE.idFromName(name).toString());
  },
  async A2(env) {
    const id = (name) => env.PROBE.idFromName(name);
    return [id("a").equals(id("a")), id("a").equals(id("b"))];
  },
  async A3(env) { return [hex(env.PROBE.idFromName("")), env.PROBE.idFromName("").toString()]; },
  async A5(env) {
    const [one, two] = [env.PROBE.newUniqueId(), env.PROBE.newUniqueId()];
    const again = env.PROBE.idFromString(one.toString());
    return [one.equals(two), hex(one), one.name, again.equals(one), again.toString() === one.toString()];
  },
  async A6(env) {
    return [await outcome(() => env.PROBE.idFromString("abc")),
      await outcome(() => env.PROBE.idFromString("g".repeat(64)))];
  },
  async A7(env) { return await outcome(() => env.PROBE.idFromString("0".repeat(64))); },
  async A8(env) {
    return await outcome(() => env.PROBE.idFromString(env.OTHER.idFromName("a").toString()));
  },
  async A9(env) {
    const id = env.PROBE.idFromName("name").toString();
    return env.PROBE.idFromString(id.toUpperCase()).toString() === id;
  },
  async A10(env) {
    const id = env.PROBE.idFromName("name");
    return [id.name, env.PROBE.idFromString(id.toString()).name];
  },
  async A11(env) { return env.PROBE.idFromName("a").equals(env.OTHER.idFromName("a")); },
  async A12(env) {
    const stub = env.PROBE.getByName("A12");
    const [text, name] = await stub.whoami();
    return [name, text === stub.id.toString()];
  },
  async A13(env) {
    const unique = env.PROBE.get(env.PROBE.newUniqueId());
    const hex = env.PROBE.get(env.PROBE.idFromString(env.PROBE.idFromName("A13").toString()));
    return [(await unique.whoami())[1], (await hex.whoami())[1]];
  },
  async A14(env) {
    const name = async (length) => (await env.PROBE.getByName("x".repeat(length)).whoami())[1];
    return [(await name(1024))?.length, await name(1025)];
  },
  async A15(env) { return await outcome(() => env.PROBE.get("text")); },
  async A16(env) {
    return await outcome(() => env.PROBE.get(env.PROBE.idFromName("a"), { routingMode: "zzz" }));
  },
  async A17(env) {
    const id = env.PROBE.idFromName("A17");
    return [await env.PROBE.get(id, { locationHint: "mars" }).add(1),
      await env.PROBE.get(id, { routingMode: "primary-only" }).add(1)];
  },
  async A18(env) {
    const stub = env.PROBE.getByName("A18");
    return [stub.id.equals(env.PROBE.idFromName("A18")), stub.name, stub.id.name];
  },
  async A19(env, _, made) {
    const stub = env.PROBE.getByName("A19");
    const before = made.get("A19") ?? 0;
    await stub.add(1);
    return [before, made.get("A19")];
  },
  async A20(env) {
    const id = env.PROBE.idFromName("A20");
    return [await env.PROBE.get(id).add(1), await env.PROBE.get(id).add(1)];
  },
  async A22(env) {
    const found = [];
    for (const name of ["\ud800", "é😀", "a\0b", " ", true, 1.5, -0, 1e21, [1, 2], { a: 1 }, "x".repeat(2000)]) {
      const id = env.PROBE.idFromName(name);
      const inside = await env.PROBE.get(id).whoami();
      found.push([id.toString(), id.name.length, inside[0] === id.toString(), inside[1]?.length ?? null]);
    }
    const id = env.PROBE.idFromName("a");
    for (const call of [
      () => id.equals("x"), () => env.PROBE.get(id, { locationHint: 5 }).name, () => String(id).length,
      () => env.PROBE.idFromString(5), () => env.PROBE.newUniqueId({}).name, () => id.jurisdiction,
      () => env.PROBE.idFromString(id.toString() + " "), () => env.PROBE.getByName("b").id.name,
    ]) {
      found.push(await outcome(call));
    }
    return found;
  },
  async A23({ PROBE, OTHER }) {
    const id = PROBE.idFromName("x"), hex = id.toString();
    return await outcomes([
      () => id.toString(1) === hex, () => id.equals(), () => id.equals(null), () => id.equals(5),
      () => id.equals({}), () => id.equals(hex), () => id.equals(OTHER.idFromName("x")),
      () => id.equals(PROBE.idFromString(hex)), () => `${id}` === hex, () => JSON.stringify(id),
      () => PROBE.idFromName(), () => PROBE.idFromName("x", 1, 2).name, () => PROBE.idFromName([1, [2]]).name,
      () => PROBE.idFromName("a".repeat(100_000)).toString(), () => PROBE.idFromString(),
      () => PROBE.idFromString(""), () => PROBE.idFromString(id).name, () => PROBE.idFromString(hex, 1).equals(id),
      () => PROBE.idFromString([hex]).equals(id), () => PROBE.idFromString(hex + "0"),
      () => PROBE.idFromString(" " + hex.slice(1)), () => PROBE.idFromString("0x" + hex.slice(2)),
      () => PROBE.idFromString("é".repeat(64)), () => PROBE.idFromString("f".repeat(64)),
      () => PROBE.newUniqueId(null).name, () => PROBE.newUniqueId("eu"), () => PROBE.newUniqueId(5),
      () => PROBE.newUniqueId([]).name, () => PROBE.newUniqueId({ other: 1 }).name,
      () => PROBE.newUniqueId({ jurisdiction: null }).name, () => PROBE.newUniqueId({ jurisdiction: "" }),
      () => PROBE.newUniqueId({ jurisdiction: 5 }), () => PROBE.jurisdiction(""), () => PROBE.jurisdiction(5),
      () => PROBE.jurisdiction(null).idFromName("x").equals(id),
    ]);
  },
  async A24({ PROBE, OTHER }) {
    const id = PROBE.idFromName("A24");
    return await outcomes([
      () => PROBE.get(), () => PROBE.get(null), () => PROBE.get(5), () => PROBE.get({}), () => PROBE.get([id]),
      () => PROBE.get(id, null).name, () => PROBE.get(id, "x"), () => PROBE.get(id, 5), () => PROBE.get(id, {}).name,
      () => PROBE.get(id, []).name, () => PROBE.get(id, { locationHint: "" }).name,
      () => PROBE.get(id, { locationHint: "wnam", routingMode: undefined }).name,
      () => PROBE.get(id, { routingMode: "" }), () => PROBE.get(id, { routingMode: 5 }),
      () => PROBE.get(id, {}, 1).name, () => PROBE.getByName(), () => PROBE.getByName(5).name,
      () => PROBE.getByName("").name, () => PROBE.getByName("x", { locationHint: "x" }).name,
      () => PROBE.getByName("x", { routingMode: "zzz" }), () => PROBE.getByName("x", 5),
      () => PROBE.getByName("x", null, 1).id.name, () => PROBE.get(OTHER.idFromName("x")).name,
      () => PROBE.get(PROBE.newUniqueId()).name, () => PROBE.get(OTHER.idFromName("A24")).add(1),
      () => PROBE.get(PROBE.idFromString(id.toString())).add(1), () => PROBE.get(id).add(1),
    ]);
  },
  async A21(env) {
    return [await outcome(() => env.PROBE.newUniqueId({ jurisdiction: "eu" })),
      await outcome(() => env.PROBE.jurisdiction("eu"))];
  },
};
export const inObject = {};
